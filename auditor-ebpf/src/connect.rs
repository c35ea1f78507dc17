//! Who went out, and how it ended.

use crate::{
    audited,
    emit::{self, Head, Wake},
    kernel::{self, Sock, tcp},
    socket::{self as table, Known, field},
};
use auditor_common::{
    endpoint::Endpoint,
    event::{Closed, Connect, SocketKey, flag, kind},
    maps::{Socket, socket},
};
use aya_ebpf::{helpers::generated::bpf_get_socket_cookie, programs::SockAddrContext};

/// The socket that a `bpf_sock_addr` program is about.
pub struct Subject {
    pub cookie: u64,
    pub protocol: u16,
    pub family: u16,
}

/// See [`Subject`].
#[inline(always)]
pub fn subject(ctx: &SockAddrContext) -> Subject {
    let address = ctx.sock_addr;
    // SAFETY: loads of context fields, and a helper that takes the context.
    unsafe {
        Subject {
            cookie: bpf_get_socket_cookie(address.cast()),
            protocol: (&raw const (*address).protocol).read_volatile() as u16,
            family: (&raw const (*address).family).read_volatile() as u16,
        }
    }
}

/// A process connects, whatever will come of it.
#[inline(always)]
pub fn attempted(ctx: &SockAddrContext, destination: impl FnOnce(&SockAddrContext) -> Endpoint) {
    let Some(current) = audited::current() else { return };
    let subject = subject(ctx);
    flow_began(ctx, kind::CONNECT, &current, &subject, &destination(ctx), 0, table::find(subject.cookie));
}

/// Puts down that a flow began, and tells.
#[inline(always)]
pub fn flow_began(
    ctx: &SockAddrContext,
    kind: u8,
    current: &audited::Current,
    subject: &Subject,
    remote: &Endpoint,
    event_flags: u16,
    known: Option<Known>,
) {
    let now = kernel::boot_ns();
    let (key, previous) = if let Some(known) = known {
        known.begin(&current.owner, remote, field!(known, flags) & socket::INBOUND, now)
    } else {
        let netns = kernel::sock_addr_netns(ctx);
        let socket = Socket {
            owner: current.owner,
            last_ns: now,
            remote: *remote,
            flags: socket::FLOW,
            netns,
            protocol: subject.protocol,
            family: subject.family,
            ..table::empty()
        };
        table::insert(subject.cookie, &socket);
        (SocketKey { cookie: subject.cookie, generation: 0, netns }, table::Previous { sent: 0, received: 0 })
    };
    // What a TCP socket sent before is in its CLOSED.
    let counts = subject.protocol != tcp::PROTOCOL && kernel::lengths();
    let measured = if counts { flag::MEASURED } else { 0 };
    let flags = current.flags | event_flags | measured;
    let head = Head { kind, flags, boot_ns: now, owner: &current.owner };
    emit::event(&head, Wake::Batch, |header| Connect {
        header,
        key,
        remote: *remote,
        protocol: subject.protocol,
        family: subject.family,
        _pad: 0,
        previous_sent: if counts { previous.sent } else { 0 },
        previous_received: if counts { previous.received } else { 0 },
    });
}

/// A TCP socket goes to CLOSE.
#[inline(always)]
pub fn closed(sock: Sock, old: i32) {
    let cookie = sock.cookie();
    if cookie == 0 {
        return;
    }
    let Some(known) = table::find(cookie) else { return };
    let flags = field!(known, flags);
    let mut before = flags;
    if flags & socket::LISTENS != 0 {
        before = known.clear(socket::LISTENS);
        crate::accept::listens_no_more(known);
    } else if flags & socket::FLOW != 0 {
        before = known.set(socket::ENDED);
        if before & socket::ENDED == 0 {
            ended(known, old, sock.error(), sock.tcp_totals(), flag::INTERRUPT);
        }
    }
    if before & socket::RELEASED != 0 || sock.is_orphan() {
        known.remove();
    }
}

/// Tells that a TCP flow ended.
#[inline(always)]
pub fn ended(known: Known, old: i32, error: u32, (sent, received): (u64, u64), context: u16) {
    let owner = field!(known, owner);
    let flags = context | flag::MEASURED | table::flow_flags(known) | audited::flags_of(&owner);
    let head = Head { kind: kind::CLOSED, flags, boot_ns: kernel::boot_ns(), owner: &owner };
    emit::event(&head, Wake::Batch, |header| Closed {
        header,
        key: known.key(),
        sent,
        received,
        error,
        state_before: old as u16,
        protocol: tcp::PROTOCOL,
    });
}
