//! The real daemon, as a service: an unprivileged user with the capabilities of the unit that ships, and nothing more.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;
use xtask::programs::{self, Profile};
use xtask::service::Unit;

use crate::{cgroup2_root, checkout, wait_for};

/// What a daemon watches, so that tests which run side by side do not see each other.
#[derive(Clone, Debug)]
pub enum Scope {
    /// One process and its children.
    Process(u32),
    /// What runs in a control group.
    Group(PathBuf),
    /// Whatever looks like an Odoo, as on a customer's machine.
    Odoo,
}

impl Scope {
    fn argument(&self) -> String {
        match self {
            Self::Process(pid) => format!("pid:{pid}"),
            // As /proc/PID/cgroup writes it: from the root of the hierarchy.
            Self::Group(path) => format!("cgroup:/{}", path.strip_prefix(cgroup2_root()).unwrap_or(path).display()),
            Self::Odoo => "odoo".to_owned(),
        }
    }
}

/// A daemon with a state of its own. It is killed, and its state removed, when this value is dropped.
#[derive(Debug)]
pub struct Daemon {
    folder: TempDir,
    state: PathBuf,
    program: PathBuf,
    scope: Scope,
    child: Option<Child>,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
}

impl Daemon {
    /// Starts it, and waits until it answers.
    pub fn start(scope: Scope) -> Self {
        Self::start_with(scope, &[])
    }

    /// With more arguments for `auditor run`.
    pub fn start_with(scope: Scope, arguments: &[&str]) -> Self {
        let mut daemon = Self::prepare(scope);
        daemon.arguments = arguments.iter().map(|&word| word.to_owned()).collect();
        daemon.start_again();
        daemon
    }

    /// Its folders and its program, without starting it.
    pub fn prepare(scope: Scope) -> Self {
        Self::prepare_with(scope, auditor())
    }

    /// The same with another build of it.
    pub fn prepare_with(scope: Scope, build: &Path) -> Self {
        let unit = unit();
        let folder = tempfile::Builder::new().prefix("network-audit-").tempdir().expect("a temporary folder");
        set_mode(folder.path(), 0o755);
        for (name, mode) in [("state", 0o700), ("run", 0o755)] {
            let path = folder.path().join(name);
            fs::create_dir(&path).expect("a folder");
            set_mode(&path, mode);
            unit.give(&path).expect("the daemon's account");
        }
        // The checkout may be somewhere that the account cannot enter.
        let program = folder.path().join("auditor");
        // Copied by another program: a child that another test starts in the meantime would inherit our open file, and a
        // file that is open for writing cannot be executed.
        let copied = Command::new("cp").arg(build).arg(&program).status().expect("cp");
        assert!(copied.success(), "a copy of the daemon");
        let state = folder.path().join("state");
        Self { folder, state, program, scope, child: None, arguments: Vec::new(), environment: Vec::new() }
    }

    /// Starts it (again) on the same state, and waits until it answers.
    pub fn start_again(&mut self) {
        self.spawn();
        self.wait_until_it_answers();
    }

    /// Starts it as root, by something that takes the rest of its command line for the program to run: what a
    /// container's runtime is.
    pub fn start_in(&mut self, mut runtime: Command) {
        for folder in [self.state(), self.run_folder()] {
            std::os::unix::fs::chown(folder, Some(0), Some(0)).expect("root");
        }
        runtime.arg(&self.program);
        self.spawn_by(runtime);
        self.wait_until_it_answers();
    }

    fn wait_until_it_answers(&mut self) {
        let mut child = self.child.take().expect("a child");
        wait_for("the daemon to answer", || {
            if let Some(status) = child.try_wait().expect("a child") {
                panic!("the daemon ended ({status}):\n{}", self.log());
            }
            self.auditor(&["status"]).status.success().then_some(())
        });
        self.child = Some(child);
    }

    /// Starts it without waiting.
    pub fn spawn(&mut self) {
        if self.environment.is_empty() {
            return self.spawn_by(unit().command(&self.program).expect("root"));
        }
        // Only the daemon itself finds it, and not what makes it unprivileged.
        let mut command = unit().command(Path::new("/usr/bin/env")).expect("root");
        command.args(self.environment.iter().map(|(name, value)| format!("{name}={value}"))).arg(&self.program);
        self.spawn_by(command);
    }

    fn spawn_by(&mut self, mut command: Command) {
        assert!(self.child.is_none(), "the daemon runs already");
        command.arg("run").args(["--scope", &self.scope.argument()]).args(&self.arguments);
        command.arg("--state-dir").arg(self.state()).arg("--run-dir").arg(self.run_folder());
        let log = fs::OpenOptions::new().append(true).create(true).open(self.log_path()).expect("a log");
        let errors = log.try_clone().expect("a log");
        command.stdin(Stdio::null()).stdout(log).stderr(errors).env("RUST_BACKTRACE", "1");
        self.child = Some(command.spawn().expect("setpriv"));
    }

    /// Asks it to end, as systemd would, and waits.
    pub fn stop(&mut self) -> ExitStatus {
        self.end(libc::SIGTERM)
    }

    /// Ends it without a warning.
    pub fn kill(&mut self) -> ExitStatus {
        self.end(libc::SIGKILL)
    }

    fn end(&mut self, signal: i32) -> ExitStatus {
        let mut child = self.child.take().expect("a running daemon");
        xtask::process::signal(child.id(), signal);
        child.wait().expect("a child")
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().expect("a child"))
    }

    /// Keeps its ledger in this folder from now on.
    pub fn put_state_in(&mut self, folder: &Path) {
        let state = folder.join("state");
        fs::create_dir(&state).expect("a folder");
        set_mode(&state, 0o700);
        unit().give(&state).expect("the daemon's account");
        self.state = state;
    }

    /// Has everything in its state folder belong to it, whoever wrote that.
    pub fn take_state(&self) {
        let mut folders = vec![self.state()];
        while let Some(folder) = folders.pop() {
            unit().give(&folder).expect("the daemon's account");
            for entry in fs::read_dir(&folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                unit().give(&path).expect("the daemon's account");
                folders.extend(path.is_dir().then_some(path));
            }
        }
    }

    /// Has this configuration from its next start on.
    pub fn configure(&mut self, text: &str) {
        let path = self.folder.path().join("auditor.toml");
        fs::write(&path, text).expect("a configuration");
        self.arguments = vec!["--config".to_owned(), path.display().to_string()];
    }

    /// Finds this in its environment from its next start on.
    pub fn set_environment(&mut self, environment: &[(&'static str, String)]) {
        self.environment = environment.to_vec();
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running daemon").id()
    }

    /// The folder of its store and keys.
    pub fn state(&self) -> PathBuf {
        self.state.clone()
    }

    /// The folder of its sockets.
    pub fn run_folder(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// All that it printed.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("daemon.log")
    }

    /// Runs a command of `auditor` on this daemon's folders, as root.
    pub fn auditor(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().expect("auditor")
    }

    /// `auditor`, pointed at this daemon.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("NETWORK_AUDIT_STATE_DIR", self.state()).env("NETWORK_AUDIT_RUN_DIR", self.run_folder());
        command.stdin(Stdio::null());
        command
    }

    /// What `auditor events` prints, an object a line.
    pub fn events(&self) -> Vec<Value> {
        let output = self.auditor(&["events", "-o", "json"]);
        assert!(output.status.success(), "auditor events: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        text.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
    }

    /// Waits until an event is there that is what one looks for.
    pub fn wait_for_event(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, || self.events().into_iter().find(|event| wanted(event)))
    }

    /// What the local API answers, by an ordinary HTTP client.
    pub fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.get_text(path)).expect("JSON")
    }

    /// Whether the records of the runs before are in its books.
    pub fn is_ready(&self) -> bool {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--max-time", "20", "--unix-socket"]).stdout(Stdio::null());
        let socket = self.run_folder().join("auditor.sock");
        curl.arg(socket).arg("http://auditor/readyz").status().is_ok_and(|status| status.success())
    }

    /// The same, to the byte.
    pub fn get_text(&self, path: &str) -> String {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--max-time", "20", "--unix-socket"]);
        let output = curl.arg(self.run_folder().join("auditor.sock")).arg(format!("http://auditor{path}")).output();
        let output = output.expect("curl");
        assert!(output.status.success(), "GET {path}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
    }
}

fn unit() -> Unit {
    Unit::of(&checkout()).expect("the unit that ships")
}

/// As the program that starts them was built: tests as tests are, tables as it ships.
const PROFILE: Profile = if cfg!(debug_assertions) { Profile::Dev } else { Profile::Release };

/// The daemon, built once for each run of a test program unless `xtask test` has built it.
pub fn auditor() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match std::env::var_os(programs::BUILT) {
        Some(_) => programs::path(PROFILE).expect("a target folder"),
        None => programs::auditor(PROFILE).expect("the daemon can be built"),
    })
}

/// The offline verifier, built once likewise.
pub fn verifier() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match std::env::var_os(programs::BUILT) {
        Some(_) => programs::path(PROFILE).expect("a target folder").with_file_name("auditor-verify"),
        None => programs::verifier(PROFILE).expect("the verifier can be built"),
    })
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own folder");
}
