//! Epochs: each key signs for an hour, names the next, and is erased. Before it signs for the last time, what the disk has
//! of its epoch is read again and hashed again: a bit that flipped on the way there is found while it can be named.

use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use auditor_common::body::{Body, Rotate};
use auditor_common::epoch::EpochNote;
use auditor_common::merkle::Hash;
use auditor_common::record::Row;
use redb::ReadTransaction;

use super::disk::Disk;
use super::hashed::{self, Ended};
use super::schema::{ROWS, segment_path};
use super::snapshot::{Torn, in_one_state};
use super::{Store, StoreError, retain, segment};
use crate::chain::{Chain, Now};
use crate::key::{self, KeyPaths, Keys, Signer};

/// How many rows are read again at once, so that few are left at the end of the epoch.
const RECHECK_ROWS: u64 = 65_536;
const CACHE: usize = 1 << 20;

/// The epoch that begins after the seal.
pub(super) struct NextEpoch {
    pub(super) number: u32,
    key: Signer,
}

impl NextEpoch {
    /// The note that says so, signed by the key before it and by the log's.
    pub(super) fn note(&self, keys: &Keys, chain: &Chain, now: Now) -> String {
        let note = EpochNote {
            origin: keys.origin.clone(),
            epoch: self.number,
            start: chain.size(),
            root: chain.end().range.root(),
            key: self.key.verifier().clone(),
            not_before: now.wall_ns / 1_000_000_000,
        };
        key::sign_epoch(&note, &keys.epoch, &keys.log)
    }
}

impl Store {
    /// Makes the next epoch's key, durably, and appends the ROTATE that names it. A key whose note never became durable is
    /// erased at the next start.
    pub(super) fn next_epoch(&mut self, reason: &str, now: Now) -> Result<NextEpoch, StoreError> {
        self.recheck.run(&self.shared.folder, self.durable)?;
        let number = self.keys.number + 1;
        let path = KeyPaths::new(&self.state).epoch(self.keys.origin.incarnation(), number);
        key::erase(&*self.disk, &path)?;
        let key = Signer::generate(&self.keys.origin.epoch_name(number))?;
        key.save(&*self.disk, &path)?;
        let rotate = Rotate { epoch: number, key: *key.verifier().public(), reason: reason.to_owned() };
        self.append(&Body::Rotate(rotate), now)?;
        Ok(NextEpoch { number, key })
    }

    /// From now on the new key signs. Its note is durable; it is copied to where it outlives its segment.
    pub(super) fn begin_epoch(&mut self, next: NextEpoch, note: &str, now: Now) -> Result<(), StoreError> {
        let paths = KeyPaths::new(&self.state);
        let incarnation = self.keys.origin.incarnation();
        keep_note(&*self.disk, &paths.epochs(incarnation), note)?;
        key::erase(&*self.disk, &paths.epoch(incarnation, self.keys.number))?;
        self.keys.epoch = next.key;
        self.keys.number = next.number;
        self.chain.begin_epoch(next.number);
        self.epoch_boot_ns = now.boot_ns;
        Ok(())
    }

    /// Has some of what was sealed read again.
    pub(super) fn recheck_some(&mut self) -> Result<(), StoreError> {
        self.recheck.run_aside(&self.shared.folder, self.durable)
    }
}

/// Adds a note to the file of notes, which is there whole at every moment.
pub(super) fn keep_note(disk: &dyn Disk, path: &Path, note: &str) -> Result<(), StoreError> {
    let mut notes = key::read_small(path, 64 << 20)?;
    notes.extend_from_slice(note.as_bytes());
    Ok(key::publish(disk, path, &notes)?)
}

/// The second reading: some of it on a thread of its own, so that the writer goes on meanwhile, and the rest of it where
/// the writer waits for it.
#[derive(Debug)]
pub(super) struct SecondReading {
    done: Recheck,
    aside: Option<JoinHandle<Result<Recheck, StoreError>>>,
}

impl SecondReading {
    pub(super) fn new(done: Recheck) -> Self {
        Self { done, aside: None }
    }

    /// Waits for the thread. Called before files are removed that it may be reading.
    pub(super) fn wait(&mut self) -> Result<(), StoreError> {
        let Some(aside) = self.aside.take() else { return Ok(()) };
        // A thread that panicked has read nothing: it is read by the writer.
        if let Ok(outcome) = aside.join() {
            self.done = outcome?;
        }
        Ok(())
    }

    /// Reads all rows below `until`.
    fn run(&mut self, folder: &Path, until: u64) -> Result<(), StoreError> {
        self.wait()?;
        self.done.run(folder, until, u64::MAX)
    }

    /// Reads some rows below `until`, if the thread is not busy with those of the last time.
    fn run_aside(&mut self, folder: &Path, until: u64) -> Result<(), StoreError> {
        if self.aside.as_ref().is_some_and(|aside| !aside.is_finished()) {
            return Ok(());
        }
        self.wait()?;
        let (aside, mut recheck) = (folder.to_owned(), self.done);
        let read = move || recheck.run(&aside, until, RECHECK_ROWS).map(|()| recheck);
        match thread::Builder::new().name("read again".to_owned()).spawn(read) {
            Ok(aside) => self.aside = Some(aside),
            // Without a thread it takes the writer's time.
            Err(_) => self.done.run(folder, until, RECHECK_ROWS)?,
        }
        Ok(())
    }
}

impl Drop for SecondReading {
    fn drop(&mut self) {
        let _ = self.wait();
    }
}

fn missing(folder: &Path, seq: u64) -> StoreError {
    StoreError::Corrupt { path: folder.to_owned(), detail: format!("record {seq} is missing") }
}

/// How far the disk has been read again, and the leaf hash that the next row must name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recheck {
    next: u64,
    prev: Hash,
}

impl Recheck {
    /// From this record on, which follows the leaf `prev`.
    pub(super) fn new(next: u64, prev: Hash) -> Self {
        Self { next, prev }
    }

    /// From this record on, or from the first that is kept.
    pub(super) fn from(folder: &Path, next: u64, genesis: Hash) -> Result<Self, StoreError> {
        if next == 0 && segment::list(folder)?.first() == Some(&0) {
            return Ok(Self::new(0, genesis));
        }
        let mut recheck = Self::new(next, genesis);
        if !recheck.skip_removed(folder)? {
            let before = next.saturating_sub(1);
            let (path, torn, _) = place(folder, before)?;
            recheck.prev = in_one_state(&path, CACHE, torn, |txn| {
                let table = txn.open_table(ROWS).map_err(|error| StoreError::of_redb(&path, error))?;
                let row = table.get(before).map_err(|error| StoreError::of_redb(&path, error))?;
                let row = row.as_ref().and_then(|row| Row::parse(row.value()).ok().map(|row| row.leaf()));
                row.ok_or_else(|| missing(folder, before))
            })?
            .0;
        }
        Ok(recheck)
    }

    /// What has been removed by policy meanwhile is not read again. Whether it goes on from a segment's beginning.
    fn skip_removed(&mut self, folder: &Path) -> Result<bool, StoreError> {
        let Some(first) = segment::list(folder)?.first().copied() else { return Ok(false) };
        if self.next > first {
            return Ok(false);
        }
        let start = retain::start(&segment_path(folder, first), Torn::No)?;
        (self.next, self.prev) = (first, start.prev);
        Ok(true)
    }

    /// Reads up to `limit` rows below `until` again; the first that is not what was written is the error.
    pub(super) fn run(&mut self, folder: &Path, until: u64, limit: u64) -> Result<(), StoreError> {
        self.skip_removed(folder)?;
        let until = until.min(self.next.saturating_add(limit));
        while self.next < until {
            let (path, torn, end) = place(folder, self.next)?;
            let end = end.min(until);
            *self = in_one_state(&path, CACHE, torn, |txn| self.after_rows(txn, &path, end))?.0;
        }
        Ok(())
    }

    fn after_rows(mut self, txn: &ReadTransaction, path: &Path, until: u64) -> Result<Self, StoreError> {
        let redb = |error: redb::Error| StoreError::of_redb(path, error);
        let table = txn.open_table(ROWS).map_err(|error| redb(error.into()))?;
        let rows = table.range(self.next..until).map_err(|error| redb(error.into()))?;
        let ended = hashed::each(rows, |key, bytes, [leaf, body_commit]| {
            let fits = |row: &Row<'_>| {
                [key, row.entry.seq] == [self.next; 2]
                    && row.entry.prev == self.prev
                    && row.entry.body_commit == body_commit
            };
            if !Row::parse(bytes).is_ok_and(|row| fits(&row)) {
                let detail = format!("record {} is not what was written", self.next);
                return Err(StoreError::Corrupt { path: path.to_owned(), detail });
            }
            (self.next, self.prev) = (self.next + 1, leaf);
            Ok(())
        });
        match ended {
            Ok(()) if self.next < until => {
                // Said here, where another state of the file is looked at before that is believed.
                Err(StoreError::Corrupt { path: path.to_owned(), detail: format!("record {} is missing", self.next) })
            }
            Ok(()) => Ok(self),
            Err(Ended::Stopped(error)) => Err(error),
            Err(Ended::Unread(error)) => Err(redb(error.into())),
        }
    }
}

/// The segment that a record is in, and where the next one begins. The newest one is written by this process; what closed
/// the others may have been cut short.
fn place(folder: &Path, seq: u64) -> Result<(PathBuf, Torn, u64), StoreError> {
    let firsts = segment::list(folder)?;
    let after = firsts.partition_point(|first| *first <= seq);
    let first = after.checked_sub(1).map(|at| firsts[at]).ok_or_else(|| missing(folder, seq))?;
    let torn = if after == firsts.len() { Torn::No } else { Torn::Maybe };
    Ok((segment_path(folder, first), torn, firsts.get(after).copied().unwrap_or(u64::MAX)))
}
