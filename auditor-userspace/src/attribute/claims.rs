//! What processes claim, kept until the kernel's event comes that a claim belongs to.
//!
//! A claim counts for the very process that made it and for nobody else. Everything is bounded: what is oldest goes.

use std::collections::{HashMap, VecDeque};

use super::hint::{Claim, Operation};
use super::lineage::Identity;
use super::{Claimed, Claims};

/// Sockets and threads remembered for each process, and claims for each of them.
const KEYS_MAX: usize = 8192;
const CLAIMS_PER_KEY_MAX: usize = 16;
/// Calls that nobody has taken yet, over all processes.
const CALLS_MAX: usize = 65_536;
/// Spawns that nobody has taken yet, over all processes.
const SPAWNS_MAX: usize = 1024;
/// A spawn claim explains a fork of its thread that follows within this time: the interpreter does nothing between.
const SPAWN_WINDOW_NS: u64 = 1_000_000_000;
/// `/proc` tells a process's start in ticks of 10 ms, the kernel in nanoseconds: they are compared in ticks.
const TICK_NS: u64 = 10_000_000;

/// A process, with its start as coarse as the coarser of two sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Owner {
    tgid: u32,
    start_ticks: u64,
}

impl From<Identity> for Owner {
    fn from(identity: Identity) -> Self {
        Self { tgid: identity.tgid, start_ticks: identity.start_ns / TICK_NS }
    }
}

/// Whether two sources mean one process, although one of them tells its start more coarsely.
#[must_use]
pub fn same_process(one: Identity, other: Identity) -> bool {
    Owner::from(one) == Owner::from(other)
}

/// A claim with its time on the kernel's clock.
#[derive(Clone, Debug)]
struct Timed {
    boot_ns: u64,
    claim: Claim,
    /// The event that it was made for has been recorded.
    settled: bool,
}

/// Claims by what they are about (cookie or thread), the key that came first going first.
#[derive(Debug, Default)]
struct ByKey {
    claims: HashMap<u64, VecDeque<Timed>>,
    order: VecDeque<u64>,
}

impl ByKey {
    fn put(&mut self, claim: Timed) {
        let key = claim.claim.key;
        let of_key = self.claims.entry(key).or_insert_with(|| {
            self.order.push_back(key);
            VecDeque::new()
        });
        if of_key.len() == CLAIMS_PER_KEY_MAX {
            of_key.pop_front();
        }
        of_key.push_back(claim);
        if self.order.len() > KEYS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.claims.remove(&oldest);
        }
    }

    /// The claims about one key, the newest first.
    fn newest_first(&self, key: u64) -> impl Iterator<Item = &Timed> {
        self.claims.get(&key).into_iter().flat_map(|claims| claims.iter().rev())
    }

    /// The newest claim that was made before the event: a claim is written before its system call.
    fn before(&self, key: u64, boot_ns: u64) -> Option<&Timed> {
        self.newest_first(key).find(|claim| claim.boot_ns <= boot_ns)
    }
}

/// What one process claims.
#[derive(Debug, Default)]
struct OfProcess {
    /// `Connect`, `Send`, by cookie.
    sockets: ByKey,
    /// `Serve`, by cookie.
    served: ByKey,
    /// `Spawn`, by thread.
    spawns: ByKey,
}

/// A claimed call that waits for its record.
#[derive(Clone, Debug)]
pub struct PendingCall {
    /// Who claims it.
    pub who: Identity,
    /// When, on the boot clock.
    pub boot_ns: u64,
    /// The claim: [`Operation::Call`] or [`Operation::Serve`].
    pub claim: Claim,
}

/// The claims of all processes that have handed over a ring.
#[derive(Debug, Default)]
pub struct ClaimStore {
    processes: HashMap<Owner, OfProcess>,
    calls: VecDeque<PendingCall>,
    calls_lost: u64,
    spawns: Vec<PendingCall>,
}

impl ClaimStore {
    /// A process has handed over a ring.
    pub fn begin(&mut self, who: Identity) {
        self.processes.entry(who.into()).or_default();
    }

    /// A process claims something. `boot_ns` is the claim's time on the boot clock.
    pub fn put(&mut self, who: Identity, claim: Claim, boot_ns: u64) {
        let process = self.processes.entry(who.into()).or_default();
        if matches!(claim.operation, Operation::Call | Operation::Serve) {
            if self.calls.len() == CALLS_MAX {
                self.calls.pop_front();
                self.calls_lost += 1;
            }
            self.calls.push_back(PendingCall { who, boot_ns, claim: claim.clone() });
        }
        if claim.operation == Operation::Spawn && self.spawns.len() < SPAWNS_MAX {
            self.spawns.push(PendingCall { who, boot_ns, claim: claim.clone() });
        }
        let claim_of = |claim| Timed { boot_ns, claim, settled: false };
        match claim.operation {
            Operation::Connect | Operation::Send => process.sockets.put(claim_of(claim)),
            Operation::Serve => process.served.put(claim_of(claim)),
            Operation::Spawn => process.spawns.put(claim_of(claim)),
            // It was taken above.
            Operation::Call => {}
        }
    }

    /// The calls that were claimed since the last time, in the order in which they were read, and how many more
    /// there were than are kept.
    pub fn take_calls(&mut self) -> (Vec<PendingCall>, u64) {
        (self.calls.drain(..).collect(), std::mem::take(&mut self.calls_lost))
    }

    /// The spawns that were claimed since the last time; of a flood of them only the first.
    pub fn take_spawns(&mut self) -> Vec<PendingCall> {
        std::mem::take(&mut self.spawns)
    }

    /// The event of this time on this socket is recorded: what was claimed before is not about a later one.
    pub fn settle(&mut self, who: Identity, cookie: u64, boot_ns: u64) {
        let claims = self.processes.get_mut(&who.into()).and_then(|it| it.sockets.claims.get_mut(&cookie));
        for claim in claims.into_iter().flatten().filter(|claim| claim.boot_ns <= boot_ns) {
            claim.settled = true;
        }
    }

    /// A process has ended, and every event of it was read.
    pub fn forget(&mut self, who: Identity) {
        self.processes.remove(&who.into());
    }

    fn of(&self, who: Identity) -> Option<&OfProcess> {
        self.processes.get(&who.into())
    }
}

impl Claims for ClaimStore {
    fn for_socket(&self, who: Identity, cookie: u64, boot_ns: u64) -> Option<Claimed> {
        Some(claimed(self.of(who)?.sockets.before(cookie, boot_ns)?))
    }

    /// Datagrams are another matter: the kernel tells the first one to a peer, and many modules may send the others.
    fn conflicts(&self, who: Identity, cookie: u64, boot_ns: u64) -> bool {
        let claims = self.of(who).into_iter().flat_map(|it| it.sockets.newest_first(cookie));
        let mut live =
            claims.filter(|it| it.claim.operation == Operation::Connect && !it.settled && it.boot_ns <= boot_ns);
        let Some(newest) = live.next() else { return false };
        live.any(|it| it.claim.chain != newest.claim.chain)
    }

    /// The first one, if there are several: the others are about later requests on the same connection.
    fn for_served(&self, who: Identity, cookie: u64) -> Option<Claimed> {
        Some(claimed(self.of(who)?.served.newest_first(cookie).last()?))
    }

    fn for_spawn(&self, who: Identity, ns_tid: u32, boot_ns: u64) -> Option<Claimed> {
        let claim = self.of(who)?.spawns.before(u64::from(ns_tid), boot_ns)?;
        (boot_ns - claim.boot_ns <= SPAWN_WINDOW_NS).then(|| claimed(claim))
    }

    fn has_ring(&self, who: Identity) -> bool {
        self.of(who).is_some()
    }
}

fn claimed(timed: &Timed) -> Claimed {
    timed.claim.claimed()
}

#[cfg(test)]
mod tests {
    use super::{CALLS_MAX, CLAIMS_PER_KEY_MAX, ClaimStore, KEYS_MAX};
    use crate::attribute::Claims as _;
    use crate::attribute::hint::{Claim, Operation};
    use crate::attribute::lineage::Identity;

    const WHO: Identity = Identity { tgid: 7, start_ns: 1_234_567_890 };

    fn claim(operation: Operation, key: u64, module: &str) -> Claim {
        Claim::of(operation, key, module)
    }

    fn store(claims: &[(Operation, u64, &str, u64)]) -> ClaimStore {
        let mut store = ClaimStore::default();
        for &(operation, key, module, boot_ns) in claims {
            store.put(WHO, claim(operation, key, module), boot_ns);
        }
        store
    }

    fn socket(store: &ClaimStore, who: Identity, cookie: u64, boot_ns: u64) -> Option<String> {
        store.for_socket(who, cookie, boot_ns).map(|claimed| claimed.chain[0].to_string())
    }

    #[test]
    fn a_claim_counts_for_its_process_its_socket_and_what_follows_it() {
        let store = store(&[(Operation::Connect, 1, "a", 100)]);
        assert_eq!(socket(&store, WHO, 1, 100).as_deref(), Some("a"));
        assert_eq!(socket(&store, WHO, 2, 100), None);
        assert_eq!(socket(&store, WHO, 1, 99), None);
        assert_eq!(socket(&store, Identity { tgid: 8, ..WHO }, 1, 100), None);
        assert_eq!(socket(&store, Identity { start_ns: WHO.start_ns + 10_000_000, ..WHO }, 1, 100), None);
    }

    #[test]
    fn the_start_of_a_process_is_compared_in_ticks() {
        let store = store(&[(Operation::Connect, 1, "a", 100)]);
        let as_proc_says = Identity { start_ns: 1_230_000_000, ..WHO };
        assert_eq!(socket(&store, as_proc_says, 1, 100).as_deref(), Some("a"));
    }

    #[test]
    fn a_socket_used_by_two_modules_is_told_apart_by_time() {
        let store = store(&[(Operation::Send, 1, "a", 100), (Operation::Send, 1, "b", 200)]);
        assert_eq!(socket(&store, WHO, 1, 150).as_deref(), Some("a"));
        assert_eq!(socket(&store, WHO, 1, 250).as_deref(), Some("b"));
    }

    #[test]
    fn two_modules_that_claim_one_connect_conflict_and_two_connects_do_not() {
        let mut store = store(&[(Operation::Connect, 1, "a", 100), (Operation::Connect, 1, "a", 101)]);
        assert!(!store.conflicts(WHO, 1, 200));
        store.settle(WHO, 1, 200);
        store.put(WHO, claim(Operation::Connect, 1, "b"), 300);
        assert!(!store.conflicts(WHO, 1, 400), "the first connect failed, and another module tried again");
        store.put(WHO, claim(Operation::Connect, 1, "c"), 300);
        assert!(store.conflicts(WHO, 1, 400) && !store.conflicts(WHO, 1, 299) && !store.conflicts(WHO, 2, 400));
        store.put(WHO, claim(Operation::Send, 2, "a"), 100);
        store.put(WHO, claim(Operation::Send, 2, "b"), 100);
        assert!(!store.conflicts(WHO, 2, 400));
    }

    #[test]
    fn a_spawn_explains_what_its_thread_forks_soon_after() {
        let store = store(&[(Operation::Spawn, 70, "a", 1_000), (Operation::Connect, 71, "b", 1_000)]);
        let module = |tid, boot_ns| store.for_spawn(WHO, tid, boot_ns).map(|claimed| claimed.chain[0].to_string());
        assert_eq!(module(70, 2_000).as_deref(), Some("a"));
        assert_eq!(module(70, 999), None);
        assert_eq!(module(70, 1_000 + 1_000_000_001), None);
        assert_eq!(module(71, 2_000), None);
    }

    #[test]
    fn calls_are_taken_once_and_in_order() {
        let mut store = store(&[
            (Operation::Call, 1, "a", 100),
            (Operation::Connect, 2, "b", 101),
            (Operation::Serve, 3, "c", 102),
            (Operation::Serve, 3, "d", 103),
        ]);
        let (calls, lost) = store.take_calls();
        assert_eq!(calls.iter().map(|call| call.claim.key).collect::<Vec<_>>(), [1, 3, 3]);
        assert_eq!((lost, store.take_calls().0.len()), (0, 0));
        assert_eq!(store.for_served(WHO, 3).map(|claimed| claimed.chain[0].to_string()).as_deref(), Some("c"));
    }

    #[test]
    fn more_claims_than_fit_push_out_the_oldest() {
        let mut store = ClaimStore::default();
        for cookie in 0..=KEYS_MAX as u64 {
            store.put(WHO, claim(Operation::Connect, cookie, "a"), 100);
        }
        assert_eq!(socket(&store, WHO, 0, 100), None);
        assert_eq!(socket(&store, WHO, 1, 100).as_deref(), Some("a"));
        for at in 0..=CLAIMS_PER_KEY_MAX as u64 {
            store.put(WHO, claim(Operation::Connect, 1, "b"), 200 + at);
        }
        assert_eq!(socket(&store, WHO, 1, 200), None);
        for _ in 0..CALLS_MAX + 3 {
            store.put(WHO, claim(Operation::Call, 1, "a"), 100);
        }
        let (calls, lost) = store.take_calls();
        assert_eq!((calls.len(), lost), (CALLS_MAX, 3));
    }

    #[test]
    fn a_process_that_is_forgotten_claims_nothing() {
        let mut store = store(&[(Operation::Connect, 1, "a", 100)]);
        assert!(store.has_ring(WHO));
        store.forget(Identity { start_ns: 1_230_000_000, ..WHO });
        assert!(!store.has_ring(WHO) && socket(&store, WHO, 1, 100).is_none());
    }
}
