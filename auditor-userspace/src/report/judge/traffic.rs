//! What went over the wire.

use std::collections::{BTreeMap, BTreeSet};

use auditor_common::body::{Guarded, Label};

use super::{Group, Scope, is_unexplained};
use crate::catalogue::OWN_MODULE;
use crate::clock::DAY_NS;
use crate::destination::Class;
use crate::report::reason::{Filter, Reason, Severity, counted, times};
use crate::rollup::history::Went;
use crate::rollup::row::{Row, Tally};
use crate::serve::wire;

/// New destinations are told only after an instance has been recorded for this long, nanoseconds.
pub(in crate::report) const LEARNING_NS: u64 = 7 * DAY_NS;

pub(super) fn judge(scope: &Scope<'_>, found: &mut Vec<Reason>) {
    contradictions(scope, found);
    watched(scope, found);
    suspected(scope, found);
    guarded(scope, found);
    self_egress(scope, found);
    unattributed(scope, found);
    contacts(scope, found);
    notes(scope, found);
}

fn group<'a>(scope: &Scope<'a>, of: impl Fn(&Row<'a>) -> bool) -> Group {
    let mut group = Group::default();
    scope.rows.iter().filter(|row| of(row)).for_each(|row| group.add(row));
    group
}

fn contradictions(scope: &Scope<'_>, found: &mut Vec<Reason>) {
    let mut tally = Tally::default();
    let seen = scope.basis.rollup.contradictions(scope.from_ns, scope.basis.now_ns);
    seen.filter(|(instance, _)| scope.includes(instance)).for_each(|(_, one)| tally.merge(one));
    if tally.count > 0 {
        let sentence = if tally.count == 1 {
            "1 claim contradicts what the kernel saw: somebody gives a false name".to_owned()
        } else {
            format!("{} contradict what the kernel saw: somebody gives a false name", counted(tally.count, "claim"))
        };
        let filter = Filter { contradiction: true, ..scope.records(&tally) };
        found.push(Reason::new(Severity::Alarm, "contradiction", "", &tally, sentence, filter));
    }
}

fn watched(scope: &Scope<'_>, found: &mut Vec<Reason>) {
    let mut groups: BTreeMap<(&str, bool), Group> = BTreeMap::new();
    for row in scope.rows.iter().filter(|row| row.about.class == Some(Class::Watched)) {
        if let Some(vendor) = &row.about.vendor {
            groups.entry((vendor, row.about.by_module)).or_default().add(row);
        }
    }
    for ((vendor, by_module), group) in groups {
        let Some(tally) = group.seen() else { continue };
        let operations = counted(tally.count, "operation");
        let (id, sentence) = if by_module {
            ("watched_modules", format!("{operations} by modules of {vendor} to places that nothing explains"))
        } else {
            ("watched_hosts", format!("{operations} with hosts of {vendor}, neither documented nor configured"))
        };
        let filter = Filter {
            class: Some(Class::Watched),
            vendor: Some(vendor.to_owned()),
            direction: by_module.then(|| "out".to_owned()),
            ..scope.records(&tally)
        };
        let sentence = sentence + &group.examples();
        found.push(Reason::new(Severity::Alarm, id, vendor, &tally, sentence, filter));
    }
}

/// Native code leaves no frame: whoever compiles its module is not to be out of sight by that.
fn suspected(scope: &Scope<'_>, found: &mut Vec<Reason>) {
    let group = group(scope, |row| is_suspected(row) && !row.about.inbound && is_unexplained(row.about.class));
    let Some(tally) = group.seen() else { return };
    let operations = counted(tally.count, "operation");
    let sentence = format!(
        "{operations} to places that nothing explains, maybe by native code of watched vendors{}",
        group.examples()
    );
    found.push(Reason::new(Severity::Attention, "watched_native", "", &tally, sentence, scope.records(&tally)));
}

/// Native code of a watched vendor's module may have been the caller.
fn is_suspected(row: &Row<'_>) -> bool {
    row.key.is_some_and(|key| key.via.is_some() && key.suspects.is_some())
}

fn guarded(scope: &Scope<'_>, found: &mut Vec<Reason>) {
    for what in Guarded::ALL {
        let mut tally = Tally::default();
        let seen = scope.basis.rollup.guards(scope.from_ns, scope.basis.now_ns);
        seen.filter(|(instance, it, _)| *it == what && scope.includes(instance))
            .for_each(|(_, _, one)| tally.merge(one));
        if tally.count == 0 {
            continue;
        }
        let sentence = match what {
            Guarded::RawSocket => {
                format!("{} opened: packets that no connection shows", counted(tally.count, "raw socket"))
            }
            Guarded::PacketSocket => {
                format!("{} opened: it reads and writes the network itself", counted(tally.count, "packet socket"))
            }
            Guarded::StolenDescriptor => {
                format!("{} taken out of another process", counted(tally.count, "descriptor"))
            }
            Guarded::Ptrace => {
                format!("a process of the instance got hold of another as a debugger does, {}", times(tally.count))
            }
        };
        let filter = Filter { guard: Some(what.word().to_owned()), ..scope.records(&tally) };
        found.push(Reason::new(Severity::Alarm, what.word(), "", &tally, sentence, filter));
    }
}

/// The auditor's own traffic: the daemon's sockets, and what is claimed by our own addon.
fn self_egress(scope: &Scope<'_>, found: &mut Vec<Reason>) {
    let mut by_endpoint: BTreeMap<String, Tally> = BTreeMap::new();
    let went = scope.basis.rollup.history().egress_between(scope.from_ns, scope.basis.now_ns);
    for Went { wall_ns, seq, egress } in went.filter(|went| !went.egress.configured) {
        let endpoint = wire::socket_address(&egress.remote);
        by_endpoint.entry(endpoint).or_default().add(egress.flows, *wall_ns, *seq);
    }
    for (endpoint, tally) in by_endpoint {
        let count = times(tally.count);
        let sentence = format!("the auditor itself sent {count} to {endpoint}, which nobody configured");
        let filter = Filter { kind: Some("run".into()), instance: None, ..scope.records(&tally) };
        found.push(Reason::new(Severity::Alarm, "self_egress", &endpoint, &tally, sentence, filter));
    }
    let by_addon = group(scope, |row| {
        let elsewhere = !matches!(row.about.class, Some(Class::Own | Class::Configured) | None);
        !row.about.inbound && elsewhere && row.module() == Some(OWN_MODULE)
    });
    if let Some(tally) = by_addon.seen() {
        let operations = counted(tally.count, "operation");
        let sentence = format!("{operations} in the name of the auditor's own addon{}", by_addon.examples());
        let filter = Filter { module: Some(OWN_MODULE.to_owned()), ..scope.records(&tally) };
        found.push(Reason::new(Severity::Alarm, "self_egress", OWN_MODULE, &tally, sentence, filter));
    }
}

fn is_unattributed(row: &Row<'_>) -> bool {
    !row.about.inbound && row.about.label == Label::Absent && row.about.class == Some(Class::ThirdParty)
}

fn unattributed(scope: &Scope<'_>, found: &mut Vec<Reason>) {
    for (before, severity, id, what) in [
        (false, Severity::Attention, "unattributed", "to third parties that no module accounts for"),
        (true, Severity::Note, "open_before", "to third parties over connections from before the auditor"),
    ] {
        let group = group(scope, |row| is_unattributed(row) && row.about.opened_before == before);
        let Some(tally) = group.seen() else { continue };
        let sentence = format!("{} {what}{}", counted(tally.count, "operation"), group.examples());
        let filter = Filter {
            label: Some("absent".into()),
            direction: Some("out".into()),
            class: Some(Class::ThirdParty),
            ..scope.records(&tally)
        };
        found.push(Reason::new(severity, id, "", &tally, sentence, filter));
    }
}

/// First contacts, once it is known what is ordinary.
fn contacts(scope: &Scope<'_>, found: &mut Vec<Reason>) {
    let rollup = scope.basis.rollup;
    let since: BTreeMap<&str, u64> = rollup.instances().map(|(name, first)| (name, first.wall_ns)).collect();
    let mut suspects: BTreeMap<(&str, &str), Group> = BTreeMap::new();
    let (mut others, mut seen) = (Group::default(), BTreeSet::new());
    for row in scope.rows.iter().filter(|row| !row.about.inbound && is_unexplained(row.about.class)) {
        let Some(key) = row.key else { continue };
        let Some(first) = rollup.first_contact(key) else { continue };
        let learnt = since.get(&*key.instance).map_or(u64::MAX, |since| since.saturating_add(LEARNING_NS));
        if first.wall_ns < scope.from_ns.max(learnt) {
            continue;
        }
        let tally = Tally {
            count: 1,
            first_ns: first.wall_ns,
            last_ns: first.wall_ns,
            first_seq: first.seq,
            last_seq: first.seq,
        };
        if !seen.insert(first.seq) {
            continue;
        }
        match suspect(scope, &key.instance, key.module.as_deref()) {
            Some((module, why)) => suspects.entry((module, why)).or_default().contact(&tally, key.display()),
            None => others.contact(&tally, key.display()),
        }
    }
    for ((module, why), group) in suspects {
        let sentence = format!("the {why} module {module} has talked to somebody new{}", group.examples());
        let filter =
            Filter { module: Some(module.to_owned()), direction: Some("out".into()), ..scope.records(&group.tally) };
        found.push(Reason::new(Severity::Attention, "first_contact", module, &group.tally, sentence, filter));
    }
    if others.tally.count > 0 {
        let sentence = format!("{}{}", counted(others.tally.count, "new destination"), others.examples());
        let filter = Filter { direction: Some("out".into()), ..scope.records(&others.tally) };
        found.push(Reason::new(Severity::Note, "new_destinations", "", &others.tally, sentence, filter));
    }
}

impl Group {
    fn contact(&mut self, tally: &Tally, place: String) {
        self.tally.merge(tally);
        self.places.insert(place);
    }
}

/// A module of which nobody can read what it does, or that is watched.
fn suspect<'a>(scope: &Scope<'_>, instance: &str, module: Option<&'a str>) -> Option<(&'a str, &'static str)> {
    let (module, knowledge) = (module?, scope.basis.knowledge);
    match (knowledge.facts(instance).opaque(module), knowledge.vendor_of_module(instance, module)) {
        (Some(true), _) => Some((module, "opaque")),
        (_, Some(_)) => Some((module, "watched")),
        _ => None,
    }
}

fn notes(scope: &Scope<'_>, found: &mut Vec<Reason>) {
    let excused = group(scope, |row| row.about.excused);
    if let Some(tally) = excused.seen() {
        let sentence = format!(
            "{} of watched vendors that only Odoo's own settings explain{}",
            counted(tally.count, "operation"),
            excused.examples()
        );
        let filter = Filter { class: Some(Class::Configured), ..scope.records(&tally) };
        found.push(Reason::new(Severity::Note, "claimed_settings", "", &tally, sentence, filter));
    }
    let passed = group(scope, |row| {
        row.about.passed && !is_suspected(row) && !row.about.inbound && is_unexplained(row.about.class)
    });
    if let Some(tally) = passed.seen() {
        let operations = counted(tally.count, "operation");
        let sentence = format!("{operations} passed through modules of watched vendors{}", passed.examples());
        found.push(Reason::new(Severity::Note, "passed_through", "", &tally, sentence, scope.records(&tally)));
    }
    let folded = group(scope, |row| row.key.is_none());
    if let Some(tally) = folded.seen() {
        let operations = counted(tally.count, "operation");
        let sentence = format!("{operations} are counted by class only: there were too many destinations to name each");
        found.push(Reason::new(Severity::Note, "folded", "", &tally, sentence, scope.records(&tally)));
    }
}
