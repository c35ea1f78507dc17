//! Where streams stand: the table at the beginning of a stretch, and the proofs of an excerpt's end.

use std::collections::BTreeMap;

use crate::body::StreamEnd;
use crate::export::STREAM;
use crate::merkle::MAX_PROOF;
use crate::note;
use crate::stream::{StreamTable, tag};
use crate::verify::ProvenEnd;

/// The table of streams where a stretch begins: a line each, `tag last-n last-seq`.
pub(super) fn table(bytes: &[u8]) -> Option<StreamTable> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut ends = Vec::new();
    for line in text.split_terminator('\n') {
        let mut parts = line.split(' ');
        let tag = note::unhex(parts.next()?)?.try_into().ok()?;
        let (last_n, last_seq) = (note::decimal(parts.next()?)?, note::decimal(parts.next()?)?);
        if parts.next().is_some() {
            return None;
        }
        ends.push(StreamEnd { tag, last_n, last_seq });
    }
    let table = StreamTable::from_ends(&ends)?;
    (format_table(&table) == text).then_some(table)
}

/// The table of streams as a file.
#[must_use]
pub fn format_table(table: &StreamTable) -> String {
    use std::fmt::Write as _;
    table.ends().fold(String::new(), |mut text, end| {
        let _ = writeln!(text, "{} {} {}", note::hex(&end.tag), end.last_n, end.last_seq);
        text
    })
}

pub(super) type Streams = (String, [u8; 16], BTreeMap<u64, ProvenEnd>);

/// Instance, key, and where the stream ended at some SEALs.
pub(super) fn streams(bytes: &[u8]) -> Option<Streams> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.strip_suffix('\n')?.split('\n').peekable();
    if lines.next()? != STREAM {
        return None;
    }
    let instance = String::from_utf8(note::unbase64(lines.next()?)?).ok()?;
    let key: [u8; 16] = note::unhex(lines.next()?)?.try_into().ok()?;
    let mut ends = BTreeMap::new();
    while let Some(line) = lines.next() {
        let numbers: Option<Vec<u64>> = line.strip_prefix("seal ")?.split(' ').map(note::decimal).collect();
        let &[seal, position, count, last_n, last_seq] = numbers.as_deref()? else { return None };
        let mut proof = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("seal ")) {
            if proof.len() == MAX_PROOF {
                return None;
            }
            proof.push(note::hash(line)?);
        }
        let end = StreamEnd { tag: tag(&key, &instance), last_n, last_seq };
        ends.insert(seal, ProvenEnd { end, position, streams: count, proof });
    }
    (format_streams(&instance, &key, &ends) == text).then_some((instance, key, ends))
}

/// The file `streams` of an excerpt.
#[must_use]
pub fn format_streams(instance: &str, key: &[u8; 16], ends: &BTreeMap<u64, ProvenEnd>) -> String {
    use std::fmt::Write as _;
    let mut text = format!("{STREAM}\n{}\n{}\n", note::base64(instance.as_bytes()), note::hex(key));
    for (seal, it) in ends {
        let StreamEnd { last_n, last_seq, .. } = it.end;
        let _ = writeln!(text, "seal {seal} {} {} {last_n} {last_seq}", it.position, it.streams);
        for hash in &it.proof {
            let _ = writeln!(text, "{}", note::base64(hash));
        }
    }
    text
}
