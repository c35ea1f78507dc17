//! Checkpoint after checkpoint: roots and signatures.

use super::{Finding, Question, Released, Scope, Verifier};
use crate::body::Seal;
use crate::checkpoint::SignedCheckpoint;
use crate::merkle::{Hash, sha256, subtrees};
use crate::note::NoteError;
use crate::record::Entry;

/// How far the rows are sealed.
#[derive(Clone, Debug, Default)]
pub(super) struct Sealed {
    /// The SEAL that was the last record, until its checkpoint comes.
    due: Option<LastSeal>,
    /// The newest checkpoint that verified.
    pub(super) newest: Option<SignedCheckpoint>,
    /// SHA-256 of its note.
    note_hash: Hash,
    /// When its SEAL was appended, CLOCK_REALTIME nanoseconds.
    pub(super) wall_ns: u64,
    /// It is the last one of its epoch.
    pub(super) ends_epoch: bool,
    /// How many verified.
    pub(super) checkpoints: u64,
    /// One of them is the one that was released.
    pub(super) released_met: bool,
}

impl Sealed {
    /// A SEAL was read: its checkpoint must come before the next row.
    pub(super) fn expect(&mut self, entry: &Entry, seal: &Seal) {
        self.due = Some(LastSeal::of(entry, seal));
    }

    /// Size of the newest checkpoint; 0 if there is none.
    pub(super) fn size(&self) -> u64 {
        self.newest.as_ref().map_or(0, |signed| signed.checkpoint.size)
    }

    /// Does the SEAL name the newest checkpoint as the one before its own? In rows that begin in the middle nobody knows of
    /// the first.
    fn is_named_by(&self, seal: &LastSeal, from_genesis: bool) -> bool {
        let named = (seal.previous_checkpoint, seal.previous_size);
        match &self.newest {
            Some(before) => named == (self.note_hash, before.checkpoint.size),
            None => !from_genesis || named == ([0; 32], 0),
        }
    }
}

/// A SEAL, and what its checkpoint must be like.
#[derive(Clone, Debug)]
struct LastSeal {
    seq: u64,
    end_of_epoch: bool,
    previous_checkpoint: Hash,
    previous_size: u64,
    wall_ns: u64,
    epoch: u32,
}

impl LastSeal {
    fn of(entry: &Entry, seal: &Seal) -> Self {
        Self {
            seq: entry.seq,
            end_of_epoch: seal.end_of_epoch,
            previous_checkpoint: seal.previous_checkpoint,
            previous_size: seal.previous_size,
            wall_ns: entry.wall_ns,
            epoch: entry.epoch,
        }
    }
}

impl Verifier {
    /// Was the last record one whose checkpoint must be there?
    #[must_use]
    pub fn expects_a_checkpoint(&self) -> bool {
        self.sealed.due.as_ref().is_some_and(|seal| seal.end_of_epoch || matches!(self.evidence.scope, Scope::Store))
    }

    /// Looks at the checkpoint of the present size.
    pub fn checkpoint(&mut self, size: u64, note: &[u8]) -> Result<(), Finding> {
        let outcome = self.look_at_checkpoint(size, note);
        self.keep(outcome)
    }

    /// Every SEAL is the last leaf of a checkpoint: one that has none was robbed of it.
    pub(super) fn seal_has_its_checkpoint(&mut self) -> Result<(), Finding> {
        match self.sealed.due.take() {
            None => Ok(()),
            // In a part of a ledger there are those at which epochs end.
            Some(seal) if !matches!(self.evidence.scope, Scope::Store) && !seal.end_of_epoch => Ok(()),
            Some(seal) => {
                Err(Finding::integrity(seal.seq, format!("the checkpoint of size {} is missing", seal.seq + 1)))
            }
        }
    }

    fn look_at_checkpoint(&mut self, size: u64, note: &[u8]) -> Result<(), Finding> {
        let record = size.saturating_sub(1);
        let wrong = |sentence: String| Finding::integrity(record, format!("checkpoint of size {size}: {sentence}"));
        if size > self.next() {
            let sentence = format!("records {} to {record} are missing, which a checkpoint covers", self.next());
            return Err(Finding::violated(Question::Tail, Some(self.next()), sentence));
        }
        self.links.hold()?;
        let signed = SignedCheckpoint::parse(note).map_err(|error| wrong(error.to_string()))?;
        let Some(seal) = self.sealed.due.take() else {
            return Err(wrong("its last record is not a SEAL".to_owned()));
        };
        if signed.checkpoint.size != size || size != self.next() || seal.seq != record {
            return Err(wrong("it is not about the records that come before it".to_owned()));
        }
        if signed.checkpoint.origin != self.identity.origin {
            return Err(wrong("it is about another ledger".to_owned()));
        }
        if signed.epoch != seal.epoch {
            return Err(wrong(format!(
                "it is signed in epoch {}, its records are of epoch {}",
                signed.epoch, seal.epoch
            )));
        }
        self.signatures(&signed, &wrong)?;
        if signed.checkpoint.root != self.tree.root() {
            return Err(Finding::integrity(record, self.between_roots(size)));
        }
        // In a part of a ledger the checkpoint before is not there.
        if matches!(self.evidence.scope, Scope::Store) && !self.sealed.is_named_by(&seal, self.start == 0) {
            return Err(wrong("its SEAL names another checkpoint before it".to_owned()));
        }
        if let Released::Newest(released) = &self.evidence.released
            && released.checkpoint.size == size
        {
            if released.checkpoint != signed.checkpoint {
                let sentence = format!("another root was released at size {size}: the ledger was forked");
                return Err(Finding::violated(Question::Tail, Some(record), sentence));
            }
            self.sealed.released_met = true;
        }
        self.sealed.note_hash = sha256(note);
        self.sealed.ends_epoch = seal.end_of_epoch;
        self.sealed.wall_ns = seal.wall_ns;
        self.sealed.newest = Some(signed);
        self.sealed.checkpoints += 1;
        Ok(())
    }

    /// The tree goes on after the last row: with these subtrees it is the one of this checkpoint.
    pub fn close(&mut self, right: &[Hash], note: &[u8]) -> Result<(), Finding> {
        let outcome = self.look_at_the_rest(right, note);
        self.keep(outcome)
    }

    fn look_at_the_rest(&mut self, right: &[Hash], note: &[u8]) -> Result<(), Finding> {
        self.links.hold()?;
        self.seal_has_its_checkpoint()?;
        let end = self.next();
        let wrong = |sentence: String| Finding::integrity(end.saturating_sub(1), format!("the checkpoint: {sentence}"));
        let signed = SignedCheckpoint::parse(note).map_err(|error| wrong(error.to_string()))?;
        if signed.checkpoint.origin != self.identity.origin {
            return Err(wrong("it is about another ledger".to_owned()));
        }
        self.signatures(&signed, &wrong)?;
        let size = signed.checkpoint.size;
        let epoch = size.checked_sub(1).and_then(|last| self.identity.epoch_of(last));
        if epoch.is_none_or(|epoch| epoch.epoch != signed.epoch) {
            return Err(wrong(format!("it is signed in epoch {}, which its last record is not of", signed.epoch)));
        }
        let mut whole = self.tree.clone();
        let mut hashes = right.iter();
        for (_, height) in subtrees(end, size) {
            let hash = hashes.next().ok_or_else(|| wrong("the tree is not complete".to_owned()))?;
            whole.append_subtree(height, *hash);
        }
        if hashes.next().is_some() || size < end {
            return Err(wrong("there is more of the tree than its size says".to_owned()));
        }
        if whole.root() != signed.checkpoint.root {
            return Err(Finding::integrity(end.saturating_sub(1), self.between_roots(end)));
        }
        self.sealed.newest = Some(signed);
        self.sealed.checkpoints += 1;
        Ok(())
    }

    pub(super) fn signatures(
        &self,
        signed: &SignedCheckpoint,
        wrong: &impl Fn(String) -> Finding,
    ) -> Result<(), Finding> {
        let Some(epoch) = self.identity.epochs.get(signed.epoch as usize) else {
            return Err(wrong(format!("there is no note of epoch {}", signed.epoch)));
        };
        match signed.verify(&self.identity.log, &epoch.key) {
            Ok(_) => Ok(()),
            // The name is ours and the key is not.
            Err(error @ NoteError::Unsigned { .. }) => {
                Err(Finding::Unknown { sentence: format!("checkpoint of size {}: {error}", signed.checkpoint.size) })
            }
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    /// Which records a root that does not fit is about: those since the root before.
    fn between_roots(&self, size: u64) -> String {
        let from = self.sealed.newest.as_ref().map_or(self.start, |before| before.checkpoint.size);
        format!("records {from} to {} are not those that were sealed at size {size}", size - 1)
    }
}
