//! The rules of the verdict, each of them one function that finds its reasons.

mod asked; // what somebody asked for
mod recording; // the recording itself
mod traffic; // what went over the wire

use std::collections::BTreeSet;

pub(super) use traffic::LEARNING_NS;

use super::basis::Basis;
use super::reason::{Acknowledged, Filter, Moment, Reason};
use crate::destination::Class;
use crate::policy::record::Actor;
use crate::rollup::row::{Row, Tally};

/// What the rules look at: the lines of one window and one instance.
pub(super) struct Scope<'a> {
    pub(super) basis: &'a Basis<'a>,
    /// Where the window begins: a full hour.
    pub(super) from_ns: u64,
    pub(super) rows: Vec<Row<'a>>,
}

impl Scope<'_> {
    /// Whether something of this instance belongs to the report.
    pub(super) fn includes(&self, instance: &str) -> bool {
        self.basis.instance.is_none_or(|own| own == instance)
    }

    /// The instance that a policy or an acknowledgement has to be about.
    fn about(&self) -> &str {
        self.basis.instance.unwrap_or("")
    }

    /// Whether something that lasted from one moment to another touches the window.
    fn touches(&self, from_ns: u64, until_ns: u64) -> bool {
        until_ns >= self.from_ns && from_ns <= self.basis.now_ns
    }

    fn filter(&self) -> Filter {
        Filter {
            instance: self.basis.instance.map(str::to_owned),
            since: Some(Moment(self.from_ns)),
            ..Filter::default()
        }
    }

    /// The records between the first and the last of a tally.
    fn records(&self, tally: &Tally) -> Filter {
        let seen = tally.first_ns > 0;
        Filter { from_seq: seen.then_some(tally.first_seq), to_seq: seen.then_some(tally.last_seq), ..self.filter() }
    }
}

/// All reasons, the worst first; those that were acknowledged say so.
pub(super) fn reasons(scope: &Scope<'_>) -> Vec<Reason> {
    let mut found = Vec::new();
    recording::judge(scope, &mut found);
    traffic::judge(scope, &mut found);
    asked::judge(scope, &mut found);
    for reason in &mut found {
        reason.acknowledged = reason.acknowledged.take().or_else(|| acknowledged(scope, reason));
    }
    found.sort_by(|one, two| {
        let order = |reason: &Reason| (reason.acknowledged.is_some(), std::cmp::Reverse(reason.severity));
        order(one).cmp(&order(two)).then_with(|| (&one.id, &one.subject).cmp(&(&two.id, &two.subject)))
    });
    found
}

/// An acknowledgement covers what was seen before it; what recurs returns.
fn acknowledged(scope: &Scope<'_>, reason: &Reason) -> Option<Acknowledged> {
    let (sealed, ack) = scope.basis.policies.ack(scope.about(), &reason.id, &reason.subject)?;
    (reason.last_seq < ack.before_seq).then(|| Acknowledged {
        at: Moment(sealed.wall_ns),
        seq: sealed.seq,
        by: match ack.actor {
            Actor::Host { .. } => "host".into(),
            Actor::Instance { .. } => "instance".into(),
        },
        text: ack.text.clone(),
    })
}

/// What several lines have in common.
#[derive(Default)]
struct Group {
    tally: Tally,
    bytes: u64,
    places: BTreeSet<String>,
}

impl Group {
    fn add(&mut self, row: &Row<'_>) {
        self.tally.merge(&row.sums.operations);
        self.bytes += row.sums.sent + row.sums.received;
        if let Some(key) = row.key {
            self.places.insert(key.display());
        }
    }

    /// The tally, if there is anything in it. A flow that began before the window and goes on is one operation.
    fn seen(&self) -> Option<Tally> {
        let goes_on = self.tally.count == 0 && self.bytes > 0;
        let tally = Tally { count: self.tally.count + u64::from(goes_on), ..self.tally };
        (tally.count > 0).then_some(tally)
    }

    /// ": a, b and 3 more", or nothing.
    fn examples(&self) -> String {
        const SHOWN: usize = 2;
        let shown: Vec<&str> = self.places.iter().take(SHOWN).map(String::as_str).collect();
        match self.places.len() {
            0 => String::new(),
            count if count > SHOWN => format!(": {} and {} more", shown.join(", "), count - SHOWN),
            _ => format!(": {}", shown.join(", ")),
        }
    }
}

/// Unexplained, and no watched vendor's.
const fn is_unexplained(class: Option<Class>) -> bool {
    matches!(class, Some(Class::ThirdParty | Class::Private))
}
