//! The commit, told from top to bottom, with the crash written in.

use std::sync::PoisonError;

use auditor_common::body::{Body, Seal};
use auditor_common::checkpoint::{Checkpoint, SignedCheckpoint};
use auditor_common::merkle::sha256;

use super::append::{self, Batch};
use super::schema::segment_path;
use super::{CheckpointInfo, SealInput, Store, StoreError, read, segment};
use crate::chain::{Chain, Now};
use crate::key::Keys;

/// Signs the tree as it is now.
pub(super) fn sign(keys: &Keys, chain: &Chain) -> SignedCheckpoint {
    let checkpoint = Checkpoint { origin: keys.origin.clone(), size: chain.size(), root: chain.end().range.root() };
    let text = checkpoint.text();
    let (by_log, by_epoch) = (keys.log.sign(&text), keys.epoch.sign(&text));
    let (log, epoch) = ((keys.log.verifier(), &by_log), (keys.epoch.verifier(), &by_epoch));
    SignedCheckpoint::new(checkpoint, keys.number, log, epoch)
}

/// Everything that a SEAL says.
pub(super) fn body(
    input: &SealInput,
    chain: &Chain,
    previous: Option<&SignedCheckpoint>,
    min_index: u64,
    end_of_epoch: bool,
) -> Body {
    Body::Seal(Seal {
        previous_checkpoint: previous.map_or([0; 32], |signed| sha256(signed.to_string().as_bytes())),
        previous_size: previous.map_or(0, |signed| signed.checkpoint.size),
        min_index,
        captured: input.captured,
        lost: input.lost.clone(),
        cpus: input.cpus.clone(),
        hooks: input.hooks.clone(),
        clock: input.clock,
        streams: chain.streams().root(),
        witnessed: vec![],
        binary: input.binary,
        config: input.config,
        end_of_epoch,
    })
}

impl Store {
    /// Seals everything that was appended: SEAL, checkpoint, commit, head file. When this returns, others may be told.
    /// A key that has signed for long enough is followed by the next.
    pub fn seal(&mut self, input: SealInput, now: impl Into<Now>) -> Result<CheckpointInfo, StoreError> {
        let now = now.into();
        let age = now.boot_ns.saturating_sub(self.epoch_boot_ns);
        let reason = (age >= self.limits.epoch_ns).then_some("hour");
        self.seal_and(&input, now, reason)
    }

    /// The same, with the next epoch's key after it, for a reason: see [`auditor_common::body::Rotate`].
    pub fn rotate(
        &mut self,
        input: SealInput,
        now: impl Into<Now>,
        reason: &'static str,
    ) -> Result<CheckpointInfo, StoreError> {
        self.seal_and(&input, now.into(), Some(reason))
    }

    pub(super) fn seal_and(
        &mut self,
        input: &SealInput,
        now: Now,
        rotate: Option<&str>,
    ) -> Result<CheckpointInfo, StoreError> {
        self.synchronised = input.clock.0;
        // 1. A key that signs for the last time vouches for the whole epoch: what the disk has of it is read again first.
        //    A crash here has changed nothing.
        let next = match rotate {
            Some(reason) => Some(self.next_epoch(reason, now).map_err(|error| self.stop(error, now))?),
            None => None,
        };
        // 2. The SEAL is a record like others, and holds the table of streams as the records before it left it. A crash
        //    here loses what was read since the last commit.
        self.tell_of_a_set_clock(now)?;
        let seal = body(input, &self.chain, self.checkpoint.as_ref(), self.min_index(), next.is_some());
        self.append(&seal, now)?;
        self.settle();
        let signed = sign(&self.keys, &self.chain);
        let note = next.as_ref().map(|next| next.note(&self.keys, &self.chain, now));
        // 3. One transaction: records, complete subtrees, checkpoint, end of the chain, the next epoch's note. Durable
        //    when it returns, or not there at all. A crash here: the next start finds the same store, or one that is a
        //    checkpoint ahead of its head file, and goes on from it.
        // 4. The head file. From here on a store that has less is a store that lost something.
        let epoch = next.as_ref().zip(note.as_deref()).map(|(next, note)| (next.number, note));
        let released = self.write(Some(&signed), epoch).and_then(|()| self.head.write(&*self.disk, &signed));
        released.map_err(|error| self.stop(error, now))?;
        // 5. Only now may anybody be told.
        *self.shared.checkpoint.lock().unwrap_or_else(PoisonError::into_inner) = Some(signed.clone());
        let info = CheckpointInfo::of(&signed);
        self.checkpoint = Some(signed);
        // 6. The old key is erased. A crash here leaves it on the disk until the next start, which erases it.
        if let (Some(next), Some(note)) = (next, note) {
            self.begin_epoch(next, &note, now).map_err(|error| self.stop(error, now))?;
        }
        // 7. A segment ends where a checkpoint is. A crash here leaves the old segment, or a new one without records.
        self.next_segment_if_due(now).map_err(|error| self.stop(error, now))?;
        self.recheck_some().map_err(|error| self.stop(error, now))?;
        Ok(info)
    }

    /// The transaction. What was pending is durable when it returns.
    pub(super) fn write(
        &mut self,
        checkpoint: Option<&SignedCheckpoint>,
        epoch: Option<(u32, &str)>,
    ) -> Result<(), StoreError> {
        self.settle();
        let complete = self.chain.take_complete();
        let batch = Batch {
            links: &self.pending,
            complete: &complete,
            checkpoint,
            ends: checkpoint.map(|_| (self.chain.end(), self.chain.aligned())),
            epoch,
            streams: self.streams.unwritten(),
            policy: self.policy.as_ref().map(|(seq, body)| (*seq, body.as_slice())),
            copies: &[],
            waiting: (self.waiting != self.waiting_written).then_some(self.waiting),
            // What a network peer can put into records is checked by a sum that is no hash: at the end of an epoch redb
            // is not to rely on it.
            two_phase: epoch.is_some(),
        };
        let active = self.shared.active.read().unwrap_or_else(PoisonError::into_inner);
        let db = active.db.as_ref().ok_or(StoreError::Stopped)?;
        self.pins.renew(db, self.chain.last().boot_ns);
        append::write(db, &segment_path(&self.shared.folder, active.first), &batch)?;
        drop(active);
        self.durable = self.chain.size();
        self.nothing_is_pending();
        self.streams.written();
        self.policy = None;
        self.waiting_written = self.waiting;
        Ok(())
    }

    /// Begins another segment file if this one is large or old. Called right after a seal.
    ///
    /// A segment begins at a multiple of 256, so that what is before it can be removed at the edge of a tile: the few
    /// records from there to the seal are in both files.
    fn next_segment_if_due(&mut self, now: Now) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        let first = shared.active.read().unwrap_or_else(PoisonError::into_inner).first;
        let path = segment_path(&shared.folder, first);
        let bytes = std::fs::metadata(&path).map_err(|source| StoreError::Io { doing: "measure", path, source })?.len();
        let age = now.wall_ns.saturating_sub(self.segment_wall_ns);
        let start = self.chain.aligned().clone();
        let next = start.range.size();
        if next <= first || !self.limits.is_over(bytes, age) {
            return Ok(());
        }
        let mut reader = self.reader();
        let (links, copies) = (reader.links(next..self.durable)?, reader.notes(next + 1..=self.durable)?);
        let policy = self.policy_in_force.as_ref().map(|(seq, policy)| (*seq, Body::Policy(policy.clone()).encode()));
        let batch = Batch {
            links: &links,
            copies: &copies,
            ends: Some((self.chain.end(), &start)),
            streams: &self.streams.all(),
            policy: policy.as_ref().map(|(seq, body)| (*seq, body.as_slice())),
            waiting: (self.waiting_written > 0).then_some(self.waiting_written),
            ..Batch::default()
        };
        let write = |db: &redb::Database, path: &std::path::Path| append::write(db, path, &batch);
        let db = segment::create(&*self.disk, &shared.folder, &self.keys.origin, &start, write)?;
        self.pins.clear();
        let mut active = shared.active.write().unwrap_or_else(PoisonError::into_inner);
        // Dropping closes the file in good order: it will never be written again.
        *active = read::Active { first: next, db: Some(db) };
        self.segment_wall_ns = now.wall_ns;
        Ok(())
    }

    /// Nothing is written after an error, except the last seal on a full disk.
    pub(super) fn stop(&mut self, error: StoreError, now: Now) -> StoreError {
        self.stopped = true;
        match error {
            StoreError::DiskFull { path, .. } => {
                let sealed = self.seal_on_a_full_disk(now).ok();
                StoreError::DiskFull { path, sealed }
            }
            other => other,
        }
    }

    /// Number of the first record that is kept.
    pub(super) fn min_index(&self) -> u64 {
        segment::list(&self.shared.folder).ok().and_then(|firsts| firsts.first().copied()).unwrap_or_default()
    }
}
