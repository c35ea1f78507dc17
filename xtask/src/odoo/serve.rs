//! One Odoo server: what it is told, written to a folder of its own at each start.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Installation;
use super::postgres::{Cluster, PORT, ROLE};
use super::staging::Addons;
use crate::background::Background;
use crate::process::say;

/// What distinguishes one server from another.
#[derive(Clone, Debug)]
pub struct Server {
    /// Names its folder, so two servers that run at once need two names.
    pub name: String,
    /// The one database it serves.
    pub database: String,
    /// Where it listens on loopback.
    pub http_port: u16,
    /// Where its gevent child listens (prefork only).
    pub gevent_port: u16,
    /// Prefork workers; 0 is the threaded mode.
    pub workers: u32,
    /// Cron workers, or threads.
    pub crons: u32,
    /// What the process finds in its environment besides.
    pub environment: Vec<(String, String)>,
    /// Modules that are loaded server-wide, comma-separated.
    pub load: String,
    /// What the command line says besides, last.
    pub arguments: Vec<String>,
    /// What the configuration file says besides: lines of `key = value`.
    pub settings: Vec<String>,
    addons: Option<PathBuf>,
    libraries: Option<PathBuf>,
}

impl Server {
    /// A prefork server of a database on Odoo's usual ports.
    pub fn new(name: &str, database: &str) -> Self {
        Self {
            name: name.to_owned(),
            database: database.to_owned(),
            http_port: 8069,
            gevent_port: 8072,
            workers: 2,
            crons: 1,
            environment: Vec::new(),
            load: "base,rpc,web".to_owned(),
            arguments: Vec::new(),
            settings: Vec::new(),
            addons: None,
            libraries: None,
        }
    }

    /// With staged addons on its path, and the auditor's addon loaded server-wide, before the workers are forked.
    #[must_use]
    pub fn with_addons(mut self, addons: &Addons) -> Self {
        self.addons = Some(addons.folder().to_path_buf());
        self.libraries = addons.libraries().map(PathBuf::from);
        if addons.names().split(',').any(|name| name == "mit_network_audit") {
            self.load.push_str(",mit_network_audit");
        }
        self
    }

    /// On two ports that nobody listens on now.
    pub fn on_free_ports(mut self) -> Result<Self> {
        let http = TcpListener::bind("127.0.0.1:0").context("no port is free on loopback")?;
        let gevent = TcpListener::bind("127.0.0.1:0").context("no port is free on loopback")?;
        self.http_port = http.local_addr()?.port();
        self.gevent_port = gevent.local_addr()?.port();
        Ok(self)
    }

    /// Where it answers.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    /// The folder of its configuration, log and process id.
    pub fn folder(&self, installation: &Installation) -> PathBuf {
        installation.servers().join(&self.name)
    }

    /// Odoo with this configuration. `subcommand` is empty for the server: its prefork master repeats its own arguments
    /// to the gevent child, which has a subcommand already.
    pub fn odoo(&self, installation: &Installation, subcommand: &str) -> Result<Command> {
        let configuration = self.configure(installation)?;
        let mut command = installation.command();
        command.arg(installation.script());
        if !subcommand.is_empty() {
            command.arg(subcommand);
        }
        command.arg("-c").arg(configuration).args(["-d", &self.database]);
        if let Some(libraries) = &self.libraries {
            command.env("PYTHONPATH", format!("{}:{}", installation.site().display(), libraries.display()));
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    /// The command that serves.
    pub fn serve(&self, installation: &Installation) -> Result<Command> {
        let mut command = self.odoo(installation, "")?;
        command.arg(format!("--load={}", self.load));
        command.arg(format!("--workers={}", self.workers)).arg(format!("--max-cron-threads={}", self.crons));
        command.args(&self.arguments);
        Ok(command)
    }

    /// Starts it in the background, with its log in its folder.
    pub fn start(&self, installation: &Installation) -> Result<Child> {
        let mut command = self.serve(installation)?;
        self.log(installation)?;
        let folder = self.folder(installation);
        Background::noted_in(&folder.join("pid")).start(&mut command, &folder.join("odoo.log"))
    }

    /// Its log file, emptied.
    pub fn log(&self, installation: &Installation) -> Result<File> {
        let path = self.folder(installation).join("odoo.log");
        File::create(&path).with_context(|| format!("{} cannot be written", path.display()))
    }

    /// Writes its configuration, and says where.
    pub fn configure(&self, installation: &Installation) -> Result<PathBuf> {
        let folder = self.folder(installation);
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let mut addons = installation.site().join("odoo/addons").display().to_string();
        if let Some(own) = &self.addons {
            addons = format!("{addons},{}", own.display());
        }
        let mut text = format!(
            "[options]\naddons_path = {addons}\ndata_dir = {data}\ndb_host = {socket}\ndb_port = {PORT}\n\
             db_user = {ROLE}\nhttp_interface = 127.0.0.1\nhttp_port = {http}\ngevent_port = {gevent}\n",
            data = installation.data().display(),
            socket = Cluster::new(installation)?.socket_folder().display(),
            http = self.http_port,
            gevent = self.gevent_port,
        );
        self.settings.iter().for_each(|line| text.extend([line, "\n"]));
        let path = folder.join("odoo.conf");
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(path)
    }
}

/// Stops every server that was started in the background and is still there.
pub fn stop_all(installation: &Installation) -> Result<()> {
    let folders = fs::read_dir(installation.servers()).context("the servers' folder cannot be read")?;
    for folder in folders.flatten().map(|entry| entry.path()) {
        let server = Background::noted_in(&folder.join("pid"));
        if server.pid().is_some() {
            say("odoo", &format!("stopping the server {}", folder.file_name().unwrap_or_default().display()));
            server.end(Duration::from_secs(20));
        }
    }
    Ok(())
}
