//! What no ordinary Odoo does becomes a record.
//!
//! A claim about a socket is made when it connects or sends, which is after it was made: a socket that nobody claims waits
//! a moment for that.

use auditor_common::body::{Attribution, Guard, Guarded, Label, Process};
use auditor_common::event::{self, flag};

use super::Pipeline;
use crate::attribute;
use crate::attribute::claims::same_process;
use crate::attribute::lineage::Identity;
use crate::attribute::proc::Processes as _;
use crate::clock::Now;
use crate::evidence;

/// How long a socket waits for a claim. A seal ends it: the sample has to be recorded under the seal that counts it.
const CLAIM_WAIT_NS: u64 = 500_000_000;

/// What waits for a claim.
#[derive(Debug)]
pub(super) struct Unclaimed {
    record: Guard,
    heard_ns: u64,
}

impl Pipeline {
    /// Takes an event; its record follows in this turn, or a moment later.
    pub(super) fn guarded(&mut self, event: &event::Guard, now: Now) {
        let Some(what) = Guarded::from_number(event.what) else {
            tracing::error!(what = event.what, "the kernel half guards more than the daemon: they were built apart");
            return;
        };
        self.know(&event.header);
        let header = &event.header;
        let (process, instance) = match self.member(header) {
            Some(member) => (member.process(header.tid, header.cgroup), member.instance.clone()),
            None => (evidence::bare_process(header), String::new()),
        };
        let of_socket = event.target_tgid == 0;
        let record = Guard {
            sample: header.into(),
            what,
            family: of_socket.then_some(event.family),
            protocol: (what == Guarded::RawSocket).then_some(event.protocol),
            cookie: of_socket.then_some(event.key.cookie),
            netns: of_socket.then_some(event.key.netns),
            opened_before: header.flags & flag::OPENED_BEFORE != 0,
            target: (!of_socket).then(|| self.target(event)),
            process,
            attribution: attribute::unattributed(attribute::reason::NO_CLAIM),
            instance,
        };
        self.unclaimed.push(Unclaimed { record, heard_ns: now.boot_ns });
    }

    /// Records those that were claimed, or have waited for long enough, or are these, of which nothing is waited for any more.
    pub(super) fn record_guards(&mut self, these: impl Fn(&Guard) -> bool, now: Now) -> anyhow::Result<()> {
        for mut it in std::mem::take(&mut self.unclaimed) {
            let record = &mut it.record;
            record.attribution = self.whose(record);
            let may_be_claimed = record.cookie.is_some() && record.attribution.label == Label::Absent;
            if may_be_claimed && !these(record) && now.boot_ns.saturating_sub(it.heard_ns) < CLAIM_WAIT_NS {
                self.unclaimed.push(it);
            } else if self.records(&it.record.instance) {
                let discretion = self.discretion(&it.record.instance);
                self.append(evidence::guard(it.record, discretion), now)?;
            }
        }
        Ok(())
    }

    fn whose(&self, record: &Guard) -> Attribution {
        let who = Identity { tgid: record.process.tgid, start_ns: record.process.start_ns };
        attribute::guarded(&self.claims, record.cookie, record.opened_before, self.audited(who))
    }

    /// The other process, as far as anything is known of it: it may be nobody whom we audit, or have ended.
    fn target(&self, event: &event::Guard) -> Process {
        let who = Identity { tgid: event.target_tgid, start_ns: event.target_start_ns };
        let bare = Process { tgid: who.tgid, tid: who.tgid, start_ns: who.start_ns, ..Process::default() };
        if let Some(member) = self.audited(who) {
            return member.process(who.tgid, 0);
        }
        let seen = self.processes.seen(who.tgid);
        let is_it = |start_ns| same_process(Identity { start_ns, ..who }, who);
        seen.filter(|seen| is_it(seen.start_ns)).map_or(bare.clone(), |seen| Process {
            comm: Some(seen.comm),
            executable: seen.executable,
            parent: Some(seen.parent),
            ..bare
        })
    }
}
