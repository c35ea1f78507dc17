//! The right edge of a growing tree: what a writer and a verifier carry.

use super::{Hash, empty, node, perfect_root};

/// A subtree of `256^level` leaves that has just become complete: one hash of a C2SP tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Complete {
    /// From 1; level 0 is the leaves themselves.
    pub level: u8,
    /// Which one, from the left.
    pub index: u64,
    /// Its root.
    pub hash: Hash,
}

/// The right edge of a growing tree: the roots of the perfect subtrees that it is made of, largest first.
///
/// Invariant: there is one hash for each bit that is set in `size`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CompactRange {
    size: u64,
    hashes: Vec<Hash>,
}

impl CompactRange {
    /// The edge of an empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An edge that was written down; `None` if the number of hashes does not fit the size.
    #[must_use]
    pub fn from_parts(size: u64, hashes: Vec<Hash>) -> Option<Self> {
        (hashes.len() == size.count_ones() as usize).then_some(Self { size, hashes })
    }

    /// How many leaves there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the perfect subtrees, largest first.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Adds a leaf, by its hash.
    pub fn append(&mut self, leaf: Hash) {
        self.append_and_tell(leaf, |_| {});
    }

    /// Adds a leaf, and tells of each subtree of a power of 256 that it completes.
    pub fn append_and_tell(&mut self, leaf: Hash, mut complete: impl FnMut(Complete)) {
        self.append_subtree_and_tell(0, leaf, &mut complete);
    }

    /// Adds leaves, by their hashes: what they complete among themselves is hashed four nodes at a time. Of each subtree of
    /// a power of 256 that is completed it tells.
    pub fn append_all(&mut self, leaves: &[Hash], mut complete: impl FnMut(Complete)) {
        let mut left = leaves;
        while !left.is_empty() {
            let height = self.size.trailing_zeros().min(left.len().ilog2()).min(8);
            let (begin, rest) = left.split_at(1 << height);
            self.append_subtree_and_tell(height, perfect_root(begin), &mut complete);
            left = rest;
        }
    }

    /// Adds a perfect subtree of `2^height` leaves; `false` if none can begin here.
    pub fn append_subtree(&mut self, height: u32, root: Hash) -> bool {
        self.append_subtree_and_tell(height, root, &mut |_| {})
    }

    fn append_subtree_and_tell(&mut self, height: u32, root: Hash, complete: &mut impl FnMut(Complete)) -> bool {
        let Some(leaves) = 1_u64.checked_shl(height) else { return false };
        let Some(size) = self.size.checked_add(leaves) else { return false };
        if !self.size.is_multiple_of(leaves) {
            return false;
        }
        let (mut hash, mut height) = (root, height);
        loop {
            if height > 0 && height.is_multiple_of(8) {
                complete(Complete { level: (height / 8) as u8, index: (size >> height) - 1, hash });
            }
            if (self.size >> height) & 1 == 0 {
                break;
            }
            let Some(left) = self.hashes.pop() else { return false };
            hash = node(&left, &hash);
            height += 1;
        }
        self.hashes.push(hash);
        self.size = size;
        true
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut from_the_right = self.hashes.iter().rev();
        let Some(last) = from_the_right.next() else { return empty() };
        from_the_right.fold(*last, |right, left| node(left, &right))
    }
}

/// A right edge whose newest leaves wait, so that what they complete is hashed four nodes at a time: a third of the time
/// that a verifier needs for its nodes.
#[derive(Clone, Debug, Default)]
pub struct GrowingTree {
    edge: CompactRange,
    waiting: Vec<Hash>,
}

impl GrowingTree {
    /// So many leaves wait at most.
    const MOST: u64 = 256;

    /// Goes on from an edge.
    #[must_use]
    pub fn new(edge: CompactRange) -> Self {
        Self { edge, waiting: Vec::with_capacity(Self::MOST as usize) }
    }

    /// How many leaves there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.edge.size + self.waiting.len() as u64
    }

    /// Adds a leaf, by its hash.
    pub fn append(&mut self, leaf: Hash) {
        self.waiting.push(leaf);
        if self.size().is_multiple_of(Self::MOST) {
            self.edge();
        }
    }

    /// Adds a perfect subtree of `2^height` leaves; `false` if none can begin here.
    pub fn append_subtree(&mut self, height: u32, root: Hash) -> bool {
        self.edge();
        self.edge.append_subtree(height, root)
    }

    /// The right edge, with all leaves.
    pub fn edge(&mut self) -> &CompactRange {
        self.edge.append_all(&self.waiting, |_| {});
        self.waiting.clear();
        &self.edge
    }

    /// The root of the tree.
    pub fn root(&mut self) -> Hash {
        self.edge().root()
    }
}
