//! Row after row: links, leaves, commitments, times; checkpoint after checkpoint: roots and signatures.

use super::coverage::Coverage;
use super::{Answer, Finding, Identity, Question, Standing, Verdict};
use crate::body::{Body, BodyError, Policy, Prune, Recover, SCHEMA, schema};
use crate::checkpoint::SignedCheckpoint;
use crate::merkle::{CompactRange, Hash, sha256};
use crate::note::NoteError;
use crate::record::{Entry, EntryType, Row, RowError, genesis_prev};
use crate::stream::{CONTROL, StreamTable};

/// The clocks may drift apart by this much between two records, besides a thousandth of the time that passed.
const DRIFT_NS: u64 = 1_000_000_000;
/// A record may be outside of its epoch by this much.
const SKEW_NS: u64 = 300 * 1_000_000_000;

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

/// What is held against the rows.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
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

/// A row with its hashes: the part of the work that needs no order, and can be done on any thread.
#[derive(Clone, Copy, Debug)]
pub struct Digested<'a> {
    row: Result<Row<'a>, RowError>,
    leaf: Hash,
    fits: bool,
}

impl<'a> Digested<'a> {
    /// Hashes a row.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        match Row::parse(bytes) {
            Ok(row) => Self { row: Ok(row), leaf: row.leaf(), fits: row.fits() },
            Err(error) => Self { row: Err(error), leaf: [0; 32], fits: false },
        }
    }
}

#[derive(Clone, Debug)]
struct LastSeal {
    seq: u64,
    end_of_epoch: bool,
    previous_checkpoint: Hash,
    previous_size: u64,
    wall_ns: u64,
    epoch: u32,
}

/// A link that does not fit: which of the two records is the wrong one shows at the next.
#[derive(Clone, Copy, Debug)]
struct Broken {
    before: u64,
}

/// Reads a ledger from its first row that is kept to its last.
#[derive(Clone, Debug)]
pub struct Verifier {
    identity: Identity,
    evidence: Evidence,
    log_tag: [u8; 16],
    start: u64,
    range: CompactRange,
    prev: Option<Hash>,
    last: Option<Entry>,
    broken: Option<Broken>,
    /// The SEAL that was the last record, until its checkpoint comes.
    seal: Option<LastSeal>,
    checkpoint: Option<SignedCheckpoint>,
    note_hash: Hash,
    sealed_wall_ns: u64,
    checkpoints: u64,
    released_met: bool,
    /// The PRUNE that explains where the rows begin, and what they begin with.
    prune: Option<Prune>,
    begun_with: Start,
    /// The newest POLICY, and its number.
    policy: Option<(u64, Policy)>,
    streams: StreamTable,
    /// The last ROTATE: which epoch comes, and its key.
    rotate: Option<(u32, [u8; 32])>,
    ended: bool,
    clock_steps: u64,
    /// How far the wall clock was moved by declared steps since this epoch began, and whether it was.
    step_ns: i128,
    stepped: bool,
    /// The latest time of a record of this epoch.
    newest_wall_ns: u64,
    epoch_reached: usize,
    coverage: Coverage,
    newer: Option<String>,
    finding: Option<Finding>,
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
            range: start.range,
            last: None,
            broken: None,
            seal: None,
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
            stepped: false,
            newest_wall_ns: 0,
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
        self.range.size()
    }

    /// Looks at the next row. After an error there is nothing more to look at: see [`Verifier::finish`].
    pub fn row(&mut self, key: u64, bytes: &[u8]) -> Result<(), Finding> {
        self.digested(key, &Digested::new(bytes))
    }

    /// The same for a row that is hashed already.
    pub fn digested(&mut self, key: u64, digested: &Digested<'_>) -> Result<(), Finding> {
        let outcome = self.look(key, digested);
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

    fn keep(&mut self, outcome: Result<(), Finding>) -> Result<(), Finding> {
        if let (Err(finding), None) = (&outcome, &self.finding) {
            self.finding = Some(finding.clone());
        }
        outcome
    }

    fn look(&mut self, key: u64, digested: &Digested<'_>) -> Result<(), Finding> {
        let seq = self.next();
        self.seal_has_its_checkpoint()?;
        if key > seq {
            return Err(Finding::integrity(seq, format!("record {seq} is missing")));
        }
        if key < seq {
            return Err(Finding::integrity(key, format!("record {key} is there twice")));
        }
        let row = match digested.row {
            Ok(row) => row,
            Err(error) => return Err(Finding::integrity(seq, format!("record {seq}: {error}"))),
        };
        let entry = row.entry;
        if entry.seq != seq {
            let found = entry.seq;
            return Err(Finding::integrity(seq, format!("record {seq} is in truth record {found}")));
        }
        if !digested.fits {
            let sentence = format!("record {seq}: its body is not the one that was sealed");
            return Err(Finding::integrity(seq, sentence));
        }
        if entry.log_tag != self.log_tag {
            return Err(Finding::integrity(seq, format!("record {seq} belongs to another ledger")));
        }
        self.link(seq, &entry)?;
        if self.broken.is_none() {
            self.times(seq, &entry)?;
            self.epoch(seq, &entry)?;
            self.body(seq, &row)?;
        }
        self.prev = Some(digested.leaf);
        self.range.append(digested.leaf);
        self.last = Some(entry);
        Ok(())
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
        let Some(last) = self.last else { return Ok(()) };
        if entry.run < last.run || entry.run > last.run.saturating_add(1) {
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
        if same_run && wall.abs_diff(boot) > DRIFT_NS + boot / 1000 {
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
        if note.start == seq && note.root != self.range.root() {
            let sentence = format!("record {seq}: epoch {} begins at another root", note.epoch);
            return Err(Finding::integrity(seq, sentence));
        }
        let outside = |record: u64, epoch: u32| Finding::Violated {
            question: Question::Time,
            record: Some(record),
            sentence: format!("record {record}: its time lies outside of epoch {epoch}"),
        };
        // A record that is late for its epoch shows where the next one begins: a step of the clock in between, which is
        // declared, can explain it.
        let not_before = u128::from(note.not_before) * 1_000_000_000;
        if note.start == seq && !self.stepped && u128::from(self.newest_wall_ns) > not_before + u128::from(SKEW_NS) {
            return Err(outside(seq - 1, note.epoch - 1));
        }
        if self.ended && note.start != seq && self.checkpoint.as_ref().is_some_and(|it| it.checkpoint.size == seq) {
            let missing = note.epoch + 1;
            return Err(Finding::integrity(seq, format!("record {seq}: the note of epoch {missing} is missing")));
        }
        if note.start == seq && seq > self.start {
            let announced = self.rotate == Some((note.epoch, *note.key.public()));
            if !announced || !self.ended {
                let sentence =
                    format!("record {seq}: epoch {} begins without the ROTATE and the seal before it", note.epoch);
                return Err(Finding::integrity(seq, sentence));
            }
        }
        if note.start == seq {
            (self.stepped, self.step_ns, self.newest_wall_ns) = (false, 0, 0);
        }
        let undisturbed = i128::from(entry.wall_ns) - self.step_ns + i128::from(SKEW_NS);
        if entry.kind != EntryType::Clock && undisturbed < not_before as i128 {
            return Err(outside(seq, note.epoch));
        }
        self.newest_wall_ns = self.newest_wall_ns.max(entry.wall_ns);
        self.epoch_reached = note.epoch as usize;
        Ok(())
    }

    fn body(&mut self, seq: u64, row: &Row<'_>) -> Result<(), Finding> {
        let entry = &row.entry;
        // A SEAL holds the table as the records before it left it.
        let streams = (entry.kind == EntryType::Seal).then(|| self.streams.root());
        let own = entry.stream_tag == CONTROL;
        if own != (entry.kind != EntryType::Event) || !self.streams.follow(entry) {
            return Err(Finding::integrity(
                seq,
                format!("record {seq} does not follow the one before it in its stream"),
            ));
        }
        if entry.schema != SCHEMA {
            // Whether that is a newer version or a changed byte shows at the next signed root.
            self.newer.get_or_insert_with(|| {
                format!("record {seq} has schema {}, this version knows {SCHEMA}", entry.schema)
            });
            return Ok(());
        }
        let unreadable = |error: BodyError| Finding::integrity(seq, format!("record {seq}: {error}"));
        if entry.kind == EntryType::Event {
            schema::check(entry.kind, entry.class, row.body).map_err(unreadable)?;
            return self.coverage.event(entry, row.body);
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
                if streams != Some(seal.streams) {
                    let sentence = format!("record {seq}: its table of streams is not that of the records");
                    return Err(Finding::integrity(seq, sentence));
                }
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
                self.stepped = true;
                self.step_ns += i128::from(step.after_wall_ns) - i128::from(step.before_wall_ns);
            }
            Body::Policy(policy) => self.policy = Some((seq, policy.clone())),
            Body::Prune(prune) => self.removal(entry, prune)?,
            _ => {}
        }
        self.coverage.other(entry, &body)
    }

    /// What is removed was old enough, by the policy that was recorded before.
    fn removal(&mut self, entry: &Entry, prune: &Prune) -> Result<(), Finding> {
        let seq = entry.seq;
        let head_violated =
            |sentence: String| Finding::Violated { question: Question::Head, record: Some(seq), sentence };
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

    /// Every SEAL is the last leaf of a checkpoint: one that has none was robbed of it.
    fn seal_has_its_checkpoint(&mut self) -> Result<(), Finding> {
        match self.seal.take() {
            None => Ok(()),
            Some(seal) => {
                Err(Finding::integrity(seal.seq, format!("the checkpoint of size {} is missing", seal.seq + 1)))
            }
        }
    }

    fn look_at_checkpoint(&mut self, size: u64, note: &[u8]) -> Result<(), Finding> {
        let record = size.saturating_sub(1);
        let wrong = |sentence: String| Finding::integrity(record, format!("checkpoint of size {size}: {sentence}"));
        if size > self.next() {
            let sentence = format!("records {} to {record} are missing, which a checkpoint covers", self.next());
            return Err(tail_violated(Some(self.next()), sentence));
        }
        if let Some(Broken { before }) = self.broken {
            return Err(Finding::integrity(
                before,
                format!("record {before}, or the link to it in the next, was changed"),
            ));
        }
        let signed = SignedCheckpoint::parse(note).map_err(|error| wrong(error.to_string()))?;
        let Some(seal) = self.seal.take() else {
            return Err(wrong("its last record is not a SEAL".to_owned()));
        };
        if signed.checkpoint.size != size || size != self.next() || seal.seq != record {
            return Err(wrong("it is not about the records that come before it".to_owned()));
        }
        if signed.checkpoint.origin != self.identity.origin {
            return Err(wrong("it is about another ledger".to_owned()));
        }
        if signed.epoch != seal.epoch {
            return Err(wrong(format!(
                "it is signed in epoch {}, its records are of epoch {}",
                signed.epoch, seal.epoch
            )));
        }
        self.signatures(&signed, &wrong)?;
        if signed.checkpoint.root != self.range.root() {
            return Err(Finding::integrity(record, self.between_roots(size)));
        }
        let follows = match &self.checkpoint {
            Some(before) => (self.note_hash, before.checkpoint.size) == (seal.previous_checkpoint, seal.previous_size),
            None if self.start == 0 => (seal.previous_checkpoint, seal.previous_size) == ([0; 32], 0),
            None => true,
        };
        if !follows {
            return Err(wrong("its SEAL names another checkpoint before it".to_owned()));
        }
        if let Released::Newest(released) = &self.evidence.released
            && released.checkpoint.size == size
        {
            if released.checkpoint != signed.checkpoint {
                return Err(wrong("another root was released at this size: the ledger was forked".to_owned()));
            }
            self.released_met = true;
        }
        self.note_hash = sha256(note);
        self.ended = seal.end_of_epoch;
        self.sealed_wall_ns = seal.wall_ns;
        self.checkpoint = Some(signed);
        self.checkpoints += 1;
        Ok(())
    }

    fn signatures(&self, signed: &SignedCheckpoint, wrong: &impl Fn(String) -> Finding) -> Result<(), Finding> {
        let Some(epoch) = self.identity.epochs.get(signed.epoch as usize) else {
            return Err(wrong(format!("there is no note of epoch {}", signed.epoch)));
        };
        match signed.verify(&self.identity.log, &epoch.key) {
            Ok(_) => Ok(()),
            // The name is ours and the key is not.
            Err(error @ NoteError::Unsigned { .. }) => {
                Err(Finding::Unknown { sentence: format!("checkpoint of size {}: {error}", signed.checkpoint.size) })
            }
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    /// Which records a root that does not fit is about: those since the root before.
    fn between_roots(&self, size: u64) -> String {
        let from = self.checkpoint.as_ref().map_or(self.start, |before| before.checkpoint.size);
        format!("records {from} to {} are not those that were sealed at size {size}", size - 1)
    }

    /// What is to be said at the end of the rows.
    #[must_use]
    pub fn finish(mut self) -> Verdict {
        if self.finding.is_none() {
            let outcome = self.at_the_end();
            let _ = self.keep(outcome);
        }
        let size = self.checkpoint.as_ref().map_or(0, |signed| signed.checkpoint.size);
        let root = self.checkpoint.as_ref().map_or_else(crate::merkle::empty, |signed| signed.checkpoint.root);
        let mut answers =
            [self.authenticity(), self.integrity(), self.head(), self.tail(), self.time(), self.coverage.answer()];
        match &self.finding {
            Some(Finding::Violated { question, sentence, .. }) => {
                for answer in answers.iter_mut().filter(|answer| answer.standing != Standing::Violated) {
                    *answer = Answer::new(Standing::NotProven, "the verification ended before its time");
                }
                answers[*question as usize] = Answer::new(Standing::Violated, sentence.clone());
            }
            Some(Finding::Unknown { sentence }) => {
                for answer in &mut answers {
                    *answer = Answer::new(Standing::NotProven, sentence.clone());
                }
            }
            None => {}
        }
        let records = self.range.size() - self.start;
        let unsealed = self.range.size().saturating_sub(size.max(self.start));
        let origin = self.identity.origin.to_string();
        let pinned = self.identity.pinned;
        let finding = self.finding.take();
        let sealed_wall_ns = self.sealed_wall_ns;
        let (gaps, gap_count) = self.coverage.gaps();
        Verdict { origin, answers, finding, records, size, root, sealed_wall_ns, unsealed, gaps, gap_count, pinned }
    }

    fn at_the_end(&mut self) -> Result<(), Finding> {
        self.seal_has_its_checkpoint()?;
        if let Some(Broken { before }) = self.broken {
            let sentence = format!("record {before}, or the link to it in the next, was changed");
            return Err(Finding::integrity(before, sentence));
        }
        let Some(newest) = self.checkpoint.as_ref().map(|signed| signed.checkpoint.clone()) else {
            return Err(Finding::integrity(self.start, "there is no checkpoint"));
        };
        if let Some(next) = self.identity.epochs.get(self.epoch_reached + 1)
            && next.start > self.next()
        {
            let sentence = format!("epoch {} begins at record {}, which is missing", next.epoch, next.start);
            return Err(tail_violated(Some(self.next()), sentence));
        }
        if let Released::Newest(released) = &self.evidence.released {
            let same_ledger = released.checkpoint.origin == newest.origin;
            let signed =
                self.signatures(released, &|sentence| tail_violated(None, format!("the head file: {sentence}")));
            if same_ledger {
                signed?;
            }
            if same_ledger && released.checkpoint.size > newest.size {
                let missing = released.checkpoint.size - newest.size;
                let sentence = format!(
                    "{missing} signed records are missing after record {}: cut, or lost by the disk; we cannot tell",
                    newest.size - 1
                );
                return Err(tail_violated(Some(newest.size), sentence));
            }
        }
        match self.newer.take() {
            Some(sentence) => Err(Finding::Unknown { sentence }),
            None => Ok(()),
        }
    }

    fn authenticity(&self) -> Answer {
        if self.identity.pinned {
            let sentence = format!(
                "{} checkpoints, each signed by the log's key and its epoch's, down from the pinned key",
                self.checkpoints
            );
            return Answer::new(Standing::Proven, sentence);
        }
        let sentence = format!(
            "no key was pinned: it is signed by the keys that lie beside it, of the root {}",
            self.identity.root
        );
        Answer::new(Standing::NotProven, sentence)
    }

    fn integrity(&self) -> Answer {
        let count = self.range.size() - self.start;
        Answer::new(Standing::Proven, format!("{count} records: every link, leaf and body fits what was signed"))
    }

    fn head(&self) -> Answer {
        if self.start == 0 {
            return Answer::new(Standing::Proven, "it begins with its first record");
        }
        let Some(prune) = &self.prune else {
            return Answer::new(
                Standing::Violated,
                format!("the records before {} are missing, and no record says that they were removed", self.start),
            );
        };
        // Removing takes a moment for each file: what lies before the place that was announced may still be there. Where
        // it is gone, what begins there is what was announced.
        let Start { range, streams } = &self.begun_with;
        let announced = prune.root == range.root()
            && prune.range == range.hashes()
            && StreamTable::from_ends(&prune.streams).as_ref() == Some(streams);
        if prune.min_index == self.start && !announced {
            return Answer::new(
                Standing::Violated,
                format!("it begins with record {}, and not as PRUNE says", self.start),
            );
        }
        Answer::new(
            Standing::Proven,
            format!("it begins with record {}: what was before was removed by policy", self.start),
        )
    }

    fn tail(&self) -> Answer {
        if let Some(recover) = &self.evidence.declared {
            return Answer::new(Standing::Violated, format!("the next ledger declares: {}", recover.cause));
        }
        let size = self.checkpoint.as_ref().map_or(0, |signed| signed.checkpoint.size);
        match &self.evidence.released {
            Released::NotKept => {
                Answer::new(Standing::NotProven, format!("complete up to size {size}; later is unproven"))
            }
            Released::Missing => Answer::new(Standing::Violated, "the head file is missing"),
            Released::Damaged => Answer::new(Standing::Violated, "the head file cannot be read"),
            Released::Newest(_) if self.released_met => {
                Answer::new(Standing::Proven, format!("complete up to size {size}, and not behind what was released"))
            }
            Released::Newest(released) => Answer::new(
                Standing::Violated,
                format!("there is no checkpoint of size {}, which was released", released.checkpoint.size),
            ),
        }
    }

    fn time(&self) -> Answer {
        let steps = match self.clock_steps {
            0 => "they are in order".to_owned(),
            steps => format!("they are in order, with {steps} declared steps of the clock"),
        };
        Answer::new(Standing::NotProven, format!("times are the host's own word, no witness confirms them; {steps}"))
    }
}

fn changed(record: u64) -> Finding {
    Finding::integrity(record, format!("record {record} was changed"))
}

fn tail_violated(record: Option<u64>, sentence: String) -> Finding {
    Finding::Violated { question: Question::Tail, record, sentence }
}
