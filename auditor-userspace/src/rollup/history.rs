//! What the records say about the recording itself: runs, losses, hooks.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;

use auditor_common::body::{Ack, Checked, Egress, FlowOpened, Hook, Loss, Recover, RunStart, Seal, Unrecorded};
use auditor_common::gap::Gap;

use super::row::Tally;
use crate::clock::HOUR_NS;
use crate::serve::wire::Head;

/// This many runs, and as many pauses of hooks, are remembered one by one.
const REMEMBERED: usize = 4096;

/// The verifier's exit codes that are results: everything is proven, …
pub const PROVEN: u8 = 0;
/// … something is not as it was signed, …
pub const TAMPERED: u8 = 3;
/// … or everything that is there is proven, and something is missing.
pub const WITH_GAPS: u8 = 4;

/// How the run before one ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// There was none.
    First,
    /// It said so.
    Stopped,
    /// It did not say so.
    Interrupted,
}

/// One run of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its number.
    pub run: u32,
    /// Leaf index of its first record.
    pub seq: u64,
    /// CLOCK_REALTIME nanoseconds.
    pub start_ns: u64,
    /// CLOCK_BOOTTIME nanoseconds.
    pub start_boot_ns: u64,
    /// Which boot of the host.
    pub boot_id: [u8; 16],
    /// How the run before it ended.
    pub before: Before,
    /// The last record of the run before it, CLOCK_REALTIME nanoseconds; `None` if there was none.
    pub silent_since_ns: Option<u64>,
    /// Flows that were opened while nobody was recording, and nobody had said so; for each instance.
    pub missed: BTreeMap<Arc<str>, Tally>,
    /// The newest record of it, CLOCK_REALTIME nanoseconds.
    pub last_ns: u64,
    /// Something was lost in it.
    lost: bool,
}

/// Evidence that is missing, of one reason, within an hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// How much, and when it was found out.
    pub tally: Tally,
    /// Losses of which nobody knows how much it was.
    pub unknown: u64,
    /// From when, as far as it is known, CLOCK_REALTIME nanoseconds.
    pub from_ns: u64,
    /// Until when.
    pub until_ns: u64,
}

/// A hook that was active, and is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Its name.
    pub hook: String,
    /// Leaf index of the seal that says so.
    pub seq: u64,
    /// The last seal in which it was active, CLOCK_REALTIME nanoseconds.
    pub from_ns: u64,
    /// The first seal in which it was active again.
    pub until_ns: Option<u64>,
}

/// A verification of the store, by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// When, CLOCK_REALTIME nanoseconds.
    pub wall_ns: u64,
    /// Leaf index of the record of it.
    pub seq: u64,
    /// When it was found so first, without anything else being found in between.
    pub since_ns: u64,
    /// Leaf index of the record of that.
    pub since_seq: u64,
    /// The verifier's exit code.
    pub exit: u8,
    /// Its sentence.
    pub summary: String,
}

/// This ledger goes on where another was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// When that was found, CLOCK_REALTIME nanoseconds.
    pub wall_ns: u64,
    /// Leaf index of the record that declares it.
    pub seq: u64,
    /// How many signed records are missing; `None` if that cannot be known.
    pub missing: Option<u64>,
    /// What was found, in a sentence.
    pub cause: String,
    /// The operator's answer: when, in which record, and the words.
    pub answered: Option<(u64, u64, String)>,
}

/// Where the auditor itself went, one record of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Went {
    /// When, CLOCK_REALTIME nanoseconds.
    pub wall_ns: u64,
    /// Leaf index of the record.
    pub seq: u64,
    /// Where to, and how often.
    pub egress: Egress,
}

/// The recording's own history.
#[derive(Clone, Debug, Default)]
pub struct History {
    runs: VecDeque<Run>,
    losses: BTreeMap<(u64, u64), Lost>,
    pauses: VecDeque<Pause>,
    check: Option<Check>,
    cuts: VecDeque<Cut>,
    clock_set: BTreeMap<u64, Tally>,
    unrecorded: BTreeMap<(u64, String), Unrecorded>,
    egress: VecDeque<Went>,
    /// When the first record was made that is known, CLOCK_REALTIME nanoseconds.
    since_ns: Option<u64>,
    /// For each hook of this run: when it was active last.
    active: BTreeMap<String, u64>,
    /// Sockets that were open when the run before this one was cut off; `None` if that cannot be used as evidence.
    known: Option<HashSet<u64>>,
}

impl History {
    /// Runs that are remembered, oldest first.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.runs.iter()
    }

    /// Losses by hour and number of the gap.
    pub fn losses(&self) -> impl Iterator<Item = (u64, u64, &Lost)> {
        self.losses.iter().map(|(&(hour, gap), lost)| (hour, gap, lost))
    }

    /// Hooks that went away.
    pub fn pauses(&self) -> impl Iterator<Item = &Pause> {
        self.pauses.iter()
    }

    /// The newest verification of the store that came to a result.
    #[must_use]
    pub fn newest_check(&self) -> Option<&Check> {
        self.check.as_ref()
    }

    /// Ledgers before this one that were cut, with something missing.
    pub fn cuts(&self) -> impl Iterator<Item = &Cut> {
        self.cuts.iter()
    }

    /// How often the wall clock was set, in each hour that touches the time between two moments.
    pub fn clock_set_between(&self, from_ns: u64, until_ns: u64) -> impl Iterator<Item = &Tally> {
        let (from, until) = (from_ns / HOUR_NS, until_ns / HOUR_NS);
        self.clock_set.range(from..=until.max(from)).map(|(_, tally)| tally)
    }

    /// What was counted and by policy not recorded, by hour and instance.
    pub fn unrecorded_between(&self, from_ns: u64, until_ns: u64) -> impl Iterator<Item = &Unrecorded> {
        self.unrecorded.values().filter(move |it| it.until_wall_ns >= from_ns && it.from_wall_ns <= until_ns)
    }

    /// Where the auditor itself went.
    pub fn egress_between(&self, from_ns: u64, until_ns: u64) -> impl Iterator<Item = &Went> {
        self.egress.iter().filter(move |went| (from_ns..=until_ns).contains(&went.wall_ns))
    }

    /// When the first record was made that is known, CLOCK_REALTIME nanoseconds.
    #[must_use]
    pub fn since_ns(&self) -> Option<u64> {
        self.since_ns
    }

    /// The store was verified. A verification that could not run is none.
    pub(super) fn checked(&mut self, head: &Head, found: &Checked) {
        if !matches!(found.exit, PROVEN | TAMPERED | WITH_GAPS) {
            return;
        }
        let again = self.check.take().filter(|last| last.exit == found.exit && last.summary == found.summary);
        let (since_ns, since_seq) = again.map_or((head.wall_ns, head.seq), |last| (last.since_ns, last.since_seq));
        let (exit, summary) = (found.exit, found.summary.clone());
        self.check = Some(Check { wall_ns: head.wall_ns, seq: head.seq, since_ns, since_seq, exit, summary });
    }

    /// The ledger before this one was cut.
    pub(super) fn recovered(&mut self, head: &Head, recover: &Recover) {
        let is_known = self.cuts.iter().any(|cut| cut.seq == head.seq);
        if recover.missing != Some(0) && !is_known {
            let cut = Cut {
                wall_ns: head.wall_ns,
                seq: head.seq,
                missing: recover.missing,
                cause: recover.cause.clone(),
                answered: None,
            };
            remember(&mut self.cuts, cut);
        }
    }

    /// The operator has seen a cut.
    pub(super) fn acknowledged(&mut self, head: &Head, ack: &Ack) {
        for cut in self.cuts.iter_mut().filter(|cut| cut.seq == ack.record) {
            cut.answered = Some((head.wall_ns, head.seq, ack.note.clone()));
        }
    }

    /// The wall clock was set.
    pub(super) fn clock_set(&mut self, head: &Head) {
        self.clock_set.entry(head.wall_ns / HOUR_NS).or_default().add(1, head.wall_ns, head.seq);
    }

    /// A record was appended.
    pub(super) fn recorded(&mut self, head: &Head) {
        self.since_ns.get_or_insert(head.wall_ns);
        if let Some(run) = self.runs.back_mut().filter(|run| run.run == head.run) {
            run.last_ns = run.last_ns.max(head.wall_ns);
        }
    }

    /// The daemon began. `open` are the sockets that the records before it left open, if all of them are known.
    pub(super) fn started(&mut self, head: &Head, start: &RunStart, open: Option<HashSet<u64>>) {
        let before = match start.previous.as_str() {
            "none" => Before::First,
            "stopped" => Before::Stopped,
            _ => Before::Interrupted,
        };
        let last = self.runs.back();
        // After a reboot the kernel's numbers begin anew, and nothing that ran before runs on.
        let comparable = last.is_some_and(|last| last.boot_id == start.boot_id && !last.lost);
        self.known = open.filter(|_| comparable && before == Before::Interrupted);
        let silent_since_ns = last.map(|last| last.last_ns);
        self.active =
            start.hooks.iter().filter(|hook| hook.active).map(|hook| (hook.name.clone(), head.wall_ns)).collect();
        for pause in self.pauses.iter_mut().filter(|pause| pause.until_ns.is_none()) {
            pause.until_ns = Some(head.wall_ns);
        }
        remember(
            &mut self.runs,
            Run {
                run: head.run,
                seq: head.seq,
                start_ns: head.wall_ns,
                start_boot_ns: head.boot_ns,
                boot_id: start.boot_id,
                before,
                silent_since_ns,
                missed: BTreeMap::new(),
                last_ns: head.wall_ns,
                lost: false,
            },
        );
    }

    /// The daemon stopped in good order: its hooks go away with it.
    pub(super) fn stopped(&mut self) {
        self.active.clear();
    }

    /// A socket shows itself that was there before this run. Had the run before been recording when it was opened, it
    /// would have been recorded: its process began after that run did, and nothing was lost in it.
    pub(super) fn found(&mut self, head: &Head, flow: &FlowOpened, instance: &Arc<str>) {
        let Some(known) = &mut self.known else { return };
        let before = self.runs.iter().rev().nth(1).map(|run| run.start_boot_ns);
        let Some(run) = self.runs.back_mut() else { return };
        if flow.opened_before && before.is_some_and(|start| flow.process.start_ns >= start) && known.insert(flow.cookie)
        {
            run.missed.entry(Arc::clone(instance)).or_default().add(1, run.start_ns, head.seq);
        }
    }

    /// Evidence is missing.
    pub(super) fn lost(&mut self, head: &Head, loss: &Loss) {
        if let Some(run) = self.runs.back_mut() {
            run.lost = true;
        }
        if loss.gap == Gap::NotRunning as u64 {
            return; // The run that begins after it says the same, and how the one before it ended.
        }
        let lost = self.losses.entry((head.wall_ns / HOUR_NS, loss.gap)).or_default();
        lost.tally.add(loss.count.unwrap_or(0), head.wall_ns, head.seq);
        lost.unknown += u64::from(loss.count.is_none());
        let (from, until) = (loss.from_wall_ns.unwrap_or(head.wall_ns), loss.until_wall_ns.unwrap_or(head.wall_ns));
        lost.from_ns = if lost.from_ns == 0 { from } else { lost.from_ns.min(from) };
        lost.until_ns = lost.until_ns.max(until);
    }

    /// Something was counted, and by policy not recorded.
    pub(super) fn unrecorded(&mut self, head: &Head, it: &Unrecorded) {
        let key = (head.wall_ns / HOUR_NS, it.instance.clone());
        let sum = self.unrecorded.entry(key).or_insert_with(|| Unrecorded {
            instance: it.instance.clone(),
            from_wall_ns: it.from_wall_ns,
            ..Unrecorded::default()
        });
        sum.from_wall_ns = sum.from_wall_ns.min(it.from_wall_ns);
        sum.until_wall_ns = sum.until_wall_ns.max(it.until_wall_ns);
        for (sum, more) in [
            (&mut sum.flows, it.flows),
            (&mut sum.calls, it.calls),
            (&mut sum.sent, it.sent),
            (&mut sum.received, it.received),
        ] {
            *sum = sum.saturating_add(more);
        }
    }

    /// The auditor itself went somewhere.
    pub(super) fn went_out(&mut self, head: &Head, egress: &Egress) {
        remember(&mut self.egress, Went { wall_ns: head.wall_ns, seq: head.seq, egress: egress.clone() });
    }

    /// A seal says which hooks are active.
    pub(super) fn sealed(&mut self, head: &Head, seal: &Seal) {
        for Hook { name, active, .. } in &seal.hooks {
            match (active, self.active.get(name).copied()) {
                (true, _) => {
                    self.active.insert(name.clone(), head.wall_ns);
                    for pause in self.pauses.iter_mut().filter(|pause| pause.hook == *name && pause.until_ns.is_none())
                    {
                        pause.until_ns = Some(head.wall_ns);
                    }
                }
                (false, Some(from_ns)) => {
                    self.active.remove(name);
                    remember(&mut self.pauses, Pause { hook: name.clone(), seq: head.seq, from_ns, until_ns: None });
                }
                (false, None) => {}
            }
        }
    }

    /// Forgets what ended before this moment.
    pub(super) fn forget(&mut self, before_ns: u64) {
        self.clock_set.retain(|_, tally| tally.last_ns >= before_ns);
        self.unrecorded.retain(|_, it| it.until_wall_ns >= before_ns);
        self.egress.retain(|went| went.wall_ns >= before_ns);
        self.losses.retain(|_, lost| lost.until_ns >= before_ns);
        self.pauses.retain(|pause| pause.until_ns.is_none_or(|until| until >= before_ns));
        while self.runs.len() > 1 && self.runs.front().is_some_and(|run| run.last_ns < before_ns) {
            self.runs.pop_front();
        }
    }
}

fn remember<T>(all: &mut VecDeque<T>, one: T) {
    if all.len() == REMEMBERED {
        all.pop_front();
    }
    all.push_back(one);
}
