//! Requests, decisions and acknowledgements, as they are sealed.

pub use auditor_common::body::{AckRecord, Actor, PolicyRecord, Step};

/// When a record was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Leaf index.
    pub seq: u64,
    /// CLOCK_REALTIME nanoseconds.
    pub wall_ns: u64,
}
