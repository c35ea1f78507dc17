//! How the daemon is confined: read from the systemd unit that ships, so that what runs here is what will run there.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::process;

/// The uid that stands for the unit's own account. It has no name on this machine, and needs none.
pub const UID: u32 = 61190;

/// What the unit grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Names as setpriv(1) has them: `bpf`, `perfmon`, …
    pub capabilities: Vec<String>,
    /// The account; none, or root, means root.
    pub user: Option<String>,
}

impl Unit {
    /// Reads `deploy/network-audit.service`.
    pub fn of(checkout: &Path) -> Result<Self> {
        let path = checkout.join("deploy/network-audit.service");
        let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is not understood", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let bounding = words(text, "CapabilityBoundingSet=");
        let ambient = words(text, "AmbientCapabilities=");
        if bounding != ambient {
            bail!("the bounding set ({bounding:?}) and the ambient set ({ambient:?}) are not the same");
        }
        let name = |word: &str| word.strip_prefix("CAP_").map(str::to_lowercase);
        let capabilities = bounding.iter().map(|word| name(word).with_context(|| format!("{word} is no capability")));
        let user = words(text, "User=").pop().filter(|name| name != "root");
        Ok(Self { capabilities: capabilities.collect::<Result<_>>()?, user })
    }

    /// A command that runs `program` with the unit's account and capabilities and nothing more. Only root can do that.
    pub fn command(&self, program: &Path) -> Result<Command> {
        self.command_as(program, UID)
    }

    /// The same with another account than the unit's.
    pub fn command_as(&self, program: &Path, uid: u32) -> Result<Command> {
        if !process::is_root() {
            bail!("the daemon needs capabilities that only root can hand out; run this as root");
        }
        let set = self.capabilities.iter().fold("-all".to_owned(), |set, name| format!("{set},+{name}"));
        let mut command = Command::new("setpriv");
        if self.user.is_some() {
            command.arg(format!("--reuid={uid}")).arg(format!("--regid={uid}")).arg("--clear-groups");
        }
        for option in ["bounding-set", "inh-caps", "ambient-caps"] {
            command.arg(format!("--{option}={set}"));
        }
        command.arg("--no-new-privs").arg("--").arg(program).env_clear();
        command.envs([("PATH", "/usr/bin:/bin"), ("LANG", "C.UTF-8")]).current_dir("/");
        Ok(command)
    }

    /// Gives a folder to the account.
    pub fn give(&self, folder: &Path) -> Result<()> {
        self.give_to(folder, UID)
    }

    /// Gives it to another account than the unit's, as [`Unit::command_as`] has it.
    pub fn give_to(&self, folder: &Path, uid: u32) -> Result<()> {
        let owner = self.user.as_ref().map_or(0, |_| uid);
        std::os::unix::fs::chown(folder, Some(owner), Some(owner))
            .with_context(|| format!("{} cannot be given to the daemon's account", folder.display()))
    }
}

fn words(text: &str, key: &str) -> Vec<String> {
    let values = text.lines().filter_map(|line| line.strip_prefix(key));
    values.flat_map(str::split_whitespace).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_on_several_lines_add_up() {
        let text = "User=network-audit\nCapabilityBoundingSet=CAP_BPF\n# why\nCapabilityBoundingSet=CAP_PERFMON\n\
                    AmbientCapabilities=CAP_BPF CAP_PERFMON\n";
        let unit = Unit::parse(text).expect("a unit");
        assert_eq!(unit.capabilities, ["bpf", "perfmon"]);
        assert_eq!(unit.user.as_deref(), Some("network-audit"));
    }

    #[test]
    fn sets_that_differ_are_refused() {
        assert!(Unit::parse("CapabilityBoundingSet=CAP_BPF\nAmbientCapabilities=\n").is_err());
    }

    #[test]
    fn the_unit_that_ships_is_understood() {
        let checkout = crate::paths::checkout().expect("a checkout");
        let unit = Unit::of(&checkout).expect("a unit");
        assert!(unit.capabilities.contains(&"bpf".to_owned()), "{unit:?}");
        assert!(!unit.capabilities.contains(&"sys_admin".to_owned()), "{unit:?}");
    }
}
