//! What the rollup counts by, and what it counts.

use std::sync::Arc;

use auditor_common::body::Label;
use auditor_common::endpoint::{Endpoint, MAPPED};

use crate::destination::{Class, Destination, Knowledge, Name, Place, Seen, best};
use crate::evidence::cut;
use crate::serve::wire;

/// How often something happened, and when first and last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How often.
    pub count: u64,
    /// CLOCK_REALTIME nanoseconds; 0 while nothing was seen.
    pub first_ns: u64,
    /// CLOCK_REALTIME nanoseconds.
    pub last_ns: u64,
    /// Leaf index of the first record.
    pub first_seq: u64,
    /// Leaf index of the last.
    pub last_seq: u64,
}

impl Tally {
    /// Something was seen, and is counted `count` times.
    pub fn add(&mut self, count: u64, wall_ns: u64, seq: u64) {
        self.merge(&Self { count, first_ns: wall_ns, last_ns: wall_ns, first_seq: seq, last_seq: seq });
    }

    /// Adds another tally.
    pub fn merge(&mut self, other: &Self) {
        if other.first_ns == 0 {
            return;
        }
        let empty = self.first_ns == 0;
        *self = Self {
            // Some counts are the word of an audited process, and may be anything.
            count: self.count.saturating_add(other.count),
            first_ns: if empty { other.first_ns } else { self.first_ns.min(other.first_ns) },
            last_ns: self.last_ns.max(other.last_ns),
            first_seq: if empty { other.first_seq } else { self.first_seq.min(other.first_seq) },
            last_seq: self.last_seq.max(other.last_seq),
        };
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Operations: calls, and flows that no call names.
    pub operations: Tally,
    /// Flows.
    pub flows: u64,
    /// Calls.
    pub calls: u64,
    /// Datagram sockets that were connected and never used: address probes of a name look-up.
    pub probes: u64,
    /// Payload bytes sent.
    pub sent: u64,
    /// Payload bytes received.
    pub received: u64,
    /// Flows whose bytes were not measured.
    pub unmeasured: u64,
}

impl Sums {
    /// Adds other sums.
    pub fn merge(&mut self, other: &Self) {
        self.operations.merge(&other.operations);
        self.flows += other.flows;
        self.calls += other.calls;
        self.probes += other.probes;
        self.sent += other.sent;
        self.received += other.received;
        self.unmeasured += other.unmeasured;
    }
}

/// What is counted together: everything that a flow's class depends on, and no class, because what explains a flow may
/// become known later than the flow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Which Odoo.
    pub instance: Arc<str>,
    /// The module that is shown.
    pub module: Option<Arc<str>>,
    /// A watched vendor's module that was farther up the stack, or whose native code may have been the caller.
    pub via: Option<Arc<str>>,
    /// Addons of which native code, which leaves no frame, may have been the caller instead; comma-separated.
    pub suspects: Option<Arc<str>>,
    /// The other side opened it.
    pub inbound: bool,
    /// IP protocol number.
    pub protocol: u16,
    /// The other end: address and port. Of an inbound flow its network (/24 or /48) and no port; `None` for a call
    /// whose flow nobody saw.
    pub remote: Option<([u8; 16], u16)>,
    /// Names observed for it.
    pub names: Arc<[Name]>,
    /// Whether it is encrypted, where somebody looked.
    pub tls: Option<bool>,
    /// How we know whose it was.
    pub label: Label,
    /// It was there before the auditor.
    pub opened_before: bool,
}

impl Key {
    /// Where it goes.
    #[must_use]
    pub fn destination<'a>(&'a self, knowledge: &'a Knowledge) -> Option<Destination<'a>> {
        let (address, port) = self.remote?;
        let remote = Endpoint::v6(address, port);
        let seen = Seen {
            inbound: self.inbound,
            remote: &remote,
            names: &self.names,
            module: self.module.as_deref(),
            tls: self.tls,
        };
        Some(knowledge.destination(&self.instance, &seen))
    }

    /// The destination as people read it: the best name, else the address.
    #[must_use]
    pub fn display(&self) -> String {
        match (self.name(), self.remote) {
            (Some(name), _) => name.to_owned(),
            (None, Some((address, _))) if self.inbound => network(address),
            (None, Some((address, _))) => wire::address(&Endpoint::v6(address, 0)),
            (None, None) => "no flow seen".into(),
        }
    }

    /// The destination as something that stays the same for longer than an address does: the best name, else the
    /// network (/24 or /48).
    #[must_use]
    pub fn site(&self) -> Option<String> {
        self.name().map(str::to_owned).or_else(|| self.remote.map(|(address, _)| network(address)))
    }

    /// How the name that is shown became known.
    #[must_use]
    pub fn named_by(&self) -> Option<&'static str> {
        best(&self.names).map(|name| name.source.word())
    }

    fn name(&self) -> Option<&str> {
        best(&self.names).map(|name| &*name.text)
    }
}

fn network(address: [u8; 16]) -> String {
    let length = if address[..12] == MAPPED { 24 } else { 48 };
    format!("{}/{length}", wire::address(&Endpoint::v6(cut(address), 0)))
}

/// What remains of a key when its hour has too many of them. The class is the one it had then.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question that the verdict asks by itself")]
pub struct Other {
    /// Which Odoo.
    pub instance: Arc<str>,
    /// The class; `None` for calls whose flow nobody saw.
    pub class: Option<Class>,
    /// The watched vendor behind it.
    pub vendor: Option<Arc<str>>,
    /// It is watched for its module, not for its host.
    pub by_module: bool,
    /// See [`Destination::excused_by_claim`].
    pub excused: bool,
    /// Passed through a watched vendor's module.
    pub passed: bool,
    /// The other side opened it.
    pub inbound: bool,
    /// How we know whose it was.
    pub label: Label,
    /// It was there before the auditor.
    pub opened_before: bool,
}

impl Other {
    /// What remains of this key.
    #[must_use]
    pub fn of(key: &Key, knowledge: &Knowledge) -> Self {
        Self::with(key, key.destination(knowledge))
    }

    fn with(key: &Key, found: Option<Destination<'_>>) -> Self {
        Self {
            instance: Arc::clone(&key.instance),
            class: found.map(|found| found.place.class()),
            vendor: found.and_then(|found| found.vendor).map(|vendor| Arc::from(vendor.name.as_str())),
            by_module: matches!(found, Some(Destination { place: Place::WatchedModule(_), .. })),
            excused: found.is_some_and(|found| found.excused_by_claim),
            passed: key.via.is_some(),
            inbound: key.inbound,
            label: key.label,
            opened_before: key.opened_before,
        }
    }
}

/// One line of the rollup, with its class as it is known now.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// Where its hour begins, CLOCK_REALTIME nanoseconds.
    pub hour_ns: u64,
    /// What it is about. `key` is `None` where an hour had too many of them.
    pub key: Option<&'a Key>,
    /// Class and the rest, as it is known now, or as it was when the hour was folded.
    pub about: Other,
    /// Why it has that class, where that is still known.
    pub place: Option<Place<'a>>,
    /// What was counted.
    pub sums: &'a Sums,
}

impl<'a> Row<'a> {
    /// A line, with its class as it is known now.
    #[must_use]
    pub fn of(hour_ns: u64, key: &'a Key, sums: &'a Sums, knowledge: &'a Knowledge) -> Self {
        let found = key.destination(knowledge);
        let place = found.map(|found| found.place);
        Self { hour_ns, key: Some(key), about: Other::with(key, found), place, sums }
    }

    /// What was folded.
    #[must_use]
    pub fn folded(hour_ns: u64, about: &Other, sums: &'a Sums) -> Self {
        Self { hour_ns, key: None, about: about.clone(), place: None, sums }
    }

    /// The module that is shown, where the line still has it.
    #[must_use]
    pub fn module(&self) -> Option<&'a str> {
        self.key?.module.as_deref()
    }
}
