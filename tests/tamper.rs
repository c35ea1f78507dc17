//! Whatever is done to a ledger after it was sealed is found, named, and never made worse by looking.

use std::fs;

use auditor_common::note::VerifierKey;
use auditor_common::record::at::TYPE;
use auditor_common::verify::{Finding, Question, Standing, exit};
use auditor_tests::ledger::{Ledger, contents, options, read_if_asked, verify_here, verify_in_child, write};
use auditor_tests::robber::{Robber, segment};
use auditor_userspace::store::schema::{META, META_SCHEMA};
use auditor_userspace::store::{Store, StoreError};
use auditor_userspace::verify::Report;

/// The program of a test that reads in a process of its own: see `verify_in_child`.
#[test]
fn the_reading_process() {
    read_if_asked();
}

/// Writes a ledger, lets the attacker at it, and verifies.
fn after(attack: impl FnOnce(&Robber)) -> Report {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 5, 20);
    attack(&Robber::on(dir.path()));
    verify_here(dir.path(), None)
}

fn named(report: &Report) -> (u8, Option<u64>, String) {
    match &report.verdicts[0].finding {
        Some(Finding::Violated { record, sentence, .. }) => (report.exit(), *record, sentence.clone()),
        other => panic!("{other:?}: {}", report.to_text()),
    }
}

fn check_named(report: &Report, record: u64, words: &str) {
    let (code, named, sentence) = named(report);
    assert_eq!((code, named), (exit::TAMPERED, Some(record)), "{sentence}");
    assert!(sentence.contains(words), "{sentence}");
}

#[test]
fn an_honest_ledger_is_proven() {
    let dir = tempfile::tempdir().unwrap();
    let opened = write(dir.path(), 5, 20);
    let report = verify_here(dir.path(), Some(&opened.root));
    assert_eq!(report.exit(), exit::PROVEN, "{}", report.to_text());
    let verdict = &report.verdicts[0];
    for question in Question::ALL {
        let expected = if question == Question::Time { Standing::NotProven } else { Standing::Proven };
        assert_eq!(verdict.answer(question).standing, expected, "{}", report.to_text());
    }
    assert_eq!((verdict.records, verdict.size, verdict.unsealed), (211, 211, 0));
    assert_eq!(verify_in_child(dir.path()).to_text(), verify_here(dir.path(), None).to_text());
}

#[test]
fn a_changed_byte_anywhere_in_a_row_names_the_row() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 3, 4);
    let attacker = Robber::on(dir.path());
    let size = attacker.size();
    // GENESIS, POLICY, a SEAL, RUN, a flow's beginning and end, the last but one, the last SEAL.
    for seq in [0, 1, 2, 3, 4, 5, size - 2, size - 1] {
        let row = attacker.row(seq);
        for at in 0..row.len() {
            let mut changed = row.clone();
            changed[at] ^= 0x10;
            attacker.put(seq, &changed);
            let report = verify_here(dir.path(), None);
            let (code, record, sentence) = named(&report);
            assert_eq!(code, exit::TAMPERED, "record {seq}, byte {at}: {sentence}");
            // Whether a link or what it leads to was changed shows at the next link; under a checkpoint there is none.
            let is_seal = changed[TYPE] == 3;
            let near = record == Some(seq) || is_seal && record == Some(seq - 1) && sentence.contains("the link to it");
            assert!(near, "record {seq}, byte {at}: {sentence}");
        }
        attacker.put(seq, &row);
    }
    assert_eq!(verify_here(dir.path(), None).exit(), exit::PROVEN);
}

#[test]
fn a_row_that_is_longer_or_shorter_is_named() {
    check_named(&after(|it| it.put(50, &[it.row(50), vec![0]].concat())), 50, "the body has");
    check_named(&after(|it| it.put(50, &it.row(50)[..200])), 50, "the body has");
    check_named(&after(|it| it.put(50, &it.row(50)[..100])), 50, "only 100 bytes");
    check_named(&after(|it| it.put(50, &[])), 50, "only 0 bytes");
}

#[test]
fn a_deleted_row_is_missing() {
    check_named(&after(|it| it.delete(50)), 50, "record 50 is missing");
    check_named(&after(|it| it.delete(0)), 0, "record 0 is missing");
}

#[test]
fn a_deleted_row_with_all_later_ones_renumbered_is_found() {
    let report = after(|it| {
        for seq in 50..it.size() - 1 {
            it.put(seq, &it.row(seq + 1));
        }
        it.delete(it.size() - 1);
    });
    check_named(&report, 50, "in truth record 51");
}

#[test]
fn two_swapped_rows_are_found() {
    let report = after(|it| {
        let (one, other) = (it.row(50), it.row(51));
        it.put(50, &other);
        it.put(51, &one);
    });
    check_named(&report, 50, "in truth record 51");
}

#[test]
fn a_repeated_row_is_found() {
    check_named(&after(|it| it.put(it.size(), &it.row(50))), 211, "in truth record 50");
}

#[test]
fn a_missing_checkpoint_is_named_even_if_its_neighbour_is_missing_too() {
    let report = after(|it| {
        let gone = &it.checkpoints()[2..4];
        it.retain(|_| true, |size| !gone.contains(&size));
    });
    check_named(&report, 85, "the checkpoint of size 86 is missing");
}

#[test]
fn a_tail_cut_inside_a_batch_or_to_an_older_checkpoint_is_found() {
    let report = after(|it| it.cut(150));
    assert_eq!(report.verdicts[0].answer(Question::Tail).standing, Standing::Violated);
    check_named(&report, 127, "84 signed records are missing after record 126");
    let report = after(|it| it.cut(it.checkpoints()[3]));
    check_named(&report, 127, "84 signed records are missing");
}

#[test]
fn rows_cut_from_under_their_checkpoints_are_missing() {
    let report = after(|it| it.retain(|seq| seq < 150, |_| true));
    check_named(&report, 150, "records 150 to 167 are missing");
}

/// Nothing on the host knows better than the host: this takes a witness, and the verdict says so.
#[test]
fn a_tail_cut_together_with_its_head_file_needs_a_witness() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path(), &options(0)).unwrap();
    ledger.flow().unwrap();
    ledger.seal().unwrap();
    let copied = contents(dir.path());
    ledger.flow().unwrap();
    ledger.seal().unwrap();
    drop(ledger);
    for (path, content) in copied {
        fs::write(path, content).unwrap();
    }
    let report = verify_here(dir.path(), None);
    assert_eq!(report.exit(), exit::PROVEN, "{}", report.to_text());
    assert!(report.to_text().contains("no witness confirms them"));
}

#[test]
fn a_head_file_that_is_gone_or_damaged_is_not_forgotten() {
    for (harm, words) in [(None, "is missing"), (Some([7; 8192].as_slice()), "cannot be read")] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 2, 2);
        let head = dir.path().join("head");
        match harm {
            None => fs::remove_file(head).unwrap(),
            Some(bytes) => fs::write(head, bytes).unwrap(),
        }
        let report = verify_here(dir.path(), None);
        assert_eq!(report.exit(), exit::TAMPERED);
        assert!(report.verdicts[0].answer(Question::Tail).sentence.contains(words), "{}", report.to_text());
    }
}

#[test]
fn a_ledger_of_other_keys_cannot_be_verified_with_ours() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let pinned = write(ours.path(), 2, 2).root;
    write(theirs.path(), 2, 2);
    assert_eq!(verify_here(theirs.path(), Some(&pinned)).exit(), exit::UNKNOWN);
    // Their keys beside our ledger.
    for name in ["node", "root.vkey", "0001/epochs"] {
        fs::copy(theirs.path().join(name), ours.path().join(name)).unwrap();
    }
    assert_eq!(verify_here(ours.path(), Some(&pinned)).exit(), exit::UNKNOWN);
    assert_eq!(verify_here(ours.path(), None).exit(), exit::TAMPERED);
}

#[test]
fn another_ledgers_segment_is_not_ours() {
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(ours.path(), 2, 2);
    write(theirs.path(), 2, 2);
    fs::copy(segment(theirs.path()), segment(ours.path())).unwrap();
    assert_eq!(named(&verify_here(ours.path(), None)).0, exit::TAMPERED);
}

#[test]
fn a_signature_or_a_root_of_a_checkpoint_that_was_changed_is_found() {
    for needle in ["\n147\n", "— audit.example/cluster-a/node-7/0001 ", "— audit.example/cluster-a/node-7/0001/e0 "]
    {
        let report = after(|it| {
            let note = it.checkpoint(127);
            let needle = needle.replace("147", "127");
            let at = note.find(&needle).unwrap() + needle.len() + 10;
            let mut bytes = note.into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            it.put_checkpoint(127, std::str::from_utf8(&bytes).unwrap());
        });
        let code = report.exit();
        assert!(code == exit::TAMPERED, "{}", report.to_text());
    }
}

#[test]
fn a_store_of_a_newer_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 2, 2);
    let attacker = Robber::on(dir.path());
    let txn = attacker.db.begin_write().unwrap();
    txn.open_table(META).unwrap().insert(META_SCHEMA, 99_u32.to_be_bytes().as_slice()).unwrap();
    txn.commit().unwrap();
    drop(attacker);
    assert_eq!(verify_here(dir.path(), None).exit(), exit::UNKNOWN);
    let before = contents(dir.path());
    assert!(matches!(Store::open(dir.path(), &options(100)), Err(StoreError::NewerSchema { found: 99, known: 1 })));
    assert!(contents(dir.path()) == before, "the store of a newer version was changed");
}

#[test]
fn looking_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 3, 10);
    let before = contents(dir.path());
    assert_eq!(verify_in_child(dir.path()).exit(), exit::PROVEN);
    Robber::on(dir.path()).delete(9);
    let tampered = contents(dir.path());
    assert_eq!(verify_in_child(dir.path()).exit(), exit::TAMPERED);
    assert!(contents(dir.path()) == tampered && tampered != before);
}

/// The shortest of all random generators will do: what matters is that the seeds are fixed.
fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn damaged_pages_never_pass_and_never_take_the_verifier_with_them() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 10, 50);
    let whole = fs::read(segment(dir.path())).unwrap();
    let mut found = 0;
    for seed in 1..=60_u64 {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut damaged = whole.clone();
        let page = random(&mut state) as usize % (whole.len() / 4096) * 4096;
        match seed % 3 {
            0 => damaged[page..page + 4096].iter_mut().for_each(|byte| *byte = random(&mut state) as u8),
            1 => damaged[page..page + 64].iter_mut().for_each(|byte| *byte ^= random(&mut state) as u8),
            _ => damaged.truncate(page.max(1)),
        }
        fs::write(segment(dir.path()), &damaged).unwrap();
        let code = verify_in_child(dir.path()).exit();
        // A page that holds nothing of ours may be anything.
        assert!(code == exit::TAMPERED || code == exit::PROVEN, "seed {seed}: {code}");
        found += u32::from(code == exit::TAMPERED);
    }
    assert!(found > 15, "{found} of 60");
    fs::write(segment(dir.path()), &whole).unwrap();
    assert_eq!(verify_in_child(dir.path()).exit(), exit::PROVEN);
}

#[test]
fn a_ledger_that_is_being_written_is_proven_at_every_moment() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path(), &options(0)).unwrap();
    ledger.seal().unwrap();
    let path = dir.path().to_owned();
    std::thread::scope(|scope| {
        let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let writing = std::sync::Arc::clone(&done);
        scope.spawn(move || {
            for round in 0..400 {
                for _ in 0..5 {
                    ledger.flow().unwrap();
                }
                ledger.store.commit().unwrap();
                if round % 7 == 0 {
                    ledger.wait(1);
                    ledger.seal().unwrap();
                }
            }
            writing.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        let mut looks = 0;
        while !done.load(std::sync::atomic::Ordering::Relaxed) || looks == 0 {
            let report = verify_here(&path, None);
            assert_eq!(report.exit(), exit::PROVEN, "{}", report.to_text());
            looks += 1;
        }
    });
}

#[test]
fn a_pinned_log_key_does_as_well_as_a_pinned_root() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 1, 1);
    let note = fs::read_to_string(dir.path().join("node")).unwrap();
    let log = VerifierKey::parse(note.lines().nth(2).unwrap()).unwrap();
    assert_eq!(verify_here(dir.path(), Some(&log)).exit(), exit::PROVEN);
}

#[test]
fn a_store_behind_its_head_stays_violated_and_the_next_ledger_is_proven() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path(), &options(0)).unwrap();
    ledger.flow().unwrap();
    ledger.seal().unwrap();
    let old = fs::read(segment(dir.path())).unwrap();
    ledger.flow().unwrap();
    ledger.seal().unwrap();
    drop(ledger);
    fs::write(segment(dir.path()), old).unwrap();
    assert_eq!(verify_here(dir.path(), None).exit(), exit::TAMPERED);

    let ledger = Ledger::open(dir.path(), &options(50)).unwrap();
    assert_eq!(ledger.opened.recovered.as_ref().unwrap().missing, Some(3));
    let root = ledger.opened.root.clone();
    ledger.stop().unwrap();
    let report = verify_here(dir.path(), Some(&root));
    assert_eq!(report.exit(), exit::TAMPERED);
    assert_eq!(report.verdicts[0].answer(Question::Tail).standing, Standing::Violated, "{}", report.to_text());
    let second = &report.verdicts[1];
    assert_eq!(second.answer(Question::Authenticity).standing, Standing::Proven, "{}", report.to_text());
    assert!(second.exit() != exit::TAMPERED, "{}", report.to_text());
}
