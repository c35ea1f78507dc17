//! The head file: the newest checkpoint, outside of the store. What it holds was released; a store that has less has
//! lost something.
//!
//! Two slots of 4 KiB, written in turn, so that a torn write leaves the other one. The lock on this file is what makes
//! a second daemon wait outside.
//!
//! ```text
//!    0  8 B   "NALHEAD1"
//!    8  u64   how many times it was written, from 1: the larger of two slots is the newer
//!   16  u32   length of the note
//!   20  …     the checkpoint note, then zeros
//! 4092  u32   CRC-32 (ISO-HDLC, as zlib) over bytes 0..4092
//! ```
//!
//! Integers are big-endian.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use auditor_common::checkpoint::SignedCheckpoint;

use super::StoreError;
use super::disk::Disk;

/// Length of a slot.
const SLOT_LEN: usize = 4096;
const MAGIC: &[u8; 8] = b"NALHEAD1";
const NOTE_AT: usize = 20;
const CRC_AT: usize = SLOT_LEN - 4;

/// What a head file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadState {
    /// There is none, or nothing was ever written to it.
    Empty,
    /// The newest checkpoint that was released.
    Newest(Box<SignedCheckpoint>),
    /// It holds something, and neither slot can be read: that is not the same as nothing.
    Damaged,
}

fn slot_bytes(count: u64, note: &[u8]) -> Option<[u8; SLOT_LEN]> {
    let mut slot = [0; SLOT_LEN];
    slot.get_mut(NOTE_AT..NOTE_AT + note.len()).filter(|_| NOTE_AT + note.len() <= CRC_AT)?.copy_from_slice(note);
    slot[..8].copy_from_slice(MAGIC);
    slot[8..16].copy_from_slice(&count.to_be_bytes());
    slot[16..NOTE_AT].copy_from_slice(&(note.len() as u32).to_be_bytes());
    let crc = crc32fast::hash(&slot[..CRC_AT]);
    slot[CRC_AT..].copy_from_slice(&crc.to_be_bytes());
    Some(slot)
}

fn parse_slot(slot: &[u8]) -> Option<(u64, SignedCheckpoint)> {
    let (content, crc) = slot.split_at_checked(CRC_AT)?;
    if crc != crc32fast::hash(content).to_be_bytes() || &content[..8] != MAGIC {
        return None;
    }
    let count = u64::from_be_bytes(content[8..16].try_into().ok()?);
    let len = u32::from_be_bytes(content[16..NOTE_AT].try_into().ok()?) as usize;
    let note = content.get(NOTE_AT..NOTE_AT.checked_add(len)?)?;
    Some((count, SignedCheckpoint::parse(note).ok()?))
}

/// Reads the bytes of a head file.
#[must_use]
pub fn parse(bytes: &[u8]) -> HeadState {
    if let Some((_, checkpoint)) = newest(bytes) {
        return HeadState::Newest(Box::new(checkpoint));
    }
    // Once two checkpoints were released both slots hold something: beside an empty one, a torn slot is the first that
    // ever was written, and nobody was told of it.
    let is_empty = |slot: &[u8]| slot.iter().all(|byte| *byte == 0);
    let never_written = bytes.is_empty() || (bytes.len() == 2 * SLOT_LEN && bytes.chunks(SLOT_LEN).any(is_empty));
    if never_written || is_empty(bytes) { HeadState::Empty } else { HeadState::Damaged }
}

fn newest(bytes: &[u8]) -> Option<(u64, SignedCheckpoint)> {
    if bytes.len() != 2 * SLOT_LEN {
        return None;
    }
    bytes.chunks(SLOT_LEN).filter_map(parse_slot).max_by_key(|(count, _)| *count)
}

/// Reads a head file without locking it; one that is not there is empty.
pub fn read(path: &Path) -> Result<HeadState, StoreError> {
    let bytes = File::open(path).and_then(|file| {
        let mut bytes = Vec::new();
        // One that is longer than it can be is as damaged with one byte more as with all of them.
        file.take(2 * SLOT_LEN as u64 + 1).read_to_end(&mut bytes).map(|_| bytes)
    });
    match bytes {
        Ok(bytes) => Ok(parse(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(HeadState::Empty),
        Err(source) => Err(StoreError::Io { doing: "read", path: path.to_owned(), source }),
    }
}

/// The head file in the hand of the one process that writes it.
#[derive(Debug)]
pub(super) struct Head {
    file: File,
    path: PathBuf,
    count: u64,
    state: HeadState,
}

impl Head {
    /// Opens and locks the head file, and makes it if it is not there.
    pub(super) fn open(disk: &dyn Disk, path: &Path) -> Result<Self, StoreError> {
        let io = |doing| move |source| StoreError::Io { doing, path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(path).map_err(io("open"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Busy { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(io("lock")(source)),
        }
        let len = file.metadata().map_err(io("read"))?.len();
        if len == 0 {
            // Written and not only lengthened: a full disk must not stop the last checkpoint.
            disk.write(&file, path, &[0; 2 * SLOT_LEN], 0).map_err(io("write"))?;
            disk.sync_folder(path.parent().unwrap_or(Path::new("."))).map_err(io("sync the folder of"))?;
        }
        let mut bytes = vec![0; len.min(4 * SLOT_LEN as u64) as usize];
        file.read_exact_at(&mut bytes, 0).map_err(io("read"))?;
        if len != 0 && len != 2 * SLOT_LEN as u64 {
            file.set_len(2 * SLOT_LEN as u64).map_err(io("write"))?;
        }
        let count = newest(&bytes).map_or(0, |(count, _)| count);
        Ok(Self { file, path: path.to_owned(), count, state: parse(&bytes) })
    }

    /// What it says.
    #[must_use]
    pub(super) fn state(&self) -> &HeadState {
        &self.state
    }

    /// Replaces the older slot, durably. Only after this may anybody be told of the checkpoint.
    pub(super) fn write(&mut self, disk: &dyn Disk, checkpoint: &SignedCheckpoint) -> Result<(), StoreError> {
        let io = |source| StoreError::Io { doing: "write", path: self.path.clone(), source };
        let note = checkpoint.to_string();
        let slot = slot_bytes(self.count + 1, note.as_bytes())
            .ok_or_else(|| io(io::Error::other("the checkpoint does not fit into a slot")))?;
        let at = (self.count + 1) % 2 * SLOT_LEN as u64;
        disk.write(&self.file, &self.path, &slot, at).map_err(io)?;
        self.count += 1;
        self.state = HeadState::Newest(Box::new(checkpoint.clone()));
        Ok(())
    }
}
