//! Who may sign: the node note (the root key names the log's key) and the epoch notes (each key names the next).

use crate::merkle::Hash;
use crate::note::{self, Note, NoteError, VerifierKey};
use crate::origin::{Origin, is_node, root_name};

/// First line of an epoch note.
pub const EPOCH: &str = "nal/v1/epoch";
/// First line of a node note.
pub const NODE: &str = "nal/v1/node";

/// The signed text of an epoch note: from this size on, that key signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochNote {
    /// Whose ledger it is.
    pub origin: Origin,
    /// Which epoch, from 0.
    pub epoch: u32,
    /// Checkpoints of this epoch are larger than this, and at most as large as the next epoch's start.
    pub start: u64,
    /// The root of the tree of that size.
    pub root: Hash,
    /// The epoch's key, named `<origin>/e<epoch>`.
    pub key: VerifierKey,
    /// Records of this epoch are not older than this; seconds since 1970.
    pub not_before: u64,
}

impl EpochNote {
    /// The text that is signed: seven lines.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { origin, epoch, start, root, key, not_before } = self;
        format!("{EPOCH}\n{origin}\n{epoch}\n{start}\n{}\n{key}\n{not_before}\n", note::base64(root))
    }

    /// Reads the text; writing it again gives the same bytes, or it is refused.
    pub fn parse_text(text: &str) -> Result<Self, NoteError> {
        let [EPOCH, origin, epoch, start, root, key, not_before] = note::lines(text)? else {
            return Err(NoteError::BadText("this is no epoch note"));
        };
        let number = |text| note::decimal(text).ok_or(NoteError::BadText("a number is not in its one form"));
        let this = Self {
            origin: Origin::parse(origin).ok_or(NoteError::BadText("the second line is no origin"))?,
            epoch: number(epoch)?.try_into().map_err(|_| NoteError::BadText("the epoch is too large"))?,
            start: number(start)?,
            root: note::hash(root).ok_or(NoteError::BadText("the fifth line is no root"))?,
            key: VerifierKey::parse(key)?,
            not_before: number(not_before)?,
        };
        if this.key.name() != this.origin.epoch_name(this.epoch) {
            return Err(NoteError::BadText("the key has the name of another epoch"));
        }
        if this.text() == text { Ok(this) } else { Err(NoteError::BadText("not in its one form")) }
    }
}

/// An epoch note as it was found, with signatures that nobody has checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedEpoch {
    /// What is signed.
    pub epoch: EpochNote,
    note: Note,
}

impl SignedEpoch {
    /// Reads a note with exactly two signature lines: the key before it, and the log's.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        let note = Note::parse(bytes)?;
        let epoch = EpochNote::parse_text(&note.text)?;
        match note.signatures.as_slice() {
            [_, log] if log.name == epoch.origin.to_string() => Ok(Self { epoch, note }),
            _ => Err(NoteError::BadText("not exactly two signatures, the second the log's")),
        }
    }

    /// Checks both signatures: `before` is the key of the epoch before; for epoch 0 of a node's first ledger the root
    /// key, and of a later one the newest key of the ledger before.
    pub fn verify(&self, before: &VerifierKey, log: &VerifierKey) -> Result<&EpochNote, NoteError> {
        self.note.verify(before)?;
        self.note.verify(log)?;
        Ok(&self.epoch)
    }

    /// Name of the key that the first signature claims to be of.
    #[must_use]
    pub fn signed_by(&self) -> &str {
        self.note.signatures.first().map_or("", |line| &line.name)
    }
}

impl std::fmt::Display for SignedEpoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.note.fmt(f)
    }
}

/// Several epoch notes, one after the other: each begins where a line says [`EPOCH`].
pub fn parse_epochs(bytes: &[u8]) -> Result<Vec<SignedEpoch>, NoteError> {
    let text = std::str::from_utf8(bytes).map_err(|_| NoteError::NotText)?;
    let head = format!("{EPOCH}\n");
    let mut notes = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let body = rest.strip_prefix(&head).ok_or(NoteError::BadText("this is no epoch note"))?;
        let end = body.find(&format!("\n{head}")).map_or(rest.len(), |at| head.len() + at + 1);
        notes.push(SignedEpoch::parse(&rest.as_bytes()[..end])?);
        rest = &rest[end..];
    }
    Ok(notes)
}

/// A node note as it was found: the root key says which key is the log's, for all ledgers of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNode {
    /// `<cluster-domain>/<cluster>/<node>`.
    pub node: String,
    /// The log's key under the node's name.
    pub log: VerifierKey,
    note: Note,
}

impl SignedNode {
    /// The text that is signed: three lines.
    #[must_use]
    pub fn text(node: &str, log: &VerifierKey) -> String {
        format!("{NODE}\n{node}\n{log}\n")
    }

    /// Reads a note with exactly one signature line.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        let note = Note::parse(bytes)?;
        let [NODE, node, log] = note::lines(&note.text)? else {
            return Err(NoteError::BadText("this is no node note"));
        };
        if !is_node(node) {
            return Err(NoteError::BadText("the second line is no node"));
        }
        let log = VerifierKey::parse(log)?;
        match note.signatures.as_slice() {
            [root] if root.name == root_name(node) && log.name() == node => {
                Ok(Self { node: node.to_owned(), log, note })
            }
            _ => Err(NoteError::BadText("not signed by this node's root key alone")),
        }
    }

    /// Checks the root key's signature.
    pub fn verify(&self, root: &VerifierKey) -> Result<&VerifierKey, NoteError> {
        self.note.verify(root).map(|()| &self.log)
    }
}

impl std::fmt::Display for SignedNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.note.fmt(f)
    }
}
