//! `xtask up`: everything at once, for somebody who has just cloned this: build, set up, start, and watch.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};
use signal_hook::consts::{SIGINT, SIGTERM};
use xtask::background::Background;
use xtask::odoo::postgres::Cluster;
use xtask::odoo::serve::Server;
use xtask::odoo::staging::Addons;
use xtask::odoo::{Installation, database, setup};
use xtask::process::{self, say};
use xtask::programs::{self, Profile};
use xtask::servers::Servers;
use xtask::service::Unit;
use xtask::{packages, paths};

const DATABASE: &str = "audit-demo";
const PATIENCE: Duration = Duration::from_secs(120);

/// What runs, and where it is kept.
struct Place {
    folder: PathBuf,
    /// Names the format of the ledger: until 0.1.0 a store of another format is thrown away, not misread.
    format: String,
}

impl Place {
    fn of_this_machine() -> Result<Self> {
        let format = fs::read(paths::checkout()?.join("auditor-common/FORMAT.md")).context("FORMAT.md is missing")?;
        let digest = Sha256::digest(format);
        Ok(Self {
            folder: paths::cache()?.join("up"),
            format: format!("{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2]),
        })
    }

    fn daemon(&self) -> Background {
        Background::noted_in(&self.folder.join("daemon.pid"))
    }

    fn servers(&self) -> Background {
        Background::noted_in(&self.folder.join("servers.pid"))
    }

    fn odoo(&self) -> Background {
        Background::noted_in(&self.folder.join("odoo.pid"))
    }

    fn state(&self) -> PathBuf {
        self.folder.join(format!("state-{}", self.format))
    }

    fn run(&self) -> PathBuf {
        self.folder.join("run")
    }

    fn program(&self) -> PathBuf {
        self.folder.join("bin/auditor")
    }

    /// `auditor`, pointed at this daemon.
    fn auditor(&self) -> Command {
        let mut command = Command::new(self.program());
        command.env("NETWORK_AUDIT_STATE_DIR", self.state()).env("NETWORK_AUDIT_RUN_DIR", self.run());
        command
    }
}

/// Starts all of it; in the foreground until Ctrl-C unless `detach`.
pub(crate) fn up(port: u16, detach: bool) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // A second Ctrl-C while something takes long ends this at once.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    let place = Place::of_this_machine()?;
    let ready = prepare(&place, port).and_then(|installation| start(&place, &installation, port));
    if let Err(error) = ready {
        end_all(&place)?;
        return Err(error);
    }
    explain(port);
    if detach {
        println!("It goes on in the background; cargo xtask down stops it.");
        return Ok(());
    }
    let watched = watch(&place, &stop);
    say("up", "stopping");
    end_all(&place)?;
    watched
}

/// Stops what `up` started.
pub(crate) fn down() -> Result<()> {
    let place = Place::of_this_machine()?;
    if !end_all(&place)? {
        say("down", "nothing is running");
    }
    Ok(())
}

/// `auditor`, pointed at the daemon that `up` started; it takes the place of this process.
pub(crate) fn auditor(arguments: &[String]) -> Result<std::convert::Infallible> {
    let place = Place::of_this_machine()?;
    if !place.program().is_file() {
        bail!("up was never run here; cargo xtask up builds and starts everything");
    }
    Err(place.auditor().args(arguments).exec()).context("auditor does not start")
}

fn prepare(place: &Place, port: u16) -> Result<Installation> {
    if !process::is_root() {
        bail!("up needs root, since watching the kernel does; run it with sudo -E");
    }
    packages::install("up", &["curl", "util-linux"])?;
    let program = programs::auditor(Profile::Release)?;
    let installation = setup::setup()?;
    end(place);
    if TcpListener::bind(("127.0.0.1", port)).is_err() {
        bail!("port {port} is taken by another program; choose another with --port");
    }
    make_folders(place, &program)?;
    Ok(installation)
}

fn make_folders(place: &Place, program: &std::path::Path) -> Result<()> {
    let unit = Unit::of(&paths::checkout()?)?;
    for (folder, mode) in [(place.folder.join("bin"), 0o755), (place.state(), 0o700), (place.run(), 0o755)] {
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode))?;
    }
    unit.give(&place.state())?;
    unit.give(&place.run())?;
    // The daemon's account may not be able to enter the checkout.
    fs::copy(program, place.program()).context("the daemon cannot be copied")?;
    Ok(())
}

fn start(place: &Place, installation: &Installation, port: u16) -> Result<()> {
    let checkout = paths::checkout()?;
    say("up", "starting the daemon");
    let mut daemon = Unit::of(&checkout)?.command(&place.program())?;
    daemon.arg("run").arg("--state-dir").arg(place.state()).arg("--run-dir").arg(place.run());
    let log = place.folder.join("daemon.log");
    let mut child = place.daemon().start(&mut daemon, &log)?;
    wait("the daemon", &log, &mut child, || {
        place.auditor().arg("status").output().is_ok_and(|it| it.status.success())
    })?;

    say("up", "starting the servers on loopback that the demonstration calls");
    let servers = Servers::start(&checkout, &place.folder, &installation.account)?;
    place.servers().note(servers.child.id())?;

    let mut server = Server::new("up", DATABASE).with_addons(&demonstration(place, installation)?);
    (server.http_port, server.gevent_port) = (port, port.saturating_add(3));
    server.environment.push(("NETWORK_AUDIT_RUN_DIR".to_owned(), place.run().display().to_string()));
    server.environment.push(("VENDOR_DEMO_SERVERS".to_owned(), servers.ports));
    say("up", "starting Odoo");
    let mut child = server.start(installation)?;
    place.odoo().note(child.id())?;
    let log = server.folder(installation).join("odoo.log");
    wait("Odoo", &log, &mut child, || TcpStream::connect(("127.0.0.1", port)).is_ok())
}

/// The demonstration's database, made anew when the addons' sources have changed.
fn demonstration(place: &Place, installation: &Installation) -> Result<Addons> {
    let addons = Addons::stage(installation, &paths::checkout()?)?;
    let note = place.folder.join("addons.key");
    let is_current = fs::read_to_string(&note).is_ok_and(|key| key == addons.key());
    if !is_current || !database::exists(installation, DATABASE)? {
        let template = database::template_with(installation, &addons)?;
        say("up", &format!("making the database {DATABASE}"));
        database::clone(installation, &template, DATABASE)?;
        fs::write(&note, addons.key())?;
    }
    Ok(addons)
}

fn wait(what: &str, log: &std::path::Path, child: &mut Child, ready: impl Fn() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !ready() {
        if let Some(status) = child.try_wait()? {
            let text = fs::read_to_string(log).unwrap_or_default();
            bail!("{what} ended ({status}): {}", process::tail(&text, 12));
        }
        if Instant::now() > deadline {
            bail!("{what} does not answer; see {}", log.display());
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn explain(port: u16) {
    println!("\nOdoo            http://127.0.0.1:{port}/odoo   (log in as admin, password admin)");
    println!("Trust Report    http://127.0.0.1:{port}/odoo/action-mit_network_audit.network_audit_report_action");
    println!("press a button  curl 'http://127.0.0.1:{port}/vendor_demo/press?channel=requests'");
    println!("what was seen   cargo xtask auditor events");
    println!("the proof       cargo xtask auditor verify\n");
}

/// Shows the flows as they come, until Ctrl-C or until something that was started is gone.
fn watch(place: &Place, stop: &AtomicBool) -> Result<()> {
    println!("Flows, as they come (Ctrl-C ends it all):");
    let mut events = place.auditor().args(["events", "-f"]).spawn().context("auditor does not start")?;
    let ended = loop {
        if stop.load(Ordering::Relaxed) {
            break Ok(());
        }
        for (what, background) in [("the daemon", place.daemon()), ("Odoo", place.odoo())] {
            if background.pid().is_none() {
                break_with(&mut events);
                bail!("{what} has ended; its log is in {}", place.folder.display());
            }
        }
        if let Some(status) = events.try_wait()? {
            break if stop.load(Ordering::Relaxed) || status.success() {
                Ok(())
            } else {
                Err(anyhow::anyhow!("auditor events -f ended ({status})"))
            };
        }
        thread::sleep(Duration::from_millis(100));
    };
    break_with(&mut events);
    ended
}

fn break_with(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Odoo first and the daemon last, so that the ledger has Odoo's end.
fn end(place: &Place) -> bool {
    let mut any = false;
    for background in [place.odoo(), place.servers(), place.daemon()] {
        any |= background.end(Duration::from_secs(20));
    }
    any
}

/// The same, and the PostgreSQL as well.
fn end_all(place: &Place) -> Result<bool> {
    let any = end(place);
    if let Ok(installation) = Installation::find() {
        Cluster::new(&installation)?.stop_if_idle()?;
    }
    Ok(any)
}
