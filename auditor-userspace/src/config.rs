//! What was typed and written, as a valid configuration or a reason.

pub mod file; // the configuration file

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::serve::wire::hex;

/// Where the ledger and its keys are kept, unless somebody says otherwise.
pub const STATE_DIR: &str = "/var/lib/network-audit";
/// Where the sockets are, unless somebody says otherwise.
pub const RUN_DIR: &str = "/run/network-audit";

/// The configuration file, unless somebody names another.
pub const CONFIG_FILE: &str = "/etc/network-audit/auditor.toml";

/// The directories that every command needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Ledger, keys, head file.
    pub state: PathBuf,
    /// `auditor.sock` and `hints.sock`.
    pub run: PathBuf,
}

impl Places {
    /// HTTP and JSON, for people's programs.
    #[must_use]
    pub fn api_socket(&self) -> PathBuf {
        self.run.join("auditor.sock")
    }

    /// Claims, from the addon.
    #[must_use]
    pub fn hints_socket(&self) -> PathBuf {
        self.run.join("hints.sock")
    }
}

/// What is audited.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Scope {
    /// Every Odoo on this machine, found by its command line, and its children.
    #[default]
    Odoo,
    /// One process and its children, whatever they are.
    Process(u32),
    /// Every process in this cgroup and below, and their children. The path is under the cgroup2 mount.
    Cgroup(PathBuf),
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "odoo" {
            return Ok(Self::Odoo);
        }
        match text.split_once(':') {
            Some(("pid", number)) => match number.parse() {
                Ok(pid) if pid > 0 => Ok(Self::Process(pid)),
                _ => Err(format!("\"{number}\" is not a process number: write pid: and a number, as in pid:4711")),
            },
            Some(("cgroup", path)) if Path::new(path).is_absolute() => {
                Ok(Self::Cgroup(Path::new(path).components().collect()))
            }
            Some(("cgroup", path)) => Err(format!(
                "\"{path}\" is not an absolute path: write it as /proc/PID/cgroup does, as in cgroup:/system.slice/odoo.service"
            )),
            _ => Err(format!("\"{text}\" is no scope: use odoo, pid:NUMBER or cgroup:/PATH")),
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Odoo => f.write_str("odoo"),
            Self::Process(pid) => write!(f, "pid:{pid}"),
            Self::Cgroup(path) => write!(f, "cgroup:{}", path.display()),
        }
    }
}

/// What is recorded of the addresses of clients: the other ends of inbound flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAddresses {
    /// Their network: the first 24 bits of IPv4, 48 of IPv6.
    #[default]
    Cut,
    /// All of it.
    Full,
    /// Nothing.
    Off,
}

/// Everything that `auditor run` needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where things are.
    pub places: Places,
    /// What is audited.
    pub scope: Scope,
    /// Another kernel object than the one that is built in.
    pub ebpf_object: Option<PathBuf>,
    /// Size of the ring between kernel and daemon, bytes: a power of two and at least one page.
    pub ring_bytes: u32,
    /// The configuration file.
    pub file: file::File,
    /// The catalogues that it names, and the SHA-256 of each.
    pub catalogues: Vec<(PathBuf, [u8; 32])>,
}

/// The ring's size, unless somebody says otherwise: about 70,000 events.
pub const RING_BYTES: u32 = 8 << 20;

/// Reads a ring size, as typed.
pub fn ring_bytes(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(bytes) if bytes.is_power_of_two() && (4096..=1 << 30).contains(&bytes) => Ok(bytes),
        _ => Err(format!("\"{text}\" is no ring size: give a power of two from 4096 to {}", 1u32 << 30)),
    }
}

impl Config {
    /// The configuration in one form, for its digest in seals: what takes effect, a line each.
    #[must_use]
    pub fn canonical(&self) -> String {
        let object = self.ebpf_object.as_ref().map_or("built-in".into(), |path| path.display().to_string());
        // Written by a serializer with one order: the same configuration has the same digest.
        let file = serde_json::to_string(&self.file).unwrap_or_default();
        let catalogues: String = self.catalogues.iter().fold(String::new(), |text, (path, digest)| {
            text + &format!("catalogue {} {}\n", path.display(), hex(digest))
        });
        format!(
            "state {}\nrun {}\nscope {}\nobject {object}\nring {}\nfile {file}\n{catalogues}",
            self.places.state.display(),
            self.places.run.display(),
            self.scope,
            self.ring_bytes,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Scope, ring_bytes};

    fn check(typed: &str, means: Option<Scope>) {
        assert_eq!(typed.parse::<Scope>().ok(), means, "{typed}");
    }

    #[test]
    fn a_scope_is_odoo_a_process_or_a_cgroup() {
        check("odoo", Some(Scope::Odoo));
        check("pid:17", Some(Scope::Process(17)));
        check("cgroup:/a/b", Some(Scope::Cgroup("/a/b".into())));
        check("cgroup:/a/b/", Some(Scope::Cgroup("/a/b".into())));
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        for typed in ["", "pid", "pid:", "pid:0", "pid:-1", "pid:x", "cgroup:", "cgroup:a/b", "uid:1", "Odoo"] {
            check(typed, None);
        }
    }

    #[test]
    fn a_scope_is_written_as_it_was_typed() {
        for typed in ["odoo", "pid:17", "cgroup:/a/b"] {
            assert_eq!(typed.parse::<Scope>().map(|scope| scope.to_string()).as_deref(), Ok(typed));
        }
    }

    #[test]
    fn a_ring_is_a_power_of_two_and_at_least_a_page() {
        assert_eq!(ring_bytes("8192"), Ok(8192));
        for typed in ["", "0", "2048", "8193", "-4096", "9999999999"] {
            assert!(ring_bytes(typed).is_err(), "{typed}");
        }
    }
}
