//! `auditor run`: puts the stages together, and says in one sentence what is missing.

use std::fs;
use std::io::IsTerminal as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, RwLock};

use anyhow::{Context as _, bail};
use auditor_common::body::{Body, Checked, Loss, RunStart};
use auditor_common::gap::Gap;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::attribute::find::Finder;
use crate::attribute::handover::Handover;
use crate::cli::RunArgs;
use crate::clock::{self, Now};
use crate::command::config::{self, Configured};
use crate::command::exit;
use crate::config::{Config, Places, Scope};
use crate::key;
use crate::nightly;
use crate::pipeline::{Digests, Parts, Pipeline};
use crate::policy::Policies;
use crate::probe::{HookStatus, Options, Probe};
use crate::report::basis::Host;
use crate::serve::books::{self, Books, Shelf};
use crate::serve::export::Exports;
use crate::serve::facts::Surroundings;
use crate::serve::orders::{self, Desk};
use crate::serve::peer::Instances;
use crate::serve::proof::Prover;
use crate::serve::records::Ledger;
use crate::serve::socket::{self, Window};
use crate::serve::status::Status;
use crate::serve::wire;
use crate::store::{OpenOptions, Opened, PreviousRun, Store};

/// Nothing that was read waits longer than this for its record, nanoseconds.
const WAIT_MAX_NS: u64 = 10_000_000_000;

/// Records until it is told to stop.
pub(super) fn run(places: Places, args: RunArgs) -> anyhow::Result<u8> {
    let Configured { file, catalogue, texts } = config::read(args.config.as_deref())?;
    let config = Config {
        places,
        scope: args.scope,
        ebpf_object: args.ebpf_object,
        ring_bytes: args.ring_bytes,
        file,
        catalogues: texts.into_iter().map(|(path, text)| (path, Sha256::digest(text).into())).collect(),
    };
    log_to_stderr();
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("no signal can be caught")?;
    }
    in_the_hosts_pid_namespace()?;
    // What is missing is found out before anything is made: a daemon that cannot see leaves no trace.
    let mut probe = Probe::load(&Options {
        object: config.ebpf_object.clone(),
        ring_bytes: config.ring_bytes,
        // A process's tree is told by its forks alone.
        candidates: !matches!(config.scope, Scope::Process(_)),
        audit_all_execs: matches!(config.scope, Scope::Cgroup(_)),
        ..Options::default()
    })?;
    let ring = probe.take_ring()?;
    let digests = Digests { binary: own_digest()?, config: Sha256::digest(config.canonical()).into() };
    let mut options = OpenOptions::new(env!("CARGO_PKG_VERSION"), clock::now());
    (options.binary, options.config) = (digests.binary, digests.config);
    options.policy = config.file.retention.policy(config.file.policy.retention_days, "configuration");
    options.clock = clock::state().map_or((false, u64::MAX), |state| (state.synchronised, state.max_error_ns));
    let (mut store, opened) = Store::open(&config.places.state, &options)?;
    say_what_was_found(&opened);
    make_run_folder(&config.places.run)?;
    let api = bind(&config.places.api_socket())?;
    let hints = config.places.hints_socket();
    let handover = Handover::bind(&hints).with_context(|| format!("cannot listen at {}", hints.display()))?;

    record_start(&mut store, &opened, &probe, &config, digests)?;

    let status = Arc::new(RwLock::new(Status {
        version: env!("CARGO_PKG_VERSION").into(),
        api: crate::serve::API,
        pid: std::process::id(),
        since: wire::time(clock::now().wall_ns),
        scope: config.scope.to_string(),
        state_dir: config.places.state.display().to_string(),
        origin: opened.origin.to_string(),
        root_key: opened.root.to_string(),
        ..Status::default()
    }));
    let instances = Instances::default();
    let (committed, committed_watch) = watch::channel(store.acknowledged());
    let host =
        Host { missing_tier: missing_tier(&probe.coverage()), sees_names: probe.sees_packets(), ..Host::default() };
    let books = Shelf::new(Books::new(catalogue.clone(), Policies::new(config.file.terms()), host));
    let (desk, orders) = orders::desk();
    let checks = Checks { books: books.clone(), desk: desk.clone() };
    let surroundings = Surroundings::new(Arc::clone(&instances), key::root_key_file(&config.places.state));
    books::keep(books.clone(), Ledger::from(store.reader()), committed_watch.clone(), desk.clone(), surroundings)?;
    let window = Window {
        records: Ledger::from(store.reader()),
        books,
        desk,
        committed: committed_watch,
        status: Arc::clone(&status),
        instances: Arc::clone(&instances),
        exports: Exports::new(config.places.state.clone(), store.reader()),
        prover: Prover::new(config.places.state.clone()),
        own_uid: rustix::process::geteuid().as_raw(),
    };
    let finder = Finder::new(config.scope.clone(), config.file.instances.clone());
    let mut pipeline = Pipeline::new(Parts {
        probe,
        ring,
        store,
        handover,
        finder,
        instances,
        status,
        committed,
        digests,
        orders,
        catalogue,
        terms: config.file.terms(),
        client_addresses: config.file.client_addresses,
        retention: config.file.retention,
        calls_from_ns: calls_from(&opened.previous, clock::now()),
    });
    pipeline.begin()?;
    socket::serve(api, window)?;
    nightly::keep(config.places.clone(), config.file.verification.hour, checks)?;
    tracing::info!(state = %config.places.state.display(), run = %config.places.run.display(), "recording");
    pipeline.run(&stop)?;
    drop(fs::remove_file(config.places.api_socket()));
    Ok(exit::FINE)
}

/// What the daemon's own verification has to know of the daemon.
struct Checks {
    books: Shelf,
    desk: Desk,
}

impl nightly::Daemon for Checks {
    fn last(&self) -> Option<Option<u64>> {
        let known = self.books.is_caught_up();
        known.then(|| self.books.read().rollup.history().newest_check().map(|check| check.wall_ns))
    }

    fn take(&self, checked: Checked) -> bool {
        self.desk.checked(checked)
    }
}

fn say_what_was_found(opened: &Opened) {
    if opened.created {
        tracing::info!("keys made; pin this root key where the ledger will be verified: {}", opened.root);
    }
    if let Some(recovered) = &opened.recovered {
        tracing::error!("{}: a new ledger was begun, the old one stays as it is", recovered.cause);
    }
}

fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("NETWORK_AUDIT_LOG").unwrap_or_else(|_| "info".into());
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_env_filter(filter)
        .with_target(false)
        .init();
}

/// In another PID namespace the kernel's process numbers mean nothing to us, and a peer's number is 0.
fn in_the_hosts_pid_namespace() -> anyhow::Result<()> {
    /// `PROC_PID_INIT_INO`, `include/linux/proc_ns.h`.
    const INITIAL: u64 = 0xEFFF_FFFC;
    let own = fs::metadata("/proc/self/ns/pid").context("/proc is not mounted: mount -t proc proc /proc")?.ino();
    if own != INITIAL {
        bail!("this is not the host's PID namespace: run on the host, or with hostPID: true (docker: --pid=host)");
    }
    Ok(())
}

fn make_run_folder(path: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .with_context(|| format!("cannot make {}: choose another with --run-dir", path.display()))
}

/// Listens at the API's socket, for everybody: who may see what is decided by who it is.
fn bind(path: &Path) -> anyhow::Result<UnixListener> {
    if UnixStream::connect(path).is_ok() {
        bail!("another daemon answers at {}: stop it first, or choose another --run-dir", path.display());
    }
    drop(fs::remove_file(path));
    let listener = UnixListener::bind(path).with_context(|| format!("cannot listen at {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))
        .with_context(|| format!("cannot open {} to everybody", path.display()))?;
    Ok(listener)
}

fn record_start(
    store: &mut Store,
    opened: &Opened,
    probe: &Probe,
    config: &Config,
    digests: Digests,
) -> anyhow::Result<()> {
    let now = clock::now();
    let start = RunStart {
        version: env!("CARGO_PKG_VERSION").into(),
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().into(),
        boot_id: boot_id(),
        binary: digests.binary,
        config: digests.config,
        scope: config.scope.to_string(),
        previous: previous_word(&opened.previous).into(),
        hooks: crate::pipeline::hooks(&probe.coverage()),
    };
    store.append(&Body::RunStart(start), now)?;
    for loss in interruption(opened, now) {
        store.append(&Body::Loss(loss), now)?;
    }
    store.waits(0);
    store.commit()?;
    Ok(())
}

const fn previous_word(previous: &PreviousRun) -> &'static str {
    match previous {
        PreviousRun::None => "none",
        PreviousRun::Stopped { .. } => "stopped",
        PreviousRun::Interrupted { .. } => "interrupted",
    }
}

/// A run that did not say that it stopped has lost what it had read and not committed, and what came until now; and what it
/// had counted and waited with, which lies before its last durable record.
fn interruption(opened: &Opened, now: Now) -> Vec<Loss> {
    let PreviousRun::Interrupted { last_wall_ns } = opened.previous else { return Vec::new() };
    let dark = Loss {
        gap: Gap::NotRunning as u64,
        count: None,
        from_wall_ns: Some(last_wall_ns),
        until_wall_ns: Some(now.wall_ns),
        detail: "the daemon ended without saying so: nobody was looking, and what was not committed is lost".into(),
    };
    let waited = (opened.waiting > 0).then(|| Loss {
        gap: Gap::Uncommitted as u64,
        count: Some(opened.waiting),
        from_wall_ns: Some(last_wall_ns.saturating_sub(WAIT_MAX_NS)),
        until_wall_ns: Some(last_wall_ns),
        detail: "connections that were accepted, and calls, of which the daemon waited for the other witness's word"
            .into(),
    });
    [dark].into_iter().chain(waited).collect()
}

/// Since when calls are this run's to record (CLOCK_BOOTTIME): since the run before it was cut off, or else since now.
const fn calls_from(previous: &PreviousRun, now: Now) -> u64 {
    match previous {
        PreviousRun::None | PreviousRun::Stopped { .. } => now.boot_ns,
        PreviousRun::Interrupted { last_wall_ns } => {
            now.boot_ns.saturating_sub(now.wall_ns.saturating_sub(*last_wall_ns))
        }
    }
}

fn boot_id() -> [u8; 16] {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: Vec<u8> =
        text.bytes().filter_map(|byte| char::from(byte).to_digit(16)).map(|digit| digit as u8).collect();
    let mut id = [0; 16];
    for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    id
}

/// Why this host sees less than it could, in a sentence; `None` if it does not.
fn missing_tier(coverage: &[HookStatus]) -> Option<String> {
    let away: Vec<&HookStatus> = coverage.iter().filter(|hook| !hook.is_active()).collect();
    let why = away.first()?.reason().unwrap_or("it did not load");
    let names: Vec<&str> = away.iter().map(|hook| hook.name).collect();
    Some(format!("this kernel lets us see less than it could, without {}: {why} (`auditor probe`)", names.join(", ")))
}

fn own_digest() -> anyhow::Result<[u8; 32]> {
    let binary = fs::read("/proc/self/exe").context("cannot read the daemon's own binary")?;
    Ok(Sha256::digest(binary).into())
}
