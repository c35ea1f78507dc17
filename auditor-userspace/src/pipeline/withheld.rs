//! What policy leaves out of the record: seen, counted, and declared.

use std::collections::{BTreeMap, HashMap};

use auditor_common::body::{Body, Unrecorded};

use super::Pipeline;
use crate::clock::Now;
use crate::evidence::Discretion;
use crate::flow::{Ended, PENDING};

/// Flows that are not recorded have numbers of their own, which no record has.
const NO_RECORDS: u64 = 1 << 63;
/// What was counted waits no longer than this to be declared, nanoseconds.
pub(super) const DECLARE_NS: u64 = 10_000_000_000;

/// What was not recorded.
#[derive(Debug, Default)]
pub(super) struct Withheld {
    last: u64,
    /// Flows that go on: whose.
    open: HashMap<u64, String>,
    /// What is not declared yet, by instance.
    counts: BTreeMap<String, Unrecorded>,
}

impl Withheld {
    /// Whether this is the number of a flow that is not recorded.
    pub(super) const fn is(number: u64) -> bool {
        number >= NO_RECORDS && number != PENDING
    }

    fn of(&mut self, instance: &str, now: Now) -> &mut Unrecorded {
        let fresh = || Unrecorded { instance: instance.to_owned(), from_wall_ns: now.wall_ns, ..Unrecorded::default() };
        self.counts.entry(instance.to_owned()).or_insert_with(fresh)
    }

    /// A flow began; gives the number that stands for its record.
    pub(super) fn flow(&mut self, instance: &str, now: Now) -> u64 {
        self.of(instance, now).flows += 1;
        self.last += 1;
        let number = NO_RECORDS | self.last;
        self.open.insert(number, instance.to_owned());
        number
    }

    /// A flow that was not recorded ended.
    pub(super) fn ended(&mut self, ended: &Ended, now: Now) {
        let Some(instance) = self.open.remove(&ended.flow) else { return };
        let count = self.of(&instance, now);
        count.sent = count.sent.saturating_add(ended.sent.unwrap_or(0));
        count.received = count.received.saturating_add(ended.received.unwrap_or(0));
    }

    /// A call was claimed.
    pub(super) fn call(&mut self, instance: &str, now: Now) {
        self.of(instance, now).calls += 1;
    }

    /// Takes out what is to be declared: of one instance, or whatever has waited for so long.
    fn due(&mut self, whose: Option<&str>, age_ns: u64, now: Now) -> Vec<Unrecorded> {
        let is_due = |it: &Unrecorded| match whose {
            Some(instance) => it.instance == instance,
            None => now.wall_ns.saturating_sub(it.from_wall_ns) >= age_ns,
        };
        let due: Vec<String> = self.counts.values().filter(|it| is_due(it)).map(|it| it.instance.clone()).collect();
        let taken = due.iter().filter_map(|instance| self.counts.remove(instance));
        taken.map(|it| Unrecorded { until_wall_ns: now.wall_ns, ..it }).collect()
    }
}

impl Pipeline {
    /// Whether this instance is recorded. Until the records have told otherwise, as the host has it.
    pub(super) fn records(&self, instance: &str) -> bool {
        self.policies.as_ref().map_or(self.parts.terms.policy.auditing, |policies| policies.auditing(instance))
    }

    /// Whether calls of this channel are recorded.
    pub(super) fn records_channel(&self, instance: &str, channel: &str) -> bool {
        let of_the_host = || !self.parts.terms.policy.disabled_channels.contains(channel);
        self.policies.as_ref().map_or_else(of_the_host, |policies| policies.channel(instance, channel))
    }

    /// What is left out of the records of this instance.
    pub(super) fn discretion(&self, instance: &str) -> Discretion {
        let of_the_host = self.parts.terms.policy.strict_redaction;
        let strict = self.policies.as_ref().map_or(of_the_host, |policies| policies.strict_redaction(instance));
        Discretion { client_addresses: self.parts.client_addresses, strict }
    }

    /// Declares what was counted and not recorded: of one instance, or whatever has waited for so long.
    pub(super) fn declare_withheld(&mut self, whose: Option<&str>, age_ns: u64, now: Now) -> anyhow::Result<()> {
        for it in self.withheld.due(whose, age_ns, now) {
            self.append(Body::Unrecorded(it), now)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use auditor_common::body::{FlowEnd, Sample, Unrecorded};

    use super::{DECLARE_NS, Withheld};
    use crate::clock::Now;
    use crate::flow::{Ended, PENDING};

    fn at(wall_ns: u64) -> Now {
        Now { wall_ns, ..Now::default() }
    }

    fn ended(flow: u64) -> Ended {
        Ended {
            flow,
            sample: Sample { boot_ns: 0, cpu: None, kseq: None },
            end: FlowEnd::Closed,
            error: None,
            sent: Some(5),
            received: None,
            duration_ns: 0,
            handshake_ns: None,
            greeted: None,
        }
    }

    #[test]
    fn a_flow_that_is_not_recorded_has_a_number_that_no_record_has() {
        let mut withheld = Withheld::default();
        let number = withheld.flow("a", at(1));
        assert!(Withheld::is(number) && !Withheld::is(7) && !Withheld::is(PENDING));
    }

    #[test]
    fn what_is_not_recorded_is_counted_and_declared_when_it_is_due() {
        let mut withheld = Withheld::default();
        let number = withheld.flow("a", at(1));
        withheld.call("a", at(2));
        withheld.call("b", at(3));
        withheld.ended(&ended(number), at(4));
        withheld.ended(&ended(number), at(5));
        assert_eq!(withheld.due(None, DECLARE_NS, at(DECLARE_NS)), []);
        let one = Unrecorded {
            instance: "a".into(),
            from_wall_ns: 1,
            until_wall_ns: 1 + DECLARE_NS,
            flows: 1,
            calls: 1,
            sent: 5,
            received: 0,
        };
        assert_eq!(withheld.due(None, DECLARE_NS, at(1 + DECLARE_NS)), [one]);
        assert_eq!(withheld.due(Some("b"), DECLARE_NS, at(6)).len(), 1);
        assert_eq!(withheld.due(None, 0, at(7)), []);
    }
}
