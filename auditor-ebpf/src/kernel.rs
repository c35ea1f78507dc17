//! The only reads of kernel memory, and the kernel's numbers that they need.
//!
//! Fields are found by offsets that the loader took out of this kernel's BTF (`OFFSETS`, one frozen global). A pointer
//! that a BTF tracepoint hands over has a type that the verifier knows: plain loads, which cost nothing and cannot
//! fault [1]. Where the verifier knows no type, the bytes are copied by `bpf_probe_read_kernel`.
//!
//! [1]: https://github.com/torvalds/linux/blob/v6.12/kernel/bpf/verifier.c, `check_ptr_to_btf_access`

use auditor_common::{
    endpoint::Endpoint,
    maps::{Offsets, Settings},
};
use aya_ebpf::{
    EbpfContext as _, Global,
    bindings::task_struct,
    helpers::{
        bpf_probe_read_kernel,
        generated::{bpf_get_current_task, bpf_get_socket_cookie, bpf_ktime_get_boot_ns, bpf_probe_read_kernel_str},
    },
    programs::{SockAddrContext, SockContext},
};

/// Replaced by the loader before the programs are loaded; frozen then, so that the verifier takes each as a constant.
#[unsafe(no_mangle)]
static OFFSETS: Global<Offsets> = Global::new(Offsets {
    sock_family: 0,
    sock_state: 0,
    sock_remote_v4: 0,
    sock_local_v4: 0,
    sock_remote_v6: 0,
    sock_local_v6: 0,
    sock_remote_port: 0,
    sock_local_port: 0,
    sock_net: 0,
    sock_cookie: 0,
    sock_flags: 0,
    sock_protocol: 0,
    sock_type: 0,
    sock_error: 0,
    sock_socket: 0,
    net_inode: 0,
    tcp_sent: 0,
    tcp_resent: 0,
    tcp_received: 0,
    sock_addr_sock: 0,
    task_tid: 0,
    task_tgid: 0,
    task_leader: 0,
    task_start: 0,
    task_signal: 0,
    task_exit_code: 0,
    task_pid: 0,
    binprm_filename: 0,
    binprm_arguments: 0,
    signal_live: 0,
    signal_flags: 0,
    signal_exit_code: 0,
    pid_level: 0,
    pid_numbers: 0,
    upid_number: 0,
    upid_size: 0,
    socket_sock: 0,
    registers_call: 0,
});

/// Likewise: what the loader decided.
#[unsafe(no_mangle)]
static SETTINGS: Global<Settings> = Global::new(Settings { silence_ns: 0, wake_bytes: 0, candidates: 0, lengths: 0 });

/// One field of a frozen global. Volatile, since the compiler must not believe the zeros above; one field at a time,
/// since a volatile load of the whole would copy the whole.
macro_rules! frozen {
    ($global:ident: $type:ty, $field:ident) => {
        // SAFETY: `Global<T>` is a transparent wrapper around an initialised `T`, and lives as long as the program.
        unsafe { (&raw const (*(&raw const $global).cast::<$type>()).$field).read_volatile() }
    };
}

macro_rules! offset {
    ($field:ident) => {
        frozen!(OFFSETS: Offsets, $field) as usize
    };
}

mod security; // what the security hooks need

pub use security::{SocketOf, system_call};

/// See [`Settings::silence_ns`].
#[inline(always)]
pub fn silence_ns() -> u64 {
    frozen!(SETTINGS: Settings, silence_ns)
}

/// See [`Settings::wake_bytes`].
#[inline(always)]
pub fn wake_bytes() -> u64 {
    frozen!(SETTINGS: Settings, wake_bytes)
}

/// See [`Settings::candidates`].
#[inline(always)]
pub fn candidates() -> u32 {
    frozen!(SETTINGS: Settings, candidates)
}

/// See [`Settings::lengths`].
#[inline(always)]
pub fn lengths() -> bool {
    frozen!(SETTINGS: Settings, lengths) != 0
}

/// States of a TCP socket, and its protocol number [1].
///
/// [1]: https://github.com/torvalds/linux/blob/v6.12/include/net/tcp_states.h
pub mod tcp {
    pub const PROTOCOL: u16 = 6;
    pub const ESTABLISHED: i32 = 1;
    pub const SYN_SENT: i32 = 2;
    pub const SYN_RECV: i32 = 3;
    pub const CLOSE: i32 = 7;
    pub const LISTEN: i32 = 10;
}

pub const AF_INET: u16 = 2;
pub const AF_INET6: u16 = 10;
pub const AF_PACKET: u16 = 17;

/// `enum sock_type` [1].
///
/// [1]: https://github.com/torvalds/linux/blob/v6.12/include/linux/net.h
pub const SOCK_RAW: u16 = 3;

/// Bit of `enum sock_flags`: a FIN was received [1].
///
/// [1]: https://github.com/torvalds/linux/blob/v6.12/include/net/sock.h, `enum sock_flags`
const SOCK_DONE: u64 = 1 << 1;

/// `signal_struct.flags`: the whole group ends, with `group_exit_code` [1].
///
/// [1]: https://github.com/torvalds/linux/blob/v6.12/include/linux/sched/signal.h, `SIGNAL_GROUP_EXIT`
const SIGNAL_GROUP_EXIT: u32 = 4;

/// CLOCK_BOOTTIME, nanoseconds.
#[inline(always)]
pub fn boot_ns() -> u64 {
    // SAFETY: reads a clock.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// Copies a value out of kernel memory; zero where there is none.
#[inline(always)]
fn copy<T: Default>(base: *const u8, offset: usize) -> T {
    // SAFETY: the helper checks the address; a bad one is an error, not a fault.
    unsafe { bpf_probe_read_kernel(base.wrapping_add(offset).cast::<T>()) }.unwrap_or_default()
}

/// Loads through a pointer whose type the verifier knows.
#[inline(always)]
fn load<T>(base: *const u8, offset: usize) -> T {
    // SAFETY: the verifier has checked that `offset` is a field of the structure behind `base`, and the kernel turns a
    // fault of such a load into zero. Volatile, so that the load is as wide as the field.
    unsafe { base.add(offset).cast::<T>().read_volatile() }
}

/// A `struct sock` [1] from a BTF tracepoint.
///
/// [1]: https://github.com/torvalds/linux/blob/v6.12/include/net/sock.h
#[derive(Clone, Copy)]
pub struct Sock(*const u8);

impl Sock {
    #[inline(always)]
    pub fn new(argument: *const u8) -> Self {
        Self(argument)
    }

    #[inline(always)]
    pub fn family(self) -> u16 {
        load(self.0, offset!(sock_family))
    }

    #[inline(always)]
    pub fn protocol(self) -> u16 {
        load(self.0, offset!(sock_protocol))
    }

    /// `SOCK_STREAM` 1, `SOCK_DGRAM` 2, [`SOCK_RAW`].
    #[inline(always)]
    pub fn kind(self) -> u16 {
        load(self.0, offset!(sock_type))
    }

    /// The cookie as far as one was made, else zero: nobody whom we watch has touched the socket then.
    #[inline(always)]
    pub fn cookie(self) -> u64 {
        load(self.0, offset!(sock_cookie))
    }

    /// The cookie; makes one if there is none yet.
    #[inline(always)]
    pub fn make_cookie(self) -> u64 {
        // SAFETY: a `struct sock`, as the verifier knows; allowed in tracing programs since Linux 5.12.
        unsafe { bpf_get_socket_cookie(self.0.cast_mut().cast()) }
    }

    /// `errno` of the socket, zero if there is none.
    #[inline(always)]
    pub fn error(self) -> u32 {
        load(self.0, offset!(sock_error))
    }

    /// No process holds it: closed, or not accepted yet.
    #[inline(always)]
    pub fn is_orphan(self) -> bool {
        load::<u64>(self.0, offset!(sock_socket)) == 0
    }

    /// Inode number of the network namespace.
    #[inline(always)]
    pub fn netns(self) -> u32 {
        load(load(self.0, offset!(sock_net)), offset!(net_inode))
    }

    #[inline(always)]
    pub fn local_port(self) -> u16 {
        load(self.0, offset!(sock_local_port))
    }

    /// Our end.
    #[inline(always)]
    pub fn local(self) -> Endpoint {
        self.end(offset!(sock_local_v4), offset!(sock_local_v6), self.local_port())
    }

    #[inline(always)]
    fn remote_port(self) -> u16 {
        u16::from_be(load(self.0, offset!(sock_remote_port)))
    }

    /// It is connected.
    #[inline(always)]
    pub fn has_remote(self) -> bool {
        self.remote_port() != 0
    }

    /// The other end; all zero if it has none.
    #[inline(always)]
    pub fn remote(self) -> Endpoint {
        let port = self.remote_port();
        if port == 0 {
            return nobody();
        }
        self.end(offset!(sock_remote_v4), offset!(sock_remote_v6), port)
    }

    #[inline(always)]
    fn end(self, v4: usize, v6: usize, port: u16) -> Endpoint {
        if self.family() == AF_INET6 {
            let [first, second]: [u64; 2] = copy(self.0, v6);
            end(first, second, port)
        } else {
            end_v4(load(self.0, v4), port)
        }
    }

    /// Payload bytes of a TCP connection, each counted once: (sent, received).
    ///
    /// `bytes_received` counts the FIN as a byte [1], `bytes_sent` what was sent again [2].
    ///
    /// [1]: https://github.com/torvalds/linux/blob/v6.12/net/ipv4/tcp_input.c, `tcp_rcv_nxt_update`
    /// [2]: https://github.com/torvalds/linux/blob/v6.12/net/ipv4/tcp_output.c, `__tcp_transmit_skb`
    #[inline(always)]
    pub fn tcp_totals(self) -> (u64, u64) {
        let sent: u64 = copy(self.0, offset!(tcp_sent));
        let resent: u64 = copy(self.0, offset!(tcp_resent));
        let received: u64 = copy(self.0, offset!(tcp_received));
        let fin = u64::from(load::<u64>(self.0, offset!(sock_flags)) & SOCK_DONE != 0);
        (sent.saturating_sub(resent), received.saturating_sub(fin))
    }
}

/// A `struct task_struct` [1] from a BTF tracepoint.
///
/// [1]: https://github.com/torvalds/linux/blob/v6.12/include/linux/sched.h
#[derive(Clone, Copy)]
pub struct Task(*const u8);

impl Task {
    #[inline(always)]
    pub fn new(argument: *const u8) -> Self {
        Self(argument)
    }

    #[inline(always)]
    pub fn tid(self) -> u32 {
        load(self.0, offset!(task_tid))
    }

    #[inline(always)]
    pub fn tgid(self) -> u32 {
        load(self.0, offset!(task_tgid))
    }

    /// When the task started, CLOCK_BOOTTIME nanoseconds.
    #[inline(always)]
    pub fn start_ns(self) -> u64 {
        load(self.0, offset!(task_start))
    }

    #[inline(always)]
    pub fn leader(self) -> Self {
        Self(load(self.0, offset!(task_leader)))
    }

    #[inline(always)]
    fn signal(self) -> *const u8 {
        load(self.0, offset!(task_signal))
    }

    /// Threads of its process that have not ended; the count is taken down before `sched_process_exit` [1].
    ///
    /// [1]: https://github.com/torvalds/linux/blob/v6.12/kernel/exit.c, `do_exit`
    #[inline(always)]
    pub fn live_threads(self) -> u32 {
        load(self.signal(), offset!(signal_live))
    }

    /// What `wait` gives for its process, when the last thread ends [1].
    ///
    /// [1]: https://github.com/torvalds/linux/blob/v6.12/kernel/exit.c, `wait_task_zombie`
    #[inline(always)]
    pub fn wait_status(self) -> u32 {
        let signal = self.signal();
        if load::<u32>(signal, offset!(signal_flags)) & SIGNAL_GROUP_EXIT != 0 {
            load(signal, offset!(signal_exit_code))
        } else {
            load(self.leader().0, offset!(task_exit_code))
        }
    }
}

/// A `struct linux_binprm` [1] from a BTF tracepoint: the program that a process becomes.
///
/// [1]: https://github.com/torvalds/linux/blob/v6.12/include/linux/binfmts.h
#[derive(Clone, Copy)]
pub struct Program(*const u8);

impl Program {
    #[inline(always)]
    pub fn new(argument: *const u8) -> Self {
        Self(argument)
    }

    /// How many arguments it gets.
    #[inline(always)]
    pub fn arguments(self) -> u32 {
        load(self.0, offset!(binprm_arguments))
    }

    /// Its file, as it was asked for; cut, and NUL-terminated in any case.
    #[inline(always)]
    pub fn copy_filename(self, into: &mut [u8; 120]) {
        let name: *const u8 = load(self.0, offset!(binprm_filename));
        // SAFETY: the helper checks the address, and writes no more than the array has.
        let _ = unsafe { bpf_probe_read_kernel_str(into.as_mut_ptr().cast(), 120, name.cast()) };
    }
}

/// The running task, where the verifier knows no type.
#[inline(always)]
fn current() -> *const u8 {
    // SAFETY: always gives a task.
    (unsafe { bpf_get_current_task() }) as *const task_struct as *const u8
}

/// When the running process started, CLOCK_BOOTTIME nanoseconds.
#[inline(always)]
pub fn current_process_start_ns() -> u64 {
    copy(copy_pointer(current(), offset!(task_leader)), offset!(task_start))
}

/// The running thread's number in its own PID namespace: the innermost of those that its `struct pid` has [1].
///
/// [1]: https://github.com/torvalds/linux/blob/v6.12/include/linux/pid.h
#[inline(always)]
pub fn current_ns_tid() -> u32 {
    let pid = copy_pointer(current(), offset!(task_pid));
    let level = copy::<u32>(pid, offset!(pid_level)) as usize;
    copy(pid, offset!(pid_numbers) + level * offset!(upid_size) + offset!(upid_number))
}

#[inline(always)]
fn copy_pointer(base: *const u8, offset: usize) -> *const u8 {
    copy::<u64>(base, offset) as *const u8
}

#[inline(always)]
fn netns_at(sock: *const u8) -> u32 {
    copy(copy_pointer(sock, offset!(sock_net)), offset!(net_inode))
}

/// Network namespace of the socket that a `bpf_sock_addr` program is about.
///
/// The context is a `struct bpf_sock_addr_kern` [1] behind a mask; the mask has no namespace.
///
/// [1]: https://github.com/torvalds/linux/blob/v6.12/include/linux/filter.h
#[inline(always)]
pub fn sock_addr_netns(ctx: &SockAddrContext) -> u32 {
    netns_at(copy_pointer(ctx.as_ptr().cast_const().cast(), offset!(sock_addr_sock)))
}

/// Network namespace of the socket that a `bpf_sock` program is about; the context is the `struct sock` itself.
#[inline(always)]
pub fn sock_netns(ctx: &SockContext) -> u32 {
    netns_at(ctx.as_ptr().cast_const().cast())
}

/// Like [`Sock::cookie`].
#[inline(always)]
pub fn sock_cookie(ctx: &SockContext) -> u64 {
    copy(ctx.as_ptr().cast_const().cast(), offset!(sock_cookie))
}

/// Where a `connect` or a send goes to, IPv4.
#[inline(always)]
pub fn destination_v4(ctx: &SockAddrContext) -> Endpoint {
    let address = ctx.sock_addr;
    // SAFETY: the verifier turns loads at these constant offsets of the context into loads of the real fields.
    let (ip, port) = unsafe {
        ((&raw const (*address).user_ip4).read_volatile(), (&raw const (*address).user_port).read_volatile())
    };
    end_v4(ip, u16::from_be(port as u16))
}

/// Where a `connect` or a send goes to, IPv6. The context takes loads of one word at a time.
#[inline(always)]
pub fn destination_v6(ctx: &SockAddrContext) -> Endpoint {
    let address = ctx.sock_addr;
    // SAFETY: as for `destination_v4`.
    let (words, port) = unsafe {
        (
            [
                (&raw const (*address).user_ip6[0]).read_volatile(),
                (&raw const (*address).user_ip6[1]).read_volatile(),
                (&raw const (*address).user_ip6[2]).read_volatile(),
                (&raw const (*address).user_ip6[3]).read_volatile(),
            ],
            (&raw const (*address).user_port).read_volatile(),
        )
    };
    let pair = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    end(pair(words[0], words[1]), pair(words[2], words[3]), u16::from_be(port as u16))
}

/// No address and no port.
#[inline(always)]
pub fn nobody() -> Endpoint {
    let zero = zero();
    end(zero, zero, zero as u16)
}

/// Zero, unknown to the compiler, which would make a call of several zeros in a row, and that call a loop over bytes.
#[inline(always)]
pub fn zero() -> u64 {
    let zero;
    // SAFETY: sets a register.
    unsafe { core::arch::asm!("{zero} = 0", zero = out(reg) zero, options(pure, nomem, nostack)) };
    zero
}

/// An IPv6 address, as it stands in a packet.
#[inline(always)]
pub fn end_v6([first, second]: [u64; 2], port: u16) -> Endpoint {
    end(first, second, port)
}

/// An IPv4 address, four bytes in network order, as IPv6 has it: `::ffff:a.b.c.d`.
#[inline(always)]
pub const fn end_v4(ip: u32, port: u16) -> Endpoint {
    end(0, 0xffff_0000 | (ip as u64) << 32, port)
}

/// An endpoint out of words: bytes by themselves would be filled in by loops. The words are little-endian, as is the
/// target (`bpfel`).
#[inline(always)]
const fn end(first: u64, second: u64, port: u16) -> Endpoint {
    // SAFETY: as long, as aligned, and without hidden padding, as the assertion beside `Endpoint` proves.
    unsafe { core::mem::transmute::<[u64; 3], Endpoint>([first, second, port as u64]) }
}
