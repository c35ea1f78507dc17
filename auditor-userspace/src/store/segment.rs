//! Segment files: one redb file for a stretch of the ledger. The newest is written, the others only read.

use std::fs;
use std::path::Path;

use auditor_common::body::{Body, Policy};
use auditor_common::origin::Origin;
use auditor_common::record::EntryType;
use redb::{Database, ReadableDatabase as _, TableError};

use super::StoreError;
use super::disk::{Disk, Ordered, whole_pages};
use super::schema::{
    CHECKPOINTS, EPOCHS, META, META_ALIGNED, META_ORIGIN, META_POLICY, META_SCHEMA, META_SEALED, META_START,
    META_WAITING, ROWS, STORE_SCHEMA, STREAMS, TILES, parse_segment_name, segment_path,
};
use super::snapshot::Snapshot;
use crate::chain::Edge;

/// Memory that a writer's page cache may take.
const CACHE: usize = 64 << 20;

/// First records of the segments in a ledger's folder, in ascending order. A folder that is not there has none.
pub fn list(folder: &Path) -> Result<Vec<u64>, StoreError> {
    let io = |source| StoreError::Io { doing: "list", path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(io(error)),
    };
    let mut firsts = Vec::new();
    for entry in entries {
        firsts.extend(entry.map_err(io)?.file_name().to_str().and_then(parse_segment_name));
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// Makes a segment that begins at this end of the chain, with a first batch of content. The file gets its name when all of
/// that is durable.
pub(super) fn create(
    disk: &dyn Disk,
    folder: &Path,
    origin: &Origin,
    start: &Edge,
    fill: impl FnOnce(&Database, &Path) -> Result<(), StoreError>,
) -> Result<Database, StoreError> {
    let path = segment_path(folder, start.range.size());
    let draft = path.with_extension("draft");
    let io = |doing| move |source| StoreError::Io { doing, path: folder.to_owned(), source };
    if draft.exists() {
        disk.remove(&draft).map_err(io("clear"))?;
    }
    let redb = |error: redb::Error| StoreError::of_redb(&path, error);
    let backend = Ordered::new(disk.segment(&draft, true).map_err(|error| redb(error.into()))?);
    let db = Database::builder().set_cache_size(CACHE).create_with_backend(backend);
    let db = db.map_err(|error| redb(error.into()))?;
    let prepare = || -> Result<(), redb::Error> {
        let txn = db.begin_write()?;
        {
            let mut meta = txn.open_table(META)?;
            meta.insert(META_SCHEMA, STORE_SCHEMA.to_be_bytes().as_slice())?;
            meta.insert(META_ORIGIN, origin.to_string().as_bytes())?;
            meta.insert(META_START, start.to_bytes().as_slice())?;
            meta.insert(META_SEALED, start.to_bytes().as_slice())?;
            meta.insert(META_ALIGNED, start.to_bytes().as_slice())?;
            txn.open_table(ROWS)?;
            txn.open_table(TILES)?;
            txn.open_table(CHECKPOINTS)?;
            txn.open_table(EPOCHS)?;
            txn.open_table(STREAMS)?;
        }
        txn.commit()?;
        Ok(())
    };
    prepare().map_err(redb)?;
    fill(&db, &draft)?;
    disk.rename(&draft, &path).map_err(io("add a segment to"))?;
    sync_folder(disk, folder)?;
    Ok(db)
}

/// Refuses a segment of a newer version before anything could be written to it. One that was not closed has to be
/// repaired before it can be read, and is refused after that.
pub(super) fn refuse_newer(path: &Path) -> Result<(), StoreError> {
    let found = || -> Option<u32> {
        let snapshot = Snapshot::take(path).ok().filter(|snapshot| !snapshot.is_unclean())?;
        let db = snapshot.open(1 << 20).ok()?;
        let meta = db.begin_read().ok()?.open_table(META).ok()?;
        let value = meta.get(META_SCHEMA).ok()??;
        value.value().try_into().map(u32::from_be_bytes).ok()
    };
    match found() {
        Some(found) if found > STORE_SCHEMA => Err(StoreError::NewerSchema { found, known: STORE_SCHEMA }),
        _ => Ok(()),
    }
}

/// Opens a segment to go on writing it. redb repairs what a crash left behind; what it cannot repair is `Corrupt`.
pub(super) fn open(disk: &dyn Disk, folder: &Path, first: u64) -> Result<Database, StoreError> {
    let path = segment_path(folder, first);
    let backend = disk.segment(&path, false).map_err(|error| StoreError::of_redb(&path, error))?;
    // To redb an empty file is one to begin in; to us it is one that lost everything.
    let len = backend.len().map_err(|error| StoreError::of_redb(&path, error))?;
    if len == 0 {
        return Err(StoreError::Corrupt { path, detail: "it is empty".to_owned() });
    }
    if len != whole_pages(len) {
        backend.set_len(whole_pages(len)).map_err(|error| StoreError::of_redb(&path, error))?;
    }
    Database::builder()
        .set_cache_size(CACHE)
        // A damaged page is found here, as an error, and not later, as an abort.
        .set_check_integrity_on_open(true)
        .create_with_backend(Ordered::new(backend))
        .map_err(|error| StoreError::of_redb(&path, error))
}

/// The single values of a segment that its writer goes on from.
#[derive(Debug)]
pub(super) struct Values {
    /// The end of the chain at the newest checkpoint.
    pub(super) sealed: Edge,
    /// The same at the last multiple of 256 before that.
    pub(super) aligned: Edge,
    /// The policy in force, and the number of its record.
    pub(super) policy: Option<(u64, Policy)>,
    /// How much was read that has no record yet.
    pub(super) waiting: u64,
}

/// Reads the single values of a segment; refuses a newer schema and another ledger's segment.
pub(super) fn values(txn: &redb::ReadTransaction, path: &Path, origin: &Origin) -> Result<Values, StoreError> {
    let corrupt = |detail: &str| StoreError::Corrupt { path: path.to_owned(), detail: detail.to_owned() };
    let meta = match txn.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::TableDoesNotExist(_)) => return Err(corrupt("it has no values")),
        Err(error) => return Err(StoreError::of_redb(path, error)),
    };
    let find = |name: &str| -> Result<Option<Vec<u8>>, StoreError> {
        let value = meta.get(name).map_err(|error| StoreError::of_redb(path, error))?;
        Ok(value.map(|value| value.value().to_vec()))
    };
    let get = |name: &str| find(name)?.ok_or_else(|| corrupt(&format!("it has no value \"{name}\"")));
    let schema =
        get(META_SCHEMA)?.try_into().map(u32::from_be_bytes).map_err(|_| corrupt("its schema is no number"))?;
    if schema > STORE_SCHEMA {
        return Err(StoreError::NewerSchema { found: schema, known: STORE_SCHEMA });
    }
    if get(META_ORIGIN)? != origin.to_string().as_bytes() {
        return Err(corrupt("it belongs to another ledger"));
    }
    let edge = |name: &str| Edge::parse(&get(name)?).ok_or_else(|| corrupt("an end of the chain is damaged"));
    let policy = match find(META_POLICY)? {
        Some(value) => Some(policy(&value).ok_or_else(|| corrupt("its policy is damaged"))?),
        None => None,
    };
    let waiting = match find(META_WAITING)? {
        Some(value) => value.try_into().map(u64::from_be_bytes).map_err(|_| corrupt("what waited is no number"))?,
        None => 0,
    };
    Ok(Values { sealed: edge(META_SEALED)?, aligned: edge(META_ALIGNED)?, policy, waiting })
}

fn policy(value: &[u8]) -> Option<(u64, Policy)> {
    let (seq, body) = value.split_first_chunk::<8>()?;
    match Body::decode(EntryType::Policy, 0, body) {
        Ok(Body::Policy(policy)) => Some((u64::from_be_bytes(*seq), policy)),
        _ => None,
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(disk: &dyn Disk, folder: &Path) -> Result<(), StoreError> {
    disk.sync_folder(folder).map_err(|source| StoreError::Io { doing: "sync", path: folder.to_owned(), source })
}
