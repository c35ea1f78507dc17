//! What the loader tells the kernel half and reads back: values of BPF maps and of the frozen globals.
//!
//! Like [`event`](crate::event): one host, host byte order, no enum and no hidden padding.

use crate::endpoint::Endpoint;

/// Where fields are in this kernel's structures, in bytes from the beginning of the structure. Rust has no CO-RE
/// relocations for eBPF, so the loader reads them from `/sys/kernel/btf/vmlinux` before it loads the programs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    /// `sock.__sk_common.skc_family`, `u16`.
    pub sock_family: u32,
    /// `sock.__sk_common.skc_state`, `u8`.
    pub sock_state: u32,
    /// `sock.__sk_common.skc_daddr`, `u32`, network order.
    pub sock_remote_v4: u32,
    /// `sock.__sk_common.skc_rcv_saddr`, `u32`, network order.
    pub sock_local_v4: u32,
    /// `sock.__sk_common.skc_v6_daddr`, 16 bytes.
    pub sock_remote_v6: u32,
    /// `sock.__sk_common.skc_v6_rcv_saddr`, 16 bytes.
    pub sock_local_v6: u32,
    /// `sock.__sk_common.skc_dport`, `u16`, network order.
    pub sock_remote_port: u32,
    /// `sock.__sk_common.skc_num`, `u16`, host order.
    pub sock_local_port: u32,
    /// `sock.__sk_common.skc_net`, a pointer.
    pub sock_net: u32,
    /// `sock.__sk_common.skc_cookie`, `u64`; zero until somebody asks for it.
    pub sock_cookie: u32,
    /// `sock.__sk_common.skc_flags`, `unsigned long`: bits of `enum sock_flags`.
    pub sock_flags: u32,
    /// `sock.sk_protocol`, `u16` (since Linux 5.6).
    pub sock_protocol: u32,
    /// `sock.sk_type`, `u16`: 3 is `SOCK_RAW`.
    pub sock_type: u32,
    /// `sock.sk_err`, `int`.
    pub sock_error: u32,
    /// `sock.sk_socket`, a pointer; null for a socket that no process holds.
    pub sock_socket: u32,
    /// `net.ns.inum`, `u32`.
    pub net_inode: u32,
    /// `tcp_sock.bytes_sent`, `u64`, retransmissions included.
    pub tcp_sent: u32,
    /// `tcp_sock.bytes_retrans`, `u64`.
    pub tcp_resent: u32,
    /// `tcp_sock.bytes_received`, `u64`, the FIN included.
    pub tcp_received: u32,
    /// `bpf_sock_addr_kern.sk`, a pointer.
    pub sock_addr_sock: u32,
    /// `task_struct.pid`, `int`: the thread.
    pub task_tid: u32,
    /// `task_struct.tgid`, `int`.
    pub task_tgid: u32,
    /// `task_struct.group_leader`, a pointer.
    pub task_leader: u32,
    /// `task_struct.start_boottime`, `u64`, nanoseconds (since Linux 5.5).
    pub task_start: u32,
    /// `task_struct.signal`, a pointer.
    pub task_signal: u32,
    /// `task_struct.exit_code`, `int`.
    pub task_exit_code: u32,
    /// `task_struct.thread_pid`, a pointer.
    pub task_pid: u32,
    /// `linux_binprm.filename`, a pointer.
    pub binprm_filename: u32,
    /// `linux_binprm.argc`, `int`.
    pub binprm_arguments: u32,
    /// `signal_struct.live`, `int`: threads that have not ended.
    pub signal_live: u32,
    /// `signal_struct.flags`, `unsigned int`.
    pub signal_flags: u32,
    /// `signal_struct.group_exit_code`, `int`.
    pub signal_exit_code: u32,
    /// `pid.level`, `unsigned int`.
    pub pid_level: u32,
    /// `pid.numbers`, an array of `struct upid`.
    pub pid_numbers: u32,
    /// `upid.nr`, `int`.
    pub upid_number: u32,
    /// Size of `struct upid`.
    pub upid_size: u32,
    /// `socket.sk`, a pointer.
    pub socket_sock: u32,
    /// Where a `struct pt_regs` keeps the number of the system call, `u32`: `orig_ax`, or `syscallno`. [`u32::MAX`] where
    /// neither is there.
    pub registers_call: u32,
}

/// What the loader decides before the programs are loaded.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// A datagram flow that was silent for longer begins anew, nanoseconds.
    pub silence_ns: u64,
    /// User space is woken when the ring holds at least this many bytes, or for an event about a process.
    pub wake_bytes: u64,
    /// Which `exec` on the host makes a candidate: one of [`candidates`].
    pub candidates: u32,
    /// Not zero: `sock_send_length` and `sock_recv_length` are attached, so datagrams are measured.
    pub lengths: u32,
}

/// Values of [`Settings::candidates`].
pub mod candidates {
    /// None.
    pub const NONE: u32 = 0;
    /// One of a program whose name begins like Odoo's or Python's.
    pub const LIKELY: u32 = 1;
    /// Every one.
    pub const ALL: u32 = 2;
}

/// Bits of [`Audited::flags`].
pub mod audited {
    /// User space has not confirmed yet that the process is in scope.
    pub const CANDIDATE: u32 = 1;
    /// Put in by user space with a start time out of `/proc` (10 ms steps): the kernel compares and completes it.
    pub const UNVERIFIED: u32 = 2;
}

/// A process that is watched: value of `AUDITED`, whose key is the tgid.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audited {
    /// When it started, CLOCK_BOOTTIME nanoseconds: with the tgid, its identity.
    pub start_ns: u64,
    /// Bits of [`audited`].
    pub flags: u32,
    /// Always zero.
    pub _pad: u32,
}

/// Who opened something.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// When the process started, CLOCK_BOOTTIME nanoseconds.
    pub process_start_ns: u64,
    /// The kernel's number of its cgroup.
    pub cgroup: u64,
    /// Process, in the host's numbering.
    pub tgid: u32,
    /// Thread, in the host's numbering.
    pub tid: u32,
}

/// Bits of [`Socket::flags`].
pub mod socket {
    /// A flow began on it, and user space was told.
    pub const FLOW: u64 = 1;
    /// The other side began.
    pub const INBOUND: u64 = 2;
    /// Inbound, and nobody has used it yet: the owner is the listener's process.
    pub const UNOWNED: u64 = 4;
    /// It listens.
    pub const LISTENS: u64 = 8;
    /// No process holds it any more.
    pub const RELEASED: u64 = 16;
    /// Its flow has ended, and user space was told.
    pub const ENDED: u64 = 32;
    /// User space was told how its TLS handshake begins; once for each flow.
    pub const HELLO: u64 = 64;
}

/// What is known of a socket: value of `SOCKETS`, whose key is the socket cookie.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Socket {
    /// Who opened it.
    pub owner: Owner,
    /// When the last traffic was noticed, CLOCK_BOOTTIME nanoseconds.
    pub last_ns: u64,
    /// Payload bytes that calls have sent on the current flow. For TCP the totals at CLOSE are the truth.
    pub sent: u64,
    /// Payload bytes that calls have received on the current flow.
    pub received: u64,
    /// The peer; all zero where there is none.
    pub remote: Endpoint,
    /// Number of the current flow on this socket.
    pub generation: u64,
    /// Bits of [`socket`].
    pub flags: u64,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// IP protocol number.
    pub protocol: u16,
    /// The socket's own family.
    pub family: u16,
    /// Local port of a listener.
    pub local_port: u16,
    /// Always zero.
    pub _pad: [u8; 6],
}

/// Where an audited process listens: key of `LISTENERS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Port {
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Host order.
    pub port: u16,
    /// Always zero.
    pub _pad: u16,
}

/// Who listens: value of `LISTENERS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listener {
    /// The process that listened first.
    pub owner: Owner,
    /// How many sockets of audited processes listen there.
    pub sockets: u64,
}

/// Who got hold of whom, as a debugger does: key of `HOLDS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hold {
    /// Who, in the host's numbering.
    pub tgid: u32,
    /// Whom.
    pub target: u32,
}

/// How many reasons [`Counters::dropped`] has a place for; the index is the number of the [`Gap`](crate::gap::Gap).
pub const REASONS: usize = 4;

/// One processor's counters: value of `COUNTERS`, a per-CPU array with one element.
///
/// Invariant: `dropped` comes first. The kernel copies the fields in order while the processor goes on counting, so
/// that a reader never sees a loss whose number it does not see: received + dropped\[1\] <= `last_kseq`, and what is
/// missing of equality is on its way.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// By the number of the gap: 1 events that did not fit into the ring, 2 sockets and 3 processes that did not fit
    /// into their tables. Only the first takes numbers out of the sequence.
    pub dropped: [u64; REASONS],
    /// Number of the newest event of this processor, whether it could be sent or not.
    pub last_kseq: u64,
}

const _: () = {
    assert!(size_of::<Offsets>() == 38 * 4, "only u32 fields");
    assert!(size_of::<Settings>() == 24, "no hidden padding");
    assert!(size_of::<Audited>() == 16, "no hidden padding");
    assert!(size_of::<Owner>() == 24, "no hidden padding");
    assert!(size_of::<Socket>() == 104, "no hidden padding");
    assert!(size_of::<Port>() == 8, "no hidden padding");
    assert!(size_of::<Listener>() == 32, "no hidden padding");
    assert!(size_of::<Hold>() == 8, "no hidden padding");
    assert!(size_of::<Counters>() == 40, "no hidden padding");
};
