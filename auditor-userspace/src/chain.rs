//! Records to leaves: the one place that gives numbers, links and commits. No clock, no disk, no chance: time and salt
//! are arguments.

use auditor_common::body::{Body, SCHEMA};
use auditor_common::merkle::{CompactRange, Complete, Hash};
use auditor_common::record::{Entry, NO_RECORD, SALT_LEN, commit, genesis_prev, to_row};

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// CLOCK_REALTIME, nanoseconds.
    pub wall_ns: u64,
    /// CLOCK_BOOTTIME, nanoseconds.
    pub boot_ns: u64,
}

/// A record that has its place: what the store writes down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub seq: u64,
    /// Entry, salt, body.
    pub row: Vec<u8>,
}

/// The end of the chain, and the right edge of the tree.
#[derive(Clone, Debug)]
pub struct Chain {
    log_tag: [u8; 16],
    prev: Hash,
    edge: CompactRange,
    run: u32,
    epoch: u32,
    last: Now,
    complete: Vec<Complete>,
}

impl Chain {
    /// A chain without a record.
    #[must_use]
    pub fn new(log_tag: [u8; 16]) -> Self {
        Self::resume(log_tag, genesis_prev(&log_tag), CompactRange::new())
    }

    /// A chain that goes on after the leaf `prev`. The run has yet to begin: see [`Chain::begin_run`].
    #[must_use]
    pub fn resume(log_tag: [u8; 16], prev: Hash, edge: CompactRange) -> Self {
        Self { log_tag, prev, edge, run: 0, epoch: 0, last: Now::default(), complete: Vec::new() }
    }

    /// From now on records belong to this start of the daemon; its clocks owe nothing to those before.
    pub fn begin_run(&mut self, run: u32, at: Now) {
        self.run = run;
        self.last = at;
    }

    /// From now on records belong to this epoch.
    pub fn begin_epoch(&mut self, epoch: u32) {
        self.epoch = epoch;
    }

    /// Gives a record its place. Times never go back within a run: a clock that was set back stands still here.
    pub fn append(&mut self, body: &Body, flags: u8, at: Now, salt: [u8; SALT_LEN]) -> Link {
        self.last = Now { wall_ns: self.last.wall_ns.max(at.wall_ns), boot_ns: self.last.boot_ns.max(at.boot_ns) };
        let bytes = body.encode();
        let entry = Entry {
            kind: body.entry_type(),
            flags,
            schema: SCHEMA,
            seq: self.edge.size(),
            wall_ns: self.last.wall_ns,
            boot_ns: self.last.boot_ns,
            run: self.run,
            epoch: self.epoch,
            class: body.class(),
            body_len: bytes.len() as u32,
            stream_prev: NO_RECORD,
            stream_n: 0,
            stream_tag: [0; 16],
            log_tag: self.log_tag,
            prev: self.prev,
            body_commit: commit(&salt, &bytes),
        };
        self.follow(entry.leaf());
        Link { seq: entry.seq, row: to_row(&entry, &salt, &bytes) }
    }

    /// Takes up a leaf that exists already: how a store that is opened again finds its end.
    pub fn follow(&mut self, leaf: Hash) {
        self.prev = leaf;
        let complete = &mut self.complete;
        self.edge.append_and_tell(leaf, |subtree| complete.push(subtree));
    }

    /// The subtrees that became complete since this was asked last.
    pub fn take_complete(&mut self) -> Vec<Complete> {
        std::mem::take(&mut self.complete)
    }

    /// Leaf hash of the last record.
    #[must_use]
    pub fn prev(&self) -> Hash {
        self.prev
    }

    /// The right edge of the tree.
    #[must_use]
    pub fn edge(&self) -> &CompactRange {
        &self.edge
    }

    /// How many records there are: the number of the next.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The run that records belong to.
    #[must_use]
    pub fn run(&self) -> u32 {
        self.run
    }

    /// The epoch that records belong to.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Times of the last record of this run.
    #[must_use]
    pub fn last(&self) -> Now {
        self.last
    }
}
