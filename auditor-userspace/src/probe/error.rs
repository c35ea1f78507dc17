use crate::kernel_btf::BtfError;
use std::{error::Error, io, path::PathBuf};

/// Why nothing can be seen here. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Older than the least kernel.
    #[error("this kernel is {found}; Linux {needed} or newer is needed")]
    KernelTooOld {
        /// `uname -r`.
        found: String,
        /// The least version.
        needed: &'static str,
    },
    /// The process may not load programs.
    #[error("{} missing: run as root, or give the service these capabilities", .missing.join(", "))]
    Permission {
        /// Names of the capabilities.
        missing: Vec<&'static str>,
    },
    /// The kernel does not say what its structures look like, or lacks something that is read.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// There is no cgroup2 hierarchy to attach to.
    #[error("no cgroup2 file system is mounted; mount one: mount -t cgroup2 none /sys/fs/cgroup")]
    NoCgroup2,
    /// It is there, and cannot be opened.
    #[error("cannot open the cgroup2 mount {path}: {source}")]
    Cgroup2 {
        /// Where it is mounted.
        path: PathBuf,
        /// What opening it said.
        source: io::Error,
    },
    /// This binary was built without the kernel half.
    #[error("this auditor was built without its kernel half; run `cargo xtask build-ebpf` and build it again")]
    NoObject,
    /// The object that was asked for cannot be read.
    #[error("cannot read the eBPF object {path}: {source}")]
    Object {
        /// Which one.
        path: PathBuf,
        /// What reading it said.
        source: io::Error,
    },
    /// The object is not of this version.
    #[error("the eBPF object has no `{0}`; build it from this version: cargo xtask build-ebpf")]
    ForeignObject(&'static str),
    /// No size for a ring.
    #[error("a ring of {0} bytes is not possible; take a power of two that is at least the page size")]
    RingSize(u32),
    /// The ring was taken already.
    #[error("the ring has a reader already")]
    TwoReaders,
    /// The kernel said no.
    #[error("the kernel refused {what}: {reason}")]
    Refused {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        reason: String,
    },
}

impl ProbeError {
    pub(super) fn refused(what: &'static str, error: &dyn Error) -> Self {
        Self::Refused { what, reason: chain(error) }
    }
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
