//! The clocks of a record, held against those of the record before.

use super::{Finding, Question};
use crate::record::{Entry, EntryType};

/// The clocks may drift apart by this much between two records, besides a thousandth of the time that passed.
const DRIFT_NS: u64 = 1_000_000_000;

/// Does the entry come after that one, by its run and its clocks? `adjacent`: no record lies between them.
pub(super) fn in_order(last: &Entry, entry: &Entry, adjacent: bool) -> Result<(), Finding> {
    let seq = entry.seq;
    let violated =
        |sentence: &str| Err(Finding::violated(Question::Time, Some(seq), format!("record {seq}: {sentence}")));
    // Between a record and the next one that can be seen, anything may have happened that is declared where it did.
    let skipped = adjacent && entry.run > last.run.saturating_add(1);
    if entry.run < last.run || skipped {
        return Err(Finding::integrity(seq, format!("record {seq}: run {} follows run {}", entry.run, last.run)));
    }
    let same_run = entry.run == last.run;
    if same_run && entry.boot_ns < last.boot_ns {
        return violated("the boot clock goes back within a run");
    }
    if entry.kind == EntryType::Clock {
        return Ok(());
    }
    let Some(wall) = entry.wall_ns.checked_sub(last.wall_ns) else {
        return violated("the wall clock goes back, and no record says that it was set");
    };
    let boot = entry.boot_ns.saturating_sub(last.boot_ns);
    if adjacent && same_run && wall.abs_diff(boot) > DRIFT_NS + boot / 1000 {
        return violated("the wall clock jumps, and no record says that it was set");
    }
    Ok(())
}
