//! Everything a report is made of.

use crate::destination::Knowledge;
use crate::policy::Policies;
use crate::rollup::Rollup;

/// What is asked, and what is known.
#[derive(Clone, Copy, Debug)]
pub struct Basis<'a> {
    /// Whose report; `None` for all instances of the host.
    pub instance: Option<&'a str>,
    /// CLOCK_REALTIME nanoseconds.
    pub now_ns: u64,
    /// How far back, nanoseconds: [`DAY_NS`] unless somebody asks for more.
    pub window_ns: u64,
    /// The records.
    pub rollup: &'a Rollup,
    /// What explains them.
    pub knowledge: &'a Knowledge,
    /// What was asked for, decided and acknowledged.
    pub policies: &'a Policies,
    /// What the host says of itself.
    pub host: &'a Host,
    /// The newest checkpoint, as the signed note.
    pub checkpoint: Option<&'a str>,
}

/// What the host says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Why this host sees less than it could: a sentence of `auditor probe`.
    pub missing_tier: Option<String>,
    /// Whether names are seen in the kernel here.
    pub sees_names: bool,
    /// The ledger is larger than it may be, and nothing in it is old enough to go: how large, and how large it may be, bytes.
    pub over_size: Option<(u64, u64)>,
    /// The root key's private half is still on this machine.
    pub root_key_here: bool,
}
