//! All records of a stretch: bodies, entries, and for a whole ledger the hash tiles that other verifiers know.

use std::path::Path;

use auditor_common::export::{TILE, WITHHELD, tile_path};
use auditor_common::merkle::{Hash, leaves, perfect_root};
use auditor_common::record::{ENTRY_LEN, EntryType, Row, SALT_LEN};

use super::{ExportError, Making, corrupt};
use crate::store::{Rows, StoreError};

impl Making<'_> {
    /// Number, width and rows of each tile, from the left.
    pub(super) fn each_tile(
        &mut self,
        mut each: impl FnMut(&mut Self, u64, u64, &Rows) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let (first, last) = (self.span.first, self.span.last);
        for n in first / TILE..=last / TILE {
            let end = (n * TILE + TILE).min(last + 1);
            let rows = self.reader.rows(n * TILE..end)?;
            if rows.len() as u64 != end - n * TILE {
                return Err(StoreError::Missing { record: n * TILE + rows.len() as u64 }.into());
            }
            each(self, n, end - n * TILE, &rows)?;
        }
        Ok(())
    }

    /// `bodies/N`.
    pub(super) fn bodies(&mut self) -> Result<(), ExportError> {
        let mut files = Vec::new();
        let (from, to) = self.span.asked;
        self.each_tile(|this, n, width, rows| {
            let mut content = Vec::with_capacity(rows.total());
            for (seq, bytes) in rows.iter() {
                let row = parse(bytes)?;
                // The ledger's own records are always whole; of others only what was asked for.
                let withheld = row.entry.kind == EntryType::Event && !(from..=to).contains(&seq);
                if withheld {
                    content.extend_from_slice(&WITHHELD.to_be_bytes());
                } else {
                    content.extend_from_slice(&row.entry.body_len.to_be_bytes());
                    content.extend_from_slice(&bytes[ENTRY_LEN..]);
                }
            }
            (this.progress)(n * TILE + width - this.span.first, 2 * (this.span.last + 1 - this.span.first));
            this.in_order(&mut files, format!("bodies/{}", tile_path(n, TILE)), content)
        })?;
        self.rest(files)
    }

    /// `tile/…`: for a whole ledger hashes of every level, and in any case the entries.
    pub(super) fn tiles(&mut self) -> Result<(), ExportError> {
        let whole = self.span.first == 0 && self.span.last + 1 == self.announced.checkpoint.size;
        if whole {
            self.hash_tiles()?;
        }
        let mut files = Vec::new();
        self.each_tile(|this, n, width, rows| {
            let mut content = Vec::with_capacity(rows.len() * (2 + ENTRY_LEN));
            for (_, row) in rows.iter() {
                content.extend_from_slice(&(ENTRY_LEN as u16).to_be_bytes());
                content.extend_from_slice(&row[..ENTRY_LEN]);
            }
            let total = this.span.last + 1 - this.span.first;
            (this.progress)(total + n * TILE + width - this.span.first, 2 * total);
            this.in_order(&mut files, format!("tile/entries/{}", tile_path(n, width)), content)
        })?;
        self.rest(files)
    }

    fn hash_tiles(&mut self) -> Result<(), ExportError> {
        let mut above: Vec<Hash> = Vec::new();
        let mut files = Vec::new();
        self.each_tile(|this, n, width, rows| {
            let leaves = leaves(rows.iter().map(|(_, row)| &row[..ENTRY_LEN]));
            if width == TILE {
                above.push(perfect_root(&leaves));
            }
            this.in_order(&mut files, format!("tile/0/{}", tile_path(n, width)), leaves.concat())
        })?;
        self.rest(files)?;
        for level in 1.. {
            if above.is_empty() {
                break;
            }
            let mut next = Vec::new();
            let mut files = Vec::new();
            for (n, hashes) in above.chunks(TILE as usize).enumerate() {
                if hashes.len() as u64 == TILE {
                    next.push(perfect_root(hashes));
                }
                let path = format!("tile/{level}/{}", tile_path(n as u64, hashes.len() as u64));
                self.in_order(&mut files, path, hashes.concat())?;
            }
            self.rest(files)?;
            above = next;
        }
        Ok(())
    }

    /// Tiles are written as they come. Beyond a million of them the order of the numbers is no longer that of the paths:
    /// then, and only then, files wait for their turn.
    pub(super) fn in_order(
        &mut self,
        waiting: &mut Vec<(String, Vec<u8>)>,
        path: String,
        content: Vec<u8>,
    ) -> Result<(), ExportError> {
        if self.span.last / TILE < 1_000_000 {
            return self.put(&path, &content);
        }
        waiting.push((path, content));
        Ok(())
    }

    pub(super) fn rest(&mut self, mut waiting: Vec<(String, Vec<u8>)>) -> Result<(), ExportError> {
        waiting.sort();
        for (path, content) in waiting {
            self.put(&path, &content)?;
        }
        Ok(())
    }
}

pub(super) fn parse(row: &[u8]) -> Result<Row<'_>, ExportError> {
    const _: () = assert!(SALT_LEN == 16, "a row's body follows entry and salt");
    Row::parse(row).map_err(|error| corrupt(Path::new("the store"), error.to_string()))
}
