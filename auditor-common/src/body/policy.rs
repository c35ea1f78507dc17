//! What was asked for and decided, and what is not recorded because of it.

use super::{Body, BodyError};
use crate::endpoint::Endpoint;
use crate::record::EntryType;

/// Who asks, or decides. The array `[kind, number]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Kind 1: somebody with the host's authority, by the kernel's word.
    Host {
        /// User, in the host's numbering.
        uid: u32,
    },
    /// Kind 2: a process of the audited instance itself.
    Instance {
        /// Process, in the host's numbering.
        tgid: u32,
    },
}

impl Actor {
    /// Kind and number.
    #[must_use]
    pub const fn numbers(self) -> (u8, u32) {
        match self {
            Self::Host { uid } => (1, uid),
            Self::Instance { tgid } => (2, tgid),
        }
    }

    /// The actor of this kind and number.
    #[must_use]
    pub const fn from_numbers(kind: u8, number: u32) -> Option<Self> {
        match kind {
            1 => Some(Self::Host { uid: number }),
            2 => Some(Self::Instance { tgid: number }),
            _ => None,
        }
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// The step with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::AtOnce,
            2 => Self::Allowed,
            3 => Self::Waiting,
            4 => Self::Refused,
            5 => Self::Accepted,
            6 => Self::Denied,
            _ => return None,
        })
    }

    /// Whether the change holds from here on.
    #[must_use]
    pub const fn takes_effect(self) -> bool {
        matches!(self, Self::AtOnce | Self::Allowed | Self::Accepted)
    }
}

/// What a change does to the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Effect {
    /// Nothing is different.
    None = 0,
    /// More is recorded, kept, or watched; or less is told about people.
    Tightens = 1,
    /// The opposite.
    Loosens = 2,
}

impl Effect {
    /// The effect with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::None,
            1 => Self::Tightens,
            2 => Self::Loosens,
            _ => return None,
        })
    }
}

/// A request and what became of it (POLICY, class 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRecord {
    /// Key 1. Number of the request, from 1: what `auditor policy accept` names.
    pub number: u64,
    /// Key 2.
    pub step: Step,
    /// Key 3. Which Odoo.
    pub instance: String,
    /// Key 4.
    pub actor: Actor,
    /// Key 5. What is to be changed, as a word.
    pub setting: String,
    /// Key 6. The value, as JSON.
    pub value: String,
    /// Key 7.
    pub effect: Effect,
    /// Key 8. Why, for people.
    pub reason: String,
}

/// A reason of the verdict was acknowledged (POLICY, class 2).
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Key 6.
    pub actor: Actor,
}

/// A record that holds, said again before the segment that it lies in is removed (POLICY, class 3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restated {
    /// Key 1. `seq` of the record that said it first.
    pub record: u64,
    /// Key 2. When that was appended, CLOCK_REALTIME nanoseconds.
    pub wall_ns: u64,
    /// Key 3. Its type.
    pub entry_type: u8,
    /// Key 4. Its class.
    pub entry_class: u32,
    /// Key 5. Which Odoo it is about; empty for what concerns the whole host.
    pub instance: String,
    /// Key 6. Its body.
    pub content: Vec<u8>,
}

impl Restated {
    /// Says a record again.
    #[must_use]
    pub fn of(record: u64, wall_ns: u64, body: &Body) -> Self {
        Self {
            record,
            wall_ns,
            entry_type: body.entry_type() as u8,
            entry_class: body.class(),
            instance: body.instance().unwrap_or_default().to_owned(),
            content: body.encode(),
        }
    }

    /// What it says.
    pub fn body(&self) -> Result<Body, BodyError> {
        let kind = EntryType::from_number(self.entry_type).ok_or(BodyError::Value)?;
        Body::decode(kind, self.entry_class, &self.content)
    }
}

/// What was seen, counted and by policy not recorded, of one instance (LOSS, class 1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unrecorded {
    /// Key 1. Which Odoo.
    pub instance: String,
    /// Key 2. CLOCK_REALTIME nanoseconds.
    pub from_wall_ns: u64,
    /// Key 3.
    pub until_wall_ns: u64,
    /// Key 4. Flows that began.
    pub flows: u64,
    /// Key 5. Calls that were claimed.
    pub calls: u64,
    /// Key 6. Payload bytes of flows that ended, as far as they were measured.
    pub sent: u64,
    /// Key 7.
    pub received: u64,
}

/// The auditor's own traffic to one endpoint (RUN, class 5). None is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Egress {
    /// Key 1. IP protocol number.
    pub protocol: u16,
    /// Keys 2 and 3.
    pub remote: Endpoint,
    /// Key 4. Flows since it was recorded last.
    pub flows: u64,
    /// Key 5. Somebody configured it: a witness, a timestamp service.
    pub configured: bool,
}
