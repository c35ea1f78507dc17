//! Claims that are records of their own: the calls that go over a flow, and what the kernel's word speaks against.
//!
//! A call is claimed right before its bytes are sent, so the kernel's word about its socket is there before it, or comes
//! a moment after. A call whose socket is not known yet waits for that word. One that waits in vain is nobody's but its
//! own word's; and if nothing was lost that could have been the word, it is a contradiction.

use auditor_common::body::{Call, Label, Sample};
use auditor_common::gap::Gap;

use super::Pipeline;
use super::withheld::Withheld;
use crate::attribute::claims::{PendingCall, same_process};
use crate::attribute::hint::Operation;
use crate::attribute::lineage::{Identity, Member};
use crate::attribute::proc::Thread;
use crate::attribute::{self, contradiction, reason};
use crate::clock::Now;
use crate::evidence;
use crate::probe::Tells;

/// A call waits no shorter than this for the kernel's word, nor shorter than to the next seal.
const WORD_WAIT_NS: u64 = 2_000_000_000;
/// Calls that wait at once; what comes besides is recorded without the word.
const WAITING_MAX: usize = 8192;
/// How long a process that has ended may still be spoken of.
const DEPARTED_NS: u64 = 10_000_000_000;
/// Claims of spawns that are checked in one turn.
const SPAWNS_MAX: usize = 64;

/// A call whose socket the kernel has not told us of.
#[derive(Debug)]
pub(super) struct Waiting {
    call: PendingCall,
    heard_ns: u64,
}

/// What is known of the socket that a call names.
enum Word {
    /// It carries, or carried just now, a flow of this very process or of its kin.
    Flow,
    /// It carried one, which is over.
    Over,
    /// Nothing, or not for that process.
    None,
}

impl Pipeline {
    /// Records the calls that were claimed since the last turn. `drained` says that the ring was empty.
    pub(super) fn record_calls(&mut self, drained: bool, now: Now) -> anyhow::Result<()> {
        let (calls, lost) = self.claims.take_calls();
        let waiting = std::mem::take(&mut self.waiting);
        let fresh = calls.into_iter().map(|call| Waiting { call, heard_ns: now.boot_ns });
        for it in waiting.into_iter().chain(fresh) {
            self.hear(it, drained, now)?;
        }
        self.fresh.clear();
        self.departed.retain(|(_, gone_ns)| now.boot_ns.saturating_sub(*gone_ns) < DEPARTED_NS);
        self.lost(now, Gap::HintOverrun, lost, "more calls were claimed at once than are kept")?;
        self.check_spawns(now)
    }

    /// Nobody will be looking any more: calls that wait for the kernel's word are recorded without it.
    pub(super) fn record_waiting(&mut self, now: Now) -> anyhow::Result<()> {
        for Waiting { call, .. } in std::mem::take(&mut self.waiting) {
            self.record_call(&call, None, false, now)?;
        }
        Ok(())
    }

    fn hear(&mut self, it: Waiting, drained: bool, now: Now) -> anyhow::Result<()> {
        let Waiting { call, heard_ns } = &it;
        if call.boot_ns < self.parts.calls_from_ns {
            return Ok(());
        }
        // A process that nobody audits may claim what it likes.
        let Some(member) = self.audited(call.who) else { return Ok(()) };
        let cookie = call.claim.key;
        let waited = drained && now.boot_ns.saturating_sub(*heard_ns) >= WORD_WAIT_NS && self.due.seal > *heard_ns;
        match self.word(member, cookie) {
            Word::Flow if waited || !self.flows.waits_for_owner(cookie) => {
                self.flows.announce(cookie, &mut self.changes);
                self.record_changes(now)?;
                let recorded = self.flows.recorded_as(cookie).flatten();
                let flow = recorded.or_else(|| self.fresh.get(&cookie).copied());
                self.record_call(call, flow, false, now)
            }
            Word::Over if drained && *heard_ns < now.boot_ns => self.record_call(call, None, false, now),
            Word::None if waited || self.waiting.len() >= WAITING_MAX => {
                let contradicts = waited && self.contradicts(call, member);
                self.record_call(call, None, contradicts, now)
            }
            _ => {
                self.waiting.push(it);
                Ok(())
            }
        }
    }

    fn word(&self, member: &Member, cookie: u64) -> Word {
        match self.sockets.owner(cookie) {
            Some(owner) if !self.lineage.are_kin(member, owner) => Word::None,
            _ if self.flows.recorded_as(cookie).is_some() || self.fresh.contains_key(&cookie) => Word::Flow,
            Some(_) => Word::Over,
            None => Word::None,
        }
    }

    /// Whether the kernel, of whose word nothing is missing, never saw the socket of this call for that process.
    fn contradicts(&self, call: &PendingCall, member: &Member) -> bool {
        let cookie = call.claim.key;
        let of_others = self.sockets.owner(cookie).is_some();
        call.boot_ns >= member.since_ns
            && self.accounts.is_whole()
            && self
                .parts
                .probe
                .coverage()
                .iter()
                .all(|hook| hook.is_active() || !matches!(hook.tells, Tells::Flows | Tells::Bytes))
            && (of_others || self.parts.probe.socket(cookie).is_none())
    }

    /// The process of a claim, if it is audited, or was until a moment ago.
    pub(super) fn audited(&self, who: Identity) -> Option<&Member> {
        let now = self.lineage.get(who.tgid);
        let departed = self.departed.iter().map(|(member, _)| member);
        now.into_iter().chain(departed).find(|member| same_process(member.identity, who))
    }

    fn record_call(
        &mut self,
        call: &PendingCall,
        flow: Option<u64>,
        contradicts: bool,
        now: Now,
    ) -> anyhow::Result<()> {
        let claimed = call.claim.claimed();
        let mut attribution = match flow {
            Some(_) => attribute::labelled(&claimed, Label::Matched, reason::COOKIE),
            None => attribute::labelled(&claimed, Label::SelfReported, reason::UNBOUND),
        };
        if contradicts {
            attribution.contradictions.push(contradiction::SOCKET);
        }
        let channel = match call.claim.operation {
            Operation::Serve => "serve",
            _ => call.claim.channel(),
        };
        self.record_claim(call, channel, flow, attribution, now)
    }

    fn record_claim(
        &mut self,
        call: &PendingCall,
        channel: &str,
        flow: Option<u64>,
        attribution: auditor_common::body::Attribution,
        now: Now,
    ) -> anyhow::Result<()> {
        let Some(member) = self.audited(call.who) else { return Ok(()) };
        let (instance, process) = (member.instance.clone(), member.process(call.who.tgid, 0));
        if !self.records(&instance) || !self.records_channel(&instance, channel) {
            self.withheld.call(&instance, now);
            return Ok(());
        }
        let discretion = self.discretion(&instance);
        let claim = Call {
            sample: Sample { boot_ns: call.boot_ns, cpu: None, kseq: None },
            // A flow that policy left out has no record to point at.
            flow: flow.filter(|&number| !Withheld::is(number)),
            cookie: if call.claim.operation == Operation::Spawn { 0 } else { call.claim.key },
            channel: channel.to_owned(),
            method: call.claim.method().map(str::to_owned),
            attribution,
            process,
            instance,
        };
        let body = evidence::call(claim, discretion);
        self.append(body, now).map(drop)
    }

    /// A process speaks for its own threads only.
    fn check_spawns(&mut self, now: Now) -> anyhow::Result<()> {
        for spawn in self.claims.take_spawns().into_iter().take(SPAWNS_MAX) {
            if self.is_of_another(&spawn) {
                let mut attribution = attribute::labelled(&spawn.claim.claimed(), Label::SelfReported, reason::UNBOUND);
                attribution.contradictions.push(contradiction::THREAD);
                self.record_claim(&spawn, "spawn", None, attribution, now)?;
            }
        }
        Ok(())
    }

    /// Whether the thread of a spawn is one of another process of the same instance, and none of the claiming one.
    fn is_of_another(&self, spawn: &PendingCall) -> bool {
        let Some(member) = self.lineage.get(spawn.who.tgid).filter(|it| same_process(it.identity, spawn.who)) else {
            return false;
        };
        let own = self.processes.threads(spawn.who.tgid);
        let Some(Thread { depth, .. }) = own.first().copied().filter(|_| !own.iter().any(|it| it.is(spawn.claim.key)))
        else {
            return false;
        };
        let others =
            self.lineage.members().filter(|it| it.instance == member.instance && it.identity != member.identity);
        let mut threads = others.flat_map(|it| self.processes.threads(it.identity.tgid));
        threads.any(|thread| thread.depth == depth && thread.is(spawn.claim.key))
    }
}
