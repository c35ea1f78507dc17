//! Who listens, who came in, and connections that came to be.

use crate::{
    atomic, audited,
    emit::{self, Head, Wake},
    kernel::{self, Sock, tcp},
    socket::{self as table, Known, field},
};
use auditor_common::{
    event::{Established, SocketKey, flag, kind},
    maps::{Listener, Owner, Port, Socket, socket},
};
use aya_ebpf::{btf_maps::HashMap, macros::btf_map};

#[btf_map]
static LISTENERS: HashMap<Port, Listener, 4096> = HashMap::new();

/// Whether an audited process listens there.
#[inline(always)]
pub fn is_listening(port: &Port) -> bool {
    LISTENERS.get_ptr(port).is_some()
}

/// A process listens. Called in its own context.
///
/// A function of its own, as `arrived` and `tell` are: before Linux 6.13 all frames of a chain of calls share 512 bytes,
/// and what is inlined side by side would add up.
#[inline(never)]
pub fn listens(sock: Sock) {
    let Some(current) = audited::current() else { return };
    let cookie = sock.make_cookie();
    let port = Port { netns: sock.netns(), port: sock.local_port(), _pad: 0 };
    let known = if let Some(known) = table::find(cookie) {
        known.set(socket::LISTENS);
        Some(known)
    } else {
        let socket = Socket {
            owner: current.owner,
            flags: socket::LISTENS,
            netns: port.netns,
            protocol: tcp::PROTOCOL,
            family: sock.family(),
            ..table::empty()
        };
        table::insert(cookie, &socket);
        table::find(cookie)
    };
    if let Some(known) = known {
        known.listens_at(port.port);
    }
    add(&port, &current.owner);
    let key = SocketKey { cookie, generation: 0, netns: port.netns };
    let head = Head { kind: kind::LISTEN, flags: current.flags, boot_ns: kernel::boot_ns(), owner: &current.owner };
    tell(&head, sock, &key, false);
}

/// Several sockets may listen on one port (SO_REUSEPORT, or several addresses).
#[inline(always)]
fn add(port: &Port, owner: &Owner) {
    if let Some(listener) = LISTENERS.get_ptr_mut(port) {
        // SAFETY: an aligned field of an entry of our own map.
        unsafe { atomic::add(&raw mut (*listener).sockets, 1) };
    } else if LISTENERS.insert(port, Listener { owner: *owner, sockets: 1 }, 0).is_err() {
        emit::dropped(auditor_common::gap::Gap::SocketTableFull);
    }
}

/// A listener ends. Where another one begins on the same port in the same nanoseconds, its port may be forgotten here:
/// its connections then show up by their first use.
#[inline(always)]
pub fn listens_no_more(known: Known) {
    let port = Port { netns: field!(known, netns), port: field!(known, local_port), _pad: 0 };
    let Some(listener) = LISTENERS.get_ptr_mut(port) else { return };
    // SAFETY: as in `add`.
    let before = unsafe { atomic::fetch_add(&raw mut (*listener).sockets, 1_u64.wrapping_neg()) };
    if before <= 1 {
        let _ = LISTENERS.remove(port);
    }
}

/// A TCP connection came to be, mostly in an interrupt. One that a watched process opened has an entry; one that came
/// in has none yet, and is told if a watched process listens on its port.
#[inline(always)]
pub fn established(sock: Sock, old: i32) {
    let cookie = sock.cookie();
    if cookie != 0
        && let Some(known) = table::find(cookie)
    {
        if field!(known, flags) & socket::FLOW != 0 {
            let owner = field!(known, owner);
            let flags = flag::INTERRUPT | table::flow_flags(known) | audited::flags_of(&owner);
            let head = Head { kind: kind::ESTABLISHED, flags, boot_ns: kernel::boot_ns(), owner: &owner };
            tell(&head, sock, &known.key(), true);
        }
        return;
    }
    if old == tcp::SYN_RECV {
        arrived(sock);
    }
}

#[inline(never)]
fn arrived(sock: Sock) {
    let netns = sock.netns();
    let Some(listener) = LISTENERS.get_ptr(Port { netns, port: sock.local_port(), _pad: 0 }) else { return };
    // SAFETY: an entry of our own map; a concurrent removal leaves the memory in place until this program ends.
    let owner = unsafe { (*listener).owner };
    let cookie = sock.make_cookie();
    let now = kernel::boot_ns();
    let socket = Socket {
        owner,
        last_ns: now,
        remote: sock.remote(),
        flags: socket::FLOW | socket::INBOUND | socket::UNOWNED,
        netns,
        protocol: tcp::PROTOCOL,
        family: sock.family(),
        ..table::empty()
    };
    table::insert(cookie, &socket);
    let flags = flag::INTERRUPT | flag::INBOUND | audited::flags_of(&owner);
    let head = Head { kind: kind::ESTABLISHED, flags, boot_ns: now, owner: &owner };
    tell(&head, sock, &SocketKey { cookie, generation: 0, netns }, true);
}

/// Tells about both ends of a socket, or about the local one only.
///
/// A function of its own: its frame is not the caller's, and a frame has 512 bytes.
#[inline(never)]
pub fn tell(head: &Head, sock: Sock, key: &SocketKey, with_remote: bool) {
    let key = *key;
    let (local, remote) = (sock.local(), if with_remote { sock.remote() } else { kernel::nobody() });
    let (protocol, family) = (sock.protocol(), sock.family());
    emit::event(head, Wake::Batch, |header| Established { header, key, local, remote, protocol, family, _pad: 0 });
}
