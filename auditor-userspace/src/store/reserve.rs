//! Room on the disk that is kept for one purpose: to seal, when the disk is full, that it is full.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::StoreError;

/// Makes sure that the reserve is there, with its blocks.
pub(super) fn hold(path: &Path, len: u64) -> Result<(), StoreError> {
    let io = |source: io::Error| {
        if full(&source) {
            StoreError::DiskFull { path: path.to_owned(), sealed: None }
        } else {
            StoreError::Io { doing: "reserve room in", path: path.to_owned(), source }
        }
    };
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() == len) {
        return Ok(());
    }
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(path).map_err(io)?;
    let length = libc::off_t::try_from(len).unwrap_or(libc::off_t::MAX);
    // SAFETY: the descriptor is open for writing as long as `file` lives; the call takes no pointers.
    let error = unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, length) };
    let outcome = if error == 0 { file.set_len(len) } else { Err(io::Error::from_raw_os_error(error)) };
    outcome.map_err(|error| {
        // A reserve that is only half there would take the last room and give nothing for it.
        let _ = fs::remove_file(path);
        io(error)
    })
}

/// Gives the room back. Returns whether there was any.
pub(super) fn release(path: &Path) -> bool {
    fs::remove_file(path).is_ok()
}

/// Does this error say that the disk, or the quota, is full?
#[must_use]
pub(super) fn full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
