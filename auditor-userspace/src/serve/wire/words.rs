//! Type and class of a record, as words.

use auditor_common::body::Body;

/// The words of `type`.
pub const TYPES: [&str; 11] =
    ["genesis", "event", "seal", "loss", "recover", "run", "rotate", "policy", "prune", "clock", "export"];

/// The word of a record's type.
#[must_use]
pub const fn kind(body: &Body) -> &'static str {
    match body {
        Body::Genesis { .. } => "genesis",
        Body::FlowOpened(_) | Body::FlowTraffic(_) | Body::Call(_) | Body::Process(_) | Body::Guard(_) => "event",
        Body::Seal(_) => "seal",
        Body::Loss(_) | Body::Unrecorded(_) => "loss",
        Body::Recover(_) => "recover",
        Body::RunStart(_) | Body::RunStop(_) | Body::Ack(_) | Body::Checked(_) | Body::Egress(_) => "run",
        Body::Rotate(_) => "rotate",
        Body::Policy(_) | Body::Decision(_) | Body::Acknowledged(_) | Body::Restated(_) => "policy",
        Body::Prune(_) => "prune",
        Body::Clock(_) => "clock",
        Body::Export(_) => "export",
    }
}

/// The word of a record's class.
#[must_use]
pub const fn class(body: &Body) -> &'static str {
    match body {
        Body::Genesis { .. } => "genesis",
        Body::FlowOpened(_) => "flow_opened",
        Body::FlowTraffic(flow) if flow.end.is_some() => "flow_ended",
        Body::FlowTraffic(_) => "flow_interim",
        Body::Call(_) => "call",
        Body::Process(_) => "process",
        Body::Guard(_) => "guard",
        Body::Seal(_) => "seal",
        Body::Loss(_) => "loss",
        Body::Unrecorded(_) => "unrecorded",
        Body::Recover(_) => "recover",
        Body::RunStart(_) => "run_start",
        Body::RunStop(_) => "run_stop",
        Body::Ack(_) => "ack",
        Body::Checked(_) => "check",
        Body::Egress(_) => "egress",
        Body::Rotate(_) => "rotate",
        Body::Policy(_) => "policy",
        Body::Decision(_) => "decision",
        Body::Acknowledged(_) => "acknowledged",
        Body::Restated(_) => "restated",
        Body::Prune(_) => "prune",
        Body::Clock(_) => "clock",
        Body::Export(_) => "export",
    }
}
