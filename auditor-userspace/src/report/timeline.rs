//! When the recording was not whole.

use auditor_common::gap::Gap;
use serde::{Deserialize, Serialize};

use super::judge::Scope;
use super::reason::Moment;
use crate::policy::change::Change;
use crate::rollup::history::Before;
use crate::serve::wire;

/// What a span of the timeline stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Nobody recorded, and that had been said.
    Stopped,
    /// Nobody recorded, and nobody had said so.
    Interrupted,
    /// Somebody had switched the recording off.
    SwitchedOff,
    /// A hook was off the kernel.
    HookOff,
    /// Something was lost.
    Lost,
}

/// A span in which the recording was not whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// From when.
    pub from: Moment,
    /// Until when; `None` if it lasts.
    pub until: Option<Moment>,
    /// What it was.
    pub what: What,
    /// What in particular.
    pub detail: String,
}

/// The spans that touch the window, in their order.
pub(super) fn spans(scope: &Scope<'_>) -> Vec<Span> {
    let history = scope.basis.rollup.history();
    let runs = history.runs().filter_map(|run| {
        let from = run.silent_since_ns?;
        let what = if run.before == Before::Stopped { What::Stopped } else { What::Interrupted };
        Some(Span { from: Moment(from), until: Some(Moment(run.start_ns)), what, detail: String::new() })
    });
    let hooks = history.pauses().map(|pause| Span {
        from: Moment(pause.from_ns),
        until: pause.until_ns.map(Moment),
        what: What::HookOff,
        detail: pause.hook.clone(),
    });
    let losses = history.losses().filter(|&(_, gap, _)| gap != Gap::HookDetached as u64).map(|(_, gap, lost)| Span {
        from: Moment(lost.from_ns),
        until: Some(Moment(lost.until_ns)),
        what: What::Lost,
        detail: wire::gap(gap),
    });
    let mut spans: Vec<Span> = runs.chain(hooks).chain(losses).chain(switched_off(scope)).collect();
    let now = Moment(scope.basis.now_ns);
    spans.retain(|span| span.until.unwrap_or(now).0 >= scope.from_ns && span.from <= now);
    spans.sort_by_key(|span| (span.from, span.what));
    spans
}

fn switched_off(scope: &Scope<'_>) -> Vec<Span> {
    let mut spans: Vec<(String, Span)> = Vec::new();
    for (sealed, record) in scope.basis.policies.decisions() {
        if !record.step.takes_effect() || !scope.includes(&record.instance) {
            continue;
        }
        let at = Moment(sealed.wall_ns);
        let open = spans.iter_mut().find(|(instance, span)| *instance == record.instance && span.until.is_none());
        match (Change::of(record), open) {
            (Some(Change::Auditing(true)), Some((_, span))) => span.until = Some(at),
            (Some(Change::Auditing(false)), None) => {
                let detail = if scope.basis.instance.is_some() { String::new() } else { record.instance.clone() };
                let span = Span { from: at, until: None, what: What::SwitchedOff, detail };
                spans.push((record.instance.clone(), span));
            }
            _ => {}
        }
    }
    spans.into_iter().map(|(_, span)| span).collect()
}
