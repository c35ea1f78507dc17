//! What is known of each socket: one entry from its creation, or from its first use, to its end.

use crate::{
    atomic, audited, connect,
    emit::{self, Head, Wake},
    guard,
    kernel::{self, tcp},
};
use auditor_common::{
    endpoint::Endpoint,
    event::{Closed, SocketKey, flag, guarded, kind},
    gap::Gap,
    maps::{Owner, Socket, socket},
};
use aya_ebpf::{btf_maps::HashMap, helpers::generated::bpf_get_socket_cookie, macros::btf_map, programs::SockContext};

#[btf_map]
static SOCKETS: HashMap<u64, Socket, 65536> = HashMap::new();

/// An entry of `SOCKETS`. Several processors may use it at once: counts and flags change atomically; the rest is
/// written by whoever holds the socket's lock, or tells a story that either writer's value is true for.
#[derive(Clone, Copy)]
pub struct Known {
    pub entry: *mut Socket,
    pub cookie: u64,
}

/// Reads a field of the entry.
macro_rules! field {
    ($known:expr, $field:ident) => {
        // SAFETY: an entry of our own map; a concurrent removal leaves the memory in place until this program ends.
        unsafe { (*$known.entry).$field }
    };
}
pub(crate) use field;

/// What the flow before the current one came to.
pub struct Previous {
    pub sent: u64,
    pub received: u64,
}

/// The entry with this cookie, if there is one.
#[inline(always)]
pub fn find(cookie: u64) -> Option<Known> {
    Some(Known { entry: SOCKETS.get_ptr_mut(cookie)?, cookie })
}

/// Puts in a new entry. A full table is counted: the end of such a socket will not be told.
#[inline(always)]
pub fn insert(cookie: u64, socket: &Socket) -> bool {
    let inserted = SOCKETS.insert(cookie, socket, 0).is_ok();
    if !inserted {
        emit::dropped(Gap::SocketTableFull);
    }
    inserted
}

impl Known {
    /// Sets a flag; gives the flags as they were.
    #[inline(always)]
    pub fn set(self, flag: u64) -> u64 {
        // SAFETY: an aligned field of an entry of our own map.
        unsafe { atomic::fetch_or(&raw mut (*self.entry).flags, flag) }
    }

    /// Takes flags away; gives the flags as they were.
    #[inline(always)]
    pub fn clear(self, flag: u64) -> u64 {
        // SAFETY: as in `set`.
        unsafe { atomic::fetch_and(&raw mut (*self.entry).flags, !flag) }
    }

    #[inline(always)]
    pub fn remove(self) {
        let _ = SOCKETS.remove(self.cookie);
    }

    #[inline(always)]
    pub fn key(self) -> SocketKey {
        SocketKey { cookie: self.cookie, generation: field!(self, generation) as u32, netns: field!(self, netns) }
    }

    #[inline(always)]
    pub fn touch(self, now: u64) {
        // SAFETY: as in `set`; whichever of two writers wins, it was used just now.
        unsafe { (*self.entry).last_ns = now };
    }

    #[inline(always)]
    pub fn add_sent(self, bytes: u64) {
        // SAFETY: as in `set`.
        unsafe { atomic::add(&raw mut (*self.entry).sent, bytes) };
    }

    #[inline(always)]
    pub fn add_received(self, bytes: u64) {
        // SAFETY: as in `set`.
        unsafe { atomic::add(&raw mut (*self.entry).received, bytes) };
    }

    #[inline(always)]
    pub fn own(self, owner: &Owner) {
        // SAFETY: as in `set`; called once for a socket, by whoever took the UNOWNED flag away.
        unsafe { (*self.entry).owner = *owner };
    }

    #[inline(always)]
    pub fn listens_at(self, port: u16) {
        // SAFETY: as in `set`; under the socket's lock.
        unsafe { (*self.entry).local_port = port };
    }

    #[inline(always)]
    pub fn is_with(self, remote: &Endpoint) -> bool {
        // Words, since comparing slices would be a call.
        // SAFETY: as in `field`; an `Endpoint` has no hidden padding, and is as long as three aligned words.
        unsafe { *(&raw const (*self.entry).remote).cast::<[u64; 3]>() == *(&raw const *remote).cast::<[u64; 3]>() }
    }

    /// Another flow begins on this socket: gives its key, and what the one before came to.
    #[inline(always)]
    pub fn begin(self, owner: &Owner, remote: &Endpoint, flags: u64, now: u64) -> (SocketKey, Previous) {
        let mut key = self.key();
        // SAFETY: as in `set`. Two threads that begin a flow at the same time get two generations.
        unsafe {
            if (*self.entry).flags & socket::FLOW != 0 {
                key.generation = atomic::fetch_add(&raw mut (*self.entry).generation, 1) as u32 + 1;
            }
            let previous = Previous {
                sent: atomic::swap(&raw mut (*self.entry).sent, 0),
                received: atomic::swap(&raw mut (*self.entry).received, 0),
            };
            (*self.entry).remote = *remote;
            (*self.entry).owner = *owner;
            (*self.entry).last_ns = now;
            (*self.entry).flags = socket::FLOW | flags;
            (key, previous)
        }
    }
}

/// A watched process made a socket: what has no entry later on was there before.
#[inline(always)]
pub fn created(ctx: &SockContext) {
    let Some(current) = audited::current() else { return };
    // SAFETY: loads of context fields, and a helper that takes the context.
    let (cookie, family, protocol, kind) = unsafe {
        let sock = ctx.sock;
        (
            bpf_get_socket_cookie(sock.cast()),
            (&raw const (*sock).family).read_volatile(),
            (&raw const (*sock).protocol).read_volatile(),
            (&raw const (*sock).type_).read_volatile(),
        )
    };
    let netns = kernel::sock_netns(ctx);
    let socket = Socket { owner: current.owner, netns, protocol: protocol as u16, family: family as u16, ..empty() };
    // A full table is not counted here: nothing has happened yet that could be missed.
    let _ = SOCKETS.insert(cookie, socket, 0);
    if kind == u32::from(kernel::SOCK_RAW) {
        let key = SocketKey { cookie, generation: 0, netns };
        let about =
            guard::About { what: guarded::RAW_SOCKET, key, family: family as u16, protocol: protocol as u16, flags: 0 };
        guard::socket(&current, &about);
    }
}

/// A socket of which nothing is known.
#[inline(always)]
pub fn empty() -> Socket {
    let zero = kernel::zero();
    Socket {
        owner: Owner { process_start_ns: zero, cgroup: zero, tgid: 0, tid: 0 },
        last_ns: zero,
        sent: zero,
        received: zero,
        remote: kernel::nobody(),
        generation: zero,
        flags: zero,
        netns: 0,
        protocol: 0,
        family: 0,
        local_port: zero as u16,
        _pad: [zero as u8; 6],
    }
}

/// The last descriptor of a socket was closed, by whomever.
#[inline(always)]
pub fn released(ctx: &SockContext) {
    let cookie = kernel::sock_cookie(ctx);
    if cookie == 0 {
        return;
    }
    let Some(known) = find(cookie) else { return };
    if field!(known, protocol) == tcp::PROTOCOL {
        released_tcp(ctx, known);
        return;
    }
    if field!(known, flags) & socket::FLOW != 0 {
        let owner = field!(known, owner);
        let measured = if kernel::lengths() { flag::MEASURED } else { 0 };
        let flags = measured | flow_flags(known) | audited::flags_of(&owner);
        let head = Head { kind: kind::RELEASED, flags, boot_ns: kernel::boot_ns(), owner: &owner };
        emit::event(&head, Wake::Batch, |header| Closed {
            header,
            key: known.key(),
            sent: field!(known, sent),
            received: field!(known, received),
            error: 0,
            state_before: 0,
            protocol: field!(known, protocol),
        });
    }
    known.remove();
}

/// TCP goes on without a process: its end is the change to CLOSE, which may have been before, or may come at the same
/// time on another processor. Whoever of the two comes second finds the other's flag.
#[inline(always)]
fn released_tcp(ctx: &SockContext, known: Known) {
    // Read before the flag is set: the kernel stores CLOSE after the tracepoint has run.
    // SAFETY: load of a context field.
    let state = unsafe { (&raw const (*ctx.sock).state).read_volatile() };
    let before = known.set(socket::RELEASED);
    if before & (socket::FLOW | socket::LISTENS) == 0 || before & socket::ENDED != 0 {
        known.remove();
    } else if state == tcp::CLOSE as u32 {
        // A connection that failed before it was tried, no route for example: no change of state tells.
        connect::ended(known, tcp::CLOSE, 0, (0, 0), 0);
        known.remove();
    }
}

/// What an event says about the flow itself.
#[inline(always)]
pub fn flow_flags(known: Known) -> u16 {
    if field!(known, flags) & socket::INBOUND != 0 { flag::INBOUND } else { 0 }
}
