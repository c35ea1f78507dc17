//! Reading a segment that another process may be writing: without a lock, without a question, without a write.
//!
//! redb's own read-only mode either excludes a writer or asks it to commit twice. Its file format needs neither:
//! committed pages are never changed in place, and a page is used again only when no commit that is still pinned refers
//! to it. So the header (first page, with both commit slots) is copied once, and every other page is read where it is.
//! The writer pins what it committed for [`super::append::PIN_NS`]: a reader that is done by then saw one state. A
//! reader that took longer may stumble; [`Snapshot::is_current`] tells whether the file went on, and the reader then
//! begins again.
//!
//! The header's god byte and its bits are redb's documented file format, version 4 (docs/design.md, "Database header").

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io;
use std::ops::{Bound, Range};
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{
    BackendError, Builder, ConcurrencyMode, Database, ReadOnlyDatabase, ReadTransaction, ReadableDatabase,
    StorageBackend,
};

use super::StoreError;
use super::ahead::Ahead;
use super::disk::whole_pages;

const HEADER_LEN: usize = 4096;
const GOD_BYTE: usize = 9;
const RECOVERY_REQUIRED: u8 = 2;

/// One committed state of a segment file.
#[derive(Debug)]
pub struct Snapshot {
    path: PathBuf,
    header: [u8; HEADER_LEN],
    len: u64,
    file: File,
}

impl Snapshot {
    /// Takes the state that the file has now.
    pub fn take(path: &Path) -> Result<Self, StoreError> {
        let io = |source| StoreError::Io { doing: "read", path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let mut header = [0; HEADER_LEN];
        file.read_exact_at(&mut header, 0).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                StoreError::Corrupt { path: path.to_owned(), detail: "shorter than its header".to_owned() }
            }
            _ => io(error),
        })?;
        let len = file.metadata().map_err(io)?.len();
        Ok(Self { path: path.to_owned(), header, len, file })
    }

    /// Does the file still have the header that this state was taken with?
    #[must_use]
    pub fn is_current(&self) -> bool {
        let mut now = [0; HEADER_LEN];
        self.file.read_exact_at(&mut now, 0).is_ok() && now == self.header
    }

    /// Was the file left by a writer that did not close it, or is one at work?
    #[must_use]
    pub fn is_unclean(&self) -> bool {
        self.header[GOD_BYTE] & RECOVERY_REQUIRED != 0
    }

    /// Opens the state for reading, with at most this many bytes of cache.
    pub fn open(&self, cache: usize) -> Result<ReadOnlyDatabase, StoreError> {
        let io = |source| StoreError::Io { doing: "read", path: self.path.clone(), source };
        let mut header = self.header;
        // To redb the flag means "repair me first"; what we serve is one committed state, which needs none.
        header[GOD_BYTE] &= !RECOVERY_REQUIRED;
        let backend = Frozen { header, len: self.len, file: Ahead::new(self.file.try_clone().map_err(io)?) };
        Builder::new()
            .set_cache_size(cache)
            // The mode in which a reader trusts the header and nothing else: no allocator state, no file length.
            .set_concurrency_mode(ConcurrencyMode::SingleWriter)
            .open_read_only_with_backend(backend)
            .map_err(|error| StoreError::of_redb(&self.path, error))
    }
}

impl Snapshot {
    /// Opens the state as redb would after a crash: with its own repair, which goes back by one commit if a power cut
    /// tore the newest. What it writes stays in memory.
    pub fn repaired(&self, cache: usize) -> Result<Database, StoreError> {
        let io = |source| StoreError::Io { doing: "read", path: self.path.clone(), source };
        let file = Ahead::new(self.file.try_clone().map_err(io)?);
        let frozen = Frozen { header: self.header, len: self.len, file };
        let backend = Overlay {
            below: frozen,
            state: Mutex::new(Written { len: whole_pages(self.len), pages: BTreeMap::new() }),
        };
        let opened = Builder::new().set_cache_size(cache).create_with_backend(backend);
        opened.map_err(|error| StoreError::of_redb(&self.path, error))
    }
}

/// How often a reader begins again when the file went on under it.
const ATTEMPTS: u32 = 10;

/// Whether a power cut can have torn the newest state of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Torn {
    /// Its writer is this process: what it sees is what was written.
    No,
    /// Nobody knows who wrote it, and what became of them.
    Maybe,
}

/// Reads in one state of a segment file: the newest, or, where a power cut tore that one, the one that redb goes back to.
/// With what was read comes the open file, if its writer has closed it.
///
/// A torn state may be anything: pages of long ago among others. What reads it must refuse what does not fit.
pub fn in_one_state<T>(
    path: &Path,
    cache: usize,
    torn: Torn,
    read: impl Fn(&ReadTransaction) -> Result<T, StoreError>,
) -> Result<(T, Option<ReadOnlyDatabase>), StoreError> {
    in_a_state_that_fits(path, cache, torn, |error| error, read)
}

/// The same for a reader whose refusal is more than an error: `unread` makes one of a file that cannot be read at all. Where
/// no state fits, the refusal of the newest counts.
pub(super) fn in_a_state_that_fits<T, E>(
    path: &Path,
    cache: usize,
    torn: Torn,
    unread: impl Fn(StoreError) -> E,
    mut read: impl FnMut(&ReadTransaction) -> Result<T, E>,
) -> Result<(T, Option<ReadOnlyDatabase>), E> {
    let mut attempt = 1;
    loop {
        let snapshot = Snapshot::take(path).map_err(&unread)?;
        let newest = unharmed(path, || {
            let db = snapshot.open(cache)?;
            let value = read(&begin(&db, path)?);
            Ok(value.map(|value| (value, Some(db).filter(|_| !snapshot.is_unclean()))))
        });
        let newest = newest.unwrap_or_else(|error| Err(unread(error)));
        if newest.is_ok() {
            return newest;
        }
        if !snapshot.is_current() && attempt < ATTEMPTS {
            attempt += 1;
            continue;
        }
        // What nobody goes on with can be repaired; the pages of a writer at work are not all kept for us.
        if !snapshot.is_unclean() || torn == Torn::No {
            return newest;
        }
        let repaired = unharmed(path, || Ok(read(&begin(&snapshot.repaired(cache)?, path)?)));
        return match repaired {
            Ok(Ok(value)) => Ok((value, None)),
            _ => newest,
        };
    }
}

/// Begins to read.
pub(super) fn begin(db: &impl ReadableDatabase, path: &Path) -> Result<ReadTransaction, StoreError> {
    db.begin_read().map_err(|error| StoreError::of_redb(path, error))
}

/// redb can panic on a page that is not what it wrote; to a reader that is one more way of being unreadable.
pub fn unharmed<T>(path: &Path, read: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(StoreError::Corrupt { path: path.to_owned(), detail: "a page is not what was written".to_owned() })
    })
}

/// The file behind its copied header. Locks are granted without being taken.
#[derive(Debug)]
struct Frozen {
    header: [u8; HEADER_LEN],
    len: u64,
    file: Ahead,
}

impl StorageBackend for Frozen {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let from_header = (HEADER_LEN as u64).saturating_sub(offset).min(out.len() as u64) as usize;
        let (head, rest) = out.split_at_mut(from_header);
        if !head.is_empty() {
            head.copy_from_slice(&self.header[offset as usize..offset as usize + head.len()]);
        }
        if rest.is_empty() { Ok(()) } else { self.file.read(rest, offset + from_header as u64) }
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(refused())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(refused())
    }

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn try_lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn query_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(false)
    }
}

#[derive(Debug)]
struct Written {
    len: u64,
    pages: BTreeMap<u64, Box<[u8; HEADER_LEN]>>,
}

/// A frozen file with changes that nobody but this process sees.
#[derive(Debug)]
struct Overlay {
    below: Frozen,
    state: Mutex<Written>,
}

impl Overlay {
    fn state(&self) -> MutexGuard<'_, Written> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A page of the file as it was; what lies beyond its end is zero.
    fn page_below(&self, page: u64) -> io::Result<Box<[u8; HEADER_LEN]>> {
        let mut content = Box::new([0; HEADER_LEN]);
        let at = page * HEADER_LEN as u64;
        let there = self.below.len.saturating_sub(at).min(HEADER_LEN as u64) as usize;
        self.below.read(at, &mut content[..there])?;
        Ok(content)
    }

    /// Calls `with` for each piece of `at..at + len` that lies in one page: page, range within it, range within the whole.
    fn pieces(
        at: u64,
        len: usize,
        mut with: impl FnMut(u64, Range<usize>, Range<usize>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut done = 0;
        while done < len {
            let (page, from) = ((at + done as u64) / HEADER_LEN as u64, (at + done as u64) as usize % HEADER_LEN);
            let count = (HEADER_LEN - from).min(len - done);
            with(page, from..from + count, done..done + count)?;
            done += count;
        }
        Ok(())
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        if offset + out.len() as u64 > state.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Self::pieces(offset, out.len(), |page, within, whole| {
            match state.pages.get(&page) {
                Some(content) => out[whole].copy_from_slice(&content[within]),
                None => out[whole].copy_from_slice(&self.page_below(page)?[within]),
            }
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state().len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, content: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        Self::pieces(offset, content.len(), |page, within, whole| {
            let kept = match state.pages.entry(page) {
                Entry::Occupied(kept) => kept.into_mut(),
                Entry::Vacant(place) => place.insert(self.page_below(page)?),
            };
            kept[within].copy_from_slice(&content[whole]);
            Ok(())
        })
    }
}

fn refused() -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, "a snapshot is never written")
}
