//! Verdicts for people and for programs.

use auditor_common::note::unhex;
use auditor_common::verify::{Answer, Finding, Question, REQUIRED, Standing, Verdict, exit};
use serde_json::Value;

/// What became of a verification: one verdict for each ledger of the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// In the order of the incarnations.
    pub verdicts: Vec<Verdict>,
}

impl Report {
    /// A report.
    #[must_use]
    pub fn new(verdicts: Vec<Verdict>) -> Self {
        Self { verdicts }
    }

    /// The exit code: of several ledgers, that of the worst.
    #[must_use]
    pub fn exit(&self) -> u8 {
        super::worst(self.verdicts.iter().map(Verdict::exit))
    }

    /// For programs: one JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        let ledgers: Vec<String> = self.verdicts.iter().map(Verdict::to_json).collect();
        format!("{{\"exit\":{},\"ledgers\":[{}]}}", self.exit(), ledgers.join(","))
    }

    /// Reads what [`Report::to_json`] wrote.
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        value["ledgers"].as_array()?.iter().map(from_json).collect::<Option<_>>().map(Self::new)
    }

    /// For people: a summary, and the six answers.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.verdicts.iter().map(Verdict::to_text).collect()
    }
}

fn from_json(value: &Value) -> Option<Verdict> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let answer = |question: Question| {
        let answer = &value["answers"][question.word()];
        let standing = [Standing::Proven, Standing::NotProven, Standing::Violated]
            .into_iter()
            .find(|standing| answer["standing"] == standing.word())?;
        Some(Answer::new(standing, text(&answer["sentence"])?))
    };
    let required = |question: Question| value["answers"][question.word()]["required"].as_bool();
    let required: Vec<bool> = Question::ALL.into_iter().map(required).collect::<Option<_>>()?;
    let answers: Vec<Answer> = Question::ALL.into_iter().map(answer).collect::<Option<_>>()?;
    let finding = match &value["finding"] {
        Value::Null => None,
        finding if finding["kind"] == "unknown" => Some(Finding::Unknown { sentence: text(&finding["sentence"])? }),
        finding => Some(Finding::Violated {
            question: Question::ALL.into_iter().find(|question| finding["question"] == question.word())?,
            record: finding["record"].as_u64(),
            sentence: text(&finding["sentence"])?,
        }),
    };
    let root = unhex(value["root"].as_str()?)?;
    Some(Verdict {
        origin: text(&value["origin"])?,
        answers: answers.try_into().ok()?,
        finding,
        records: value["records"].as_u64()?,
        size: value["size"].as_u64()?,
        root: root.try_into().ok()?,
        sealed_wall_ns: value["sealed_wall_ns"].as_u64()?,
        unsealed: value["unsealed"].as_u64()?,
        gaps: value["gaps"].as_array()?.iter().map(text).collect::<Option<_>>()?,
        gap_count: value["gap_count"].as_u64()?,
        required: required.try_into().ok()?,
    })
}

/// The report of a reader that ended in the middle of a segment.
pub(super) fn of_a_crash(segment: Option<&str>, end: &str) -> Report {
    let place = segment.unwrap_or("the state folder");
    let sentence = format!("the segment {place} cannot be read: the reader {end}");
    let finding = Finding::Violated { question: Question::Integrity, record: None, sentence: sentence.clone() };
    let verdict = Verdict::unread(place, finding, &sentence, REQUIRED);
    debug_assert_eq!(verdict.exit(), exit::TAMPERED);
    Report::new(vec![verdict])
}
