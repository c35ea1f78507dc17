//! What was seen and what was lost, as SEAL and LOSS account for it.

use super::Hook;

/// Evidence is missing (LOSS).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Key 1. Number from [`crate::gap::Gap`].
    pub gap: u64,
    /// Key 2. How many; `None` if that cannot be known.
    pub count: Option<u64>,
    /// Key 3. From when, CLOCK_REALTIME nanoseconds; `None` if that cannot be known.
    pub from_wall_ns: Option<u64>,
    /// Key 4. Until when.
    pub until_wall_ns: Option<u64>,
    /// Key 5. A sentence for people.
    pub detail: String,
}

/// What the kernel says about one processor, in a SEAL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuMark {
    /// First element of the array.
    pub cpu: u32,
    /// Second: every sample up to this number is accounted for by this seal.
    pub last_kseq: u64,
    /// Third: samples received since the previous seal of this run.
    pub received: u64,
    /// Fourth: samples lost since then, as `[gap, count]` pairs in the order of the gap's number.
    pub lost: Vec<(u64, u64)>,
}

/// The last leaf of every checkpoint (SEAL).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Key 1. SHA-256 of the previous checkpoint note; zero for the first.
    pub previous_checkpoint: [u8; 32],
    /// Key 2. Its size; 0 for the first.
    pub previous_size: u64,
    /// Key 3. First row that is still kept.
    pub min_index: u64,
    /// Key 4. Samples received since the run began.
    pub captured: u64,
    /// Key 5. Lost since the run began, as `[gap, count]` pairs.
    pub lost: Vec<(u64, u64)>,
    /// Key 6. In the order of `cpu`.
    pub cpus: Vec<CpuMark>,
    /// Key 7. In the order of the programs' list.
    pub hooks: Vec<Hook>,
    /// Key 8. `[clock is synchronised, largest error in nanoseconds]`.
    pub clock: (bool, u64),
    /// Key 9. Root of the stream table (the empty tree's, where there are no streams).
    pub streams: [u8; 32],
    /// Key 10. Last cosigned size for each witness; empty until witnesses exist.
    pub witnessed: Vec<(String, u64)>,
    /// Key 11. SHA-256 of the daemon's binary.
    pub binary: [u8; 32],
    /// Key 12. SHA-256 of the configuration in force.
    pub config: [u8; 32],
    /// Key 13. Last seal of its epoch.
    pub end_of_epoch: bool,
}
