//! The store from its outside: what it acknowledges is there after any end, and what it released it never loses
//! silently.

use std::fs;
use std::path::Path;

use auditor_common::body::{Body, Loss, Policy, RunStart, RunStop};
use auditor_tests::ledger::{at, options};
use auditor_userspace::chain::Now;
use auditor_userspace::store::{
    OpenOptions, Opened, PreviousRun, Reader, SealInput, SegmentUse, Store, StoreError, Usage,
};

fn open(dir: &Path, second: u64) -> (Store, Opened) {
    Store::open(dir, &options(second)).unwrap()
}

fn loss(count: u64) -> Body {
    Body::Loss(Loss {
        gap: 1,
        count: Some(count),
        from_wall_ns: None,
        until_wall_ns: None,
        detail: "a test".to_owned(),
    })
}

fn start() -> Body {
    Body::RunStart(RunStart {
        version: "0.1.0".to_owned(),
        kernel: "6.1".to_owned(),
        boot_id: [3; 16],
        binary: [1; 32],
        config: [2; 32],
        scope: "odoo".to_owned(),
        previous: "none".to_owned(),
        hooks: vec![],
    })
}

fn input() -> SealInput {
    SealInput { clock: (true, 1000), binary: [1; 32], config: [2; 32], ..SealInput::default() }
}

#[test]
fn a_new_store_has_its_keys_and_its_first_seal() {
    let dir = tempfile::tempdir().unwrap();
    let (store, opened) = open(dir.path(), 0);
    assert_eq!(opened.origin.to_string(), "audit.example/cluster-a/node-7/0001");
    assert_eq!((opened.run, opened.previous, store.acknowledged()), (1, PreviousRun::None, 3));
    assert!(opened.created);
    assert_eq!(opened.checkpoint.unwrap().size, 3);
}

#[test]
fn what_is_committed_is_there_after_a_kill_and_is_sealed_first() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = open(dir.path(), 0);
    store.append(&start(), at(1)).unwrap();
    for i in 0..100 {
        assert_eq!(store.append(&loss(i), at(1)).unwrap(), 4 + i);
    }
    store.commit().unwrap();
    assert_eq!((store.acknowledged(), store.unsealed()), (104, 101));
    store.append(&loss(7), at(2)).unwrap();
    drop(store);

    let (mut store, opened) = open(dir.path(), 10);
    assert_eq!(opened.previous, PreviousRun::Interrupted { last_wall_ns: at(1).wall_ns });
    assert_eq!((opened.run, store.acknowledged(), store.unsealed()), (2, 106, 0));
    store.append(&Body::RunStop(RunStop { reason: "signal".to_owned() }), at(11)).unwrap();
    store.seal(input(), at(11)).unwrap();
    drop(store);
    assert_eq!(open(dir.path(), 20).1.previous, PreviousRun::Stopped { last_wall_ns: at(11).wall_ns });
}

#[test]
fn a_reader_sees_what_is_durable_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = open(dir.path(), 0);
    let mut here = store.reader();
    let mut there = Reader::on_files(&dir.path().join("0001"));
    for i in 0..50 {
        store.append(&loss(i), at(1)).unwrap();
    }
    assert_eq!(here.size().unwrap(), 3);
    store.commit().unwrap();
    for reader in [&mut here, &mut there] {
        assert_eq!(reader.size().unwrap(), 53);
        let records = reader.range(10, 5).unwrap();
        assert_eq!(records.iter().map(|record| record.entry.seq).collect::<Vec<_>>(), [10, 11, 12, 13, 14]);
        assert_eq!(records[0].body, Ok(loss(7)));
        assert_eq!(reader.newest(u64::MAX, 2).unwrap()[0].entry.seq, 52);
        assert_eq!(reader.checkpoint().unwrap().unwrap().checkpoint.size, 3);
    }
}

#[test]
fn a_second_daemon_is_told_to_wait() {
    let dir = tempfile::tempdir().unwrap();
    let (_store, _) = open(dir.path(), 0);
    assert!(matches!(Store::open(dir.path(), &options(1)), Err(StoreError::Busy { .. })));
}

#[test]
fn segments_follow_each_other_and_readers_do_not_notice() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(0);
    options.limits.segment_ns = 10_000_000_000;
    let (mut store, _) = Store::open(dir.path(), &options).unwrap();
    let mut reader = store.reader();
    for second in 1..60 {
        for i in 0..40 {
            store.append(&loss(i), at(second)).unwrap();
        }
        store.seal(input(), at(second)).unwrap();
    }
    let files = fs::read_dir(dir.path().join("0001")).unwrap().count();
    assert!(files >= 5, "{files} files");
    let seqs: Vec<u64> = reader.range(0, 10_000).unwrap().iter().map(|record| record.entry.seq).collect();
    assert_eq!(seqs, (0..store.acknowledged()).collect::<Vec<_>>());
    let newest: Vec<u64> = reader.newest(1000, 990).unwrap().iter().map(|record| record.entry.seq).collect();
    assert_eq!(newest, (10..1000).rev().collect::<Vec<_>>());
    drop(store);
    let (store, opened) = Store::open(dir.path(), &options).unwrap();
    // The clock is back at its beginning, and another epoch begins: CLOCK, ROTATE, SEAL.
    assert_eq!((opened.recovered, store.acknowledged()), (None, seqs.len() as u64 + 3));
}

/// Against every record, one after the other.
#[test]
fn records_are_found_by_their_time_wherever_the_clock_was_set() {
    for seed in 0..6 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let dir = tempfile::tempdir().unwrap();
        let mut options = options(0);
        options.limits.segment_ns = 10_000_000_000;
        let (mut store, _) = Store::open(dir.path(), &options).unwrap();
        let mut step = 0;
        for second in 1..60 {
            if seed > 0 && second % 7 == 0 {
                step = rng.i64(-30..30) * 1_000_000_000;
            }
            let mut now = at(second);
            now.wall_ns = now.wall_ns.wrapping_add_signed(step);
            for i in 0..40 {
                store.append(&loss(i), now).unwrap();
            }
            store.seal(input(), now).unwrap();
            if second == 30 {
                drop(store);
                store = Store::open(dir.path(), &OpenOptions { now, ..options.clone() }).unwrap().0;
            }
        }
        let mut reader = store.reader();
        let all: Vec<u64> = reader.range(0, 10_000).unwrap().iter().map(|record| record.entry.wall_ns).collect();
        for quarter in -200..400_i64 {
            let moment = at(0).wall_ns.wrapping_add_signed(quarter * 250_000_000);
            let first = all.iter().position(|wall_ns| *wall_ns >= moment).unwrap_or(all.len());
            let end = all.iter().rposition(|wall_ns| *wall_ns < moment).map_or(0, |last| last + 1);
            let found = (reader.first_since(moment).unwrap(), reader.end_before(moment).unwrap());
            assert_eq!(found, (first as u64, end as u64), "seed {seed}, {quarter} quarters of a second");
        }
    }
}

/// Does this to a closed store, opens it again, and says what the daemon would declare missing.
fn recovered(harm: impl FnOnce(&Path)) -> Option<(Option<u64>, String)> {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = open(dir.path(), 0);
    store.append(&start(), at(1)).unwrap();
    store.seal(input(), at(1)).unwrap();
    drop(store);
    fs::create_dir(dir.path().join("old")).unwrap();
    for name in ["head", "0001/seg-00000000000000000000.redb"] {
        fs::copy(dir.path().join(name), dir.path().join("old").join(name.split('/').next_back().unwrap())).unwrap();
    }
    let (mut store, _) = open(dir.path(), 10);
    store.append(&start(), at(11)).unwrap();
    store.seal(input(), at(11)).unwrap();
    drop(store);
    harm(dir.path());
    let (store, opened) = open(dir.path(), 20);
    let expected = if opened.recovered.is_some() { "0002" } else { "0001" };
    assert!(opened.origin.to_string().ends_with(expected));
    drop(store);
    // It is declared once: the next start goes on.
    assert_eq!(open(dir.path(), 30).1.recovered, None);
    opened.recovered.map(|recover| (recover.missing, recover.cause))
}

#[test]
fn a_store_that_was_put_back_is_not_appended_to() {
    let (missing, cause) = recovered(|dir| {
        let name = "seg-00000000000000000000.redb";
        fs::copy(dir.join("old").join(name), dir.join("0001").join(name)).unwrap();
    })
    .unwrap();
    assert_eq!(missing, Some(4));
    assert!(cause.contains("4 signed records are missing"), "{cause}");
}

#[test]
fn a_head_file_that_is_gone_is_not_forgotten() {
    assert!(recovered(|dir| fs::remove_file(dir.join("head")).unwrap()).unwrap().1.contains("head file is gone"));
    let unreadable = recovered(|dir| fs::write(dir.join("head"), [7; 8192]).unwrap()).unwrap();
    assert!(unreadable.1.contains("head file cannot be read"));
}

#[test]
fn a_store_that_is_gone_or_cannot_be_read_begins_another_ledger() {
    let gone = recovered(|dir| fs::remove_file(dir.join("0001/seg-00000000000000000000.redb")).unwrap()).unwrap();
    assert_eq!((gone.0, gone.1.as_str()), (Some(9), "the store is gone"));
    let unreadable = recovered(|dir| {
        let path = dir.join("0001/seg-00000000000000000000.redb");
        let len = fs::metadata(&path).unwrap().len();
        fs::write(&path, vec![0x5a; len as usize]).unwrap();
    })
    .unwrap();
    assert!(unreadable.1.contains("cannot be read"), "{}", unreadable.1);
}

#[test]
fn a_crash_between_commit_and_head_file_is_no_loss() {
    assert_eq!(recovered(|dir| assert!(fs::copy(dir.join("old/head"), dir.join("head")).is_ok())), None);
}

/// Names of the private keys in a state folder.
fn private_keys(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir.join("keys"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn each_epoch_has_a_key_and_only_the_last_one_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(0);
    options.limits.epoch_ns = 10_000_000_000;
    let (mut store, _) = Store::open(dir.path(), &options).unwrap();
    for second in 1..=35 {
        store.append(&loss(second), at(second)).unwrap();
        store.seal(input(), at(second)).unwrap();
    }
    assert_eq!(private_keys(dir.path()), ["0001-e3", "log"]);
    store.rotate(input(), at(36), "demand").unwrap();
    drop(store);
    options.now = at(40);
    drop(Store::open(dir.path(), &options).unwrap());
    assert_eq!(private_keys(dir.path()), ["0001-e5", "log"]);
    let notes = auditor_userspace::key::read_epochs(dir.path(), 1).unwrap();
    assert_eq!(notes.iter().map(|note| note.epoch.epoch).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
}

/// What the disk looks like when a crash comes between the steps of a rotation, and that it is put right.
#[test]
fn a_crash_in_the_middle_of_a_rotation_is_put_right() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = open(dir.path(), 0);
    store.append(&loss(1), at(1)).unwrap();
    store.seal(input(), at(1)).unwrap();
    let key = |epoch| dir.path().join(format!("keys/0001-e{epoch}"));
    let old_key = fs::read(key(0)).unwrap();
    let old_notes = fs::read(dir.path().join("0001/epochs")).unwrap();
    store.rotate(input(), at(2), "demand").unwrap();
    drop(store);
    // The new key was durable, and so was the transaction; the note was not copied, and the old key not erased.
    fs::write(key(0), old_key).unwrap();
    fs::write(dir.path().join("0001/epochs"), old_notes).unwrap();
    // And another rotation had begun, of which nothing but its key became durable.
    fs::write(key(2), fs::read(key(1)).unwrap()).unwrap();
    let (store, opened) = open(dir.path(), 10);
    assert_eq!(opened.recovered, None);
    assert_eq!(private_keys(dir.path()), ["0001-e2", "log"]);
    drop(store);
    let notes = auditor_userspace::key::read_epochs(dir.path(), 1).unwrap();
    assert_eq!(notes.iter().map(|note| note.epoch.epoch).collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn a_bit_that_flipped_on_the_disk_is_found_before_the_epoch_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, _) = open(dir.path(), 0);
    let seq = store.append(&loss(0x1234_5678), at(1)).unwrap();
    store.seal(input(), at(1)).unwrap();
    // The row is read again at the seal after its own; before that, a bit of it flips.
    let path = dir.path().join("0001/seg-00000000000000000000.redb");
    store.append(&loss(0x1122_3344), at(2)).unwrap();
    store.commit().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let needle = [0x1a, 0x11, 0x22, 0x33, 0x44];
    let places: Vec<usize> = (0..bytes.len() - 5).filter(|at| bytes[*at..*at + 5] == needle).collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place + 4] ^= 1;
    }
    fs::write(&path, bytes).unwrap();
    match store.rotate(input(), at(3), "demand") {
        Err(StoreError::Corrupt { detail, .. }) => {
            assert_eq!(detail, format!("record {} is not what was written", seq + 2));
        }
        other => panic!("{other:?}"),
    }
}

/// A store of several segments, a second apart, that keeps for so long; when the oldest may go it is told what time it is.
fn retained(keep_s: u64, max_bytes: u64, min_s: u64) -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(0);
    options.limits.segment_ns = 10_000_000_000;
    let second = 1_000_000_000;
    options.policy =
        Policy { keep_ns: keep_s * second, max_bytes, min_ns: min_s * second, actor: "root (0)".to_owned() };
    let (mut store, _) = Store::open(dir.path(), &options).unwrap();
    for second in 1..=60 {
        for i in 0..40 {
            store.append(&loss(i), at(second)).unwrap();
        }
        store.seal(input(), at(second)).unwrap();
    }
    (dir, store)
}

#[test]
fn what_is_old_enough_is_removed_and_the_room_is_back_at_once() {
    let (dir, mut store) = retained(30, u64::MAX, 20);
    let mut reader = store.reader();
    // A reader that has looked into every segment does not keep one on the disk.
    assert_eq!(reader.range(0, 10_000).unwrap().len() as u64, store.acknowledged());
    let before = store.usage().unwrap();
    let removed = store.retain("schedule", input(), at(61)).unwrap().unwrap();
    let after = store.usage().unwrap();
    assert!(before.segments.len() > after.segments.len());
    assert_eq!((removed.min_index % 256, after.segments[0].first), (0, removed.min_index));
    assert_eq!(removed.records, removed.min_index);
    let deleted = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .filter(|path| path.starts_with(dir.path()) && path.to_string_lossy().contains("(deleted)"))
        .count();
    assert_eq!(deleted, 0);
    let first = reader.range(0, 1).unwrap()[0].entry.seq;
    assert_eq!(first, removed.min_index);
    // There is nothing more to remove.
    assert_eq!(store.retain("schedule", input(), at(61)).unwrap(), None);
    // And what comes later goes on.
    store.append(&loss(1), at(62)).unwrap();
    store.seal(input(), at(62)).unwrap();
    drop(store);
    let mut options = options(100);
    options.policy.actor = "another".to_owned();
    assert_eq!(Store::open(dir.path(), &options).unwrap().1.recovered, None);
}

#[test]
fn a_store_that_is_too_large_keeps_what_is_too_young() {
    let (_dir, mut store) = retained(1000, 1, 45);
    let removed = store.retain("schedule", input(), at(61)).unwrap().unwrap();
    let kept = store.usage().unwrap();
    assert!(removed.records > 0 && kept.bytes() > 1);
    assert!(kept.segments[0].newest_wall_ns + 45_000_000_000 > at(61).wall_ns);
}

#[test]
fn a_policy_is_a_record_and_the_same_policy_is_none() {
    let (_dir, mut store) = retained(1000, 1, 45);
    let policy = store.usage().unwrap().policy;
    assert_eq!(store.set_policy(&policy, at(61)).unwrap(), None);
    let other = Policy { keep_ns: 7, ..policy };
    let seq = store.set_policy(&other, at(61)).unwrap().unwrap();
    store.commit().unwrap();
    assert_eq!(store.reader().get(seq).unwrap().unwrap().body, Ok(Body::Policy(other)));
}

#[test]
fn the_days_that_are_left_are_foretold() {
    let segment = |first: u64, bytes: u64, oldest: u64, newest: u64| SegmentUse {
        first,
        bytes,
        oldest_wall_ns: oldest * 1_000_000_000,
        newest_wall_ns: newest * 1_000_000_000,
    };
    let policy = Policy { keep_ns: 1_000_000_000_000, max_bytes: 4000, min_ns: 0, actor: String::new() };
    let mut usage = Usage { segments: vec![segment(0, 500, 0, 50), segment(9, 500, 50, 100)], policy };
    let now = |second: u64| Now { wall_ns: second * 1_000_000_000, boot_ns: 0 };
    // 1000 bytes in 100 s: 3000 more take 300 s; at the end of the time there would be 10,000.
    assert_eq!(usage.full_in_ns(now(100)), Some(300_000_000_000));
    usage.policy.max_bytes = 10_000;
    assert_eq!(usage.full_in_ns(now(100)), None);
}
