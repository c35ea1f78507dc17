//! The verifier: rows and checkpoints in, a verdict out. It reads no file, asks no clock, and keeps no row: its memory
//! does not depend on how long the ledger is.
//!
//! ```text
//! let identity = Identity::establish(…)?;                   // whose keys, and since when
//! let mut verifier = Verifier::new(identity, start, evidence);
//! for each row in order {
//!     verifier.row(key, bytes)?;
//!     for each checkpoint of size key + 1 { verifier.checkpoint(size, note)?; }
//! }
//! let verdict = verifier.finish();
//! ```
//!
//! The first thing that does not fit ends it: `finish` then says what and where. A verdict has six independent fields
//! and one exit code; what is not proven is never called so.

mod answers; // what is to be said at the end
mod bodies; // what a row says
mod checkpoints; // roots and signatures
mod coverage; // marks of the kernel against what is recorded
mod digest; // the hashes of a row
mod epochs; // where they begin, and the times that lie in them
mod evidence; // what is held against the rows
mod export; // an export's files -> verdict
mod head; // where the rows begin
mod identity; // pinned key -> log's key -> epoch keys
mod json; // a verdict for programs and for people
mod links; // each row holds the leaf hash of the one before
mod rows; // what each row must pass, in order
mod streams; // which records are whose
mod times; // clocks, from one record to the next

pub use digest::Digest;
pub use evidence::{Evidence, ProvenEnd, Released, Scope, Start};
pub use export::{Expect, ExportError, Files, MAX_FILE, format_streams, format_table, verify_export};
pub use identity::{Identity, Trust};
pub use rows::Verifier;

use crate::merkle::Hash;

/// What is said about one of the six questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The evidence shows it.
    Proven,
    /// The evidence does not show it, and nothing contradicts it.
    NotProven,
    /// The evidence contradicts it.
    Violated,
}

impl Standing {
    /// A word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::NotProven => "not proven",
            Self::Violated => "violated",
        }
    }
}

/// One of the six questions.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Is it signed by the key that the verifier pinned?
    Authenticity,
    /// Is every record that is there as it was sealed?
    Integrity,
    /// Is the beginning there, or removed by a policy that was recorded before?
    Head,
    /// Is the end there, as far as it was released?
    Tail,
    /// Are the times what they claim to be?
    Time,
    /// Is what the kernel numbered recorded, or declared lost?
    Coverage,
}

impl Question {
    /// All six, in the order in which they are printed.
    pub const ALL: [Self; 6] =
        [Self::Authenticity, Self::Integrity, Self::Head, Self::Tail, Self::Time, Self::Coverage];

    /// A word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Authenticity => "authenticity",
            Self::Integrity => "integrity",
            Self::Head => "head",
            Self::Tail => "tail",
            Self::Time => "time",
            Self::Coverage => "coverage",
        }
    }
}

/// An answer, with a sentence that says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What is said.
    pub standing: Standing,
    /// Why.
    pub sentence: String,
}

impl Answer {
    /// An answer.
    pub fn new(standing: Standing, sentence: impl Into<String>) -> Self {
        Self { standing, sentence: sentence.into() }
    }
}

/// What stopped a verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The evidence contradicts itself, or its signatures.
    Violated {
        /// Which question this answers.
        question: Question,
        /// The record that is named, if it is one.
        record: Option<u64>,
        /// What was found.
        sentence: String,
    },
    /// It cannot be judged: an unknown key, or a newer format.
    Unknown {
        /// What is not known.
        sentence: String,
    },
}

impl Finding {
    fn violated(question: Question, record: Option<u64>, sentence: impl Into<String>) -> Self {
        Self::Violated { question, record, sentence: sentence.into() }
    }

    fn integrity(record: u64, sentence: impl Into<String>) -> Self {
        Self::violated(Question::Integrity, Some(record), sentence)
    }

    /// The sentence.
    #[must_use]
    pub fn sentence(&self) -> &str {
        match self {
            Self::Violated { sentence, .. } | Self::Unknown { sentence } => sentence,
        }
    }
}

/// Exit codes of everything that verifies.
pub mod exit {
    /// All that was required is proven.
    pub const PROVEN: u8 = 0;
    /// It could not run.
    pub const IO: u8 = 1;
    /// Used wrongly.
    pub const USAGE: u8 = 2;
    /// Tampered with.
    pub const TAMPERED: u8 = 3;
    /// Intact, but with gaps, or a part unproven.
    pub const GAPS: u8 = 4;
    /// Cannot be verified: unknown key, newer version.
    pub const UNKNOWN: u8 = 5;
}

/// What became of a verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whose ledger it is.
    pub origin: String,
    /// The six answers, in the order of [`Question::ALL`].
    pub answers: [Answer; 6],
    /// What ended the verification before its time.
    pub finding: Option<Finding>,
    /// How many records were looked at.
    pub records: u64,
    /// Size of the newest checkpoint that verified.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// When its SEAL was appended, CLOCK_REALTIME nanoseconds.
    pub sealed_wall_ns: u64,
    /// How many records come after it.
    pub unsealed: u64,
    /// What is declared missing, in sentences, the first of them.
    pub gaps: Vec<String>,
    /// How many there are.
    pub gap_count: u64,
    /// Which of the six must be proven for the exit code 0.
    pub required: [bool; 6],
}

/// Time is never required: without a witness it is the host's own word.
pub const REQUIRED: [bool; 6] = [true, true, true, true, false, true];

impl Verdict {
    /// The verdict where no record was come to: nothing is proven, for the reason given, and what was found is violated.
    #[must_use]
    pub fn unread(origin: &str, finding: Finding, unproven: &str, required: [bool; 6]) -> Self {
        let mut answers = Question::ALL.map(|_| Answer::new(Standing::NotProven, unproven));
        if let Finding::Violated { question, sentence, .. } = &finding {
            answers[*question as usize] = Answer::new(Standing::Violated, sentence.clone());
        }
        Self {
            origin: origin.to_owned(),
            answers,
            finding: Some(finding),
            records: 0,
            size: 0,
            root: crate::merkle::empty(),
            sealed_wall_ns: 0,
            unsealed: 0,
            gaps: vec![],
            gap_count: 0,
            required,
        }
    }

    /// The answer to one question.
    #[must_use]
    pub fn answer(&self, question: Question) -> &Answer {
        &self.answers[question as usize]
    }

    /// See [`exit`].
    #[must_use]
    pub fn exit(&self) -> u8 {
        let violated = self.answers.iter().any(|answer| answer.standing == Standing::Violated);
        let unknown = matches!(self.finding, Some(Finding::Unknown { .. }));
        let unproven = (self.required.iter().zip(&self.answers))
            .any(|(required, answer)| *required && answer.standing != Standing::Proven);
        match (violated, unknown, unproven) {
            (true, ..) => exit::TAMPERED,
            (_, true, _) => exit::UNKNOWN,
            (_, _, true) => exit::GAPS,
            _ => exit::PROVEN,
        }
    }

    /// One sentence for people.
    #[must_use]
    pub fn summary(&self) -> String {
        match (self.exit(), &self.finding) {
            (exit::PROVEN, _) => format!("proven: {} records, sealed up to size {}", self.records, self.size),
            (exit::GAPS, _) => {
                format!("intact, with gaps: {} records, sealed up to size {}", self.records, self.size)
            }
            (exit::TAMPERED, Some(finding)) => format!("tampered: {}", finding.sentence()),
            (exit::TAMPERED, None) => {
                let answer = self.answers.iter().find(|answer| answer.standing == Standing::Violated);
                format!("tampered: {}", answer.map_or("", |answer| &answer.sentence))
            }
            (_, finding) => format!("cannot be verified: {}", finding.as_ref().map_or("", Finding::sentence)),
        }
    }
}
