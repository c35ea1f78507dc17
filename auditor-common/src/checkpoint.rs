//! What is signed: the size and the root of the tree (C2SP tlog-checkpoint), by the log's key and by the epoch's.

use crate::merkle::Hash;
use crate::note::{self, Note, NoteError, SignatureLine, VerifierKey};
use crate::origin::Origin;

/// The signed text of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose ledger it is.
    pub origin: Origin,
    /// How many leaves there are; the last of them is a SEAL.
    pub size: u64,
    /// The root of the tree.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed: three lines.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, note::base64(&self.root))
    }

    /// Reads the text; writing it again gives the same bytes, or it is refused.
    pub fn parse_text(text: &str) -> Result<Self, NoteError> {
        let [origin, size, root] = note::lines(text)?;
        let checkpoint = Self {
            origin: Origin::parse(origin).ok_or(NoteError::BadText("the first line is no origin"))?,
            size: note::decimal(size).ok_or(NoteError::BadText("the second line is no size"))?,
            root: note::hash(root).ok_or(NoteError::BadText("the third line is no root"))?,
        };
        if checkpoint.text() == text { Ok(checkpoint) } else { Err(NoteError::BadText("not in its one form")) }
    }
}

/// A checkpoint as it was found, with signatures that nobody has checked yet: one of the log's key, one of an epoch's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What is signed.
    pub checkpoint: Checkpoint,
    /// The epoch that the second signature names.
    pub epoch: u32,
    note: Note,
}

impl SignedCheckpoint {
    /// Reads a note with exactly our two signature lines, in their order. Cosignatures are refused until they exist.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        let note = Note::parse(bytes)?;
        let checkpoint = Checkpoint::parse_text(&note.text)?;
        let origin = checkpoint.origin.to_string();
        let [log, epoch] = note.signatures.as_slice() else {
            return Err(NoteError::BadText("not exactly two signatures"));
        };
        let number = epoch.name.strip_prefix(&format!("{origin}/e")).and_then(note::decimal);
        let number = number.and_then(|number| u32::try_from(number).ok());
        match number {
            Some(epoch) if log.name == origin => Ok(Self { checkpoint, epoch, note }),
            _ => Err(NoteError::BadText("not signed under the names of this ledger")),
        }
    }

    /// Puts a checkpoint and its two signatures together.
    #[must_use]
    pub fn new(
        checkpoint: Checkpoint,
        epoch: u32,
        log: (&VerifierKey, &[u8; 64]),
        epoch_key: (&VerifierKey, &[u8; 64]),
    ) -> Self {
        let signatures = vec![SignatureLine::new(log.0, log.1), SignatureLine::new(epoch_key.0, epoch_key.1)];
        let note = Note { text: checkpoint.text(), signatures };
        Self { checkpoint, epoch, note }
    }

    /// Checks the log's signature alone: what a proof of one record can be held against.
    pub fn verify_log(&self, log: &VerifierKey) -> Result<&Checkpoint, NoteError> {
        self.note.verify(log)?;
        Ok(&self.checkpoint)
    }

    /// Checks both signatures.
    pub fn verify(&self, log: &VerifierKey, epoch: &VerifierKey) -> Result<&Checkpoint, NoteError> {
        self.note.verify(log)?;
        self.note.verify(epoch)?;
        Ok(&self.checkpoint)
    }
}

impl std::fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.note.fmt(f)
    }
}
