//! A daemon for an Odoo that runs an addon's tests: a real one, that audits this very Odoo, and that the tests may stop,
//! start and ask as its host would.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Installation;
use crate::cgroup::{self, Group};
use crate::process;
use crate::programs::{self, Profile};
use crate::service::{self, Unit};
use crate::{account::Account, paths};

const PATIENCE: Duration = Duration::from_secs(60);

/// The daemon, and the socket at which the tests say what is to become of it. All of it is gone when this is dropped.
#[derive(Debug)]
pub struct Witness {
    folder: PathBuf,
    group: Group,
    over: Arc<AtomicBool>,
    host: Option<JoinHandle<()>>,
}

impl Witness {
    /// Starts it; it audits what runs in [`Witness::command`].
    pub fn start() -> Result<Self> {
        let program = match std::env::var_os(programs::BUILT) {
            Some(_) => programs::path(Profile::Dev)?,
            None => programs::auditor(Profile::Dev)?,
        };
        let group = Group::new()?;
        let folder = std::env::temp_dir().join(format!("network-audit-suite-{}", std::process::id()));
        fs::create_dir_all(folder.join("bin")).with_context(|| format!("{} cannot be made", folder.display()))?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
        // The daemon's account may not be able to enter the checkout.
        let copy = folder.join("bin/auditor");
        fs::copy(program, &copy).context("the daemon cannot be copied")?;
        let mut daemon = Daemon::new(&folder, "own", copy.clone(), scope(&group)?, service::UID);
        daemon.start()?;
        let listener = UnixListener::bind(folder.join("host.sock")).context("the host's socket cannot be made")?;
        fs::set_permissions(folder.join("host.sock"), fs::Permissions::from_mode(0o666))?;
        let over = Arc::new(AtomicBool::new(false));
        let scope = scope(&group)?;
        let host = Host { daemon, others: HashMap::new(), folder: folder.clone(), copy, scope };
        let thread = thread::spawn({
            let over = Arc::clone(&over);
            move || host.serve(&listener, &over)
        });
        Ok(Self { folder, group, over, host: Some(thread) })
    }

    /// `odoo`, in the audited group and told where the daemon is.
    pub fn command(&self, odoo: &Command, installation: &Installation) -> Command {
        let mut command = self.group.command("setpriv");
        let Account { uid, gid, .. } = &installation.account;
        command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}")).args(["--clear-groups", "--"]);
        command.arg(odoo.get_program()).args(odoo.get_args()).current_dir("/").env_clear();
        command.envs(odoo.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("NETWORK_AUDIT_RUN_DIR", self.folder.join("own/run"));
        command.env("NETWORK_AUDIT_HOST", self.folder.join("host.sock"));
        command
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.group.kill();
        self.over.store(true, Ordering::Relaxed);
        // Whoever waits for somebody to ask looks up.
        let _ = UnixStream::connect(self.folder.join("host.sock"));
        if let Some(host) = self.host.take() {
            let _ = host.join();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn scope(group: &Group) -> Result<String> {
    Ok(format!("cgroup:/{}", group.path().strip_prefix(cgroup::root()?)?.display()))
}

/// Does what the tests say, a line each, and answers with a line: `ok …` or `failed …`.
struct Host {
    daemon: Daemon,
    /// Other daemons by what they are called here, with a ledger and keys of their own, and the group that they audit
    /// where it is not this Odoo's.
    others: HashMap<&'static str, (Daemon, Option<Group>)>,
    folder: PathBuf,
    copy: PathBuf,
    scope: String,
}

impl Host {
    fn serve(mut self, listener: &UnixListener, over: &AtomicBool) {
        for stream in listener.incoming().flatten() {
            if over.load(Ordering::Relaxed) {
                return;
            }
            let mut line = String::new();
            if BufReader::new(&stream).read_line(&mut line).is_ok() {
                let answer = match self.carry_out(line.trim()) {
                    Ok(said) => format!("ok {said}"),
                    Err(error) => format!("failed {error:#}"),
                };
                let _ = (&stream).write_all(answer.as_bytes());
            }
        }
    }

    fn carry_out(&mut self, order: &str) -> Result<String> {
        let (word, rest) = order.split_once(' ').unwrap_or((order, ""));
        match word {
            "stop" => self.daemon.end(libc::SIGTERM),
            "kill" => self.daemon.end(libc::SIGKILL),
            "start" => self.daemon.start()?,
            // A ledger that knows nothing yet.
            "fresh" => {
                self.daemon.end(libc::SIGTERM);
                self.daemon.forget()?;
                self.daemon.start()?;
            }
            // It hangs, and goes on.
            "freeze" => self.daemon.signal(libc::SIGSTOP)?,
            "thaw" => self.daemon.signal(libc::SIGCONT)?,
            // Another one, that does not audit this Odoo.
            "stranger" => return self.another("stranger", Some(Group::new()?), service::UID),
            // One of the same account as this Odoo, which it therefore takes for its operator.
            "insider" => return self.another("insider", Some(Group::new()?), Account::find()?.uid),
            // One that audits it as well.
            "other" => return self.another("other", None, service::UID),
            "alone" => self.others.clear(),
            // As its operator on the host.
            "auditor" => return self.daemon.auditor(&rest.split(' ').collect::<Vec<_>>()),
            _ => bail!("no such order: {order}"),
        }
        Ok(String::new())
    }

    /// Starts another daemon, if it does not run; returns its folder.
    fn another(&mut self, name: &'static str, elsewhere: Option<Group>, uid: u32) -> Result<String> {
        if !self.others.contains_key(name) {
            let scope = elsewhere.as_ref().map_or_else(|| Ok(self.scope.clone()), scope)?;
            let mut daemon = Daemon::new(&self.folder, name, self.copy.clone(), scope, uid);
            daemon.start()?;
            self.others.insert(name, (daemon, elsewhere));
        }
        Ok(self.folder.join(name).join("run").display().to_string())
    }
}

/// A daemon on folders of its own.
#[derive(Debug)]
struct Daemon {
    folder: PathBuf,
    program: PathBuf,
    scope: String,
    uid: u32,
    child: Option<Child>,
}

impl Daemon {
    fn new(folder: &Path, name: &str, program: PathBuf, scope: String, uid: u32) -> Self {
        Self { folder: folder.join(name), program, scope, uid, child: None }
    }

    fn command(&self, mut command: Command) -> Command {
        command.env("NETWORK_AUDIT_STATE_DIR", self.folder.join("state"));
        command.env("NETWORK_AUDIT_RUN_DIR", self.folder.join("run")).stdin(Stdio::null());
        command
    }

    fn start(&mut self) -> Result<()> {
        if self.child.is_some() {
            return Ok(());
        }
        let unit = Unit::of(&paths::checkout()?)?;
        for (name, mode) in [("state", 0o700), ("run", 0o755)] {
            let path = self.folder.join(name);
            fs::create_dir_all(&path).with_context(|| format!("{} cannot be made", path.display()))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
            unit.give_to(&path, self.uid)?;
        }
        let path = self.folder.join("daemon.log");
        let log = fs::OpenOptions::new().append(true).create(true).open(&path)?;
        let mut command = self.command(unit.command_as(&self.program, self.uid)?);
        command.args(["run", "--scope", &self.scope]).stdout(log.try_clone()?).stderr(log);
        let child = self.child.insert(command.spawn().context("the daemon does not start")?);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ended = child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                bail!("the daemon does not answer: {}", process::tail(&fs::read_to_string(&path)?, 12));
            }
            let mut status = Command::new(&self.program);
            status.env("NETWORK_AUDIT_RUN_DIR", self.folder.join("run")).arg("status");
            if status.output().is_ok_and(|output| output.status.success()) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn signal(&self, signal: i32) -> Result<()> {
        let child = self.child.as_ref().context("the daemon does not run")?;
        process::signal(child.id(), signal);
        Ok(())
    }

    fn end(&mut self, signal: i32) {
        if let Some(mut child) = self.child.take() {
            process::signal(child.id(), signal);
            // One that was frozen ends when it goes on.
            process::signal(child.id(), libc::SIGCONT);
            let _ = child.wait();
        }
    }

    fn forget(&self) -> Result<()> {
        let state = self.folder.join("state");
        fs::remove_dir_all(&state).with_context(|| format!("{} cannot be removed", state.display()))
    }

    fn auditor(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.command(Command::new(&self.program));
        let output = command.args(arguments).output().context("auditor does not start")?;
        if !output.status.success() && output.stdout.is_empty() {
            bail!("{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end(libc::SIGTERM);
    }
}
