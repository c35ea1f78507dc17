//! Every step of the store to the disk, by name, failed once in every way.
//!
//! A row is an operation and the steps that it takes. The steps are those that are seen, so the table cannot lie; then
//! the operation is done again for each of them with a fault there: an error before it is done, an error after, a full
//! disk, and the power gone, with nothing of what was not synced there afterwards, and with all of it.

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use auditor_common::body::{Export, Policy};
use auditor_common::verify::exit;
use auditor_tests::ledger::{Ledger, copy, options, verify_here};
use auditor_tests::power::{Fault, SimulatedDisk, Step, Survives, folder};
use auditor_tests::witness::Witness;
use auditor_userspace::store::{OpenOptions, PreviousRun, Store, StoreError};
use fastrand::Rng;

const SECOND: u64 = 1_000_000_000;

/// What an operation begins with.
#[derive(Clone, Copy)]
enum Before {
    /// A folder that is empty.
    Nothing,
    /// A running daemon, with something that is not durable yet.
    Running,
    /// The same, and it is time for another segment.
    Filled,
    /// The same with three segments, of which two may be removed.
    Old,
    /// A store that was killed between a commit and its seal.
    Killed,
    /// A store that lost what it had signed: an older copy of its segment beside the newer head file.
    Behind,
}

/// An operation.
type Act = fn(&mut Stage) -> Result<(), StoreError>;

/// A store on a simulated disk, and who looks at it from outside.
struct Stage {
    disk: SimulatedDisk,
    ledger: Option<Ledger>,
    witness: Witness,
}

impl Stage {
    fn state(&self) -> std::path::PathBuf {
        self.disk.root().join("state")
    }

    fn options(&self, second: u64) -> OpenOptions {
        let policy =
            Policy { keep_ns: 60 * SECOND, max_bytes: u64::MAX, min_ns: 30 * SECOND, actor: "a test".to_owned() };
        let mut options = OpenOptions { disk: Arc::new(self.disk.clone()), policy, ..options(second) };
        options.limits.reserve_bytes = 4096;
        options.limits.segment_ns = 20 * SECOND;
        options
    }

    fn open(&mut self, second: u64) -> Result<(), StoreError> {
        let ledger = Ledger::open(&self.state(), &self.options(second))?;
        self.witness.root = Some(ledger.opened.root.clone());
        self.witness.note(&ledger, ledger.opened.checkpoint.clone())?;
        self.ledger = Some(ledger);
        Ok(())
    }

    fn ledger(&mut self) -> &mut Ledger {
        self.ledger.as_mut().expect("a running daemon")
    }

    fn flows(&mut self, count: u64) -> Result<(), StoreError> {
        (0..count).try_for_each(|_| self.ledger().flow().map(drop))
    }

    fn seal(&mut self) -> Result<(), StoreError> {
        let sealed = self.ledger().seal()?;
        self.told(Some(sealed))
    }

    fn told(&mut self, released: Option<auditor_userspace::store::CheckpointInfo>) -> Result<(), StoreError> {
        self.witness.note(self.ledger.as_ref().expect("a running daemon"), released)
    }

    /// A stage where the operation can begin.
    fn set(root: &Path, before: Before) -> Self {
        std::fs::create_dir_all(root).unwrap();
        let mut stage = Self { disk: SimulatedDisk::over(root), ledger: None, witness: Witness::default() };
        stage.prepare(before).unwrap();
        stage
    }

    fn prepare(&mut self, before: Before) -> Result<(), StoreError> {
        if let Before::Nothing = before {
            return Ok(());
        }
        self.open(0)?;
        self.flows(3)?;
        self.ledger().store.commit()?;
        self.seal()?;
        let segments = if let Before::Old = before { 3 } else { 1 };
        for _ in 1..segments {
            self.flows(150)?;
            self.ledger().wait(25);
            self.seal()?;
        }
        match before {
            Before::Nothing | Before::Running => self.flows(3),
            Before::Filled => {
                self.flows(150)?;
                self.ledger().wait(25);
                self.ledger().store.commit()
            }
            Before::Old => {
                self.ledger().wait(100);
                Ok(())
            }
            Before::Killed => {
                self.flows(3)?;
                self.ledger().store.commit()?;
                self.told(None)?;
                self.kill();
                Ok(())
            }
            Before::Behind => {
                let segment = "0001/seg-00000000000000000000.redb";
                let old = std::fs::read(self.state().join(segment)).unwrap();
                self.flows(3)?;
                self.seal()?;
                self.kill();
                std::fs::write(self.state().join(segment), old).unwrap();
                self.disk = SimulatedDisk::over(self.disk.root());
                // Of the next ledger nobody knows anything.
                self.witness = Witness { root: self.witness.root.take(), ..Witness::default() };
                Ok(())
            }
        }
    }

    /// As kill -9 would: nothing is closed.
    fn kill(&mut self) {
        self.disk.cut();
        self.ledger = None;
        self.disk = SimulatedDisk::over(self.disk.root());
    }
}

/// What was done to the disk: what it is called, and the first and the last operation of it.
type Seen = (String, RangeInclusive<usize>);

fn join(seen: &mut Vec<Seen>, name: String, range: RangeInclusive<usize>) {
    match seen.last_mut() {
        Some((last, whole)) if *last == name => *whole = *whole.start()..=*range.end(),
        _ => seen.push((name, range)),
    }
}

/// The operations, those of one kind that follow each other on one file as one.
fn operations(done: &[Step]) -> Vec<Seen> {
    let mut seen = Vec::new();
    for (at, step) in done.iter().enumerate() {
        let (verb, file) = step.split_once(' ').expect("a verb and a file");
        let file = file.strip_prefix("state/").unwrap_or(file).replace("seg-00000000000000000", "seg-");
        join(&mut seen, format!("{verb} {file}"), at..=at);
    }
    seen
}

/// The steps: what redb writes and syncs in one segment, as often as it wants to, is a commit.
fn steps(operations: &[Seen]) -> Vec<Seen> {
    let mut seen = Vec::new();
    for (name, range) in operations {
        let (verb, file) = name.split_once(' ').expect("a verb and a file");
        let is_commit = file.contains("/seg-") && ["write", "sync"].contains(&verb);
        let name = if is_commit { format!("commit {file}") } else { name.clone() };
        join(&mut seen, name, range.clone());
    }
    seen
}

fn check(before: Before, act: Act, expected: &[&str]) {
    let dir = folder();
    let mut stage = Stage::set(&dir.path().join("seen"), before);
    let begun = stage.disk.steps().len();
    act(&mut stage).unwrap();
    let operations = operations(&stage.disk.steps()[begun..]);
    let steps = steps(&operations);
    let names: Vec<&str> = steps.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, expected, "the steps that are taken");
    drop(stage);

    for (name, range) in &operations {
        let is_many = range.start() < range.end();
        let makes_room = name.starts_with("remove") || name.starts_with("rename");
        // Of the many pages of a commit, the first and the last.
        let mut faults = vec![(*range.end(), Fault::Error), (*range.end(), Fault::Cut)];
        faults.extend(is_many.then_some((*range.start(), Fault::Cut)));
        faults.extend((!is_many).then_some((*range.end(), Fault::ErrorAfter)));
        faults.extend((!makes_room).then_some((*range.end(), Fault::Full)));
        for (place, fault) in faults {
            fail(dir.path(), before, act, (place, fault), &format!("{fault:?} at operation {place}, {name}"));
        }
    }
}

/// The operation once more, with this fault at this place.
fn fail(dir: &Path, before: Before, act: Act, (place, fault): (usize, Fault), what: &str) {
    let root = dir.join("failed");
    let mut stage = Stage::set(&root, before);
    stage.disk.fail(place, fault);
    let outcome = act(&mut stage);
    assert!(stage.disk.has_failed(), "{what}: the place is there");
    match (outcome, &mut stage.ledger) {
        (Err(_), Some(ledger)) => {
            let refused = ledger.flow();
            // Segments that could not be removed are in nobody's way.
            let goes_on = matches!(before, Before::Old) && !what.contains("seg-512") && !what.contains("head");
            assert!(goes_on || matches!(refused, Err(StoreError::Stopped)), "{what}: {refused:?}");
        }
        (Err(_), None) => {}
        (Ok(()), None) => panic!("{what}: it is noticed"),
        // Of all that fails, only the closing of a file that is written no more goes by without a word.
        (Ok(()), Some(ledger)) => {
            let folder = format!("{:04}", ledger.opened.origin.incarnation());
            let names = std::fs::read_dir(stage.state().join(&folder)).unwrap();
            let active = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).max().unwrap();
            let step = stage.disk.steps().into_iter().nth(stage.disk.failed_at()).unwrap();
            let is_active = step.ends_with(&format!("{folder}/{active}"));
            assert!(step.contains("/seg-") && !is_active, "{what}: it is noticed");
        }
    }
    stage.ledger = None;
    let left = dir.join("left");
    let power_cuts = match fault {
        Fault::Error | Fault::Full => vec![Survives::Nothing],
        Fault::ErrorAfter => vec![Survives::Everything],
        Fault::Cut => {
            vec![Survives::Nothing, Survives::Everything, Survives::Some(Rng::with_seed(place as u64))]
        }
    };
    for survives in power_cuts {
        let what = format!("{what}, {survives:?}");
        stage.disk.after_a_cut(&left, survives);
        gone_on_with(&left, &stage.witness, before, &what);
    }
    if fault != Fault::Cut {
        // The process ends, and the machine goes on: what was written is there.
        copy(&root, &left);
        gone_on_with(&left, &stage.witness, before, &format!("{what}, no power cut"));
    }
    std::fs::remove_dir_all(&root).unwrap();
}

/// What is left is not called tampered with, is opened, written to and closed, and has all that was acknowledged. The
/// folder is gone afterwards.
fn gone_on_with(root: &Path, witness: &Witness, before: Before, what: &str) {
    let state = root.join("state");
    let is_behind = matches!(before, Before::Behind);
    if !is_behind {
        witness.examine(&state, what);
    }
    let mut stage = Stage { disk: SimulatedDisk::over(root), ledger: None, witness: witness.clone() };
    stage.open(1000).unwrap_or_else(|error| panic!("{what}: {error}"));
    let opened = &stage.ledger().opened;
    if is_behind {
        assert!(opened.origin.to_string().ends_with("/0002"), "{what}: {}", opened.origin);
    } else {
        assert_eq!((opened.origin.incarnation(), &opened.recovered), (1, &None), "{what}");
    }
    stage.flows(2).unwrap();
    stage.ledger.take().unwrap().stop().unwrap();
    if is_behind {
        let report = verify_here(&state, None);
        // What was lost stays lost, and is said for ever; the ledger after it is whole.
        let exits: Vec<u8> = report.verdicts.iter().map(auditor_common::verify::Verdict::exit).collect();
        assert_eq!(exits.len(), 2, "{what}");
        assert_eq!(exits[0], exit::TAMPERED, "{what}");
        assert!(matches!(exits[1], exit::PROVEN | exit::GAPS), "{what}: {}", report.to_text());
    } else {
        stage.witness.examine(&state, what);
    }
    let (_, opened) = Store::open(&state, &stage.options(2000)).unwrap();
    assert!(matches!(opened.previous, PreviousRun::Stopped { .. }), "{what}: {:?}", opened.previous);
    std::fs::remove_dir_all(root).unwrap();
}

#[test]
fn a_commit() {
    let act: Act = |stage| {
        stage.ledger().store.commit()?;
        stage.told(None)
    };
    check(Before::Running, act, &["commit 0001/seg-000.redb"]);
}

#[test]
fn a_seal() {
    check(Before::Running, Stage::seal, &["commit 0001/seg-000.redb", "write head"]);
}

#[test]
fn a_key_that_is_followed_by_another() {
    let act: Act = |stage| {
        let ledger = stage.ledger();
        let sealed = ledger.store.rotate(ledger.input(), ledger.now, "demand")?;
        stage.told(Some(sealed))
    };
    check(
        Before::Running,
        act,
        &[
            "create keys/0001-e1",
            "sync keys",
            "commit 0001/seg-000.redb",
            "write head",
            "create 0001/epochs.draft",
            "rename 0001/epochs",
            "sync 0001",
            "write keys/0001-e0",
            "remove keys/0001-e0",
            "sync keys",
        ],
    );
}

#[test]
fn a_segment_that_is_followed_by_another() {
    check(
        Before::Filled,
        Stage::seal,
        &[
            "commit 0001/seg-000.redb",
            "write head",
            "create 0001/seg-256.draft",
            "commit 0001/seg-256.draft",
            "rename 0001/seg-256.redb",
            "sync 0001",
            // It is closed.
            "commit 0001/seg-000.redb",
        ],
    );
}

#[test]
fn segments_that_are_removed() {
    let act: Act = |stage| {
        let usage = stage.ledger().store.usage()?;
        let now = stage.ledger().now;
        assert_eq!(usage.removable(now), 2);
        stage.witness.removable = usage.segments[2].first;
        let ledger = stage.ledger();
        ledger.store.retain("schedule", ledger.input(), ledger.now)?;
        stage.told(None)
    };
    check(
        Before::Old,
        act,
        &[
            "commit 0001/seg-512.redb",
            "write head",
            "remove 0001/seg-000.redb",
            "sync 0001",
            "remove 0001/seg-256.redb",
            "sync 0001",
        ],
    );
}

#[test]
fn an_export_that_is_announced() {
    let act: Act = |stage| {
        let export =
            Export { id: [0; 16], nonce: Some(vec![7; 16]), first: 0, last: 1, filter: None, actor: "root".to_owned() };
        let ledger = stage.ledger();
        let announced = ledger.store.announce_export(export, ledger.input(), ledger.now)?;
        stage.told(Some(announced.checkpoint))
    };
    check(Before::Running, act, &["commit 0001/seg-000.redb", "write head"]);
}

#[test]
fn the_first_start() {
    check(
        Before::Nothing,
        |stage| stage.open(0),
        &[
            "create state",
            "sync ",
            "write head",
            "sync state",
            "create keys",
            "sync state",
            "create 0001",
            "sync state",
            "create keys/log",
            "sync keys",
            "create keys/0001-e0",
            "sync keys",
            "create 0001/epochs.draft",
            "rename 0001/epochs",
            "sync 0001",
            "create root.draft",
            "rename root.vkey",
            "sync state",
            "create node.draft",
            "rename node",
            "sync state",
            "create 0001/seg-000.draft",
            "commit 0001/seg-000.draft",
            "rename 0001/seg-000.redb",
            "sync 0001",
            "write head",
        ],
    );
}

#[test]
fn a_start_after_a_kill() {
    check(
        Before::Killed,
        |stage| stage.open(100),
        &[
            // It is repaired, and what was left unsealed is sealed.
            "commit 0001/seg-000.redb",
            "create keys/0001-e1",
            "sync keys",
            "commit 0001/seg-000.redb",
            "write head",
            "create 0001/epochs.draft",
            "rename 0001/epochs",
            "sync 0001",
            "write keys/0001-e0",
            "remove keys/0001-e0",
            "sync keys",
        ],
    );
}

#[test]
fn a_start_with_records_missing() {
    check(
        Before::Behind,
        |stage| stage.open(100),
        &[
            // The old one is looked at, and left as it is.
            "commit 0001/seg-000.redb",
            "create 0002",
            "sync state",
            "create keys/0002-e0",
            "sync keys",
            "create 0002/epochs.draft",
            "rename 0002/epochs",
            "sync 0002",
            "create 0002/seg-000.draft",
            "commit 0002/seg-000.draft",
            "rename 0002/seg-000.redb",
            "sync 0002",
            "write head",
            "write keys/0001-e0",
            "remove keys/0001-e0",
            "sync keys",
        ],
    );
}
