//! A real Odoo, as on a customer's machine: an unprivileged user, namespaces and a control group of its own.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use xtask::odoo::postgres::Cluster;
use xtask::odoo::serve::Server;
use xtask::odoo::staging::Addons;
use xtask::odoo::{Installation, database};
use xtask::process;

use crate::{Group, Rpc, Servers, checkout, wait_for};

/// How the auditor's addon comes into a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Loaded server-wide, and installed in the database.
    Loaded,
    /// Loaded server-wide, and not installed.
    LoadedOnly,
    /// On the addons path, and neither loaded nor installed.
    OnPath,
    /// Not there at all.
    Nowhere,
}

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Start<'a> {
    /// The control group that it runs in.
    pub group: &'a Group,
    /// Where its addon looks for a daemon.
    pub run_folder: &'a Path,
    /// Where the demonstration vendors go out to.
    pub servers: &'a Servers,
    /// Prefork workers; 0 is one process with a thread for each request.
    pub workers: u32,
    /// Cron workers. The demonstration vendor's cron is due as soon as there is one.
    pub crons: u32,
    /// How the auditor's addon comes in.
    pub door: Door,
    /// What the process finds in its environment besides.
    pub environment: Vec<(&'static str, String)>,
    /// What its command line says besides.
    pub arguments: Vec<String>,
    /// What its configuration file says besides: lines of `key = value`.
    pub settings: Vec<String>,
    /// More addons, by their folders; they are installed as well.
    pub addons: Vec<PathBuf>,
    /// Python packages that they import, and Odoo has not.
    pub libraries: Option<PathBuf>,
}

impl<'a> Start<'a> {
    /// Prefork with two workers, and the addon loaded and installed.
    pub fn new(group: &'a Group, run_folder: &'a Path, servers: &'a Servers) -> Self {
        let door = Door::Loaded;
        Self {
            group,
            run_folder,
            servers,
            workers: 2,
            crons: 0,
            door,
            environment: Vec::new(),
            arguments: Vec::new(),
            settings: Vec::new(),
            addons: Vec::new(),
            libraries: None,
        }
    }
}

/// A running server on a database of its own. Both are gone when this value is dropped.
#[derive(Debug)]
pub struct Odoo {
    installation: Installation,
    server: Server,
    child: Child,
    others: Vec<String>,
}

impl Odoo {
    /// Starts a server with the demonstration vendors installed, and waits until it answers.
    pub fn start(start: Start<'_>) -> Self {
        let installation = Installation::find().expect("an Odoo that is set up");
        Cluster::new(&installation).and_then(|cluster| cluster.start()).expect("PostgreSQL");
        let name = unique_name();
        let staged =
            |with_ours| staged(&installation, with_ours, &start.addons).with_libraries(start.libraries.clone());
        make_database(&installation, &staged(start.door == Door::Loaded), &name);
        let addons = staged(start.door != Door::Nowhere);
        let mut server = Server::new(&name, &name).with_addons(&addons).on_free_ports().expect("two free ports");
        if start.door == Door::OnPath {
            "base,rpc,web".clone_into(&mut server.load);
        }
        server.environment.extend(start.environment.into_iter().map(|(name, value)| (name.to_owned(), value)));
        server.arguments.extend(start.arguments);
        server.settings.extend(start.settings);
        server.environment.push(("NETWORK_AUDIT_RUN_DIR".to_owned(), start.run_folder.display().to_string()));
        server.environment.push(("VENDOR_DEMO_SERVERS".to_owned(), start.servers.ports().to_owned()));
        (server.workers, server.crons) = (start.workers, start.crons);
        let child = spawn(&server, &installation, start.group);
        let mut odoo = Self { installation, server, child, others: Vec::new() };
        odoo.wait_until_ready();
        odoo
    }

    /// Another database for the same server; it is gone with it.
    pub fn add_database(&mut self) -> String {
        let name = unique_name();
        make_database(&self.installation, &staged(&self.installation, true, &[]), &name);
        self.others.push(name.clone());
        name
    }

    /// Ends it without a warning, with all its processes, and starts it again on the same database.
    pub fn kill_and_start_again(&mut self, group: &Group) {
        self.kill();
        self.child = spawn(&self.server, &self.installation, group);
        self.wait_until_ready();
    }

    /// Ends it without a warning: its process namespace dies with its first process, which is the master. (Whoever
    /// started that one cannot take it along: a change of user takes the wish away.)
    pub fn kill(&mut self) {
        if let Some(master) = self.first_process() {
            process::signal(master, libc::SIGKILL);
        }
        let _ = self.child.wait();
    }

    /// Asks the master to end, and waits.
    pub fn stop(&mut self) {
        process::signal(self.master(), libc::SIGTERM);
        let _ = self.child.wait();
    }

    /// Ends it, lets `make` make another database out of its own, and serves that one; the first one is removed.
    pub fn turn_to(&mut self, group: &Group, database: &str, make: impl FnOnce(&Self)) {
        self.stop();
        let sessions = format!("select count(*) from pg_stat_activity where datname = '{}'", self.database());
        wait_for("its sessions to end", || (self.sql("postgres", &sessions) == "0").then_some(()));
        make(self);
        let before = std::mem::replace(&mut self.server.database, database.to_owned());
        if before != database {
            database::remove(&self.installation, &before).expect("a database that nobody uses");
        }
        self.child = spawn(&self.server, &self.installation, group);
        self.wait_until_ready();
    }

    /// Runs one of Odoo's own commands. Its configuration stands where `words` have a `{}`.
    pub fn command(&self, words: &[&str]) {
        let configuration = self.server.folder(&self.installation).join("odoo.conf").display().to_string();
        let mut odoo = self.installation.command();
        odoo.arg(self.installation.script());
        odoo.args(words.iter().map(|&word| if word == "{}" { configuration.as_str() } else { word }));
        process::output(&mut odoo).expect("Odoo's command");
    }

    /// Runs one of Odoo's own subcommands beside the server, in the same control group, with this on its standard input;
    /// gives what it printed.
    pub fn run_beside(&self, group: &Group, subcommand: &str, words: &[&str], input: &str) -> String {
        let mut odoo = self.server.odoo(&self.installation, subcommand).expect("Odoo's command line");
        odoo.args(words);
        let mut command = contained(&self.server, &self.installation, group, &odoo);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("unshare");
        child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
        let output = child.wait_with_output().expect("a child");
        assert!(output.status.success(), "odoo {subcommand}: {}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A database that something else than this value made is removed with it.
    pub fn remove_later(&mut self, database: &str) {
        self.others.push(database.to_owned());
    }

    /// Ends it and starts it again, with more on its command line.
    pub fn start_again_with(&mut self, group: &Group, arguments: &[&str]) {
        self.server.arguments.extend(arguments.iter().map(|&word| word.to_owned()));
        self.stop();
        self.child = spawn(&self.server, &self.installation, group);
        self.wait_until_ready();
    }

    /// Asks the database server something that is no business of Odoo's.
    pub fn sql(&self, database: &str, statement: &str) -> String {
        let cluster = Cluster::new(&self.installation).expect("PostgreSQL");
        cluster.sql(database, statement).expect("an answer")
    }

    /// Tells the cron workers that something is due; by themselves they look once a minute.
    pub fn wake_crons(&self) {
        let notify = format!("select pg_notify('cron_trigger', '{}')", self.database());
        let cluster = Cluster::new(&self.installation).expect("PostgreSQL");
        cluster.sql("postgres", &notify).expect("a notification");
    }

    /// The master's process id, as the host counts.
    pub fn master(&self) -> u32 {
        self.first_process().expect("a running Odoo")
    }

    fn first_process(&self) -> Option<u32> {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    /// Where it answers.
    pub fn address(&self) -> String {
        self.server.address()
    }

    /// The processes that the master has started and that are there now.
    pub fn workers(&self) -> Vec<u32> {
        let master = self.master();
        let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap_or_default();
        children.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    }

    /// Its port on loopback.
    pub fn port(&self) -> u16 {
        self.server.http_port
    }

    /// The port of its evented child on loopback.
    pub fn gevent_port(&self) -> u16 {
        self.server.gevent_port
    }

    /// Whether it has workers.
    pub fn is_prefork(&self) -> bool {
        self.server.workers > 0
    }

    /// The database.
    pub fn database(&self) -> &str {
        &self.server.database
    }

    /// A client of its gevent child, which serves every route as well.
    pub fn gevent(&self) -> Rpc {
        Rpc::new(&format!("http://127.0.0.1:{}", self.server.gevent_port), self.database())
    }

    /// A client of it.
    pub fn rpc(&self) -> Rpc {
        Rpc::new(&self.address(), self.database())
    }

    /// A client of another of its databases.
    pub fn rpc_of(&self, database: &str) -> Rpc {
        Rpc::new(&self.address(), database)
    }

    /// Ends it and starts it again, with one more database.
    pub fn serve_also(&mut self, database: &str, group: &Group) {
        self.server.arguments.push(format!("--database={},{database}", self.server.database));
        self.kill_and_start_again(group);
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.server.folder(&self.installation).join("odoo.log")).unwrap_or_default()
    }

    fn wait_until_ready(&mut self) {
        let rpc = self.rpc();
        wait_for("Odoo to answer", || {
            if let Some(status) = self.child.try_wait().expect("a child") {
                panic!("Odoo ended ({status}):\n{}", self.log());
            }
            rpc.try_get("/web/health").is_ok_and(|(status, _)| status == 200).then_some(())
        });
    }
}

impl Drop for Odoo {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("Odoo's log:\n{}", self.log());
        }
        for name in self.others.iter().chain([&self.server.database]) {
            let _ = database::remove(&self.installation, name);
        }
        let _ = fs::remove_dir_all(self.server.folder(&self.installation));
    }
}

/// The addons of a server, with the auditor's own or without.
fn staged(installation: &Installation, with_ours: bool, more: &[PathBuf]) -> Addons {
    if with_ours && more.is_empty() {
        // As `cargo xtask up` has them: the same template database.
        return Addons::stage(installation, &checkout()).expect("the addons");
    }
    let ours = with_ours.then(|| checkout().join("odoo_addon/mit_network_audit"));
    let vendors = ["vendor_demo", "vendor_other"].map(|name| checkout().join("tests/odoo_addons").join(name));
    let sources: Vec<PathBuf> = ours.into_iter().chain(vendors).chain(more.iter().cloned()).collect();
    Addons::stage_from(installation, &sources).expect("the addons")
}

/// A database that has these addons.
fn make_database(installation: &Installation, addons: &Addons, name: &str) {
    let template = database::template_with(installation, addons).expect("a template database");
    database::clone(installation, &template, name).expect("a database");
}

/// Names are asked for on loopback, where nobody answers: no test asks anybody outside.
const QUIET_RESOLVER: &str = "printf 'nameserver 127.0.0.1\noptions timeout:1 attempts:1\n' > \"$0\" && \
                              mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";

/// Root makes the namespaces, and then becomes Odoo's account; the environment is Odoo's own.
fn spawn(server: &Server, installation: &Installation, group: &Group) -> Child {
    let odoo = server.serve(installation).expect("Odoo's command line");
    let mut command = contained(server, installation, group, &odoo);
    let log = server.log(installation).expect("a log");
    let errors = log.try_clone().expect("a log");
    command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().expect("unshare")
}

/// A command of Odoo's in namespaces of its own.
fn contained(server: &Server, installation: &Installation, group: &Group, odoo: &Command) -> Command {
    let account = &installation.account;
    let mut command = group.command("unshare");
    command.args(["--pid", "--mount", "--fork", "--mount-proc", "--kill-child", "--"]);
    command.args(["sh", "-c", QUIET_RESOLVER]).arg(server.folder(installation).join("resolv.conf")).arg("setpriv");
    command.arg(format!("--reuid={}", account.uid)).arg(format!("--regid={}", account.gid)).arg("--clear-groups");
    command.arg("--").arg(odoo.get_program()).args(odoo.get_args());
    take_environment(&mut command, odoo);
    command.current_dir("/");
    command
}

fn take_environment(command: &mut Command, from: &Command) {
    command.env_clear();
    command.envs(from.get_envs().filter_map(|(name, value)| Some((name, value?))));
}

fn unique_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("t{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}
