//! One instance's records and the ledger's own, among the leaf hashes of all others.

use std::collections::BTreeMap;

use auditor_common::export::{TILE, tile_path};
use auditor_common::merkle::leaves;
use auditor_common::record::{ENTRY_LEN, EntryType};
use auditor_common::stream::{CONTROL, tag};
use auditor_common::verify::{ProvenEnd, format_streams};

use super::stretch::parse;
use super::{ExportError, Making};

impl Making<'_> {
    fn stream(&mut self) -> Result<(String, [u8; 16], [u8; 16]), ExportError> {
        let instance = self.request.instance.clone().unwrap_or_default();
        let key = self.reader.stream_key(&instance)?;
        let key =
            key.ok_or_else(|| ExportError::Nothing(format!("there are no records of the instance \"{instance}\"")))?;
        let tag = tag(&key, &instance);
        Ok((instance, key, tag))
    }

    /// `own/N`: place in the tile, entry, body of each record that is handed out.
    pub(super) fn own(&mut self) -> Result<(), ExportError> {
        let (_, _, tag) = self.stream()?;
        let mut files = Vec::new();
        self.each_tile(|this, n, width, rows| {
            let mut content = Vec::new();
            for (at, (_, bytes)) in rows.iter().enumerate() {
                let row = parse(bytes)?;
                if row.entry.stream_tag == tag || row.entry.stream_tag == CONTROL {
                    content.push(at as u8);
                    content.extend_from_slice(row.entry_bytes);
                    content.extend_from_slice(&row.entry.body_len.to_be_bytes());
                    content.extend_from_slice(&bytes[ENTRY_LEN..]);
                }
            }
            let total = this.span.last + 1 - this.span.first;
            (this.progress)(n * TILE + width - this.span.first, 2 * total);
            if content.is_empty() {
                return Ok(());
            }
            this.in_order(&mut files, format!("own/{}", tile_path(n, TILE)), content)
        })?;
        self.rest(files)
    }

    /// `streams`: whose excerpt it is, and where the stream ended at the first and at the last SEAL of the span.
    pub(super) fn streams(&mut self) -> Result<(), ExportError> {
        let (instance, key, tag) = self.stream()?;
        let mut table = self.start.streams.clone();
        let mut ends = BTreeMap::new();
        let last = self.span.last;
        self.each_tile(|_, _, _, rows| {
            for (seq, bytes) in rows.iter() {
                let row = parse(bytes)?;
                let wanted = row.entry.kind == EntryType::Seal && (ends.is_empty() || seq == last);
                if wanted && let (Some(end), Some((position, streams, proof))) = (table.end(&tag), table.prove(&tag)) {
                    ends.insert(seq, ProvenEnd { end, position, streams, proof });
                }
                table.follow(&row.entry);
            }
            Ok(())
        })?;
        if !ends.contains_key(&last) {
            return Err(ExportError::Nothing(format!(
                "there are no records of the instance \"{instance}\" in that time"
            )));
        }
        let text = format_streams(&instance, &key, &ends);
        self.put("streams", text.as_bytes())
    }

    /// `tile/0/N`: the leaf hashes of all records.
    pub(super) fn leaves(&mut self) -> Result<(), ExportError> {
        let mut files = Vec::new();
        self.each_tile(|this, n, width, rows| {
            let content = leaves(rows.iter().map(|(_, row)| &row[..ENTRY_LEN])).concat();
            let total = this.span.last + 1 - this.span.first;
            (this.progress)(total + n * TILE + width - this.span.first, 2 * total);
            this.in_order(&mut files, format!("tile/0/{}", tile_path(n, width)), content)
        })?;
        self.rest(files)
    }
}
