//! Records to leaves: the one place that gives numbers, links and commits. No clock, no disk, no chance: time and salt
//! are arguments.

use auditor_common::body::{Body, ClockStep, SCHEMA};
use auditor_common::merkle::{CompactRange, Complete, Hash, leaf};
use auditor_common::record::{ENTRY_LEN, Entry, NO_RECORD, SALT_LEN, at, commit_rows, genesis_prev};
use auditor_common::stream::StreamTable;

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// CLOCK_REALTIME, nanoseconds.
    pub wall_ns: u64,
    /// CLOCK_BOOTTIME, nanoseconds.
    pub boot_ns: u64,
}

/// The wall clock may part from the boot clock by this much between two records, besides 0.5 per mille of the time that
/// passed. What is more is a step, and recorded; a verifier allows twice as much without one.
const DRIFT_NS: u64 = 500_000_000;

/// A record that has its place: what the store writes down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub seq: u64,
    /// Entry, salt, body.
    pub row: Vec<u8>,
}

/// The end of a chain at some size: all that is needed to go on from there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Leaf hash of the last record.
    pub prev: Hash,
    /// The right edge of the tree.
    pub range: CompactRange,
    /// Where the streams end.
    pub streams: StreamTable,
}

impl Edge {
    /// Before the first record.
    #[must_use]
    pub fn genesis(log_tag: &[u8; 16]) -> Self {
        Self { prev: genesis_prev(log_tag), range: CompactRange::new(), streams: StreamTable::default() }
    }
}

/// Where the body of a row begins.
const BODY_AT: usize = ENTRY_LEN + SALT_LEN;

/// Places where a segment may begin, and what is before it may be removed: those of the tiles of 256 leaves.
pub const ALIGNMENT: u64 = 256;

/// The end of the chain, and the right edge of the tree.
#[derive(Clone, Debug)]
pub struct Chain {
    log_tag: [u8; 16],
    end: Edge,
    /// The end at the last multiple of [`ALIGNMENT`].
    aligned: Edge,
    run: u32,
    epoch: u32,
    last: Now,
    /// No record of this run has its place yet.
    fresh: bool,
    complete: Vec<Complete>,
    /// Records that have their place, and no hashes yet.
    placed: usize,
    /// The last multiple of [`ALIGNMENT`] among them, and the streams there.
    aligned_streams: Option<(u64, StreamTable)>,
}

impl Chain {
    /// A chain without a record.
    #[must_use]
    pub fn new(log_tag: [u8; 16]) -> Self {
        let genesis = Edge::genesis(&log_tag);
        Self::resume(log_tag, genesis.clone(), genesis)
    }

    /// A chain that goes on from an end, and the end at the last multiple of [`ALIGNMENT`]. The run has yet to begin: see
    /// [`Chain::begin_run`].
    #[must_use]
    pub fn resume(log_tag: [u8; 16], end: Edge, aligned: Edge) -> Self {
        Self {
            log_tag,
            end,
            aligned,
            run: 0,
            epoch: 0,
            last: Now::default(),
            fresh: true,
            complete: Vec::new(),
            placed: 0,
            aligned_streams: None,
        }
    }

    /// From now on records belong to this start of the daemon. `last_wall_ns` is the time of the record before.
    pub fn begin_run(&mut self, run: u32, last_wall_ns: u64) {
        self.run = run;
        self.last = Now { wall_ns: last_wall_ns, boot_ns: 0 };
        self.fresh = true;
    }

    /// Goes on with a run whose last record had these times.
    pub fn resume_run(&mut self, run: u32, last: Now) {
        self.run = run;
        self.last = last;
        self.fresh = false;
    }

    /// From now on records belong to this epoch.
    pub fn begin_epoch(&mut self, epoch: u32) {
        self.epoch = epoch;
    }

    /// Was the wall clock set since the last record? Then a CLOCK record must say so before another record is appended.
    #[must_use]
    pub fn clock_step(&self, at: Now) -> Option<ClockStep> {
        let passed = at.boot_ns.saturating_sub(self.last.boot_ns);
        // Between two runs only a clock that went back shows: how long nobody ran is not known.
        let (expected, drift) = if self.fresh {
            (self.last.wall_ns, DRIFT_NS)
        } else {
            (self.last.wall_ns.saturating_add(passed), DRIFT_NS + passed / 2000)
        };
        let back = at.wall_ns.saturating_add(drift) < expected;
        let forth = !self.fresh && at.wall_ns > expected.saturating_add(drift);
        (back || forth).then_some(ClockStep { before_wall_ns: expected, after_wall_ns: at.wall_ns })
    }

    /// Gives a record its place. Times never go back: a clock that was set back a little stands still here, and one that
    /// was set back by more is told of by a CLOCK record, which alone moves the time where it is.
    ///
    /// `stream` is the tag of the stream that the record belongs to.
    pub fn append(&mut self, body: &Body, flags: u8, at: Now, salt: [u8; SALT_LEN], stream: Option<[u8; 16]>) -> Link {
        let mut link = self.place(Vec::new(), body, flags, at, salt, stream);
        self.settle(std::slice::from_mut(&mut link));
        link
    }

    /// The same, but for the hashes: [`Chain::settle`] fills them in, of several records at a time, which takes two thirds of
    /// the time. The memory is that of a row that is no longer needed.
    pub fn place(
        &mut self,
        mut row: Vec<u8>,
        body: &Body,
        flags: u8,
        at: Now,
        salt: [u8; SALT_LEN],
        stream: Option<[u8; 16]>,
    ) -> Link {
        let wall_ns = match body {
            Body::Clock(step) => step.after_wall_ns,
            _ => self.last.wall_ns.max(at.wall_ns),
        };
        self.last = Now { wall_ns, boot_ns: self.last.boot_ns.max(at.boot_ns) };
        self.fresh = false;
        // Entry and salt get their bytes when the body has its own.
        row.clear();
        row.reserve(BODY_AT + 256);
        row.resize(BODY_AT, 0);
        body.encode_into(&mut row);
        let stream_tag = stream.unwrap_or_default();
        let (stream_n, stream_prev) = stream.map_or((0, NO_RECORD), |tag| self.end.streams.next(&tag));
        let entry = Entry {
            kind: body.entry_type(),
            flags,
            schema: SCHEMA,
            seq: self.size(),
            wall_ns: self.last.wall_ns,
            boot_ns: self.last.boot_ns,
            run: self.run,
            epoch: self.epoch,
            class: body.class(),
            body_len: (row.len() - BODY_AT) as u32,
            stream_prev,
            stream_n,
            stream_tag,
            log_tag: self.log_tag,
            prev: [0; 32],
            body_commit: [0; 32],
        };
        row[..ENTRY_LEN].copy_from_slice(&entry.to_bytes());
        row[ENTRY_LEN..BODY_AT].copy_from_slice(&salt);
        self.placed += 1;
        self.end.streams.follow(&entry);
        if self.size().is_multiple_of(ALIGNMENT) {
            self.aligned_streams = Some((self.size(), self.end.streams.clone()));
        }
        Link { seq: entry.seq, row }
    }

    /// Gives the records that were placed their commitments and their links. They are the last ones of these.
    pub fn settle(&mut self, links: &mut [Link]) {
        let (_, placed) = links.split_at_mut(links.len() - self.placed);
        self.placed = 0;
        let commits = commit_rows(placed.iter().map(|link| link.row.as_slice()));
        let mut leaves = Vec::with_capacity(placed.len());
        for (link, body_commit) in placed.iter_mut().zip(commits) {
            link.row[at::PREV..at::PREV + 32].copy_from_slice(&self.end.prev);
            link.row[at::BODY_COMMIT..at::BODY_COMMIT + 32].copy_from_slice(&body_commit);
            self.end.prev = leaf(&link.row[..ENTRY_LEN]);
            leaves.push(self.end.prev);
            if let Some((_, streams)) = self.aligned_streams.take_if(|(size, _)| *size == link.seq + 1) {
                self.grow(&mut leaves);
                self.aligned = Edge { prev: self.end.prev, range: self.end.range.clone(), streams };
            }
        }
        self.grow(&mut leaves);
    }

    fn grow(&mut self, leaves: &mut Vec<Hash>) {
        let complete = &mut self.complete;
        self.end.range.append_all(leaves, |subtree| complete.push(subtree));
        leaves.clear();
    }

    /// How many records are placed and not settled.
    #[must_use]
    pub fn placed(&self) -> usize {
        self.placed
    }

    /// Takes up an entry that exists already, with its leaf hash: how a store that is opened again finds its end. `false`
    /// if it does not follow in its stream.
    pub fn follow(&mut self, entry: &Entry, leaf: Hash) -> bool {
        self.assert_settled();
        self.end.prev = leaf;
        let complete = &mut self.complete;
        self.end.range.append_and_tell(leaf, |subtree| complete.push(subtree));
        let follows = self.end.streams.follow(entry);
        if self.size().is_multiple_of(ALIGNMENT) {
            self.aligned.clone_from(&self.end);
        }
        follows
    }

    /// The subtrees that became complete since this was asked last.
    pub fn take_complete(&mut self) -> Vec<Complete> {
        self.assert_settled();
        std::mem::take(&mut self.complete)
    }

    /// Nothing that depends on hashes may be asked before there are any: it would be signed.
    fn assert_settled(&self) {
        assert_eq!(self.placed, 0, "records without hashes");
    }

    /// The end as it is now.
    #[must_use]
    pub fn end(&self) -> &Edge {
        self.assert_settled();
        &self.end
    }

    /// Where the streams end, settled or not.
    #[must_use]
    pub fn streams(&self) -> &StreamTable {
        &self.end.streams
    }

    /// The end at the last multiple of [`ALIGNMENT`].
    #[must_use]
    pub fn aligned(&self) -> &Edge {
        self.assert_settled();
        &self.aligned
    }

    /// How many records there are: the number of the next.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.end.range.size() + self.placed as u64
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
