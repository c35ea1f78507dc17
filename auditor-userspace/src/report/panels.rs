//! The figures of a report: cards, shares, destinations, modules, timeline.

use std::collections::{BTreeMap, BTreeSet};

use auditor_common::body::Label;
use serde::{Deserialize, Serialize};

use super::judge::Scope;
use super::reason::Moment;
use crate::destination::Class;
use crate::rollup::row::{Key, Row, Sums, Tally};
use crate::serve::wire;

/// At most this many destinations, and as many modules, are listed.
pub const LISTED: usize = 200;
/// At most this many destinations of a module are named.
const NAMED: usize = 5;

/// The summary cards. All count operations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cards {
    /// All operations.
    pub total: u64,
    /// Operations with each watched vendor's hosts, or unexplained ones by its modules.
    pub bound: Vec<Bound>,
    /// Outgoing operations to third parties.
    pub third_party: u64,
    /// Outgoing operations that no claim names: no hook inside of Odoo saw them.
    pub kernel_only: u64,
    /// Operations of the auditor itself; 0 is wanted.
    pub self_egress: u64,
    /// Flows whose bytes were not measured.
    pub unmeasured: u64,
    /// Flows and calls that were counted, and by policy not recorded: they are in none of the figures.
    pub unrecorded: u64,
}

/// A card of a watched vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// Whose.
    pub vendor: String,
    /// Operations.
    pub operations: u64,
}

/// What one class has of the traffic in one direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The class; `None` for calls whose flow nobody saw.
    pub class: Option<Class>,
    /// `in` or `out`.
    pub direction: String,
    /// Operations.
    pub operations: u64,
    /// Payload bytes.
    pub sent: u64,
    /// Payload bytes.
    pub received: u64,
    /// Flows whose bytes were not measured.
    pub unmeasured: u64,
}

/// One destination of outgoing operations, or one origin of a watched vendor's incoming ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationLine {
    /// A name, or an address.
    pub destination: String,
    /// `in` or `out`.
    pub direction: String,
    /// How the name became known; `None` for an address.
    pub named_by: Option<String>,
    /// The port; `None` where it says nothing.
    pub port: Option<u16>,
    /// `tcp`, `udp`, …
    pub protocol: String,
    /// The class.
    pub class: Class,
    /// The watched vendor behind it.
    pub vendor: Option<String>,
    /// Why it has that class.
    pub because: String,
    /// Modules that talk to it.
    pub modules: Vec<String>,
    /// Operations.
    pub operations: u64,
    /// Payload bytes.
    pub sent: u64,
    /// Payload bytes.
    pub received: u64,
    /// Flows whose bytes were not measured.
    pub unmeasured: u64,
    /// First and last within the window.
    pub first: Option<Moment>,
    /// See `first`.
    pub last: Option<Moment>,
}

/// One module that makes calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleLine {
    /// Which Odoo.
    pub instance: String,
    /// Technical name; `None` is what nobody accounts for.
    pub module: Option<String>,
    /// Addons of which native code, which leaves no trace of who called, may have been the caller instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspects: Option<String>,
    /// As its manifest has it.
    pub author: Option<String>,
    /// The watched vendor whose module it is.
    pub vendor: Option<String>,
    /// Nobody can read what it does; `None` where nobody said.
    pub opaque: Option<bool>,
    /// Outgoing operations.
    pub operations: u64,
    /// Payload bytes.
    pub sent: u64,
    /// Payload bytes.
    pub received: u64,
    /// Flows whose bytes were not measured.
    pub unmeasured: u64,
    /// How many destinations.
    pub destinations: u64,
    /// Some of them.
    pub examples: Vec<String>,
    /// When it made its first call at all, as far as records are kept.
    pub first_seen: Option<Moment>,
}

/// What happened in one hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourLine {
    /// Where it begins.
    pub start: Moment,
    /// Operations.
    pub operations: u64,
    /// Payload bytes.
    pub sent: u64,
    /// Payload bytes.
    pub received: u64,
}

pub(super) fn cards(scope: &Scope<'_>) -> Cards {
    let catalogue = scope.basis.knowledge.catalogue(scope.basis.instance.unwrap_or(""));
    let mut bound: BTreeMap<&str, u64> = catalogue.vendors().iter().map(|vendor| (vendor.name.as_str(), 0)).collect();
    let mut cards = Cards::default();
    for row in &scope.rows {
        let operations = row.sums.operations.count;
        cards.total += operations;
        cards.unmeasured += row.sums.unmeasured;
        if let Some(vendor) = &row.about.vendor {
            *bound.entry(vendor).or_default() += operations;
        }
        if !row.about.inbound {
            let nobody = matches!(row.about.label, Label::Absent | Label::Inferred);
            cards.third_party += if row.about.class == Some(Class::ThirdParty) { operations } else { 0 };
            cards.kernel_only += if nobody { operations } else { 0 };
        }
    }
    cards.bound =
        bound.into_iter().map(|(vendor, operations)| Bound { vendor: vendor.to_owned(), operations }).collect();
    let history = scope.basis.rollup.history();
    let (from_ns, until_ns) = (scope.from_ns, scope.basis.now_ns);
    cards.self_egress = history.egress_between(from_ns, until_ns).map(|went| went.egress.flows).sum();
    let unrecorded = history.unrecorded_between(from_ns, until_ns);
    cards.unrecorded = unrecorded.filter(|it| scope.includes(&it.instance)).map(|it| it.flows + it.calls).sum();
    cards
}

pub(super) fn shares(scope: &Scope<'_>) -> Vec<Share> {
    let mut by: BTreeMap<(Option<Class>, bool), Sums> = BTreeMap::new();
    for row in &scope.rows {
        by.entry((row.about.class, row.about.inbound)).or_default().merge(row.sums);
    }
    by.into_iter()
        .map(|((class, inbound), sums)| Share {
            class,
            direction: direction(inbound),
            operations: sums.operations.count,
            sent: sums.sent,
            received: sums.received,
            unmeasured: sums.unmeasured,
        })
        .collect()
}

/// Probes of a name look-up sent nothing anywhere: they are no destination of anybody.
const fn went_there(sums: &Sums) -> bool {
    sums.operations.first_ns > 0 || sums.sent + sums.received > 0
}

/// The destinations, watched ones first, then those that are explained least; and how many are left out.
pub(super) fn destinations(scope: &Scope<'_>) -> (Vec<DestinationLine>, u64) {
    struct Line<'a> {
        row: &'a Row<'a>,
        sums: Sums,
        modules: BTreeSet<&'a str>,
    }
    let mut lines: BTreeMap<_, Line<'_>> = BTreeMap::new();
    for row in scope.rows.iter().filter(|row| went_there(row.sums)) {
        let (Some(class), Some(key)) = (row.about.class, row.key) else { continue };
        if row.about.inbound && row.about.vendor.is_none() {
            continue;
        }
        let port = key.remote.map(|(_, port)| port).filter(|_| !key.inbound);
        let line = lines.entry((class, key.display(), port, key.protocol, key.inbound)).or_insert_with(|| Line {
            row,
            sums: Sums::default(),
            modules: BTreeSet::new(),
        });
        line.sums.merge(row.sums);
        line.modules.extend(row.module());
    }
    let mut lines: Vec<DestinationLine> = lines
        .into_iter()
        .map(|((class, destination, port, protocol, inbound), Line { row, sums, modules })| DestinationLine {
            destination,
            direction: direction(inbound),
            named_by: row.key.and_then(Key::named_by).map(str::to_owned),
            port,
            protocol: wire::protocol(protocol),
            class,
            vendor: row.about.vendor.as_deref().map(str::to_owned),
            because: row.place.map(|place| place.because()).unwrap_or_default(),
            modules: modules.into_iter().map(str::to_owned).collect(),
            operations: sums.operations.count,
            sent: sums.sent,
            received: sums.received,
            unmeasured: sums.unmeasured,
            first: moment(sums.operations.first_ns),
            last: moment(sums.operations.last_ns),
        })
        .collect();
    lines.sort_by_key(|line| (rank(line.class), std::cmp::Reverse((line.operations, line.sent + line.received))));
    let left_out = lines.len().saturating_sub(LISTED) as u64;
    lines.truncate(LISTED);
    (lines, left_out)
}

/// What is explained least comes first.
const fn rank(class: Class) -> u8 {
    match class {
        Class::Watched => 0,
        Class::ThirdParty => 1,
        Class::Private => 2,
        Class::Documented => 3,
        Class::Configured => 4,
        Class::Own => 5,
    }
}

/// The modules that call out, the busiest first; and how many are left out.
pub(super) fn modules(scope: &Scope<'_>) -> (Vec<ModuleLine>, u64) {
    let mut lines: BTreeMap<_, (Sums, BTreeSet<String>)> = BTreeMap::new();
    for row in scope.rows.iter().filter(|row| !row.about.inbound && went_there(row.sums)) {
        let Some(key) = row.key else { continue };
        let line = lines.entry((&*key.instance, key.module.as_deref(), key.suspects.as_deref())).or_default();
        line.0.merge(row.sums);
        line.1.insert(key.display());
    }
    let knowledge = scope.basis.knowledge;
    let mut lines: Vec<ModuleLine> = lines
        .into_iter()
        .map(|((instance, module, suspects), (sums, destinations))| ModuleLine {
            instance: instance.to_owned(),
            module: module.map(str::to_owned),
            suspects: suspects.map(str::to_owned),
            author: module.and_then(|module| knowledge.facts(instance).author(module)).map(str::to_owned),
            vendor: module
                .and_then(|module| knowledge.vendor_of_module(instance, module))
                .map(|vendor| vendor.name.clone()),
            opaque: match suspects {
                Some(_) => Some(true),
                None => module.and_then(|module| knowledge.facts(instance).opaque(module)),
            },
            operations: sums.operations.count,
            sent: sums.sent,
            received: sums.received,
            unmeasured: sums.unmeasured,
            destinations: destinations.len() as u64,
            examples: destinations.into_iter().take(NAMED).collect(),
            first_seen: module
                .and_then(|module| scope.basis.rollup.first_call(instance, module))
                .map(|first| Moment(first.wall_ns)),
        })
        .collect();
    lines.sort_by_key(|line| std::cmp::Reverse((line.operations, line.sent + line.received)));
    let left_out = lines.len().saturating_sub(LISTED) as u64;
    lines.truncate(LISTED);
    (lines, left_out)
}

pub(super) fn hours(scope: &Scope<'_>) -> Vec<HourLine> {
    let mut by_hour: BTreeMap<u64, (Tally, u64, u64)> = BTreeMap::new();
    for row in &scope.rows {
        let hour = by_hour.entry(row.hour_ns).or_default();
        hour.0.merge(&row.sums.operations);
        hour.1 += row.sums.sent;
        hour.2 += row.sums.received;
    }
    by_hour
        .into_iter()
        .map(|(start, (tally, sent, received))| HourLine {
            start: Moment(start),
            operations: tally.count,
            sent,
            received,
        })
        .collect()
}

fn direction(inbound: bool) -> String {
    if inbound { "in".to_owned() } else { "out".to_owned() }
}

fn moment(ns: u64) -> Option<Moment> {
    (ns > 0).then_some(Moment(ns))
}
