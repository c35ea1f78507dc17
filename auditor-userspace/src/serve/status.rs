//! How the daemon is doing: what it says of itself, measured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A snapshot of the daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the daemon.
    pub version: String,
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
