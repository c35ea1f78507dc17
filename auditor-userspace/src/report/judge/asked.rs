//! What somebody asked for: the recording switched off, loosened, or about to be.

use std::collections::BTreeMap;

use super::Scope;
use crate::policy::change::{Change, Effect};
use crate::policy::record::{PolicyRecord, Sealed};
use crate::report::reason::{Filter, Moment, Reason, Severity, counted, times};
use crate::rollup::row::Tally;
use crate::serve::wire;

pub(super) fn judge(scope: &Scope<'_>, found: &mut Vec<Reason>) {
    switched_off(scope, found);
    loosened(scope, found);
    waiting(scope, found);
}

fn policies(scope: &Scope<'_>) -> Filter {
    Filter { kind: Some("policy".into()), since: Some(Moment(scope.from_ns)), ..Filter::default() }
}

fn tally(sealed: &Sealed) -> Tally {
    let mut tally = Tally::default();
    tally.add(1, sealed.wall_ns, sealed.seq);
    tally
}

/// The newest decision that switched the recording of an instance on or off.
fn switched<'a>(scope: &Scope<'a>, instance: &str) -> Option<&'a (Sealed, PolicyRecord)> {
    scope.basis.policies.decisions().rev().find(|(_, record)| {
        let switches = matches!(Change::of(record), Some(Change::Auditing(_)));
        record.instance == instance && record.step.takes_effect() && switches
    })
}

fn switched_off(scope: &Scope<'_>, found: &mut Vec<Reason>) {
    let mut instances: Vec<&str> = match scope.basis.instance {
        Some(own) => vec![own],
        None => scope.basis.rollup.instances().map(|(name, _)| name).collect(),
    };
    let asked = scope.basis.policies.decisions().map(|(_, record)| record.instance.as_str());
    instances.extend(asked.filter(|instance| scope.includes(instance)));
    instances.sort_unstable();
    instances.dedup();
    for instance in instances.into_iter().filter(|instance| !scope.basis.policies.policy(instance).auditing) {
        let decision = switched(scope, instance);
        let since = match decision {
            Some((sealed, _)) => format!(" since {}", wire::time(sealed.wall_ns)),
            None => " by the host's configuration".to_owned(),
        };
        let tally = decision.map_or(Tally { count: 1, ..Tally::default() }, |(sealed, _)| tally(sealed));
        let unrecorded = scope.basis.rollup.history().unrecorded_between(scope.from_ns, scope.basis.now_ns);
        let (flows, calls) = unrecorded
            .filter(|it| it.instance == instance)
            .fold((0, 0), |(flows, calls), it| (flows + it.flows, calls + it.calls));
        let counted_only = match (flows, calls) {
            (0, 0) => "the kernel goes on counting what is not recorded".to_owned(),
            _ => format!("{} and {} were counted and not recorded", counted(flows, "flow"), counted(calls, "call")),
        };
        let sentence = format!("auditing is switched off{since}; {counted_only}");
        let subject = if scope.basis.instance.is_some() { "" } else { instance };
        let filter = Filter { since: None, ..policies(scope) };
        found.push(Reason::new(Severity::Attention, "auditing_off", subject, &tally, sentence, filter));
    }
}

fn loosened(scope: &Scope<'_>, found: &mut Vec<Reason>) {
    let mut by_setting: BTreeMap<&str, Tally> = BTreeMap::new();
    for (sealed, record) in scope.basis.policies.decisions() {
        let counts = record.effect == Effect::Loosens && record.step.takes_effect() && scope.includes(&record.instance);
        if counts && scope.touches(sealed.wall_ns, sealed.wall_ns) {
            by_setting.entry(&record.setting).or_default().merge(&tally(sealed));
        }
    }
    for (setting, tally) in by_setting {
        let sentence = format!("the recording was loosened {}: {setting}", times(tally.count));
        let filter = Filter { from_seq: Some(tally.first_seq), to_seq: Some(tally.last_seq), ..policies(scope) };
        found.push(Reason::new(Severity::Attention, "loosened", setting, &tally, sentence, filter));
    }
}

fn waiting(scope: &Scope<'_>, found: &mut Vec<Reason>) {
    let count = scope.basis.policies.waiting().filter(|record| scope.includes(&record.instance)).count() as u64;
    if count > 0 {
        let sentence = format!("{} for the host's answer: `auditor policy list`", waits(count));
        let tally = Tally { count, ..Tally::default() };
        found.push(Reason::new(Severity::Note, "waiting", "", &tally, sentence, policies(scope)));
    }
}

fn waits(count: u64) -> String {
    if count == 1 { "1 request waits".to_owned() } else { format!("{} wait", counted(count, "request")) }
}
