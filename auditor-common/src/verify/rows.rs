//! Row after row: links, leaves, commitments, times; checkpoint after checkpoint: roots and signatures.

use std::collections::BTreeMap;

use super::coverage::Coverage;
use super::{Answer, Finding, Identity, Question};
use crate::body::{Body, BodyError, Export, Policy, Prune, Recover, SCHEMA, StreamEnd, schema};
use crate::checkpoint::SignedCheckpoint;
use crate::epoch::EpochNote;
use crate::merkle::{CompactRange, GrowingTree, Hash, leaf, verify_inclusion};
use crate::record::{ENTRY_LEN, Entry, EntryType, Row, commit, genesis_prev, hash_rows};
use crate::stream::{CONTROL, StreamTable, may_be_an_instances, table_leaf};

/// The clocks may drift apart by this much between two records, besides a thousandth of the time that passed.
const DRIFT_NS: u64 = 1_000_000_000;
/// A record may be outside of its epoch by this much.
const SKEW_NS: i128 = 300 * 1_000_000_000;

/// What was released, as far as the verifier can know.
#[derive(Clone, Debug, Default)]
pub enum Released {
    /// Nobody keeps a head file for what is verified.
    #[default]
    NotKept,
    /// There must be a head file, and there is none.
    Missing,
    /// There is a head file, and it cannot be read.
    Damaged,
    /// This is the newest checkpoint that was released.
    Newest(Box<SignedCheckpoint>),
}

/// How much of a ledger there is to see.
#[derive(Clone, Debug, Default)]
pub enum Scope {
    /// All rows that are kept, and every checkpoint.
    #[default]
    Store,
    /// A stretch of rows, and the checkpoints at which epochs end.
    Stretch,
    /// Of a stretch the rows of one stream and of the ledger's own; of others the leaf hash.
    Excerpt {
        /// Tag of the stream.
        tag: [u8; 16],
        /// Where the stream ended at some SEALs, as their tables of streams say; by number of the SEAL.
        ends: BTreeMap<u64, ProvenEnd>,
    },
}

/// A line of a table of streams, and how it leads to the root of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenEnd {
    /// The line.
    pub end: StreamEnd,
    /// Its place in the table.
    pub position: u64,
    /// How many streams there are.
    pub streams: u64,
    /// From the line upwards.
    pub proof: Vec<Hash>,
}

/// What is held against the rows.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// How much there is to see.
    pub scope: Scope,
    /// What is said about the end, where the caller knows more about it than the rows.
    pub tail: Option<Answer>,
    /// The rows begin where somebody asked them to, and not where the ledger does.
    pub slice: bool,
    /// The head file.
    pub released: Released,
    /// The next ledger of this node declares that this one could not be gone on with.
    pub declared: Option<Recover>,
}

/// Where the rows begin. Untrusted: the first root that is signed shows whether it is right.
#[derive(Clone, Debug)]
pub struct Start {
    /// The right edge of the tree before the first row.
    pub range: CompactRange,
    /// Where the streams are there.
    pub streams: StreamTable,
}

impl Start {
    /// At the first record.
    #[must_use]
    pub fn genesis() -> Self {
        Self { range: CompactRange::new(), streams: StreamTable::default() }
    }
}

/// The hashes of a row: the part of the work that needs no order, and can be done on any thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    leaf: Hash,
    body_commit: Hash,
}

impl Digest {
    /// Hashes rows, several at a time. Of what is no row the hashes are of no use, and of no harm.
    #[must_use]
    pub fn of_each(rows: &[&[u8]]) -> Vec<Self> {
        hash_rows(rows).into_iter().map(Self::from).collect()
    }

    fn of(row: &Row<'_>) -> Self {
        Self { leaf: row.leaf(), body_commit: commit(row.salt, row.body) }
    }
}

impl From<[Hash; 2]> for Digest {
    /// What [`hash_rows`] says of a row.
    fn from([leaf, body_commit]: [Hash; 2]) -> Self {
        Self { leaf, body_commit }
    }
}

#[derive(Clone, Debug)]
pub(super) struct LastSeal {
    pub(super) seq: u64,
    pub(super) end_of_epoch: bool,
    pub(super) previous_checkpoint: Hash,
    pub(super) previous_size: u64,
    pub(super) wall_ns: u64,
    pub(super) epoch: u32,
}

/// A link that does not fit: which of the two records is the wrong one shows at the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Broken {
    pub(super) before: u64,
}

/// Reads a ledger from its first row that is kept to its last.
#[derive(Clone, Debug)]
pub struct Verifier {
    pub(super) identity: Identity,
    pub(super) evidence: Evidence,
    pub(super) log_tag: [u8; 16],
    pub(super) start: u64,
    pub(super) tree: GrowingTree,
    pub(super) prev: Option<Hash>,
    pub(super) last: Option<Entry>,
    pub(super) broken: Option<Broken>,
    /// The SEAL that was the last record, until its checkpoint comes.
    pub(super) seal: Option<LastSeal>,
    /// The last record was a row, and not only a leaf hash.
    adjacent: bool,
    /// Records whose body is not there.
    pub(super) withheld: u64,
    pub(super) foreign: u64,
    export: Option<Export>,
    pub(super) checkpoint: Option<SignedCheckpoint>,
    pub(super) note_hash: Hash,
    pub(super) sealed_wall_ns: u64,
    pub(super) checkpoints: u64,
    pub(super) released_met: bool,
    /// The PRUNE that explains where the rows begin, and what they begin with.
    pub(super) prune: Option<Prune>,
    pub(super) begun_with: Start,
    /// The newest POLICY, and its number.
    pub(super) policy: Option<(u64, Policy)>,
    pub(super) streams: StreamTable,
    /// The last ROTATE: which epoch comes, and its key.
    pub(super) rotate: Option<(u32, [u8; 32])>,
    pub(super) ended: bool,
    pub(super) clock_steps: u64,
    /// How far the wall clock was moved by declared steps since this epoch began, or since the rows did.
    pub(super) step_ns: i128,
    /// The latest time of a record of this epoch, without these steps.
    pub(super) newest_ns: i128,
    pub(super) epoch_reached: usize,
    pub(super) coverage: Coverage,
    pub(super) newer: Option<String>,
    pub(super) finding: Option<Finding>,
}

impl Verifier {
    /// A verifier before its first row.
    #[must_use]
    pub fn new(identity: Identity, start: Start, evidence: Evidence) -> Self {
        let log_tag = identity.log_tag();
        let first = start.range.size();
        let begun_with = start.clone();
        Self {
            log_tag,
            start: first,
            prev: (first == 0).then(|| genesis_prev(&log_tag)),
            tree: GrowingTree::new(start.range),
            last: None,
            broken: None,
            seal: None,
            adjacent: true,
            withheld: 0,
            foreign: 0,
            export: None,
            checkpoint: None,
            note_hash: [0; 32],
            sealed_wall_ns: 0,
            checkpoints: 0,
            released_met: false,
            prune: None,
            begun_with,
            policy: None,
            streams: start.streams,
            rotate: None,
            ended: false,
            clock_steps: 0,
            step_ns: 0,
            newest_ns: i128::MIN,
            epoch_reached: 0,
            coverage: Coverage::new(first > 0),
            newer: None,
            finding: None,
            identity,
            evidence,
        }
    }

    /// The number of the row that must come next.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.tree.size()
    }

    /// The root of the tree so far.
    #[must_use]
    pub fn root(&mut self) -> Hash {
        self.tree.root()
    }

    /// Was the last record one whose checkpoint must be there?
    #[must_use]
    pub fn expects_a_checkpoint(&self) -> bool {
        self.seal.as_ref().is_some_and(|seal| seal.end_of_epoch || matches!(self.evidence.scope, Scope::Store))
    }

    /// Was the last record a SEAL?
    #[must_use]
    pub fn ends_with_a_seal(&self) -> bool {
        self.adjacent && self.last.is_some_and(|entry| entry.kind == EntryType::Seal)
    }

    /// The last EXPORT that was seen.
    #[must_use]
    pub fn last_export(&self) -> Option<&Export> {
        self.export.as_ref()
    }

    /// Looks at the next row. After an error there is nothing more to look at: see [`Verifier::finish`].
    pub fn row(&mut self, key: u64, bytes: &[u8]) -> Result<(), Finding> {
        let outcome = self.look(key, bytes, None);
        self.keep(outcome)
    }

    /// The same for a row that is hashed already.
    pub fn digested(&mut self, key: u64, bytes: &[u8], digest: Digest) -> Result<(), Finding> {
        let outcome = self.look(key, bytes, Some(digest));
        self.keep(outcome)
    }

    /// A record of which there is the entry, and not the body.
    pub fn bare(&mut self, bytes: &[u8; ENTRY_LEN]) -> Result<(), Finding> {
        let outcome = self.look_at_bare(bytes);
        self.keep(outcome)
    }

    /// A record of which there is the leaf hash, and nothing else.
    pub fn foreign(&mut self, leaf: Hash) -> Result<(), Finding> {
        let outcome = match self.broken {
            Some(Broken { before }) => Err(changed_or_link(before)),
            None => self.seal_has_its_checkpoint().and_then(|()| self.epoch_begins(self.next())),
        };
        self.prev = Some(leaf);
        self.tree.append(leaf);
        self.adjacent = false;
        self.foreign += 1;
        self.keep(outcome)
    }

    /// A record of the ledger's own stream that lies outside of the stretch, and is proven by itself. Those before the
    /// stretch come before its first row, those after it after its last.
    pub fn outside(&mut self, entry: &Entry, body: &Body) -> Result<(), Finding> {
        let outcome = match body {
            Body::Policy(policy) => {
                self.policy = Some((entry.seq, policy.clone()));
                Ok(())
            }
            Body::Prune(prune) => self.removal(entry, prune),
            _ => Ok(()),
        };
        self.keep(outcome)
    }

    /// Looks at the checkpoint of the present size.
    pub fn checkpoint(&mut self, size: u64, note: &[u8]) -> Result<(), Finding> {
        let outcome = self.look_at_checkpoint(size, note);
        self.keep(outcome)
    }

    /// Something outside of the rows ended the verification: a file that cannot be read, say.
    pub fn give_up(&mut self, finding: Finding) {
        let _ = self.keep(Err(finding));
    }

    #[inline]
    pub(super) fn keep(&mut self, outcome: Result<(), Finding>) -> Result<(), Finding> {
        if let (Err(finding), None) = (&outcome, &self.finding) {
            self.finding = Some(finding.clone());
        }
        outcome
    }

    fn look(&mut self, key: u64, bytes: &[u8], digest: Option<Digest>) -> Result<(), Finding> {
        let seq = self.next();
        self.seal_has_its_checkpoint()?;
        if key > seq {
            return Err(Finding::integrity(seq, format!("record {seq} is missing")));
        }
        if key < seq {
            return Err(Finding::integrity(key, format!("record {key} is there twice")));
        }
        let row = Row::parse(bytes).map_err(|error| Finding::integrity(seq, format!("record {seq}: {error}")))?;
        let digest = digest.unwrap_or_else(|| Digest::of(&row));
        if row.entry.seq == seq && digest.body_commit != row.entry.body_commit {
            let sentence = format!("record {seq}: its body is not the one that was sealed");
            return Err(Finding::integrity(seq, sentence));
        }
        self.place(seq, &row.entry)?;
        if self.broken.is_none() {
            self.body(seq, &row)?;
        }
        self.take(row.entry, digest.leaf);
        Ok(())
    }

    fn look_at_bare(&mut self, bytes: &[u8; ENTRY_LEN]) -> Result<(), Finding> {
        let seq = self.next();
        self.seal_has_its_checkpoint()?;
        let entry = Entry::parse(bytes).map_err(|error| Finding::integrity(seq, format!("record {seq}: {error}")))?;
        if entry.kind != EntryType::Event {
            return Err(Finding::integrity(seq, format!("record {seq}: its body must not be withheld")));
        }
        self.place(seq, &entry)?;
        if self.broken.is_none() {
            self.stream(seq, &entry)?;
            self.coverage.withheld(&entry);
        }
        self.withheld += 1;
        self.take(entry, leaf(bytes));
        Ok(())
    }

    fn take(&mut self, entry: Entry, leaf: Hash) {
        self.prev = Some(leaf);
        self.tree.append(leaf);
        self.last = Some(entry);
        self.adjacent = true;
    }

    /// Does an entry belong to this place: number, ledger, link, time, epoch?
    fn place(&mut self, seq: u64, entry: &Entry) -> Result<(), Finding> {
        if entry.seq != seq {
            let found = entry.seq;
            return Err(Finding::integrity(seq, format!("record {seq} is in truth record {found}")));
        }
        if entry.log_tag != self.log_tag {
            return Err(Finding::integrity(seq, format!("record {seq} belongs to another ledger")));
        }
        self.link(seq, entry)?;
        if self.broken.is_some() {
            return Ok(());
        }
        self.times(seq, entry)?;
        self.epoch(seq, entry)
    }

    /// The entry holds the leaf hash of the one before. Where it does not, the row after tells which of the two was
    /// changed: one whose own leaf still fits is not the one.
    fn link(&mut self, seq: u64, entry: &Entry) -> Result<(), Finding> {
        let fits = self.prev.is_none_or(|prev| prev == entry.prev);
        match (self.broken, fits) {
            (Some(Broken { before }), true) => Err(changed(before)),
            (Some(Broken { before }), false) => Err(changed(before + 1)),
            (None, false) if seq == 0 => Err(changed(0)),
            (None, false) => {
                self.broken = Some(Broken { before: seq - 1 });
                Ok(())
            }
            (None, true) => Ok(()),
        }
    }

    fn times(&mut self, seq: u64, entry: &Entry) -> Result<(), Finding> {
        let violated = |sentence: String| Finding::Violated {
            question: Question::Time,
            record: Some(seq),
            sentence: format!("record {seq}: {sentence}"),
        };
        let Some(last) = &self.last else { return Ok(()) };
        // Between a record and the next one that can be seen, anything may have happened that is declared where it did.
        let skipped = self.adjacent && entry.run > last.run.saturating_add(1);
        if entry.run < last.run || skipped {
            return Err(Finding::integrity(seq, format!("record {seq}: run {} follows run {}", entry.run, last.run)));
        }
        let same_run = entry.run == last.run;
        if same_run && entry.boot_ns < last.boot_ns {
            return Err(violated("the boot clock goes back within a run".to_owned()));
        }
        if entry.kind == EntryType::Clock {
            return Ok(());
        }
        let Some(wall) = entry.wall_ns.checked_sub(last.wall_ns) else {
            return Err(violated("the wall clock goes back, and no record says that it was set".to_owned()));
        };
        let boot = entry.boot_ns.saturating_sub(last.boot_ns);
        if self.adjacent && same_run && wall.abs_diff(boot) > DRIFT_NS + boot / 1000 {
            return Err(violated("the wall clock jumps, and no record says that it was set".to_owned()));
        }
        Ok(())
    }

    /// The entry's epoch is the one that its number lies in, and its time is not outside of that epoch's.
    fn epoch(&mut self, seq: u64, entry: &Entry) -> Result<(), Finding> {
        let Some(note) = self.identity.epoch_of(seq) else {
            return Err(Finding::integrity(seq, format!("record {seq} lies in no epoch")));
        };
        if note.epoch != entry.epoch {
            let (found, right) = (entry.epoch, note.epoch);
            return Err(Finding::integrity(seq, format!("record {seq} says epoch {found}, and lies in epoch {right}")));
        }
        self.epoch_begins(seq)?;
        self.age(seq, entry)
    }

    /// Where an epoch begins, the one before it has ended, and said with which key it goes on. Of the record itself
    /// nothing needs to be known.
    fn epoch_begins(&mut self, seq: u64) -> Result<(), Finding> {
        let Some(note) = self.identity.epoch_of(seq) else { return Ok(()) };
        let wrong = |sentence: String| Err(Finding::integrity(seq, format!("record {seq}: {sentence}")));
        let number = note.epoch;
        if note.start != seq {
            let ended = self.ended && self.checkpoint.as_ref().is_some_and(|it| it.checkpoint.size == seq);
            return if ended { wrong(format!("the note of epoch {} is missing", number + 1)) } else { Ok(()) };
        }
        if note.root != self.tree.root() {
            return wrong(format!("epoch {number} begins at another root"));
        }
        // A record that is late for its epoch shows where the next one begins: a step of the clock in between, which is
        // declared, can explain it.
        if self.newest_ns > not_before(note) - self.step_ns + SKEW_NS {
            return Err(outside(seq - 1, number - 1));
        }
        // ROTATE may lie before the rows, if they begin in the middle of the epoch that it ended.
        let announced = match self.rotate {
            Some(rotate) => rotate == (number, *note.key.public()),
            None => seq > 0 && self.identity.epoch_of(seq - 1).is_some_and(|before| before.start < self.start),
        };
        if seq > self.start && !(announced && self.ended) {
            return wrong(format!("epoch {number} begins without the ROTATE and the seal before it"));
        }
        (self.step_ns, self.newest_ns) = (0, i128::MIN);
        Ok(())
    }

    /// The time of a record lies within its epoch. In the middle of an epoch, where the rows may begin, it is not known
    /// how often the clock was set before: only the end of that epoch can be told.
    fn age(&mut self, seq: u64, entry: &Entry) -> Result<(), Finding> {
        let Some(note) = self.identity.epoch_of(seq) else { return Ok(()) };
        self.epoch_reached = note.epoch as usize;
        if entry.kind == EntryType::Clock {
            return Ok(());
        }
        let undisturbed = i128::from(entry.wall_ns) - self.step_ns;
        if note.start >= self.start && undisturbed + SKEW_NS < not_before(note) {
            return Err(outside(seq, note.epoch));
        }
        self.newest_ns = self.newest_ns.max(undisturbed);
        Ok(())
    }

    fn body(&mut self, seq: u64, row: &Row<'_>) -> Result<(), Finding> {
        let entry = &row.entry;
        // A SEAL holds the table as the records before it left it.
        let streams = (entry.kind == EntryType::Seal).then(|| self.streams.clone());
        self.stream(seq, entry)?;
        if entry.schema != SCHEMA {
            // Whether that is a newer version or a changed byte shows at the next signed root.
            self.newer.get_or_insert_with(|| {
                format!("record {seq} has schema {}, this version knows {SCHEMA}", entry.schema)
            });
            return Ok(());
        }
        let unreadable = |error: BodyError| Finding::integrity(seq, format!("record {seq}: {error}"));
        if entry.kind == EntryType::Event {
            let sample = schema::sample(entry.class, row.body).map_err(unreadable)?;
            self.coverage.event(entry, sample);
            return Ok(());
        }
        let body = Body::decode(entry.kind, entry.class, row.body).map_err(unreadable)?;
        match &body {
            Body::Genesis { root, log, .. } => {
                let ours = root == self.identity.root.public() && log == self.identity.log.public();
                if seq != 0 || !ours {
                    return Err(Finding::integrity(
                        seq,
                        format!("record {seq}: GENESIS names other keys, or is not the first"),
                    ));
                }
            }
            _ if seq == 0 => return Err(Finding::integrity(0, "record 0 is not GENESIS")),
            Body::Seal(seal) => {
                self.table(seq, streams.as_ref(), &seal.streams)?;
                self.seal = Some(LastSeal {
                    seq,
                    end_of_epoch: seal.end_of_epoch,
                    previous_checkpoint: seal.previous_checkpoint,
                    previous_size: seal.previous_size,
                    wall_ns: entry.wall_ns,
                    epoch: entry.epoch,
                });
            }
            Body::Rotate(rotate) => self.rotate = Some((rotate.epoch, rotate.key)),
            Body::Clock(step) => {
                self.clock_steps += 1;
                self.step_ns += i128::from(step.after_wall_ns) - i128::from(step.before_wall_ns);
            }
            Body::Export(export) => self.export = Some(export.clone()),
            Body::Policy(policy) => self.policy = Some((seq, policy.clone())),
            Body::Prune(prune) => self.removal(entry, prune)?,
            _ => {}
        }
        self.coverage.other(entry, &body)
    }

    /// The entry is in the stream that its type says, and follows there.
    fn stream(&mut self, seq: u64, entry: &Entry) -> Result<(), Finding> {
        let own = entry.stream_tag == CONTROL;
        let out_of_place =
            || Finding::integrity(seq, format!("record {seq} does not follow the one before it in its stream"));
        let is_event = entry.kind == EntryType::Event;
        let fits = if own {
            !is_event
        } else {
            // Out of all streams is nothing but traffic.
            may_be_an_instances(entry.kind, entry.class) && (is_event || entry.stream_tag != [0; 16])
        };
        if !fits {
            return Err(out_of_place());
        }
        if let Scope::Excerpt { tag, .. } = &self.evidence.scope {
            if !own && entry.stream_tag != *tag {
                return Err(Finding::integrity(seq, format!("record {seq} is not one of those that were asked for")));
            }
            // Where a stream stood before the stretch begins, its first record in it says.
            if !self.streams.has(&entry.stream_tag) && entry.stream_prev < self.start {
                self.streams.begin_after(entry);
            }
        }
        if self.streams.follow(entry) { Ok(()) } else { Err(out_of_place()) }
    }

    /// Is the table of streams, whose root a SEAL has, that of the records before it?
    fn table(&mut self, seq: u64, streams: Option<&StreamTable>, root: &Hash) -> Result<(), Finding> {
        let Some(streams) = streams else { return Ok(()) };
        let wrong =
            || Finding::integrity(seq, format!("record {seq}: its table of streams is not that of the records"));
        let Scope::Excerpt { tag, ends } = &self.evidence.scope else {
            return if streams.root() == *root { Ok(()) } else { Err(wrong()) };
        };
        let Some(proven) = ends.get(&seq) else { return Ok(()) };
        if proven.end.tag != *tag || !proven.leads_to(root) {
            return Err(wrong());
        }
        // What the table says of the stream is what was seen of it; if nothing was, it ended before the stretch.
        let seen = streams.end(tag);
        let complete = seen.as_ref().map_or(proven.end.last_seq < self.start, |seen| *seen == proven.end);
        if complete {
            self.streams.go_on_from(&proven.end);
            return Ok(());
        }
        Err(Finding::integrity(seq, format!("record {seq}: there are records of the stream that are not here")))
    }

    /// What is removed was old enough, by the policy that was recorded before.
    pub(super) fn removal(&mut self, entry: &Entry, prune: &Prune) -> Result<(), Finding> {
        let seq = entry.seq;
        let head_violated =
            |sentence: String| Finding::Violated { question: Question::Head, record: Some(seq), sentence };
        if prune.policy < self.start && self.policy.is_none() {
            // Its policy was removed after it: an older removal, which explains nothing here.
            return Ok(());
        }
        let policy = self.policy.as_ref().filter(|(number, _)| *number == prune.policy);
        let Some((_, policy)) = policy else {
            return Err(head_violated(format!(
                "record {seq} removes records by a policy that was not recorded before"
            )));
        };
        if prune.newest_wall_ns.saturating_add(policy.min_ns) > entry.wall_ns {
            return Err(head_violated(format!("record {seq} removes records that the policy keeps")));
        }
        let explains = prune.min_index >= self.start && prune.min_index <= seq;
        if explains && self.prune.as_ref().is_none_or(|known| known.min_index > prune.min_index) {
            self.prune = Some(prune.clone());
        }
        Ok(())
    }
}

impl ProvenEnd {
    /// Does the line lead to this root of a table?
    fn leads_to(&self, root: &Hash) -> bool {
        let line = table_leaf(&self.end);
        verify_inclusion(self.position, self.streams, &line, &self.proof, root).is_ok()
    }
}

fn not_before(note: &EpochNote) -> i128 {
    i128::from(note.not_before) * 1_000_000_000
}

fn outside(record: u64, epoch: u32) -> Finding {
    let sentence = format!("record {record}: its time lies outside of epoch {epoch}");
    Finding::Violated { question: Question::Time, record: Some(record), sentence }
}

pub(super) fn changed(record: u64) -> Finding {
    Finding::integrity(record, format!("record {record} was changed"))
}

pub(super) fn tail_violated(record: Option<u64>, sentence: String) -> Finding {
    Finding::Violated { question: Question::Tail, record, sentence }
}

pub(super) fn changed_or_link(before: u64) -> Finding {
    Finding::integrity(before, format!("record {before}, or the link to it in the next, was changed"))
}
