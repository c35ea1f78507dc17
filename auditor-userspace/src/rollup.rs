//! Records become sums: by instance, module, destination, direction, label and hour.
//!
//! Fed record by record, in the order of the ledger, and rebuilt from the records at any time with the same result.
//! Memory is bounded: an hour with too many lines keeps its largest of each class and folds the rest into one line a
//! class, and when there are too many lines at all the oldest hours are folded. What is folded stays counted. The class
//! of a line is not stored but found when it is asked for, because what explains a flow (a setting that the addon
//! sends, an answer of the operator) may become known later than the flow.

pub mod contacts; // who talked to whom first
pub mod history; // the recording itself
mod hours; // the lines
mod open; // flows whose end is to come
pub mod row; // what is counted, and by what

use std::sync::Arc;

use auditor_common::body::{
    Attribution, Body, Call, FlowOpened, FlowTraffic, Guard, Guarded, Named, ProcessChange, ProcessRecord, Restated,
};

use crate::attribute::SUSPECT;
use crate::destination::{Knowledge, Name, encrypted};
use crate::evidence::cut;
use crate::flow::UDP;
use crate::serve::wire::{self, Head};
use contacts::{Contact, Contacts, First};
use history::History;
use hours::Hours;
use open::{Open, OpenFlows, PROBE_NS, Stands};
use row::{Key, Row, Sums, Tally};

/// How much is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// An hour with more lines than this is folded.
    pub hour: usize,
    /// This many lines of each instance and class are kept of it, the largest.
    pub kept: usize,
    /// With more lines than this the oldest hours are folded, none of their lines being kept.
    pub lines: usize,
    /// Pairs of module and destination of which the first contact is remembered.
    pub contacts: usize,
    /// Flows that are open at once.
    pub open: usize,
}

impl Default for Limits {
    /// At most about 150 MB.
    fn default() -> Self {
        Self { hour: 8_192, kept: 256, lines: 200_000, contacts: 100_000, open: 200_000 }
    }
}

/// What was observed beside a record.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside {
    /// Whether the flow is encrypted, where somebody looked; what its names tell is known without.
    pub tls: Option<bool>,
}

/// Sums over the records, kept up to date.
#[derive(Clone, Debug)]
pub struct Rollup {
    hours: Hours,
    open: OpenFlows,
    contacts: Contacts,
    history: History,
    size: u64,
    unplaced: Sums,
}

impl Rollup {
    /// Nothing yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            hours: Hours::new(limits),
            open: OpenFlows::new(limits.open),
            contacts: Contacts::new(limits.contacts),
            history: History::default(),
            size: 0,
            unplaced: Sums::default(),
        }
    }

    /// Counts one record. Records come in the order of the ledger; one that was counted already is not again.
    pub fn apply(&mut self, head: &Head, body: &Body, beside: Beside, knowledge: &Knowledge) {
        if head.seq < self.size {
            return;
        }
        self.size = head.seq + 1;
        self.settle(head.boot_ns, knowledge);
        let wall_ns = wire::event_wall_ns(head, body);
        match body {
            Body::FlowOpened(flow) => self.opened(head, wall_ns, flow, beside, knowledge),
            Body::FlowTraffic(traffic) => self.traffic(head, wall_ns, traffic, knowledge),
            Body::Call(call) => self.called(head, wall_ns, call, knowledge),
            Body::Process(process) => self.process(head, wall_ns, process),
            Body::Guard(guard) => self.guard(head, wall_ns, guard),
            Body::RunStart(start) => {
                self.settle(u64::MAX, knowledge);
                self.history.started(head, start, self.open.cookies());
                self.open.clear();
            }
            Body::RunStop(_) => self.history.stopped(),
            Body::Loss(loss) => self.history.lost(head, loss),
            Body::Unrecorded(it) => self.history.unrecorded(head, it),
            Body::Egress(it) => self.history.went_out(head, it),
            Body::Seal(seal) => self.history.sealed(head, seal),
            Body::Checked(checked) => self.history.checked(head, checked),
            Body::Recover(recover) => self.history.recovered(head, recover),
            Body::Ack(ack) => self.history.acknowledged(head, ack),
            Body::Restated(it) => self.restated(head, it),
            Body::Clock(_) => self.history.clock_set(head),
            Body::Prune(prune) => self.forget(prune.newest_wall_ns),
            Body::Decision(_)
            | Body::Acknowledged(_)
            | Body::Genesis { .. }
            | Body::Rotate(_)
            | Body::Policy(_)
            | Body::Export(_) => {}
        }
        self.history.recorded(head);
    }

    /// How many records were counted: the next `seq`.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many lines there are.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.hours.lines()
    }

    /// The recording's own history.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The instances that have records, and their first one.
    pub fn instances(&self) -> impl Iterator<Item = (&str, First)> {
        self.contacts.instances()
    }

    /// When a module made its first call.
    #[must_use]
    pub fn first_call(&self, instance: &str, module: &str) -> Option<First> {
        self.contacts.module(instance, module)
    }

    /// When a module first talked to the site of this line.
    #[must_use]
    pub fn first_contact(&self, key: &Key) -> Option<First> {
        let (instance, module) = (Arc::clone(&key.instance), key.module.clone());
        self.contacts.contact(&Contact { instance, module, site: Arc::from(key.site()?) })
    }

    /// First contacts that were not remembered, because there were too many.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.contacts.forgotten()
    }

    /// Ends of flows whose beginning is not known: it was pruned, or too many were open.
    #[must_use]
    pub fn unplaced(&self) -> &Sums {
        &self.unplaced
    }

    /// Claims that contradict what the kernel saw: instance, and how many in each hour that touches this time.
    pub fn contradictions(&self, from_ns: u64, until_ns: u64) -> impl Iterator<Item = (&str, &Tally)> {
        self.hours.contradictions(from_ns, until_ns)
    }

    /// What no ordinary Odoo does: instance, what, and how often in each hour that touches this time.
    pub fn guards(&self, from_ns: u64, until_ns: u64) -> impl Iterator<Item = (&str, Guarded, &Tally)> {
        self.hours.guards(from_ns, until_ns)
    }

    /// Workers that ended: instance, and how many in each hour that touches this time.
    pub fn workers_ended(&self, from_ns: u64, until_ns: u64) -> impl Iterator<Item = (&str, &Tally)> {
        self.hours.workers_ended(from_ns, until_ns)
    }

    /// All lines whose hour touches this time, with their classes as they are known now.
    pub fn rows<'a>(&'a self, from_ns: u64, until_ns: u64, knowledge: &'a Knowledge) -> impl Iterator<Item = Row<'a>> {
        self.hours.rows(from_ns, until_ns, knowledge)
    }

    /// Forgets hours that ended before this moment: their records are not kept any more. First contacts stay.
    /// What was said before counts as if it had been read where it was said first.
    fn restated(&mut self, head: &Head, it: &Restated) {
        let head = Head { seq: it.record, wall_ns: it.wall_ns, ..*head };
        match it.body() {
            Ok(Body::Recover(recover)) => self.history.recovered(&head, &recover),
            Ok(Body::Ack(ack)) => self.history.acknowledged(&head, &ack),
            _ => {}
        }
    }

    fn forget(&mut self, before_ns: u64) {
        self.hours.forget(before_ns);
        self.history.forget(before_ns);
    }

    fn opened(&mut self, head: &Head, wall_ns: u64, flow: &FlowOpened, beside: Beside, knowledge: &Knowledge) {
        // A client's port says nothing, and its address more than is needed.
        let remote = if flow.inbound { (cut(flow.remote.address), 0) } else { (flow.remote.address, flow.remote.port) };
        let names: Arc<[Name]> = flow.names.iter().map(Name::from).collect();
        let key = Key {
            protocol: flow.protocol,
            inbound: flow.inbound,
            remote: Some(remote),
            tls: beside.tls.or_else(|| encrypted(&names)),
            names,
            opened_before: flow.opened_before,
            ..self.key(&flow.instance, &flow.attribution, knowledge)
        };
        self.seen(head, wall_ns, &key.instance, &flow.attribution);
        self.history.found(head, flow, &key.instance);
        self.hours.line(wall_ns, &key, knowledge, |sums| sums.flows += 1);
        let may_be_probe = flow.protocol == UDP && !flow.inbound;
        let open = Open {
            key,
            wall_ns,
            boot_ns: head.boot_ns,
            cookie: flow.cookie,
            stands: Stands::NotYet,
            ended: false,
            sent: 0,
            received: 0,
        };
        self.open.insert(head.seq, open, may_be_probe);
        if !may_be_probe {
            self.count(head.seq, knowledge);
        }
    }

    /// A flow is an operation of its own, unless a call names it.
    fn count(&mut self, seq: u64, knowledge: &Knowledge) {
        let Some(open) = self.open.get_mut(seq).filter(|open| open.stands == Stands::NotYet) else { return };
        open.stands = Stands::Itself;
        let (wall_ns, key) = (open.wall_ns, open.key.clone());
        self.contacts.operation(&key, wall_ns, seq);
        self.hours.line(wall_ns, &key, knowledge, |sums| sums.operations.add(1, wall_ns, seq));
    }

    /// Datagram flows that are older than a probe lives are operations.
    fn settle(&mut self, boot_ns: u64, knowledge: &Knowledge) {
        while let Some(seq) = self.open.next_settled(boot_ns) {
            if self.open.get_mut(seq).is_some_and(|open| !open.ended) {
                self.count(seq, knowledge);
            }
        }
    }

    /// The other end of a flow has got another name: the flow counts under that one, too, from its beginning.
    fn named(&mut self, seq: u64, names: &[Named], knowledge: &Knowledge) {
        let Some(open) = self.open.get_mut(seq).filter(|open| !open.ended) else { return };
        let more: Vec<Name> = names.iter().map(Name::from).filter(|name| !open.key.names.contains(name)).collect();
        if more.is_empty() {
            return;
        }
        let all: Arc<[Name]> = open.key.names.iter().cloned().chain(more).collect();
        let key = Key { tls: open.key.tls.or_else(|| encrypted(&all)), names: all, ..open.key.clone() };
        let before = std::mem::replace(&mut open.key, key.clone());
        let (wall_ns, stands) = (open.wall_ns, open.stands == Stands::Itself);
        if stands {
            self.hours.take_back(wall_ns, &before, knowledge);
            self.contacts.operation(&key, wall_ns, seq);
        }
        self.hours.leave(wall_ns, &before, knowledge);
        self.hours.line(wall_ns, &key, knowledge, |sums| {
            sums.flows += 1;
            if stands {
                sums.operations.add(1, wall_ns, seq);
            }
        });
    }

    fn traffic(&mut self, head: &Head, wall_ns: u64, traffic: &FlowTraffic, knowledge: &Knowledge) {
        self.named(traffic.flow, &traffic.names, knowledge);
        let (sent, received) = (traffic.sent.unwrap_or(0), traffic.received.unwrap_or(0));
        let Some(open) = self.open.get_mut(traffic.flow).filter(|open| !open.ended) else {
            self.unplaced.operations.add(1, head.wall_ns, head.seq);
            self.unplaced.sent += sent;
            self.unplaced.received += received;
            return;
        };
        let more = (sent.saturating_sub(open.sent), received.saturating_sub(open.received));
        (open.sent, open.received) = (open.sent.max(sent), open.received.max(received));
        let (key, opened_ns, stood) = (open.key.clone(), open.wall_ns, open.stands);
        let ended = traffic.end.is_some();
        let unused = (traffic.sent, traffic.received) == (Some(0), Some(0)) && traffic.duration_ns <= PROBE_NS;
        let probe = ended && unused && key.protocol == UDP && !key.inbound && stood != Stands::BehindCalls;
        match (probe, stood) {
            // Its end was told later than it happened: it was counted in the meantime.
            (true, Stands::Itself) => self.hours.take_back(opened_ns, &key, knowledge),
            (false, Stands::NotYet) if ended => self.count(traffic.flow, knowledge),
            _ => {}
        }
        if ended {
            self.open.end(traffic.flow);
        }
        self.hours.line(wall_ns, &key, knowledge, |sums| {
            if more != (0, 0) {
                sums.operations.add(0, wall_ns, head.seq); // It goes on: seen, and no other operation.
            }
            sums.sent += more.0;
            sums.received += more.1;
            sums.unmeasured += u64::from(ended && traffic.sent.is_none());
            sums.probes += u64::from(probe);
        });
    }

    fn called(&mut self, head: &Head, wall_ns: u64, call: &Call, knowledge: &Knowledge) {
        let own = self.key(&call.instance, &call.attribution, knowledge);
        let mut key = Key { inbound: call.channel == "serve", ..own.clone() };
        if let Some(open) = call.flow.and_then(|flow| self.open.get_mut(flow)) {
            // Whose call it is says the call; where it goes says the flow.
            let Key { module, via, suspects, label, .. } = own;
            key = Key { module, via, suspects, label, ..open.key.clone() };
            let stood = std::mem::replace(&mut open.stands, Stands::BehindCalls);
            if stood == Stands::Itself {
                self.hours.take_back(open.wall_ns, &open.key, knowledge);
            }
        }
        self.seen(head, wall_ns, &key.instance, &call.attribution);
        self.contacts.operation(&key, wall_ns, head.seq);
        self.hours.line(wall_ns, &key, knowledge, |sums| {
            sums.calls += 1;
            sums.operations.add(1, wall_ns, head.seq);
        });
    }

    fn process(&mut self, head: &Head, wall_ns: u64, record: &ProcessRecord) {
        let instance = self.contacts.intern(&record.instance);
        self.seen(head, wall_ns, &instance, &record.attribution);
        let comm = record.process.comm.as_deref().unwrap_or("");
        if record.change == ProcessChange::Exited && (comm.starts_with("odoo") || comm.starts_with("python")) {
            self.hours.worker_ended(wall_ns, &instance, head.seq);
        }
    }

    fn guard(&mut self, head: &Head, wall_ns: u64, record: &Guard) {
        let instance = self.contacts.intern(&record.instance);
        self.seen(head, wall_ns, &instance, &record.attribution);
        self.hours.guarded(wall_ns, &instance, record.what, head.seq);
    }

    fn seen(&mut self, head: &Head, wall_ns: u64, instance: &Arc<str>, attribution: &Attribution) {
        self.contacts.seen(instance, wall_ns, head.seq);
        if !attribution.contradictions.is_empty() {
            self.hours.contradicted(wall_ns, instance, head.seq);
        }
    }

    /// The part of a key that the attribution decides; the rest is that of a call whose flow nobody saw.
    fn key(&mut self, instance: &str, attribution: &Attribution, knowledge: &Knowledge) -> Key {
        let watched = |module: &str| knowledge.vendor_of_module(instance, module).is_some();
        let shown = attribution.module.as_deref();
        let suspects: Vec<&str> = attribution.chain.iter().filter_map(|it| it.strip_prefix(SUSPECT)).collect();
        let named = attribution.chain.iter().map(|it| it.strip_prefix(SUSPECT).unwrap_or(it));
        let via = named.into_iter().find(|module| watched(module)).filter(|_| !shown.is_some_and(watched));
        Key {
            instance: self.contacts.intern(instance),
            module: shown.map(|module| self.contacts.intern(module)),
            via: via.map(|module| self.contacts.intern(module)),
            suspects: (!suspects.is_empty()).then(|| self.contacts.intern(&suspects.join(", "))),
            inbound: false,
            protocol: 0,
            remote: None,
            names: Arc::from([]),
            tls: None,
            label: attribution.label,
            opened_before: false,
        }
    }
}

#[cfg(test)]
pub(crate) mod scene;
#[cfg(test)]
mod tests;
