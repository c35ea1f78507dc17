//! Reading records: for the thread that answers questions, beside the one that writes; and for other processes, from
//! the files.

use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use auditor_common::body::{Body, BodyError};
use auditor_common::checkpoint::SignedCheckpoint;
use auditor_common::merkle::{Complete, Hash, leaves};
use auditor_common::record::{ENTRY_LEN, Entry, Row};
use redb::{Database, ReadOnlyDatabase, ReadTransaction, ReadableTable as _, TableError};

use super::schema::{CHECKPOINTS, ROWS, STREAMS, TILES, segment_path, tile_key};
use super::snapshot::{Torn, begin, in_one_state};
use super::{Rows, StoreError, segment};
use crate::chain::{Edge, Link};

/// Memory that a closed segment's page cache may take.
const CACHE: usize = 8 << 20;

/// A record as it was read: the entry, and the body if this version knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The entry.
    pub entry: Entry,
    /// Its leaf hash.
    pub leaf: Hash,
    /// The body.
    pub body: Result<Body, BodyError>,
}

impl Record {
    fn parse(path: &Path, seq: u64, bytes: &[u8]) -> Result<Self, StoreError> {
        let corrupt = |detail| StoreError::Corrupt { path: path.to_owned(), detail };
        let row = Row::parse(bytes).map_err(|error| corrupt(format!("record {seq}: {error}")))?;
        if row.entry.seq != seq {
            return Err(corrupt(format!("record {seq} says that it is {}", row.entry.seq)));
        }
        let body = Body::decode(row.entry.kind, row.entry.class, row.body);
        Ok(Self { entry: row.entry, leaf: row.leaf(), body })
    }
}

/// The segment that is written, behind a lock: readers hold it shared for one answer, the writer takes it whole to
/// begin the next segment.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) first: u64,
    /// `None` only while the writer opens it again.
    pub(super) db: Option<Database>,
}

/// What the writer shares with readers.
pub(super) struct Shared {
    pub(super) folder: PathBuf,
    pub(super) active: RwLock<Active>,
    pub(super) checkpoint: Mutex<Option<SignedCheckpoint>>,
    /// Segments that are written no more, as readers have opened them. The writer drops those that it removes, so that
    /// the disk has their room at once.
    pub(super) closed: Mutex<Closed>,
}

/// So many closed segments are kept open: whoever reads them one after the other needs one, and each may take
/// [`CACHE`] bytes.
const KEPT_OPEN: usize = 4;

/// Segments that readers have opened, by their first record; the one that was used last at the end.
#[derive(Default)]
pub(super) struct Closed(Vec<(u64, Arc<ReadOnlyDatabase>)>);

impl Closed {
    fn get(&mut self, first: u64) -> Option<Arc<ReadOnlyDatabase>> {
        let kept = self.remove(first)?;
        self.0.push((first, Arc::clone(&kept)));
        Some(kept)
    }

    fn keep(&mut self, first: u64, db: ReadOnlyDatabase) {
        self.remove(first);
        self.0.push((first, Arc::new(db)));
        if self.0.len() > KEPT_OPEN {
            self.0.remove(0);
        }
    }

    /// Lets go of a segment.
    pub(super) fn remove(&mut self, first: u64) -> Option<Arc<ReadOnlyDatabase>> {
        let at = self.0.iter().position(|(kept, _)| *kept == first)?;
        Some(self.0.remove(at).1)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shared({})", self.folder.display())
    }
}

/// Where a reader finds the newest segment.
#[derive(Clone, Debug)]
enum Source {
    /// In this process, beside the writer.
    Writer(Arc<Shared>),
    /// In the files, whoever writes them.
    Files(PathBuf),
}

/// A window on the records that are durable.
#[derive(Clone, Debug)]
pub struct Reader {
    source: Source,
}

impl Reader {
    pub(super) fn beside(shared: Arc<Shared>) -> Self {
        Self { source: Source::Writer(shared) }
    }

    /// A window on the files of a ledger's folder: without a lock, whether a daemon writes them or not.
    #[must_use]
    pub fn on_files(folder: &Path) -> Self {
        Self { source: Source::Files(folder.to_owned()) }
    }

    fn torn(&self) -> Torn {
        match self.source {
            Source::Writer(_) => Torn::No,
            Source::Files(_) => Torn::Maybe,
        }
    }

    fn folder(&self) -> &Path {
        match &self.source {
            Source::Writer(shared) => &shared.folder,
            Source::Files(folder) => folder,
        }
    }

    /// Up to `limit` records, from number `from` on, in ascending order. Fewer mean that there are no more.
    pub fn range(&mut self, from: u64, limit: usize) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::new();
        for (first, end) in self.stretches()?.into_iter().filter(|(_, end)| *end > from) {
            let wanted = limit - records.len();
            if wanted == 0 {
                break;
            }
            records.extend(self.in_segment(first, |txn, path| rows(txn, path, from..end.max(from), wanted, false))?);
        }
        Ok(records)
    }

    /// Up to `limit` records before number `before`, newest first.
    pub fn newest(&mut self, before: u64, limit: usize) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::new();
        for (first, end) in self.stretches()?.into_iter().rev().filter(|(first, _)| *first < before) {
            let wanted = limit - records.len();
            if wanted == 0 {
                break;
            }
            records.extend(self.in_segment(first, |txn, path| rows(txn, path, first..before.min(end), wanted, true))?);
        }
        Ok(records)
    }

    /// What each segment is read for: from its own first record to the next segment's.
    pub(super) fn stretches(&self) -> Result<Vec<(u64, u64)>, StoreError> {
        let firsts = segment::list(self.folder())?;
        let ends = firsts.iter().skip(1).copied().chain([u64::MAX]);
        Ok(firsts.iter().copied().zip(ends).collect())
    }

    /// Rows as they are stored.
    pub fn links(&mut self, range: Range<u64>) -> Result<Vec<Link>, StoreError> {
        Ok((&self.rows(range)?).into())
    }

    /// The same, in one piece of memory.
    pub fn rows(&mut self, range: Range<u64>) -> Result<Rows, StoreError> {
        let mut rows = Rows::default();
        for (first, end) in self.stretches()? {
            let part = range.start.max(first)..range.end.min(end);
            if part.is_empty() {
                continue;
            }
            rows.append(self.in_segment(first, |txn, path| {
                let redb = |error: redb::Error| StoreError::of_redb(path, error);
                let table = txn.open_table(ROWS).map_err(|error| redb(error.into()))?;
                let mut found = Rows::default();
                for row in table.range(part.clone()).map_err(|error| redb(error.into()))? {
                    let (seq, row) = row.map_err(|error| redb(error.into()))?;
                    found.push(seq.value(), row.value());
                }
                Ok(found)
            })?);
        }
        Ok(rows)
    }

    /// Checkpoint notes of these sizes.
    pub fn notes(&mut self, sizes: RangeInclusive<u64>) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        let mut notes = Vec::new();
        for (first, end) in self.stretches()? {
            // A checkpoint belongs to the segment of the SEAL before it.
            let part = *sizes.start().max(&first.saturating_add(1))..=*sizes.end().min(&end);
            if part.is_empty() {
                continue;
            }
            notes.extend(self.in_segment(first, |txn, path| {
                let redb = |error: redb::Error| StoreError::of_redb(path, error);
                let table = txn.open_table(CHECKPOINTS).map_err(|error| redb(error.into()))?;
                let mut found = Vec::new();
                for note in table.range(part.clone()).map_err(|error| redb(error.into()))? {
                    let (size, note) = note.map_err(|error| redb(error.into()))?;
                    found.push((size.value(), note.value().to_vec()));
                }
                Ok(found)
            })?);
        }
        Ok(notes)
    }

    /// Leaf hashes of these records, as many as there are.
    pub fn leaves(&mut self, range: Range<u64>) -> Result<Vec<Hash>, StoreError> {
        let rows = self.rows(range)?;
        let entries = rows.iter().map_while(|(_, row)| row.first_chunk::<ENTRY_LEN>());
        Ok(leaves(entries.map(|entry| &entry[..])))
    }

    /// The roots of complete subtrees of `256^level` leaves; `None` for one that is not complete, or not kept.
    pub fn tiles(&mut self, level: u32, indices: Range<u64>) -> Result<Vec<Option<Hash>>, StoreError> {
        let mut found = vec![None; (indices.end - indices.start) as usize];
        let Some(leaves) = 256_u64.checked_pow(level) else { return Ok(found) };
        for (first, end) in self.stretches()? {
            // A root is in the segment of the leaf that completed it.
            let part = indices.start.max(first / leaves)..indices.end.min(end / leaves);
            if part.is_empty() {
                continue;
            }
            let key = |index| tile_key(&Complete { level: level as u8, index, hash: [0; 32] });
            let roots = self.in_segment(first, |txn, path| {
                let redb = |error: redb::Error| StoreError::of_redb(path, error);
                let table = txn.open_table(TILES).map_err(|error| redb(error.into()))?;
                let mut roots = Vec::new();
                for root in table.range(key(part.start)..key(part.end)).map_err(|error| redb(error.into()))? {
                    let (key, root) = root.map_err(|error| redb(error.into()))?;
                    roots.push((key.value(), *root.value()));
                }
                Ok(roots)
            })?;
            for (kept, root) in roots {
                if let Some(place) = found.get_mut((kept - key(indices.start)) as usize) {
                    *place = Some(root);
                }
            }
        }
        Ok(found)
    }

    /// The end of the chain where the first segment begins that is kept.
    pub fn first_edge(&mut self) -> Result<Edge, StoreError> {
        let first = self.stretches()?.first().map(|(first, _)| *first).ok_or(StoreError::Missing { record: 0 })?;
        self.in_segment(first, super::retain::start_in)
    }

    /// The end of the chain at some size: found by following the rows from where their segment begins.
    pub fn edge_at(&mut self, size: u64) -> Result<Edge, StoreError> {
        let stretches = self.stretches()?;
        let (first, _) =
            *stretches.iter().rev().find(|(first, _)| *first <= size).ok_or(StoreError::Missing { record: size })?;
        let mut edge = super::retain::start(&segment_path(self.folder(), first), self.torn())?;
        while edge.range.size() < size {
            let from = edge.range.size();
            let links = self.links(from..size.min(from + 4096))?;
            if links.is_empty() {
                return Err(StoreError::Missing { record: from });
            }
            for link in links {
                let row = Row::parse(&link.row).map_err(|_| StoreError::Missing { record: link.seq })?;
                edge.prev = row.leaf();
                edge.range.append(edge.prev);
                edge.streams.follow(&row.entry);
            }
        }
        Ok(edge)
    }

    /// The key of an instance's stream.
    pub fn stream_key(&mut self, instance: &str) -> Result<Option<[u8; 16]>, StoreError> {
        let Some((first, _)) = self.stretches()?.last().copied() else { return Ok(None) };
        self.in_segment(first, |txn, path| {
            let redb = |error: redb::Error| StoreError::of_redb(path, error);
            let table = txn.open_table(STREAMS).map_err(|error| redb(error.into()))?;
            let found = table.get(instance).map_err(|error| redb(error.into()))?;
            Ok(found.map(|key| *key.value()))
        })
    }

    /// One record.
    pub fn get(&mut self, seq: u64) -> Result<Option<Record>, StoreError> {
        Ok(self.range(seq, 1)?.into_iter().find(|record| record.entry.seq == seq))
    }

    /// How many records are durable.
    pub fn size(&mut self) -> Result<u64, StoreError> {
        Ok(self.newest(u64::MAX, 1)?.first().map_or(0, |record| record.entry.seq + 1))
    }

    /// The newest checkpoint: records below its size are sealed.
    pub fn checkpoint(&mut self) -> Result<Option<SignedCheckpoint>, StoreError> {
        if let Source::Writer(shared) = &self.source {
            return Ok(shared.checkpoint.lock().unwrap_or_else(PoisonError::into_inner).clone());
        }
        for first in segment::list(self.folder())?.iter().rev() {
            let found = self.in_segment(*first, newest_checkpoint)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Reads in one segment, in one state of it.
    pub(super) fn in_segment<T>(
        &mut self,
        first: u64,
        read: impl Fn(&ReadTransaction, &Path) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let path = segment_path(self.folder(), first);
        if let Source::Writer(shared) = &self.source {
            let active = shared.active.read().unwrap_or_else(PoisonError::into_inner);
            if active.first == first {
                let db = active.db.as_ref().ok_or(StoreError::Stopped)?;
                return read(&begin(db, &path)?, &path);
            }
        }
        if let Source::Writer(shared) = &self.source {
            let kept = shared.closed.lock().unwrap_or_else(PoisonError::into_inner).get(first);
            if let Some(db) = kept {
                return read(&begin(&*db, &path)?, &path);
            }
        }
        let (value, db) = in_one_state(&path, CACHE, self.torn(), |txn| read(txn, &path))?;
        // Nobody writes a segment that was closed, except to go on with the newest one.
        if let (Source::Writer(shared), Some(db)) = (&self.source, db) {
            shared.closed.lock().unwrap_or_else(PoisonError::into_inner).keep(first, db);
        }
        Ok(value)
    }
}

fn rows(
    txn: &ReadTransaction,
    path: &Path,
    range: impl std::ops::RangeBounds<u64>,
    limit: usize,
    backwards: bool,
) -> Result<Vec<Record>, StoreError> {
    let table = match txn.open_table(ROWS) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(vec![]),
        Err(error) => return Err(StoreError::of_redb(path, error)),
    };
    let mut range = table.range(range).map_err(|error| StoreError::of_redb(path, error))?;
    let mut records = Vec::new();
    while records.len() < limit {
        let Some(row) = (if backwards { range.next_back() } else { range.next() }) else { break };
        let (seq, bytes) = row.map_err(|error| StoreError::of_redb(path, error))?;
        records.push(Record::parse(path, seq.value(), bytes.value())?);
    }
    Ok(records)
}

pub(super) fn newest_checkpoint(txn: &ReadTransaction, path: &Path) -> Result<Option<SignedCheckpoint>, StoreError> {
    let table = match txn.open_table(CHECKPOINTS) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(StoreError::of_redb(path, error)),
    };
    let last = table.last().map_err(|error| StoreError::of_redb(path, error))?;
    let Some((_, note)) = last else { return Ok(None) };
    let checkpoint = SignedCheckpoint::parse(note.value());
    checkpoint.map(Some).map_err(|error| StoreError::Corrupt {
        path: path.to_owned(),
        detail: format!("its newest checkpoint: {error}"),
    })
}
