//! Every entry holds the leaf hash of the one before.

use super::Finding;
use crate::merkle::Hash;
use crate::record::Entry;

/// The link that the next row must hold.
#[derive(Clone, Debug)]
pub(super) struct Links {
    /// Leaf hash of the record before; `None` before the first row of rows that begin in the middle.
    prev: Option<Hash>,
    /// The number of the record before a link that does not fit: which of the two records is the wrong one shows at the
    /// next.
    broken_after: Option<u64>,
}

impl Links {
    pub(super) fn new(prev: Option<Hash>) -> Self {
        Self { prev, broken_after: None }
    }

    /// Does the entry hold the leaf hash of the one before? Where it does not, the row after tells which of the two was
    /// changed: one whose own leaf still fits is not the one.
    pub(super) fn check(&mut self, seq: u64, entry: &Entry) -> Result<(), Finding> {
        let fits = self.prev.is_none_or(|prev| prev == entry.prev);
        match (self.broken_after, fits) {
            (Some(before), true) => Err(changed(before)),
            (Some(before), false) => Err(changed(before + 1)),
            (None, false) if seq == 0 => Err(changed(0)),
            (None, false) => {
                self.broken_after = Some(seq - 1);
                Ok(())
            }
            (None, true) => Ok(()),
        }
    }

    /// The leaf that the next row must link to.
    pub(super) fn go_on_from(&mut self, leaf: Hash) {
        self.prev = Some(leaf);
    }

    /// Did the last link not fit? Then nothing else needs to be asked of that row.
    pub(super) fn are_broken(&self) -> bool {
        self.broken_after.is_some()
    }

    /// No row comes that could tell which of two records was changed: both are named, if a link is broken.
    pub(super) fn hold(&self) -> Result<(), Finding> {
        match self.broken_after {
            None => Ok(()),
            Some(before) => {
                let sentence = format!("record {before}, or the link to it in the next, was changed");
                Err(Finding::integrity(before, sentence))
            }
        }
    }
}

fn changed(record: u64) -> Finding {
    Finding::integrity(record, format!("record {record} was changed"))
}
