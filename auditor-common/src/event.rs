//! What the kernel notices: one `#[repr(C)]` struct for each kind of event.
//!
//! Kernel and daemon share one host, so integers are in host order. No enum and no hidden padding: every byte of a
//! sample is written by the kernel half, and user space decodes it field by field (`decode` in the daemon), never by a
//! cast. Every struct begins with a [`Header`]; its first byte says which one it is.

use crate::endpoint::Endpoint;

/// The layout that this file describes. A sample of another layout is refused by name.
pub const LAYOUT: u8 = 1;

/// Values of [`Header::kind`].
pub mod kind {
    /// [`Connect`](super::Connect): a `connect()` of an audited process, before it is tried.
    pub const CONNECT: u8 = 1;
    /// [`Connect`](super::Connect): the first datagram to this destination on an unconnected socket.
    pub const DATAGRAM: u8 = 2;
    /// [`Established`](super::Established): a TCP connection came to be.
    pub const ESTABLISHED: u8 = 3;
    /// [`Closed`](super::Closed): a TCP socket reached CLOSE.
    pub const CLOSED: u8 = 4;
    /// [`Closed`](super::Closed): a socket that is not TCP was released.
    pub const RELEASED: u8 = 5;
    /// [`Established`](super::Established): the first use of a socket that no earlier event explains: the owner of an
    /// inbound flow, or a socket that was there before the auditor.
    pub const FIRST_USE: u8 = 6;
    /// [`Established`](super::Established) with the local end only: an audited process listens.
    pub const LISTEN: u8 = 7;
    /// [`Fork`](super::Fork): an audited process has a child.
    pub const FORK: u8 = 8;
    /// [`Exec`](super::Exec): an audited process became another program, or a candidate appeared.
    pub const EXEC: u8 = 9;
    /// [`Exit`](super::Exit): the last thread of an audited process ended.
    pub const EXIT: u8 = 10;
    /// [`Guard`](super::Guard): an audited process did what no ordinary Odoo does.
    pub const GUARD: u8 = 11;
    /// [`PacketHead`](super::PacketHead): an audited process received a packet from a name server's port.
    pub const ANSWER: u8 = 20;
    /// [`PacketHead`](super::PacketHead): an audited process sent what begins like a TLS ClientHello.
    pub const HELLO: u8 = 21;
}

/// Values of [`Guard::what`].
pub mod guarded {
    /// It has a raw socket of an Internet family.
    pub const RAW_SOCKET: u16 = 1;
    /// It has a packet socket.
    pub const PACKET_SOCKET: u16 = 2;
    /// It takes a descriptor out of another process (`pidfd_getfd`).
    pub const STOLEN_DESCRIPTOR: u16 = 3;
    /// It gets hold of another process as a debugger does: `ptrace`, `process_vm_readv`, `/proc/PID/mem`.
    pub const PTRACE: u16 = 4;
}

/// Bits of [`Header::flags`].
pub mod flag {
    /// The event happened in interrupt context: the process fields are those of the socket's owner, or zero.
    pub const INTERRUPT: u16 = 1;
    /// The flow was opened by the other side.
    pub const INBOUND: u16 = 2;
    /// The socket was open before the auditor was looking.
    pub const OPENED_BEFORE: u16 = 4;
    /// The process is audited on probation: user space has not confirmed yet that it is in scope.
    pub const CANDIDATE: u16 = 8;
    /// The byte counts are measured. Without it they are "not known", never zero.
    pub const MEASURED: u16 = 16;
}

/// The head of every event.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// One of [`kind`].
    pub kind: u8,
    /// [`LAYOUT`].
    pub layout: u8,
    /// Bits of [`flag`].
    pub flags: u16,
    /// The processor that noticed it.
    pub cpu: u32,
    /// Number of this event among those of its processor, from 1, without holes except where an event could not be sent.
    pub kseq: u64,
    /// CLOCK_BOOTTIME, nanoseconds.
    pub boot_ns: u64,
    /// When the process started, CLOCK_BOOTTIME nanoseconds: with `tgid`, its identity.
    pub process_start_ns: u64,
    /// The cgroup of the process, as the kernel numbers it.
    pub cgroup: u64,
    /// Process, in the host's numbering.
    pub tgid: u32,
    /// Thread, in the host's numbering.
    pub tid: u32,
}

/// What names one flow in the kernel.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SocketKey {
    /// The kernel's socket cookie: unique for the life of the host.
    pub cookie: u64,
    /// Which flow on that socket: a datagram socket that changes its peer, or is silent for long, begins another.
    pub generation: u32,
    /// Inode number of the network namespace.
    pub netns: u32,
}

/// [`kind::CONNECT`] and [`kind::DATAGRAM`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connect {
    /// Who and when.
    pub header: Header,
    /// Which flow.
    pub key: SocketKey,
    /// Where to.
    pub remote: Endpoint,
    /// IP protocol number: 6 TCP, 17 UDP, …
    pub protocol: u16,
    /// `AF_INET` 2 or `AF_INET6` 10: the socket's own family.
    pub family: u16,
    /// Always zero.
    pub _pad: u32,
    /// Payload bytes sent on the flow that this one replaces on its socket.
    pub previous_sent: u64,
    /// Payload bytes received on it.
    pub previous_received: u64,
}

/// [`kind::ESTABLISHED`], [`kind::FIRST_USE`] and [`kind::LISTEN`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Established {
    /// Who and when.
    pub header: Header,
    /// Which flow.
    pub key: SocketKey,
    /// Our end.
    pub local: Endpoint,
    /// The other end; all zero for a listener.
    pub remote: Endpoint,
    /// IP protocol number.
    pub protocol: u16,
    /// The socket's own family.
    pub family: u16,
    /// Always zero.
    pub _pad: u32,
}

/// [`kind::CLOSED`] and [`kind::RELEASED`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closed {
    /// Who and when; for TCP the process is the flow's owner, as it was when the flow began.
    pub header: Header,
    /// Which flow.
    pub key: SocketKey,
    /// Payload bytes sent, each counted once. Valid with [`flag::MEASURED`].
    pub sent: u64,
    /// Payload bytes received. Valid with [`flag::MEASURED`].
    pub received: u64,
    /// The socket's error (`errno`), zero for an orderly end.
    pub error: u32,
    /// The TCP state before CLOSE (`include/net/tcp_states.h`): 2 SYN_SENT means that it never came to be.
    pub state_before: u16,
    /// IP protocol number.
    pub protocol: u16,
}

/// [`kind::FORK`]. The header is the parent's.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fork {
    /// The parent: process, thread, time.
    pub header: Header,
    /// The child's start, CLOCK_BOOTTIME nanoseconds.
    pub child_start_ns: u64,
    /// The child, in the host's numbering.
    pub child_tgid: u32,
    /// The forking thread's number in its own PID namespace: what the process itself calls it.
    pub parent_ns_tid: u32,
}

/// [`kind::EXEC`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exec {
    /// The process, as the new program.
    pub header: Header,
    /// `task->comm`, NUL-padded.
    pub comm: [u8; 16],
    /// The program's file as it was asked for, NUL-padded; a longer path is cut. Not absolute if it was not asked for so.
    pub filename: [u8; 120],
    /// How many arguments it was started with, its own name included.
    pub arguments: u32,
    /// Always zero.
    pub _pad: u32,
}

/// [`kind::EXIT`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// The process that ended.
    pub header: Header,
    /// As `wait` gives it: exit status in bits 8–15, signal in bits 0–6.
    pub code: u32,
    /// Always zero.
    pub _pad: u32,
}

/// [`kind::GUARD`]. About a socket, or about another process: the fields of the other case are zero.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// Who and when.
    pub header: Header,
    /// Which socket.
    pub key: SocketKey,
    /// When the other process started, CLOCK_BOOTTIME nanoseconds.
    pub target_start_ns: u64,
    /// The other process, in the host's numbering.
    pub target_tgid: u32,
    /// One of [`guarded`].
    pub what: u16,
    /// The socket's family: `AF_INET` 2, `AF_INET6` 10, `AF_PACKET` 17.
    pub family: u16,
    /// IP protocol number of a raw socket; zero for a packet socket, which has none.
    pub protocol: u16,
    /// Always zero.
    pub _pad: [u8; 6],
}

/// So much of a packet is copied, bytes: a ClientHello with a post-quantum key share, or a large answer.
pub const HEAD_MAX: usize = 2048;

/// [`kind::ANSWER`] and [`kind::HELLO`]: how a packet's content begins, not understood by the kernel half.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketHead {
    /// When; the process is the socket's owner.
    pub header: Header,
    /// Which flow.
    pub key: SocketKey,
    /// The other end: of an answer, where the packet says that it comes from.
    pub remote: Endpoint,
    /// IP protocol number. With TCP, an answer begins with its length.
    pub protocol: u16,
    /// How many of [`PacketHead::bytes`] there are. More of the packet, if these are all.
    pub length: u16,
    /// Always zero.
    pub _pad: u32,
    /// The content, zero behind its end.
    pub bytes: [u8; HEAD_MAX],
}

const _: () = {
    assert!(size_of::<Header>() == 48, "layout is an agreement: see FORMAT.md");
    assert!(size_of::<SocketKey>() == 16, "layout is an agreement: see FORMAT.md");
    assert!(size_of::<Connect>() == 112, "layout is an agreement: see FORMAT.md");
    assert!(size_of::<Established>() == 120, "layout is an agreement: see FORMAT.md");
    assert!(size_of::<Closed>() == 88, "layout is an agreement: see FORMAT.md");
    assert!(size_of::<Fork>() == 64, "layout is an agreement: see FORMAT.md");
    assert!(size_of::<Exec>() == 192, "layout is an agreement: see FORMAT.md");
    assert!(size_of::<Exit>() == 56, "layout is an agreement: see FORMAT.md");
    assert!(size_of::<Guard>() == 88, "layout is an agreement: see FORMAT.md");
    assert!(size_of::<PacketHead>() == 2144, "layout is an agreement: see FORMAT.md");
};
