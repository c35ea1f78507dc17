//! What is held against the rows, and where they begin.

use std::collections::BTreeMap;

use super::Answer;
use crate::body::{Recover, StreamEnd};
use crate::checkpoint::SignedCheckpoint;
use crate::merkle::{CompactRange, Hash, verify_inclusion};
use crate::stream::{StreamTable, table_leaf};

/// What was released, as far as the verifier can know.
#[derive(Clone, Debug, Default)]
pub enum Released {
    /// Nobody keeps a head file for what is verified.
    #[default]
    NotKept,
    /// There must be a head file, and there is none.
    Missing,
    /// There is a head file, and it cannot be read.
    Damaged,
    /// This is the newest checkpoint that was released.
    Newest(Box<SignedCheckpoint>),
}

/// How much of a ledger there is to see.
#[derive(Clone, Debug, Default)]
pub enum Scope {
    /// All rows that are kept, and every checkpoint.
    #[default]
    Store,
    /// A stretch of rows, and the checkpoints at which epochs end.
    Stretch,
    /// Of a stretch the rows of one stream and of the ledger's own; of others the leaf hash.
    Excerpt {
        /// Tag of the stream.
        tag: [u8; 16],
        /// Where the stream ended at some SEALs, as their tables of streams say; by number of the SEAL.
        ends: BTreeMap<u64, ProvenEnd>,
    },
}

/// A line of a table of streams, and how it leads to the root of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenEnd {
    /// The line.
    pub end: StreamEnd,
    /// Its place in the table.
    pub position: u64,
    /// How many streams there are.
    pub streams: u64,
    /// From the line upwards.
    pub proof: Vec<Hash>,
}

impl ProvenEnd {
    /// Does the line lead to this root of a table?
    pub(super) fn leads_to(&self, root: &Hash) -> bool {
        let line = table_leaf(&self.end);
        verify_inclusion(self.position, self.streams, &line, &self.proof, root).is_ok()
    }
}

/// What is held against the rows.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// How much there is to see.
    pub scope: Scope,
    /// What is said about the end, where the caller knows more about it than the rows.
    pub tail: Option<Answer>,
    /// The rows begin where somebody asked them to, and not where the ledger does.
    pub slice: bool,
    /// The head file.
    pub released: Released,
    /// The next ledger of this node declares that this one could not be gone on with.
    pub declared: Option<Recover>,
}

/// Where the rows begin. Untrusted: the first root that is signed shows whether it is right.
#[derive(Clone, Debug)]
pub struct Start {
    /// The right edge of the tree before the first row.
    pub range: CompactRange,
    /// Where the streams are there.
    pub streams: StreamTable,
}

impl Start {
    /// At the first record.
    #[must_use]
    pub fn genesis() -> Self {
        Self { range: CompactRange::new(), streams: StreamTable::default() }
    }
}
