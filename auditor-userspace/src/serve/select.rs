//! Which records were asked for.

use auditor_common::body::{Attribution, Body, FlowOpened, Label};
use serde::Deserialize;

use super::peer::Sight;

/// A question, as the query of `/v1/records` and `/v1/events` has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Select {
    /// From this `seq` on.
    pub from: Option<u64>,
    /// Appended at or after this moment, CLOCK_REALTIME nanoseconds.
    pub since_ns: Option<u64>,
    /// The shown module, or any of the chain.
    pub module: Option<String>,
    /// `matched`, `self_reported`, `inferred`, `absent`.
    pub label: Option<String>,
    /// `in` or `out`.
    pub direction: Option<String>,
    /// One instance.
    pub instance: Option<String>,
    /// At most this many records (without it: all there are).
    pub limit: Option<u64>,
}

impl Select {
    /// Why this question makes no sense, if it does not.
    pub fn check(&self) -> Result<(), String> {
        let known =
            |value: &Option<String>, words: &[&str]| value.as_deref().is_none_or(|value| words.contains(&value));
        if !known(&self.label, &["matched", "self_reported", "inferred", "absent"]) {
            return Err("label is one of matched, self_reported, inferred, absent".into());
        }
        if !known(&self.direction, &["in", "out"]) {
            return Err("direction is one of in, out".into());
        }
        Ok(())
    }

    /// Whether this record answers the question, and may be seen.
    #[must_use]
    pub fn admits(&self, sight: &Sight, body: &Body, opened: Option<&FlowOpened>) -> bool {
        let about = About::of(body, opened);
        sight.includes(about.instance)
            && self.instance.as_deref().is_none_or(|instance| about.instance == Some(instance))
            && self.module.as_deref().is_none_or(|module| about.attribution.is_some_and(|it| names(it, module)))
            && self.label.as_deref().is_none_or(|label| about.attribution.is_some_and(|it| word(it.label) == label))
            && self.direction.as_deref().is_none_or(|way| about.inbound == Some(way == "in"))
    }
}

fn names(attribution: &Attribution, module: &str) -> bool {
    attribution.module.as_deref() == Some(module) || attribution.chain.iter().any(|name| name == module)
}

const fn word(label: Label) -> &'static str {
    super::wire::label(label)
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
            Body::Decision(it) => Self { instance: Some(&it.instance), ..Self::default() },
            Body::Acknowledged(it) => Self { instance: Some(&it.instance), ..Self::default() },
            Body::Restated(it) => Self { instance: Some(&it.instance), ..Self::default() },
            Body::Unrecorded(it) => Self { instance: Some(&it.instance), ..Self::default() },
            _ => Self::default(),
        }
    }
}
