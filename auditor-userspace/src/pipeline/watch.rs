//! Who is audited, and what is told to the window.

use std::collections::{BTreeSet, HashMap};

use auditor_common::body::{ProcessChange, ProcessRecord, Sample};
use auditor_common::event::Header;
use auditor_common::gap::Gap;
use auditor_common::maps::Owner;

use super::Pipeline;
use crate::attribute::find::Found;
use crate::attribute::lineage::Member;
use crate::attribute::proc::{Processes as _, Seen};
use crate::attribute::{listening, reason, unattributed};
use crate::clock::Now;
use crate::decode::Event;
use crate::flow::Traffic;
use crate::probe::{self, SocketState};
use crate::serve::status::{HookStatus, InstanceStatus};
use crate::serve::wire;

/// How often the whole system is looked at; new programs are told by the kernel in the meantime.
const LOOK_NS: u64 = 2_000_000_000;
/// A process that is found in the middle of its work has used every socket that it works with after this time.
const SETTLED_NS: u64 = 10_000_000_000;
/// How often silent flows are looked for.
const IDLE_LOOK_NS: u64 = 1_000_000_000;
/// A hook that does not answer for this long while requests are served is silenced.
const SILENCE_NS: u64 = 5_000_000_000;
/// At so many looks, one after the other: a server in C accepts without Python, which hears of it with the request.
const SILENT_LOOKS: u32 = 2;
/// How often the window is told how things are.
const TELL_NS: u64 = 250_000_000;

impl Pipeline {
    /// Looks for processes in scope and for flows that are over, when it is time.
    pub(super) fn look(&mut self, now: Now) -> anyhow::Result<()> {
        if now.boot_ns >= self.due.look {
            self.due.look = now.boot_ns + LOOK_NS;
            let mut news = self.parts.finder.look(&self.processes, &self.lineage);
            news.retain(|found| !self.own.has(found.seen.tgid));
            if !news.is_empty() {
                let starts = self.exact_starts()?;
                for found in news {
                    let start_ns = starts.get(&found.seen.tgid).copied().unwrap_or(found.seen.start_ns);
                    self.audit(&found, start_ns, now)?;
                }
            }
        }
        if now.boot_ns >= self.due.idle {
            self.due.idle = now.boot_ns + IDLE_LOOK_NS;
            let probe = &self.parts.probe;
            let table = |cookie| {
                let SocketState { generation, sent, received, last_ns } = probe.socket(cookie)?;
                Some(Traffic { generation, sent, received, last_ns })
            };
            self.flows.idle(now.boot_ns, table, &mut self.changes);
            self.record_changes(now)?;
            self.record_silenced(now)?;
        }
        Ok(())
    }

    /// A hook that does not answer while its process serves requests: what that process does goes on being recorded, and
    /// nobody names it any more.
    fn record_silenced(&mut self, now: Now) -> anyhow::Result<()> {
        let silent: BTreeSet<u32> = self.parts.handover.silent(SILENCE_NS).map(|who| who.tgid).collect();
        self.silenced.retain(|tgid, _| silent.contains(tgid));
        for tgid in silent {
            let Some(member) = self.lineage.get(tgid) else { continue };
            let looks = self.silenced.entry(tgid).or_default();
            *looks = looks.saturating_add(1);
            if *looks == SILENT_LOOKS {
                let comm = member.comm.as_deref().unwrap_or("?");
                let detail =
                    format!("the hook in process {tgid} ({comm}) does not answer: it was silenced, or it failed");
                self.lost(now, Gap::ClaimsSilenced, 1, &detail)?;
            }
        }
        Ok(())
    }

    /// When each process started, as the kernel itself has it: `/proc` has it in steps of 10 ms.
    pub(super) fn exact_starts(&mut self) -> anyhow::Result<HashMap<u32, u64>> {
        Ok(self.parts.probe.processes()?.into_iter().map(|it| (it.tgid, it.start_ns)).collect())
    }

    /// From now on this process and its children are audited.
    fn audit(&mut self, found: &Found, start_ns: u64, now: Now) -> anyhow::Result<()> {
        let seen = &found.seen;
        self.parts.probe.audit(seen.tgid, start_ns)?;
        for port in listening::ports(seen.tgid) {
            let owner = Owner { process_start_ns: start_ns, cgroup: 0, tgid: seen.tgid, tid: seen.tgid };
            self.parts.probe.listen(port.netns, port.port, owner)?;
        }
        // No event told of it: this is what one would have said.
        let at = Header {
            boot_ns: now.boot_ns,
            tgid: seen.tgid,
            tid: seen.tgid,
            process_start_ns: start_ns,
            ..Header::default()
        };
        self.take_in(found, &at, now.boot_ns + SETTLED_NS, now)
    }

    /// Decides about a process on probation, the first time something is heard of it.
    pub(super) fn is_in_scope(&mut self, event: &Event, now: Now) -> anyhow::Result<bool> {
        let header = event.header();
        if self.lineage.get(header.tgid).is_some_and(|member| member.identity.start_ns == header.process_start_ns) {
            return Ok(true);
        }
        let Some(seen) = self.processes.seen(header.tgid) else {
            self.parts.probe.forget(header.tgid)?;
            return Ok(false);
        };
        let of_parent = self.instance_of_parent(&seen);
        if of_parent.is_none() && !self.parts.finder.is_root(&seen) {
            self.parts.probe.forget(header.tgid)?;
            return Ok(false);
        }
        let instance = of_parent.unwrap_or_else(|| self.parts.finder.instance(&seen));
        self.parts.probe.confirm(header.tgid, header.process_start_ns)?;
        self.take_in(&Found { seen, instance }, header, header.boot_ns, now)?;
        Ok(true)
    }

    /// The instance of an audited parent: its children belong to it.
    pub(super) fn instance_of_parent(&self, seen: &Seen) -> Option<String> {
        self.lineage.get(seen.parent).map(|parent| parent.instance.clone())
    }

    /// A process is audited from `at` on, and all that it does from `since_ns` on (CLOCK_BOOTTIME) was seen.
    fn take_in(&mut self, found: &Found, at: &Header, since_ns: u64, now: Now) -> anyhow::Result<()> {
        let member = self.lineage.found(&found.seen, at.process_start_ns, since_ns, found.instance.clone());
        let record = ProcessRecord {
            sample: Sample { boot_ns: at.boot_ns, cpu: None, kseq: None },
            change: ProcessChange::Found,
            process: member.process(at.tid, at.cgroup),
            code: None,
            attribution: unattributed(reason::NO_CLAIM),
            instance: found.instance.clone(),
        };
        tracing::info!(tgid = at.tgid, comm = found.seen.comm, instance = found.instance, "audited from now on");
        self.append_about(record, now)?;
        self.tell_instances();
        Ok(())
    }

    /// Tells the window who belongs to which instance.
    pub(super) fn tell_instances(&self) {
        if let Ok(mut instances) = self.parts.instances.write() {
            let known = |member: &Member| (member.identity.tgid, (member.identity.start_ns, member.instance.clone()));
            *instances = self.lineage.members().map(known).collect();
        }
    }

    /// Tells the window how things are, when it is time.
    pub(super) fn tell(&mut self, now: Now) {
        if now.boot_ns < self.due.tell {
            return;
        }
        self.due.tell = now.boot_ns + TELL_NS;
        let Ok(mut status) = self.parts.status.write() else { return };
        status.instances.clear();
        let mut oldest: HashMap<&str, &Member> = HashMap::new();
        for member in self.lineage.members() {
            let known = oldest.entry(&member.instance).or_insert(member);
            *known = std::cmp::min_by_key(*known, member, |it| it.identity.start_ns);
        }
        for member in self.lineage.members() {
            let of = status.instances.entry(member.instance.clone()).or_insert_with(InstanceStatus::default);
            of.processes += 1;
            of.workers += u64::from(oldest[&*member.instance].executable == member.executable);
            of.named += u64::from(crate::attribute::Claims::has_ring(&self.claims, member.identity));
        }
        status.hooks = self.parts.probe.coverage().iter().map(hook_status).collect();
        status.flows = self.flows.len() as u64;
        status.captured = self.accounts.captured();
        status.lost = self.accounts.lost_so_far().into_iter().map(|(gap, count)| (wire::gap(gap), count)).collect();
    }
}

fn hook_status(hook: &probe::HookStatus) -> HookStatus {
    let reason = hook.reason().map(str::to_owned);
    HookStatus { name: hook.name.to_owned(), active: hook.is_active(), reason }
}
