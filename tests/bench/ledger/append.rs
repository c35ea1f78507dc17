//! Appending, against redb with the same records.
//!
//! Both sides begin with the same bodies in memory, encode them, and have every batch durable before the next. What the
//! store does beyond that is what is measured: commitments, the chain, the tree, seals with two signatures each second or
//! each 16,384 records, and the second reading of what was written, by a thread beside it. Its share of the processor
//! counts in the row for a CPU-second, which is of the whole process.

use std::ops::Bound;
use std::path::Path;

use auditor_common::body::Body;
use auditor_common::record::{ENTRY_LEN, SALT_LEN};
use auditor_tests::bench::{Row, median, row};
use auditor_tests::ledger::options;
use redb::{Database, Durability, TableDefinition};

use super::driven::{Full, bodies};
use super::timing::{Time, timed};

const ROWS: TableDefinition<u64, &[u8]> = TableDefinition::new("rows");

/// redb and nothing else.
struct Raw {
    db: Database,
    next: u64,
}

impl Raw {
    /// With as much memory for pages as the store allows itself.
    fn create(path: &Path) -> Self {
        let db = Database::builder().set_cache_size(64 << 20).create(path).expect("a database");
        Self { db, next: 0 }
    }

    /// Encodes the same bodies into rows of the same length, and stores them: no hash, no link, no seal.
    fn append(&mut self, bodies: &[Body], batch: usize) {
        for part in bodies.chunks(batch) {
            let row = |body: &Body| {
                let mut row = vec![0x5a; ENTRY_LEN + SALT_LEN];
                body.encode_into(&mut row);
                row
            };
            let rows: Vec<Vec<u8>> = part.iter().map(row).collect();
            let mut txn = self.db.begin_write().expect("a transaction");
            txn.set_durability(Durability::Immediate).expect("durability");
            {
                let mut table = txn.open_table(ROWS).expect("a table");
                let mut end = table.upper_bound_mut(Bound::<u64>::Unbounded).expect("its end");
                for row in &rows {
                    end.insert_before(self.next, row.as_slice()).expect("a row");
                    self.next += 1;
                }
                end.close().expect("the rows");
            }
            txn.commit().expect("a commit");
        }
    }
}

/// What was measured of one batch size in one round: rows, the store's time, redb's time.
type Pair = (usize, Time, Time);

pub(super) fn appending(folder: &Path, rounds: usize) -> Vec<Row> {
    let mut how = options(0);
    how.limits.segment_bytes = u64::MAX;
    let mut full = Full::open(&folder.join("append"), &how);
    let mut raw = Raw::create(&folder.join("raw.redb"));
    let mut pairs: Vec<(usize, Vec<Pair>)> = vec![(1, vec![]), (128, vec![]), (1024, vec![]), (8192, vec![])];
    for round in 0..rounds {
        for (batch, measured) in &mut pairs {
            let count = match *batch {
                1 => 400,
                128 => 12_800,
                1024 => 51_200,
                _ => 98_304,
            };
            let mut bodies = bodies(count);
            // Whoever comes first has the worse caches: they take turns.
            let (ours, theirs) = if round % 2 == 0 {
                let ours = timed(|| full.append(&mut bodies, *batch)).1;
                (ours, timed(|| raw.append(&bodies, *batch)).1)
            } else {
                let theirs = timed(|| raw.append(&bodies, *batch)).1;
                (timed(|| full.append(&mut bodies, *batch)).1, theirs)
            };
            measured.push((bodies.len(), ours, theirs));
        }
    }
    let of = |batch: usize| &pairs.iter().find(|(size, _)| *size == batch).expect("a batch").1;
    let ratio =
        |batch, time: fn(&Time) -> f64| median(of(batch).iter().map(|(_, ours, theirs)| time(theirs) / time(ours)));
    let speed = |batch, side: fn(&Pair) -> Time| median(of(batch).iter().map(|pair| pair.0 as f64 / side(pair).wall));
    let wall = |time: &Time| time.wall;
    for batch in [1, 128, 1024, 8192] {
        let (ours, theirs) = (speed(batch, |pair| pair.1), speed(batch, |pair| pair.2));
        println!("batch {batch:>5}: {ours:>9.0} records/s, redb alone {theirs:>9.0} rows/s");
    }
    let best = [1024, 8192].into_iter().map(|batch| speed(batch, |pair| pair.1)).fold(0.0, f64::max);
    vec![
        row("append against redb, batch 128", ratio(128, wall), "of redb", 0.75, 0.90),
        row("append against redb, batch 1,024", ratio(1024, wall), "of redb", 0.70, 0.85),
        row("append against redb, batch 8,192", ratio(8192, wall), "of redb", 0.70, 0.90),
        row("the same for a CPU-second, batch 1,024", ratio(1024, |time| time.cpu), "of redb", 0.55, 0.65),
        row("durable records", best / 1e3, "k/s", 100.0, 180.0),
        row("single durable records", speed(1, |pair| pair.1), "/s", 1500.0, 3000.0),
    ]
}
