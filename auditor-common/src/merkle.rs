//! The tree of RFC 6962: hashes, the right edge that a writer carries, and the checks of both kinds of proof.
//!
//! Sources: RFC 6962 section 2.1, RFC 9162 sections 2.1.3.2 and 2.1.4.2. Domain separation is in the first byte: `0x00`
//! for a leaf, `0x01` for a node, so that neither can be passed off as the other.

use sha2::{Digest as _, Sha256};

use crate::lanes;

/// SHA-256.
pub type Hash = [u8; 32];

/// No proof in a tree of 64-bit indices is longer.
pub const MAX_PROOF: usize = 63;

/// First byte of what is hashed of a leaf.
pub(crate) const LEAF: u8 = 0;
/// First byte of what is hashed of a node.
const NODE: u8 = 1;

/// SHA-256 of some bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

/// The root of a tree without leaves.
#[must_use]
pub fn empty() -> Hash {
    sha256(&[])
}

/// The hash of two subtrees side by side.
#[must_use]
pub fn node(left: &Hash, right: &Hash) -> Hash {
    let mut content = [0_u8; 64];
    content[..32].copy_from_slice(left);
    content[32..].copy_from_slice(right);
    lanes::hash(&[NODE], &content)
}

/// The hash of a leaf's content.
#[must_use]
pub fn leaf(content: &[u8]) -> Hash {
    lanes::hash(&[LEAF], content)
}

/// The hashes of many leaves, of four at a time.
#[must_use]
pub fn leaves<'a>(contents: impl Iterator<Item = &'a [u8]>) -> Vec<Hash> {
    let contents: Vec<&[u8]> = contents.collect();
    lanes::hashes(contents.iter().map(|content| (&[LEAF][..], *content)))
}

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

/// The root of a perfect tree: level by level, four nodes at a time.
///
/// Invariant: the number of leaves is a power of two.
#[must_use]
pub fn perfect_root(leaves: &[Hash]) -> Hash {
    let mut level = leaves.to_vec();
    while level.len() > 1 {
        let mut above = vec![[0; 32]; level.len() / 2];
        let pairs = level.as_flattened().as_chunks::<64>().0;
        lanes::hash_each(pairs.iter().map(|pair| (&[NODE][..], &pair[..])), |place, hash| above[place] = hash);
        level = above;
    }
    level.first().copied().unwrap_or_else(empty)
}

/// The perfect subtrees that the leaves from `from` to `to` are made of, from the left: where each begins, and its height.
pub fn subtrees(from: u64, to: u64) -> impl Iterator<Item = (u64, u32)> {
    let mut at = from;
    std::iter::from_fn(move || {
        if at >= to {
            return None;
        }
        let fits = (to - at).ilog2();
        let height = if at == 0 { fits } else { at.trailing_zeros().min(fits) };
        let start = at;
        at += 1 << height;
        Some((start, height))
    })
}

/// Why a proof was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofError {
    /// The leaf's index is not below the tree's size, or the sizes are in the wrong order.
    OutOfRange,
    /// More or fewer hashes than that place in that tree needs.
    WrongLength,
    /// The hashes lead to another root.
    WrongRoot,
}

impl std::fmt::Display for ProofError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::OutOfRange => "the proof is about a place outside of its tree",
            Self::WrongLength => "the proof has more or fewer hashes than its place in the tree needs",
            Self::WrongRoot => "the proof leads to another root",
        })
    }
}

impl std::error::Error for ProofError {}

/// Is `leaf` the leaf number `index` of the tree of `size` leaves with this root? (RFC 9162 section 2.1.3.2)
pub fn verify_inclusion(index: u64, size: u64, leaf: &Hash, proof: &[Hash], root: &Hash) -> Result<(), ProofError> {
    if root_from_inclusion(index, size, leaf, proof)? == *root { Ok(()) } else { Err(ProofError::WrongRoot) }
}

/// The root that an inclusion proof leads to.
pub fn root_from_inclusion(index: u64, size: u64, leaf: &Hash, proof: &[Hash]) -> Result<Hash, ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange);
    }
    let (mut place, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::WrongLength);
        }
        if place & 1 == 1 || place == last {
            hash = node(sibling, &hash);
            // A node without a sibling moves up until it is a right child.
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    if last == 0 { Ok(hash) } else { Err(ProofError::WrongLength) }
}

/// Is the tree of `size1` leaves the beginning of the tree of `size2` leaves? (RFC 9162 section 2.1.4.2)
///
/// Sizes of zero are for the caller: an empty tree is the beginning of every tree and has no proof.
pub fn verify_consistency(
    size1: u64,
    size2: u64,
    root1: &Hash,
    root2: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    if size1 == 0 || size1 > size2 {
        return Err(ProofError::OutOfRange);
    }
    if size1 == size2 {
        return match (proof.is_empty(), root1 == root2) {
            (false, _) => Err(ProofError::WrongLength),
            (true, false) => Err(ProofError::WrongRoot),
            (true, true) => Ok(()),
        };
    }
    // A first tree that is perfect is a node of the second: its root stands for the first hash of the proof.
    let (first, rest) = if size1.is_power_of_two() {
        (root1, proof)
    } else {
        let (first, rest) = proof.split_first().ok_or(ProofError::WrongLength)?;
        (first, rest)
    };
    let shift = (size1 - 1).trailing_ones();
    let (mut place, mut last) = ((size1 - 1) >> shift, (size2 - 1) >> shift);
    let (mut hash1, mut hash2) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(ProofError::WrongLength);
        }
        if place & 1 == 1 || place == last {
            hash1 = node(sibling, &hash1);
            hash2 = node(sibling, &hash2);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            hash2 = node(&hash2, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::WrongLength);
    }
    if hash1 == *root1 && hash2 == *root2 { Ok(()) } else { Err(ProofError::WrongRoot) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|i| leaf(&i.to_be_bytes())).collect()
    }

    /// The definition itself (RFC 6962 section 2.1), without any cleverness.
    fn root_by_definition(leaves: &[Hash]) -> Hash {
        match leaves.len() {
            0 => empty(),
            1 => leaves[0],
            n => {
                let (left, right) = leaves.split_at(n.next_power_of_two() / 2);
                node(&root_by_definition(left), &root_by_definition(right))
            }
        }
    }

    fn inclusion_by_definition(index: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() <= 1 {
            return vec![];
        }
        let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
        let (mut proof, sibling) = if index < left.len() {
            (inclusion_by_definition(index, left), right)
        } else {
            (inclusion_by_definition(index - left.len(), right), left)
        };
        proof.push(root_by_definition(sibling));
        proof
    }

    #[test]
    fn leaves_that_are_hashed_together_have_the_hashes_that_each_has_alone() {
        let contents: Vec<Vec<u8>> = (0..300).map(|len| vec![len as u8; len]).collect();
        for count in [0, 1, 3, 4, 5, 300] {
            let some = &contents[..count];
            let alone: Vec<Hash> = some.iter().map(|content| leaf(content)).collect();
            assert_eq!(super::leaves(some.iter().map(Vec::as_slice)), alone, "{count}");
        }
    }

    #[test]
    fn every_tree_up_to_300_leaves_has_the_root_of_its_definition() {
        let leaves = leaves(300);
        let mut range = CompactRange::new();
        for (size, leaf) in leaves.iter().enumerate() {
            assert_eq!(range.root(), root_by_definition(&leaves[..size]), "size {size}");
            range.append(*leaf);
        }
    }

    #[test]
    fn leaves_that_come_in_heaps_make_the_same_tree_and_tell_of_the_same_subtrees() {
        let leaves = leaves(1500);
        for heap in [1, 2, 3, 64, 255, 256, 257, 700, 1500] {
            let (mut one, mut all) = ((CompactRange::new(), vec![]), (CompactRange::new(), vec![]));
            for part in leaves.chunks(heap) {
                for leaf in part {
                    one.0.append_and_tell(*leaf, |complete| one.1.push(complete));
                }
                all.0.append_all(part, |complete| all.1.push(complete));
                assert_eq!(all, one, "heaps of {heap}");
            }
        }
    }

    #[test]
    fn a_subtree_of_256_leaves_is_told_of_once_with_its_root() {
        let leaves = leaves(1024);
        let mut told = vec![];
        let mut range = CompactRange::new();
        for leaf in &leaves {
            range.append_and_tell(*leaf, |complete| told.push(complete));
        }
        let expected: Vec<_> = (0..4_u64)
            .map(|index| {
                let from = index as usize * 256;
                Complete { level: 1, index, hash: root_by_definition(&leaves[from..from + 256]) }
            })
            .collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn an_edge_is_taken_up_again_where_it_was_written_down() {
        let leaves = leaves(77);
        let mut whole = CompactRange::new();
        for leaf in &leaves {
            whole.append(*leaf);
        }
        let mut first = CompactRange::new();
        leaves[..50].iter().for_each(|leaf| first.append(*leaf));
        let mut second = CompactRange::from_parts(first.size(), first.hashes().to_vec()).unwrap();
        leaves[50..].iter().for_each(|leaf| second.append(*leaf));
        assert_eq!(second, whole);
        assert_eq!(CompactRange::from_parts(3, vec![[0; 32]]), None);
    }

    #[test]
    fn a_tree_in_pieces_has_the_root_of_the_whole() {
        let leaves = leaves(100);
        for (from, to) in [(0, 100), (3, 100), (64, 97), (50, 51), (99, 100), (7, 7)] {
            let mut range = CompactRange::new();
            leaves[..from].iter().for_each(|leaf| range.append(*leaf));
            for (start, height) in subtrees(from as u64, to as u64) {
                let (start, len) = (start as usize, 1 << height);
                assert!(range.append_subtree(height, root_by_definition(&leaves[start..start + len])));
            }
            assert_eq!(range.root(), root_by_definition(&leaves[..to]), "{from} {to}");
        }
        let mut range = CompactRange::new();
        range.append(leaves[0]);
        assert!(!range.append_subtree(1, leaves[1]));
        assert!(!range.append_subtree(64, leaves[1]));
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proven_and_no_other() {
        let leaves = leaves(70);
        for size in 1..=70 {
            let root = root_by_definition(&leaves[..size]);
            for index in 0..size {
                let proof = inclusion_by_definition(index, &leaves[..size]);
                let judge = |index, leaf: &Hash| verify_inclusion(index, size as u64, leaf, &proof, &root);
                assert_eq!(judge(index as u64, &leaves[index]), Ok(()));
                assert_ne!(judge((index as u64 + 1) % 70, &leaves[index]), Ok(()), "size {size}, index {index}");
                assert_ne!(judge(index as u64, &leaf(b"other")), Ok(()));
            }
        }
    }
}
