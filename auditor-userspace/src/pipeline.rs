//! The map of the program: what is drained from the kernel goes through the stages and into the store, on one thread.
//!
//! Order within a turn: the ring first, then the claims. A claim is written before the system call that it is about,
//! so once an event has been read its claim is there to be read as well.

mod calls; // claims that are records of their own
mod guarded; // what no ordinary Odoo does
mod ledger; // what is wanted of the ledger itself
mod names; // what the other ends are called
mod observe; // one event through the stages
mod orders; // what others asked for
mod own; // the daemon's own traffic
mod seal; // commit, balance, seal
mod watch; // who is audited, and what is told to the window
mod withheld; // what policy leaves out of the record

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use auditor_common::body::{Body, Hook, Loss, RunStop};
use auditor_common::event::Header;
use auditor_common::gap::Gap;
use tokio::sync::watch as channel;

use crate::account::{Accounts, Mark};
use crate::attribute::claims::ClaimStore;
use crate::attribute::find::Finder;
use crate::attribute::handover::Handover;
use crate::attribute::lineage::{Lineage, Member};
use crate::attribute::proc::Proc;
use crate::attribute::sockets::Sockets;
use crate::catalogue::Catalogue;
use crate::clock::{self, Now};
use crate::config::ClientAddresses;
use crate::config::file::Retention;
use crate::decode::{Event, decode};
use crate::flow::{Change, Flows};
use crate::name::Names;
use crate::name::resolvers::Resolvers;
use crate::policy::Policies;
use crate::policy::terms::Terms;
use crate::probe::{HookStatus, Overflows, Probe};
use crate::ring::Ring;
use crate::serve::orders::Ordered;
use crate::serve::peer::Instances;
use crate::serve::status::Status;
use crate::store::Store;
use orders::Lately;
use own::Own;
use withheld::Withheld;

/// Longest sleep between two looks at the ring: events about sockets alone do not wake us, so that they cost the
/// audited process nothing.
const TICK: Duration = Duration::from_millis(25);
/// Samples taken in one go, before the claims are read and the records written.
const BATCH: usize = 4096;

/// What the pipeline is made of.
pub struct Parts {
    /// The programs in the kernel.
    pub probe: Probe,
    /// What they send.
    pub ring: Ring,
    /// Where records go.
    pub store: Store,
    /// Where claims come from.
    pub handover: Handover,
    /// Who is audited.
    pub finder: Finder,
    /// Told to the window.
    pub instances: Instances,
    /// Told to the window.
    pub status: Arc<RwLock<Status>>,
    /// Told to the window: how many records are committed.
    pub committed: channel::Sender<u64>,
    /// Digests that every seal repeats.
    pub digests: Digests,
    /// What others want to be done.
    pub orders: Receiver<Ordered>,
    /// The host's catalogue: what is asked for is compared with it.
    pub catalogue: Catalogue,
    /// How instances are recorded that asked for nothing.
    pub terms: Terms,
    /// What is recorded of the addresses of clients.
    pub client_addresses: ClientAddresses,
    /// What may be removed.
    pub retention: Retention,
    /// Calls before this moment (CLOCK_BOOTTIME) are another run's: they lie in the rings, and were recorded by it, or
    /// nobody was to record them.
    pub calls_from_ns: u64,
}

/// What runs, and how it is configured.
#[derive(Clone, Copy, Debug, Default)]
pub struct Digests {
    /// SHA-256 of the daemon's binary.
    pub binary: [u8; 32],
    /// SHA-256 of the configuration in force.
    pub config: [u8; 32],
}

/// The stages, and what they remember.
pub struct Pipeline {
    parts: Parts,
    processes: Proc,
    lineage: Lineage,
    claims: ClaimStore,
    flows: Flows,
    names: Names,
    resolvers: Resolvers,
    /// Records of flows that began or ended in this turn, by cookie: a call that was claimed while its flow was open may
    /// be read together with the flow's end.
    fresh: HashMap<u64, u64>,
    /// Calls whose socket the kernel has not told us of.
    waiting: Vec<calls::Waiting>,
    /// Sockets that no ordinary Odoo has, and that nobody has claimed yet.
    unclaimed: Vec<guarded::Unclaimed>,
    /// Whose the sockets were that the kernel told us of.
    sockets: Sockets,
    /// Processes that ended a moment ago, and when: their last claims are still to be recorded.
    departed: Vec<(Member, u64)>,
    accounts: Accounts,
    /// Decoded, and not yet observed.
    batch: Vec<Event>,
    /// Numbered after the marks of the seal that was made last.
    later: Vec<Event>,
    changes: Vec<Change>,
    /// `seq` of the flow that was announced last: see [`crate::flow::PENDING`].
    announced: u64,
    /// What the kernel's tables had not taken at the last seal.
    overflows: Overflows,
    /// Hooks whose loss was told.
    detached: BTreeSet<&'static str>,
    /// Processes whose hook does not answer, and at how many looks it did not.
    silenced: BTreeMap<u32, u32>,
    /// What was asked for and decided; `None` until the records have been read.
    policies: Option<Policies>,
    withheld: Withheld,
    acknowledged: Lately,
    /// When each instance was handed out a part of the ledger lately.
    exported: Lately,
    own: Own,
    due: Due,
}

/// When what is due next (CLOCK_BOOTTIME nanoseconds).
#[derive(Debug, Default)]
struct Due {
    commit: Option<u64>,
    seal: u64,
    look: u64,
    idle: u64,
    tell: u64,
    measure: u64,
    retain: u64,
}

impl Pipeline {
    /// A pipeline that has seen nothing yet.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let sees_names = parts.probe.sees_packets();
        Self {
            parts,
            processes: Proc::default(),
            lineage: Lineage::default(),
            claims: ClaimStore::default(),
            flows: Flows::new(sees_names),
            names: Names::default(),
            resolvers: Resolvers::default(),
            fresh: HashMap::new(),
            waiting: Vec::new(),
            unclaimed: Vec::new(),
            sockets: Sockets::default(),
            departed: Vec::new(),
            accounts: Accounts::default(),
            batch: Vec::with_capacity(BATCH),
            later: Vec::new(),
            changes: Vec::new(),
            announced: 0,
            overflows: Overflows::default(),
            detached: BTreeSet::new(),
            silenced: BTreeMap::new(),
            policies: None,
            withheld: Withheld::default(),
            acknowledged: Lately::default(),
            exported: Lately::default(),
            own: Own::default(),
            due: Due::default(),
        }
    }

    /// Finds who is audited, and seals the beginning of the run. Whoever is told after this that the daemon is there may
    /// rely on being seen.
    pub fn begin(&mut self) -> anyhow::Result<()> {
        self.watch_ourselves()?;
        self.turn(clock::now())?;
        self.seal(clock::now())
    }

    /// Records until `stop` is set, then stops in good order.
    pub fn run(mut self, stop: &AtomicBool) -> anyhow::Result<()> {
        let mut more = false;
        while !stop.load(Ordering::Relaxed) {
            if !more {
                self.parts.ring.wait(TICK)?;
            }
            more = self.turn(clock::now())?;
        }
        self.stop("signal")
    }

    /// One turn; whether the ring holds more than it took.
    fn turn(&mut self, now: Now) -> anyhow::Result<bool> {
        let more = self.drain();
        self.read_claims(now)?;
        self.observe_batch(now)?;
        self.record_calls(!more, now)?;
        self.record_guards(|_| false, now)?;
        self.look(now)?;
        self.take_orders(now)?;
        self.retain_if_due(now)?;
        self.commit_if_due(now)?;
        self.seal_if_due(now)?;
        self.tell(now);
        Ok(more)
    }

    /// Takes what is in the ring, up to a batch; whether it was full.
    fn drain(&mut self) -> bool {
        self.take(|_| true)
    }

    /// The same, but what was numbered after these marks is put aside for later.
    fn drain_within(&mut self, marks: &BTreeMap<u32, Mark>) -> bool {
        self.take(|header| marks.get(&header.cpu).is_some_and(|mark| header.kseq <= mark.kseq))
    }

    fn take(&mut self, is_due: impl Fn(&Header) -> bool) -> bool {
        let Self { parts, batch, accounts, later, .. } = self;
        let aside = std::mem::take(later);
        let mut sort = |event: Event| {
            if is_due(event.header()) {
                admit(event, accounts, batch);
            } else {
                later.push(event);
            }
        };
        // One seal may follow another at once: what the one put aside the other is waiting for.
        aside.into_iter().for_each(&mut sort);
        let mut undecodable = 0;
        let taken = parts.ring.drain(BATCH, |sample| match decode(sample) {
            Ok(event) => sort(event),
            Err(_) => undecodable += 1,
        });
        if undecodable > 0 {
            // Its number is missing from what was received, so the next seal counts it; this says why.
            tracing::error!(undecodable, "samples of another layout: kernel half and daemon were built apart");
        }
        taken == BATCH
    }

    /// Takes the claims that came since the last turn.
    fn read_claims(&mut self, now: Now) -> anyhow::Result<()> {
        let accepted = self.parts.handover.accept_pending(&mut self.claims, &self.processes, &now);
        for (uid, pid, refusal) in accepted.refused {
            tracing::warn!(uid, pid, "a process that wanted to hand over claims was sent away: {refusal}");
        }
        let missing = self.parts.handover.read_new(&mut self.claims, &now);
        for gap in missing {
            // What a process that nobody audits does not manage to claim is no hole.
            let Some(member) = self.lineage.get(gap.who.tgid) else { continue };
            let who = format!("process {} ({})", gap.who.tgid, member.comm.as_deref().unwrap_or("?"));
            let overrun = format!("claims of {who} were overwritten before they were read");
            self.lost(now, Gap::HintOverrun, gap.overrun, &overrun)?;
            self.lost(now, Gap::HintFailure, gap.failed(), &format!("claims of {who} are missing: {}", gap.why()))?;
        }
        Ok(())
    }

    /// Seals a hole in the evidence, if there is one.
    fn lost(&mut self, now: Now, gap: Gap, count: u64, detail: &str) -> anyhow::Result<()> {
        if count == 0 {
            return Ok(());
        }
        self.accounts.lost(gap, count);
        let loss = Loss {
            gap: gap as u64,
            count: Some(count),
            from_wall_ns: None,
            until_wall_ns: Some(now.wall_ns),
            detail: detail.to_owned(),
        };
        self.append(Body::Loss(loss), now)?;
        Ok(())
    }

    /// Takes what is still there, ends what is open, and says in the chain that this was a stop.
    fn stop(mut self, reason: &str) -> anyhow::Result<()> {
        while self.turn(clock::now())? {}
        let now = clock::now();
        self.record_waiting(now)?;
        self.record_guards(|_| true, now)?;
        self.flows.stop(now.boot_ns, &mut self.changes);
        self.record_changes(now)?;
        self.declare_withheld(None, 0, now)?;
        self.append(Body::RunStop(RunStop { reason: reason.to_owned() }), now)?;
        self.seal(now)
    }
}

/// Counts an event and lets it in. One that comes too late to be counted is evidence all the same, without its number.
fn admit(mut event: Event, accounts: &mut Accounts, batch: &mut Vec<Event>) {
    let Header { cpu, kseq, .. } = *event.header();
    if !accounts.received(cpu, kseq) {
        event.forget_number();
    }
    batch.push(event);
}

/// Coverage, as records have it.
#[must_use]
pub fn hooks(coverage: &[HookStatus]) -> Vec<Hook> {
    coverage.iter().map(|hook| Hook { name: hook.name.to_owned(), tag: hook.tag(), active: hook.is_active() }).collect()
}
