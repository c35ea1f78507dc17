//! What can be asked for, and whether it tightens or loosens the recording.

use std::collections::BTreeSet;

use auditor_common::body::PolicyRecord;
use serde::{Deserialize, Serialize};

use super::terms::Policy;
use crate::catalogue::{Catalogue, Entry, Vendor};

pub use auditor_common::body::Effect;

/// Retention is never shorter than this, days.
pub const RETENTION_MIN: u32 = 30;
/// Nor longer.
pub const RETENTION_MAX: u32 = 3650;
/// Channels of calls that can be left out of the record. What the kernel sees cannot.
pub const CHANNELS: [&str; 10] =
    ["requests", "httpx", "urllib", "http", "smtp", "imap", "pop3", "tls", "socket", "serve"];
/// Texts in a request are not longer, in bytes.
pub const TEXT_MAX: usize = 500;
/// Nor are lists.
const LIST_MAX: usize = 50;

/// Whether this is one line of at most so many bytes.
#[must_use]
pub fn is_line(text: &str, most: usize) -> bool {
    text.len() <= most && !text.contains(char::is_control)
}

/// A change of how an instance is recorded. Written as `{"setting": "retention_days", "value": 365}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "setting", content = "value", rename_all = "snake_case")]
pub enum Change {
    /// Record it, or only count what is not recorded.
    Auditing(bool),
    /// Leave host paths, header names and call-site lines out of call records.
    StrictRedaction(bool),
    /// Keep records for this many days.
    RetentionDays(u32),
    /// Record no calls of these channels.
    DisabledChannels(BTreeSet<String>),
    /// Watch a vendor.
    Watch(Vendor),
    /// Watch it no more.
    Unwatch(String),
    /// Document a destination.
    Document(Entry),
    /// Document it no more: all entries for this vendor that this instance asked for.
    Undocument(String),
}

/// Which rule of the host's floor decides about a loosening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matter {
    /// Switching the recording off.
    Auditing,
    /// Less redaction.
    Redaction,
    /// Shorter retention.
    Retention,
    /// Channels that are not recorded.
    Channels,
    /// Documenting somebody's host.
    Documenting,
    /// Documenting a watched vendor's host, or not watching it.
    Watched,
}

impl Change {
    /// The setting as a word.
    #[must_use]
    pub const fn setting(&self) -> &'static str {
        match self {
            Self::Auditing(_) => "auditing",
            Self::StrictRedaction(_) => "strict_redaction",
            Self::RetentionDays(_) => "retention_days",
            Self::DisabledChannels(_) => "disabled_channels",
            Self::Watch(_) => "watch",
            Self::Unwatch(_) => "unwatch",
            Self::Document(_) => "document",
            Self::Undocument(_) => "undocument",
        }
    }

    /// The value as JSON.
    #[must_use]
    pub fn value(&self) -> String {
        let whole = serde_json::to_value(self).unwrap_or_default();
        whole.get("value").map(ToString::to_string).unwrap_or_default()
    }

    /// The change that a record names.
    pub fn read(setting: &str, value: &str) -> Result<Self, String> {
        let value: serde_json::Value = serde_json::from_str(value).map_err(|error| error.to_string())?;
        serde_json::from_value(serde_json::json!({"setting": setting, "value": value}))
            .map_err(|error| error.to_string())
    }

    /// The change that a record is about; `None` if this version does not know it.
    #[must_use]
    pub fn of(record: &PolicyRecord) -> Option<Self> {
        Self::read(&record.setting, &record.value).ok()
    }

    /// What it replaces while both wait for an answer.
    #[must_use]
    pub fn slot(&self) -> (&'static str, String) {
        let about = match self {
            Self::Watch(vendor) => vendor.name.clone(),
            Self::Unwatch(name) | Self::Undocument(name) => name.clone(),
            Self::Document(entry) => {
                let hosts: Vec<String> = entry.hosts.iter().map(ToString::to_string).collect();
                format!("{} {}", entry.vendor, hosts.join(" "))
            }
            _ => String::new(),
        };
        (self.setting(), about)
    }

    /// Why nobody may ask for this, if nobody may.
    pub fn check(&self) -> Result<(), String> {
        let text = |text: &str| !text.trim().is_empty() && is_line(text, TEXT_MAX);
        let list = |length: usize| length <= LIST_MAX;
        match self {
            Self::RetentionDays(days) if !(RETENTION_MIN..=RETENTION_MAX).contains(days) => {
                Err(format!("records are kept from {RETENTION_MIN} to {RETENTION_MAX} days: {days} is outside of that"))
            }
            Self::DisabledChannels(channels) => match channels.iter().find(|name| !CHANNELS.contains(&name.as_str())) {
                Some(name) => Err(format!("\"{name}\" is no channel: they are {}", CHANNELS.join(", "))),
                None => Ok(()),
            },
            Self::Watch(vendor)
                if !text(&vendor.name)
                    || !list(vendor.hosts.len() + vendor.modules.len() + vendor.authors.len())
                    || !list(vendor.purposes.len())
                    || !vendor.purposes.iter().all(|purpose| text(purpose)) =>
            {
                Err(format!("a vendor has a name and at most {LIST_MAX} patterns, in texts of {TEXT_MAX} bytes"))
            }
            Self::Document(entry)
                if entry.hosts.is_empty()
                    || !list(entry.hosts.len() + entry.ports.len() + entry.only.len())
                    || ![&entry.vendor, &entry.purpose, &entry.source].into_iter().all(|it| text(it)) =>
            {
                Err(format!(
                    "an entry has a vendor, a purpose, a source and at most {LIST_MAX} hosts, in texts of {TEXT_MAX} bytes"
                ))
            }
            Self::Unwatch(name) | Self::Undocument(name) if !text(name) => Err("it needs a vendor's name".into()),
            _ => Ok(()),
        }
    }

    /// What it does to this policy, and which rule decides if it loosens. `catalogue` is the one that holds.
    #[must_use]
    pub fn effect(&self, policy: &Policy, catalogue: &Catalogue) -> (Effect, Matter) {
        let by = |tightens: bool, loosens: bool| match (tightens, loosens) {
            (_, true) => Effect::Loosens,
            (true, false) => Effect::Tightens,
            (false, false) => Effect::None,
        };
        match self {
            Self::Auditing(on) => (by(*on && !policy.auditing, !*on && policy.auditing), Matter::Auditing),
            Self::StrictRedaction(on) => {
                (by(*on && !policy.strict_redaction, !*on && policy.strict_redaction), Matter::Redaction)
            }
            Self::RetentionDays(days) => {
                (by(*days > policy.retention_days, *days < policy.retention_days), Matter::Retention)
            }
            Self::DisabledChannels(channels) => {
                let now = &policy.disabled_channels;
                (by(channels.is_subset(now) && channels != now, !channels.is_subset(now)), Matter::Channels)
            }
            Self::Watch(vendor) => (watching(vendor, catalogue), Matter::Watched),
            Self::Unwatch(name) => (by(false, catalogue.vendor(name).is_some()), Matter::Watched),
            Self::Document(entry) => {
                let known = catalogue.entries().iter().any(|it| Entry { word: it.word, ..entry.clone() } == *it);
                (by(false, !known), if is_watched(entry, catalogue) { Matter::Watched } else { Matter::Documenting })
            }
            Self::Undocument(vendor) => {
                (by(policy.documented.iter().any(|entry| entry.vendor == *vendor), false), Matter::Documenting)
            }
        }
    }
}

/// Whoever watches less of a vendor than before loosens.
fn watching(vendor: &Vendor, catalogue: &Catalogue) -> Effect {
    let Some(now) = catalogue.vendor(&vendor.name) else { return Effect::Tightens };
    if (Vendor { word: now.word, ..vendor.clone() }) == *now {
        return Effect::None;
    }
    let covers = now.hosts.iter().all(|host| vendor.hosts.contains(host))
        && now.modules.iter().all(|module| vendor.modules.contains(module))
        && now.authors.iter().all(|author| vendor.authors.contains(author));
    if covers { Effect::Tightens } else { Effect::Loosens }
}

fn is_watched(entry: &Entry, catalogue: &Catalogue) -> bool {
    catalogue.vendors().iter().any(|vendor| {
        vendor.name == entry.vendor
            || entry.hosts.iter().any(|host| vendor.hosts.iter().any(|watched| watched.overlaps(host)))
    })
}
