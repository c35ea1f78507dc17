//! How the daemon is doing: what it says of itself, measured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::wire;
use crate::rollup::history::Check;

/// A snapshot of the daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the daemon.
    pub version: String,
    /// Which API it speaks: [`super::API`].
    #[serde(default)]
    pub api: u32,
    /// Its process.
    pub pid: u32,
    /// Since when it records, RFC 3339.
    pub since: String,
    /// What it audits.
    pub scope: String,
    /// Where the ledger is.
    pub state_dir: String,
    /// Name of the log.
    pub origin: String,
    /// Fingerprint of the root key, to pin.
    pub root_key: String,
    /// Hooks in the kernel, and what is with each.
    pub hooks: Vec<HookStatus>,
    /// Audited instances.
    pub instances: BTreeMap<String, InstanceStatus>,
    /// Flows that are open.
    pub flows: u64,
    /// Samples received since the start.
    pub captured: u64,
    /// Lost since the start, by reason.
    pub lost: BTreeMap<String, u64>,
    /// Records, the committed ones.
    pub records: u64,
    /// Records under the newest checkpoint.
    pub sealed: u64,
    /// When it was signed, RFC 3339.
    pub sealed_at: String,
    /// What the daemon's own verification found last, if there was one.
    pub verified: Option<Verified>,
    /// How much is kept, once it was measured.
    pub kept: Option<Kept>,
}

/// How much is kept, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The oldest record, RFC 3339.
    pub since: String,
    /// Segment files.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// As much may they have, bytes.
    pub max_bytes: u64,
    /// Older records are removed, days.
    pub keep_days: u64,
    /// Younger ones are not, even if there is no more room, days.
    pub min_days: u64,
    /// At the present pace it is full in so many days; `None` if all that is to be kept fits.
    pub full_in_days: Option<u64>,
}

/// What the daemon's own verification found last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// When, RFC 3339.
    pub at: String,
    /// The record that says so.
    pub seq: u64,
    /// The verifier's exit code.
    pub exit: u8,
    /// Its sentence.
    pub summary: String,
}

impl From<&Check> for Verified {
    fn from(check: &Check) -> Self {
        let Check { wall_ns, seq, exit, summary, .. } = check;
        Self { at: wire::time(*wall_ns), seq: *seq, exit: *exit, summary: summary.clone() }
    }
}

/// One hook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookStatus {
    /// Its name.
    pub name: String,
    /// Loaded and attached.
    pub active: bool,
    /// Why not.
    pub reason: Option<String>,
}

/// One audited Odoo.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// Its processes, children included.
    pub processes: u64,
    /// Those that run the instance's own program: master, workers, and what they fork.
    #[serde(default)]
    pub workers: u64,
    /// Those that hand over claims.
    pub named: u64,
}
