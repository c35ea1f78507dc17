//! Where the bytes go: files, written in an order that a reader in another process can rely on. Tests put something else
//! here, which can lose its power.

use std::fmt::Debug;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::ops::Bound;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};

/// What a store writes to: every change of the state folder goes through here, except for the reserve, which holds
/// nothing. Returned writes to a segment may be lost until its next sync, and names until their folder's; the rest is
/// durable when it returns.
pub trait Disk: Debug + Send + Sync {
    /// Opens a segment file for writing, and makes it if it must be new.
    fn segment(&self, path: &Path, new: bool) -> io::Result<Box<dyn StorageBackend>>;

    /// Writes to a file that is there, durably: `path` is its name, for whoever watches.
    fn write(&self, file: &File, path: &Path, content: &[u8], at: u64) -> io::Result<()>;

    /// Makes a file that is not there yet, with durable content. Its name is durable when its folder is.
    fn create(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()>;

    /// Gives a file another name, in place of the file that has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes a folder that only its owner may enter, with its parents; one that is there is no error.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder and all that is in it.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
}

/// The real disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Files;

impl Disk for Files {
    fn segment(&self, path: &Path, new: bool) -> io::Result<Box<dyn StorageBackend>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(new).mode(0o600);
        let backend = FileBackend::new(options.open(path)?).map_err(io::Error::other)?;
        Ok(Box::new(backend))
    }

    fn write(&self, file: &File, _: &Path, content: &[u8], at: u64) -> io::Result<()> {
        file.write_all_at(content, at).and_then(|()| file.sync_data())
    }

    fn create(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(content).and_then(|()| file.sync_all())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path).and_then(|folder| folder.sync_all())
    }
}

const PAGE: usize = 4096;

/// The length that redb is to see. It refuses a file that ends within a page, which a power cut can leave behind where the
/// file was about to grow: no commit refers to such a page.
pub(super) fn whole_pages(len: u64) -> u64 {
    len.next_multiple_of(PAGE as u64)
}

/// redb's backend with one thing added: the first page, which says where the newest commit is, is handed on last, just
/// before each sync. A reader that finds a commit in the file so finds all of its pages there as well.
///
/// To what a power cut can leave behind this makes no difference: whatever is handed on between two syncs can become
/// durable in any order.
#[derive(Debug)]
pub(super) struct Ordered {
    below: Box<dyn StorageBackend>,
    header: Mutex<Option<Box<[u8; PAGE]>>>,
}

impl Ordered {
    pub(super) fn new(below: Box<dyn StorageBackend>) -> Self {
        Self { below, header: Mutex::new(None) }
    }

    fn header(&self) -> MutexGuard<'_, Option<Box<[u8; PAGE]>>> {
        self.header.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_on(&self) -> io::Result<()> {
        match self.header().take() {
            Some(page) => self.below.write(0, page.as_slice()),
            None => Ok(()),
        }
    }
}

/// The part of a range that lies in the first page.
fn in_header(offset: u64, len: usize) -> usize {
    (PAGE as u64).saturating_sub(offset).min(len as u64) as usize
}

impl StorageBackend for Ordered {
    fn len(&self) -> io::Result<u64> {
        self.below.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.below.read(offset, out)?;
        if let Some(page) = &*self.header() {
            let len = in_header(offset, out.len());
            if len > 0 {
                out[..len].copy_from_slice(&page[offset as usize..offset as usize + len]);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        // The first page is never cut off; what is held back is about the file as it will be.
        self.below.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.hand_on()?;
        self.below.sync_data()
    }

    fn write(&self, offset: u64, content: &[u8]) -> io::Result<()> {
        let len = in_header(offset, content.len());
        if len > 0 {
            let mut header = self.header();
            let mut page = if let Some(page) = header.take() {
                page
            } else {
                let mut page = Box::new([0; PAGE]);
                let there = self.below.len()?.min(PAGE as u64) as usize;
                self.below.read(0, &mut page[..there])?;
                page
            };
            page[offset as usize..offset as usize + len].copy_from_slice(&content[..len]);
            *header = Some(page);
        }
        if len < content.len() {
            self.below.write(offset + len as u64, &content[len..])?;
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.hand_on()?;
        self.below.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.below.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.below.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.below.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.below.query_lock_range(start, end)
    }
}
