//! What others asked for: recorded, sealed, and only then answered.

use std::collections::{HashMap, VecDeque};

use auditor_common::body::{AckRecord, Actor, Body, PolicyRecord};

use super::Pipeline;
use crate::clock::{HOUR_NS, Now};
use crate::policy::{AskError, REQUESTS_AN_HOUR};
use crate::serve::orders::{Done, Order, Refused};

/// When each instance had something done lately.
#[derive(Debug, Default)]
pub(super) struct Lately(HashMap<String, VecDeque<u64>>);

impl Lately {
    /// Whether an instance may do it once more; counts it if so.
    pub(super) fn admits(&mut self, instance: &str, now_ns: u64, most: usize) -> bool {
        let since = now_ns.saturating_sub(HOUR_NS);
        self.0.retain(|_, times| {
            times.retain(|&at| at >= since);
            !times.is_empty()
        });
        let times = self.0.entry(instance.to_owned()).or_default();
        let room = times.len() < most;
        if room {
            times.push_back(now_ns);
        }
        room
    }
}

impl Pipeline {
    /// Does what was asked for since the last turn. Who asked is told after the seal, so that no crash takes back what
    /// somebody was told.
    pub(super) fn take_orders(&mut self, now: Now) -> anyhow::Result<()> {
        let mut outcomes = Vec::new();
        while let Ok(ordered) = self.parts.orders.try_recv() {
            let outcome = self.carry_out(&ordered.order, now)?;
            outcomes.push((ordered, outcome));
        }
        // What was done has its seal already, or gets it now.
        let store = &self.parts.store;
        let unsealed = store.pending() > 0 || store.unsealed() > 0;
        if unsealed && outcomes.iter().any(|(_, outcome)| outcome.is_ok()) {
            self.seal(now)?;
        }
        for (ordered, outcome) in outcomes {
            ordered.answer(outcome);
        }
        Ok(())
    }

    fn carry_out(&mut self, order: &Order, now: Now) -> anyhow::Result<Result<Done, Refused>> {
        if let Order::Begin(policies) = order {
            self.policies = Some((**policies).clone());
            self.keep_for_long_enough("configuration", now)?;
            return Ok(Err(Refused::NotYet));
        }
        if let Some(outcome) = self.ledger_order(order, now)? {
            return Ok(outcome);
        }
        let Some(policies) = &self.policies else { return Ok(Err(Refused::NotYet)) };
        let decided = match order {
            Order::Ask { instance, actor, change } => {
                policies.ask(instance, *actor, change, &self.parts.catalogue, now.wall_ns)
            }
            Order::Decide { number, accept, actor } => policies.decide(*number, *accept, *actor),
            Order::Acknowledge(record) => return self.acknowledge(record, now),
            _ => return Ok(Err(Refused::NotYet)),
        };
        match decided {
            Ok(record) => Ok(Ok(self.decide(record, now)?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    /// Records a decision; it holds from here on.
    fn decide(&mut self, record: PolicyRecord, now: Now) -> anyhow::Result<Done> {
        // What was left out until now was left out by the policy before.
        self.declare_withheld(Some(&record.instance), 0, now)?;
        let done = self.record(Body::Decision(record.clone()), now)?;
        self.keep_for_long_enough(&actor(&record), now)?;
        tracing::info!(record.number, record.instance, record.setting, record.value, "{}", record.reason);
        Ok(done)
    }

    /// What may be removed follows from the longest retention that anybody got, and from what the host configured. The
    /// store says nothing twice.
    fn keep_for_long_enough(&mut self, actor: &str, now: Now) -> anyhow::Result<()> {
        let Some(policies) = &self.policies else { return Ok(()) };
        let wanted = self.parts.retention.policy(policies.retention_days(), actor);
        let known = self.parts.store.policy();
        if (known.keep_ns, known.max_bytes, known.min_ns) != (wanted.keep_ns, wanted.max_bytes, wanted.min_ns) {
            self.parts.store.set_policy(&wanted, now)?;
            self.measure(now);
        }
        Ok(())
    }

    fn acknowledge(&mut self, record: &AckRecord, now: Now) -> anyhow::Result<Result<Done, Refused>> {
        let by_instance = matches!(record.actor, Actor::Instance { .. });
        if by_instance && !self.acknowledged.admits(&record.instance, now.wall_ns, REQUESTS_AN_HOUR) {
            return Ok(Err(AskError::TooMany.into()));
        }
        let next = self.parts.store.acknowledged() + self.parts.store.pending() as u64;
        let body = Body::Acknowledged(AckRecord { before_seq: record.before_seq.min(next), ..record.clone() });
        Ok(Ok(self.record(body, now)?))
    }
}

/// Who decided, as the policy of retention names it.
fn actor(record: &PolicyRecord) -> String {
    match record.actor {
        Actor::Host { uid } => format!("user {uid}"),
        Actor::Instance { .. } => format!("instance {}", record.instance),
    }
}

#[cfg(test)]
mod tests {
    use super::{HOUR_NS, Lately, REQUESTS_AN_HOUR};

    #[test]
    fn an_instance_may_acknowledge_so_much_in_an_hour_and_no_more() {
        let mut lately = Lately::default();
        assert!((0..REQUESTS_AN_HOUR).all(|at| lately.admits("a", HOUR_NS + at as u64, REQUESTS_AN_HOUR)));
        assert!(!lately.admits("a", HOUR_NS + 1_000, REQUESTS_AN_HOUR));
        assert!(lately.admits("b", HOUR_NS + 1_000, REQUESTS_AN_HOUR), "another instance");
        assert!(lately.admits("a", 2 * HOUR_NS + 1_000, REQUESTS_AN_HOUR), "an hour later");
    }
}
