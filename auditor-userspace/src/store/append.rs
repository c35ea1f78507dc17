//! Durable, atomically: the one transaction that writes records, and the pins that keep what readers may still read.

use std::collections::VecDeque;
use std::path::Path;

use auditor_common::checkpoint::SignedCheckpoint;
use auditor_common::merkle::Complete;
use redb::{Database, Durability, ReadTransaction, ReadableDatabase as _};
use std::ops::Bound;

use super::StoreError;
use super::schema::{
    CHECKPOINTS, EPOCHS, META, META_ALIGNED, META_POLICY, META_SEALED, META_WAITING, ROWS, STREAMS, TILES, tile_key,
};
use crate::chain::{Edge, Link};

/// What becomes durable together, or not at all.
#[derive(Debug, Default)]
pub(super) struct Batch<'a> {
    /// Records, in their order.
    pub(super) links: &'a [Link],
    /// Subtrees that they complete.
    pub(super) complete: &'a [Complete],
    /// The checkpoint over them.
    pub(super) checkpoint: Option<&'a SignedCheckpoint>,
    /// The end of the chain at the checkpoint, and at the last multiple of 256 before it.
    pub(super) ends: Option<(&'a Edge, &'a Edge)>,
    /// Checkpoints that are copied from another segment.
    pub(super) copies: &'a [(u64, Vec<u8>)],
    /// The policy in force: number of its record, and body.
    pub(super) policy: Option<(u64, &'a [u8])>,
    /// The note of an epoch that begins after them.
    pub(super) epoch: Option<(u32, &'a str)>,
    /// Streams that begin with them: instance and key.
    pub(super) streams: &'a [(String, [u8; 16])],
    /// How much was read that has no record yet, if that changed.
    pub(super) waiting: Option<u64>,
    /// Two flushes instead of one: see `DESIGN.md`.
    pub(super) two_phase: bool,
}

/// Writes a batch. Durable when this returns.
pub(super) fn write(db: &Database, path: &Path, batch: &Batch<'_>) -> Result<(), StoreError> {
    insert(db, batch).map_err(|error| StoreError::of_redb(path, error))
}

fn insert(db: &Database, batch: &Batch<'_>) -> Result<(), redb::Error> {
    let mut txn = db.begin_write()?;
    txn.set_durability(Durability::Immediate)?;
    txn.set_two_phase_commit(batch.two_phase);
    {
        let mut rows = txn.open_table(ROWS)?;
        // Numbers only grow: a cursor at the end is faster than looking each place up, and refuses a number that is not
        // larger than the last.
        let mut end = rows.upper_bound_mut(Bound::<u64>::Unbounded)?;
        for link in batch.links {
            end.insert_before(link.seq, link.row.as_slice())?;
        }
        end.close()?;
    }
    if !batch.complete.is_empty() {
        let mut tiles = txn.open_table(TILES)?;
        for complete in batch.complete {
            tiles.insert(tile_key(complete), &complete.hash)?;
        }
    }
    for (size, note) in batch.copies {
        txn.open_table(CHECKPOINTS)?.insert(size, note.as_slice())?;
    }
    if let Some(checkpoint) = batch.checkpoint {
        txn.open_table(CHECKPOINTS)?.insert(checkpoint.checkpoint.size, checkpoint.to_string().as_bytes())?;
    }
    if let Some((sealed, aligned)) = batch.ends {
        let mut meta = txn.open_table(META)?;
        meta.insert(META_SEALED, sealed.to_bytes().as_slice())?;
        meta.insert(META_ALIGNED, aligned.to_bytes().as_slice())?;
    }
    if let Some((seq, body)) = batch.policy {
        let value = [seq.to_be_bytes().as_slice(), body].concat();
        txn.open_table(META)?.insert(META_POLICY, value.as_slice())?;
    }
    if let Some(waiting) = batch.waiting {
        txn.open_table(META)?.insert(META_WAITING, waiting.to_be_bytes().as_slice())?;
    }
    if let Some((epoch, note)) = batch.epoch {
        txn.open_table(EPOCHS)?.insert(epoch, note.as_bytes())?;
    }
    for (instance, key) in batch.streams {
        txn.open_table(STREAMS)?.insert(instance.as_str(), key)?;
    }
    txn.commit()?;
    Ok(())
}

/// How long a committed state stays readable for a reader in another process that nobody knows of.
pub const PIN_NS: u64 = 30_000_000_000;

/// Read transactions that are held so that redb does not use the pages of recent states again.
///
/// One that was begun at `t` keeps every page that a state from `t` on refers to. Two are enough: while the younger is
/// not yet [`PIN_NS`] old, the older is kept.
#[derive(Default)]
pub(super) struct Pins(VecDeque<(u64, ReadTransaction)>);

impl std::fmt::Debug for Pins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pins({})", self.0.len())
    }
}

impl Pins {
    /// Called before each commit: pins the state before it, if the youngest pin is old enough.
    pub(super) fn renew(&mut self, db: &Database, boot_ns: u64) {
        if self.0.back().is_some_and(|(since, _)| boot_ns.saturating_sub(*since) < PIN_NS) {
            return;
        }
        if let Ok(txn) = db.begin_read() {
            self.0.push_back((boot_ns, txn));
            if self.0.len() > 2 {
                self.0.pop_front();
            }
        }
    }

    /// Lets go: the file is about to be closed.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
