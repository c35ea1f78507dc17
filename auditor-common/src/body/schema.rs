//! The bodies as tables: which keys a body has, and what each may hold. `FORMAT.md` has the same tables.
//!
//! Every key of a class is present, in ascending order, in the one shortest form (RFC 8949 section 4.2.1); only one that
//! holds [`Kind::Several`] is absent where there are none. There is exactly one way to write a body down.

mod check; // bytes against these tables

pub use check::{check, sample};

use super::class;
use crate::record::EntryType;

/// One key of a map.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The key.
    pub key: u8,
    /// The word for it in `FORMAT.md`.
    pub name: &'static str,
    /// What it may hold.
    pub kind: Kind,
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// An unsigned number up to this one.
    Uint(u64),
    /// An unsigned number from this one to that one.
    Between(u64, u64),
    /// `null` and nothing else.
    Null,
    /// `false` or `true`.
    Bool,
    /// UTF-8 text.
    Text,
    /// A byte string of this length.
    Bytes(usize),
    /// A byte string of any length.
    AnyBytes,
    /// An IP address: 4 bytes, or 16 that are not an IPv4 address in mapped form.
    Address,
    /// A map with exactly these keys.
    Map(&'static [Field]),
    /// An array of any number of these.
    Array(&'static Kind),
    /// An array of exactly these.
    Tuple(&'static [Kind]),
    /// `null`, or this.
    Maybe(&'static Kind),
    /// An array of at least one of these; where there is none, the key is absent. For the last key of a class alone.
    Several(&'static Kind),
}

const U64: Kind = Kind::Uint(u64::MAX);
const U32: Kind = Kind::Uint(u32::MAX as u64);
const U16: Kind = Kind::Uint(u16::MAX as u64);
const U8: Kind = Kind::Uint(u8::MAX as u64);
const HASH: Kind = Kind::Bytes(32);
const KEY: Kind = Kind::Bytes(32);
/// `[gap, count]` pairs.
const LOST: Kind = Kind::Array(&Kind::Tuple(&[U64, U64]));

/// `[name, source]` pairs.
const NAMES: Kind = Kind::Several(&Kind::Tuple(&[Kind::Text, Kind::Between(1, 3)]));

const fn field(key: u8, name: &'static str, kind: Kind) -> Field {
    Field { key, name, kind }
}

/// A process.
pub static PROCESS: &[Field] = &[
    field(1, "tgid", U32),
    field(2, "tid", U32),
    field(3, "start_ns", U64),
    field(4, "comm", Kind::Maybe(&Kind::Text)),
    field(5, "executable", Kind::Maybe(&Kind::Text)),
    field(6, "arguments", Kind::Maybe(&U32)),
    field(7, "cgroup", U64),
    field(8, "parent", Kind::Maybe(&U32)),
];

/// Whose call it was.
pub static ATTRIBUTION: &[Field] = &[
    field(1, "label", Kind::Uint(3)),
    field(2, "module", Kind::Maybe(&Kind::Text)),
    field(3, "chain", Kind::Array(&Kind::Text)),
    field(4, "site", Kind::Maybe(&Kind::Text)),
    field(5, "origin", Kind::Maybe(&Kind::Text)),
    field(6, "database", Kind::Maybe(&Kind::Text)),
    field(7, "reason", Kind::Text),
    field(8, "contradictions", Kind::Array(&U8)),
];

/// One program in the kernel.
pub static HOOK: &[Field] =
    &[field(1, "name", Kind::Text), field(2, "tag", Kind::AnyBytes), field(3, "active", Kind::Bool)];

// Every EVENT begins with these three.
const BOOT_NS: Field = field(1, "boot_ns", U64);
const CPU: Field = field(2, "cpu", Kind::Maybe(&U32));
const KSEQ: Field = field(3, "kseq", Kind::Maybe(&U64));

static GENESIS: &[Field] = &[field(1, "version", Kind::Text), field(2, "root", KEY), field(3, "log", KEY)];

static FLOW_OPENED: &[Field] = &[
    BOOT_NS,
    CPU,
    KSEQ,
    field(4, "inbound", Kind::Bool),
    field(5, "protocol", U16),
    field(6, "remote_address", Kind::Address),
    field(7, "remote_port", U16),
    field(8, "local", Kind::Maybe(&Kind::Tuple(&[Kind::Address, U16]))),
    field(10, "cookie", U64),
    field(11, "process", Kind::Map(PROCESS)),
    field(12, "attribution", Kind::Map(ATTRIBUTION)),
    field(13, "opened_before", Kind::Bool),
    field(14, "netns", U32),
    field(15, "instance", Kind::Text),
    field(16, "names", NAMES),
];

const fn flow_traffic(end: Kind) -> [Field; 11] {
    [
        BOOT_NS,
        CPU,
        KSEQ,
        field(4, "flow", U64),
        field(5, "end", end),
        field(6, "error", Kind::Maybe(&U32)),
        field(7, "sent", Kind::Maybe(&U64)),
        field(8, "received", Kind::Maybe(&U64)),
        field(9, "duration_ns", U64),
        field(10, "handshake_ns", Kind::Maybe(&U64)),
        field(11, "names", NAMES),
    ]
}

static FLOW_ENDED: &[Field] = &flow_traffic(Kind::Between(1, 6));
static FLOW_INTERIM: &[Field] = &flow_traffic(Kind::Null);

static CALL: &[Field] = &[
    BOOT_NS,
    CPU,
    KSEQ,
    field(4, "flow", Kind::Maybe(&U64)),
    field(5, "cookie", U64),
    field(6, "channel", Kind::Text),
    field(7, "method", Kind::Maybe(&Kind::Text)),
    field(8, "attribution", Kind::Map(ATTRIBUTION)),
    field(9, "process", Kind::Map(PROCESS)),
    field(10, "instance", Kind::Text),
];

static PROCESS_RECORD: &[Field] = &[
    BOOT_NS,
    CPU,
    KSEQ,
    field(4, "change", Kind::Between(1, 4)),
    field(5, "process", Kind::Map(PROCESS)),
    field(6, "code", Kind::Maybe(&U32)),
    field(7, "attribution", Kind::Map(ATTRIBUTION)),
    field(8, "instance", Kind::Text),
];

static GUARD: &[Field] = &[
    BOOT_NS,
    CPU,
    KSEQ,
    field(4, "what", Kind::Between(1, 4)),
    field(5, "family", Kind::Maybe(&U16)),
    field(6, "protocol", Kind::Maybe(&U16)),
    field(7, "cookie", Kind::Maybe(&U64)),
    field(8, "netns", Kind::Maybe(&U32)),
    field(9, "opened_before", Kind::Bool),
    field(10, "target", Kind::Maybe(&Kind::Map(PROCESS))),
    field(11, "process", Kind::Map(PROCESS)),
    field(12, "attribution", Kind::Map(ATTRIBUTION)),
    field(13, "instance", Kind::Text),
];

static SEAL: &[Field] = &[
    field(1, "previous_checkpoint", HASH),
    field(2, "previous_size", U64),
    field(3, "min_index", U64),
    field(4, "captured", U64),
    field(5, "lost", LOST),
    field(6, "cpus", Kind::Array(&Kind::Tuple(&[U32, U64, U64, LOST]))),
    field(7, "hooks", Kind::Array(&Kind::Map(HOOK))),
    field(8, "clock", Kind::Tuple(&[Kind::Bool, U64])),
    field(9, "streams", HASH),
    field(10, "witnessed", Kind::Array(&Kind::Tuple(&[Kind::Text, U64]))),
    field(11, "binary", HASH),
    field(12, "config", HASH),
    field(13, "end_of_epoch", Kind::Bool),
];

static LOSS: &[Field] = &[
    field(1, "gap", U64),
    field(2, "count", Kind::Maybe(&U64)),
    field(3, "from_wall_ns", Kind::Maybe(&U64)),
    field(4, "until_wall_ns", Kind::Maybe(&U64)),
    field(5, "detail", Kind::Text),
];

static UNRECORDED: &[Field] = &[
    field(1, "instance", Kind::Text),
    field(2, "from_wall_ns", U64),
    field(3, "until_wall_ns", U64),
    field(4, "flows", U64),
    field(5, "calls", U64),
    field(6, "sent", U64),
    field(7, "received", U64),
];

static RUN_START: &[Field] = &[
    field(1, "version", Kind::Text),
    field(2, "kernel", Kind::Text),
    field(3, "boot_id", Kind::Bytes(16)),
    field(4, "binary", HASH),
    field(5, "config", HASH),
    field(6, "scope", Kind::Text),
    field(7, "previous", Kind::Text),
    field(8, "hooks", Kind::Array(&Kind::Map(HOOK))),
];

static RUN_STOP: &[Field] = &[field(1, "reason", Kind::Text)];

static RUN_ACK: &[Field] = &[field(1, "record", U64), field(2, "actor", Kind::Text), field(3, "note", Kind::Text)];

static RUN_CHECK: &[Field] = &[field(1, "size", U64), field(2, "exit", U8), field(3, "summary", Kind::Text)];

static RUN_EGRESS: &[Field] = &[
    field(1, "protocol", U16),
    field(2, "remote_address", Kind::Address),
    field(3, "remote_port", U16),
    field(4, "flows", U64),
    field(5, "configured", Kind::Bool),
];

static ROTATE: &[Field] = &[field(1, "epoch", U32), field(2, "key", KEY), field(3, "reason", Kind::Text)];

static POLICY: &[Field] =
    &[field(1, "keep_ns", U64), field(2, "max_bytes", U64), field(3, "min_ns", U64), field(4, "actor", Kind::Text)];

/// `[kind, number]`.
const ACTOR: Kind = Kind::Tuple(&[Kind::Between(1, 2), U32]);

static POLICY_DECISION: &[Field] = &[
    field(1, "number", U64),
    field(2, "step", Kind::Between(1, 6)),
    field(3, "instance", Kind::Text),
    field(4, "actor", ACTOR),
    field(5, "setting", Kind::Text),
    field(6, "value", Kind::Text),
    field(7, "effect", Kind::Uint(2)),
    field(8, "reason", Kind::Text),
];

static POLICY_ACK: &[Field] = &[
    field(1, "instance", Kind::Text),
    field(2, "reason", Kind::Text),
    field(3, "subject", Kind::Text),
    field(4, "text", Kind::Text),
    field(5, "before_seq", U64),
    field(6, "actor", ACTOR),
];

static POLICY_RESTATED: &[Field] = &[
    field(1, "record", U64),
    field(2, "wall_ns", U64),
    field(3, "entry_type", Kind::Between(1, 13)),
    field(4, "entry_class", U32),
    field(5, "instance", Kind::Text),
    field(6, "content", Kind::AnyBytes),
];

static PRUNE: &[Field] = &[
    field(1, "min_index", U64),
    field(2, "root", HASH),
    field(3, "range", Kind::Array(&HASH)),
    field(4, "removed", U64),
    field(5, "oldest_wall_ns", U64),
    field(6, "newest_wall_ns", U64),
    field(7, "policy", U64),
    field(8, "archive", Kind::Maybe(&HASH)),
    field(9, "actor", Kind::Text),
    field(10, "streams", Kind::Array(&Kind::Tuple(&[Kind::Bytes(16), U64, U64]))),
];

static CLOCK: &[Field] = &[field(1, "before_wall_ns", U64), field(2, "after_wall_ns", U64)];

static EXPORT: &[Field] = &[
    field(1, "id", Kind::Bytes(16)),
    field(2, "nonce", Kind::Maybe(&Kind::AnyBytes)),
    field(3, "first", U64),
    field(4, "last", U64),
    field(5, "filter", Kind::Maybe(&HASH)),
    field(6, "actor", Kind::Text),
];

static RECOVER: &[Field] = &[
    field(1, "origin", Kind::Text),
    field(2, "found_size", Kind::Maybe(&U64)),
    field(3, "found_root", Kind::Maybe(&HASH)),
    field(4, "known", Kind::Maybe(&Kind::Text)),
    field(5, "missing", Kind::Maybe(&U64)),
    field(6, "cause", Kind::Text),
];

/// Every body that exists: its type, its class, its name in `FORMAT.md` and its keys.
pub static BODIES: &[(EntryType, u32, &str, &[Field])] = &[
    (EntryType::Genesis, 0, "GENESIS", GENESIS),
    (EntryType::Event, class::FLOW_OPENED, "EVENT flow opened", FLOW_OPENED),
    (EntryType::Event, class::FLOW_ENDED, "EVENT flow ended", FLOW_ENDED),
    (EntryType::Event, class::FLOW_INTERIM, "EVENT flow interim", FLOW_INTERIM),
    (EntryType::Event, class::CALL, "EVENT call", CALL),
    (EntryType::Event, class::PROCESS, "EVENT process", PROCESS_RECORD),
    (EntryType::Event, class::GUARD, "EVENT guard", GUARD),
    (EntryType::Seal, 0, "SEAL", SEAL),
    (EntryType::Loss, 0, "LOSS", LOSS),
    (EntryType::Loss, class::LOSS_UNRECORDED, "LOSS by policy", UNRECORDED),
    (EntryType::Run, class::RUN_START, "RUN start", RUN_START),
    (EntryType::Run, class::RUN_STOP, "RUN stop", RUN_STOP),
    (EntryType::Run, class::RUN_ACK, "RUN ack", RUN_ACK),
    (EntryType::Run, class::RUN_CHECK, "RUN check", RUN_CHECK),
    (EntryType::Run, class::RUN_EGRESS, "RUN egress", RUN_EGRESS),
    (EntryType::Rotate, 0, "ROTATE", ROTATE),
    (EntryType::Prune, 0, "PRUNE", PRUNE),
    (EntryType::Policy, 0, "POLICY", POLICY),
    (EntryType::Policy, class::POLICY_DECISION, "POLICY decision", POLICY_DECISION),
    (EntryType::Policy, class::POLICY_ACK, "POLICY ack", POLICY_ACK),
    (EntryType::Policy, class::POLICY_RESTATED, "POLICY restated", POLICY_RESTATED),
    (EntryType::Clock, 0, "CLOCK", CLOCK),
    (EntryType::Export, 0, "EXPORT", EXPORT),
    (EntryType::Recover, 0, "RECOVER", RECOVER),
];

/// The keys of a body, if such a body exists.
#[must_use]
pub fn fields(kind: EntryType, class: u32) -> Option<&'static [Field]> {
    BODIES.iter().find(|body| body.0 == kind && body.1 == class).map(|body| body.3)
}
