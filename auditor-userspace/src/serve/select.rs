//! Which records were asked for.

use auditor_common::body::{Attribution, Body, FlowOpened, Guard, Guarded, Label, Loss};
use auditor_common::gap::Gap;
use serde::Deserialize;

use super::peer::Sight;
use super::wire;
use crate::destination::{Class, Destination, Knowledge, Name, Seen, best, encrypted};
use crate::report::reason::Moment;

/// A question, as the query of `/v1/records` and `/v1/events` has it: the words of a reason's filter, and how much.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Select {
    /// From this `seq` on.
    #[serde(alias = "from_seq")]
    pub from: Option<u64>,
    /// To this `seq`.
    pub to_seq: Option<u64>,
    /// Before this `seq`, the newest first.
    pub before: Option<u64>,
    /// Appended at or after this moment, CLOCK_REALTIME nanoseconds.
    pub since_ns: Option<u64>,
    /// The same, as RFC 3339.
    pub since: Option<Moment>,
    /// Appended before the first record of this moment or later, CLOCK_REALTIME nanoseconds.
    pub to_ns: Option<u64>,
    /// `event`, `loss`, `run`, `seal`, `policy`, …
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The shown module, or any of the chain.
    pub module: Option<String>,
    /// `matched`, `self_reported`, `inferred`, `absent`.
    pub label: Option<String>,
    /// `in` or `out`.
    pub direction: Option<String>,
    /// The class of the destination, as it is known now.
    pub class: Option<String>,
    /// Destinations of a watched vendor.
    pub vendor: Option<String>,
    /// Contradicted claims only.
    pub contradiction: bool,
    /// What no ordinary Odoo does, by its word.
    pub guard: Option<String>,
    /// Losses of this reason.
    pub gap: Option<String>,
    /// One instance.
    pub instance: Option<String>,
    /// At most this many records (without it: all there are).
    pub limit: Option<u64>,
}

impl Select {
    /// Why this question makes no sense, if it does not.
    pub fn check(&self) -> Result<(), String> {
        let classes = Class::ALL.map(Class::word);
        let gaps = Gap::ALL.map(Gap::word);
        let guards = Guarded::ALL.map(Guarded::word);
        for (name, value, words) in [
            ("label", &self.label, &["matched", "self_reported", "inferred", "absent"][..]),
            ("direction", &self.direction, &["in", "out"]),
            ("type", &self.kind, &wire::TYPES),
            ("class", &self.class, &classes),
            ("guard", &self.guard, &guards),
            ("gap", &self.gap, &gaps),
        ] {
            if value.as_deref().is_some_and(|value| !words.contains(&value)) {
                return Err(format!("{name} is one of {}", words.join(", ")));
            }
        }
        Ok(())
    }

    /// Whether this record answers the question, and may be seen.
    #[must_use]
    pub fn admits(&self, sight: &Sight, line: &Line<'_>) -> bool {
        let about = About::of(line.body, line.opened);
        let asked = |wanted: &Option<String>, is: &dyn Fn(&str) -> bool| wanted.as_deref().is_none_or(is);
        sight.includes(about.instance)
            && asked(&self.instance, &|instance| about.instance == Some(instance))
            && asked(&self.kind, &|kind| wire::kind(line.body) == kind)
            && asked(&self.module, &|module| about.attribution.is_some_and(|it| names(it, module)))
            && asked(&self.label, &|label| about.attribution.is_some_and(|it| word(it.label) == label))
            && asked(&self.direction, &|way| about.inbound == Some(way == "in"))
            && asked(&self.class, &|class| line.destination.is_some_and(|it| it.place.class().word() == class))
            && asked(&self.vendor, &|vendor| {
                line.destination.and_then(|it| it.vendor).is_some_and(|it| it.name == vendor)
            })
            && (!self.contradiction || about.attribution.is_some_and(|it| !it.contradictions.is_empty()))
            && asked(&self.guard, &|word| matches!(line.body, Body::Guard(Guard { what, .. }) if what.word() == word))
            && asked(&self.gap, &|gap| matches!(line.body, Body::Loss(Loss { gap: it, .. }) if wire::gap(*it) == gap))
    }
}

/// A record, and what is known beside it.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// What it says.
    pub body: &'a Body,
    /// The record of the flow that it speaks of.
    pub opened: Option<&'a FlowOpened>,
    /// Where that flow goes.
    pub destination: Option<Destination<'a>>,
    /// What its other end is called, as far as this record and the one that opened the flow know.
    pub name: Option<Name>,
}

impl<'a> Line<'a> {
    /// Decides where it goes, as far as that is known now. Whose call it is says the call; where it goes says the flow.
    #[must_use]
    pub fn of(body: &'a Body, opened: Option<&'a FlowOpened>, knowledge: &'a Knowledge) -> Self {
        let (flow, caller) = match body {
            Body::FlowOpened(flow) => (Some(flow), None),
            Body::FlowTraffic(_) => (opened, None),
            Body::Call(call) => (opened, Some(&call.attribution)),
            _ => (None, None),
        };
        let later = if let Body::FlowTraffic(traffic) = body { &traffic.names[..] } else { &[] };
        let names: Vec<Name> = flow.iter().flat_map(|flow| &flow.names).chain(later).map(Name::from).collect();
        let destination = flow.map(|flow| {
            let attribution = caller.unwrap_or(&flow.attribution);
            let module = attribution.module.as_deref();
            let tls = encrypted(&names);
            let seen = Seen { inbound: flow.inbound, remote: &flow.remote, names: &names, module, tls };
            knowledge.destination(&flow.instance, &seen)
        });
        Self { body, opened, destination, name: best(&names).cloned() }
    }
}

fn names(attribution: &Attribution, module: &str) -> bool {
    attribution.module.as_deref() == Some(module) || attribution.chain.iter().any(|name| name == module)
}

const fn word(label: Label) -> &'static str {
    wire::label(label)
}

/// Whom and what a record is about.
#[derive(Default)]
struct About<'a> {
    instance: Option<&'a str>,
    attribution: Option<&'a Attribution>,
    inbound: Option<bool>,
}

impl<'a> About<'a> {
    fn of(body: &'a Body, opened: Option<&'a FlowOpened>) -> Self {
        let flow = |flow: &'a FlowOpened| Self {
            instance: Some(&flow.instance),
            attribution: Some(&flow.attribution),
            inbound: Some(flow.inbound),
        };
        match body {
            Body::FlowOpened(it) => flow(it),
            // A flow whose opening is not at hand belongs to an instance that cannot be named: nobody but root sees it.
            Body::FlowTraffic(_) => opened.map_or(Self { instance: Some(""), ..Self::default() }, flow),
            Body::Call(call) => Self {
                instance: Some(&call.instance),
                attribution: Some(&call.attribution),
                inbound: Some(call.channel == "serve"),
            },
            Body::Process(process) => {
                Self { instance: Some(&process.instance), attribution: Some(&process.attribution), inbound: None }
            }
            Body::Guard(guard) => {
                Self { instance: Some(&guard.instance), attribution: Some(&guard.attribution), inbound: None }
            }
            Body::Decision(it) => Self { instance: Some(&it.instance), ..Self::default() },
            Body::Acknowledged(it) => Self { instance: Some(&it.instance), ..Self::default() },
            Body::Restated(it) => Self { instance: Some(&it.instance), ..Self::default() },
            Body::Unrecorded(it) => Self { instance: Some(&it.instance), ..Self::default() },
            _ => Self::default(),
        }
    }
}
