//! Whose flow it is, and how we know.
//!
//! Two witnesses, kept apart: the kernel says which process used which socket; a claim of that process says which
//! module was calling. Nothing here trusts a claim for more than it is.

pub mod claims; // what processes claim, to be looked up by what the kernel saw
pub mod discover; // which processes are an Odoo
pub mod find; // the processes that are audited
pub mod handover; // how their rings come to us
pub mod hint; // what lies in a ring
pub mod instance; // which Odoo a process belongs to
pub mod lineage; // who is whose child
pub mod listening; // where a process was listening before
pub mod proc; // what /proc says
pub mod sockets; // whose the sockets were that the kernel told us of
pub mod surroundings; // what the host knows of an instance beside its traffic

use std::rc::Rc;

use auditor_common::body::{Attribution, Label};
use auditor_common::endpoint::Endpoint;

use hint::Marks;
use lineage::{Identity, Member};

use crate::flow::Opened;

/// Modules that carry other modules' calls: they are shown only if nobody else is in the chain.
const PLUMBING: [&str; 9] =
    ["base", "mail", "web", "iap", "bus", "http_routing", "rpc", "base_setup", "endpoint_route_handler"];

/// Before the name of an addon whose native code may be the caller.
pub const SUSPECT: &str = "native:";

/// Words for [`Attribution::reason`].
pub mod reason {
    /// A claim for this very socket.
    pub const COOKIE: &str = "cookie";
    /// A claim for the spawn that began this branch of the process tree.
    pub const SPAWN: &str = "spawn";
    /// The process hands over claims, and there is none for this.
    pub const NO_CLAIM: &str = "no-claim";
    /// The process has not handed over any claims.
    pub const NO_RING: &str = "no-ring";
    /// The other side opened it, and nobody said who serves it.
    pub const INBOUND: &str = "inbound";
    /// The other side opened it, and no process has used it yet: the process shown is the listener.
    pub const LISTENER: &str = "listener";
    /// The socket was there before the auditor.
    pub const OPENED_BEFORE: &str = "opened-before";
    /// The claim names code that came out of no file: it says less than code that can be read.
    pub const GENERATED: &str = "generated";
    /// Native code, which leaves no frame, may have been the caller: the chain ends with who comes into question.
    pub const AMBIGUOUS: &str = "ambiguous";
    /// No claim, but it goes to a name server of the process's own `resolv.conf`: a look-up.
    pub const RESOLVER: &str = "resolver";
    /// A claim without a socket that the kernel saw.
    pub const UNBOUND: &str = "unbound";
}

/// A contradiction: the numbers of the closed list.
pub mod contradiction {
    /// The claim names another numeric address than the kernel saw.
    pub const ADDRESS: u8 = 1;
    /// Two claims for one `connect()` name different modules.
    pub const CLAIMS: u8 = 2;
    /// The code is not that of the module that it names.
    pub const FRAMES: u8 = 3;
    /// A call names a socket that the kernel never saw for that process, and nothing is missing of the kernel's word.
    pub const SOCKET: u8 = 4;
    /// A spawn is claimed for a thread of another process.
    pub const THREAD: u8 = 5;
}

/// What a process claims about one operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claimed {
    /// Distinct addon modules, nearest first; may be empty.
    pub chain: Vec<Rc<str>>,
    /// `file:line function`.
    pub site: Option<Rc<str>>,
    /// Route template, cron, server action, shell.
    pub origin: Option<Rc<str>>,
    /// Database.
    pub database: Option<Rc<str>>,
    /// Numeric address, where the claim has one.
    pub address: Option<Endpoint>,
    /// What the hook noticed about the code that it names.
    pub marks: Marks,
}

/// What the audited processes claim.
pub trait Claims {
    /// The claim of this very process for this very socket that fits an event of this time best.
    fn for_socket(&self, who: Identity, cookie: u64, boot_ns: u64) -> Option<Claimed>;
    /// Whether this very process claims this `connect()` of that time for different modules at once.
    fn conflicts(&self, who: Identity, cookie: u64, boot_ns: u64) -> bool;
    /// The claim of this very process about who serves this socket, which it accepted.
    fn for_served(&self, who: Identity, cookie: u64) -> Option<Claimed>;
    /// The claim of this very process and thread (by its own numbering) for a spawn at this time.
    fn for_spawn(&self, who: Identity, ns_tid: u32, boot_ns: u64) -> Option<Claimed>;
    /// Whether this very process hands over claims at all.
    fn has_ring(&self, who: Identity) -> bool;
}

/// Says whose flow this is. `member` is the process that the kernel names, if it is known.
#[must_use]
pub fn flow(claims: &impl Claims, flow: &Opened, member: Option<&Member>) -> Attribution {
    let Some(member) = member else {
        return unattributed(reason::NO_RING);
    };
    if flow.inbound {
        if let Some(claimed) = claims.for_served(member.identity, flow.key.cookie) {
            return matched(&claimed, reason::COOKIE);
        }
        return unattributed(if flow.owner_known { reason::INBOUND } else { reason::LISTENER });
    }
    if let Some(claimed) = claims.for_socket(member.identity, flow.key.cookie, flow.header.boot_ns) {
        let mut attribution = matched(&claimed, reason::COOKIE);
        if claimed.address.is_some_and(|address| address.port != 0 && address != flow.remote) {
            attribution.contradictions.push(contradiction::ADDRESS);
        }
        if claims.conflicts(member.identity, flow.key.cookie, flow.header.boot_ns) {
            attribution.contradictions.push(contradiction::CLAIMS);
        }
        return attribution;
    }
    unclaimed(claims, member, flow.opened_before)
}

/// Whose something is that its process does not claim.
fn unclaimed(claims: &impl Claims, member: &Member, opened_before: bool) -> Attribution {
    // A process that speaks for itself is not spoken for by its ancestors.
    if claims.has_ring(member.identity) {
        return unattributed(if opened_before { reason::OPENED_BEFORE } else { reason::NO_CLAIM });
    }
    match &member.spawn {
        Some(spawn) => spawn.clone(),
        None if opened_before => unattributed(reason::OPENED_BEFORE),
        None => unattributed(reason::NO_RING),
    }
}

/// Says whose a socket is that no ordinary Odoo has, by what is claimed of it until now, or whose hold on another process
/// (`cookie` is `None`): that nobody claims.
#[must_use]
pub fn guarded(claims: &impl Claims, cookie: Option<u64>, opened_before: bool, member: Option<&Member>) -> Attribution {
    let Some(member) = member else {
        return unattributed(reason::NO_RING);
    };
    match cookie.and_then(|cookie| claims.for_socket(member.identity, cookie, u64::MAX)) {
        Some(claimed) => matched(&claimed, reason::COOKIE),
        None => unclaimed(claims, member, opened_before),
    }
}

/// Says whose spawn a child is; `None` if nobody claims it, or if the claim names no module.
#[must_use]
pub fn spawn(claims: &impl Claims, parent: Identity, ns_tid: u32, boot_ns: u64) -> Option<Attribution> {
    let claimed = claims.for_spawn(parent, ns_tid, boot_ns)?;
    (!claimed.chain.is_empty()).then(|| matched(&claimed, reason::SPAWN))
}

/// A claim that a check has bound to something the kernel saw.
#[must_use]
pub fn matched(claimed: &Claimed, reason: &str) -> Attribution {
    labelled(claimed, Label::Matched, reason)
}

/// A claim with this label.
#[must_use]
pub fn labelled(claimed: &Claimed, label: Label, reason: &str) -> Attribution {
    let text = |text: &Option<Rc<str>>| text.as_deref().map(str::to_owned);
    let (label, reason) = match (label, claimed.marks) {
        (Label::Matched, Marks { generated: true, .. }) => (Label::SelfReported, reason::GENERATED),
        (Label::Matched, Marks { ambiguous: true, .. }) => (Label::SelfReported, reason::AMBIGUOUS),
        _ => (label, reason),
    };
    Attribution {
        label,
        module: shown(&claimed.chain).map(str::to_owned),
        chain: claimed.chain.iter().map(ToString::to_string).collect(),
        site: text(&claimed.site),
        origin: text(&claimed.origin),
        database: text(&claimed.database),
        reason: reason.to_owned(),
        contradictions: if claimed.marks.foreign { vec![contradiction::FRAMES] } else { Vec::new() },
    }
}

/// Nobody says, but the host knows what explains it.
#[must_use]
pub fn inferred(reason: &str) -> Attribution {
    Attribution { label: Label::Inferred, ..unattributed(reason) }
}

/// Nobody says, and why.
pub(crate) fn unattributed(reason: &str) -> Attribution {
    Attribution { reason: reason.to_owned(), ..Attribution::default() }
}

/// The nearest module that is not plumbing; if all are, the nearest. A suspicion is not shown as a module.
fn shown(chain: &[Rc<str>]) -> Option<&str> {
    let is_plain = |module: &&Rc<str>| !PLUMBING.contains(&&***module) && !module.starts_with(SUSPECT);
    chain.iter().find(is_plain).or_else(|| chain.first()).map(|module| &**module)
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use auditor_common::body::{Attribution, Label};
    use auditor_common::endpoint::Endpoint;
    use auditor_common::event::{Header, SocketKey};

    use super::hint::Marks;
    use super::lineage::{Identity, Member};
    use super::{Claimed, Claims, contradiction, flow, reason, spawn};
    use crate::flow::Opened;

    const WHO: Identity = Identity { tgid: 7, start_ns: 70 };
    const PEER: Endpoint = Endpoint::v4([192, 0, 2, 1], 443);

    /// What a process says, as a row of data.
    #[derive(Default)]
    struct Says {
        ring: bool,
        socket: Option<Claimed>,
        conflicts: bool,
        served: Option<Claimed>,
        spawn: Option<Claimed>,
    }

    impl Claims for Says {
        fn for_socket(&self, who: Identity, cookie: u64, _: u64) -> Option<Claimed> {
            self.socket.clone().filter(|_| who == WHO && cookie == 1)
        }
        fn conflicts(&self, _: Identity, _: u64, _: u64) -> bool {
            self.conflicts
        }
        fn for_served(&self, who: Identity, cookie: u64) -> Option<Claimed> {
            self.served.clone().filter(|_| who == WHO && cookie == 1)
        }
        fn for_spawn(&self, who: Identity, ns_tid: u32, _: u64) -> Option<Claimed> {
            self.spawn.clone().filter(|_| who == WHO && ns_tid == 3)
        }
        fn has_ring(&self, who: Identity) -> bool {
            self.ring && who == WHO
        }
    }

    fn chain(modules: &[&str]) -> Claimed {
        Claimed { chain: modules.iter().map(|&module| Rc::from(module)).collect(), ..Claimed::default() }
    }

    fn opened() -> Opened {
        Opened {
            header: Header { tgid: 7, boot_ns: 100, ..Header::default() },
            key: SocketKey { cookie: 1, ..SocketKey::default() },
            protocol: 6,
            remote: PEER,
            local: None,
            inbound: false,
            opened_before: false,
            owner_known: true,
            greeted: None,
        }
    }

    fn member(spawn: Option<Attribution>) -> Member {
        Member {
            identity: WHO,
            parent: None,
            comm: None,
            executable: None,
            arguments: None,
            cgroup: 0,
            spawn,
            instance: "i".into(),
            confirmed: true,
            since_ns: 0,
            ancestors: Vec::new(),
        }
    }

    fn check(says: &Says, opened: &Opened, member: &Member, label: Label, module: Option<&str>, why: &str) {
        let it = flow(says, opened, Some(member));
        assert_eq!((it.label, it.module.as_deref(), it.reason.as_str()), (label, module, why));
    }

    #[test]
    fn a_claim_for_the_very_socket_matches() {
        let says = Says { ring: true, socket: Some(chain(&["a", "web"])), ..Says::default() };
        check(&says, &opened(), &member(None), Label::Matched, Some("a"), reason::COOKIE);
    }

    #[test]
    fn plumbing_is_shown_only_if_there_is_nothing_else() {
        let through = Says { socket: Some(chain(&["base", "mail", "crm", "web"])), ..Says::default() };
        check(&through, &opened(), &member(None), Label::Matched, Some("crm"), reason::COOKIE);
        let suspected = Says { socket: Some(chain(&["mail", "native:vendor"])), ..Says::default() };
        check(&suspected, &opened(), &member(None), Label::Matched, Some("mail"), reason::COOKIE);
        let alone = Says { socket: Some(chain(&["mail", "web"])), ..Says::default() };
        check(&alone, &opened(), &member(None), Label::Matched, Some("mail"), reason::COOKIE);
    }

    #[test]
    fn a_socket_without_a_claim_is_nobodys() {
        check(&Says { ring: true, ..Says::default() }, &opened(), &member(None), Label::Absent, None, reason::NO_CLAIM);
        check(&Says::default(), &opened(), &member(None), Label::Absent, None, reason::NO_RING);
    }

    #[test]
    fn a_child_is_its_spawns_unless_it_speaks_for_itself() {
        let says = Says { spawn: Some(chain(&["a"])), ..Says::default() };
        let began = spawn(&says, WHO, 3, 0).expect("the spawn is claimed");
        check(&Says::default(), &opened(), &member(Some(began.clone())), Label::Matched, Some("a"), reason::SPAWN);
        check(
            &Says { ring: true, ..Says::default() },
            &opened(),
            &member(Some(began)),
            Label::Absent,
            None,
            reason::NO_CLAIM,
        );
    }

    #[test]
    fn a_spawn_by_odoo_itself_names_nobody() {
        assert_eq!(spawn(&Says { spawn: Some(chain(&[])), ..Says::default() }, WHO, 3, 0), None);
        assert_eq!(spawn(&Says { spawn: Some(chain(&["a"])), ..Says::default() }, WHO, 4, 0), None);
    }

    #[test]
    fn another_address_than_the_kernel_saw_is_a_contradiction() {
        for (address, contradictions) in [(Some(PEER), 0), (None, 0), (Some(Endpoint::v4([192, 0, 2, 2], 443)), 1)] {
            let says = Says { socket: Some(Claimed { address, ..chain(&["a"]) }), ..Says::default() };
            assert_eq!(flow(&says, &opened(), Some(&member(None))).contradictions.len(), contradictions);
        }
    }

    #[test]
    fn two_modules_for_one_connect_are_a_contradiction() {
        let says = Says { socket: Some(chain(&["a"])), conflicts: true, ..Says::default() };
        check(&says, &opened(), &member(None), Label::Matched, Some("a"), reason::COOKIE);
        assert_eq!(flow(&says, &opened(), Some(&member(None))).contradictions, [contradiction::CLAIMS]);
    }

    #[test]
    fn what_the_hook_noticed_lowers_the_label_or_is_a_contradiction() {
        let none = Marks::default();
        for (marks, label, why, contradictions) in [
            (none, Label::Matched, reason::COOKIE, vec![]),
            (Marks { ambiguous: true, ..none }, Label::SelfReported, reason::AMBIGUOUS, vec![]),
            (Marks { generated: true, ..none }, Label::SelfReported, reason::GENERATED, vec![]),
            (Marks { foreign: true, ..none }, Label::Matched, reason::COOKIE, vec![contradiction::FRAMES]),
        ] {
            let says = Says { socket: Some(Claimed { marks, ..chain(&["a"]) }), ..Says::default() };
            check(&says, &opened(), &member(None), label, Some("a"), why);
            assert_eq!(flow(&says, &opened(), Some(&member(None))).contradictions, contradictions);
        }
    }

    #[test]
    fn an_inbound_flow_is_whose_who_serves_it_and_not_the_callers() {
        let inbound = Opened { inbound: true, ..opened() };
        let served = Says { ring: true, served: Some(chain(&["a"])), socket: Some(chain(&["b"])), ..Says::default() };
        check(&served, &inbound, &member(None), Label::Matched, Some("a"), reason::COOKIE);
        let calls = Says { served: None, ..served };
        check(&calls, &inbound, &member(None), Label::Absent, None, reason::INBOUND);
        check(&Says { ring: true, ..Says::default() }, &inbound, &member(None), Label::Absent, None, reason::INBOUND);
        let waiting = Opened { owner_known: false, ..inbound };
        check(&Says { ring: true, ..Says::default() }, &waiting, &member(None), Label::Absent, None, reason::LISTENER);
    }
}
