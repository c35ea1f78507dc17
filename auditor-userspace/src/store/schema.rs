//! What is in a segment file: tables, keys, and the few values that are not rows.

use std::path::{Path, PathBuf};

use auditor_common::body::StreamEnd;
use auditor_common::merkle::{CompactRange, Complete};
use auditor_common::stream::StreamTable;
use redb::TableDefinition;

use crate::chain::Edge;

/// The layout that this file describes. A segment of a newer one is refused by name.
pub const STORE_SCHEMA: u32 = 1;

/// `seq` → entry ‖ salt ‖ body.
pub const ROWS: TableDefinition<u64, &[u8]> = TableDefinition::new("rows");
/// `level << 56 | index` → root of that subtree of `256^level` leaves. Level 0 is not kept: it follows from the rows.
pub const TILES: TableDefinition<u64, &[u8; 32]> = TableDefinition::new("tiles");
/// Tree size → checkpoint note.
pub const CHECKPOINTS: TableDefinition<u64, &[u8]> = TableDefinition::new("ckpt");
/// Epoch → epoch note, for epochs that began in this segment. Epoch 0 is in the file `epochs`.
pub const EPOCHS: TableDefinition<u32, &[u8]> = TableDefinition::new("epochs");
/// Instance → its stream's key, 16 bytes.
pub const STREAMS: TableDefinition<&str, &[u8; 16]> = TableDefinition::new("streams");
/// Single values, by name.
pub const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

/// [`META`]: [`STORE_SCHEMA`], 4 bytes.
pub const META_SCHEMA: &str = "schema";
/// [`META`]: the ledger's origin.
pub const META_ORIGIN: &str = "origin";
/// [`META`]: the end of the chain where this segment begins: see [`Edge`].
pub const META_START: &str = "start";
/// [`META`]: the end of the chain at the newest checkpoint: see [`Edge`].
pub const META_SEALED: &str = "sealed";
/// [`META`]: the end of the chain at the last multiple of 256 before that.
pub const META_ALIGNED: &str = "aligned";
/// [`META`]: the policy in force: `seq` of its record, 8 bytes, and its body.
pub const META_POLICY: &str = "policy";

/// [`META`]: how much was read and counted that has no record yet, 8 bytes: see [`crate::store::Store::waits`].
pub const META_WAITING: &str = "waiting";

/// Key of a complete subtree in [`TILES`].
#[must_use]
pub const fn tile_key(complete: &Complete) -> u64 {
    (complete.level as u64) << 56 | complete.index
}

/// An edge is `size u64 ‖ prev ‖ hashes of the compact range ‖ stream table`, where a line of the table is
/// `tag ‖ last n u64 ‖ last seq u64`.
impl Edge {
    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.range.size().to_be_bytes().to_vec();
        out.extend_from_slice(&self.prev);
        for hash in self.range.hashes() {
            out.extend_from_slice(hash);
        }
        for end in self.streams.ends() {
            out.extend_from_slice(&end.tag);
            out.extend_from_slice(&end.last_n.to_be_bytes());
            out.extend_from_slice(&end.last_seq.to_be_bytes());
        }
        out
    }

    /// Reads an edge.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (size, rest) = bytes.split_first_chunk::<8>()?;
        let (prev, rest) = rest.split_first_chunk::<32>()?;
        let size = u64::from_be_bytes(*size);
        let (lines, trailing) = rest.as_chunks::<32>();
        let (hashes, lines) = lines.split_at_checked(size.count_ones() as usize)?;
        if !trailing.is_empty() {
            return None;
        }
        let ends: Vec<StreamEnd> = lines.iter().map(stream_end).collect();
        Some(Self {
            prev: *prev,
            range: CompactRange::from_parts(size, hashes.to_vec())?,
            streams: StreamTable::from_ends(&ends)?,
        })
    }
}

fn stream_end(line: &[u8; 32]) -> StreamEnd {
    let number = |at: usize| u64::from_be_bytes(std::array::from_fn(|i| line[at + i]));
    StreamEnd { tag: std::array::from_fn(|i| line[i]), last_n: number(16), last_seq: number(24) }
}

/// Folder of a ledger within the state folder.
#[must_use]
pub fn ledger_folder(state: &Path, incarnation: u32) -> PathBuf {
    state.join(format!("{incarnation:04}"))
}

/// Path of the segment that begins with this record.
#[must_use]
pub fn segment_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("seg-{first:020}.redb"))
}

/// First record of the segment with this file name, if it is the name of one.
#[must_use]
pub fn parse_segment_name(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("seg-")?.strip_suffix(".redb")?;
    let first: u64 = digits.parse().ok()?;
    (format!("{first:020}") == digits).then_some(first)
}
