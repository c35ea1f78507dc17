//! Two verifiers, written apart from each other, say the same about every export, whole or harmed.

use std::path::Path;

use auditor_common::note::VerifierKey;
use auditor_common::verify::exit;
use auditor_tests::bundle::{Bundle, Thief};
use auditor_tests::ledger::{Ledger, at, options, three_instances};
use auditor_tests::mutate::{Random, harm, harm_files, harm_list};
use auditor_tests::second::{Both, Brought};
use auditor_userspace::export::Request;
use auditor_userspace::store::Limits;

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
    let mut ledger = three_instances(dir.path());
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

/// Exports of every kind of one ledger, and the keys that lie on its host.
fn kinds(dir: &Path) -> (Vec<(Bundle, Brought)>, Thief) {
    let mut options = options(0);
    options.limits = Limits { epoch_ns: 8_000_000_000, reserve_bytes: 1 << 20, ..Limits::default() };
    let mut ledger = Ledger::open(dir, &options).unwrap();
    for _ in 0..20 {
        ledger.second(&[("alpha", 5), ("beta", 2)]);
    }
    ledger.decide().unwrap();
    let seen = ledger.store.reader().checkpoint().unwrap().map(|signed| signed.to_string());
    let second = |second| Some(at(second).wall_ns);
    let mut kinds = Vec::new();
    for (instance, from, to, nonce) in [
        (None, None, None, true),
        (None, None, second(10), false),
        (None, second(17), None, false),
        (Some("alpha"), None, None, false),
        (Some("beta"), second(17), second(19), true),
    ] {
        let nonce = nonce.then(|| vec![9; 8]);
        let instance = instance.map(str::to_owned);
        let request = Request { instance, from_wall_ns: from, to_wall_ns: to, nonce: nonce.clone(), html: false };
        let mut bundle = Bundle::of(dir, &mut ledger, &request);
        *bundle.file_mut("SPEC.md") = b"see the release\n".to_vec();
        kinds.push((bundle, Brought { nonce, last_seen: seen.clone(), ..Brought::key(&ledger.opened.root) }));
    }
    let number = kinds[0].0.signed().epoch;
    let thief = Thief::of(dir, 1, number);
    for (bundle, _) in &mut kinds {
        thief.relist(bundle);
    }
    (kinds, thief)
}

/// Is there nothing else in what was harmed than in what is whole? The specification proves nothing, and hash tiles, which
/// an export need not have, nothing that its entries do not, nor GENESIS what the notes of the keys do not. Why a body is not there is the word of whoever signs the list,
/// and coverage is then not proven.
fn says_the_same(harmed: &Bundle, whole: &Bundle, code: u8) -> bool {
    let proves = |path: &str| {
        let optional = path.starts_with("tile/") && !path.contains("entries");
        let bodies = path.starts_with("bodies/") && code == exit::GAPS;
        !["EXPORT", "SPEC.md", "proof.html", "proofs/0.tlog-proof"].contains(&path) && !optional && !bodies
    };
    let kept = |bundle: &Bundle| -> Vec<(String, Vec<u8>)> {
        bundle.0.clone().into_iter().filter(|(path, _)| proves(path)).collect()
    };
    kept(harmed) == kept(whole)
}

/// How many exports are harmed.
const HARMED: u64 = 2_400;

#[test]
fn both_say_the_same_about_two_thousand_harmed_exports() {
    let mut both = both_or_skip!();
    let dir = tempfile::tempdir().unwrap();
    let (kinds, thief) = kinds(dir.path());
    for (bundle, brought) in &kinds {
        let heard = both.files(bundle, brought).unwrap();
        assert!(matches!(heard.said.exit, exit::PROVEN | exit::GAPS), "{}", heard.rust);
    }
    let (mut differ, mut codes) = (Vec::new(), [0; 6]);
    for seed in 0..HARMED {
        let random = &mut Random::new(seed);
        let (mut bundle, brought) = kinds[seed as usize % kinds.len()].clone();
        let heard = match seed % 6 {
            0 => {
                let (whole, mut archive) = (bundle.archive(), bundle.archive());
                harm(&mut archive, random);
                if archive != whole {
                    bundle.0.clear();
                }
                both.archive(&archive, &brought)
            }
            // The list is as it was: what was harmed is found by its hash.
            1 => {
                harm_files(&mut bundle, random);
                both.files(&bundle, &brought)
            }
            2 => {
                harm(bundle.file_mut("EXPORT"), random);
                both.files(&bundle, &brought)
            }
            3 => {
                harm_list(&mut bundle, &thief, random);
                both.files(&bundle, &brought)
            }
            // The list is signed again: nothing but what the files hold can give it away.
            _ => {
                (0..=random.below(2)).for_each(|_| harm_files(&mut bundle, random));
                thief.relist(&mut bundle);
                both.files(&bundle, &brought)
            }
        };
        let whole = &kinds[seed as usize % kinds.len()].0;
        match heard {
            Ok(heard) => {
                codes[usize::from(heard.said.exit)] += 1;
                let refused = matches!(heard.said.exit, exit::TAMPERED | exit::UNKNOWN);
                assert!(refused || says_the_same(&bundle, whole, heard.said.exit), "seed {seed}: {}", heard.rust);
            }
            Err(error) => differ.push(format!("seed {seed}: {error}")),
        }
    }
    println!("exit codes {codes:?}, {} differ", differ.len());
    assert!(differ.is_empty(), "{}", differ[..differ.len().min(5)].join("\n\n"));
    assert!(codes[usize::from(exit::TAMPERED)] > HARMED / 2, "{codes:?}");
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
