//! The hashes of a row: the part of the work that needs no order, and can be done on any thread.

use crate::merkle::Hash;
use crate::record::{Row, commit, hash_rows};

/// The hashes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    pub(super) leaf: Hash,
    pub(super) body_commit: Hash,
}

impl Digest {
    /// Hashes rows, several at a time. Of what is no row the hashes are of no use, and of no harm.
    #[must_use]
    pub fn of_each(rows: &[&[u8]]) -> Vec<Self> {
        hash_rows(rows).into_iter().map(Self::from).collect()
    }

    pub(super) fn of(row: &Row<'_>) -> Self {
        Self { leaf: row.leaf(), body_commit: commit(row.salt, row.body) }
    }
}

impl From<[Hash; 2]> for Digest {
    /// What [`hash_rows`] says of a row.
    fn from([leaf, body_commit]: [Hash; 2]) -> Self {
        Self { leaf, body_commit }
    }
}
