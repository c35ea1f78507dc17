//! `bench-ledger [ROUNDS] [PART…]`: what the ledger costs, against redb with the same records and SHA-256 of the same bytes,
//! in rounds that interleave the two. Ratios are medians of the rounds: the machine's neighbours change, both sides
//! alike. The parts are `append`, `verify`, `export`, `crash` and `latency`; all by default.
//!
//! `bench-ledger verify-once STATE` verifies a state folder and says how much memory that took: a process of its own.

mod append; // against redb with the same records
mod crash; // a start after a crash, the removal of a segment
mod driven; // a store as the daemon drives it
mod export; // what is handed to somebody
mod latency; // from what happened to what is durable
mod timing; // clocks
mod verify; // against SHA-256 of the same bytes

use std::path::Path;
use std::process::ExitCode;

use auditor_tests::bench::{Row, print};

/// Measures a part of the table, in a folder of its own, in so many rounds.
type Part = fn(&Path, usize) -> Vec<Row>;

const PARTS: &[(&str, Part)] = &[
    ("append", append::appending),
    ("verify", verify::verifying),
    ("export", export::exporting),
    ("crash", crash::crashing),
    ("latency", latency::waiting),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [word, state] = words.as_slice()
        && word == "verify-once"
    {
        verify::verify_once(Path::new(state), 1);
        println!("{}", verify::peak_memory());
        return ExitCode::SUCCESS;
    }
    let rounds = words.first().and_then(|rounds| rounds.parse().ok());
    let wanted = &words[usize::from(rounds.is_some())..];
    if let Some(unknown) = wanted.iter().find(|word| !PARTS.iter().any(|(name, _)| name == *word)) {
        let names: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
        eprintln!("there is no part {unknown}; there are: {}", names.join(", "));
        return ExitCode::from(2);
    }
    // Beside what is built: on a disk, and not in memory.
    let built = xtask::paths::built().expect("a target folder");
    let mut rows = Vec::new();
    for (name, part) in PARTS.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|word| word == name)) {
        eprintln!("measuring: {name}");
        let folder = tempfile::tempdir_in(&built).expect("a temporary folder");
        rows.extend(part(folder.path(), rounds.unwrap_or(5)));
    }
    if print(&rows) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
