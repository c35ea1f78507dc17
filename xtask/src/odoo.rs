//! A real Odoo 19 of our own: from packages, with a PostgreSQL of its own, as an unprivileged user, below one folder.

pub mod database;
pub mod debian;
pub mod postgres;
pub mod public;
pub mod serve;
pub mod setup;
pub mod staging;
pub mod suite;
pub mod witness;

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::account::Account;
use crate::paths;

/// The build of Odoo that everything here was tried with; it is part of the folder's name.
pub const VERSION: &str = "19.0.0+dfsg-1";

/// One set-up Odoo: where its parts are, and whom they belong to.
#[derive(Clone, Debug)]
pub struct Installation {
    /// The folder that holds all of it.
    pub home: PathBuf,
    /// The unprivileged account that Odoo and PostgreSQL run as.
    pub account: Account,
}

impl Installation {
    /// The one that is set up here, or the sentence that says what to do.
    pub fn find() -> Result<Self> {
        let home = Self::place()?;
        if !home.join(setup::DONE).is_file() {
            bail!("Odoo is not set up here; run cargo xtask odoo setup");
        }
        Ok(Self { home, account: Account::find()? })
    }

    /// Where it is, or will be.
    pub fn place() -> Result<PathBuf> {
        Ok(paths::cache()?.join(format!("odoo-{VERSION}")))
    }

    /// The folder that has the package `odoo`.
    pub fn site(&self) -> PathBuf {
        self.home.join("root/usr/lib/python3/dist-packages")
    }

    /// The interpreter of Odoo's own virtual environment.
    pub fn python(&self) -> PathBuf {
        self.home.join("venv/bin/python")
    }

    /// Where that interpreter's programs are, as a part of a search path.
    pub fn python_folder(&self) -> String {
        self.home.join("venv/bin").display().to_string()
    }

    /// Odoo's start script. A script file it has to be: the prefork master starts its gevent child as
    /// `python argv[0] gevent …`, which `python -m odoo` breaks.
    pub fn script(&self) -> PathBuf {
        self.home.join("root/usr/bin/odoo")
    }

    /// Odoo's data folder (file store, sessions).
    pub fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// A folder for each server: its configuration, log and process id.
    pub fn servers(&self) -> PathBuf {
        self.home.join("servers")
    }

    /// Python with Odoo's environment, as Odoo's account; the caller adds the script.
    pub fn command(&self) -> Command {
        let mut command = self.account.command(self.python());
        // On SIGHUP the master executes itself as plain `python`, which has to be the venv's one.
        command.env("PATH", format!("{}:/usr/bin:/bin", self.python_folder()));
        command.env("PYTHONPATH", self.site()).env("HOME", self.data());
        // The trees are root's and read-only, so compiled files go to a place that Odoo may write.
        command.env("PYTHONPYCACHEPREFIX", self.home.join("pycache"));
        command
    }

    /// Held while something shared is made; a second one waits. Released when dropped, or when its holder dies.
    pub fn lock(&self, what: &str) -> Result<File> {
        lock(&self.home.join(format!("{what}.lock")))
    }
}

/// Takes the lock file, and waits for whoever has it.
pub(crate) fn lock(path: &std::path::Path) -> Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
    file.lock().with_context(|| format!("{} cannot be locked", path.display()))?;
    Ok(file)
}
