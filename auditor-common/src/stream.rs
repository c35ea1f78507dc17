//! Streams: the records of one instance among all others, numbered without a hole and linked back, so that an excerpt is
//! provably all of them and only them.

use std::collections::BTreeMap;

use crate::body::{StreamEnd, class};
use crate::merkle::{CompactRange, Hash, leaf, sha256};
use crate::proof::{Tree, inclusion};
use crate::record::{Entry, EntryType, NO_RECORD};

/// Tag of the ledger's own stream: what it says about itself. Its key is zero and its name is empty, so that everybody can
/// tell, and an excerpt can leave none of it out.
pub const CONTROL: [u8; 16] =
    [0x94, 0x92, 0x4f, 0x46, 0xb3, 0x27, 0xcd, 0x51, 0xa0, 0x3f, 0x69, 0x38, 0xbc, 0xb5, 0x87, 0xf2];

/// Can a record of this type and class be in an instance's stream? Traffic is; what was decided about an instance, or not
/// recorded of it, may be, or is in the ledger's own stream if it is about no one instance. Everything else is always in that.
#[must_use]
pub fn may_be_an_instances(kind: EntryType, class: u32) -> bool {
    match kind {
        EntryType::Event => true,
        EntryType::Loss => class == class::LOSS_UNRECORDED,
        EntryType::Policy => {
            matches!(class, class::POLICY_DECISION | class::POLICY_ACK | class::POLICY_RESTATED)
        }
        _ => false,
    }
}

/// Tag of a stream: `SHA-256("nal/v1/stream\0" ‖ key ‖ instance)[0..16]`. The key is random, one for each stream, and
/// disclosed only in the stream's own exports: nobody else can tell which instance a tag stands for.
#[must_use]
pub fn tag(key: &[u8; 16], instance: &str) -> [u8; 16] {
    let mut input = b"nal/v1/stream\0".to_vec();
    input.extend_from_slice(key);
    input.extend_from_slice(instance.as_bytes());
    let hash = sha256(&input);
    hash[..16].try_into().unwrap_or_default()
}

/// The leaf of a stream in the table of streams: `SHA-256(0x00 ‖ tag ‖ last n ‖ last seq)`.
#[must_use]
pub fn table_leaf(end: &StreamEnd) -> Hash {
    let mut content = [0; 32];
    content[..16].copy_from_slice(&end.tag);
    content[16..24].copy_from_slice(&end.last_n.to_be_bytes());
    content[24..].copy_from_slice(&end.last_seq.to_be_bytes());
    leaf(&content)
}

/// Where each stream ends: what a SEAL holds the root of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamTable(BTreeMap<[u8; 16], (u64, u64)>);

impl StreamTable {
    /// A table from its lines; `None` if they are not in the order of their tags.
    #[must_use]
    pub fn from_ends(ends: &[StreamEnd]) -> Option<Self> {
        let ordered = ends.is_sorted_by(|one, other| one.tag < other.tag);
        ordered.then(|| Self(ends.iter().map(|end| (end.tag, (end.last_n, end.last_seq))).collect()))
    }

    /// Its lines, in the order of their tags.
    pub fn ends(&self) -> impl ExactSizeIterator<Item = StreamEnd> + '_ {
        self.0.iter().map(|(tag, (last_n, last_seq))| StreamEnd { tag: *tag, last_n: *last_n, last_seq: *last_seq })
    }

    /// What the next entry of a stream has as `stream_n` and `stream_prev`.
    #[must_use]
    pub fn next(&self, tag: &[u8; 16]) -> (u64, u64) {
        self.0.get(tag).map_or((0, NO_RECORD), |(last_n, last_seq)| (last_n + 1, *last_seq))
    }

    /// Where a stream ends; `None` if it has not begun.
    #[must_use]
    pub fn end(&self, tag: &[u8; 16]) -> Option<StreamEnd> {
        self.0.get(tag).map(|(last_n, last_seq)| StreamEnd { tag: *tag, last_n: *last_n, last_seq: *last_seq })
    }

    /// Has this stream begun?
    #[must_use]
    pub fn has(&self, tag: &[u8; 16]) -> bool {
        self.0.contains_key(tag)
    }

    /// Takes the entry's word for where its stream stood before it.
    pub fn begin_after(&mut self, entry: &Entry) {
        if let Some(before) = entry.stream_n.checked_sub(1) {
            self.0.insert(entry.stream_tag, (before, entry.stream_prev));
        }
    }

    /// A stream stood there.
    pub fn go_on_from(&mut self, end: &StreamEnd) {
        self.0.insert(end.tag, (end.last_n, end.last_seq));
    }

    /// Its line in the table: place, number of lines, and how it leads to the root.
    #[must_use]
    pub fn prove(&self, tag: &[u8; 16]) -> Option<(u64, u64, Vec<Hash>)> {
        let position = self.0.keys().position(|known| known == tag)? as u64;
        let mut leaves = Leaves(self.ends().map(|end| table_leaf(&end)).collect());
        let count = leaves.0.len() as u64;
        let Ok(proof) = inclusion(&mut leaves, position, count);
        Some((position, count, proof))
    }

    /// Puts an entry at the end of its stream; `false` if it does not follow.
    pub fn follow(&mut self, entry: &Entry) -> bool {
        let found = (entry.stream_n, entry.stream_prev);
        if entry.stream_tag == [0; 16] {
            return found == (0, NO_RECORD);
        }
        let Some(end) = self.0.get_mut(&entry.stream_tag) else {
            let first = found == (0, NO_RECORD);
            if first {
                self.0.insert(entry.stream_tag, (0, entry.seq));
            }
            return first;
        };
        let follows = found == (end.0 + 1, end.1);
        if follows {
            *end = (entry.stream_n, entry.seq);
        }
        follows
    }

    /// The root of the table: an RFC 6962 tree over its lines.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut range = CompactRange::new();
        for end in self.ends() {
            range.append(table_leaf(&end));
        }
        range.root()
    }
}

/// A table is small: its subtrees are hashed as they are asked for.
struct Leaves(Vec<Hash>);

impl Tree for Leaves {
    type Error = std::convert::Infallible;

    fn perfect(&mut self, start: u64, height: u32) -> Result<Hash, Self::Error> {
        let mut range = CompactRange::new();
        for leaf in self.0.iter().skip(start as usize).take(1 << height) {
            range.append(*leaf);
        }
        Ok(range.root())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledgers_own_stream_has_the_tag_of_its_definition() {
        assert_eq!(tag(&[0; 16], ""), CONTROL);
    }
}
