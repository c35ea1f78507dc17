//! Four modules of a prefork Odoo that go out at once by a mix of channels: who is credited with each connection, against
//! the other end's own log.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::{Scene, Start, checkout, wait_for};

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
        self.wrong == 0 && self.contradictions == 0 && self.recorded == self.connections && enough && self.by_python > 0
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "connections          {:>8}", self.connections)?;
        writeln!(f, "in the ledger        {:>8}", self.recorded)?;
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
    let mut scene = Scene::start(|start| Start { workers: 4, crons: 1, addons, ..start });
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
        let seen = truth(&scene.servers.log());
        (seen.len() >= requests).then_some(seen)
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
            copy(&source, &target, name);
            target
        })
        .collect()
}

fn copy(from: &Path, to: &Path, name: &str) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the source").flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            if entry.file_name() != "__pycache__" {
                copy(&path, &target, name);
            }
        } else {
            let text = fs::read_to_string(&path).expect("text");
            fs::write(target, text.replace("vendor_soak", name)).expect("a file");
        }
    }
}

/// One connection as the other end saw it: both ports, the module that made it, and how.
struct Made {
    ports: (u64, u64),
    module: String,
    by_python: bool,
}

fn truth(log: &[Value]) -> Vec<Made> {
    let made = log.iter().filter(|line| line["kind"] == "connection").filter_map(|line| {
        let operation = line["operations"][0].as_str()?;
        let (module, rest) = operation.split_once('-')?;
        Some(Made {
            ports: (line["server"][1].as_u64()?, line["peer"][1].as_u64()?),
            module: module.to_owned(),
            by_python: !rest.ends_with("by_curl"),
        })
    });
    made.filter(|it| MODULES.contains(&&*it.module)).collect()
}

fn compare(truth: &[Made], records: &[Value]) -> Outcome {
    let mut outcome = Outcome { connections: truth.len() as u64, ..Outcome::default() };
    // The same pair of ports may come again: then in the same order.
    let mut flows: HashMap<(u64, u64), Vec<&Value>> = HashMap::new();
    for record in records.iter().rev().filter(|it| it["class"] == "flow_opened" && it["direction"] == "out") {
        let port = |end: &str| record[end]["port"].as_u64().unwrap_or_default();
        flows.entry((port("remote"), port("local"))).or_default().push(record);
    }
    for made in truth {
        // A connect that a commit came upon is recorded without our end, which was not known yet.
        let of_both = flows.get_mut(&made.ports).and_then(Vec::pop);
        let of_one = || flows.get_mut(&(made.ports.0, 0)).and_then(Vec::pop);
        let Some(flow) = of_both.or_else(of_one) else { continue };
        outcome.recorded += 1;
        outcome.by_python += u64::from(made.by_python);
        let attribution = &flow["attribution"];
        let module = attribution["module"].as_str();
        outcome.wrong += u64::from(module.is_some_and(|module| module != made.module));
        if attribution["label"] == "matched" {
            outcome.matched += u64::from(made.by_python);
        } else {
            let why = format!("{}, {}", attribution["label"], attribution["reason"]).replace('"', "");
            *outcome.lower.entry(why).or_default() += 1;
        }
    }
    let lies = |it: &&Value| it["attribution"]["contradictions"].as_array().is_some_and(|list| !list.is_empty());
    outcome.contradictions = records.iter().filter(lies).count() as u64;
    for loss in records.iter().filter(|it| it["class"] == "loss") {
        let word = loss["gap"].as_str().unwrap_or("?").to_owned();
        *outcome.lost.entry(word).or_default() += loss["count"].as_u64().unwrap_or(1);
    }
    outcome
}
