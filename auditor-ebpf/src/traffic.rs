//! Bytes that calls moved, and the first use of a socket that nothing else explains.

use crate::{
    accept, audited,
    emit::{self, Head, Wake},
    guard,
    kernel::{self, AF_INET, AF_INET6, AF_PACKET, Sock, tcp},
    socket::{self as table, Known, field},
};
use auditor_common::{
    event::{Connect, SocketKey, flag, kind},
    maps::{Port, Socket, socket},
};

/// Reads that are not traffic: a look at what stays in the queue, and the queue of errors [1].
///
/// [1]: https://github.com/torvalds/linux/blob/v6.12/include/linux/socket.h, `MSG_PEEK`
const MSG_PEEK: i32 = 2;
const MSG_ERRQUEUE: i32 = 0x2000;

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Out,
    In,
}

/// A call sent this many bytes.
#[inline(always)]
pub fn sent(sock: Sock, length: i32) {
    moved(sock, length, Way::Out);
}

/// A call received this many bytes.
#[inline(always)]
pub fn received(sock: Sock, length: i32, flags: i32) {
    if flags & (MSG_PEEK | MSG_ERRQUEUE) == 0 {
        moved(sock, length, Way::In);
    }
}

/// A socket without a cookie is nobody's whom we watch, or one that was there before. In the process's context.
#[inline(always)]
fn moved(sock: Sock, length: i32, way: Way) {
    let family = sock.family();
    if length < 0 {
        return;
    }
    if family != AF_INET && family != AF_INET6 {
        if family == AF_PACKET {
            guard::packets(sock);
        }
        return;
    }
    let cookie = sock.cookie();
    if cookie != 0
        && let Some(known) = table::find(cookie)
    {
        known_moved(sock, known, length as u64, way);
        return;
    }
    let Some(current) = audited::current() else { return };
    let now = kernel::boot_ns();
    let netns = sock.netns();
    let port = Port { netns, port: sock.local_port(), _pad: 0 };
    let protocol = sock.protocol();
    let inbound = if protocol == tcp::PROTOCOL { accept::is_listening(&port) } else { receives_first(sock, way) };
    let cookie = sock.make_cookie();
    let bytes = length as u64;
    let socket = Socket {
        owner: current.owner,
        last_ns: now,
        sent: if way == Way::Out { bytes } else { 0 },
        received: if way == Way::In { bytes } else { 0 },
        remote: sock.remote(),
        flags: socket::FLOW | if inbound { socket::INBOUND } else { 0 },
        netns,
        protocol,
        family,
        ..table::empty()
    };
    // Without a place in the table every call would be the first one. The full table is a gap of its own.
    if table::insert(cookie, &socket) {
        let flags = current.flags | flag::OPENED_BEFORE | if inbound { flag::INBOUND } else { 0 };
        let head = Head { kind: kind::FIRST_USE, flags, boot_ns: now, owner: &current.owner };
        let key = SocketKey { cookie, generation: 0, netns };
        accept::tell(&head, sock, &key, true);
        guard::is_used(&current, sock, &key);
    }
}

/// A datagram socket without a peer that receives before it sends is a server.
#[inline(always)]
fn receives_first(sock: Sock, way: Way) -> bool {
    way == Way::In && !sock.has_remote()
}

#[inline(always)]
fn known_moved(sock: Sock, known: Known, bytes: u64, way: Way) {
    let now = kernel::boot_ns();
    let flags = field!(known, flags);
    if flags & (socket::FLOW | socket::UNOWNED) != socket::FLOW {
        first_use(sock, known, now, way);
    } else if field!(known, protocol) != tcp::PROTOCOL
        && now.wrapping_sub(field!(known, last_ns)) >= kernel::silence_ns()
    {
        after_silence(known, now);
    }
    known.touch(now);
    if way == Way::Out {
        known.add_sent(bytes);
    } else {
        known.add_received(bytes);
    }
}

/// A connection that came in gets its owner, or a socket that neither connected nor sent to an address is used.
#[inline(never)]
fn first_use(sock: Sock, known: Known, now: u64, way: Way) {
    let flags = field!(known, flags);
    let Some(current) = audited::current() else { return };
    let mut event_flags = current.flags;
    if flags & socket::FLOW == 0 {
        let inbound = receives_first(sock, way) || flags & socket::LISTENS != 0;
        let before = known.set(socket::FLOW | if inbound { socket::INBOUND } else { 0 });
        if before & socket::FLOW != 0 {
            return;
        }
        event_flags |= if inbound { flag::INBOUND } else { 0 };
    } else {
        if known.clear(socket::UNOWNED) & socket::UNOWNED == 0 {
            return;
        }
        event_flags |= flag::INBOUND;
    }
    known.own(&current.owner);
    let head = Head { kind: kind::FIRST_USE, flags: event_flags, boot_ns: now, owner: &current.owner };
    accept::tell(&head, sock, &known.key(), true);
}

/// A datagram socket speaks again: another flow to the same peer, with the bytes of the one before.
#[inline(never)]
fn after_silence(known: Known, now: u64) {
    let Some(current) = audited::current() else { return };
    let remote = field!(known, remote);
    let (protocol, family) = (field!(known, protocol), field!(known, family));
    let inbound = field!(known, flags) & socket::INBOUND;
    let flags = current.flags | flag::MEASURED | table::flow_flags(known);
    let (key, previous) = known.begin(&current.owner, &remote, inbound, now);
    let head = Head { kind: kind::DATAGRAM, flags, boot_ns: now, owner: &current.owner };
    emit::event(&head, Wake::Batch, |header| Connect {
        header,
        key,
        remote,
        protocol,
        family,
        _pad: 0,
        previous_sent: previous.sent,
        previous_received: previous.received,
    });
}
