//! What an audited instance may ask for, and what the host's floor decides.
//!
//! The suspect does not hold the controls. An instance may tighten its recording at once; what it asks to be loosened
//! is sealed as asked for, and takes effect as the host's `[floor]` allows: at once, after `auditor policy accept N`,
//! or never. Every answer is a [`PolicyRecord`] that is sealed before it takes effect: [`Policies::ask`] and
//! [`Policies::decide`] only say what is to be recorded, [`Policies::apply`] makes it so, and applying the records of
//! the ledger in their order gives the same state again.

pub mod change; // what can be asked for
mod lasting; // what holds, and must not vanish with its segment
pub mod record; // what is sealed
pub mod terms; // what the host has decided beforehand

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use auditor_common::body::{Body, Restated};

use crate::catalogue::{Catalogue, Entry, Vendor, Word};
use crate::clock::HOUR_NS;
use change::{Change, Effect};
use lasting::Lasting;
use record::{AckRecord, Actor, PolicyRecord, Sealed, Step};
use terms::{Policy, Rule, Terms};

/// At most this many requests of one instance wait for an answer.
pub const WAITING_MAX: usize = 50;
/// At most this many requests of one instance are taken in an hour: each of them is sealed.
pub const REQUESTS_AN_HOUR: usize = 100;
/// This many decisions are remembered one by one.
const REMEMBERED: usize = 10_000;

/// Why a request was not taken. None of these is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskError {
    /// It is so already.
    Unchanged,
    /// It makes no sense.
    Invalid(String),
    /// Too many in an hour, or too many are waiting.
    TooMany,
    /// No request of this number waits for an answer.
    NotWaiting(u64),
    /// Only the host decides.
    NotHost,
}

impl std::fmt::Display for AskError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unchanged => f.write_str("nothing is different: it is so already"),
            Self::Invalid(what) => f.write_str(what),
            Self::TooMany => {
                f.write_str("too many requests: wait an hour, or let the host answer those that are waiting")
            }
            Self::NotWaiting(number) => {
                write!(f, "no request {number} waits for an answer: `auditor policy list` shows those that do")
            }
            Self::NotHost => f.write_str("only the host decides: run `auditor policy` there"),
        }
    }
}

impl std::error::Error for AskError {}

/// All policies, as the records have made them.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    terms: Terms,
    asked: BTreeMap<String, Asked>,
    waiting: BTreeMap<u64, PolicyRecord>,
    decisions: VecDeque<(Sealed, PolicyRecord)>,
    acks: BTreeMap<(String, String, String), (Sealed, AckRecord)>,
    last: u64,
    lasting: Lasting,
}

/// What an instance asked for and got; the rest is as the host has it.
#[derive(Clone, Debug, Default)]
struct Asked {
    auditing: Option<bool>,
    strict_redaction: Option<bool>,
    retention_days: Option<u32>,
    disabled_channels: Option<BTreeSet<String>>,
    documented: Vec<Entry>,
    watched: Vec<Vendor>,
    unwatched: BTreeSet<String>,
}

impl Policies {
    /// As the host has it, before any record.
    #[must_use]
    pub fn new(terms: Terms) -> Self {
        Self { terms, ..Self::default() }
    }

    /// How this instance is recorded.
    #[must_use]
    pub fn policy(&self, instance: &str) -> Policy {
        let host = &self.terms.policy;
        let Some(asked) = self.asked.get(instance) else { return host.clone() };
        Policy {
            auditing: asked.auditing.unwrap_or(host.auditing),
            strict_redaction: asked.strict_redaction.unwrap_or(host.strict_redaction),
            retention_days: asked.retention_days.unwrap_or(host.retention_days),
            disabled_channels: asked.disabled_channels.clone().unwrap_or_else(|| host.disabled_channels.clone()),
            documented: asked.documented.clone(),
            watched: asked.watched.clone(),
            unwatched: asked.unwatched.clone(),
        }
    }

    /// Whether it is recorded at all.
    #[must_use]
    pub fn auditing(&self, instance: &str) -> bool {
        self.asked.get(instance).and_then(|asked| asked.auditing).unwrap_or(self.terms.policy.auditing)
    }

    /// Whether less is told about people.
    #[must_use]
    pub fn strict_redaction(&self, instance: &str) -> bool {
        self.asked.get(instance).and_then(|asked| asked.strict_redaction).unwrap_or(self.terms.policy.strict_redaction)
    }

    /// Whether calls of this channel are recorded.
    #[must_use]
    pub fn channel(&self, instance: &str, channel: &str) -> bool {
        let asked = self.asked.get(instance).and_then(|asked| asked.disabled_channels.as_ref());
        !asked.unwrap_or(&self.terms.policy.disabled_channels).contains(channel)
    }

    /// What the host has decided beforehand.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The catalogue that holds for this instance; `None` if it is the host's.
    #[must_use]
    pub fn catalogue(&self, instance: &str, host: &Catalogue) -> Option<Catalogue> {
        let asked = self.asked.get(instance)?;
        if asked.documented.is_empty() && asked.watched.is_empty() && asked.unwatched.is_empty() {
            return None;
        }
        let mut own = host.clone();
        asked.watched.iter().for_each(|vendor| own.watch(vendor.clone()));
        asked.unwatched.iter().for_each(|name| {
            own.unwatch(name);
        });
        asked.documented.iter().for_each(|entry| own.document(entry.clone()));
        Some(own)
    }

    /// How long records have to be kept, days: the longest that anybody got.
    #[must_use]
    pub fn retention_days(&self) -> u32 {
        let asked = self.asked.values().filter_map(|asked| asked.retention_days);
        asked.chain([self.terms.policy.retention_days]).max().unwrap_or(change::RETENTION_MAX)
    }

    /// Requests that wait for the host.
    pub fn waiting(&self) -> impl Iterator<Item = &PolicyRecord> {
        self.waiting.values()
    }

    /// Decisions, oldest first.
    pub fn decisions(&self) -> impl DoubleEndedIterator<Item = &(Sealed, PolicyRecord)> {
        self.decisions.iter()
    }

    /// The acknowledgement of a reason.
    #[must_use]
    pub fn ack(&self, instance: &str, reason: &str, subject: &str) -> Option<&(Sealed, AckRecord)> {
        self.acks.get(&(instance.to_owned(), reason.to_owned(), subject.to_owned()))
    }

    /// What has to be recorded for this request. Nothing takes effect before the record is applied.
    pub fn ask(
        &self,
        instance: &str,
        actor: Actor,
        change: &Change,
        host: &Catalogue,
        now_ns: u64,
    ) -> Result<PolicyRecord, AskError> {
        change.check().map_err(AskError::Invalid)?;
        let own = self.catalogue(instance, host);
        let (effect, matter) = change.effect(&self.policy(instance), own.as_ref().unwrap_or(host));
        if effect == Effect::None {
            return Err(AskError::Unchanged);
        }
        let by_host = matches!(actor, Actor::Host { .. });
        let (step, reason) = match (effect, by_host, self.terms.floor.rule(matter)) {
            (_, true, _) => (Step::AtOnce, "the host asked"),
            (Effect::Tightens, ..) => (Step::AtOnce, "it tightens the recording"),
            (_, _, Rule::Allow) => (Step::Allowed, "it loosens the recording, and the host's floor allows it"),
            (_, _, Rule::Ask) => (Step::Waiting, "it loosens the recording: the host has to accept it"),
            (_, _, Rule::Deny) => (Step::Refused, "it loosens the recording, and the host's floor refuses it"),
        };
        let too_many = self.asked_lately(instance, now_ns) >= REQUESTS_AN_HOUR
            || step == Step::Waiting && self.waiting_beside(instance, change) >= WAITING_MAX;
        if !by_host && too_many {
            return Err(AskError::TooMany);
        }
        Ok(PolicyRecord {
            number: self.last + 1,
            step,
            instance: instance.to_owned(),
            actor,
            setting: change.setting().to_owned(),
            value: change.value(),
            effect,
            reason: reason.to_owned(),
        })
    }

    /// What has to be recorded for the host's answer to a request that waits.
    pub fn decide(&self, number: u64, accept: bool, actor: Actor) -> Result<PolicyRecord, AskError> {
        let asked = self.waiting.get(&number).ok_or(AskError::NotWaiting(number))?;
        if !matches!(actor, Actor::Host { .. }) {
            return Err(AskError::NotHost);
        }
        let (step, reason) =
            if accept { (Step::Accepted, "the host accepted it") } else { (Step::Denied, "the host denied it") };
        Ok(PolicyRecord { step, actor, reason: reason.to_owned(), ..asked.clone() })
    }

    /// A record was appended as number `seq`: what it says holds from here on. One that is said again holds as it was
    /// said first. Whether anything is different.
    pub fn take(&mut self, seq: u64, wall_ns: u64, body: &Body) -> bool {
        let own = Sealed { seq, wall_ns };
        let (first, said);
        let body = match body {
            Body::Restated(it) => {
                let Ok(content) = it.body() else { return false };
                (first, said) = (Sealed { seq: it.record, wall_ns: it.wall_ns }, content);
                &said
            }
            body => {
                first = own;
                body
            }
        };
        if !self.lasting.take(seq, first, body) {
            return false;
        }
        match body {
            Body::Decision(record) => self.apply(first, record),
            Body::Acknowledged(record) => self.acknowledged(first, record),
            _ => return false,
        }
        true
    }

    /// What has to be said again before the records below this one are removed.
    #[must_use]
    pub fn lasting_below(&self, min_index: u64) -> Vec<Restated> {
        self.lasting.below(min_index)
    }

    /// A record was sealed: what it says holds from here on.
    fn apply(&mut self, sealed: Sealed, record: &PolicyRecord) {
        self.last = self.last.max(record.number);
        self.waiting.remove(&record.number);
        // A record that this version cannot read changes nothing, and stays in the list of decisions.
        if let Some(change) = Change::of(record) {
            match record.step {
                Step::Waiting => {
                    // The later of two requests about the same thing is the one that is meant.
                    let slot = Some(change.slot());
                    self.waiting.retain(|_, other| other.instance != record.instance || slot_of(other) != slot);
                    self.waiting.insert(record.number, record.clone());
                }
                step if step.takes_effect() => {
                    let by_floor = step == Step::Allowed || matches!(record.actor, Actor::Instance { .. });
                    let word = if by_floor { Word::Instance } else { Word::Host };
                    self.asked.entry(record.instance.clone()).or_default().take(change, word);
                }
                _ => {}
            }
        }
        if self.decisions.len() == REMEMBERED {
            self.decisions.pop_front();
        }
        self.decisions.push_back((sealed, record.clone()));
    }

    /// An acknowledgement was sealed.
    fn acknowledged(&mut self, sealed: Sealed, record: &AckRecord) {
        if self.acks.len() >= REMEMBERED {
            let oldest = self.acks.iter().min_by_key(|(_, (sealed, _))| sealed.seq).map(|(key, _)| key.clone());
            oldest.map(|key| self.acks.remove(&key));
        }
        let key = (record.instance.clone(), record.reason.clone(), record.subject.clone());
        self.acks.insert(key, (sealed, record.clone()));
    }

    fn asked_lately(&self, instance: &str, now_ns: u64) -> usize {
        let since = now_ns.saturating_sub(HOUR_NS);
        let lately =
            |(sealed, record): &&(Sealed, PolicyRecord)| sealed.wall_ns >= since && record.instance == instance;
        self.decisions.iter().filter(lately).count()
    }

    /// How many requests wait that this one would not replace.
    fn waiting_beside(&self, instance: &str, change: &Change) -> usize {
        self.waiting
            .values()
            .filter(|record| record.instance == instance && slot_of(record) != Some(change.slot()))
            .count()
    }
}

/// What a request that waits is about.
fn slot_of(record: &PolicyRecord) -> Option<(&'static str, String)> {
    Change::of(record).map(|change| change.slot())
}

impl Asked {
    fn take(&mut self, change: Change, word: Word) {
        match change {
            Change::Auditing(on) => self.auditing = Some(on),
            Change::StrictRedaction(on) => self.strict_redaction = Some(on),
            Change::RetentionDays(days) => self.retention_days = Some(days),
            Change::DisabledChannels(channels) => self.disabled_channels = Some(channels),
            Change::Watch(vendor) => {
                self.unwatched.remove(&vendor.name);
                self.watched.retain(|known| known.name != vendor.name);
                self.watched.push(Vendor { word, ..vendor });
            }
            Change::Unwatch(name) => {
                self.watched.retain(|vendor| vendor.name != name);
                self.unwatched.insert(name);
            }
            Change::Document(entry) => self.documented.push(Entry { word, ..entry }),
            Change::Undocument(vendor) => self.documented.retain(|entry| entry.vendor != vendor),
        }
    }
}

#[cfg(test)]
mod tests;
