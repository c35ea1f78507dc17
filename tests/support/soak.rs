//! Four modules of a prefork Odoo that go out at once by a mix of channels: who is credited with each connection, against
//! the other end's own log.
//!
//! Each module goes to servers of its own, so the kernel's word about where a connection went says whose it is: nothing is
//! joined by order or by ports that come again, and two modules that were mixed up cannot make up for each other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::shipped::copy_as;
use crate::{Scene, Servers, Start, checkout, wait_for};

/// The modules, each a copy of one.
const MODULES: [&str; 4] = ["vendor_soak_a", "vendor_soak_b", "vendor_soak_c", "vendor_soak_d"];
/// Requests that are on their way at once.
const AT_ONCE: usize = 8;

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Connections in the other end's log.
    pub connections: u64,
    /// Of those, the ones that the ledger has.
    pub recorded: u64,
    /// In the ledger, and not in the other end's log.
    pub surplus: u64,
    /// Credited to a module that did not make them.
    pub wrong: u64,
    /// Made by Python itself, which can claim them.
    pub by_python: u64,
    /// Of those, the ones that are `matched`.
    pub matched: u64,
    /// Those that are not: label and reason, and how many.
    pub lower: BTreeMap<String, u64>,
    /// Records that say that somebody lied.
    pub contradictions: u64,
    /// What was lost, by the word for it.
    pub lost: BTreeMap<String, u64>,
}

impl Outcome {
    /// Nobody wrongly credited, everything there, and of a thousand connections that Python made at most one not matched.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let enough = self.matched * 1000 >= self.by_python * 999;
        let is_whole = self.recorded == self.connections && self.surplus == 0;
        self.wrong == 0 && self.contradictions == 0 && is_whole && enough && self.by_python > 0
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "connections          {:>8}", self.connections)?;
        writeln!(f, "in the ledger        {:>8}", self.recorded)?;
        writeln!(f, "only in the ledger   {:>8}", self.surplus)?;
        writeln!(f, "wrong module         {:>8}", self.wrong)?;
        writeln!(f, "contradictions       {:>8}", self.contradictions)?;
        let share = self.matched as f64 * 100.0 / self.by_python.max(1) as f64;
        writeln!(f, "made by Python       {:>8}, of which matched {} ({share:.3} %)", self.by_python, self.matched)?;
        for (why, count) in &self.lower {
            writeln!(f, "  lower: {why:<12} {count:>8}")?;
        }
        for (gap, count) in &self.lost {
            writeln!(f, "lost: {gap:<14} {count:>8}")?;
        }
        Ok(())
    }
}

/// So many requests, and what came of them.
pub fn soak(requests: usize) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    let addons = copies(folder.path());
    let servers = MODULES.map(|module| (module, Servers::start()));
    let environment = vec![("VENDOR_SOAK_SERVERS", ports(&servers))];
    let mut scene = Scene::start(|start| Start { workers: 4, crons: 1, addons, environment, ..start });
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let rpc = scene.odoo.rpc();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= requests {
                        break;
                    }
                    let module = MODULES[number % MODULES.len()];
                    let (status, body) = rpc.get(&format!("/{module}/go/{number}"));
                    assert_eq!(status, 200, "{module}, {number}: {body}");
                }
            });
        }
    });
    let truth = wait_for("the other end to have seen all of it", || {
        let seen: Vec<Ends> = servers.iter().map(|(module, servers)| Ends::of(module, servers)).collect();
        (seen.iter().map(Ends::connections).sum::<u64>() >= requests as u64).then_some(seen)
    });
    scene.odoo.stop();
    // What the daemon has read is recorded within some seconds; what is not there then is missing.
    let mut outcome = Outcome::default();
    for _ in 0..5 {
        thread::sleep(Duration::from_secs(3));
        outcome = compare(&truth, &scene.daemon.events());
        if outcome.recorded == outcome.connections {
            break;
        }
    }
    outcome
}

/// One source under four names.
fn copies(folder: &Path) -> Vec<PathBuf> {
    let source = checkout().join("tests/odoo_addons/vendor_soak");
    MODULES
        .iter()
        .map(|name| {
            let target = folder.join(name);
            copy_as(&source, &target, "vendor_soak", name);
            target
        })
        .collect()
}

/// Where each module goes out to.
fn ports(servers: &[(&str, Servers)]) -> String {
    let of_one = |servers: &Servers| serde_json::from_str::<Value>(servers.ports()).expect("JSON");
    json!(servers.iter().map(|(module, it)| (*module, of_one(it))).collect::<BTreeMap<_, _>>()).to_string()
}

/// What the servers of one module saw.
struct Ends {
    module: &'static str,
    /// Where they listen: a flow to one of these is of that module and of no other.
    ports: BTreeSet<u64>,
    /// Connections that Python made, and that a child did.
    by_python: u64,
    by_child: u64,
    /// Operations that name another module: then the truth would be none.
    foreign: u64,
}

impl Ends {
    fn of(module: &'static str, servers: &Servers) -> Self {
        let ports: BTreeMap<String, u64> = serde_json::from_str(servers.ports()).expect("JSON");
        let ports = ports.into_values().collect();
        let mut it = Self { module, ports, by_python: 0, by_child: 0, foreign: 0 };
        for line in servers.log().iter().filter(|line| line["kind"] == "connection") {
            let operation = line["operations"][0].as_str().unwrap_or_default();
            let (name, act) = operation.split_once('-').unwrap_or_default();
            it.foreign += u64::from(name != module);
            *if act.ends_with("by_curl") { &mut it.by_child } else { &mut it.by_python } += 1;
        }
        it
    }

    fn connections(&self) -> u64 {
        self.by_python + self.by_child
    }
}

fn compare(truth: &[Ends], records: &[Value]) -> Outcome {
    let mut outcome = Outcome { connections: truth.iter().map(Ends::connections).sum(), ..Outcome::default() };
    let whose: HashMap<u64, usize> =
        truth.iter().enumerate().flat_map(|(at, ends)| ends.ports.iter().map(move |&port| (port, at))).collect();
    // Of each module: how many flows the ledger has by Python, and how many by a child.
    let mut recorded = vec![(0, 0); truth.len()];
    for flow in records.iter().filter(|it| it["class"] == "flow_opened" && it["direction"] == "out") {
        let Some(&at) = flow["remote"]["port"].as_u64().and_then(|port| whose.get(&port)) else { continue };
        let program = flow["process"]["executable"].as_str().unwrap_or_default();
        let by_python = program.rsplit('/').next().is_some_and(|name| name.starts_with("python"));
        *if by_python { &mut recorded[at].0 } else { &mut recorded[at].1 } += 1;
        let attribution = &flow["attribution"];
        let module = attribution["module"].as_str();
        outcome.wrong += u64::from(module.is_some_and(|module| module != truth[at].module));
        if attribution["label"] == "matched" {
            outcome.matched += u64::from(by_python);
        } else {
            let why = format!("{}, {}", attribution["label"], attribution["reason"]).replace('"', "");
            *outcome.lower.entry(why).or_default() += 1;
        }
    }
    for (ends, (by_python, by_child)) in truth.iter().zip(recorded) {
        outcome.wrong += ends.foreign;
        outcome.by_python += ends.by_python;
        // One that is there twice does not stand in for one that is missing elsewhere.
        outcome.recorded += ends.by_python.min(by_python) + ends.by_child.min(by_child);
        outcome.surplus += by_python.saturating_sub(ends.by_python) + by_child.saturating_sub(ends.by_child);
    }
    let lies = |it: &&Value| it["attribution"]["contradictions"].as_array().is_some_and(|list| !list.is_empty());
    outcome.contradictions = records.iter().filter(lies).count() as u64;
    for loss in records.iter().filter(|it| it["class"] == "loss") {
        let word = loss["gap"].as_str().unwrap_or("?").to_owned();
        *outcome.lost.entry(word).or_default() += loss["count"].as_u64().unwrap_or(1);
    }
    outcome
}
