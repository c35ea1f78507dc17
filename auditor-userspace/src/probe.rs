//! The programs in the kernel: loads and attaches each by itself, yields [`Coverage`], and is the daemon's hand in the
//! kernel's tables. What an event means is not known here.

mod coverage; // which hooks work, and whether they still do
mod error; // what is missing, and what to do
mod host; // what the programs need from the machine

pub use coverage::{Coverage, HookState, HookStatus};
pub use error::ProbeError;

use crate::{
    kernel_btf::{KernelBtf, VMLINUX},
    ring::Ring,
};
use auditor_common::maps::{Audited, Counters, Listener, Offsets, Owner, Port, REASONS, Settings, Socket, audited};
use aya::{
    Btf, Ebpf, EbpfLoader, Pod,
    maps::{HashMap, Map, MapData, MapError, PerCpuArray, RingBuf},
    programs::Iter,
};
use coverage::Hook;
use std::{fs::File, io::Read as _, path::PathBuf};

/// The kernel half, as `cargo xtask build-ebpf` left it; empty where that was not run.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/auditor-ebpf.o"));

/// How the kernel half is loaded.
#[derive(Clone, Debug)]
pub struct Options {
    /// Another object than the one in the binary.
    pub object: Option<PathBuf>,
    /// Size of the ring: a power of two, and a multiple of the page size.
    pub ring_bytes: u32,
    /// How many sockets of audited processes may be open at once.
    pub sockets: u32,
    /// Every exec on the host makes a candidate, not only those whose name begins like Odoo's or Python's.
    pub audit_all_execs: bool,
    /// A datagram flow that is silent for longer begins anew.
    pub silence_ns: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { object: None, ring_bytes: 8 << 20, sockets: 1 << 16, audit_all_execs: false, silence_ns: 60_000_000_000 }
    }
}

/// A process, beyond doubt: numbers are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// In the host's numbering.
    pub tgid: u32,
    /// CLOCK_BOOTTIME nanoseconds: exact, as in events and [`Probe::processes`], or in the 10 ms steps of `/proc`.
    pub start_ns: u64,
}

/// What one processor has numbered and lost so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which one.
    pub cpu: u32,
    /// Number of its newest event, sent or not.
    pub last_kseq: u64,
    /// Lost, by the number of the gap. Read before `last_kseq`, so that received + `dropped[RingFull]` never exceeds it;
    /// what is missing of equality is on its way to the ring.
    pub dropped: [u64; REASONS],
}

/// The programs in the kernel. They go when this goes.
pub struct Probe {
    ebpf: Ebpf,
    hooks: Vec<Hook>,
}

/// Values without padding, as bytes for the kernel.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Plain<T>(T);

macro_rules! plain {
    ($($name:ty),*) => {
        // SAFETY: `repr(C)`, integers only, and no padding, as the assertions beside their definitions prove.
        $(unsafe impl Pod for Plain<$name> {})*
    };
}
plain!(Offsets, Settings, Audited, Socket, Port, Listener, Counters);

impl Probe {
    /// Loads and attaches what this kernel takes. The error says what is missing if nothing can be seen at all; a
    /// single hook that fails is in [`Probe::coverage`].
    pub fn load(options: &Options) -> Result<Self, ProbeError> {
        host::kernel_is_new_enough()?;
        host::capabilities()?;
        host::ring_size(options.ring_bytes)?;
        let btf = KernelBtf::read(VMLINUX.as_ref())?;
        let offsets = btf.offsets()?;
        let cgroup = host::cgroup2()?;
        let object = object(options)?;
        let lengths = btf.has_tracepoint("sock_send_length") && btf.has_tracepoint("sock_recv_length");
        let probe = Self::load_object(&object, offsets, options, lengths, &cgroup)?;
        if lengths && !probe.hooks.iter().filter(|hook| hook.counts_bytes()).all(Hook::is_active) {
            // The globals are frozen, so a probe that counts no bytes must be told so from the beginning.
            drop(probe);
            return Self::load_object(&object, offsets, options, false, &cgroup);
        }
        Ok(probe)
    }

    fn load_object(
        object: &[u8],
        offsets: Offsets,
        options: &Options,
        lengths: bool,
        cgroup: &File,
    ) -> Result<Self, ProbeError> {
        let settings = Settings {
            silence_ns: options.silence_ns,
            wake_bytes: u64::from(options.ring_bytes / 8).min(64 << 10),
            audit_all_execs: u32::from(options.audit_all_execs),
            lengths: u32::from(lengths),
        };
        let btf = Btf::from_sys_fs().map_err(|error| ProbeError::refused("the kernel's BTF", &error))?;
        let mut ebpf = EbpfLoader::new()
            .btf(Some(&btf))
            .override_global("OFFSETS", &Plain(offsets), true)
            .override_global("SETTINGS", &Plain(settings), true)
            .map_max_entries("RING", options.ring_bytes)
            .map_max_entries("SOCKETS", options.sockets)
            .load(object)
            .map_err(|error| ProbeError::refused("the programs' tables", &error))?;
        let hooks = coverage::attach_all(&mut ebpf, &btf, cgroup, lengths);
        if hooks.iter().any(Hook::is_active) {
            return Ok(Self { ebpf, hooks });
        }
        let reason = hooks.first().map(|hook| hook.status(false)).map(|status| format!("{:?}", status.state));
        Err(ProbeError::Refused { what: "every program", reason: reason.unwrap_or_default() })
    }

    /// Which hooks work. Cheap: one small file of `/proc` for each.
    pub fn coverage(&self) -> Coverage {
        Coverage { hooks: self.hooks.iter().map(|hook| hook.status(true)).collect() }
    }

    /// The reading end of the ring; there is only one.
    pub fn take_ring(&mut self) -> Result<Ring, ProbeError> {
        let map = self.ebpf.take_map("RING").ok_or(ProbeError::TwoReaders)?;
        let ring = RingBuf::try_from(map).map_err(|error| ProbeError::refused("the ring", &error))?;
        Ok(Ring::new(ring))
    }

    /// Watches a process from now on, and its children to come. If the process is another one when it is first noticed,
    /// the kernel half drops the entry: a start time out of `/proc` is precise enough for that.
    pub fn audit(&mut self, process: Identity) -> Result<(), ProbeError> {
        let entry = Audited { start_ns: process.start_ns, flags: audited::UNVERIFIED, _pad: 0 };
        self.audited()?
            .insert(process.tgid, Plain(entry), 0)
            .map_err(|error| ProbeError::refused("a process for its table", &error))
    }

    /// A candidate is in scope. `Ok(false)`: it has ended.
    pub fn confirm(&mut self, process: Identity) -> Result<bool, ProbeError> {
        /// `BPF_EXIST`: an entry that an exit took away in the meantime stays away.
        const EXIST: u64 = 2;
        let mut table = self.audited()?;
        let Some(mut entry) = found(table.get(&process.tgid, 0), "a candidate")? else { return Ok(false) };
        if entry.0.start_ns != process.start_ns {
            return Ok(false);
        }
        entry.0.flags &= !audited::CANDIDATE;
        Ok(found(table.insert(process.tgid, entry, EXIST), "a candidate")?.is_some())
    }

    /// A candidate, or its child, is out of scope: nothing more of what it does is told. Flows that it began already
    /// may still end, with its identity as their owner.
    pub fn forget(&mut self, process: Identity) -> Result<(), ProbeError> {
        let mut table = self.audited()?;
        let entry = found(table.get(&process.tgid, 0), "a process")?;
        if entry.is_some_and(|entry| entry.0.start_ns == process.start_ns) {
            found(table.remove(&process.tgid), "a process")?;
        }
        Ok(())
    }

    /// An audited process was listening there before it was audited.
    pub fn listen(&mut self, netns: u32, port: u16, owner: Owner) -> Result<(), ProbeError> {
        let key = Plain(Port { netns, port, _pad: 0 });
        self.table::<Plain<Port>, Plain<Listener>>("LISTENERS")?
            .insert(key, Plain(Listener { owner, sockets: 1 }), 0)
            .map_err(|error| ProbeError::refused("a listener for its table", &error))
    }

    /// What is known of a socket: traffic so far, and when the last was. `None`: nothing, or it has ended.
    pub fn socket(&self, cookie: u64) -> Result<Option<Socket>, ProbeError> {
        let map = self.map("SOCKETS")?;
        let table: HashMap<_, u64, Plain<Socket>> =
            map.try_into().map_err(|error| ProbeError::refused("the table of sockets", &error))?;
        Ok(found(table.get(&cookie, 0), "a socket")?.map(|plain| plain.0))
    }

    /// What each processor has numbered and lost so far.
    pub fn marks(&self) -> Result<Vec<Mark>, ProbeError> {
        let map = self.map("COUNTERS")?;
        let table: PerCpuArray<_, Plain<Counters>> =
            map.try_into().map_err(|error| ProbeError::refused("the counters", &error))?;
        let counters = table.get(&0, 0).map_err(|error| ProbeError::refused("the counters", &error))?;
        let marks = counters.iter().enumerate().map(|(cpu, Plain(counters))| Mark {
            cpu: cpu as u32,
            last_kseq: counters.last_kseq,
            dropped: counters.dropped,
        });
        Ok(marks.collect())
    }

    /// Every process of the host with its exact start, as the kernel lists them.
    pub fn processes(&mut self) -> Result<Vec<Identity>, ProbeError> {
        let refused = |error: &dyn std::error::Error| ProbeError::refused("the list of processes", error);
        let program: &mut Iter = self
            .ebpf
            .program_mut("processes")
            .ok_or(ProbeError::ForeignObject("processes"))?
            .try_into()
            .map_err(|error: aya::programs::ProgramError| refused(&error))?;
        if program.fd().is_err() {
            let btf = Btf::from_sys_fs().map_err(|error| refused(&error))?;
            program.load("task", &btf).map_err(|error| refused(&error))?;
        }
        let link = program.attach().map_err(|error| refused(&error))?;
        let link = program.take_link(link).map_err(|error| refused(&error))?;
        let mut bytes = Vec::new();
        link.into_file().map_err(|error| refused(&error))?.read_to_end(&mut bytes).map_err(|error| refused(&error))?;
        Ok(bytes.chunks_exact(16).filter_map(identity).collect())
    }

    fn audited(&mut self) -> Result<HashMap<&mut MapData, u32, Plain<Audited>>, ProbeError> {
        self.table("AUDITED")
    }

    fn table<K: Pod, V: Pod>(&mut self, name: &'static str) -> Result<HashMap<&mut MapData, K, V>, ProbeError> {
        let map = self.ebpf.map_mut(name).ok_or(ProbeError::ForeignObject(name))?;
        map.try_into().map_err(|error| ProbeError::refused("a table", &error))
    }

    fn map(&self, name: &'static str) -> Result<&Map, ProbeError> {
        self.ebpf.map(name).ok_or(ProbeError::ForeignObject(name))
    }
}

/// A record of the `processes` program: start, tgid, zero.
fn identity(record: &[u8]) -> Option<Identity> {
    let (start, rest) = record.split_first_chunk::<8>()?;
    let (tgid, _) = rest.split_first_chunk::<4>()?;
    Some(Identity { tgid: u32::from_ne_bytes(*tgid), start_ns: u64::from_ne_bytes(*start) })
}

/// `None` where the table has no such key: the kernel half may take entries away at any time.
fn found<T>(result: Result<T, MapError>, what: &'static str) -> Result<Option<T>, ProbeError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(MapError::KeyNotFound | MapError::ElementNotFound) => Ok(None),
        Err(MapError::SyscallError(error)) if error.io_error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(ProbeError::refused(what, &error)),
    }
}

fn object(options: &Options) -> Result<Vec<u8>, ProbeError> {
    if let Some(path) = &options.object {
        return std::fs::read(path).map_err(|source| ProbeError::Object { path: path.clone(), source });
    }
    if OBJECT.is_empty() { Err(ProbeError::NoObject) } else { Ok(OBJECT.to_vec()) }
}
