//! What others want of the ledger itself: a verification sealed, old records removed, another key, a part handed out.

use auditor_common::body::{Actor, Body, Export};

use super::Pipeline;
use super::seal::Sealing;
use crate::clock::{DAY_NS, HOUR_NS, Now};
use crate::policy::AskError;
use crate::serve::orders::{Done, Order, Outcome, Refused};
use crate::serve::status::Kept;
use crate::serve::wire;
use crate::store::{Removed, Usage};

/// How often it is looked whether there is something to remove.
const RETAIN_NS: u64 = HOUR_NS;
/// How often the window is told how much there is.
const MEASURE_NS: u64 = 60_000_000_000;
/// An instance is handed out so many parts in an hour: each of them is sealed, and read twice.
const EXPORTS_AN_HOUR: usize = 12;

impl Pipeline {
    /// Carries out an order that is about the ledger; `None` if it is about something else.
    pub(super) fn ledger_order(&mut self, order: &Order, now: Now) -> anyhow::Result<Option<Result<Done, Refused>>> {
        Ok(Some(match order {
            Order::Checked(checked) => Ok(self.record(Body::Checked(checked.clone()), now)?),
            // What holds is known only then.
            Order::Answer(_) if self.policies.is_none() => Err(Refused::NotYet),
            Order::Answer(ack) => Ok(self.record(Body::Ack(ack.clone()), now)?),
            Order::Retain { dry_run, actor } => self.retain_on_demand(*dry_run, actor, now)?,
            Order::Rotate => {
                let rotated = self.seal_by(now, |store, input| store.rotate(input, now, "demand"));
                self.outcome(rotated.map(Outcome::Rotated), now)?
            }
            Order::Announce { export, actor } => self.announce(export, *actor, now)?,
            Order::Sign(list) => {
                let signed = self.parts.store.sign_export(list).map_err(Sealing::Refused);
                self.outcome(signed.map(Outcome::Signed), now)?
            }
            _ => return Ok(None),
        }))
    }

    /// Appends a record that somebody waits for. What it says holds from here on.
    pub(super) fn record(&mut self, body: Body, now: Now) -> anyhow::Result<Done> {
        let seq = self.append(body.clone(), now)?;
        if let Some(policies) = &mut self.policies {
            policies.take(seq, now.wall_ns, &body);
        }
        Ok(Done { seq, wall_ns: now.wall_ns, outcome: Outcome::Recorded(Box::new(body)) })
    }

    /// What was done is sealed; what was refused is told; where the store has failed, the recording ends.
    fn outcome(&self, outcome: Result<Outcome, Sealing>, now: Now) -> anyhow::Result<Result<Done, Refused>> {
        match outcome {
            Ok(outcome) => {
                let seq = self.parts.store.sealed().saturating_sub(1);
                Ok(Ok(Done { seq, wall_ns: now.wall_ns, outcome }))
            }
            Err(Sealing::Refused(error)) => Ok(Err(Refused::Not(error.to_string()))),
            Err(Sealing::Failed(error)) => Err(error),
        }
    }

    fn announce(&mut self, export: &Export, actor: Actor, now: Now) -> anyhow::Result<Result<Done, Refused>> {
        if let Actor::Instance { .. } = actor
            && !self.exported.admits(&export.actor, now.wall_ns, EXPORTS_AN_HOUR)
        {
            return Ok(Err(AskError::TooMany.into()));
        }
        let announced = self.seal_by(now, |store, input| store.announce_export(export.clone(), input, now));
        self.outcome(announced.map(|announced| Outcome::Announced(Box::new(announced))), now)
    }

    fn retain_on_demand(&mut self, dry_run: bool, actor: &str, now: Now) -> anyhow::Result<Result<Done, Refused>> {
        // What was asked for may be to keep longer: nothing goes before that is known.
        if self.policies.is_none() {
            return Ok(Err(Refused::NotYet));
        }
        if dry_run {
            let usage = self.parts.store.usage().map_err(Sealing::Refused);
            return self.outcome(usage.map(|usage| Outcome::Removable(usage.removal(now.into()))), now);
        }
        let removed = self.retain(actor, now);
        self.outcome(removed.map(Outcome::Removed), now)
    }

    /// Removes what the policy lets go. What lies in it and still holds is said again first.
    fn retain(&mut self, actor: &str, now: Now) -> Result<Option<Removed>, Sealing> {
        let usage = self.parts.store.usage().map_err(Sealing::Refused)?;
        let Some(removal) = usage.removal(now.into()) else { return Ok(None) };
        let lasting = self.policies.as_ref().map(|policies| policies.lasting_below(removal.min_index));
        for restated in lasting.unwrap_or_default() {
            self.record(Body::Restated(restated), now)?;
        }
        let removed = self.seal_by(now, |store, input| store.retain(actor, input, now))?;
        self.measure(now);
        if let Some(removed) = &removed {
            let Removed { min_index, records, bytes, .. } = removed;
            tracing::info!(records, bytes, "removed by policy: what is kept begins with record {min_index}");
        }
        Ok(removed)
    }

    /// Removes what is due, and tells the window how much there is.
    pub(super) fn retain_if_due(&mut self, now: Now) -> anyhow::Result<()> {
        if now.boot_ns >= self.due.measure {
            self.measure(now);
        }
        if self.policies.is_none() || now.boot_ns < self.due.retain {
            return Ok(());
        }
        self.due.retain = now.boot_ns + RETAIN_NS;
        match self.retain("schedule", now) {
            Ok(_) => Ok(()),
            Err(Sealing::Failed(error)) => Err(error),
            // What could not be removed is there for the next time.
            Err(Sealing::Refused(error)) => {
                tracing::error!("old records could not be removed: {error}");
                Ok(())
            }
        }
    }

    /// Tells the window how much is kept. That it cannot be measured just now stops nothing.
    pub(super) fn measure(&mut self, now: Now) {
        self.due.measure = now.boot_ns + MEASURE_NS;
        match self.parts.store.usage() {
            Ok(usage) => {
                if let Ok(mut status) = self.parts.status.write() {
                    status.kept = Some(kept(&usage, now));
                }
            }
            Err(error) => tracing::warn!("how much is kept cannot be measured: {error}"),
        }
    }
}

fn kept(usage: &Usage, now: Now) -> Kept {
    let Usage { segments, policy } = usage;
    Kept {
        since: segments.first().map(|oldest| wire::time(oldest.oldest_wall_ns)).unwrap_or_default(),
        segments: segments.len() as u64,
        bytes: usage.bytes(),
        max_bytes: policy.max_bytes,
        keep_days: policy.keep_ns / DAY_NS,
        min_days: policy.min_ns / DAY_NS,
        full_in_days: usage.full_in_ns(now.into()).map(|ns| ns / DAY_NS),
    }
}
