//! Verifying, against SHA-256 of the same bytes.
//!
//! What is compared on one thread is compared in seconds of the processor: whoever else uses the machine changes less.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;

use auditor_common::record::ENTRY_LEN;
use auditor_tests::bench::{Row, median, row};
use auditor_userspace::verify::{Request, verify_on};
use sha2::{Digest as _, Sha256};

use super::driven::million;
use super::timing::{Speed, timed};

pub(super) fn verify_once(state: &Path, threads: usize) -> Speed {
    let request = Request { state: state.to_owned(), pinned: None, incarnation: None };
    let (report, time) = timed(|| verify_on(threads, &request, &mut |_| {}).expect("a verification"));
    let verdict = &report.verdicts[0];
    assert!(verdict.finding.is_none(), "{}", report.to_text());
    Speed::of(verdict.records as f64, time)
}

/// The digests that a verifier cannot do without, of the same rows in memory, each hashed by the crate sha2 as its manual
/// shows it, one after the other: leaf, body, and as many nodes as there are leaves.
fn hash(rows: &[Vec<u8>]) -> Speed {
    let (leaf, body, node) = ([0_u8; 1], *b"nal/v1/body\0", [1_u8; 65]);
    let ((), time) = timed(|| {
        for row in rows {
            let (entry, rest) = row.split_at(ENTRY_LEN);
            black_box(Sha256::new().chain_update(leaf).chain_update(entry).finalize());
            black_box(Sha256::new().chain_update(body).chain_update(rest).finalize());
            black_box(Sha256::digest(black_box(node)));
        }
    });
    Speed::of(rows.len() as f64, time)
}

fn bulk() -> Speed {
    let bytes = vec![7_u8; 64 << 20];
    let (digest, time) = timed(|| Sha256::digest(&bytes));
    black_box(digest);
    Speed::of(bytes.len() as f64, time)
}

pub(super) fn verifying(folder: &Path, rounds: usize) -> Vec<Row> {
    let full = million(folder);
    let links = full.store.reader().links(0..200_000).expect("rows");
    let rows: Vec<Vec<u8>> = links.into_iter().map(|link| link.row).collect();
    let bytes = rows.iter().map(Vec::len).sum::<usize>() as f64 / rows.len() as f64;
    let (mut one, mut ratio, mut bulk_ratio, mut two) = (vec![], vec![], vec![], vec![]);
    for _ in 0..rounds {
        let pure = hash(&rows);
        let single = verify_once(&full.state, 1);
        let double = verify_once(&full.state, 2);
        one.push(single.wall / 1e6);
        ratio.push(single.cpu / f64::midpoint(pure.cpu, hash(&rows).cpu));
        bulk_ratio.push(single.cpu * bytes / bulk().cpu);
        two.push(double.wall / single.wall);
    }
    let own = std::env::current_exe().expect("this program");
    let output = Command::new(own).arg("verify-once").arg(&full.state).output().expect("a child");
    let memory: f64 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number");
    vec![
        row("verify, one thread", median(one), "M/s", 1.0, 1.3),
        row("verify against hashing the same", median(ratio), "of SHA-256", 0.80, 0.90),
        row("its bytes against bulk SHA-256", median(bulk_ratio), "of SHA-256", 0.25, 0.33),
        row("verify, two threads against one", median(two), "times", 1.5, 1.8),
        row("peak memory of verify", memory, "MiB", 64.0, 16.0),
    ]
}

/// The peak of this process's memory, MiB.
pub(super) fn peak_memory() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a field");
    line.split_ascii_whitespace().next().expect("a number").parse::<f64>().expect("a number") / 1024.0
}
