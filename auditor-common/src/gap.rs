//! Every way evidence can be missing, as append-only numbers: a number once given keeps its meaning for ever.

/// Why something is not in the record.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gap {
    /// The ring between kernel and daemon was full.
    RingFull = 1,
    /// The kernel's table of sockets was full: this socket's end and bytes are not known.
    SocketTableFull = 2,
    /// The kernel's table of audited processes was full: a child was not followed.
    ProcessTableFull = 3,
    /// Nobody was looking: the daemon was not running, or ended without saying so.
    NotRunning = 4,
    /// A hook that was active is no longer attached.
    HookDetached = 5,
    /// A sample that this version cannot read.
    Undecodable = 6,
    /// Claims in a process's hint ring were overwritten before they were read.
    HintOverrun = 7,
    /// The disk refused a write.
    DiskFull = 8,
    /// Events that were read, and lost before they were durable.
    Uncommitted = 9,
    /// The addon's own hook failed or could not write, counted by itself.
    HintFailure = 10,
    /// The kernel's numbers and its own loss counters disagree.
    Unexplained = 11,
    /// The addon's hook does not answer any more in a process that goes on serving: it was silenced, or it failed.
    ClaimsSilenced = 12,
}

impl Gap {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::RingFull,
        Self::SocketTableFull,
        Self::ProcessTableFull,
        Self::NotRunning,
        Self::HookDetached,
        Self::Undecodable,
        Self::HintOverrun,
        Self::DiskFull,
        Self::Uncommitted,
        Self::HintFailure,
        Self::Unexplained,
        Self::ClaimsSilenced,
    ];

    /// The gap with this number, if this version knows it.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|gap| *gap as u64 == number)
    }

    /// A word for tables and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::RingFull => "ring-full",
            Self::SocketTableFull => "socket-table-full",
            Self::ProcessTableFull => "process-table-full",
            Self::NotRunning => "not-running",
            Self::HookDetached => "hook-detached",
            Self::Undecodable => "undecodable",
            Self::HintOverrun => "hint-overrun",
            Self::DiskFull => "disk-full",
            Self::Uncommitted => "uncommitted",
            Self::HintFailure => "hint-failure",
            Self::Unexplained => "unexplained",
            Self::ClaimsSilenced => "claims-silenced",
        }
    }
}
