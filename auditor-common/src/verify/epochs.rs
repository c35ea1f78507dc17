//! The epoch of each record: where it begins, and when.

use super::{Finding, Question, Verifier};
use crate::body::{ClockStep, Rotate};
use crate::epoch::EpochNote;
use crate::record::{Entry, EntryType};

/// A record may be outside of its epoch by this much.
const SKEW_NS: i128 = 300 * 1_000_000_000;

/// The epoch that is being read.
#[derive(Clone, Debug)]
pub(super) struct Epochs {
    /// The last ROTATE: which epoch comes, and its key.
    rotate: Option<(u32, [u8; 32])>,
    /// The epoch of the last record.
    pub(super) reached: usize,
    /// How often the clock was set, in all epochs.
    pub(super) clock_steps: u64,
    /// How far the wall clock was moved by declared steps since this epoch began, or since the rows did.
    step_ns: i128,
    /// The latest time of a record of this epoch, without these steps.
    newest_ns: i128,
}

impl Epochs {
    pub(super) fn new() -> Self {
        Self { rotate: None, reached: 0, clock_steps: 0, step_ns: 0, newest_ns: i128::MIN }
    }

    pub(super) fn rotate(&mut self, rotate: &Rotate) {
        self.rotate = Some((rotate.epoch, rotate.key));
    }

    pub(super) fn clock_step(&mut self, step: &ClockStep) {
        self.clock_steps += 1;
        self.step_ns += i128::from(step.after_wall_ns) - i128::from(step.before_wall_ns);
    }

    /// A record that is late for its epoch shows where the next one begins: a step of the clock in between, which is
    /// declared, can explain it.
    fn outlasts(&self, next: &EpochNote) -> bool {
        self.newest_ns > not_before(next) - self.step_ns + SKEW_NS
    }

    fn begin(&mut self) {
        (self.step_ns, self.newest_ns) = (0, i128::MIN);
    }

    /// The time of a record lies within its epoch. In the middle of an epoch, where the rows may begin, it is not known
    /// how often the clock was set before: only the end of that epoch can be told.
    fn age(&mut self, note: &EpochNote, entry: &Entry, from_its_start: bool) -> Result<(), Finding> {
        self.reached = note.epoch as usize;
        if entry.kind == EntryType::Clock {
            return Ok(());
        }
        let undisturbed = i128::from(entry.wall_ns) - self.step_ns;
        if from_its_start && undisturbed + SKEW_NS < not_before(note) {
            return Err(outside(entry.seq, note.epoch));
        }
        self.newest_ns = self.newest_ns.max(undisturbed);
        Ok(())
    }
}

impl Verifier {
    /// The entry's epoch is the one that its number lies in, and its time is not outside of that epoch's.
    pub(super) fn epoch(&mut self, seq: u64, entry: &Entry) -> Result<(), Finding> {
        let Some(note) = self.identity.epoch_of(seq) else {
            return Err(Finding::integrity(seq, format!("record {seq} lies in no epoch")));
        };
        if note.epoch != entry.epoch {
            let (found, right) = (entry.epoch, note.epoch);
            return Err(Finding::integrity(seq, format!("record {seq} says epoch {found}, and lies in epoch {right}")));
        }
        self.epoch_begins(seq)?;
        let Some(note) = self.identity.epoch_of(seq) else { return Ok(()) };
        self.epochs.age(note, entry, note.start >= self.start)
    }

    /// Where an epoch begins, the one before it has ended, and said with which key it goes on. Of the record itself
    /// nothing needs to be known.
    pub(super) fn epoch_begins(&mut self, seq: u64) -> Result<(), Finding> {
        let Some(note) = self.identity.epoch_of(seq) else { return Ok(()) };
        let wrong = |sentence: String| Err(Finding::integrity(seq, format!("record {seq}: {sentence}")));
        let number = note.epoch;
        if note.start != seq {
            let ended = self.sealed.ends_epoch && self.sealed.size() == seq;
            return if ended { wrong(format!("the note of epoch {} is missing", number + 1)) } else { Ok(()) };
        }
        if note.root != self.tree.root() {
            return wrong(format!("epoch {number} begins at another root"));
        }
        if self.epochs.outlasts(note) {
            return Err(outside(seq - 1, number - 1));
        }
        // ROTATE may lie before the rows, if they begin in the middle of the epoch that it ended.
        let announced = match self.epochs.rotate {
            Some(rotate) => rotate == (number, *note.key.public()),
            None => seq > 0 && self.identity.epoch_of(seq - 1).is_some_and(|before| before.start < self.start),
        };
        if seq > self.start && !(announced && self.sealed.ends_epoch) {
            return wrong(format!("epoch {number} begins without the ROTATE and the seal before it"));
        }
        self.epochs.begin();
        Ok(())
    }
}

fn not_before(note: &EpochNote) -> i128 {
    i128::from(note.not_before) * 1_000_000_000
}

fn outside(record: u64, epoch: u32) -> Finding {
    let sentence = format!("record {record}: its time lies outside of epoch {epoch}");
    Finding::violated(Question::Time, Some(record), sentence)
}
