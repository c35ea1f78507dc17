//! What a RUN says: the life of the daemon.

/// One program in the kernel, for coverage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Key 1. Its name, as `auditor probe` prints it.
    pub name: String,
    /// Key 2. BPF program tag, 8 bytes; empty if it is not loaded.
    pub tag: Vec<u8>,
    /// Key 3. Loaded and attached.
    pub active: bool,
}

/// The daemon began (RUN, class 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunStart {
    /// Key 1. Version of the daemon.
    pub version: String,
    /// Key 2. `uname -r`.
    pub kernel: String,
    /// Key 3. `/proc/sys/kernel/random/boot_id`, 16 bytes.
    pub boot_id: [u8; 16],
    /// Key 4. SHA-256 of the daemon's binary.
    pub binary: [u8; 32],
    /// Key 5. SHA-256 of its configuration as it took effect.
    pub config: [u8; 32],
    /// Key 6. What it looks at: `odoo`, `pid:N`, `cgroup:PATH`.
    pub scope: String,
    /// Key 7. How the run before ended: `none`, `stopped`, `interrupted`.
    pub previous: String,
    /// Key 8.
    pub hooks: Vec<Hook>,
}

/// The daemon stopped in good order (RUN, class 2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunStop {
    /// Key 1. `signal`, `error`, …
    pub reason: String,
}

/// The operator has seen a declared loss (RUN, class 3). It ends the alarm, and takes nothing back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Key 1. `seq` of the record that declares it.
    pub record: u64,
    /// Key 2. Who says so: user name and number.
    pub actor: String,
    /// Key 3. What the operator had to say.
    pub note: String,
}

/// The daemon verified its own store (RUN, class 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Key 1. Up to which size.
    pub size: u64,
    /// Key 2. The verifier's exit code.
    pub exit: u8,
    /// Key 3. Its sentence.
    pub summary: String,
}
