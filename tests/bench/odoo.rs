//! `bench-odoo [SECONDS]`: what the addon costs an Odoo. The same one with it and without, side by side and turn by turn,
//! while a daemon watches both and while there is none; and what its hook costs in Odoo's own interpreter.
//!
//! Both have one processor and its caches, and whoever asks has another: left to the scheduler, two processes of one
//! program differ by five per cent, and not in favour of the same one twice.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use auditor_tests::bench::{Row, median, print, row};
use auditor_tests::{Daemon, Door, Group, Odoo, Rpc, Scope, Servers, Start, an_odoo, checkout};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::{Value, json};
use xtask::odoo::Installation;

/// Two processes of one program differ by a per cent, by where their memory happens to lie: so each pair is started
/// several times, and either goes first.
const STARTS: usize = 10;
/// Requests before anything is measured: caches are filled, a worker has its registry, the ring is handed over.
const WARM_UP: usize = 60;

/// The same Odoo twice.
struct Pair {
    group: Group,
    with: Odoo,
    without: Odoo,
    processors: Processors,
    _servers: Servers,
}

impl Pair {
    fn start(group: Group, run_folder: &Path) -> Self {
        let servers = Servers::start();
        let processors = Processors::new();
        processors.be_served();
        let start = |door| {
            // Sets and dicts of strings in the same order in both.
            let environment = vec![("PYTHONHASHSEED", "0".to_owned())];
            let start = Start::new(&group, run_folder, &servers);
            Odoo::start(Start { workers: 1, door, environment, ..start })
        };
        let (with, without) = (start(Door::Loaded), start(Door::Nowhere));
        Self { group, with, without, processors, _servers: servers }
    }

    fn start_again(&mut self, turn: usize) {
        let mut both = [&mut self.with, &mut self.without];
        both.rotate_left(turn % 2);
        self.processors.be_served();
        for odoo in both {
            odoo.kill_and_start_again(&self.group);
        }
    }

    /// Throughput with the addon, of the throughput without: of a plain page, and of a call of a model's method.
    fn ratios(&mut self, seconds: u64) -> [f64; 2] {
        let mut all = [Vec::new(), Vec::new()];
        for turn in 0..STARTS {
            if turn > 0 {
                self.start_again(turn);
            }
            self.processors.ask();
            let each = Duration::from_secs(seconds) / (2 * STARTS as u32);
            let (with, without) = (Client::of(&self.with), Client::of(&self.without));
            all[0].push(ratio(each, || with.page(), || without.page()));
            all[1].push(ratio(each, || with.call(), || without.call()));
        }
        all.map(|ratios| ratios.iter().sum::<f64>() / STARTS as f64)
    }
}

/// The processors that this program may run on, shared out between who asks and who answers.
struct Processors {
    asking: CpuSet,
    answering: CpuSet,
}

impl Processors {
    fn new() -> Self {
        let all = sched_getaffinity(None).expect("the processors of this program");
        let mut each = (0..CpuSet::MAX_CPU).filter(|&number| all.is_set(number));
        let only = |number| {
            let mut set = CpuSet::new();
            set.set(number);
            set
        };
        let asking = each.next().map_or(all, only);
        Self { asking, answering: each.next_back().map_or(asking, only) }
    }

    /// Whoever is started from here on answers: Odoo with its workers, and the database if it is not running yet.
    fn be_served(&self) {
        sched_setaffinity(None, &self.answering).expect("one of its own processors");
    }

    fn ask(&self) {
        sched_setaffinity(None, &self.asking).expect("one of its own processors");
    }
}

/// Somebody who has logged in.
struct Client {
    rpc: Rpc,
    uid: Value,
}

impl Client {
    fn of(odoo: &Odoo) -> Self {
        let rpc = odoo.rpc();
        Self { uid: rpc.log_in(), rpc }
    }

    fn page(&self) {
        assert_eq!(self.rpc.get("/web/login").0, 200);
    }

    fn call(&self) {
        let arguments = json!([[], ["name", "email", "country_id"], 0, 20]);
        let rows = self.rpc.execute(&self.uid, "res.partner", "search_read", &arguments, &json!({}));
        assert!(rows.as_array().is_some_and(|rows| !rows.is_empty()), "{rows}");
    }
}

/// How much longer `without` could go on for what `with` takes: medians of single requests, which take turns.
fn ratio(each: Duration, with: impl Fn(), without: impl Fn()) -> f64 {
    for _ in 0..WARM_UP {
        with();
        without();
    }
    let (mut of_with, mut of_without) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    while begin.elapsed() < each {
        of_with.push(seconds_of(&with));
        of_without.push(seconds_of(&without));
        // Whoever goes second may find the caches warmer.
        of_without.push(seconds_of(&without));
        of_with.push(seconds_of(&with));
    }
    median(of_without) / median(of_with)
}

fn seconds_of(act: impl Fn()) -> f64 {
    let begin = Instant::now();
    act();
    begin.elapsed().as_secs_f64()
}

/// What `bench_hook.py` says, in Odoo's own interpreter.
fn hook() -> Value {
    let installation = Installation::find().expect("an Odoo that is set up");
    let mut command = Command::new(installation.python());
    command.arg("-B").arg(checkout().join("tests/core/bench_hook.py")).arg("--json").current_dir(checkout());
    let output = command.output().expect("Odoo's interpreter");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn rows(seconds: u64) -> Vec<Row> {
    let throughput = |what, measured| row(what, measured, "of 1", 0.98, 0.995);
    let group = Group::new().expect("a control group");
    let daemon = Daemon::start(Scope::Group(group.path().to_path_buf()));
    let [page, call] = Pair::start(group, &daemon.run_folder()).ratios(seconds / 2);
    drop(daemon);
    let group = Group::new().expect("a control group");
    let [page_alone, call_alone] = Pair::start(group, Path::new("/nonexistent")).ratios(seconds / 2);
    let hook = hook();
    let nanoseconds = |name: &str| hook["ns"][name].as_f64().unwrap_or_else(|| panic!("{name}: {hook}"));
    let connect = nanoseconds("socket.connect at 33 frames") / 1000.0;
    let other = nanoseconds("object.__getattr__ at 5 frames");
    vec![
        throughput("throughput of a plain page", page),
        throughput("throughput of a call by RPC", call),
        throughput("a plain page, and there is no daemon", page_alone),
        throughput("a call by RPC, and there is no daemon", call_alone),
        row("the hook, at a connect from 33 frames", connect, "µs", 10.0, 3.0),
        row("the hook, at an event of no interest", other, "ns", 300.0, 150.0),
    ]
}

fn main() -> ExitCode {
    if let Err(reason) = an_odoo() {
        eprintln!("error: nothing can be measured here: {reason}");
        return ExitCode::FAILURE;
    }
    let seconds = std::env::args().nth(1).and_then(|seconds| seconds.parse().ok()).unwrap_or(150);
    if print(&rows(seconds)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
