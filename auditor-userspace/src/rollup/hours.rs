//! The lines of the rollup, by hour, within bounds.

use std::collections::BTreeMap;
use std::sync::Arc;

use auditor_common::body::Guarded;

use super::Limits;
use super::row::{Key, Other, Row, Sums, Tally};
use crate::clock::HOUR_NS;
use crate::destination::{Class, Knowledge};

#[derive(Clone, Debug, Default)]
struct Hour {
    lines: BTreeMap<Key, Sums>,
    others: BTreeMap<Other, Sums>,
    contradictions: BTreeMap<Arc<str>, Tally>,
    workers_ended: BTreeMap<Arc<str>, Tally>,
    guarded: BTreeMap<(Arc<str>, Guarded), Tally>,
    /// With more lines than this it is folded (again).
    fold_at: usize,
}

/// Lines of one instance and class compete with each other only.
type Kind = (Arc<str>, Option<Class>);

/// All hours.
#[derive(Clone, Debug, Default)]
pub(super) struct Hours {
    limits: Limits,
    by_number: BTreeMap<u64, Hour>,
    lines: usize,
}

impl Hours {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// How many lines there are.
    pub(super) fn lines(&self) -> usize {
        self.lines
    }

    fn hour(&mut self, wall_ns: u64) -> &mut Hour {
        let fold_at = self.limits.hour;
        self.by_number.entry(wall_ns / HOUR_NS).or_insert_with(|| Hour { fold_at, ..Hour::default() })
    }

    /// Changes the line with this key in the hour of this moment; makes one if there is none.
    pub(super) fn line(&mut self, wall_ns: u64, key: &Key, knowledge: &Knowledge, change: impl FnOnce(&mut Sums)) {
        let hour = self.hour(wall_ns);
        if let Some(sums) = hour.lines.get_mut(key) {
            return change(sums);
        }
        change(hour.lines.entry(key.clone()).or_default());
        let (full, fold_at) = (hour.lines.len() > hour.fold_at, hour.fold_at);
        self.lines += 1;
        if full {
            self.fold(wall_ns / HOUR_NS, self.limits.kept, knowledge);
            // Many instances may leave many lines: folding again pays only when as many have come.
            let hour = self.hour(wall_ns);
            hour.fold_at = fold_at.max(2 * hour.lines.len());
        }
        while self.lines > self.limits.lines {
            let Some(oldest) = self.by_number.iter().find(|(_, hour)| !hour.lines.is_empty()).map(|(&hour, _)| hour)
            else {
                return;
            };
            self.fold(oldest, 0, knowledge);
        }
    }

    /// Takes one operation back: calls stand for it. If its line was folded, from the line that it was folded into.
    pub(super) fn take_back(&mut self, wall_ns: u64, key: &Key, knowledge: &Knowledge) {
        let hour = self.hour(wall_ns);
        let sums = match hour.lines.get_mut(key) {
            Some(sums) if sums.operations.count > 0 => Some(sums),
            _ => hour.others.get_mut(&Other::of(key, knowledge)),
        };
        if let Some(sums) = sums {
            sums.operations.count = sums.operations.count.saturating_sub(1);
        }
    }

    /// A flow counts under another key from here on. A line on which nothing is left goes.
    pub(super) fn leave(&mut self, wall_ns: u64, key: &Key, knowledge: &Knowledge) {
        let hour = self.hour(wall_ns);
        let Some(sums) = hour.lines.get_mut(key) else {
            if let Some(sums) = hour.others.get_mut(&Other::of(key, knowledge)) {
                sums.flows = sums.flows.saturating_sub(1);
            }
            return;
        };
        sums.flows = sums.flows.saturating_sub(1);
        let Sums { operations, flows, calls, probes, sent, received, unmeasured } = *sums;
        if operations.count + flows + calls + probes + sent + received + unmeasured == 0 {
            hour.lines.remove(key);
            self.lines -= 1;
        }
    }

    pub(super) fn contradicted(&mut self, wall_ns: u64, instance: &Arc<str>, seq: u64) {
        self.hour(wall_ns).contradictions.entry(Arc::clone(instance)).or_default().add(1, wall_ns, seq);
    }

    pub(super) fn worker_ended(&mut self, wall_ns: u64, instance: &Arc<str>, seq: u64) {
        self.hour(wall_ns).workers_ended.entry(Arc::clone(instance)).or_default().add(1, wall_ns, seq);
    }

    pub(super) fn guarded(&mut self, wall_ns: u64, instance: &Arc<str>, what: Guarded, seq: u64) {
        self.hour(wall_ns).guarded.entry((Arc::clone(instance), what)).or_default().add(1, wall_ns, seq);
    }

    pub(super) fn guards(&self, from_ns: u64, until_ns: u64) -> impl Iterator<Item = (&str, Guarded, &Tally)> {
        self.between(from_ns, until_ns)
            .flat_map(|(_, hour)| hour.guarded.iter().map(|((instance, what), tally)| (&**instance, *what, tally)))
    }

    pub(super) fn contradictions(&self, from_ns: u64, until_ns: u64) -> impl Iterator<Item = (&str, &Tally)> {
        self.between(from_ns, until_ns)
            .flat_map(|(_, hour)| hour.contradictions.iter().map(|(instance, tally)| (&**instance, tally)))
    }

    pub(super) fn workers_ended(&self, from_ns: u64, until_ns: u64) -> impl Iterator<Item = (&str, &Tally)> {
        self.between(from_ns, until_ns)
            .flat_map(|(_, hour)| hour.workers_ended.iter().map(|(instance, tally)| (&**instance, tally)))
    }

    pub(super) fn rows<'a>(
        &'a self,
        from_ns: u64,
        until_ns: u64,
        knowledge: &'a Knowledge,
    ) -> impl Iterator<Item = Row<'a>> {
        self.between(from_ns, until_ns).flat_map(move |(hour_ns, hour)| {
            let lines = hour.lines.iter().map(move |(key, sums)| Row::of(hour_ns, key, sums, knowledge));
            let others = hour.others.iter().map(move |(about, sums)| Row::folded(hour_ns, about, sums));
            lines.chain(others)
        })
    }

    /// Forgets hours that ended before this moment.
    pub(super) fn forget(&mut self, before_ns: u64) {
        let kept = self.by_number.split_off(&(before_ns / HOUR_NS));
        let gone = std::mem::replace(&mut self.by_number, kept);
        self.lines -= gone.values().map(|hour| hour.lines.len()).sum::<usize>();
    }

    fn between(&self, from_ns: u64, until_ns: u64) -> impl Iterator<Item = (u64, &Hour)> {
        let (from, until) = (from_ns / HOUR_NS, until_ns / HOUR_NS);
        self.by_number.range(from..=until.max(from)).map(|(&hour, it)| (hour * HOUR_NS, it))
    }

    /// Keeps the largest lines of each instance and class, and adds up the rest.
    fn fold(&mut self, hour: u64, keep: usize, knowledge: &Knowledge) {
        let Some(it) = self.by_number.get_mut(&hour) else { return };
        let before = it.lines.len();
        let mut by_class: BTreeMap<Kind, Vec<(Key, Sums)>> = BTreeMap::new();
        for (key, sums) in std::mem::take(&mut it.lines) {
            let class = key.destination(knowledge).map(|found| found.place.class());
            by_class.entry((Arc::clone(&key.instance), class)).or_default().push((key, sums));
        }
        for (_, mut lines) in by_class {
            // The sort is stable and the keys are in order: among equals the result does not depend on chance.
            lines.sort_by_key(|(_, sums)| std::cmp::Reverse((sums.operations.count, sums.sent + sums.received)));
            let rest = lines.split_off(keep.min(lines.len()));
            it.lines.extend(lines);
            for (key, sums) in rest {
                it.others.entry(Other::of(&key, knowledge)).or_default().merge(&sums);
            }
        }
        self.lines -= before - it.lines.len();
    }
}
