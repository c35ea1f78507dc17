//! Finding records by the time at which they were appended, also where the clock was set.
//!
//! Times grow from record to record, except where a CLOCK record says that the clock was set, and from one run to the next.
//! So a segment is looked at in a few places; between two of them nothing was set if the wall clock went on as the boot clock
//! did, and where it did not, the place is narrowed down. What so escapes is a clock that was set and set back between two
//! such places.

use std::path::Path;

use auditor_common::record::{ENTRY_LEN, Entry};
use redb::ReadTransaction;

use super::schema::ROWS;
use super::{Reader, StoreError};

/// In so many places a segment is looked at: with a segment a day, every twenty minutes.
const PLACES: u64 = 72;
/// By so much the two clocks may part without having been set: what the verifier allows.
const DRIFT_NS: u64 = 1_000_000_000;

/// When a record was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    seq: u64,
    wall_ns: u64,
    boot_ns: u64,
    run: u32,
}

impl Moment {
    /// Do times only grow from here to there?
    fn grows_to(&self, next: &Self) -> bool {
        let passed = next.boot_ns.abs_diff(self.boot_ns);
        let apart = (next.wall_ns.wrapping_sub(self.wall_ns)).abs_diff(passed);
        self.run == next.run && next.wall_ns >= self.wall_ns && apart <= DRIFT_NS + passed / 1000
    }
}

impl Reader {
    /// Number of the first record that was not appended before this moment (CLOCK_REALTIME nanoseconds); the size, if
    /// there is none.
    pub fn first_since(&mut self, wall_ns: u64) -> Result<u64, StoreError> {
        let mut before: Option<Moment> = None;
        for (first, end) in self.stretches()? {
            for moment in self.moments(first, end)? {
                if moment.wall_ns >= wall_ns {
                    let from = before.map_or(moment.seq, |before| before.seq + 1);
                    return self.bisect(from, moment.seq, wall_ns);
                }
                before = Some(moment);
            }
        }
        Ok(before.map_or(0, |last| last.seq + 1))
    }

    /// Number after the last record that was appended before this moment (CLOCK_REALTIME nanoseconds); 0, if there is none.
    pub fn end_before(&mut self, wall_ns: u64) -> Result<u64, StoreError> {
        let mut after: Option<Moment> = None;
        for (first, end) in self.stretches()?.into_iter().rev() {
            for moment in self.moments(first, end)?.into_iter().rev() {
                if moment.wall_ns < wall_ns {
                    let to = after.map_or(moment.seq + 1, |after| after.seq);
                    return self.bisect(moment.seq + 1, to, wall_ns);
                }
                after = Some(moment);
            }
        }
        Ok(0)
    }

    /// The first record from `from` to `to` that was not appended before this moment, where times grow; `to`, if there is
    /// none before it.
    fn bisect(&mut self, mut from: u64, mut to: u64, wall_ns: u64) -> Result<u64, StoreError> {
        while from < to {
            let middle = from + (to - from) / 2;
            match self.get(middle)? {
                Some(record) if record.entry.wall_ns < wall_ns => from = middle + 1,
                _ => to = middle,
            }
        }
        Ok(from)
    }

    /// Moments of a segment, in the order of its records, its first and last among them: times grow from each to the next,
    /// or there is no record between them.
    fn moments(&mut self, first: u64, end: u64) -> Result<Vec<Moment>, StoreError> {
        self.in_segment(first, |txn, path| {
            let at = Places { txn, path, first, end };
            let (Some(begin), Some(last)) = (at.next(first)?, at.last()?) else { return Ok(vec![]) };
            let mut found = vec![begin];
            let stride = ((last.seq - begin.seq) / PLACES).max(1);
            let mut before = begin;
            while before.seq < last.seq {
                let Some(next) = at.next((before.seq + stride).min(last.seq))? else { break };
                at.narrow(before, next, &mut found)?;
                before = next;
            }
            Ok(found)
        })
    }
}

/// Where a segment is looked at.
struct Places<'a> {
    txn: &'a ReadTransaction,
    path: &'a Path,
    first: u64,
    end: u64,
}

impl Places<'_> {
    fn moment(&self, rows: std::ops::Range<u64>, backwards: bool) -> Result<Option<Moment>, StoreError> {
        let failed = |error: redb::Error| StoreError::of_redb(self.path, error);
        let table = self.txn.open_table(ROWS).map_err(|error| failed(error.into()))?;
        let mut range = table.range(rows).map_err(|error| failed(error.into()))?;
        let Some(row) = (if backwards { range.next_back() } else { range.next() }) else { return Ok(None) };
        let (seq, row) = row.map_err(|error| failed(error.into()))?;
        let entry = row.value().first_chunk::<ENTRY_LEN>().and_then(|entry| Entry::parse(entry).ok());
        let entry = entry.ok_or_else(|| StoreError::Corrupt {
            path: self.path.to_owned(),
            detail: format!("record {} is not an entry", seq.value()),
        })?;
        Ok(Some(Moment { seq: seq.value(), wall_ns: entry.wall_ns, boot_ns: entry.boot_ns, run: entry.run }))
    }

    fn next(&self, seq: u64) -> Result<Option<Moment>, StoreError> {
        self.moment(seq..self.end, false)
    }

    fn last(&self) -> Result<Option<Moment>, StoreError> {
        self.moment(self.first..self.end, true)
    }

    /// Adds the moments from after `from` up to `to`. Of two parts the left is done first, the right waits.
    fn narrow(&self, from: Moment, to: Moment, found: &mut Vec<Moment>) -> Result<(), StoreError> {
        let (mut from, mut waiting) = (from, vec![to]);
        while let Some(to) = waiting.pop() {
            let middle = match to.seq.checked_sub(from.seq) {
                Some(between @ 2..) if !from.grows_to(&to) => self.next(from.seq + between / 2)?,
                _ => None,
            };
            if let Some(middle) = middle.filter(|middle| middle.seq < to.seq) {
                waiting.extend([to, middle]);
            } else {
                found.push(to);
                from = to;
            }
        }
        Ok(())
    }
}
