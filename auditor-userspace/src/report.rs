//! The verdict, and the figures beside it: the one place that computes them.
//!
//! Pure: records (as sums), catalogue, policy, what the host says of itself, and the time are arguments. Odoo's page,
//! the command line and the API show what comes out of here, and conclude nothing themselves.
//!
//! | verdict | when |
//! |---|---|
//! | alarm | `store_violated`, `records_missing`, `contradiction`, `watched_hosts`, `watched_modules`, `raw_socket`, `packet_socket`, `stolen_descriptor`, `ptrace`, `self_egress`, `capture_off` |
//! | attention | `unattributed`, `lost`, `interrupted`, `hook_off`, `auditing_off`, `loosened`, `watched_native`, `first_contact`, `unverified` |
//! | all-clear | none of these; notes do not change it: `new_destinations`, `clock_set`, `open_before`, `restarted`, `recycled`, `lower_tier`, `root_key`, `claimed_settings`, `passed_through`, `folded`, `forgotten`, `waiting` |
//!
//! A reason that was acknowledged does not count, until it recurs.

pub mod basis; // what a report is made of
pub mod code; // the short code
mod judge; // the rules
pub mod panels; // the figures
pub mod reason; // why
pub mod text; // for people at a terminal
pub mod timeline; // when the recording was not whole

use serde::{Deserialize, Serialize};

use crate::clock::HOUR_NS;
use basis::Basis;
use judge::Scope;
use panels::{Cards, DestinationLine, HourLine, ModuleLine, Share};
use reason::{Moment, Reason, Verdict};
use timeline::Span;

/// The rules of the verdict, by the names of their reasons.
pub const RULES: [&str; 33] = [
    "store_violated",
    "records_missing",
    "contradiction",
    "watched_hosts",
    "watched_modules",
    "raw_socket",
    "packet_socket",
    "stolen_descriptor",
    "ptrace",
    "self_egress",
    "capture_off",
    "unattributed",
    "lost",
    "interrupted",
    "hook_off",
    "auditing_off",
    "loosened",
    "watched_native",
    "first_contact",
    "unverified",
    "over_size",
    "new_destinations",
    "clock_set",
    "open_before",
    "restarted",
    "recycled",
    "lower_tier",
    "root_key",
    "claimed_settings",
    "passed_through",
    "folded",
    "forgotten",
    "waiting",
];

/// A report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whose; `None` for all instances of the host.
    pub instance: Option<String>,
    /// Where the window begins: a full hour.
    pub from: Moment,
    /// Where it ends: now.
    pub until: Moment,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, the worst first.
    pub reasons: Vec<Reason>,
    /// While this lasts, new destinations are learnt and not told.
    pub learning_until: Option<Moment>,
    /// Summary cards.
    pub cards: Cards,
    /// Traffic by class and direction.
    pub shares: Vec<Share>,
    /// Destinations, those first that are explained least.
    pub destinations: Vec<DestinationLine>,
    /// Destinations that did not fit into the list.
    pub destinations_left_out: u64,
    /// Modules that call out, the busiest first.
    pub modules: Vec<ModuleLine>,
    /// Modules that did not fit into the list.
    pub modules_left_out: u64,
    /// Operations and bytes by hour.
    pub hours: Vec<HourLine>,
    /// When the recording was not whole.
    pub gaps: Vec<Span>,
    /// When the daemon verified its own ledger last.
    pub verified: Option<Moment>,
    /// What that found: the verifier's sentence.
    pub verified_as: Option<String>,
    /// How many records the newest checkpoint covers.
    pub checkpoint_size: Option<u64>,
    /// The short code over verdict and checkpoint.
    pub code: String,
}

/// Computes a report.
#[must_use]
pub fn report(basis: &Basis<'_>) -> Report {
    let from_ns = basis.now_ns.saturating_sub(basis.window_ns) / HOUR_NS * HOUR_NS;
    let rows = basis.rollup.rows(from_ns, basis.now_ns, basis.knowledge);
    let own = |instance: &str| basis.instance.is_none_or(|own| own == instance);
    let scope = Scope { basis, from_ns, rows: rows.filter(|row| own(&row.about.instance)).collect() };
    let reasons = judge::reasons(&scope);
    let verdict = reasons.iter().map(Reason::verdict).max().unwrap_or(Verdict::AllClear);
    let (destinations, destinations_left_out) = panels::destinations(&scope);
    let (modules, modules_left_out) = panels::modules(&scope);
    let verified = basis.rollup.history().newest_check();
    Report {
        instance: basis.instance.map(str::to_owned),
        from: Moment(from_ns),
        until: Moment(basis.now_ns),
        verdict,
        learning_until: learning_until(&scope),
        cards: panels::cards(&scope),
        shares: panels::shares(&scope),
        destinations,
        destinations_left_out,
        modules,
        modules_left_out,
        hours: panels::hours(&scope),
        gaps: timeline::spans(&scope),
        verified: verified.map(|check| Moment(check.wall_ns)),
        verified_as: verified.map(|check| check.summary.clone()),
        checkpoint_size: basis.checkpoint.and_then(size),
        code: code::code(basis.instance, verdict, &reasons, basis.checkpoint),
        reasons,
    }
}

/// The second line of a checkpoint (C2SP tlog-checkpoint).
fn size(checkpoint: &str) -> Option<u64> {
    checkpoint.lines().nth(1)?.parse().ok()
}

fn learning_until(scope: &Scope<'_>) -> Option<Moment> {
    let instances = scope.basis.rollup.instances().filter(|(name, _)| scope.includes(name));
    let until = instances.map(|(_, first)| first.wall_ns.saturating_add(judge::LEARNING_NS)).max()?;
    (until > scope.basis.now_ns).then_some(Moment(until))
}

#[cfg(test)]
mod tests;
