//! Segment files: one redb file for a stretch of the ledger. The newest is written, the others only read.

use std::fs;
use std::path::Path;

use auditor_common::origin::Origin;
use redb::{Database, ReadableDatabase as _, TableError};

use super::StoreError;
use super::schema::{
    CHECKPOINTS, EPOCHS, Edge, META, META_ORIGIN, META_SCHEMA, META_SEALED, META_START, ROWS, STORE_SCHEMA, STREAMS,
    TILES,
    parse_segment_name, segment_path,
};
use super::snapshot::Snapshot;

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

/// Makes the segment that begins where the chain ends now, with a first batch of content. The file gets its name when all
/// of that is durable.
pub(super) fn create(
    folder: &Path,
    origin: &Origin,
    start: &Edge,
    fill: impl FnOnce(&Database, &Path) -> Result<(), StoreError>,
) -> Result<Database, StoreError> {
    let path = segment_path(folder, start.range.size());
    let draft = path.with_extension("draft");
    let io = |doing| move |source| StoreError::Io { doing, path: folder.to_owned(), source };
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io("clear")(error)),
        _ => {}
    }
    let redb = |error: redb::Error| StoreError::of_redb(&path, error);
    let db = Database::builder().set_cache_size(CACHE).create(&draft).map_err(|error| redb(error.into()))?;
    let prepare = || -> Result<(), redb::Error> {
        let txn = db.begin_write()?;
        {
            let mut meta = txn.open_table(META)?;
            meta.insert(META_SCHEMA, STORE_SCHEMA.to_be_bytes().as_slice())?;
            meta.insert(META_ORIGIN, origin.to_string().as_bytes())?;
            meta.insert(META_START, start.to_bytes().as_slice())?;
            meta.insert(META_SEALED, start.to_bytes().as_slice())?;
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
    fs::rename(&draft, &path).map_err(io("add a segment to"))?;
    sync_folder(folder)?;
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
pub(super) fn open(folder: &Path, first: u64) -> Result<Database, StoreError> {
    let path = segment_path(folder, first);
    Database::builder()
        .set_cache_size(CACHE)
        // A damaged page is found here, as an error, and not later, as an abort.
        .set_check_integrity_on_open(true)
        .open(&path)
        .map_err(|error| StoreError::of_redb(&path, error))
}

/// The end of the chain at a segment's newest checkpoint; refuses a newer schema and another ledger's segment.
pub(super) fn sealed_end(txn: &redb::ReadTransaction, path: &Path, origin: &Origin) -> Result<Edge, StoreError> {
    let corrupt = |detail: &str| StoreError::Corrupt { path: path.to_owned(), detail: detail.to_owned() };
    let meta = match txn.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::TableDoesNotExist(_)) => return Err(corrupt("it has no values")),
        Err(error) => return Err(StoreError::of_redb(path, error)),
    };
    let get = |name: &str| -> Result<Vec<u8>, StoreError> {
        let value = meta.get(name).map_err(|error| StoreError::of_redb(path, error))?;
        value.map(|value| value.value().to_vec()).ok_or_else(|| corrupt(&format!("it has no value \"{name}\"")))
    };
    let schema =
        get(META_SCHEMA)?.try_into().map(u32::from_be_bytes).map_err(|_| corrupt("its schema is no number"))?;
    if schema > STORE_SCHEMA {
        return Err(StoreError::NewerSchema { found: schema, known: STORE_SCHEMA });
    }
    if get(META_ORIGIN)? != origin.to_string().as_bytes() {
        return Err(corrupt("it belongs to another ledger"));
    }
    Edge::parse(&get(META_SEALED)?).ok_or_else(|| corrupt("its end is damaged"))
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    fs::File::open(folder).and_then(|file| file.sync_all()).map_err(|source| StoreError::Io {
        doing: "sync",
        path: folder.to_owned(),
        source,
    })
}
