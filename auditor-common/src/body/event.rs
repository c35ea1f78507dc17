//! What an EVENT says: who, whose call, and to whom.

use crate::endpoint::Endpoint;
use crate::event::Header;

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
