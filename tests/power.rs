//! Power cuts: the real writer on a disk that keeps some of the sectors that it was not yet told to keep.
//!
//! Each history opens a store, works, loses its power in the middle of one operation of the disk, and is opened again
//! on what is left; then it goes on, up to ten times. Of what the store has said nothing is taken back: see [`Witness::examine`].

use std::path::Path;
use std::sync::Arc;

use auditor_common::body::{Export, Policy};
use auditor_tests::ledger::{Ledger, options, verify_here};
use auditor_tests::power::{Fault, SimulatedDisk, Survives, folder};
use auditor_tests::witness::Witness;
use auditor_userspace::store::{OpenOptions, StoreError};
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
    witness.note(&ledger, ledger.opened.checkpoint.clone())?;
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
            witness.note(&ledger, None)?;
        } else if falls_on(work.seal) {
            let sealed = ledger.seal()?;
            witness.note(&ledger, Some(sealed))?;
        } else if falls_on(work.rotate) {
            let sealed = ledger.store.rotate(ledger.input(), ledger.now, "demand")?;
            ledger.note_sealed();
            witness.note(&ledger, Some(sealed))?;
        } else if falls_on(work.retain) {
            // What a PRUNE announces may be gone as soon as it is durable, acknowledged or not.
            let before = witness.removable;
            let usage = ledger.store.usage()?;
            let first = usage.segments[usage.removable(ledger.now)].first;
            witness.removable = before.max(first);
            if ledger.store.retain("schedule", ledger.input(), ledger.now)?.is_some() {
                ledger.note_sealed();
            }
            witness.note(&ledger, None)?;
        } else {
            let announced = ledger.store.announce_export(export(), ledger.input(), ledger.now)?;
            ledger.note_sealed();
            witness.note(&ledger, Some(announced.checkpoint))?;
        }
    }
    Ok(())
}

fn export() -> Export {
    Export { id: [0; 16], nonce: Some(vec![7; 16]), first: 0, last: 1, filter: None, actor: "a test".to_owned() }
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
            witness.examine(&here.join("state"), &what);
        }
        let disk = SimulatedDisk::over(&here);
        live(&disk, &here.join("state"), work, &mut rng, &mut witness).unwrap();
        let what = format!("seed {seed}, at the end");
        witness.examine(&here.join("state"), &what);
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
