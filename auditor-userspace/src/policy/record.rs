//! Requests, decisions and acknowledgements, as they are sealed.
//!
//! [`PolicyRecord`] and [`AckRecord`] are bodies of ledger entries of type POLICY, class 1 (decision) and class 2
//! (acknowledgement), with the keys that are named at their fields.

use serde::{Deserialize, Serialize};

use super::change::{Change, Effect};

/// Who asks, or decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "who")]
pub enum Actor {
    /// Somebody with the host's authority, by the kernel's word.
    Host {
        /// User, in the host's numbering.
        uid: u32,
    },
    /// A process of the audited instance itself.
    Instance {
        /// Process, in the host's numbering.
        tgid: u32,
    },
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Step {
    /// It took effect: it tightens, or the host itself asked.
    AtOnce = 1,
    /// It took effect: it loosens, and the floor allows it.
    Allowed = 2,
    /// It waits for the host.
    Waiting = 3,
    /// The floor refuses it.
    Refused = 4,
    /// The host accepted it, and it took effect.
    Accepted = 5,
    /// The host denied it.
    Denied = 6,
}

impl Step {
    /// Whether the change holds from here on.
    #[must_use]
    pub const fn takes_effect(self) -> bool {
        matches!(self, Self::AtOnce | Self::Allowed | Self::Accepted)
    }
}

/// A request and what became of it: the body of a POLICY entry, class 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// Key 1. Number of the request, from 1: what `auditor policy accept` names.
    pub number: u64,
    /// Key 2.
    pub step: Step,
    /// Key 3. Which Odoo.
    pub instance: String,
    /// Key 4. Kind (1 host, 2 instance) and number (user, process).
    pub actor: Actor,
    /// Key 5. See [`Change::setting`].
    pub setting: String,
    /// Key 6. The value, as JSON.
    pub value: String,
    /// Key 7.
    pub effect: Effect,
    /// Key 8. Why, for people.
    pub reason: String,
}

impl PolicyRecord {
    /// The change that was asked for; `None` if this version does not know it.
    #[must_use]
    pub fn change(&self) -> Option<Change> {
        Change::read(&self.setting, &self.value).ok()
    }

    /// See [`Change::slot`].
    #[must_use]
    pub fn slot(&self) -> Option<(&'static str, String)> {
        self.change().map(|change| change.slot())
    }
}

/// A reason of the verdict was acknowledged: the body of a POLICY entry, class 2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AckRecord {
    /// Key 1. Which Odoo; empty for what concerns the whole host.
    pub instance: String,
    /// Key 2. Which reason.
    pub reason: String,
    /// Key 3. About what.
    pub subject: String,
    /// Key 4. What whoever acknowledged it says.
    pub text: String,
    /// Key 5. Records from this `seq` on are not covered: what recurs returns.
    pub before_seq: u64,
    /// Key 6. As in [`PolicyRecord::actor`].
    pub actor: Actor,
}

/// When a record was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Leaf index.
    pub seq: u64,
    /// CLOCK_REALTIME nanoseconds.
    pub wall_ns: u64,
}
