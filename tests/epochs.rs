//! A key signs for its own time and for no other: whoever has stolen one cannot sign for yesterday, nor for tomorrow.

use std::fs;

use auditor_common::epoch::EpochNote;
use auditor_common::verify::{Finding, Question, exit};
use auditor_tests::ledger::{Ledger, options, verify_here};
use auditor_userspace::key::{self, KeyPaths, Signer};
use auditor_userspace::store::schema::EPOCHS;

/// A ledger of two epochs, ten minutes each, whose second note was signed again with a stolen key, and says that its epoch
/// began so many seconds later (or earlier). What the verifier says.
fn forged(seconds: i64) -> (u8, Option<Finding>) {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path(), &options(0)).unwrap();
    for _ in 0..10 {
        ledger.flow().unwrap();
        ledger.wait(60);
        ledger.seal().unwrap();
    }
    let paths = KeyPaths::new(dir.path());
    let stolen = Signer::load(&paths.epoch(1, 0)).unwrap();
    ledger.store.rotate(ledger.input(), ledger.now, "demand").unwrap();
    ledger.note_sealed();
    for _ in 0..10 {
        ledger.flow().unwrap();
        ledger.wait(60);
        ledger.seal().unwrap();
    }
    ledger.stop().unwrap();
    let notes = key::read_epochs(dir.path(), 1).unwrap();
    let [first, second] = notes.as_slice() else { panic!("two epochs") };
    let not_before = second.epoch.not_before.checked_add_signed(seconds).unwrap();
    let log = Signer::load(&paths.log()).unwrap().renamed(&second.epoch.origin.to_string()).unwrap();
    let note = key::sign_epoch(&EpochNote { not_before, ..second.epoch.clone() }, &stolen, &log);
    fs::write(paths.epochs(1), format!("{first}{note}")).unwrap();
    let db = redb::Database::open(dir.path().join("0001/seg-00000000000000000000.redb")).unwrap();
    let transaction = db.begin_write().unwrap();
    transaction.open_table(EPOCHS).unwrap().insert(1, note.as_bytes()).unwrap();
    transaction.commit().unwrap();
    drop(db);
    let verdict = verify_here(dir.path(), None).verdicts.remove(0);
    (verdict.exit(), verdict.finding)
}

fn check(seconds: i64, expected: Option<&str>) {
    let (code, finding) = forged(seconds);
    let found = match &finding {
        Some(Finding::Violated { question: Question::Time, sentence, .. }) => Some(sentence.as_str()),
        other => other.as_ref().map(Finding::sentence),
    };
    let fits = match (found, expected) {
        (Some(found), Some(expected)) => code == exit::TAMPERED && found.contains(expected),
        (found, expected) => code != exit::TAMPERED && found == expected,
    };
    assert!(fits, "{seconds}: {code} {finding:?}");
}

#[test]
fn a_record_that_is_older_than_the_epoch_of_its_key_is_refused() {
    check(301, Some("lies outside of epoch 1"));
}

#[test]
fn a_record_that_is_younger_than_the_next_epoch_is_refused() {
    check(-301, Some("lies outside of epoch 0"));
}

#[test]
fn clocks_may_differ_a_little() {
    check(0, None);
    check(290, None);
    check(-290, None);
}
