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

mod ahead; // a file, a stretch at a time
mod append; // the transaction
mod check; // the store held against itself
pub mod disk; // where the bytes go
mod epoch; // the next key, and what is read again before the old one signs for the last time
mod error; // what can go wrong
mod export; // what an export needs of the writer
mod full; // the last seal on a full disk
pub(crate) mod hashed; // rows with their hashes
mod head; // the newest checkpoint, outside of the store
mod open; // start-up rules
mod read; // records for readers
mod reserve; // room for the last seal
mod retain; // what may be removed, and removing it
pub mod schema; // tables and paths
mod seal; // SEAL, checkpoint, head file
mod segment; // one redb file
pub mod snapshot; // reading beside a writer
mod stream; // which records belong together
mod tree; // the tree over what is stored
mod when; // records by their time

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use auditor_common::body::{Body, CpuMark, Hook, Policy};
use auditor_common::checkpoint::{Checkpoint, SignedCheckpoint};
use auditor_common::merkle;
use auditor_common::note::VerifierKey;
use auditor_common::origin::Origin;
use auditor_common::record::{SALT_LEN, flag};

pub use append::PIN_NS;
pub use check::{Fault, Inspection, check};
pub use error::StoreError;
pub use export::Announced;
pub use head::{HeadState, parse as parse_head, read as read_head};
pub use read::{Reader, Record};
pub use retain::{Removal, Removed, SegmentUse, Usage, default_policy};
pub use segment::list as list_segments;
pub use tree::StoreTree;

use crate::chain::{Chain, Link, Now};
use crate::clock::HOUR_NS;
use crate::key::Keys;
use read::Shared;

pub use auditor_common::body::Recover;

/// Sizes that decide when files are made.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A segment file that is larger is followed by another.
    pub segment_bytes: u64,
    /// One that is older, too.
    pub segment_ns: u64,
    /// A key that has signed for so long is followed by another.
    pub epoch_ns: u64,
    /// Room that is kept for the last seal.
    pub reserve_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { segment_bytes: 256 << 20, segment_ns: 24 * HOUR_NS, epoch_ns: HOUR_NS, reserve_bytes: 64 << 20 }
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
    /// What may be removed, until somebody decides otherwise: for a ledger that has no policy yet.
    pub policy: Policy,
    /// Where the bytes go.
    pub disk: Arc<dyn disk::Disk>,
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
            policy: default_policy(),
            disk: Arc::new(disk::Files),
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
    /// How much the run before had read and counted when it was cut off, and waited with its records for: see
    /// [`Store::waits`]. It stays so until the store is told otherwise.
    pub waiting: u64,
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

/// So many records are hashed together, while the processor still has them at hand.
const SETTLED_TOGETHER: usize = 256;

/// The ledger in the hand of the one thread that writes it.
#[derive(Debug)]
pub struct Store {
    state: PathBuf,
    disk: Arc<dyn disk::Disk>,
    shared: Arc<Shared>,
    limits: Limits,
    head: head::Head,
    keys: Keys,
    /// When this epoch began, on the boot clock.
    epoch_boot_ns: u64,
    recheck: epoch::SecondReading,
    chain: Chain,
    streams: stream::Streams,
    /// The policy in force, and the number of its record.
    policy_in_force: Option<(u64, Policy)>,
    /// The same, with its body, as long as it is not durable.
    policy: Option<(u64, Vec<u8>)>,
    pending: Vec<Link>,
    /// Memory of rows that were pending.
    spare: Vec<Vec<u8>>,
    /// How much was read that has no record yet: now, and as the disk has it.
    waiting: u64,
    waiting_written: u64,
    durable: u64,
    checkpoint: Option<SignedCheckpoint>,
    segment_wall_ns: u64,
    synchronised: bool,
    pins: append::Pins,
    salts: Salts,
    announced: Vec<Announced>,
    /// How large and how old the segments are that are written no more, by their first record.
    measured: BTreeMap<u64, SegmentUse>,
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
        self.tell_of_a_set_clock(now)?;
        self.place(body, flags, now)
    }

    fn tell_of_a_set_clock(&mut self, now: Now) -> Result<(), StoreError> {
        match self.chain.clock_step(now) {
            Some(step) => self.place(&Body::Clock(step), 0, now).map(drop),
            None => Ok(()),
        }
    }

    fn place(&mut self, body: &Body, flags: u8, now: Now) -> Result<u64, StoreError> {
        let unsynchronised = if self.synchronised { 0 } else { flag::CLOCK_UNSYNCHRONISED };
        let stream = self.streams.of(body)?;
        let row = self.spare.pop().unwrap_or_default();
        let link = self.chain.place(row, body, flags | unsynchronised, now, self.salts.next()?, stream);
        let seq = link.seq;
        self.streams.remember(body, seq, stream);
        if let Body::Policy(policy) = body {
            self.policy_in_force = Some((seq, policy.clone()));
            self.policy = Some((seq, body.encode()));
        }
        self.pending.push(link);
        if self.chain.placed() >= SETTLED_TOGETHER {
            self.settle();
        }
        Ok(seq)
    }

    /// Hashes what has not been.
    fn settle(&mut self) {
        self.chain.settle(&mut self.pending);
    }

    /// Rows that were pending are durable: their memory, a few MiB at most, is for the next ones.
    fn nothing_is_pending(&mut self) {
        const MOST: usize = 16_384;
        let spare = self.pending.drain(..).map(|link| link.row).filter(|row| row.capacity() <= 1024);
        self.spare.extend(spare.take(MOST.saturating_sub(self.spare.len())));
        self.pending.clear();
    }

    /// So much was read and counted whose records wait for something. It is durable with the next commit: if this run is
    /// cut off, that much is lost, and lies before its last durable record.
    pub fn waits(&mut self, count: u64) {
        self.waiting = count;
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

    /// How many records are under the newest checkpoint.
    #[must_use]
    pub fn sealed(&self) -> u64 {
        self.checkpoint.as_ref().map_or(0, |signed| signed.checkpoint.size)
    }

    /// An error has stopped it: nothing is written any more.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// How many durable records are not under a checkpoint yet.
    #[must_use]
    pub fn unsealed(&self) -> u64 {
        self.durable - self.sealed()
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
        self.write(None, None).map_err(|error| self.stop(error, now))
    }
}
