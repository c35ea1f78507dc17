//! The private PostgreSQL cluster: a Unix socket and nothing else, run by Odoo's account. Databases of the machine are
//! not touched, not even looked at.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};

use super::Installation;
use crate::paths;
use crate::process::{self, say};

/// No port is opened; the number only names the socket file.
pub const PORT: u16 = 5499;

/// The role that Odoo connects as. The cluster's owner is a superuser, which Odoo must not be.
pub const ROLE: &str = "odoo";

/// For tests: nothing here has to survive a power cut.
const SETTINGS: &str = "listen_addresses = ''\nfsync = off\nsynchronous_commit = off\nfull_page_writes = off\n\
                        max_connections = 200\nmax_wal_size = 256MB\n";

/// This process's part in using the cluster, until it ends.
static IN_USE: Mutex<Option<File>> = Mutex::new(None);

/// One cluster of PostgreSQL.
pub struct Cluster<'a> {
    installation: &'a Installation,
    programs: PathBuf,
}

impl<'a> Cluster<'a> {
    /// Finds the server's programs, which are not on the PATH.
    pub fn new(installation: &'a Installation) -> Result<Self> {
        let programs = programs().context("PostgreSQL's server is not installed; install postgresql")?;
        Ok(Self { installation, programs })
    }

    /// The folder of the Unix socket, which is Odoo's `db_host`.
    pub fn socket_folder(&self) -> PathBuf {
        self.installation.home.join("run")
    }

    /// Creates the cluster if there is none (or one of another major version), and starts it if it is not running. It
    /// is in use by this process from now on.
    pub fn start(&self) -> Result<()> {
        self.use_it()?;
        let _lock = self.installation.lock("postgres")?;
        if self.is_running() {
            return Ok(());
        }
        if !self.is_current()? {
            self.create()?;
        }
        say("odoo", "starting its PostgreSQL");
        let log = self.installation.home.join("logs/postgres.log");
        let mut start = self.control();
        start.args(["-w", "start", "-l"]).arg(&log);
        // The server inherits what pg_ctl has: a pipe of ours would never be closed.
        start.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
        process::run(start.stderr(std::process::Stdio::null()))
            .with_context(|| format!("PostgreSQL does not start; see {}", log.display()))
    }

    /// Stops it, if it runs.
    pub fn stop(&self) -> Result<()> {
        if self.is_running() {
            process::output(self.control().args(["-m", "fast", "-w", "stop"]))?;
        }
        Ok(())
    }

    /// Stops it, unless another process uses it: another checkout may be at its tests.
    pub fn stop_if_idle(&self) -> Result<()> {
        *IN_USE.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if self.is_running() && self.users()?.try_lock().is_ok() {
            say("odoo", "stopping its PostgreSQL");
            self.stop()?;
        }
        Ok(())
    }

    fn use_it(&self) -> Result<()> {
        let mut mine = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        if mine.is_none() {
            let users = self.users()?;
            users.lock_shared().context("the cluster's users cannot be counted")?;
            *mine = Some(users);
        }
        Ok(())
    }

    /// A file that every process which uses the cluster has locked, together with the others.
    fn users(&self) -> Result<File> {
        let path = self.installation.home.join("postgres.users");
        File::create(&path).with_context(|| format!("{} cannot be written", path.display()))
    }

    /// Whether the server is there.
    pub fn is_running(&self) -> bool {
        self.folder().is_dir() && process::output(self.control().arg("status")).is_ok()
    }

    /// Runs one statement in a database and gives its rows, unaligned.
    pub fn sql(&self, database: &str, statement: &str) -> Result<String> {
        let mut psql = self.installation.account.command(self.programs.join("psql"));
        psql.args(["-qAtX", "-v", "ON_ERROR_STOP=1", "-p", &PORT.to_string(), "-d", database]);
        psql.arg("-h").arg(self.socket_folder()).env("PGOPTIONS", "-cclient_min_messages=warning");
        process::output(psql.args(["-c", statement]))
    }

    fn folder(&self) -> PathBuf {
        self.installation.home.join("pg")
    }

    fn control(&self) -> Command {
        let mut command = self.installation.account.command(self.programs.join("pg_ctl"));
        command.arg("-s").arg("-D").arg(self.folder());
        command
    }

    /// A cluster of an older major version is made anew: it holds nothing but templates and clones.
    fn is_current(&self) -> Result<bool> {
        let installed = process::output(Command::new(self.programs.join("postgres")).arg("--version"))?;
        let Ok(version) = fs::read_to_string(self.folder().join("PG_VERSION")) else { return Ok(false) };
        Ok(installed.split_whitespace().any(|word| word.split('.').next() == Some(version.trim())))
    }

    fn create(&self) -> Result<()> {
        say("odoo", "creating its PostgreSQL cluster");
        let folder = self.folder();
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        self.installation.account.give(&folder)?;
        let mut initdb = self.installation.account.command(self.programs.join("initdb"));
        initdb.arg("-D").arg(&folder).args(["-A", "peer", "-E", "UTF8", "--locale=C.UTF-8"]);
        let created = process::logged(&mut initdb, &self.installation.home.join("logs/initdb.log"))
            .and_then(|()| self.write_settings(&folder))
            .and_then(|()| self.make_role());
        if created.is_err() {
            let _ = fs::remove_dir_all(&folder);
        }
        created
    }

    /// Peer authentication: the owner's own processes may be the superuser or Odoo's role, and no other user gets in.
    fn write_settings(&self, folder: &Path) -> Result<()> {
        let name = &self.installation.account.name;
        let place =
            format!("{SETTINGS}port = {PORT}\nunix_socket_directories = '{}'\n", self.socket_folder().display());
        append(&folder.join("postgresql.conf"), &place)?;
        fs::write(folder.join("pg_hba.conf"), "local all all peer map=own\n")?;
        append(&folder.join("pg_ident.conf"), &format!("own {name} {name}\nown {name} {ROLE}\n"))
    }

    /// In single-user mode, so that a server that answers always has the role.
    fn make_role(&self) -> Result<()> {
        let mut single = self.installation.account.command(self.programs.join("postgres"));
        single.arg("--single").arg("-D").arg(self.folder()).arg("postgres");
        let statement = self.installation.home.join("run/role.sql");
        fs::write(&statement, format!("create role {ROLE} login createdb\n"))?;
        let status = single
            .stdin(File::open(&statement)?)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()?;
        if !status.success() {
            bail!("the role {ROLE} cannot be created ({status})");
        }
        Ok(())
    }
}

fn append(file: &Path, text: &str) -> Result<()> {
    let before = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    fs::write(file, before + text).with_context(|| format!("{} cannot be written", file.display()))
}

/// The folder of the newest installed server's programs.
pub fn programs() -> Option<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, folder)| folder.join("initdb").is_file())
        .collect();
    versions.sort();
    let newest = versions.pop().map(|(_, folder)| folder);
    newest.or_else(|| Some(paths::program(&["initdb"])?.parent()?.to_path_buf()))
}
