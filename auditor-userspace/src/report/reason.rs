//! Why the verdict is what it is.

use serde::{Deserialize, Serialize};

use crate::destination::Class;
use crate::rollup::row::Tally;
use crate::serve::wire;

/// A moment: CLOCK_REALTIME nanoseconds, written as RFC 3339.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Moment(pub u64);

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        wire::time(moment.0)
    }
}

impl TryFrom<String> for Moment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let at = humantime::parse_rfc3339(&text).map_err(|error| format!("\"{text}\" is no moment: {error}"))?;
        let since = at.duration_since(std::time::UNIX_EPOCH).map_err(|_| format!("\"{text}\" is before 1970"))?;
        Ok(Self(since.as_nanos() as u64))
    }
}

/// How much a reason matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing; the verdict does not change.
    Note,
    /// Somebody should look.
    Attention,
    /// Somebody has to look.
    Alarm,
}

/// The verdict in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing to look at.
    AllClear,
    /// Something to look at.
    Attention,
    /// Something that has to be looked at.
    Alarm,
}

impl Verdict {
    /// As programs write it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::AllClear => "all-clear",
            Self::Attention => "attention",
            Self::Alarm => "alarm",
        }
    }
}

/// Which records a reason is about, in the words of `/v1/records`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// One instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Moment>,
    /// From this record on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_seq: Option<u64>,
    /// To this record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_seq: Option<u64>,
    /// `event`, `loss`, `run`, `seal`, `policy`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The shown module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// `matched`, `self_reported`, `inferred`, `absent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// `in` or `out`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
    /// Destination class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// A watched vendor's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Contradicted claims only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub contradiction: bool,
    /// What no ordinary Odoo does, by its word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<String>,
    /// Losses of this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<String>,
}

/// That a reason was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// When.
    pub at: Moment,
    /// The record of it.
    pub seq: u64,
    /// By whom: `host` or `instance`.
    pub by: String,
    /// What they said.
    pub text: String,
}

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Which rule.
    pub id: String,
    /// What in particular: a vendor, a gap, a module, a setting; empty where there is nothing in particular.
    pub subject: String,
    /// How much it matters.
    pub severity: Severity,
    /// For people.
    pub sentence: String,
    /// How often.
    pub count: u64,
    /// First seen within the window; `None` where it is a state and not an event.
    pub first: Option<Moment>,
    /// Last seen.
    pub last: Option<Moment>,
    /// Newest record that it stands on: an acknowledgement covers it if it came later.
    pub last_seq: u64,
    /// Which records to look at.
    pub filter: Filter,
    /// If it was acknowledged, and has not recurred: it does not count for the verdict.
    pub acknowledged: Option<Acknowledged>,
}

impl Reason {
    /// A reason that stands on records.
    #[must_use]
    pub fn new(severity: Severity, id: &str, subject: &str, tally: &Tally, sentence: String, filter: Filter) -> Self {
        let moment = |ns: u64| (ns > 0).then_some(Moment(ns));
        Self {
            id: id.to_owned(),
            subject: subject.to_owned(),
            severity,
            sentence,
            count: tally.count,
            first: moment(tally.first_ns),
            last: moment(tally.last_ns),
            last_seq: tally.last_seq,
            filter,
            acknowledged: None,
        }
    }

    /// What it makes of the verdict.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        match (&self.acknowledged, self.severity) {
            (Some(_), _) | (None, Severity::Note) => Verdict::AllClear,
            (None, Severity::Attention) => Verdict::Attention,
            (None, Severity::Alarm) => Verdict::Alarm,
        }
    }
}

/// "1 operation", "2 operations", "3 processes".
#[must_use]
pub fn counted(count: u64, one: &str) -> String {
    let ending = if one.ends_with('s') { "es" } else { "s" };
    if count == 1 { format!("1 {one}") } else { format!("{} {one}{ending}", thousands(count)) }
}

/// "once", "3 times".
#[must_use]
pub fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { counted(count, "time") }
}

/// Digits in groups of three.
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
