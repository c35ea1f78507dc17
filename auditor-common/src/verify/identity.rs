//! Whose keys: from the key that the verifier pinned to the log's, and along the epochs.

use super::{Finding, Question};
use crate::epoch::{EpochNote, SignedEpoch, SignedNode};
use crate::note::{NoteError, VerifierKey};
use crate::origin::{Origin, root_name};

/// What the verifier brings along.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// The root's key, or the log's, known by another way than from what is verified.
    pub pinned: Option<VerifierKey>,
}

/// The keys of one ledger, each signed by the one before.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Name of the ledger.
    pub origin: Origin,
    /// The root key: pinned, or as it is claimed.
    pub root: VerifierKey,
    /// The log's key, under the ledger's name.
    pub log: VerifierKey,
    /// The epochs, from 0, without a hole.
    pub epochs: Vec<EpochNote>,
    /// Was a key pinned, and did it fit?
    pub pinned: bool,
}

fn unknown(sentence: impl Into<String>) -> Finding {
    Finding::Unknown { sentence: sentence.into() }
}

/// A signature that is not there says nothing; one that is wrong says that somebody changed what it is over.
fn judge(what: &str, error: NoteError) -> Finding {
    match error {
        NoteError::BadSignature { .. } => Finding::violated(Question::Authenticity, None, format!("{what}: {error}")),
        error => unknown(format!("{what}: {error}")),
    }
}

impl Identity {
    /// Follows the keys of a ledger: `claimed_root` is the root key as it lies beside the ledger, `before` are the epoch
    /// keys of the ledger before, one of which signed this one's first epoch (none for a node's first ledger).
    pub fn establish(
        trust: &Trust,
        claimed_root: &VerifierKey,
        node: &SignedNode,
        origin: &Origin,
        notes: &[SignedEpoch],
        before: &[VerifierKey],
    ) -> Result<Self, Finding> {
        if node.node != origin.node() || claimed_root.name() != root_name(&node.node) {
            return Err(unknown(format!("the keys are those of {}, the ledger is {origin}", node.node)));
        }
        if let Some(pinned) = &trust.pinned {
            let fits = pinned.public() == claimed_root.public() || pinned.public() == node.log.public();
            if !fits {
                return Err(unknown(format!("it is signed by another key than the one that was pinned ({pinned})")));
            }
        }
        node.verify(claimed_root).map_err(|error| judge("the node note", error))?;
        let log = node.log.renamed(&origin.to_string()).map_err(|error| judge("the log's key", error))?;
        let epochs = follow(origin, &log, claimed_root, notes, before)?;
        Ok(Self { origin: origin.clone(), root: claimed_root.clone(), log, epochs, pinned: trust.pinned.is_some() })
    }

    /// The epoch that a record of this number belongs to.
    #[must_use]
    pub fn epoch_of(&self, seq: u64) -> Option<&EpochNote> {
        let after = self.epochs.partition_point(|note| note.start <= seq);
        self.epochs.get(after.checked_sub(1)?)
    }

    /// What binds every entry to this ledger.
    #[must_use]
    pub fn log_tag(&self) -> [u8; 16] {
        self.origin.tag(self.root.public())
    }
}

fn follow(
    origin: &Origin,
    log: &VerifierKey,
    root: &VerifierKey,
    notes: &[SignedEpoch],
    before: &[VerifierKey],
) -> Result<Vec<EpochNote>, Finding> {
    let mut epochs: Vec<EpochNote> = Vec::with_capacity(notes.len());
    for signed in notes {
        let number = epochs.len() as u32;
        let what = format!("the note of epoch {number}");
        if signed.epoch.origin != *origin || signed.epoch.epoch != number {
            let twice = signed.epoch.origin == *origin && signed.epoch.epoch.checked_add(1) == Some(number);
            let sentence = if twice {
                format!("there are two notes of epoch {}, which say different things", signed.epoch.epoch)
            } else {
                format!("{what} is missing")
            };
            return Err(Finding::violated(Question::Authenticity, None, sentence));
        }
        let signer = match epochs.last() {
            Some(last) => Some(&last.key),
            None if origin.incarnation() == 1 => Some(root),
            None => before.iter().find(|key| key.name() == signed.signed_by()),
        };
        let signer =
            signer.ok_or_else(|| unknown(format!("{what} is signed by the unknown key {}", signed.signed_by())))?;
        let note = signed.verify(signer, log).map_err(|error| judge(&what, error))?;
        if epochs.last().is_some_and(|last| last.start >= note.start) || (number == 0) != (note.start == 0) {
            return Err(unknown(format!("{what} begins before the epoch before it ends")));
        }
        epochs.push(note.clone());
    }
    if epochs.is_empty() { Err(unknown("there is no epoch note")) } else { Ok(epochs) }
}
