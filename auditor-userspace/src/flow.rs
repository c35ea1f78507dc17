//! Events become flows: a state machine that is told the time, and knows nothing of who or why.
//!
//! A flow is announced once ([`Change::Opened`]) and ended once ([`Change::Ended`]). A TCP flow is announced when its
//! local end is known or when the caller can wait no longer ([`Flows::flush`]); an inbound one waits for its owner, and
//! then for the claim of who serves it, which comes a moment later. An outbound TCP flow waits for its TLS handshake,
//! which follows at once if there is one, so that its record has the server's name; a name that comes later is told by
//! itself ([`Change::Greeted`]).

use std::collections::HashMap;
use std::rc::Rc;

use auditor_common::body::{FlowEnd, Sample};
use auditor_common::endpoint::Endpoint;
use auditor_common::event::{Closed, Connect, Established, Header, PacketHead, SocketKey, flag};

/// IP protocol number of TCP.
pub const TCP: u16 = 6;
/// IP protocol number of UDP.
pub const UDP: u16 = 17;
/// A datagram flow that is silent for this long has ended (nanoseconds). The kernel half uses the same number.
pub const IDLE_NS: u64 = 60_000_000_000;
/// How long an inbound flow may wait for the process that serves it (nanoseconds).
pub const OWNER_WAIT_NS: u64 = 2_000_000_000;
/// How long one that has its owner may wait for the claim of who serves it (nanoseconds): an Odoo that is asked for the
/// first time finds its routes before it says so.
pub const CLAIM_WAIT_NS: u64 = 2_000_000_000;

/// What the flows that wait are flushed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// Records are made durable.
    Commit,
    /// Samples are accounted for: whatever stands on one of them has to be recorded before, or without its number.
    Seal,
}

/// A flow began, as far as the kernel can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The event that announced it. Its process is the owner, or the listener while [`Opened::owner_known`] is false.
    pub header: Header,
    /// Which flow.
    pub key: SocketKey,
    /// IP protocol number.
    pub protocol: u16,
    /// Where to, or from where.
    pub remote: Endpoint,
    /// Our end, where it is known.
    pub local: Option<Endpoint>,
    /// The other side began.
    pub inbound: bool,
    /// The socket was there before the auditor.
    pub opened_before: bool,
    /// The process in `header` has used the socket itself.
    pub owner_known: bool,
    /// The server's name in the TLS handshake, if it was there in time.
    pub greeted: Option<Rc<str>>,
}

/// A flow ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// `seq` of the record that opened it.
    pub flow: u64,
    /// What it stands on.
    pub sample: Sample,
    /// How.
    pub end: FlowEnd,
    /// `errno`, where there was one.
    pub error: Option<u32>,
    /// Payload bytes; `None` is "not measured".
    pub sent: Option<u64>,
    /// Payload bytes; `None` is "not measured".
    pub received: Option<u64>,
    /// Since it was opened, nanoseconds.
    pub duration_ns: u64,
    /// From `connect()` to the established connection, nanoseconds.
    pub handshake_ns: Option<u64>,
    /// The server's name in the TLS handshake, if it came after the flow was announced.
    pub greeted: Option<Rc<str>>,
}

/// A TLS handshake began on a flow that was announced before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeted {
    /// `seq` of the record that opened it.
    pub flow: u64,
    /// What it stands on.
    pub sample: Sample,
    /// The server's name.
    pub name: Rc<str>,
    /// Since the flow was opened, nanoseconds.
    pub duration_ns: u64,
}

/// What the caller has to record, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Record it, then say under which number: [`Flows::recorded`].
    Opened(Opened),
    /// Record it.
    Ended(Ended),
    /// Record it.
    Greeted(Greeted),
}

#[derive(Debug)]
struct Flow {
    key: SocketKey,
    opened: Opened,
    /// `seq` of the record; `None` while it is not announced.
    recorded: Option<u64>,
    established_ns: Option<u64>,
    last_ns: u64,
    /// Named after it was announced.
    greeted: Option<Rc<str>>,
}

/// The flows that are open now, by socket cookie. A socket carries one flow at a time.
#[derive(Debug, Default)]
pub struct Flows {
    open: HashMap<u64, Flow>,
    /// Cookies of flows that are not announced yet, oldest first.
    waiting: Vec<u64>,
    /// The kernel half tells of handshakes.
    sees_hellos: bool,
}

/// What the kernel's table says about a datagram socket, for [`Flows::idle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Which of its flows.
    pub generation: u32,
    /// Payload bytes sent, if measured.
    pub sent: Option<u64>,
    /// Payload bytes received, if measured.
    pub received: Option<u64>,
    /// When something last went over it, CLOCK_BOOTTIME nanoseconds.
    pub last_ns: u64,
}

impl Flows {
    /// None yet. `sees_hellos` says that the kernel half tells of handshakes: whether it is worth waiting for them.
    #[must_use]
    pub fn new(sees_hellos: bool) -> Self {
        Self { sees_hellos, ..Self::default() }
    }

    /// How many are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether a flow is not announced yet.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many flows are not announced yet.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.waiting.len() as u64
    }

    /// Whether the flow that this socket carries now waits for the process that serves it.
    #[must_use]
    pub fn waits_for_owner(&self, cookie: u64) -> bool {
        self.open.get(&cookie).is_some_and(|flow| flow.recorded.is_none() && !flow.opened.owner_known)
    }

    /// `seq` of the record of the flow that this socket carries now, and whether there is such a flow at all.
    #[must_use]
    pub fn recorded_as(&self, cookie: u64) -> Option<Option<u64>> {
        self.open.get(&cookie).map(|flow| flow.recorded)
    }

    /// An announced flow was recorded as `seq`. (It may be over by now; its socket may even carry another.)
    pub fn recorded(&mut self, opened: &Opened, seq: u64) {
        if let Some(flow) = self.open.get_mut(&opened.key.cookie)
            && flow.key == opened.key
            && flow.opened.header.boot_ns == opened.header.boot_ns
            && flow.recorded.is_none()
        {
            flow.recorded = Some(seq);
        }
    }

    /// A `connect()`, or the first datagram to a peer.
    pub fn connect(&mut self, event: &Connect, changes: &mut Vec<Change>) {
        let measured = event.header.flags & flag::MEASURED != 0;
        self.replace(
            event.key,
            &event.header,
            measured.then_some((event.previous_sent, event.previous_received)),
            changes,
        );
        let opened = Opened {
            header: event.header,
            key: event.key,
            protocol: event.protocol,
            remote: event.remote,
            local: None,
            inbound: false,
            opened_before: false,
            owner_known: true,
            greeted: None,
        };
        let waits = event.protocol == TCP;
        self.begin(opened, waits, changes);
    }

    /// A TCP connection came to be: the local end is known now, and an inbound flow begins.
    pub fn established(&mut self, event: &Established, changes: &mut Vec<Change>) {
        if let Some(flow) = self.open.get_mut(&event.key.cookie)
            && flow.key == event.key
        {
            flow.established_ns = Some(event.header.boot_ns);
            flow.last_ns = event.header.boot_ns;
            if flow.recorded.is_none() {
                flow.opened.local = Some(event.local);
                if !self.sees_hellos {
                    self.announce(event.key.cookie, changes);
                }
            }
            return;
        }
        if event.header.flags & flag::INBOUND != 0 {
            self.begin(Self::seen(event, false), true, changes);
        } else {
            // The event that announced it was lost: the flow is recorded all the same.
            self.begin(Self::seen(event, true), false, changes);
        }
    }

    /// A TLS handshake begins on a flow; its head may have a name.
    pub fn greeted(&mut self, event: &PacketHead, name: Option<Rc<str>>, changes: &mut Vec<Change>) {
        let Some(flow) = self.open.get_mut(&event.key.cookie).filter(|flow| flow.key == event.key) else { return };
        let Some(seq) = flow.recorded else {
            flow.opened.greeted = name;
            return self.announce(event.key.cookie, changes);
        };
        if let Some(name) = name {
            flow.greeted = Some(Rc::clone(&name));
            let duration_ns = event.header.boot_ns.saturating_sub(flow.opened.header.boot_ns);
            changes.push(Change::Greeted(Greeted {
                flow: seq,
                sample: Sample::from(&event.header),
                name,
                duration_ns,
            }));
        }
    }

    /// A socket is used that no event explains, or an inbound flow's owner shows itself.
    pub fn first_use(&mut self, event: &Established, changes: &mut Vec<Change>) {
        match self.open.get_mut(&event.key.cookie) {
            Some(flow) if flow.key == event.key => {
                if flow.recorded.is_none() {
                    // The flow began when it was accepted; the record stands on the sample that shows its owner.
                    let boot_ns = flow.opened.header.boot_ns;
                    flow.opened.header = Header { boot_ns, flags: flow.opened.header.flags, ..event.header };
                    flow.opened.owner_known = true;
                    flow.last_ns = event.header.boot_ns;
                    if !flow.opened.inbound {
                        self.announce(event.key.cookie, changes);
                    }
                }
            }
            _ => {
                self.replace(event.key, &event.header, None, changes);
                self.begin(Self::seen(event, true), false, changes);
            }
        }
    }

    /// A TCP socket reached CLOSE, or another was released.
    pub fn closed(&mut self, event: &Closed, changes: &mut Vec<Change>) {
        let Some(flow) = self.open.get(&event.key.cookie) else { return };
        if flow.key != event.key {
            return;
        }
        if flow.recorded.is_none() {
            self.announce(event.key.cookie, changes);
        }
        // Without a route a socket goes from CLOSE to CLOSE, and carries no error.
        let never = event.protocol == TCP && matches!(event.state_before, SYN_SENT | CLOSE);
        let end = match (never, event.error) {
            (true, _) => FlowEnd::NotEstablished,
            (false, 0) => FlowEnd::Closed,
            (false, _) => FlowEnd::Error,
        };
        let measured = event.header.flags & flag::MEASURED != 0;
        let error = (event.error != 0).then_some(event.error);
        let bytes = measured.then_some((event.sent, event.received));
        self.end(event.key.cookie, Some(&event.header), event.header.boot_ns, end, error, bytes, changes);
    }

    /// Announces what has waited: everything outbound, and inbound flows that found no owner or no claim in time. To be
    /// called before each commit, so that nothing that was seen stays out of the record for much longer than that, and
    /// before each seal.
    pub fn flush(&mut self, why: Flush, now_boot_ns: u64, changes: &mut Vec<Change>) {
        let mut still = Vec::new();
        for cookie in std::mem::take(&mut self.waiting) {
            let Some(flow) = self.open.get_mut(&cookie).filter(|flow| flow.recorded.is_none()) else { continue };
            let waited = now_boot_ns.saturating_sub(flow.last_ns);
            let waits = match (flow.opened.inbound, flow.opened.owner_known) {
                (true, false) => waited < OWNER_WAIT_NS,
                (true, true) => waited < CLAIM_WAIT_NS,
                (false, _) => false,
            };
            if waits {
                if why == Flush::Seal {
                    flow.opened.header.kseq = 0;
                }
                still.push(cookie);
            } else {
                changes.push(Change::Opened(flow.opened.clone()));
            }
        }
        self.waiting = still;
    }

    /// Announces one flow now, if it waits: something else is about to refer to it.
    pub fn announce(&mut self, cookie: u64, changes: &mut Vec<Change>) {
        if let Some(at) = self.waiting.iter().position(|&waiting| waiting == cookie) {
            self.waiting.remove(at);
            if let Some(flow) = self.open.get(&cookie) {
                changes.push(Change::Opened(flow.opened.clone()));
            }
        }
    }

    /// Announces what waits of one process: it is about to be another one, or none.
    pub fn announce_all_of(&mut self, owner: &Header, changes: &mut Vec<Change>) {
        let Self { waiting, open, .. } = self;
        waiting.retain(|cookie| {
            let Some(Flow { opened, .. }) = open.get(cookie) else { return true };
            let who = |header: &Header| (header.tgid, header.process_start_ns);
            let goes = opened.owner_known && who(&opened.header) == who(owner);
            if goes {
                changes.push(Change::Opened(opened.clone()));
            }
            !goes
        });
    }

    /// Flows that have been silent for [`IDLE_NS`] are ended, and so are those that the kernel does not know any more
    /// (their end was lost); the caller says what time it is and what the kernel's table says.
    pub fn idle(&mut self, now_boot_ns: u64, table: impl Fn(u64) -> Option<Traffic>, changes: &mut Vec<Change>) {
        let silent: Vec<u64> = self
            .open
            .iter()
            .filter(|(_, flow)| flow.recorded.is_some() && now_boot_ns.saturating_sub(flow.last_ns) >= IDLE_NS)
            .map(|(&cookie, _)| cookie)
            .collect();
        for cookie in silent {
            let Some(flow) = self.open.get_mut(&cookie) else { continue };
            match table(cookie) {
                None => self.end(cookie, None, now_boot_ns, FlowEnd::NotWatched, None, None, changes),
                Some(traffic) if flow.opened.protocol == TCP || traffic.generation != flow.key.generation => {
                    flow.last_ns = now_boot_ns; // Alive, and its end will be told.
                }
                Some(traffic) if now_boot_ns.saturating_sub(traffic.last_ns) < IDLE_NS => {
                    flow.last_ns = traffic.last_ns;
                }
                Some(traffic) => {
                    let bytes = traffic.sent.zip(traffic.received);
                    self.end(cookie, None, now_boot_ns, FlowEnd::Idle, None, bytes, changes);
                }
            }
        }
    }

    /// Nobody will be looking any more: every open flow is ended as [`FlowEnd::NotWatched`].
    pub fn stop(&mut self, now_boot_ns: u64, changes: &mut Vec<Change>) {
        let mut cookies: Vec<u64> = self.open.keys().copied().collect();
        cookies.sort_unstable();
        for cookie in cookies {
            self.announce(cookie, changes);
            self.end(cookie, None, now_boot_ns, FlowEnd::NotWatched, None, None, changes);
        }
    }

    fn seen(event: &Established, owner_known: bool) -> Opened {
        Opened {
            header: event.header,
            key: event.key,
            protocol: event.protocol,
            remote: event.remote,
            local: Some(event.local),
            inbound: event.header.flags & flag::INBOUND != 0,
            opened_before: event.header.flags & flag::OPENED_BEFORE != 0,
            owner_known,
            greeted: None,
        }
    }

    fn begin(&mut self, opened: Opened, waits: bool, changes: &mut Vec<Change>) {
        let cookie = opened.key.cookie;
        if waits {
            self.waiting.push(cookie);
        } else {
            changes.push(Change::Opened(opened.clone()));
        }
        let last_ns = opened.header.boot_ns;
        let flow = Flow { key: opened.key, opened, recorded: None, established_ns: None, last_ns, greeted: None };
        self.open.insert(cookie, flow);
    }

    /// Ends the flow that the socket carried before, if there is one.
    fn replace(&mut self, key: SocketKey, header: &Header, bytes: Option<(u64, u64)>, changes: &mut Vec<Change>) {
        if self.open.contains_key(&key.cookie) {
            self.announce(key.cookie, changes);
            self.end(key.cookie, None, header.boot_ns, FlowEnd::Replaced, None, bytes, changes);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one place where a flow ends, whatever ends it")]
    fn end(
        &mut self,
        cookie: u64,
        header: Option<&Header>,
        boot_ns: u64,
        end: FlowEnd,
        error: Option<u32>,
        bytes: Option<(u64, u64)>,
        changes: &mut Vec<Change>,
    ) {
        let Some(flow) = self.open.remove(&cookie) else { return };
        changes.push(Change::Ended(Ended {
            // A flow announced in this very batch has no number yet: the caller puts it in (`PENDING`).
            flow: flow.recorded.unwrap_or(PENDING),
            sample: header.map_or(Sample { boot_ns, cpu: None, kseq: None }, Sample::from),
            end,
            error,
            sent: bytes.map(|(sent, _)| sent),
            received: bytes.map(|(_, received)| received),
            duration_ns: boot_ns.saturating_sub(flow.opened.header.boot_ns),
            handshake_ns: flow
                .established_ns
                .filter(|_| !flow.opened.inbound && !flow.opened.opened_before)
                .map(|ns| ns.saturating_sub(flow.opened.header.boot_ns)),
            greeted: flow.greeted,
        }));
    }
}

/// In [`Ended::flow`]: the flow was announced by a change right before this one.
pub const PENDING: u64 = u64::MAX;

/// `TCP_SYN_SENT`, `include/net/tcp_states.h`.
const SYN_SENT: u16 = 2;
/// `TCP_CLOSE`, likewise.
const CLOSE: u16 = 7;

#[cfg(test)]
mod tests {
    use auditor_common::body::FlowEnd;
    use auditor_common::endpoint::Endpoint;
    use auditor_common::event::{Closed, Connect, Established, HEAD_MAX, Header, PacketHead, SocketKey, flag};

    use super::{CLAIM_WAIT_NS, Change, Flows, Flush, IDLE_NS, OWNER_WAIT_NS, PENDING, TCP, Traffic, UDP};

    const PEER: Endpoint = Endpoint::v4([192, 0, 2, 1], 443);
    const HERE: Endpoint = Endpoint::v4([192, 0, 2, 9], 50_000);

    fn header(boot_ns: u64, flags: u16) -> Header {
        Header { boot_ns, flags, tgid: 7, tid: 8, kseq: boot_ns, ..Header::default() }
    }

    fn key(generation: u32) -> SocketKey {
        SocketKey { cookie: 1, generation, netns: 4 }
    }

    fn connect(protocol: u16, generation: u32, at: u64) -> Connect {
        Connect {
            header: header(at, flag::MEASURED),
            key: key(generation),
            remote: PEER,
            protocol,
            ..Connect::default()
        }
    }

    fn established(at: u64, flags: u16) -> Established {
        Established {
            header: header(at, flags),
            key: key(0),
            local: HERE,
            remote: PEER,
            protocol: TCP,
            ..Established::default()
        }
    }

    fn closed(at: u64, state_before: u16, error: u32) -> Closed {
        let header = header(at, flag::MEASURED);
        Closed { header, key: key(0), sent: 10, received: 20, error, state_before, protocol: TCP }
    }

    /// Runs a story and gives what it made, in short.
    fn story(tell: impl FnOnce(&mut Flows, &mut Vec<Change>)) -> Vec<String> {
        let mut flows = Flows::default();
        let mut changes = Vec::new();
        tell(&mut flows, &mut changes);
        changes
            .iter()
            .map(|change| match change {
                Change::Opened(it) => {
                    let greeted = it.greeted.as_deref().map(|name| format!(" to {name}")).unwrap_or_default();
                    let (local, inbound, tgid) = (it.local.is_some(), it.inbound, it.header.tgid);
                    format!("opened local={local} inbound={inbound} tgid={tgid}{greeted}")
                }
                Change::Greeted(it) => {
                    assert_eq!((it.sample.boot_ns, it.sample.kseq), (it.duration_ns + 1, Some(it.duration_ns + 1)));
                    format!("{} is to {} after {}", it.flow, it.name, it.duration_ns)
                }
                Change::Ended(it) => {
                    let flow = if it.flow == PENDING { "pending".into() } else { it.flow.to_string() };
                    format!(
                        "ended {flow} {:?} error={:?} sent={:?} received={:?}",
                        it.end, it.error, it.sent, it.received
                    )
                }
            })
            .collect()
    }

    #[test]
    fn what_waits_of_a_process_is_announced_before_it_ends() {
        for (owner, announced) in [(header(3, 0), 1), (Header { tgid: 9, ..header(3, 0) }, 0)] {
            let (mut flows, mut changes) = (Flows::new(true), Vec::new());
            flows.connect(&connect(TCP, 0, 1), &mut changes);
            flows.established(&established(2, 0), &mut changes);
            assert!(changes.is_empty(), "a handshake may follow");
            flows.announce_all_of(&owner, &mut changes);
            flows.announce_all_of(&owner, &mut changes);
            assert_eq!(changes.len(), announced, "{owner:?}");
        }
    }

    #[test]
    fn a_connection_is_announced_when_its_local_end_is_known() {
        let made = story(|flows, changes| {
            flows.connect(&connect(TCP, 0, 1), changes);
            assert!(changes.is_empty());
            flows.established(&established(2, 0), changes);
            flows.closed(&closed(3, 1, 0), changes);
        });
        assert_eq!(
            made,
            [
                "opened local=true inbound=false tgid=7",
                "ended pending Closed error=None sent=Some(10) received=Some(20)",
            ]
        );
    }

    #[test]
    fn a_connection_that_takes_long_is_announced_without_its_local_end() {
        let made = story(|flows, changes| {
            flows.connect(&connect(TCP, 0, 1), changes);
            flows.flush(Flush::Commit, 2, changes);
            flows.flush(Flush::Commit, 3, changes);
            flows.established(&established(4, 0), changes);
        });
        assert_eq!(made, ["opened local=false inbound=false tgid=7"]);
    }

    fn hello(at: u64) -> PacketHead {
        let (header, bytes) = (header(at, flag::INTERRUPT), [0; HEAD_MAX]);
        PacketHead { header, key: key(0), remote: PEER, protocol: TCP, length: 0, _pad: 0, bytes }
    }

    #[test]
    fn a_connection_waits_for_its_handshake_and_no_longer_than_to_the_next_commit() {
        let made = story(|flows, changes| {
            *flows = Flows::new(true);
            flows.connect(&connect(TCP, 0, 1), changes);
            flows.established(&established(2, 0), changes);
            assert!(changes.is_empty() && flows.has_waiting());
            flows.greeted(&hello(3), Some("erp.example.com".into()), changes);
            assert!(!flows.has_waiting());
        });
        assert_eq!(made, ["opened local=true inbound=false tgid=7 to erp.example.com"]);
        for name in [None, Some("erp.example.com".into())] {
            let made = story(|flows, changes| {
                *flows = Flows::new(true);
                flows.connect(&connect(TCP, 0, 1), changes);
                flows.established(&established(2, 0), changes);
                flows.flush(Flush::Commit, 3, changes);
                let Change::Opened(opened) = changes[0].clone() else { panic!("a flow begins with its opening") };
                flows.recorded(&opened, 40);
                flows.greeted(&hello(9), name.clone(), changes);
                flows.closed(&closed(10, 1, 0), changes);
                let Some(Change::Ended(ended)) = changes.last() else { panic!("a flow ends") };
                assert_eq!(ended.greeted, name, "its end says so again");
            });
            assert_eq!(made[0], "opened local=true inbound=false tgid=7");
            let late = name.map(|name: std::rc::Rc<str>| format!("40 is to {name} after 8"));
            assert_eq!(made[1..made.len() - 1].first().cloned(), late);
        }
    }

    #[test]
    fn the_handshake_of_another_flow_names_nobody() {
        let made = story(|flows, changes| {
            *flows = Flows::new(true);
            flows.greeted(&hello(1), Some("erp.example.com".into()), changes);
            flows.connect(&connect(TCP, 1, 2), changes);
            flows.greeted(&hello(3), Some("erp.example.com".into()), changes);
            assert!(flows.has_waiting());
        });
        assert!(made.is_empty());
    }

    #[test]
    fn a_refused_connection_never_came_to_be() {
        let made = story(|flows, changes| {
            flows.connect(&connect(TCP, 0, 1), changes);
            flows.closed(&closed(2, 2, 111), changes);
        });
        assert_eq!(made[1], "ended pending NotEstablished error=Some(111) sent=Some(10) received=Some(20)");
    }

    #[test]
    fn an_inbound_flow_waits_for_its_owner_and_for_who_serves_it() {
        for why in [Flush::Commit, Flush::Seal] {
            let made = story(|flows, changes| {
                flows.established(&established(1, flag::INBOUND), changes);
                flows.flush(Flush::Seal, 2, changes);
                assert!(flows.waits_for_owner(1) && changes.is_empty());
                let mut owner = established(3, flag::INBOUND);
                owner.header.tgid = 9;
                flows.first_use(&owner, changes);
                flows.flush(why, 2 + CLAIM_WAIT_NS, changes);
                assert!(!flows.waits_for_owner(1) && flows.has_waiting() && changes.is_empty());
                flows.flush(Flush::Commit, 3 + CLAIM_WAIT_NS, changes);
                assert!(!flows.has_waiting());
                let Change::Opened(opened) = &changes[0] else { panic!("a flow begins with its opening") };
                let numbered = opened.header.kseq != 0;
                assert_eq!(numbered, why == Flush::Commit, "a number does not outlive the seal that counts it");
            });
            assert_eq!(made, ["opened local=true inbound=true tgid=9"], "{why:?}");
        }
    }

    #[test]
    fn an_inbound_flow_that_nobody_serves_is_announced_all_the_same() {
        let made = story(|flows, changes| {
            flows.established(&established(1, flag::INBOUND), changes);
            flows.flush(Flush::Commit, 1 + OWNER_WAIT_NS, changes);
        });
        assert_eq!(made, ["opened local=true inbound=true tgid=7"]);
    }

    #[test]
    fn a_datagram_socket_that_changes_its_peer_ends_one_flow_and_begins_another() {
        let made = story(|flows, changes| {
            flows.connect(&connect(UDP, 0, 1), changes);
            let mut next = connect(UDP, 1, 2);
            (next.previous_sent, next.previous_received) = (5, 6);
            let Change::Opened(first) = changes[0].clone() else { panic!("a flow begins with its opening") };
            flows.recorded(&first, 40);
            flows.connect(&next, changes);
            assert_eq!(flows.recorded_as(1), Some(None));
        });
        assert_eq!(
            made[1..],
            ["ended 40 Replaced error=None sent=Some(5) received=Some(6)", "opened local=false inbound=false tgid=7",]
        );
    }

    #[test]
    fn the_end_of_an_older_flow_does_not_end_a_newer_one() {
        let made = story(|flows, changes| {
            flows.connect(&connect(UDP, 1, 1), changes);
            flows.closed(&closed(2, 0, 0), changes);
        });
        assert_eq!(made.len(), 1);
    }

    fn idle_after(table: Option<Traffic>) -> Vec<String> {
        story(|flows, changes| {
            flows.connect(&connect(UDP, 0, 1), changes);
            let Change::Opened(opened) = changes[0].clone() else { panic!("a flow begins with its opening") };
            flows.recorded(&opened, 3);
            flows.idle(1 + IDLE_NS, |_| table, changes);
        })
    }

    #[test]
    fn a_datagram_flow_ends_when_it_is_silent_for_a_minute() {
        let silent = Traffic { generation: 0, sent: Some(4), received: None, last_ns: 1 };
        assert_eq!(idle_after(Some(silent))[1], "ended 3 Idle error=None sent=None received=None");
        let measured = Traffic { received: Some(2), ..silent };
        assert_eq!(idle_after(Some(measured))[1], "ended 3 Idle error=None sent=Some(4) received=Some(2)");
    }

    #[test]
    fn a_datagram_flow_that_went_on_unseen_is_not_ended() {
        let busy = Traffic { generation: 0, sent: Some(4), received: Some(0), last_ns: IDLE_NS };
        assert_eq!(idle_after(Some(busy)).len(), 1);
    }

    #[test]
    fn a_flow_whose_end_was_lost_does_not_stay_open_for_ever() {
        assert_eq!(idle_after(None)[1], "ended 3 NotWatched error=None sent=None received=None");
    }

    #[test]
    fn a_stop_announces_and_ends_everything() {
        let made = story(|flows, changes| {
            flows.established(&established(1, flag::INBOUND), changes);
            flows.stop(2, changes);
            assert!(flows.is_empty());
        });
        assert_eq!(
            made,
            ["opened local=true inbound=true tgid=7", "ended pending NotWatched error=None sent=None received=None",]
        );
    }

    #[test]
    fn every_end_is_an_end_that_the_record_knows() {
        for (state, error, end) in [
            (1, 0, FlowEnd::Closed),
            (1, 104, FlowEnd::Error),
            (2, 110, FlowEnd::NotEstablished),
            (7, 0, FlowEnd::NotEstablished),
        ] {
            let mut flows = Flows::default();
            let mut changes = Vec::new();
            flows.connect(&connect(TCP, 0, 1), &mut changes);
            flows.closed(&closed(2, state, error), &mut changes);
            assert!(matches!(&changes[1], Change::Ended(ended) if ended.end == end), "{state} {error}");
        }
    }
}
