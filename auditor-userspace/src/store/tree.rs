//! The tree over what is stored: complete subtrees out of the tiles, the rest out of the rows, and what was removed out of
//! the edge that the first segment begins with.

use std::collections::HashMap;

use auditor_common::merkle::{Hash, node, subtrees};
use auditor_common::proof::Tree;

use super::{Reader, StoreError};
use crate::chain::{ALIGNMENT, Edge};

/// Answers for the roots of subtrees.
pub struct StoreTree {
    reader: Reader,
    first: u64,
    removed: HashMap<(u64, u32), Hash>,
    block: (u64, Vec<Hash>),
    /// Of each level the 256 roots that were asked for last, in one go: a proof needs those side by side.
    tiles: HashMap<u32, (u64, Vec<Option<Hash>>)>,
}

impl StoreTree {
    /// The tree of a ledger.
    pub fn new(mut reader: Reader) -> Result<Self, StoreError> {
        let Edge { range, .. } = reader.first_edge()?;
        let first = range.size();
        let removed = subtrees(0, first).zip(range.hashes().iter().copied()).collect();
        Ok(Self { reader, first, removed, block: (u64::MAX, vec![]), tiles: HashMap::new() })
    }

    /// The root of a complete subtree of `256^level` leaves; `None` if it is not complete, or not kept.
    fn tile(&mut self, level: u32, index: u64) -> Result<Option<Hash>, StoreError> {
        let from = index / ALIGNMENT * ALIGNMENT;
        if self.tiles.get(&level).is_none_or(|(known, _)| *known != from) {
            self.tiles.insert(level, (from, self.reader.tiles(level, from..from + ALIGNMENT)?));
        }
        Ok(self.tiles.get(&level).and_then(|(_, roots)| roots.get((index - from) as usize).copied().flatten()))
    }

    /// The leaf hashes of the 256 records from `block × 256` on, or as many as there are.
    fn block(&mut self, block: u64) -> Result<&[Hash], StoreError> {
        if self.block.0 != block {
            let from = block * ALIGNMENT;
            self.block = (block, self.reader.leaves(from..from + ALIGNMENT)?);
        }
        Ok(&self.block.1)
    }
}

impl Tree for StoreTree {
    type Error = StoreError;

    fn perfect(&mut self, start: u64, height: u32) -> Result<Hash, StoreError> {
        if let Some(hash) = self.removed.get(&(start, height)) {
            return Ok(*hash);
        }
        if height > 0 && height.is_multiple_of(8) {
            let kept = self.tile(height / 8, start >> height)?;
            if let Some(hash) = kept {
                return Ok(hash);
            }
        }
        if height > 0 {
            let half = 1 << (height - 1);
            let (left, right) = (self.perfect(start, height - 1)?, self.perfect(start + half, height - 1)?);
            return Ok(node(&left, &right));
        }
        let missing = StoreError::Missing { record: start };
        if start < self.first {
            return Err(missing);
        }
        self.block(start / ALIGNMENT)?.get((start % ALIGNMENT) as usize).copied().ok_or(missing)
    }
}
