//! What happens seldom: a start after a crash, and the removal of a segment.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::path::Path;

use auditor_common::body::Policy;
use auditor_tests::bench::{Row, row};
use auditor_tests::ledger::{copy, options};
use auditor_userspace::store::list_segments;

use super::driven::{Full, UNSEALED, bodies};
use super::timing::timed;

const MIB: f64 = (1 << 20) as f64;

/// Takes what the kernel has kept of a file out of its memory.
fn forget(path: &Path) {
    let file = File::open(path).expect("a file");
    file.sync_all().expect("a file");
    // SAFETY: the descriptor is open; the call takes no pointers.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
}

pub(super) fn crashing(folder: &Path, _: usize) -> Vec<Row> {
    let live = folder.join("live");
    let mut how = options(0);
    how.limits.segment_bytes = u64::MAX;
    let mut full = Full::open(&live, &how);
    let segment = live.join("0001/seg-00000000000000000000.redb");
    while fs::metadata(&segment).expect("a segment").len() < 256 << 20 {
        let mut bodies = bodies(UNSEALED);
        full.append(&mut bodies, 8192);
    }
    // As it is at this moment, not closed: what a crash leaves behind.
    let crashed = folder.join("crashed");
    copy(&live, &crashed);
    drop(full);
    fs::remove_dir_all(&live).expect("our own folder");
    let segment = crashed.join("0001/seg-00000000000000000000.redb");
    let bytes = fs::metadata(&segment).expect("a segment").len() as f64;
    forget(&segment);
    let second = 1_000_000_000;
    let mut how = options(100_000);
    let policy = Policy { keep_ns: 3600 * second, max_bytes: u64::MAX, min_ns: 0, actor: "a test".to_owned() };
    let (full, opened) = timed(|| Full::open(&crashed, &how));
    drop(full);
    // It is large enough now: the first seal begins another.
    how.limits.segment_bytes = 1;
    let mut full = Full::open(&crashed, &how);
    full.store.set_policy(&policy, full.now).expect("a policy");
    full.seal();
    assert_eq!(list_segments(&crashed.join("0001")).expect("a folder").len(), 2);
    full.now.wall_ns += 7200 * second;
    full.now.boot_ns += 7200 * second;
    let input = full.input();
    let (removed, pruned) = timed(|| full.store.retain("schedule", input, full.now).expect("a store"));
    assert_eq!(removed.map(|removed| removed.min_index > 0), Some(true));
    vec![
        row("opening a segment of 256 MiB after a crash", opened.wall * 256.0 * MIB / bytes, "s", 2.0, 1.0),
        row("removing a segment of 256 MiB", pruned.wall * 1e3, "ms", 50.0, 5.0),
    ]
}
