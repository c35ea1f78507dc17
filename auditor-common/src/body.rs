//! What a record says: one type for each class, and its bytes (deterministic CBOR, RFC 8949 §4.2.1, integer keys).
//!
//! Schema 1. Keys are never used again for something else; a reader refuses keys and classes it does not know.
//! `None` is CBOR `null` and means "not measured" or "nobody says", never zero.

mod decode;
mod encode;
mod error; // why bytes are not a body
mod event; // who talked to whom
mod guard; // what no ordinary Odoo does
mod ledger; // keys, retention, exports, recovery
mod policy; // requests, decisions, and what is not recorded because of them
mod run; // the life of the daemon
pub mod schema; // the same as tables
mod seal; // what was seen, and what was lost

pub use error::BodyError;
pub use event::{
    Attribution, Call, FlowEnd, FlowOpened, FlowTraffic, Label, NameSource, Named, Process, ProcessChange,
    ProcessRecord, Sample,
};
pub use guard::{Guard, Guarded};
pub use ledger::{ClockStep, Export, Policy, Prune, Recover, Rotate, StreamEnd};
pub use policy::{AckRecord, Actor, Effect, Egress, PolicyRecord, Restated, Step, Unrecorded};
pub use run::{Ack, Checked, Hook, RunStart, RunStop};
pub use seal::{CpuMark, Loss, Seal};

use crate::record::EntryType;

/// The schema that these files describe.
pub const SCHEMA: u16 = 1;

/// Values of an entry's `class`, by entry type. Types without classes use 0.
pub mod class {
    /// EVENT: a flow began.
    pub const FLOW_OPENED: u32 = 1;
    /// EVENT: a flow ended.
    pub const FLOW_ENDED: u32 = 2;
    /// EVENT: bytes so far of a flow that goes on.
    pub const FLOW_INTERIM: u32 = 3;
    /// EVENT: a call that the addon claims (one HTTP request, say), on a flow or on none that is known.
    pub const CALL: u32 = 4;
    /// EVENT: an audited process began, became another program, or ended.
    pub const PROCESS: u32 = 5;
    /// EVENT: an audited process did what no ordinary Odoo does.
    pub const GUARD: u32 = 6;
    /// RUN: the daemon began to record.
    pub const RUN_START: u32 = 1;
    /// RUN: the daemon stopped in good order.
    pub const RUN_STOP: u32 = 2;
    /// RUN: the operator has seen a declared loss.
    pub const RUN_ACK: u32 = 3;
    /// RUN: the daemon verified its own store.
    pub const RUN_CHECK: u32 = 4;
    /// RUN: the auditor's own traffic.
    pub const RUN_EGRESS: u32 = 5;
    /// POLICY: a request and what became of it.
    pub const POLICY_DECISION: u32 = 1;
    /// POLICY: a reason of the verdict was acknowledged.
    pub const POLICY_ACK: u32 = 2;
    /// POLICY: a record that holds, said again before its segment is removed.
    pub const POLICY_RESTATED: u32 = 3;
    /// LOSS: seen, counted, and by policy not recorded.
    pub const LOSS_UNRECORDED: u32 = 1;
}

/// Any record's content, by type and class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// GENESIS: the map `{1: creator's version, 2: root key's public half, 3: K_log's public half}`.
    Genesis {
        /// Key 1.
        version: String,
        /// Key 2. Ed25519 public key.
        root: [u8; 32],
        /// Key 3. Ed25519 public key.
        log: [u8; 32],
    },
    /// EVENT, class 1.
    FlowOpened(FlowOpened),
    /// EVENT, class 2 or 3.
    FlowTraffic(FlowTraffic),
    /// EVENT, class 4.
    Call(Call),
    /// EVENT, class 5.
    Process(ProcessRecord),
    /// EVENT, class 6.
    Guard(Guard),
    /// SEAL.
    Seal(Seal),
    /// LOSS.
    Loss(Loss),
    /// LOSS, class 1.
    Unrecorded(Unrecorded),
    /// RUN, class 1.
    RunStart(RunStart),
    /// RUN, class 2.
    RunStop(RunStop),
    /// RUN, class 3.
    Ack(Ack),
    /// RUN, class 4.
    Checked(Checked),
    /// RUN, class 5.
    Egress(Egress),
    /// ROTATE.
    Rotate(Rotate),
    /// POLICY.
    Policy(Policy),
    /// POLICY, class 1.
    Decision(PolicyRecord),
    /// POLICY, class 2.
    Acknowledged(AckRecord),
    /// POLICY, class 3.
    Restated(Restated),
    /// PRUNE.
    Prune(Prune),
    /// CLOCK.
    Clock(ClockStep),
    /// EXPORT.
    Export(Export),
    /// RECOVER.
    Recover(Recover),
}

impl Body {
    /// The type of the entry that holds it.
    #[must_use]
    pub const fn entry_type(&self) -> EntryType {
        match self {
            Self::Genesis { .. } => EntryType::Genesis,
            Self::FlowOpened(_) | Self::FlowTraffic(_) | Self::Call(_) | Self::Process(_) | Self::Guard(_) => {
                EntryType::Event
            }
            Self::Seal(_) => EntryType::Seal,
            Self::Loss(_) | Self::Unrecorded(_) => EntryType::Loss,
            Self::RunStart(_) | Self::RunStop(_) | Self::Ack(_) | Self::Checked(_) | Self::Egress(_) => EntryType::Run,
            Self::Rotate(_) => EntryType::Rotate,
            Self::Policy(_) | Self::Decision(_) | Self::Acknowledged(_) | Self::Restated(_) => EntryType::Policy,
            Self::Prune(_) => EntryType::Prune,
            Self::Clock(_) => EntryType::Clock,
            Self::Export(_) => EntryType::Export,
            Self::Recover(_) => EntryType::Recover,
        }
    }

    /// The class of the entry that holds it.
    #[must_use]
    pub const fn class(&self) -> u32 {
        match self {
            Self::Genesis { .. }
            | Self::Seal(_)
            | Self::Loss(_)
            | Self::Rotate(_)
            | Self::Policy(_)
            | Self::Prune(_)
            | Self::Clock(_)
            | Self::Export(_)
            | Self::Recover(_) => 0,
            Self::FlowOpened(_) => class::FLOW_OPENED,
            Self::FlowTraffic(FlowTraffic { end: Some(_), .. }) => class::FLOW_ENDED,
            Self::FlowTraffic(FlowTraffic { end: None, .. }) => class::FLOW_INTERIM,
            Self::Call(_) => class::CALL,
            Self::Process(_) => class::PROCESS,
            Self::Guard(_) => class::GUARD,
            Self::RunStart(_) => class::RUN_START,
            Self::RunStop(_) => class::RUN_STOP,
            Self::Ack(_) => class::RUN_ACK,
            Self::Checked(_) => class::RUN_CHECK,
            Self::Egress(_) => class::RUN_EGRESS,
            Self::Decision(_) => class::POLICY_DECISION,
            Self::Acknowledged(_) => class::POLICY_ACK,
            Self::Restated(_) => class::POLICY_RESTATED,
            Self::Unrecorded(_) => class::LOSS_UNRECORDED,
        }
    }

    /// The instance that it is about, if it names one: the records of one instance are a stream.
    #[must_use]
    pub fn instance(&self) -> Option<&str> {
        let instance = match self {
            Self::FlowOpened(flow) => &flow.instance,
            Self::Call(call) => &call.instance,
            Self::Process(process) => &process.instance,
            Self::Guard(guard) => &guard.instance,
            Self::Unrecorded(it) => &it.instance,
            Self::Decision(it) => &it.instance,
            Self::Acknowledged(it) => &it.instance,
            Self::Restated(it) => &it.instance,
            _ => return None,
        };
        (!instance.is_empty()).then_some(instance.as_str())
    }
}
