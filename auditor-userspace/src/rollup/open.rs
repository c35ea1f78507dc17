//! Flows whose end, or whose calls, are still to come.

use std::collections::{HashMap, HashSet, VecDeque};

use super::row::Key;

/// A datagram socket that is closed unused within this time was a probe of a name look-up, nanoseconds.
pub(super) const PROBE_NS: u64 = 50_000_000;
/// This many flows are remembered after their end, for calls that are told late.
const LATE: usize = 4096;

/// Among the operations, a flow stands …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    /// … nowhere yet: it may be a probe.
    NotYet,
    /// … for itself.
    Itself,
    /// … behind the calls that went over it.
    BehindCalls,
}

#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) key: Key,
    pub(super) wall_ns: u64,
    pub(super) boot_ns: u64,
    pub(super) cookie: u64,
    pub(super) stands: Stands,
    /// It is over; a call that went over it may still be told.
    pub(super) ended: bool,
    pub(super) sent: u64,
    pub(super) received: u64,
}

/// The flows, by the `seq` of the record that opened them.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenFlows {
    limit: usize,
    flows: HashMap<u64, Open>,
    /// By age; some of them may be gone.
    order: VecDeque<u64>,
    ended: VecDeque<u64>,
    /// Flows that may still turn out to be probes, by age.
    waiting: VecDeque<u64>,
}

impl OpenFlows {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    pub(super) fn get_mut(&mut self, seq: u64) -> Option<&mut Open> {
        self.flows.get_mut(&seq)
    }

    /// Remembers a flow; the oldest is forgotten if there are too many.
    pub(super) fn insert(&mut self, seq: u64, open: Open, may_be_probe: bool) {
        self.flows.insert(seq, open);
        self.order.push_back(seq);
        if may_be_probe {
            self.waiting.push_back(seq);
        }
        while self.flows.len() > self.limit {
            let Some(oldest) = self.order.pop_front() else { break };
            self.flows.remove(&oldest);
        }
        // Flows that are gone leave their numbers behind: they are cleared out when they are the most of it.
        if self.order.len() > 2 * self.flows.len() + LATE {
            let flows = &self.flows;
            self.order.retain(|seq| flows.contains_key(seq));
        }
    }

    /// A flow is over.
    pub(super) fn end(&mut self, seq: u64) {
        if let Some(open) = self.flows.get_mut(&seq) {
            open.ended = true;
            self.ended.push_back(seq);
        }
        if self.ended.len() > LATE
            && let Some(oldest) = self.ended.pop_front()
        {
            self.flows.remove(&oldest);
        }
    }

    /// The next flow that has become too old for a probe, or is over.
    pub(super) fn next_settled(&mut self, boot_ns: u64) -> Option<u64> {
        let &seq = self.waiting.front()?;
        let young = self.flows.get(&seq).is_some_and(|open| {
            !open.ended && open.stands == Stands::NotYet && boot_ns.saturating_sub(open.boot_ns) <= PROBE_NS
        });
        if young {
            return None;
        }
        self.waiting.pop_front();
        Some(seq)
    }

    /// Sockets that are in use now; `None` if there were too many to know all of them.
    pub(super) fn cookies(&self) -> Option<HashSet<u64>> {
        let all = self.flows.len() < self.limit;
        all.then(|| self.flows.values().filter(|open| !open.ended).map(|open| open.cookie).collect())
    }

    /// Every flow that goes on will show itself again.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.limit);
    }
}
