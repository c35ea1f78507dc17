//! The programs in the kernel: loads and attaches each by itself, yields [`Coverage`], and is the daemon's hand in the
//! kernel's tables. What an event means is not known here.

mod coverage; // which hooks work, and whether they still do
mod error; // what is missing, and what to do
mod host; // what the programs need from the machine

pub use coverage::{Coverage, HookState, HookStatus, Tells};
pub use error::ProbeError;

use crate::{
    account::Mark,
    kernel_btf::{KernelBtf, VMLINUX},
    ring::Ring,
};
use auditor_common::{
    gap::Gap,
    maps::{Audited, Counters, Listener, Offsets, Owner, Port, Settings, Socket, audited, candidates},
};
use aya::{
    Btf, Ebpf, EbpfLoader, Pod,
    maps::{HashMap, MapData, MapError, PerCpuArray, RingBuf},
    programs::Iter,
};
use coverage::Hook;
use std::{collections::BTreeMap, fs::File, io::Read as _, path::PathBuf};

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
    /// How many processes may be audited at once.
    pub processes: u32,
    /// An exec of a program whose name begins like Odoo's or Python's makes a candidate.
    pub candidates: bool,
    /// Every exec on the host makes a candidate.
    pub audit_all_execs: bool,
    /// A datagram flow that is silent for longer begins anew.
    pub silence_ns: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            object: None,
            ring_bytes: 8 << 20,
            sockets: 1 << 16,
            processes: 1 << 14,
            candidates: true,
            audit_all_execs: false,
            silence_ns: 60_000_000_000,
        }
    }
}

/// A process, beyond doubt: numbers are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listed {
    /// In the host's numbering.
    pub tgid: u32,
    /// CLOCK_BOOTTIME nanoseconds, exact as in events; `/proc` has it in steps of 10 ms only.
    pub start_ns: u64,
}

/// What the kernel half knows of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketState {
    /// Which flow on it is the current one.
    pub generation: u32,
    /// Payload bytes that calls have sent on that flow; `None` where the kernel does not say.
    pub sent: Option<u64>,
    /// Payload bytes that calls have received on it.
    pub received: Option<u64>,
    /// When something last went over it, CLOCK_BOOTTIME nanoseconds.
    pub last_ns: u64,
}

/// What did not fit into the kernel half's tables, since it was loaded. No event's number is missing for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overflows {
    /// How often a socket did not fit: its end and bytes are not told, nor is its first use ([`Gap::SocketTableFull`]).
    pub sockets: u64,
    /// Children and candidates that are not followed ([`Gap::ProcessTableFull`]).
    pub processes: u64,
}

/// The programs in the kernel. They go when this goes.
pub struct Probe {
    ebpf: Ebpf,
    hooks: Vec<Hook>,
    lengths: bool,
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
        if lengths && !probe.hooks.iter().filter(|hook| hook.tells() == Tells::Bytes).all(Hook::is_active) {
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
            candidates: match (options.audit_all_execs, options.candidates) {
                (true, _) => candidates::ALL,
                (false, true) => candidates::LIKELY,
                (false, false) => candidates::NONE,
            },
            lengths: u32::from(lengths),
        };
        let btf = Btf::from_sys_fs().map_err(|error| ProbeError::refused("the kernel's BTF", &error))?;
        let mut ebpf = EbpfLoader::new()
            .btf(Some(&btf))
            .override_global("OFFSETS", &Plain(offsets), true)
            .override_global("SETTINGS", &Plain(settings), true)
            .map_max_entries("RING", options.ring_bytes)
            .map_max_entries("SOCKETS", options.sockets)
            .map_max_entries("AUDITED", options.processes)
            .load(object)
            .map_err(|error| ProbeError::refused("the programs' tables", &error))?;
        let hooks = coverage::attach_all(&mut ebpf, &btf, cgroup, lengths);
        if hooks.iter().any(Hook::is_active) {
            return Ok(Self { ebpf, hooks, lengths });
        }
        let reason = hooks.first().map(|hook| hook.status(false)).map(|status| format!("{:?}", status.state));
        Err(ProbeError::Refused { what: "every program", reason: reason.unwrap_or_default() })
    }

    /// Which hooks work. Cheap: one small file of `/proc` for each.
    pub fn coverage(&self) -> Coverage {
        self.hooks.iter().map(|hook| hook.status(true)).collect()
    }

    /// Whether packets are seen in both directions, with the names that are in them.
    pub fn sees_packets(&self) -> bool {
        self.hooks.iter().filter(|hook| hook.tells() == Tells::Names).all(Hook::is_active)
    }

    /// The reading end of the ring; there is only one.
    pub fn take_ring(&mut self) -> Result<Ring, ProbeError> {
        let map = self.ebpf.take_map("RING").ok_or(ProbeError::TwoReaders)?;
        let ring = RingBuf::try_from(map).map_err(|error| ProbeError::refused("the ring", &error))?;
        Ok(Ring::new(ring))
    }

    /// Watches a process from now on, and its children to come. The start (CLOCK_BOOTTIME nanoseconds) may be the one
    /// of `/proc`: if the process under this number is another one when it is first noticed, the kernel half drops the
    /// entry.
    pub fn audit(&mut self, tgid: u32, start_ns: u64) -> Result<(), ProbeError> {
        let entry = Audited { start_ns, flags: audited::UNVERIFIED, _pad: 0 };
        self.audited()?
            .insert(tgid, Plain(entry), 0)
            .map_err(|error| ProbeError::refused("a process for its table", &error))
    }

    /// A candidate is in scope, and its events carry the flag no more. `Ok(false)`: it has ended.
    pub fn confirm(&mut self, tgid: u32, start_ns: u64) -> Result<bool, ProbeError> {
        /// `BPF_EXIST`: an entry that an exit took away in the meantime stays away.
        const EXIST: u64 = 2;
        let mut table = self.audited()?;
        let Some(mut entry) = found(table.get(&tgid, 0), "a candidate")? else { return Ok(false) };
        if entry.0.start_ns != start_ns {
            return Ok(false);
        }
        entry.0.flags &= !audited::CANDIDATE;
        Ok(found(table.insert(tgid, entry, EXIST), "a candidate")?.is_some())
    }

    /// A process is out of scope: nothing more is told of what it does, of its sockets, or of its listeners.
    pub fn forget(&mut self, tgid: u32) -> Result<(), ProbeError> {
        found(self.audited()?.remove(&tgid), "a process")?;
        self.remove_owned::<Plain<Port>, Plain<Listener>>("LISTENERS", |Plain(listener)| listener.owner.tgid == tgid)?;
        self.remove_owned::<u64, Plain<Socket>>("SOCKETS", |Plain(socket)| socket.owner.tgid == tgid)
    }

    /// Takes out the entries that `is_owned` chooses. The kernel half may change the table meanwhile: an entry that is
    /// passed over for that is one of the few that were new.
    fn remove_owned<K: Pod, V: Pod>(
        &mut self,
        table: &'static str,
        is_owned: impl Fn(&V) -> bool,
    ) -> Result<(), ProbeError> {
        let mut table = self.table::<K, V>(table)?;
        let owned: Vec<K> = table.iter().flatten().filter(|(_, value)| is_owned(value)).map(|(key, _)| key).collect();
        for key in owned {
            found(table.remove(&key), "an entry")?;
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

    /// What is known of a socket. `None`: nothing, or it has ended.
    pub fn socket(&self, cookie: u64) -> Option<SocketState> {
        let table: HashMap<_, u64, Plain<Socket>> = self.ebpf.map("SOCKETS")?.try_into().ok()?;
        let Plain(socket) = table.get(&cookie, 0).ok()?;
        let measured = |bytes| self.lengths.then_some(bytes);
        Some(SocketState {
            generation: socket.generation as u32,
            sent: measured(socket.sent),
            received: measured(socket.received),
            last_ns: socket.last_ns,
        })
    }

    /// What each processor has numbered and lost so far. Samples up to a mark may still be on their way to the ring for
    /// as long as fewer than `kseq - dropped` have arrived.
    pub fn marks(&self) -> Result<BTreeMap<u32, Mark>, ProbeError> {
        let counters = self.counters()?;
        let marks = counters.into_iter().zip(0..).map(|(counters, cpu)| {
            (cpu, Mark { kseq: counters.last_kseq, dropped: counters.dropped[Gap::RingFull as usize] })
        });
        Ok(marks.collect())
    }

    /// What did not fit into the tables so far, on all processors.
    pub fn overflows(&self) -> Result<Overflows, ProbeError> {
        let counters = self.counters()?;
        let sum = |gap: Gap| counters.iter().map(|counters| counters.dropped[gap as usize]).sum();
        Ok(Overflows { sockets: sum(Gap::SocketTableFull), processes: sum(Gap::ProcessTableFull) })
    }

    fn counters(&self) -> Result<Vec<Counters>, ProbeError> {
        let map = self.ebpf.map("COUNTERS").ok_or(ProbeError::ForeignObject("COUNTERS"))?;
        let refused = |error: &MapError| ProbeError::refused("the counters", error);
        let table: PerCpuArray<_, Plain<Counters>> = map.try_into().map_err(|error| refused(&error))?;
        let values = table.get(&0, 0).map_err(|error| refused(&error))?;
        Ok(values.iter().map(|plain| plain.0).collect())
    }

    /// Every process of the host with its exact start, as the kernel lists them.
    pub fn processes(&mut self) -> Result<Vec<Listed>, ProbeError> {
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
        Ok(bytes.chunks_exact(16).filter_map(listed).collect())
    }

    fn audited(&mut self) -> Result<HashMap<&mut MapData, u32, Plain<Audited>>, ProbeError> {
        self.table("AUDITED")
    }

    fn table<K: Pod, V: Pod>(&mut self, name: &'static str) -> Result<HashMap<&mut MapData, K, V>, ProbeError> {
        let map = self.ebpf.map_mut(name).ok_or(ProbeError::ForeignObject(name))?;
        map.try_into().map_err(|error| ProbeError::refused("a table", &error))
    }
}

/// A record of the `processes` program: start, tgid, zero.
fn listed(record: &[u8]) -> Option<Listed> {
    let (start, rest) = record.split_first_chunk::<8>()?;
    let (tgid, _) = rest.split_first_chunk::<4>()?;
    Some(Listed { tgid: u32::from_ne_bytes(*tgid), start_ns: u64::from_ne_bytes(*start) })
}

/// `None` where the table has no such key: the kernel half may take entries away at any time.
fn found<T>(result: Result<T, MapError>, what: &'static str) -> Result<Option<T>, ProbeError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(MapError::KeyNotFound | MapError::ElementNotFound) => Ok(None),
        Err(MapError::SyscallError(error)) if error.io_error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ProbeError::refused(what, &error)),
    }
}

fn object(options: &Options) -> Result<Vec<u8>, ProbeError> {
    if let Some(path) = &options.object {
        return std::fs::read(path).map_err(|source| ProbeError::Object { path: path.clone(), source });
    }
    if OBJECT.is_empty() { Err(ProbeError::NoObject) } else { Ok(OBJECT.to_vec()) }
}
