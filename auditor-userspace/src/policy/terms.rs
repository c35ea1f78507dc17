//! What the host has decided beforehand: how instances are recorded, and what they may loosen.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::change::Matter;
use crate::catalogue::{Entry, Vendor};

/// How an instance is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Records are made. Without it the kernel goes on counting what is not recorded.
    pub auditing: bool,
    /// Call records without host path, header names and call-site lines.
    pub strict_redaction: bool,
    /// How long records are kept, days.
    pub retention_days: u32,
    /// Channels of which no calls are recorded.
    pub disabled_channels: BTreeSet<String>,
    /// Destinations that this instance asked to be documented, and that are.
    #[serde(skip)]
    pub documented: Vec<Entry>,
    /// Vendors that it asked to be watched.
    #[serde(skip)]
    pub watched: Vec<Vendor>,
    /// Vendors that are not watched for it.
    #[serde(skip)]
    pub unwatched: BTreeSet<String>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            auditing: true,
            strict_redaction: false,
            retention_days: 180,
            disabled_channels: BTreeSet::new(),
            documented: Vec::new(),
            watched: Vec::new(),
            unwatched: BTreeSet::new(),
        }
    }
}

/// What becomes of a request to loosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// It takes effect.
    Allow,
    /// It waits for `auditor policy accept N`.
    Ask,
    /// It is refused.
    Deny,
}

/// The host's floor: `[floor]` in the daemon's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Floor {
    /// Switching an instance's own recording off.
    pub auditing: Rule,
    /// Less redaction.
    pub redaction: Rule,
    /// Shorter retention.
    pub retention: Rule,
    /// Channels that are not recorded.
    pub channels: Rule,
    /// Documenting the hosts of vendors that are not watched.
    pub documenting: Rule,
    /// Documenting a watched vendor's hosts, or not watching it.
    pub watched: Rule,
}

impl Default for Floor {
    fn default() -> Self {
        Self {
            auditing: Rule::Allow,
            redaction: Rule::Ask,
            retention: Rule::Ask,
            channels: Rule::Allow,
            documenting: Rule::Allow,
            watched: Rule::Ask,
        }
    }
}

impl Floor {
    /// The rule for a matter.
    #[must_use]
    pub const fn rule(&self, matter: Matter) -> Rule {
        match matter {
            Matter::Auditing => self.auditing,
            Matter::Redaction => self.redaction,
            Matter::Retention => self.retention,
            Matter::Channels => self.channels,
            Matter::Documenting => self.documenting,
            Matter::Watched => self.watched,
        }
    }
}

/// The part of the daemon's configuration that this is about: `[floor]` and `[policy]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Terms {
    /// What instances may loosen.
    pub floor: Floor,
    /// How an instance is recorded that asked for nothing.
    pub policy: Policy,
}
