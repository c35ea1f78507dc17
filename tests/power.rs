//! Power cuts: the real writer on a disk that keeps some of the sectors that it was not yet told to keep.
//!
//! Each history opens a store, works, loses its power in the middle of one operation of the disk, and is opened again
//! on what is left; then it goes on, up to ten times. Of what the store has said nothing is taken back: see [`examine`].

use std::path::Path;
use std::sync::Arc;

use auditor_common::body::{Export, Policy};
use auditor_common::merkle::Hash;
use auditor_common::note::VerifierKey;
use auditor_common::verify::exit;
use auditor_tests::ledger::{Ledger, options, verify_here};
use auditor_tests::power::{Fault, SimulatedDisk, Survives, folder};
use auditor_userspace::store::{CheckpointInfo, HeadState, OpenOptions, Reader, StoreError, read_head};
use auditor_userspace::verify::{Request, verify};
use fastrand::Rng;

const SECOND: u64 = 1_000_000_000;
/// Power cuts of one history: each begins on what the one before has left.
const CUTS: u64 = 10;

/// What the store does between two cuts, as weights.
#[derive(Clone, Copy)]
struct Work {
    append: u32,
    /// Flows that are appended at once, at most.
    flows: u32,
    commit: u32,
    seal: u32,
    rotate: u32,
    retain: u32,
    export: u32,
    /// Operations of the disk until the power goes, at most.
    life: usize,
}

const USUAL: Work = Work { append: 6, flows: 20, commit: 4, seal: 4, rotate: 1, retain: 0, export: 1, life: 500 };

/// What somebody outside knows: what was acknowledged, and what was released.
#[derive(Default)]
struct Witness {
    root: Option<VerifierKey>,
    /// Leaf hashes of acknowledged records, from the first on.
    leaves: Vec<Hash>,
    released: Option<CheckpointInfo>,
    /// Records that a PRUNE was sealed for: they may be gone, and need not.
    removable: u64,
    second: u64,
}

fn how(second: u64, disk: &SimulatedDisk) -> OpenOptions {
    let mut options = options(second);
    options.disk = Arc::new(disk.clone());
    options.limits.reserve_bytes = 4096;
    options.limits.segment_ns = 20 * SECOND;
    options.policy = Policy { keep_ns: 60 * SECOND, max_bytes: u64::MAX, min_ns: 30 * SECOND, actor: "a test".into() };
    options
}

/// Works until the power goes, or the work is done.
fn live(
    disk: &SimulatedDisk,
    state: &Path,
    work: Work,
    rng: &mut Rng,
    witness: &mut Witness,
) -> Result<(), StoreError> {
    witness.second += 100;
    let mut ledger = Ledger::open(state, &how(witness.second, disk))?;
    witness.root = Some(ledger.opened.root.clone());
    assert_eq!(ledger.opened.recovered, None, "nothing that was signed is missing");
    note(&ledger, ledger.opened.checkpoint.clone(), witness)?;
    for _ in 0..40 {
        let wait = rng.u64(0..8);
        ledger.wait(wait);
        witness.second += wait;
        let mut left = rng.u32(..work.append + work.commit + work.seal + work.rotate + work.retain + work.export);
        let mut falls_on = |weight: u32| {
            let it_does = left < weight;
            left = left.wrapping_sub(weight);
            it_does
        };
        if falls_on(work.append) {
            for _ in 0..rng.u32(1..work.flows) {
                ledger.flow()?;
            }
        } else if falls_on(work.commit) {
            ledger.store.commit()?;
            note(&ledger, None, witness)?;
        } else if falls_on(work.seal) {
            let sealed = ledger.seal()?;
            note(&ledger, Some(sealed), witness)?;
        } else if falls_on(work.rotate) {
            let sealed = ledger.store.rotate(ledger.input(), ledger.now, "demand")?;
            ledger.note_sealed();
            note(&ledger, Some(sealed), witness)?;
        } else if falls_on(work.retain) {
            // What a PRUNE announces may be gone as soon as it is durable, acknowledged or not.
            let before = witness.removable;
            let usage = ledger.store.usage()?;
            let first = usage.segments[usage.removable(ledger.now)].first;
            witness.removable = before.max(first);
            if ledger.store.retain("schedule", ledger.input(), ledger.now)?.is_some() {
                ledger.note_sealed();
            }
            note(&ledger, None, witness)?;
        } else {
            let announced = ledger.store.announce_export(export(), ledger.input(), ledger.now)?;
            ledger.note_sealed();
            note(&ledger, Some(announced.checkpoint), witness)?;
        }
    }
    Ok(())
}

fn export() -> Export {
    Export { id: [0; 16], nonce: Some(vec![7; 16]), first: 0, last: 1, filter: None, actor: "a test".to_owned() }
}

/// The store has said something: what is durable counts as acknowledged, and a checkpoint as released.
fn note(ledger: &Ledger, released: Option<CheckpointInfo>, witness: &mut Witness) -> Result<(), StoreError> {
    let from = witness.leaves.len() as u64;
    let known = ledger.store.acknowledged();
    let mut reader = ledger.store.reader();
    // What was removed between two words was seen by nobody.
    let first = reader.range(from, 1)?.first().map_or(from, |record| record.entry.seq);
    witness.leaves.resize(first as usize, [0; 32]);
    witness.leaves.extend(reader.leaves(first..known)?);
    assert_eq!(witness.leaves.len() as u64, known);
    witness.released = released.or(witness.released.take());
    Ok(())
}

/// What is left of a state folder, against what somebody outside knows.
fn examine(state: &Path, witness: &Witness, what: &str) {
    let request = Request { state: state.to_owned(), pinned: witness.root.clone(), incarnation: None };
    let Some(released) = &witness.released else {
        // Nobody was told of anything: there may be nothing, but what is there is not called tampered with.
        if let Ok(report) = verify(&request, &mut |_| {}) {
            assert_ne!(report.exit(), exit::TAMPERED, "{what}: {}", report.to_text());
        }
        return;
    };
    let report = verify(&request, &mut |_| {}).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(matches!(report.exit(), exit::PROVEN | exit::GAPS), "{what}: {}", report.to_text());

    // Witnessed ≤ head file ≤ store.
    let mut reader = Reader::on_files(&state.join("0001"));
    let head = match read_head(&state.join("head")).expect("a head file") {
        HeadState::Newest(signed) => CheckpointInfo::of(&signed),
        other => panic!("{what}: {other:?}"),
    };
    let store = CheckpointInfo::of(&reader.checkpoint().expect("a store").expect("a checkpoint"));
    assert!(released.size <= head.size && head.size <= store.size, "{what}: {released:?} {head:?} {store:?}");
    for known in [released, &head] {
        let kept = reader.notes(known.size..=known.size).expect("a store");
        assert!(kept.iter().all(|(_, note)| *note == known.note.as_bytes()), "{what}: another checkpoint");
        assert!(kept.len() == 1 || known.size <= witness.removable, "{what}: checkpoint {} is gone", known.size);
    }

    // Each record that was acknowledged is there, once, and what it was.
    let records = reader.range(0, usize::MAX).expect("a store");
    let first = records.first().map_or(0, |record| record.entry.seq);
    assert!(first <= witness.removable, "{what}: {first} is the first record, and {} may be", witness.removable);
    for (record, seq) in records.iter().zip(first..) {
        assert_eq!(record.entry.seq, seq, "{what}");
        let known = witness.leaves.get(seq as usize).filter(|leaf| **leaf != [0; 32]);
        assert!(known.is_none_or(|leaf| *leaf == record.leaf), "{what}: record {seq} is another one");
    }
    let size = first + records.len() as u64;
    assert!(size >= witness.leaves.len() as u64, "{what}: {size} of {} acknowledged records", witness.leaves.len());
}

/// Histories with these seeds.
fn check(seeds: std::ops::Range<u64>, work: Work) {
    for seed in seeds {
        let dir = folder();
        let mut rng = Rng::with_seed(seed);
        let mut witness = Witness::default();
        let mut here = dir.path().join("0");
        std::fs::create_dir(&here).unwrap();
        for cut in 1..=CUTS {
            let what = format!("seed {seed}, cut {cut}");
            let disk = SimulatedDisk::over(&here);
            disk.fail(rng.usize(..work.life), Fault::Cut);
            let ended = live(&disk, &here.join("state"), work, &mut rng, &mut witness);
            assert!(ended.is_ok() || disk.has_failed(), "{what}: {}", ended.unwrap_err());
            let before = std::mem::replace(&mut here, dir.path().join(cut.to_string()));
            let survives = match rng.u8(..8) {
                0 => Survives::Nothing,
                1 => Survives::Everything,
                _ => Survives::Some(rng.fork()),
            };
            disk.after_a_cut(&here, survives);
            std::fs::remove_dir_all(before).unwrap();
            examine(&here.join("state"), &witness, &what);
        }
        let disk = SimulatedDisk::over(&here);
        live(&disk, &here.join("state"), work, &mut rng, &mut witness).unwrap();
        let what = format!("seed {seed}, at the end");
        examine(&here.join("state"), &witness, &what);
        let report = verify_here(&here.join("state"), witness.root.as_ref());
        assert_eq!(report.verdicts.len(), 1, "{what}");
    }
}

#[test]
fn commits_and_seals_that_are_cut_short() {
    check(0..14, USUAL);
}

#[test]
fn keys_that_change_while_the_power_goes() {
    check(100..112, Work { rotate: 6, ..USUAL });
}

#[test]
fn segments_that_are_removed_while_the_power_goes() {
    check(200..214, Work { append: 12, flows: 60, retain: 5, life: 1500, ..USUAL });
}

#[test]
fn starts_that_are_cut_short() {
    check(300..310, Work { life: 90, ..USUAL });
}
