//! The tree of RFC 6962: hashes, the right edge that a writer carries, and the checks of both kinds of proof.
//!
//! Sources: RFC 6962 section 2.1, RFC 9162 sections 2.1.3.2 and 2.1.4.2. Domain separation is in the first byte: `0x00`
//! for a leaf, `0x01` for a node, so that neither can be passed off as the other.

mod edge; // of a tree that grows
mod proof; // from a leaf to a root

pub use edge::{CompactRange, Complete, GrowingTree};
pub use proof::{MAX_PROOF, ProofError, root_from_inclusion, verify_consistency, verify_inclusion};

use sha2::{Digest as _, Sha256};

use crate::lanes;

/// SHA-256.
pub type Hash = [u8; 32];

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
