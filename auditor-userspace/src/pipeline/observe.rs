//! One event through the stages: flow, attribution, evidence, record.

use std::rc::Rc;

use auditor_common::body::{Body, ProcessChange, ProcessRecord};
use auditor_common::event::{Exec, Exit, Fork, Header, flag};

use super::Pipeline;
use super::withheld::Withheld;
use crate::attribute;
use crate::attribute::claims::same_process;
use crate::attribute::lineage::{Identity, Member, Program};
use crate::attribute::proc::Processes as _;
use crate::clock::Now;
use crate::decode::Event;
use crate::evidence;
use crate::flow::{Change, Opened, PENDING};
use crate::name::hello;

impl Pipeline {
    /// Everything that was drained.
    pub(super) fn observe_batch(&mut self, now: Now) -> anyhow::Result<()> {
        let batch = std::mem::take(&mut self.batch);
        for event in &batch {
            self.observe(event, now)?;
        }
        self.batch = batch;
        self.batch.clear();
        self.expect_commit(now);
        Ok(())
    }

    fn observe(&mut self, event: &Event, now: Now) -> anyhow::Result<()> {
        if self.own.observe(event) {
            return Ok(());
        }
        if event.header().flags & flag::CANDIDATE != 0 && !self.is_in_scope(event, now)? {
            return Ok(());
        }
        self.note_owner(event);
        let changes = &mut self.changes;
        match event {
            Event::Connect(it) | Event::Datagram(it) => self.flows.connect(it, changes),
            Event::Established(it) => self.flows.established(it, changes),
            Event::FirstUse(it) => self.flows.first_use(it, changes),
            Event::Closed(it) | Event::Released(it) => {
                if let Some(Some(seq)) = self.flows.recorded_as(it.key.cookie) {
                    self.fresh.insert(it.key.cookie, seq);
                }
                self.flows.closed(it, changes);
            }
            Event::Listen(_) => {}
            Event::Answer(it) => self.answered(it, now),
            Event::Hello(it) => self.flows.greeted(it, hello::read(it).map(Rc::from), changes),
            Event::Fork(it) => return self.forked(it, now),
            Event::Exec(it) => return self.executed(it, now),
            Event::Exit(it) => return self.exited(it, now),
            Event::Guard(it) => self.guarded(it, now),
        }
        self.record_changes(now)
    }

    /// The kernel says who uses a socket; in an interrupt, who used it last.
    fn note_owner(&mut self, event: &Event) {
        let (header, key) = match event {
            Event::Connect(it) | Event::Datagram(it) => (&it.header, &it.key),
            Event::Established(it) | Event::FirstUse(it) => (&it.header, &it.key),
            _ => return,
        };
        self.sockets.saw(key.cookie, header.into());
    }

    /// Records what the flow table has found.
    pub(super) fn record_changes(&mut self, now: Now) -> anyhow::Result<()> {
        let mut changes = std::mem::take(&mut self.changes);
        for change in changes.drain(..) {
            match change {
                Change::Opened(opened) => self.announced = self.record_opened(&opened, now)?,
                Change::Ended(mut ended) => {
                    if ended.flow == PENDING {
                        ended.flow = self.announced;
                    }
                    if Withheld::is(ended.flow) {
                        self.withheld.ended(&ended, now);
                    } else {
                        self.append(evidence::ended(&ended), now)?;
                    }
                }
                Change::Greeted(greeted) => {
                    if !Withheld::is(greeted.flow) {
                        self.append(evidence::greeted_late(&greeted), now)?;
                    }
                }
            }
        }
        self.changes = changes;
        Ok(())
    }

    fn record_opened(&mut self, opened: &Opened, now: Now) -> anyhow::Result<u64> {
        self.know(&opened.header);
        let header = &opened.header;
        if opened.inbound && opened.owner_known && !opened.opened_before {
            self.parts.handover.accepted(header.into(), now.mono_from_boot(header.boot_ns));
        }
        let member = self.member(header);
        let attribution = attribute::flow(&self.claims, opened, member);
        let (process, instance) = match member {
            Some(member) => (member.process(header.tid, header.cgroup), member.instance.clone()),
            None => (evidence::bare_process(header), String::new()),
        };
        let attribution = self.explained(attribution, opened, &instance);
        let seq = if self.records(&instance) {
            let discretion = self.discretion(&instance);
            let names = if opened.inbound { Vec::new() } else { self.names.of(&instance, header, &opened.remote) };
            self.append(evidence::opened(opened, process, attribution, instance, names, discretion), now)?
        } else {
            self.withheld.flow(&instance, now)
        };
        self.flows.recorded(opened, seq);
        self.claims.settle(header.into(), opened.key.cookie, header.boot_ns);
        self.fresh.insert(opened.key.cookie, seq);
        Ok(seq)
    }

    /// The audited process of an event, if it is the one that is known under its number.
    pub(super) fn member(&self, header: &Header) -> Option<&Member> {
        self.lineage.get(header.tgid).filter(|member| same_process(member.identity, header.into()))
    }

    /// A process that the kernel audits and nobody told us about (the event that did was lost) is taken in as it is.
    pub(super) fn know(&mut self, header: &Header) {
        if header.tgid == 0 || self.member(header).is_some() {
            return;
        }
        let Some(seen) = self.processes.seen(header.tgid) else { return };
        let instance = self.instance_of_parent(&seen).unwrap_or_else(|| self.parts.finder.instance(&seen));
        self.lineage.found(&seen, header.process_start_ns, header.boot_ns, instance);
        self.tell_instances();
    }

    fn forked(&mut self, event: &Fork, now: Now) -> anyhow::Result<()> {
        self.know(&event.header);
        let parent = Identity::from(&event.header);
        let child = Identity { tgid: event.child_tgid, start_ns: event.child_start_ns };
        let spawn = attribute::spawn(&self.claims, parent, event.parent_ns_tid, event.header.boot_ns);
        let contradictions = spawn.as_ref().map(|it| it.contradictions.clone()).unwrap_or_default();
        let Some(member) = self.lineage.forked(parent.tgid, child, event.header.cgroup, spawn) else { return Ok(()) };
        let mut body = about(member, ProcessChange::Forked, &event.header, child.tgid, None);
        body.attribution.contradictions = contradictions;
        self.append_about(body, now)?;
        self.tell_instances();
        Ok(())
    }

    fn executed(&mut self, event: &Exec, now: Now) -> anyhow::Result<()> {
        let header = &event.header;
        self.know(header);
        self.record_what_waits(header, now)?;
        let program = Program {
            comm: text(&event.comm),
            executable: (!event.filename.starts_with(&[0])).then(|| text(&event.filename)),
            arguments: Some(event.arguments),
            since_ns: header.boot_ns,
        };
        let begun = self.begins_anew(header.tgid);
        let Some(member) = self.lineage.executed(header.tgid, program, begun) else { return Ok(()) };
        // What the old program claimed says nothing of the new one, which has let go of its ring.
        self.claims.forget(member.identity);
        let body = about(member, ProcessChange::Executed, header, header.tid, None);
        self.append_about(body, now)?;
        self.tell_instances();
        Ok(())
    }

    /// A process is about to be another program, or none: what it did is its own, as long as it is known.
    fn record_what_waits(&mut self, header: &Header, now: Now) -> anyhow::Result<()> {
        self.flows.announce_all_of(header, &mut self.changes);
        self.record_changes(now)?;
        self.record_guards(|guard| guard.process.tgid == header.tgid, now)
    }

    /// The instance that a process begins which is in scope by itself and became another program: a start script is not
    /// the Odoo that it starts.
    fn begins_anew(&self, tgid: u32) -> Option<String> {
        let parent = self.lineage.get(tgid)?.parent;
        if parent.is_some_and(|parent| self.lineage.get(parent).is_some()) {
            return None;
        }
        let seen = self.processes.seen(tgid)?;
        self.parts.finder.is_root(&seen).then(|| self.parts.finder.instance(&seen))
    }

    fn exited(&mut self, event: &Exit, now: Now) -> anyhow::Result<()> {
        let header = &event.header;
        if self.member(header).is_none() {
            return Ok(());
        }
        self.record_what_waits(header, now)?;
        let Some(member) = self.lineage.exited(header.tgid) else { return Ok(()) };
        let body = about(&member, ProcessChange::Exited, header, header.tid, Some(event.code));
        self.append_about(body, now)?;
        self.claims.forget(member.identity);
        self.parts.handover.forget(member.identity);
        self.forget_names(&member.instance);
        self.departed.push((member, now.boot_ns));
        self.tell_instances();
        Ok(())
    }

    /// Records what became of a process, if its instance is recorded.
    pub(super) fn append_about(&mut self, record: ProcessRecord, now: Now) -> anyhow::Result<()> {
        if self.records(&record.instance) {
            let discretion = self.discretion(&record.instance);
            self.append(evidence::process(record, discretion), now)?;
        }
        Ok(())
    }

    /// Puts a record into the store. It is durable, and anybody may be told, after the next commit.
    pub(super) fn append(&mut self, body: Body, now: Now) -> anyhow::Result<u64> {
        self.due.commit.get_or_insert(now.boot_ns + super::seal::COMMIT_NS);
        Ok(self.parts.store.append(&body, now)?)
    }
}

fn about(member: &Member, change: ProcessChange, header: &Header, tid: u32, code: Option<u32>) -> ProcessRecord {
    let attribution = member.spawn.clone().unwrap_or_else(|| attribute::unattributed(attribute::reason::NO_CLAIM));
    let process = member.process(tid, header.cgroup);
    ProcessRecord { sample: header.into(), change, process, code, attribution, instance: member.instance.clone() }
}

/// Text that ends at its first NUL.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
