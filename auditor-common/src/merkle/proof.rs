//! Whether a proof leads from a leaf, or from an older tree, to a root (RFC 9162 sections 2.1.3.2 and 2.1.4.2).

use super::{Hash, node};

/// No proof in a tree of 64-bit indices is longer.
pub const MAX_PROOF: usize = 63;

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
