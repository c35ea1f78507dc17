//! What a record says: one type for each class, and its bytes (deterministic CBOR, RFC 8949 §4.2.1, integer keys).
//!
//! Schema 1. Keys are never used again for something else; a reader refuses keys and classes it does not know.
//! `None` is CBOR `null` and means "not measured" or "nobody says", never zero.

mod decode;
mod encode;
mod guard; // what no ordinary Odoo does
mod policy; // requests, decisions, and what is not recorded because of them
pub mod schema; // the same as tables

pub use guard::{Guard, Guarded};
pub use policy::{AckRecord, Actor, Effect, Egress, PolicyRecord, Restated, Step, Unrecorded};

use crate::endpoint::Endpoint;
use crate::event::Header;
use crate::record::EntryType;

/// The schema that this file describes.
pub const SCHEMA: u16 = 1;

/// Values of an entry's `class`, by entry type. Types without classes use 0.
pub mod class {
    /// EVENT: a flow began.
    pub const FLOW_OPENED: u32 = 1;
    /// EVENT: a flow ended.
    pub const FLOW_ENDED: u32 = 2;
    /// EVENT: bytes so far of a flow that goes on.
    pub const FLOW_INTERIM: u32 = 3;
    /// EVENT: a call that the addon claims (one HTTP request, say), on a flow or on none that is known.
    pub const CALL: u32 = 4;
    /// EVENT: an audited process began, became another program, or ended.
    pub const PROCESS: u32 = 5;
    /// EVENT: an audited process did what no ordinary Odoo does.
    pub const GUARD: u32 = 6;
    /// RUN: the daemon began to record.
    pub const RUN_START: u32 = 1;
    /// RUN: the daemon stopped in good order.
    pub const RUN_STOP: u32 = 2;
    /// RUN: the operator has seen a declared loss.
    pub const RUN_ACK: u32 = 3;
    /// RUN: the daemon verified its own store.
    pub const RUN_CHECK: u32 = 4;
    /// RUN: the auditor's own traffic.
    pub const RUN_EGRESS: u32 = 5;
    /// POLICY: a request and what became of it.
    pub const POLICY_DECISION: u32 = 1;
    /// POLICY: a reason of the verdict was acknowledged.
    pub const POLICY_ACK: u32 = 2;
    /// POLICY: a record that holds, said again before its segment is removed.
    pub const POLICY_RESTATED: u32 = 3;
    /// LOSS: seen, counted, and by policy not recorded.
    pub const LOSS_UNRECORDED: u32 = 1;
}

/// The kernel's sample that a record stands on. Keys 1 to 3 of every EVENT body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Key 1. CLOCK_BOOTTIME nanoseconds.
    pub boot_ns: u64,
    /// Key 2. Processor; `None` where no sample stands behind it (a claim, an end by silence).
    pub cpu: Option<u32>,
    /// Key 3. Number of the sample on that processor.
    pub kseq: Option<u64>,
}

impl From<&Header> for Sample {
    /// A header without a number (0) gives its time alone.
    fn from(header: &Header) -> Self {
        let numbered = header.kseq != 0;
        Self { boot_ns: header.boot_ns, cpu: numbered.then_some(header.cpu), kseq: numbered.then_some(header.kseq) }
    }
}

/// Who opened the socket. The kernel's word, except `executable` and `arguments`, which are read from `/proc`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Key 1. In the host's numbering.
    pub tgid: u32,
    /// Key 2.
    pub tid: u32,
    /// Key 3. CLOCK_BOOTTIME nanoseconds: with `tgid`, the identity.
    pub start_ns: u64,
    /// Key 4. The kernel's short name.
    pub comm: Option<String>,
    /// Key 5. Path of the program.
    pub executable: Option<String>,
    /// Key 6. How many arguments it was started with; never which.
    pub arguments: Option<u32>,
    /// Key 7. The kernel's number of its cgroup.
    pub cgroup: u64,
    /// Key 8. Its parent's `tgid`, where it is known.
    pub parent: Option<u32>,
}

/// How we know whose call it was.
#[repr(u8)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// Nobody says.
    #[default]
    Absent = 0,
    /// No claim, but something the host knows explains it.
    Inferred = 1,
    /// A claim that could not be bound to a socket or spawn that the kernel saw.
    SelfReported = 2,
    /// A claim of that very process for that very socket, or for the spawn that started the child.
    Matched = 3,
}

impl Label {
    /// The label with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Absent,
            1 => Self::Inferred,
            2 => Self::SelfReported,
            3 => Self::Matched,
            _ => return None,
        })
    }
}

/// Whose call it was, as far as anybody says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attribution {
    /// Key 1.
    pub label: Label,
    /// Key 2. The module that is shown: the first of the chain that is not plumbing.
    pub module: Option<String>,
    /// Key 3. Distinct modules, nearest first.
    pub chain: Vec<String>,
    /// Key 4. `file:line function`.
    pub site: Option<String>,
    /// Key 5. Route template, cron, server action, shell.
    pub origin: Option<String>,
    /// Key 6. Database, as the process claims.
    pub database: Option<String>,
    /// Key 7. Why the label is what it is: a word from the list in FORMAT.md (`cookie`, `spawn`, `no-claim`, …).
    pub reason: String,
    /// Key 8. Numbers from the closed list of contradictions; empty is the rule.
    pub contradictions: Vec<u8>,
}

/// How the name of a flow's other end became known.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NameSource {
    /// The process says so, or a name server that the process chose itself.
    Claim = 1,
    /// The head of a TLS handshake on this flow, seen in the kernel. The client writes it.
    Sni = 2,
    /// An answer to this instance's look-up, seen in the kernel. The network writes it.
    Dns = 3,
}

impl NameSource {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Claim, Self::Sni, Self::Dns];

    /// The source with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|it| *it as u8 == number)
    }

    /// As a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Sni => "sni",
            Self::Dns => "dns",
        }
    }
}

/// A name that was observed for the other end of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// First element of the array: in small letters, without a dot at its end.
    pub name: String,
    /// Second: how it became known.
    pub source: NameSource,
}

/// A flow began (class 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowOpened {
    /// Keys 1–3.
    pub sample: Sample,
    /// Key 4. `true` if the other side opened it.
    pub inbound: bool,
    /// Key 5. IP protocol number.
    pub protocol: u16,
    /// Keys 6 and 7.
    pub remote: Endpoint,
    /// Key 8; `None` where it was not known yet.
    pub local: Option<Endpoint>,
    /// Key 10. Socket cookie.
    pub cookie: u64,
    /// Key 11.
    pub process: Process,
    /// Key 12.
    pub attribution: Attribution,
    /// Key 13. It was there before the auditor.
    pub opened_before: bool,
    /// Key 14. Inode number of the network namespace.
    pub netns: u32,
    /// Key 15. Which Odoo: the instance's name.
    pub instance: String,
    /// Key 16, absent where there are none. Names that were known for the other end by then.
    pub names: Vec<Named>,
}

/// How a flow ended.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowEnd {
    /// In good order.
    Closed = 1,
    /// The socket carried an error when it ended: see `error`.
    Error = 2,
    /// TCP: the connection never came to be.
    NotEstablished = 3,
    /// No traffic for the idle time.
    Idle = 4,
    /// The socket went on to another peer.
    Replaced = 5,
    /// The daemon stopped looking; the flow may go on.
    NotWatched = 6,
}

impl FlowEnd {
    /// The end with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Closed,
            2 => Self::Error,
            3 => Self::NotEstablished,
            4 => Self::Idle,
            5 => Self::Replaced,
            6 => Self::NotWatched,
            _ => return None,
        })
    }
}

/// A flow ended (class 2), or goes on (class 3, `end` is `None`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowTraffic {
    /// Keys 1–3.
    pub sample: Sample,
    /// Key 4. `seq` of the record that opened it.
    pub flow: u64,
    /// Key 5. `None` in an interim record.
    pub end: Option<FlowEnd>,
    /// Key 6. `errno`.
    pub error: Option<u32>,
    /// Key 7. Payload bytes; `None` is "not measured".
    pub sent: Option<u64>,
    /// Key 8.
    pub received: Option<u64>,
    /// Key 9. Since it was opened, nanoseconds.
    pub duration_ns: u64,
    /// Key 10. From `connect()` to the established connection, nanoseconds.
    pub handshake_ns: Option<u64>,
    /// Key 11, absent where there are none. Names that became known since it was opened.
    pub names: Vec<Named>,
}

/// A call that the addon claims (class 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Keys 1–3; the time is the claim's, on the boot clock.
    pub sample: Sample,
    /// Key 4. `seq` of the flow it went over, if the cookie is known.
    pub flow: Option<u64>,
    /// Key 5. Socket cookie.
    pub cookie: u64,
    /// Key 6. `http`, `serve`, …
    pub channel: String,
    /// Key 7. Request method.
    pub method: Option<String>,
    /// Key 8. Whose call it was.
    pub attribution: Attribution,
    /// Key 9. The process that claims it.
    pub process: Process,
    /// Key 10. Which Odoo.
    pub instance: String,
}

/// What became of an audited process (class 5).
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessChange {
    /// It is audited from now on.
    Found = 1,
    /// It was started by an audited process.
    Forked = 2,
    /// It became another program.
    Executed = 3,
    /// It ended.
    Exited = 4,
}

impl ProcessChange {
    /// The change with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Found,
            2 => Self::Forked,
            3 => Self::Executed,
            4 => Self::Exited,
            _ => return None,
        })
    }
}

/// An audited process changed (class 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessRecord {
    /// Keys 1–3.
    pub sample: Sample,
    /// Key 4.
    pub change: ProcessChange,
    /// Key 5.
    pub process: Process,
    /// Key 6. Exit code as `wait` gives it.
    pub code: Option<u32>,
    /// Key 7. For a child: whose spawn it was.
    pub attribution: Attribution,
    /// Key 8. Which Odoo.
    pub instance: String,
}

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

/// The next epoch's key (ROTATE): the last record but one of its epoch, before the last seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotate {
    /// Key 1. Number of the epoch that begins after the seal.
    pub epoch: u32,
    /// Key 2. Its Ed25519 public key.
    pub key: [u8; 32],
    /// Key 3. `hour`, `start`, `demand`.
    pub reason: String,
}

/// What may be removed, from now on (POLICY).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Key 1. Records older than this may be removed, nanoseconds.
    pub keep_ns: u64,
    /// Key 2. Old records may be removed when the store is larger, bytes.
    pub max_bytes: u64,
    /// Key 3. But never younger ones than this, nanoseconds.
    pub min_ns: u64,
    /// Key 4. Who decided: user name and number, or `default`.
    pub actor: String,
}

/// One line of the stream table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamEnd {
    /// First element of the array.
    pub tag: [u8; 16],
    /// Second: number of its last record within the stream.
    pub last_n: u64,
    /// Third: `seq` of that record.
    pub last_seq: u64,
}

/// The head of the ledger is removed by policy (PRUNE). Sealed before anything is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prune {
    /// Key 1. First record that is kept.
    pub min_index: u64,
    /// Key 2. Root of the tree of that size.
    pub root: [u8; 32],
    /// Key 3. Its compact range, largest subtree first.
    pub range: Vec<[u8; 32]>,
    /// Key 4. How many records this removes.
    pub removed: u64,
    /// Key 5. When the oldest of them was appended, CLOCK_REALTIME nanoseconds.
    pub oldest_wall_ns: u64,
    /// Key 6. When the newest of them was appended.
    pub newest_wall_ns: u64,
    /// Key 7. `seq` of the POLICY that allows it.
    pub policy: u64,
    /// Key 8. SHA-256 of an archive of what is removed; `None` if there is none.
    pub archive: Option<[u8; 32]>,
    /// Key 9. Who asked: user name and number, or `schedule`.
    pub actor: String,
    /// Key 10. The stream table at that size, in the order of the tags.
    pub streams: Vec<StreamEnd>,
}

/// The wall clock was set (CLOCK): the only record whose `wall_ns` may be smaller than the one before in its run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockStep {
    /// Key 1. What the wall clock would have said without the step, CLOCK_REALTIME nanoseconds.
    pub before_wall_ns: u64,
    /// Key 2. What it said.
    pub after_wall_ns: u64,
}

/// A part of the ledger is handed to somebody (EXPORT). Sealed before it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Key 1. Random.
    pub id: [u8; 16],
    /// Key 2. What the one who asked wants to find again.
    pub nonce: Option<Vec<u8>>,
    /// Key 3. First record.
    pub first: u64,
    /// Key 4. Last record.
    pub last: u64,
    /// Key 5. SHA-256 of the filter; `None` if there is none.
    pub filter: Option<[u8; 32]>,
    /// Key 6. Who asked: user name and number.
    pub actor: String,
}

/// This ledger goes on where another was cut (RECOVER): the second record of every later incarnation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recover {
    /// Key 1. Origin of the ledger before.
    pub origin: String,
    /// Key 2. How many of its records are there, as far as the daemon could read; `None` if it could not.
    pub found_size: Option<u64>,
    /// Key 3. The root of the tree of that size.
    pub found_root: Option<[u8; 32]>,
    /// Key 4. The newest checkpoint of it that is known, as a signed note; `None` if none is known.
    pub known: Option<String>,
    /// Key 5. How many signed records are missing; `None` if that cannot be known.
    pub missing: Option<u64>,
    /// Key 6. What was found, in a sentence. It cannot say whether somebody cut, or a disk lost.
    pub cause: String,
}

/// Any record's content, by type and class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// GENESIS: the map `{1: creator's version, 2: root key's public half, 3: K_log's public half}`.
    Genesis {
        /// Key 1.
        version: String,
        /// Key 2. Ed25519 public key.
        root: [u8; 32],
        /// Key 3. Ed25519 public key.
        log: [u8; 32],
    },
    /// EVENT, class 1.
    FlowOpened(FlowOpened),
    /// EVENT, class 2 or 3.
    FlowTraffic(FlowTraffic),
    /// EVENT, class 4.
    Call(Call),
    /// EVENT, class 5.
    Process(ProcessRecord),
    /// EVENT, class 6.
    Guard(Guard),
    /// SEAL.
    Seal(Seal),
    /// LOSS.
    Loss(Loss),
    /// LOSS, class 1.
    Unrecorded(Unrecorded),
    /// RUN, class 1.
    RunStart(RunStart),
    /// RUN, class 2.
    RunStop(RunStop),
    /// RUN, class 3.
    Ack(Ack),
    /// RUN, class 4.
    Checked(Checked),
    /// RUN, class 5.
    Egress(Egress),
    /// ROTATE.
    Rotate(Rotate),
    /// POLICY.
    Policy(Policy),
    /// POLICY, class 1.
    Decision(PolicyRecord),
    /// POLICY, class 2.
    Acknowledged(AckRecord),
    /// POLICY, class 3.
    Restated(Restated),
    /// PRUNE.
    Prune(Prune),
    /// CLOCK.
    Clock(ClockStep),
    /// EXPORT.
    Export(Export),
    /// RECOVER.
    Recover(Recover),
}

impl Body {
    /// The type of the entry that holds it.
    #[must_use]
    pub const fn entry_type(&self) -> EntryType {
        match self {
            Self::Genesis { .. } => EntryType::Genesis,
            Self::FlowOpened(_) | Self::FlowTraffic(_) | Self::Call(_) | Self::Process(_) | Self::Guard(_) => {
                EntryType::Event
            }
            Self::Seal(_) => EntryType::Seal,
            Self::Loss(_) | Self::Unrecorded(_) => EntryType::Loss,
            Self::RunStart(_) | Self::RunStop(_) | Self::Ack(_) | Self::Checked(_) | Self::Egress(_) => EntryType::Run,
            Self::Rotate(_) => EntryType::Rotate,
            Self::Policy(_) | Self::Decision(_) | Self::Acknowledged(_) | Self::Restated(_) => EntryType::Policy,
            Self::Prune(_) => EntryType::Prune,
            Self::Clock(_) => EntryType::Clock,
            Self::Export(_) => EntryType::Export,
            Self::Recover(_) => EntryType::Recover,
        }
    }

    /// The class of the entry that holds it.
    #[must_use]
    pub const fn class(&self) -> u32 {
        match self {
            Self::Genesis { .. }
            | Self::Seal(_)
            | Self::Loss(_)
            | Self::Rotate(_)
            | Self::Policy(_)
            | Self::Prune(_)
            | Self::Clock(_)
            | Self::Export(_)
            | Self::Recover(_) => 0,
            Self::FlowOpened(_) => class::FLOW_OPENED,
            Self::FlowTraffic(FlowTraffic { end: Some(_), .. }) => class::FLOW_ENDED,
            Self::FlowTraffic(FlowTraffic { end: None, .. }) => class::FLOW_INTERIM,
            Self::Call(_) => class::CALL,
            Self::Process(_) => class::PROCESS,
            Self::Guard(_) => class::GUARD,
            Self::RunStart(_) => class::RUN_START,
            Self::RunStop(_) => class::RUN_STOP,
            Self::Ack(_) => class::RUN_ACK,
            Self::Checked(_) => class::RUN_CHECK,
            Self::Egress(_) => class::RUN_EGRESS,
            Self::Decision(_) => class::POLICY_DECISION,
            Self::Acknowledged(_) => class::POLICY_ACK,
            Self::Restated(_) => class::POLICY_RESTATED,
            Self::Unrecorded(_) => class::LOSS_UNRECORDED,
        }
    }
}

impl Body {
    /// The instance that it is about, if it names one: the records of one instance are a stream.
    #[must_use]
    pub fn instance(&self) -> Option<&str> {
        let instance = match self {
            Self::FlowOpened(flow) => &flow.instance,
            Self::Call(call) => &call.instance,
            Self::Process(process) => &process.instance,
            Self::Guard(guard) => &guard.instance,
            Self::Unrecorded(it) => &it.instance,
            Self::Decision(it) => &it.instance,
            Self::Acknowledged(it) => &it.instance,
            Self::Restated(it) => &it.instance,
            _ => return None,
        };
        (!instance.is_empty()).then_some(instance.as_str())
    }
}

/// Why bytes are not a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// No such class of that type in this version.
    Unknown {
        /// The entry's type.
        kind: EntryType,
        /// The entry's class.
        class: u32,
    },
    /// Not CBOR, cut off, or another kind of value than the schema has there.
    Malformed,
    /// Not in the one form that deterministic CBOR has.
    NotCanonical,
    /// A map or an array with more or fewer elements than the schema has.
    Count {
        /// What the schema says.
        expected: u64,
        /// What there is.
        found: u64,
    },
    /// Another key where this one must be.
    Key {
        /// The key that must be there.
        expected: u8,
    },
    /// A value outside of what its key may hold.
    Value,
    /// Bytes after the end of the body.
    Trailing,
    /// One of the above, in the value of this key.
    In {
        /// The key's word.
        field: &'static str,
        /// What is wrong.
        error: Box<BodyError>,
    },
}

impl BodyError {
    fn within(self, field: &schema::Field) -> Self {
        Self::In { field: field.name, error: Box::new(self) }
    }
}

impl From<minicbor::decode::Error> for BodyError {
    fn from(_: minicbor::decode::Error) -> Self {
        Self::Malformed
    }
}

impl std::fmt::Display for BodyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown { kind, class } => write!(f, "{} has no class {class} in this version", kind.name()),
            Self::Malformed => write!(f, "not the CBOR that its schema has there"),
            Self::NotCanonical => write!(f, "not in the one form that deterministic CBOR has"),
            Self::Count { expected, found } => write!(f, "{found} elements where the schema has {expected}"),
            Self::Key { expected } => write!(f, "another key where {expected} must be"),
            Self::Value => write!(f, "a value that the schema does not allow"),
            Self::Trailing => write!(f, "bytes after its end"),
            Self::In { field, error } => write!(f, "{field}: {error}"),
        }
    }
}

impl std::error::Error for BodyError {}
