//! Two verifiers, written apart from each other, say the same about every export, whole or harmed.

use std::path::Path;

use auditor_common::note::VerifierKey;
use auditor_common::verify::exit;
use auditor_tests::bundle::{Bundle, Thief};
use auditor_tests::ledger::{Ledger, at, options};
use auditor_tests::second::{Both, Brought};
use auditor_userspace::export::Request;
use auditor_userspace::store::Limits;

/// Three instances, four epochs, three segments, 1,269 records.
fn ledger(dir: &Path) -> Ledger {
    let mut options = options(0);
    options.limits =
        Limits { epoch_ns: 20_000_000_000, segment_ns: 30_000_000_000, reserve_bytes: 1 << 20, ..Limits::default() };
    let mut ledger = Ledger::open(dir, &options).unwrap();
    for second in 0..60 {
        for (instance, flows) in [("alpha", 8), ("beta", second % 5), ("gamma", u64::from(second == 7))] {
            instance.clone_into(&mut ledger.instance);
            for _ in 0..flows {
                ledger.flow().unwrap();
            }
        }
        ledger.wait(1);
        ledger.seal().unwrap();
    }
    ledger
}

fn both() -> Result<Both, String> {
    Both::start()
}

macro_rules! both_or_skip {
    () => {
        match both() {
            Ok(both) => both,
            Err(reason) => return auditor_tests::skip(&reason),
        }
    };
}

#[test]
fn both_say_the_same_about_what_is_honest() {
    let mut both = both_or_skip!();
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = ledger(dir.path());
    let second = |second| Some(at(second).wall_ns);
    for instance in [None, Some("alpha"), Some("beta"), Some("gamma")] {
        for (from, to) in [(None, None), (second(25), second(40)), (None, second(20)), (second(30), None)] {
            let instance = instance.map(str::to_owned);
            let nonce = from.is_some().then(|| vec![7; 16]);
            let request = Request { instance, from_wall_ns: from, to_wall_ns: to, nonce: nonce.clone(), html: false };
            let bundle = Bundle::of(dir.path(), &mut ledger, &request);
            let brought = Brought { nonce, ..Brought::key(&ledger.opened.root) };
            let heard = both.files(&bundle, &brought).unwrap();
            let expected = if from.is_some() { exit::GAPS } else { exit::PROVEN };
            assert_eq!(heard.said.exit, expected, "{request:?}: {}", heard.rust);
            assert_eq!(both.archive(&bundle.archive(), &brought).unwrap().said, heard.said);
        }
    }
}

/// An export as small as can be: the specification is left away, and the list signed again.
fn small(dir: &Path) -> (Bundle, VerifierKey) {
    let mut ledger = Ledger::open(dir, &options(0)).unwrap();
    ledger.flow().unwrap();
    ledger.wait(1);
    let mut bundle = Bundle::of(dir, &mut ledger, &Request::default());
    *bundle.file_mut("SPEC.md") = b"see the release\n".to_vec();
    Thief::of(dir, 1, 0).relist(&mut bundle);
    (bundle, ledger.opened.root.clone())
}

#[test]
fn every_byte_of_an_export_counts() {
    let mut both = both_or_skip!();
    let dir = tempfile::tempdir().unwrap();
    let (bundle, root) = small(dir.path());
    let (mut archive, brought) = (bundle.archive(), Brought::key(&root));
    let whole = both.archive(&archive, &brought).unwrap();
    assert_eq!(whole.said.exit, exit::PROVEN, "{}", whole.rust);
    let begun = std::time::Instant::now();
    let mut differ = Vec::new();
    for at in 0..archive.len() {
        archive[at] ^= 1 << (at % 8);
        match both.archive(&archive, &brought) {
            Ok(heard) => {
                let refused = matches!(heard.said.exit, exit::TAMPERED | exit::UNKNOWN);
                assert!(refused, "byte {at}: {}", heard.rust);
            }
            Err(error) => differ.push(format!("byte {at}: {error}")),
        }
        archive[at] ^= 1 << (at % 8);
    }
    println!("{} bytes in {} s, {} differ", archive.len(), begun.elapsed().as_secs(), differ.len());
    assert!(differ.is_empty(), "{}", differ[..differ.len().min(3)].join("\n\n"));
}
