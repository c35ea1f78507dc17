//! The unprivileged account that Odoo and its PostgreSQL run as.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::{self, say};

/// The system account that is made where xtask runs as root.
const NAME: &str = "network-audit-odoo";

/// Who Odoo runs as: never root, and nobody whom other programs of the machine run as.
#[derive(Clone, Debug)]
pub struct Account {
    /// As `/etc/passwd` has it; PostgreSQL insists on a name.
    pub name: String,
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// Whether this program already is that user, or has to become it.
    own: bool,
}

impl Account {
    /// The account, made now if it is not there: a system account of its own for root, else the user who is asking.
    pub fn obtain() -> Result<Self> {
        if !process::is_root() {
            return Self::known(&process::output(Command::new("id").arg("-un"))?, true);
        }
        if let Ok(account) = Self::known(NAME, false) {
            return Ok(account);
        }
        say("odoo", &format!("creating the system account {NAME}"));
        let mut useradd = Command::new("useradd");
        useradd.args(["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]);
        process::output(useradd.args(["--shell", "/usr/sbin/nologin", NAME]))
            .with_context(|| format!("make a system account named {NAME} by hand, and run this again"))?;
        Self::known(NAME, false)
    }

    /// The account if it is there already.
    pub fn find() -> Result<Self> {
        if process::is_root() { Self::known(NAME, false) } else { Self::obtain() }
    }

    fn known(name: &str, own: bool) -> Result<Self> {
        let number = |flag| -> Result<u32> {
            let text = process::output(Command::new("id").arg(flag).arg(name))?;
            text.parse().with_context(|| format!("id {flag} {name} printed {text:?}"))
        };
        Ok(Self { name: name.to_owned(), uid: number("-u")?, gid: number("-g")?, own })
    }

    /// A command that runs as this account, with an environment of its own: nothing that the caller's shell has set
    /// (proxies, PYTHONPATH, LD_*) may change what a test sees.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env_clear().envs([("PATH", "/usr/bin:/bin"), ("LANG", "C.UTF-8"), ("LC_ALL", "C.UTF-8")]);
        command.current_dir("/");
        if !self.own {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Gives a file or folder to this account.
    pub fn give(&self, path: &Path) -> Result<()> {
        if self.own {
            return Ok(());
        }
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("{} cannot be given to {}", path.display(), self.name))
    }
}
