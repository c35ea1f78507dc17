//! One record and where it lies: inclusion proofs, and the file that holds one (C2SP tlog-proof).

use crate::checkpoint::SignedCheckpoint;
use crate::merkle::{self, Hash, MAX_PROOF, node, verify_inclusion};
use crate::note::{self, NoteError};
use crate::record::{MAX_BODY, Row};

/// First line of a proof file.
pub const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// No proof file is longer: a row in base64, hashes, a checkpoint.
pub const MAX_PROOF_FILE: usize = 2 * MAX_BODY;

/// Something that knows the roots of perfect subtrees.
pub trait Tree {
    /// Why it does not.
    type Error;

    /// The root of the subtree of `2^height` leaves that begins at `start`, a multiple of that.
    fn perfect(&mut self, start: u64, height: u32) -> Result<Hash, Self::Error>;
}

/// The root of the leaves from `from` to `to`, as a tree of its own that begins at a node of the whole one.
fn root<T: Tree>(tree: &mut T, from: u64, to: u64) -> Result<Hash, T::Error> {
    let count = to - from;
    if count.is_power_of_two() {
        return tree.perfect(from, count.ilog2());
    }
    let split = from + (1 << count.ilog2());
    let (left, right) = (root(tree, from, split)?, root(tree, split, to)?);
    Ok(node(&left, &right))
}

/// The inclusion proof of a leaf in the tree of that size (RFC 9162 section 2.1.3.1): from the leaf upwards.
pub fn inclusion<T: Tree>(tree: &mut T, index: u64, size: u64) -> Result<Vec<Hash>, T::Error> {
    let (mut from, mut to) = (0, size);
    let mut proof = Vec::new();
    while to - from > 1 {
        let half = 1 << (to - from - 1).ilog2();
        let split = from + half;
        if index < split {
            proof.push(root(tree, split, to)?);
            to = split;
        } else {
            proof.push(root(tree, from, split)?);
            from = split;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The perfect subtrees right of a leaf: what completes the tree of that size.
pub fn right_edge<T: Tree>(tree: &mut T, from: u64, size: u64) -> Result<Vec<Hash>, T::Error> {
    merkle::subtrees(from, size).map(|(start, height)| tree.perfect(start, height)).collect()
}

/// A proof file as it was found: nothing in it is checked yet. The row is in the extra data, which C2SP leaves to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofFile {
    /// Entry, salt, body.
    pub row: Vec<u8>,
    /// Number of the record.
    pub index: u64,
    /// From the leaf upwards.
    pub hashes: Vec<Hash>,
    /// The tree that it lies in.
    pub checkpoint: SignedCheckpoint,
}

impl ProofFile {
    /// Reads a proof file. Whatever it accepts, it writes again to the same bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_PROOF_FILE {
            return Err(NoteError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| NoteError::NotText)?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(NoteError::NotANote)?;
        let mut lines = head.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(NoteError::BadText("this is no proof"));
        }
        let extra = lines.next().and_then(|line| line.strip_prefix("extra ")).and_then(note::unbase64);
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(note::decimal);
        let mut hashes = Vec::new();
        for line in lines {
            if hashes.len() == MAX_PROOF {
                return Err(NoteError::BadText("more hashes than any proof has"));
            }
            hashes.push(note::hash(line).ok_or(NoteError::BadText("a line is no hash"))?);
        }
        let this = Self {
            row: extra.ok_or(NoteError::BadText("the second line is no record"))?,
            index: index.ok_or(NoteError::BadText("the third line is no index"))?,
            hashes,
            checkpoint: SignedCheckpoint::parse(checkpoint.as_bytes())?,
        };
        if this.to_string() == text { Ok(this) } else { Err(NoteError::BadText("not in its one form")) }
    }

    /// Does the record lie where it says, in the tree of its checkpoint? Signatures are for the caller.
    pub fn check(&self) -> Result<Row<'_>, String> {
        let row = Row::parse(&self.row).map_err(|error| error.to_string())?;
        if row.entry.seq != self.index {
            return Err(format!("the proof of record {} holds record {}", self.index, row.entry.seq));
        }
        if !row.fits() {
            return Err(format!("record {}: its body is not the one that was sealed", self.index));
        }
        let tree = &self.checkpoint.checkpoint;
        let outcome = verify_inclusion(self.index, tree.size, &row.leaf(), &self.hashes, &tree.root);
        outcome.map_err(|error| format!("record {}: {error}", self.index))?;
        Ok(row)
    }
}

impl std::fmt::Display for ProofFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{HEADER}\nextra {}\nindex {}", note::base64(&self.row), self.index)?;
        for hash in &self.hashes {
            writeln!(f, "{}", note::base64(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{CompactRange, leaf};

    struct Leaves(Vec<Hash>);

    impl Tree for Leaves {
        type Error = ();

        fn perfect(&mut self, start: u64, height: u32) -> Result<Hash, ()> {
            let (start, len) = (start as usize, 1_usize << height);
            let mut range = CompactRange::new();
            self.0.get(start..start + len).ok_or(())?.iter().for_each(|leaf| range.append(*leaf));
            Ok(range.root())
        }
    }

    #[test]
    fn every_leaf_of_every_small_tree_has_a_proof_that_verifies() {
        let mut tree = Leaves((0..80_u64).map(|i| leaf(&i.to_be_bytes())).collect());
        for size in 1..=80 {
            let mut range = CompactRange::new();
            tree.0[..size as usize].iter().for_each(|leaf| range.append(*leaf));
            for index in 0..size {
                let proof = inclusion(&mut tree, index, size).unwrap();
                let leaf = tree.0[index as usize];
                assert_eq!(verify_inclusion(index, size, &leaf, &proof, &range.root()), Ok(()), "{index} of {size}");
            }
        }
    }

    #[test]
    fn a_left_and_a_right_edge_complete_every_slice() {
        let mut tree = Leaves((0..40_u64).map(|i| leaf(&i.to_be_bytes())).collect());
        let mut whole = CompactRange::new();
        tree.0.iter().for_each(|leaf| whole.append(*leaf));
        for from in 0..40 {
            let mut range = CompactRange::new();
            tree.0[..from].iter().for_each(|leaf| range.append(*leaf));
            let edge = right_edge(&mut tree, from as u64, 40).unwrap();
            for ((_, height), hash) in merkle::subtrees(from as u64, 40).zip(edge) {
                assert!(range.append_subtree(height, hash));
            }
            assert_eq!(range, whole);
        }
    }
}
