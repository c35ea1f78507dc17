//! What no ordinary Odoo does: raw and packet sockets, and a hold on another process.
//!
//! Netlink is no part of this: glibc itself opens such sockets to look names up.

use crate::{
    audited::{self, Current},
    emit::{self, Head, Wake},
    kernel::{self, AF_PACKET, SOCK_RAW, Sock, SocketOf, Task},
};
use auditor_common::{
    event::{Guard, SocketKey, flag, guarded, kind},
    maps::Hold,
};
use aya_ebpf::{btf_maps::LruHashMap, macros::btf_map};

/// Packet sockets that were told of, by cookie: no hook tells when one is released, so the oldest make room.
#[btf_map]
static PACKET_SOCKETS: LruHashMap<u64, u8, 4096> = LruHashMap::new();

/// Who got hold of whom, and when that was told, CLOCK_BOOTTIME nanoseconds.
#[btf_map]
static HOLDS: LruHashMap<Hold, u64, 4096> = LruHashMap::new();

/// A hold goes on and is asked for again with every read of the other's memory: it is told once in this time.
const HOLD_NS: u64 = 60_000_000_000;

/// Of `PTRACE_MODE_*`: more than a look [1].
///
/// [1]: https://github.com/torvalds/linux/blob/v6.12/include/linux/ptrace.h
const PTRACE_MODE_ATTACH: u32 = 2;

/// Number of `pidfd_getfd`, the same on every architecture: it came after they were unified [1].
///
/// [1]: https://github.com/torvalds/linux/blob/v6.12/include/uapi/asm-generic/unistd.h
const PIDFD_GETFD: u32 = 438;

/// What is told beside the process.
pub struct About {
    pub what: u16,
    pub key: SocketKey,
    pub family: u16,
    pub protocol: u16,
    pub flags: u16,
}

/// An Internet socket of a watched process is a raw one.
///
/// A function of its own, since what its callers have on the stack is enough already.
#[inline(never)]
pub fn socket(current: &Current, about: &About) {
    tell(current, about, 0, 0);
}

#[inline(always)]
fn tell(current: &Current, about: &About, target_tgid: u32, target_start_ns: u64) {
    let flags = current.flags | about.flags;
    let head = Head { kind: kind::GUARD, flags, boot_ns: kernel::boot_ns(), owner: &current.owner };
    let &About { what, key, family, protocol, .. } = about;
    emit::event(&head, Wake::Batch, |header| Guard {
        header,
        key,
        target_start_ns,
        target_tgid,
        what,
        family,
        protocol,
        _pad: [0; 6],
    });
}

/// A raw socket that was there before, or came from elsewhere, is used.
#[inline(always)]
pub fn is_used(current: &Current, sock: Sock, key: &SocketKey) {
    if sock.kind() == SOCK_RAW {
        let (family, protocol) = (sock.family(), sock.protocol());
        let about = About { what: guarded::RAW_SOCKET, key: *key, family, protocol, flags: flag::OPENED_BEFORE };
        socket(current, &about);
    }
}

/// A watched process uses a packet socket, or has made one. Told once for each socket.
#[inline(never)]
pub fn packets(sock: Sock) {
    let Some(current) = audited::current() else { return };
    let cookie = sock.make_cookie();
    if PACKET_SOCKETS.get_ptr(cookie).is_some() {
        return;
    }
    let _ = PACKET_SOCKETS.insert(cookie, 1, 0);
    let key = SocketKey { cookie, generation: 0, netns: sock.netns() };
    tell(&current, &About { what: guarded::PACKET_SOCKET, key, family: AF_PACKET, protocol: 0, flags: 0 }, 0, 0);
}

/// A process has made a socket.
#[inline(always)]
pub fn made(socket: SocketOf, family: u32, of_the_kernel: u32) {
    if family == u32::from(AF_PACKET)
        && of_the_kernel == 0
        && let Some(sock) = socket.sock()
    {
        packets(sock);
    }
}

/// A process asks to get hold of another one, and everybody else has allowed it.
#[inline(always)]
pub fn holds(other: Task, mode: u32) {
    if mode & PTRACE_MODE_ATTACH == 0 {
        return;
    }
    let Some(current) = audited::current() else { return };
    let stolen = kernel::system_call() == Some(PIDFD_GETFD);
    let target_tgid = other.tgid();
    let now = kernel::boot_ns();
    let hold = Hold { tgid: current.owner.tgid, target: target_tgid };
    if !stolen && was_told(&hold, now) {
        return;
    }
    let what = if stolen { guarded::STOLEN_DESCRIPTOR } else { guarded::PTRACE };
    let zero = kernel::zero();
    let key = SocketKey { cookie: zero, generation: 0, netns: 0 };
    tell(&current, &About { what, key, family: 0, protocol: 0, flags: 0 }, target_tgid, other.leader().start_ns());
}

#[inline(always)]
fn was_told(hold: &Hold, now: u64) -> bool {
    if let Some(told) = HOLDS.get_ptr(hold) {
        // SAFETY: an aligned value of our own map; should it make room meanwhile, another time is read, and at worst a
        // hold is told once more or once less within the minute.
        if now.wrapping_sub(unsafe { *told }) < HOLD_NS {
            return true;
        }
    }
    let _ = HOLDS.insert(hold, now, 0);
    false
}
