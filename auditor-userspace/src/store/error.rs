//! What can go wrong with the store, by what a caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::reserve;
use crate::key::KeyError;

/// What went wrong with the store.
#[derive(Debug)]
pub enum StoreError {
    /// Another process holds the store.
    Busy {
        /// The file that it has locked.
        path: PathBuf,
    },
    /// Written by a newer auditor; reading it could misread evidence.
    NewerSchema {
        /// The layout that was found.
        found: u32,
        /// The newest that this version knows.
        known: u32,
    },
    /// A file does not hold what it must.
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The disk, or the quota, is full. The store is stopped.
    DiskFull {
        /// Which file could not be written.
        path: PathBuf,
        /// The size at which the end was sealed with the help of the reserve; `None` if even that was not possible.
        sealed: Option<u64>,
    },
    /// A record is not there: it was removed by policy, or never was.
    Missing {
        /// Its number.
        record: u64,
    },
    /// What was asked for is not done.
    Refused {
        /// Why.
        detail: String,
    },
    /// An earlier error stopped the store.
    Stopped,
    /// Keys are missing, or do not belong together.
    Keys {
        /// What is wrong with them.
        detail: String,
    },
    /// A file could not be used.
    Io {
        /// What was being done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Busy { path } => {
                write!(f, "another auditor is writing here ({} is locked): stop it first", path.display())
            }
            Self::NewerSchema { found, known } => write!(
                f,
                "the store was written by a newer auditor (layout {found}, this one knows {known}): use that version"
            ),
            Self::Corrupt { path, detail } => write!(f, "{} is damaged: {detail}", path.display()),
            Self::DiskFull { path, sealed: Some(size) } => write!(
                f,
                "the disk is full ({}): recording has stopped, sealed at record {size}; make room and start again",
                path.display()
            ),
            Self::DiskFull { path, sealed: None } => {
                write!(f, "the disk is full ({}): make room and start again", path.display())
            }
            Self::Missing { record } => {
                write!(f, "record {record} is not there: it was removed by policy, or has yet to be recorded")
            }
            Self::Refused { detail } => f.write_str(detail),
            Self::Stopped => write!(f, "the store was stopped by an earlier error: start again"),
            Self::Keys { detail } => write!(f, "the keys cannot be used: {detail}"),
            Self::Io { doing, path, source } => write!(f, "cannot {doing} {}: {source}", path.display()),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<KeyError> for StoreError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Io { doing, path, source } if reserve::full(&source) => {
                let _ = doing;
                Self::DiskFull { path, sealed: None }
            }
            KeyError::Io { doing, path, source } => Self::Io { doing, path, source },
            KeyError::Malformed { .. } | KeyError::Exists { .. } | KeyError::BadNode(_) | KeyError::NoRandomness(_) => {
                Self::Keys { detail: error.to_string() }
            }
        }
    }
}

impl StoreError {
    /// What an error of redb means for a caller.
    pub(crate) fn of_redb(path: &Path, error: impl Into<redb::Error>) -> Self {
        let path = path.to_owned();
        match error.into() {
            redb::Error::Io(source) if reserve::full(&source) => Self::DiskFull { path, sealed: None },
            redb::Error::Io(source) if source.kind() == io::ErrorKind::InvalidData => {
                Self::Corrupt { path, detail: source.to_string() }
            }
            redb::Error::Io(source) if source.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Corrupt { path, detail: "shorter than it says".to_owned() }
            }
            redb::Error::Io(source) => Self::Io { doing: "use", path, source },
            redb::Error::DatabaseAlreadyOpen => Self::Busy { path },
            redb::Error::PreviousIo | redb::Error::DatabaseClosed => Self::Stopped,
            error => Self::Corrupt { path, detail: error.to_string() },
        }
    }
}
