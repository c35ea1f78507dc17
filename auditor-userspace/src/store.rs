//! The ledger on disk. One writer; what it acknowledges is durable, what it seals is signed and released.
//!
//! ```text
//! let (mut store, opened) = Store::open(dir, &options)?;   // makes keys and ledger, or takes them up; seals leftovers
//! let seq = store.append(&body, now)?;                     // has its number; not durable yet
//! store.commit()?;                                         // durable: acknowledged() == seq + 1
//! let checkpoint = store.seal(input, now)?;                // SEAL, signed, durable, in the head file
//! let reader = store.reader();                             // Send + Clone, for the thread that answers questions
//! ```
//!
//! Invariant: what was released (head file) is at most what is durable (segments), which is at most what is appended.
//! `append` never blocks on the disk; `commit` and `seal` do. After an error from either the store is stopped: the
//! caller ends the process, and the next start takes up what is durable.
//!
//! | in the state folder | |
//! |---|---|
//! | `head` | the newest released checkpoint, and the lock |
//! | `reserve` | room for the last seal on a full disk |
//! | `node`, `root.vkey` | who signs: public |
//! | `keys/` | private keys |
//! | `NNNN/` | one ledger (incarnation): `seg-<first record>.redb`, `epochs` |

mod append; // the transaction
mod head; // the newest checkpoint, outside of the store
mod open; // start-up rules
mod read; // records for readers
mod reserve; // room for the last seal
pub mod schema; // tables and paths
mod segment; // one redb file
pub mod snapshot; // reading beside a writer

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use auditor_common::body::{Body, CpuMark, Hook, Loss, RunStop, Seal};
use auditor_common::checkpoint::{Checkpoint, SignedCheckpoint};
use auditor_common::gap::Gap;
use auditor_common::merkle;
use auditor_common::note::VerifierKey;
use auditor_common::origin::Origin;
use auditor_common::record::{SALT_LEN, flag};

pub use append::PIN_NS;
pub use head::{HeadState, parse as parse_head, read as read_head};
pub use read::{Reader, Record};
pub use segment::list as list_segments;

use crate::chain::{Chain, Link, Now};
use crate::key::{KeyError, Keys};
use append::Batch;
use read::Shared;
use schema::{Edge, segment_path};

pub use auditor_common::body::Recover;

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

/// Sizes that decide when files are made.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A segment file that is larger is followed by another.
    pub segment_bytes: u64,
    /// One that is older, too.
    pub segment_ns: u64,
    /// Room that is kept for the last seal.
    pub reserve_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { segment_bytes: 256 << 20, segment_ns: 24 * 3600 * 1_000_000_000, reserve_bytes: 64 << 20 }
    }
}

/// What the store must be told to begin.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Name of the node, `<cluster-domain>/<cluster>/<node>`, for keys that have yet to be made.
    pub node: String,
    /// Version of the daemon.
    pub version: String,
    /// SHA-256 of its binary.
    pub binary: [u8; 32],
    /// SHA-256 of its configuration.
    pub config: [u8; 32],
    /// Clock is synchronised, largest error in nanoseconds.
    pub clock: (bool, u64),
    /// What time it is.
    pub now: Now,
    /// Sizes.
    pub limits: Limits,
}

impl OpenOptions {
    /// What holds without any configuration: the node is named after the machine.
    #[must_use]
    pub fn new(version: &str, now: impl Into<Now>) -> Self {
        Self {
            node: default_node(),
            version: version.to_owned(),
            binary: [0; 32],
            config: [0; 32],
            clock: (false, u64::MAX),
            now: now.into(),
            limits: Limits::default(),
        }
    }
}

/// `network-audit.local/default/<first 12 of the machine's id>`.
#[must_use]
pub fn default_node() -> String {
    let id = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let id: String = id.chars().filter(char::is_ascii_hexdigit).take(12).collect();
    format!("network-audit.local/default/{}", if id.is_empty() { "unnamed" } else { &id })
}

/// How the run before ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreviousRun {
    /// There was none.
    None,
    /// It said that it stopped.
    Stopped {
        /// When it said so, CLOCK_REALTIME nanoseconds.
        last_wall_ns: u64,
    },
    /// It ended without a word: what happened after its last durable record is not known.
    Interrupted {
        /// When its last durable record was appended, CLOCK_REALTIME nanoseconds.
        last_wall_ns: u64,
    },
}

/// What was found when the store was opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The node's keys have just been made: the root key is the one thing to pin, and its private half is gone.
    pub created: bool,
    /// The root key's public half: what a verifier must have by another way.
    pub root: VerifierKey,
    /// Name of the ledger.
    pub origin: Origin,
    /// Which run this is, from 1.
    pub run: u32,
    /// How the one before ended.
    pub previous: PreviousRun,
    /// The ledger before could not be gone on with: an alarm.
    pub recovered: Option<Recover>,
    /// The newest checkpoint.
    pub checkpoint: Option<CheckpointInfo>,
}

/// What a SEAL says that the store does not know by itself. Times and counts are those of the present run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SealInput {
    /// Samples received since the run began.
    pub captured: u64,
    /// Lost since the run began, as `[gap, count]` pairs.
    pub lost: Vec<(u64, u64)>,
    /// One mark for each processor, in the order of their numbers.
    pub cpus: Vec<CpuMark>,
    /// Every hook, in the order of the programs' list.
    pub hooks: Vec<Hook>,
    /// Clock is synchronised, largest error in nanoseconds.
    pub clock: (bool, u64),
    /// SHA-256 of the daemon's binary.
    pub binary: [u8; 32],
    /// SHA-256 of the configuration in force.
    pub config: [u8; 32],
}

impl SealInput {
    fn body(&self, previous: Option<&SignedCheckpoint>, min_index: u64) -> Seal {
        Seal {
            previous_checkpoint: previous.map_or([0; 32], open::note_hash),
            previous_size: previous.map_or(0, |signed| signed.checkpoint.size),
            min_index,
            captured: self.captured,
            lost: self.lost.clone(),
            cpus: self.cpus.clone(),
            hooks: self.hooks.clone(),
            clock: self.clock,
            streams: merkle::empty(),
            witnessed: vec![],
            binary: self.binary,
            config: self.config,
            end_of_epoch: false,
        }
    }
}

/// A checkpoint that was released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointInfo {
    /// Name of the ledger.
    pub origin: Origin,
    /// How many records it covers.
    pub size: u64,
    /// The root of the tree.
    pub root: merkle::Hash,
    /// The signed note.
    pub note: String,
}

impl CheckpointInfo {
    /// What a signed checkpoint says.
    #[must_use]
    pub fn of(signed: &SignedCheckpoint) -> Self {
        let Checkpoint { origin, size, root } = signed.checkpoint.clone();
        Self { origin, size, root, note: signed.to_string() }
    }
}

/// Salts, taken from the kernel in batches.
#[derive(Debug)]
struct Salts {
    bytes: [u8; 256 * SALT_LEN],
    used: usize,
}

impl Default for Salts {
    fn default() -> Self {
        Self { bytes: [0; 256 * SALT_LEN], used: 256 }
    }
}

impl Salts {
    fn next(&mut self) -> Result<[u8; SALT_LEN], StoreError> {
        if self.used == 256 {
            self.bytes = crate::key::random()?;
            self.used = 0;
        }
        let salt = self.bytes.as_chunks().0[self.used];
        self.used += 1;
        Ok(salt)
    }
}

/// Signs the tree as it is now.
fn sign(keys: &Keys, chain: &Chain) -> SignedCheckpoint {
    let checkpoint = Checkpoint { origin: keys.origin.clone(), size: chain.size(), root: chain.edge().root() };
    let text = checkpoint.text();
    let (by_log, by_epoch) = (keys.log.sign(&text), keys.epoch.sign(&text));
    let (log, epoch) = ((keys.log.verifier(), &by_log), (keys.epoch.verifier(), &by_epoch));
    SignedCheckpoint::new(checkpoint, keys.number, log, epoch)
}

/// The ledger in the hand of the one thread that writes it.
#[derive(Debug)]
pub struct Store {
    reserve: PathBuf,
    shared: Arc<Shared>,
    limits: Limits,
    head: head::Head,
    keys: Keys,
    chain: Chain,
    pending: Vec<Link>,
    durable: u64,
    checkpoint: Option<SignedCheckpoint>,
    segment_wall_ns: u64,
    synchronised: bool,
    pins: append::Pins,
    salts: Salts,
    stopped: bool,
}

impl Drop for Store {
    /// Closes the segment in good order even while a reader holds on to what is shared.
    fn drop(&mut self) {
        self.pins.clear();
        self.shared.active.write().unwrap_or_else(PoisonError::into_inner).db = None;
    }
}

impl Store {
    /// Gives a record its number. It is durable after [`Store::commit`] or [`Store::seal`], and not before.
    pub fn append(&mut self, body: &Body, now: impl Into<Now>) -> Result<u64, StoreError> {
        self.append_flagged(body, 0, now)
    }

    /// The same for a record that lacks something: see [`flag::INCOMPLETE`].
    pub fn append_flagged(&mut self, body: &Body, flags: u8, now: impl Into<Now>) -> Result<u64, StoreError> {
        if self.stopped {
            return Err(StoreError::Stopped);
        }
        let now = now.into();
        if let Some(step) = self.chain.clock_step(now) {
            self.place(&Body::Clock(step), 0, now)?;
        }
        self.place(body, flags, now)
    }

    fn place(&mut self, body: &Body, flags: u8, now: Now) -> Result<u64, StoreError> {
        let unsynchronised = if self.synchronised { 0 } else { flag::CLOCK_UNSYNCHRONISED };
        let link = self.chain.append(body, flags | unsynchronised, now, self.salts.next()?);
        let seq = link.seq;
        self.pending.push(link);
        Ok(seq)
    }

    /// How many records are appended and not yet durable.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// How many records are durable: those with smaller numbers may be shown.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.durable
    }

    /// How many durable records are not under a checkpoint yet.
    #[must_use]
    pub fn unsealed(&self) -> u64 {
        self.durable - self.checkpoint.as_ref().map_or(0, |signed| signed.checkpoint.size)
    }

    /// A window for another thread.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::beside(self.shared.clone())
    }

    /// Makes everything that was appended durable, in one transaction.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        if self.stopped {
            return Err(StoreError::Stopped);
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        let now = self.chain.last();
        self.write(None).map_err(|error| self.stop(error, now))
    }

    /// Seals everything that was appended: SEAL, checkpoint, commit, head file. When this returns, others may be told.
    pub fn seal(&mut self, input: SealInput, now: impl Into<Now>) -> Result<CheckpointInfo, StoreError> {
        let now = now.into();
        self.synchronised = input.clock.0;
        // 1. The SEAL is a record like others. A crash here loses what was read since the last commit.
        self.append(&Body::Seal(input.body(self.checkpoint.as_ref(), 0)), now)?;
        let signed = sign(&self.keys, &self.chain);
        // 2. One transaction: records, complete subtrees, checkpoint, end of the chain. Durable when it returns, or not
        //    there at all. A crash here: the next start finds the same store, or one that is a checkpoint ahead of its
        //    head file, and goes on from it.
        // 3. The head file. From here on a store that has less is a store that lost something.
        let released = self.write(Some(&signed)).and_then(|()| self.head.write(&signed));
        released.map_err(|error| self.stop(error, now))?;
        // 4. Only now may anybody be told.
        *self.shared.checkpoint.lock().unwrap_or_else(PoisonError::into_inner) = Some(signed.clone());
        let info = CheckpointInfo::of(&signed);
        self.checkpoint = Some(signed);
        // 5. A segment ends where a checkpoint is. A crash here leaves the old segment, or a new one without records.
        self.next_segment_if_due(now).map_err(|error| self.stop(error, now))?;
        Ok(info)
    }

    /// The transaction. What was pending is durable when it returns.
    fn write(&mut self, checkpoint: Option<&SignedCheckpoint>) -> Result<(), StoreError> {
        let edge = Edge { prev: self.chain.prev(), range: self.chain.edge().clone() };
        let complete = self.chain.take_complete();
        let batch = Batch {
            links: &self.pending,
            complete: &complete,
            checkpoint: checkpoint.map(|signed| (signed, &edge)),
            ..Batch::default()
        };
        let active = self.shared.active.read().unwrap_or_else(PoisonError::into_inner);
        let db = active.db.as_ref().ok_or(StoreError::Stopped)?;
        self.pins.renew(db, self.chain.last().boot_ns);
        append::write(db, &segment_path(&self.shared.folder, active.first), &batch)?;
        self.durable = self.chain.size();
        self.pending.clear();
        Ok(())
    }

    /// Begins another segment file if this one is large or old. Called right after a seal.
    fn next_segment_if_due(&mut self, now: Now) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        let first = shared.active.read().unwrap_or_else(PoisonError::into_inner).first;
        let path = segment_path(&shared.folder, first);
        let bytes = std::fs::metadata(&path).map_err(|source| StoreError::Io { doing: "measure", path, source })?.len();
        let age = now.wall_ns.saturating_sub(self.segment_wall_ns);
        if first == self.durable || !self.limits.is_over(bytes, age) {
            return Ok(());
        }
        let start = Edge { prev: self.chain.prev(), range: self.chain.edge().clone() };
        let next = segment::create(&shared.folder, &self.keys.origin, &start)?;
        self.pins.clear();
        let mut active = shared.active.write().unwrap_or_else(PoisonError::into_inner);
        // Dropping closes the file in good order: it will never be written again.
        *active = read::Active { first: self.durable, db: Some(next) };
        self.segment_wall_ns = now.wall_ns;
        Ok(())
    }

    /// Nothing is written after an error, except the last seal on a full disk.
    fn stop(&mut self, error: StoreError, now: Now) -> StoreError {
        self.stopped = true;
        match error {
            StoreError::DiskFull { path, .. } => {
                let sealed = self.seal_on_a_full_disk(now).ok();
                StoreError::DiskFull { path, sealed }
            }
            other => other,
        }
    }

    /// Gives the reserve back to the disk, and uses the room to say that it was full.
    fn seal_on_a_full_disk(&mut self, now: Now) -> Result<u64, StoreError> {
        if !reserve::release(&self.reserve) {
            return Err(StoreError::Stopped);
        }
        // redb refuses to go on after an error of the disk: open the segment again, and follow it to its end. That end
        // is before or after the commit that failed; the rows that are not there are written again as they are.
        let shared = self.shared.clone();
        let mut active = shared.active.write().unwrap_or_else(PoisonError::into_inner);
        self.pins.clear();
        active.db = None;
        let log_tag = self.keys.origin.tag(&self.keys.root);
        let end = open::load_end(&shared.folder, active.first, &self.keys.origin, log_tag)?;
        active.db = Some(end.db);
        drop(active);
        let (run, epoch, last) = (self.chain.run(), self.chain.epoch(), self.chain.last());
        self.chain = end.chain;
        self.chain.resume_run(run, last);
        self.chain.begin_epoch(epoch);
        self.checkpoint = end.checkpoint;
        self.durable = self.chain.size();
        self.take_pending_up();

        let count = None;
        let (from, until) = (Some(now.wall_ns), None);
        let detail = "the disk is full; the daemon stops here".to_owned();
        let loss = Loss { gap: Gap::DiskFull as u64, count, from_wall_ns: from, until_wall_ns: until, detail };
        let input = SealInput { clock: (self.synchronised, 0), ..SealInput::default() };
        self.stopped = false;
        let sealed = self
            .append(&Body::Loss(loss), now)
            .and_then(|_| self.append(&Body::RunStop(RunStop { reason: "disk full".to_owned() }), now))
            .and_then(|_| self.append(&Body::Seal(input.body(self.checkpoint.as_ref(), 0)), now))
            .and_then(|_| {
                let signed = sign(&self.keys, &self.chain);
                self.write(Some(&signed))?;
                self.head.write(&signed)?;
                *self.shared.checkpoint.lock().unwrap_or_else(PoisonError::into_inner) = Some(signed.clone());
                self.checkpoint = Some(signed);
                Ok(self.durable)
            });
        self.stopped = true;
        sealed
    }

    /// Takes up the pending rows that are not durable, as far as they still follow. A SEAL among them is the last, and
    /// is left out: its checkpoint was never released.
    fn take_pending_up(&mut self) {
        let mut kept = Vec::new();
        for link in std::mem::take(&mut self.pending) {
            let Ok(row) = auditor_common::record::Row::parse(&link.row) else { break };
            if link.seq < self.chain.size() {
                continue;
            }
            if row.entry.prev != self.chain.prev() || row.entry.kind == auditor_common::record::EntryType::Seal {
                break;
            }
            self.chain.follow(row.leaf());
            kept.push(link);
        }
        self.pending = kept;
    }
}
