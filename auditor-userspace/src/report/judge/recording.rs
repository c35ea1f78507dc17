//! The recording itself: is it whole, was it on, is it checked.

use std::collections::BTreeMap;

use auditor_common::gap::Gap;

use super::Scope;
use crate::report::reason::{Acknowledged, Filter, Moment, Reason, Severity, counted, times};
use crate::report::text::bytes;
use crate::rollup::history::{Before, Cut, Pause, Run, TAMPERED};
use crate::rollup::row::Tally;
use crate::serve::wire;

/// The nightly verification is late after this time, nanoseconds.
const NIGHTLY_NS: u64 = 26 * 3_600_000_000_000;

pub(super) fn judge(scope: &Scope<'_>, found: &mut Vec<Reason>) {
    store(scope, found);
    runs(scope, found);
    pauses(scope, found);
    losses(scope, found);
    host(scope, found);
}

fn once(wall_ns: u64, seq: u64) -> Tally {
    let mut tally = Tally::default();
    tally.add(1, wall_ns, seq);
    tally
}

fn store(scope: &Scope<'_>, found: &mut Vec<Reason>) {
    let history = scope.basis.rollup.history();
    for cut in history.cuts() {
        let tally = Tally { count: cut.missing.unwrap_or(1), ..once(cut.wall_ns, cut.seq) };
        let missing = match cut.missing {
            Some(count) => counted(count, "signed record"),
            None => "an unknown number of signed records".to_owned(),
        };
        let sentence = format!("{missing} missing: cut, or lost by the disk; nobody can tell");
        let filter = Filter { since: None, instance: None, ..scope.records(&tally) };
        let reason = Reason::new(Severity::Alarm, "records_missing", "", &tally, sentence, filter);
        found.push(Reason { acknowledged: answered(cut), ..reason });
    }
    let newest = history.newest_check();
    if let Some(check) = newest.filter(|check| check.exit == TAMPERED) {
        // The same finding, night after night, does not recur: it is there since it was found first.
        let tally = once(check.since_ns, check.since_seq);
        let sentence = format!("the store's own verification failed: {}", check.summary);
        let filter = Filter { since: None, instance: None, ..scope.records(&tally) };
        let reason = Reason::new(Severity::Alarm, "store_violated", "", &tally, sentence, filter);
        // A cut stays a violation for ever; the operator's answer to it is one to this as well.
        let cut = history.cuts().find(|cut| !cut.cause.is_empty() && check.summary.contains(&cut.cause));
        found.push(Reason { acknowledged: cut.and_then(answered), ..reason });
    }
    let since = newest.map(|check| check.wall_ns).or(history.since_ns());
    if since.is_some_and(|since| scope.basis.now_ns.saturating_sub(since) > NIGHTLY_NS) {
        let sentence = match newest {
            Some(check) => format!("the nightly verification has not run since {}", wire::time(check.wall_ns)),
            None => "the nightly verification has never run".to_owned(),
        };
        // A state, and not an event: it is as old as the verification that was the last.
        let tally = Tally { count: 1, last_seq: newest.map_or(0, |check| check.seq), ..Tally::default() };
        found.push(Reason::new(Severity::Attention, "unverified", "", &tally, sentence, Filter::default()));
    }
}

fn answered(cut: &Cut) -> Option<Acknowledged> {
    let (wall_ns, seq, note) = cut.answered.as_ref()?;
    Some(Acknowledged { at: Moment(*wall_ns), seq: *seq, by: "host".to_owned(), text: note.clone() })
}

/// The daemon began anew.
fn runs(scope: &Scope<'_>, found: &mut Vec<Reason>) {
    let runs: Vec<&Run> =
        scope.basis.rollup.history().runs().filter(|run| scope.touches(run.start_ns, run.start_ns)).collect();
    let filter = || Filter { kind: Some("run".into()), since: Some(Moment(scope.from_ns)), ..Filter::default() };
    let (mut stopped, mut interrupted, mut missed) = (Tally::default(), Tally::default(), Tally::default());
    for run in runs {
        match run.before {
            Before::First => {}
            Before::Stopped => stopped.add(1, run.start_ns, run.seq),
            Before::Interrupted => interrupted.add(1, run.start_ns, run.seq),
        }
        run.missed.iter().filter(|(instance, _)| scope.includes(instance)).for_each(|(_, tally)| missed.merge(tally));
    }
    if missed.count > 0 {
        let sentence = format!(
            "{} opened while nobody recorded, and the recording had neither been switched off nor stopped",
            counted(missed.count, "connection")
        );
        found.push(Reason::new(Severity::Alarm, "capture_off", "run", &missed, sentence, filter()));
    }
    if interrupted.count > 0 {
        let sentence = format!("the recording ended {} without saying so", times(interrupted.count));
        found.push(Reason::new(Severity::Attention, "interrupted", "", &interrupted, sentence, filter()));
    }
    if stopped.count > 0 {
        let sentence = format!("the auditor was stopped and started {}, as declared", times(stopped.count));
        found.push(Reason::new(Severity::Note, "restarted", "", &stopped, sentence, filter()));
    }
}

/// Hooks that went away while the daemon was running.
fn pauses(scope: &Scope<'_>, found: &mut Vec<Reason>) {
    let until = |pause: &Pause| pause.until_ns.unwrap_or(scope.basis.now_ns);
    let mut by_hook: BTreeMap<(&str, bool), Tally> = BTreeMap::new();
    for pause in scope.basis.rollup.history().pauses().filter(|pause| scope.touches(pause.from_ns, until(pause))) {
        let had_traffic = scope.rows.iter().any(|row| {
            let within = |ns: u64| (pause.from_ns..=until(pause)).contains(&ns);
            within(row.sums.operations.first_ns) || within(row.sums.operations.last_ns)
        });
        by_hook.entry((&pause.hook, had_traffic)).or_default().add(1, pause.from_ns, pause.seq);
    }
    for ((hook, had_traffic), tally) in by_hook {
        let (severity, id, what) = if had_traffic {
            (Severity::Alarm, "capture_off", "while the instance had traffic")
        } else {
            (Severity::Attention, "hook_off", "with no traffic seen meanwhile")
        };
        let sentence = format!("the hook {hook} was taken off the kernel {}, {what}", times(tally.count));
        let filter = Filter { kind: Some("seal".into()), ..scope.records(&tally) };
        found.push(Reason::new(severity, id, hook, &tally, sentence, Filter { instance: None, ..filter }));
    }
}

fn losses(scope: &Scope<'_>, found: &mut Vec<Reason>) {
    let mut by_gap: BTreeMap<u64, (Tally, u64)> = BTreeMap::new();
    for (_, gap, lost) in scope.basis.rollup.history().losses() {
        if scope.touches(lost.from_ns, lost.until_ns) {
            let (tally, unknown) = by_gap.entry(gap).or_default();
            tally.merge(&lost.tally);
            *unknown += lost.unknown;
        }
    }
    for (gap, (tally, unknown)) in by_gap {
        let word = wire::gap(gap);
        let sentence = lost(Gap::from_number(gap), &word, tally.count, unknown);
        let filter =
            Filter { kind: Some("loss".into()), gap: Some(word.clone()), instance: None, ..scope.records(&tally) };
        // Nobody knows how much of it was lost: once is what can be said.
        let tally = Tally { count: tally.count.max(unknown), ..tally };
        found.push(Reason::new(Severity::Attention, "lost", &word, &tally, sentence, filter));
    }
}

fn lost(gap: Option<Gap>, word: &str, count: u64, unknown: u64) -> String {
    let much = |one: &str| match (count, unknown) {
        (0, _) => format!("an unknown number of {one}s"),
        (_, 0) => counted(count, one),
        _ => format!("at least {}", counted(count, one)),
    };
    match gap {
        Some(Gap::RingFull) => format!("{} lost: the ring between kernel and auditor was full", much("event")),
        Some(Gap::SocketTableFull) => format!("ends and bytes of {} lost: the table of sockets was full", much("flow")),
        Some(Gap::ProcessTableFull) => format!("{} not followed: the table of processes was full", much("process")),
        Some(Gap::NotRunning) => "nobody was looking".to_owned(),
        Some(Gap::HookDetached) => format!("{} taken off the kernel", much("hook")),
        Some(Gap::Undecodable) => format!("{} that this version cannot read", much("event")),
        Some(Gap::HintOverrun) => format!("{} overwritten before they were read", much("claim")),
        Some(Gap::DiskFull) => format!("{} lost: the disk was full", much("record")),
        Some(Gap::Uncommitted) => format!("{} read, and lost before they were durable", much("event")),
        Some(Gap::HintFailure) => format!("{} lost: the addon could not write them", much("claim")),
        Some(Gap::Unexplained) => format!("{} lost, and the kernel does not say why", much("event")),
        Some(Gap::ClaimsSilenced) => format!("the addon's hook silenced in {}", much("process")),
        None => format!("{} lost: {word}", much("record")),
    }
}

/// What could be better on this host, and what is ordinary.
fn host(scope: &Scope<'_>, found: &mut Vec<Reason>) {
    let mut ended = Tally::default();
    let workers = scope.basis.rollup.workers_ended(scope.from_ns, scope.basis.now_ns);
    workers.filter(|(instance, _)| scope.includes(instance)).for_each(|(_, tally)| ended.merge(tally));
    if ended.count > 0 {
        let sentence = format!("{} ended, as they do when they are recycled", counted(ended.count, "Odoo process"));
        found.push(Reason::new(Severity::Note, "recycled", "", &ended, sentence, scope.records(&ended)));
    }
    let mut set = Tally::default();
    let history = scope.basis.rollup.history();
    history.clock_set_between(scope.from_ns, scope.basis.now_ns).for_each(|tally| set.merge(tally));
    if set.count > 0 {
        let sentence =
            format!("the wall clock was set {}: the order of the records does not depend on it", times(set.count));
        let filter = Filter { instance: None, ..scope.records(&set) };
        found.push(Reason::new(Severity::Note, "clock_set", "", &set, sentence, filter));
    }
    let state = Tally { count: 1, ..Tally::default() };
    if let Some(why) = &scope.basis.host.missing_tier {
        found.push(Reason::new(Severity::Note, "lower_tier", "", &state, why.clone(), Filter::default()));
    }
    if let Some((is, may)) = scope.basis.host.over_size {
        let sentence = format!(
            "the ledger has {} and may have {}, and nothing in it is old enough to go: it grows until the disk is full",
            bytes(is),
            bytes(may)
        );
        found.push(Reason::new(Severity::Attention, "over_size", "", &state, sentence, Filter::default()));
    }
    if scope.basis.host.root_key_here {
        let sentence = "the root key's private half is still on this machine: keep it elsewhere".to_owned();
        found.push(Reason::new(Severity::Note, "root_key", "", &state, sentence, Filter::default()));
    }
    let forgotten = scope.basis.rollup.forgotten();
    if forgotten > 0 {
        let tally = Tally { count: forgotten, ..Tally::default() };
        let sentence = format!(
            "{} not remembered: there are too many destinations to tell new ones",
            counted(forgotten, "first contact")
        );
        found.push(Reason::new(Severity::Note, "forgotten", "", &tally, sentence, Filter::default()));
    }
}
