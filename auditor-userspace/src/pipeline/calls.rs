//! Claims that are records of their own: the calls that go over a flow.

use auditor_common::body::{Call, Label, Sample};

use super::Pipeline;
use super::withheld::Withheld;
use crate::attribute::claims::PendingCall;
use crate::attribute::hint::Operation;
use crate::attribute::{self, Claimed, reason};
use crate::clock::Now;
use crate::evidence;

impl Pipeline {
    /// Records the calls that were claimed since the last turn.
    pub(super) fn record_calls(&mut self, now: Now) -> anyhow::Result<()> {
        let (calls, lost) = self.claims.take_calls();
        for call in &calls {
            self.record_call(call, now)?;
        }
        self.fresh.clear();
        self.lost(now, auditor_common::gap::Gap::HintOverrun, lost, "more calls were claimed at once than are kept")
    }

    fn record_call(&mut self, call: &PendingCall, now: Now) -> anyhow::Result<()> {
        // A process that nobody audits may claim what it likes.
        let Some(member) = self.lineage.get(call.who.tgid) else { return Ok(()) };
        let (instance, process) = (member.instance.clone(), member.process(call.who.tgid, 0));
        let claim = &call.claim;
        let serves = claim.operation == Operation::Serve;
        let channel = if serves { "serve" } else { claim.channel() };
        if !self.records(&instance) || !self.records_channel(&instance, channel) {
            self.withheld.call(&instance, now);
            return Ok(());
        }
        if self.flows.recorded_as(claim.key) == Some(None) {
            self.flows.announce(claim.key, &mut self.changes);
            self.record_changes(now)?;
        }
        let flow = self.flows.recorded_as(claim.key).flatten().or_else(|| self.fresh.get(&claim.key).copied());
        let claimed = Claimed {
            chain: claim.chain.to_vec(),
            site: claim.site.clone(),
            origin: claim.origin.clone(),
            database: claim.database.clone(),
            address: None,
            marks: claim.marks,
        };
        let attribution = match flow {
            Some(_) => attribute::labelled(&claimed, Label::Matched, reason::COOKIE),
            None => attribute::labelled(&claimed, Label::SelfReported, reason::UNBOUND),
        };
        let discretion = self.discretion(&instance);
        self.append(
            evidence::call(
                Call {
                    sample: Sample { boot_ns: call.boot_ns, cpu: None, kseq: None },
                    // A flow that policy left out has no record to point at.
                    flow: flow.filter(|&number| !Withheld::is(number)),
                    cookie: claim.key,
                    channel: channel.into(),
                    method: claim.method().map(str::to_owned),
                    attribution,
                    process,
                    instance,
                },
                discretion,
            ),
            now,
        )?;
        Ok(())
    }
}
