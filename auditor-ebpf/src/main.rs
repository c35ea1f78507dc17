//! The kernel half of Network Audit: the list of hooks. Each hands over at once and changes nothing.
//!
//! Least kernel: Linux 5.12, for atomic operations that return the old value, and for socket cookies in tracing
//! programs. What a single hook needs is said beside it; user space loads each by itself and reports what it got.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod accept; // who listens, who came in
mod atomic; // words that several processors change
mod audited; // who is watched
mod connect; // who went out, and how it ended
mod datagram; // who sent where, without a connection
mod emit; // the only way to user space
mod guard; // what no ordinary Odoo does
mod kernel; // the only reads of kernel memory
mod list; // which processes there are
mod name; // how name servers' answers and TLS handshakes begin
mod packet; // where the content of a packet begins
mod process; // what becomes of who is watched
mod socket; // what is known of each socket
mod traffic; // bytes, and the first use

use aya_ebpf::{
    macros::{btf_tracepoint, cgroup_skb, cgroup_sock, cgroup_sock_addr, lsm},
    programs::{BtfTracePointContext, LsmContext, SkBuffContext, SockAddrContext, SockContext},
};
use kernel::{Program, Sock, SocketOf, Task, tcp};

/// What a cgroup program answers: let it pass. We watch, we never decide.
const ALLOW: i32 = 1;

/// What a program of a security hook answers, for the same.
const PASS: i32 = 0;

#[cgroup_sock_addr(connect4)] // Linux 4.17
pub fn connect4(ctx: SockAddrContext) -> i32 {
    connect::attempted(&ctx, kernel::destination_v4);
    ALLOW
}

#[cgroup_sock_addr(connect6)] // Linux 4.17
pub fn connect6(ctx: SockAddrContext) -> i32 {
    connect::attempted(&ctx, kernel::destination_v6);
    ALLOW
}

#[cgroup_sock_addr(sendmsg4)] // Linux 4.18; unconnected sends only, IPv4-mapped ones of IPv6 sockets included
pub fn sendmsg4(ctx: SockAddrContext) -> i32 {
    datagram::sends(&ctx, kernel::destination_v4);
    ALLOW
}

#[cgroup_sock_addr(sendmsg6)] // Linux 4.18
pub fn sendmsg6(ctx: SockAddrContext) -> i32 {
    datagram::sends(&ctx, kernel::destination_v6);
    ALLOW
}

#[cgroup_sock(sock_create)] // Linux 4.10
pub fn sock_create(ctx: SockContext) -> i32 {
    socket::created(&ctx);
    ALLOW
}

#[cgroup_sock(sock_release)] // Linux 5.9
pub fn sock_release(ctx: SockContext) -> i32 {
    socket::released(&ctx);
    ALLOW
}

/// Every packet that a socket of this host receives.
#[cgroup_skb(ingress)] // Linux 5.8, for the clock
pub fn skb_ingress(ctx: SkBuffContext) -> i32 {
    name::received(&ctx);
    ALLOW
}

/// Every packet that a socket of this host sends.
#[cgroup_skb(egress)] // Linux 5.8, for the clock
pub fn skb_egress(ctx: SkBuffContext) -> i32 {
    name::sent(&ctx);
    ALLOW
}

/// `(struct sock *, int old, int new)`. In process context or in an interrupt: `current` means nothing here, except
/// for LISTEN, which only a system call brings about.
#[btf_tracepoint(function = "inet_sock_set_state")] // Linux 5.5, as a BTF tracepoint
pub fn inet_sock_set_state(ctx: BtfTracePointContext) -> i32 {
    let sock = Sock::new(ctx.arg(0));
    let (old, new): (i32, i32) = (ctx.arg(1), ctx.arg(2));
    // MPTCP, DCCP and SCTP come along here as well.
    if sock.protocol() == tcp::PROTOCOL {
        match new {
            tcp::ESTABLISHED if old == tcp::SYN_SENT || old == tcp::SYN_RECV => accept::established(sock, old),
            tcp::CLOSE => connect::closed(sock, old),
            tcp::LISTEN => accept::listens(sock),
            _ => {}
        }
    }
    0
}

/// `(struct sock *, int length or error, int flags)`
#[btf_tracepoint(function = "sock_send_length")] // Linux 6.3
pub fn sock_send_length(ctx: BtfTracePointContext) -> i32 {
    traffic::sent(Sock::new(ctx.arg(0)), ctx.arg(1));
    0
}

/// `(struct sock *, int length or error, int flags)`
#[btf_tracepoint(function = "sock_recv_length")] // Linux 6.3
pub fn sock_recv_length(ctx: BtfTracePointContext) -> i32 {
    traffic::received(Sock::new(ctx.arg(0)), ctx.arg(1), ctx.arg(2));
    0
}

/// `(struct socket *, int family, int type, int protocol, int kern)`
#[lsm(hook = "socket_post_create")] // Linux 5.7, with `bpf` in the list of security modules
pub fn socket_post_create(ctx: LsmContext) -> i32 {
    guard::made(SocketOf::new(ctx.arg(0)), ctx.arg(1), ctx.arg(4));
    PASS
}

/// `(struct task_struct *child, unsigned int mode)`
#[lsm(hook = "ptrace_access_check")] // Linux 5.15, for the registers; with `bpf` in the list of security modules
pub fn ptrace_access_check(ctx: LsmContext) -> i32 {
    guard::holds(Task::new(ctx.arg(0)), ctx.arg(1));
    PASS
}

/// `(struct task_struct *parent, struct task_struct *child)`, before the child runs for the first time.
#[btf_tracepoint(function = "sched_process_fork")] // Linux 5.5, as a BTF tracepoint
pub fn sched_process_fork(ctx: BtfTracePointContext) -> i32 {
    process::forked(Task::new(ctx.arg(1)));
    0
}

/// `(struct task_struct *, pid_t old, struct linux_binprm *)`, when the new program is in place.
#[btf_tracepoint(function = "sched_process_exec")] // Linux 5.5, as a BTF tracepoint
pub fn sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    process::executed(Task::new(ctx.arg(0)), Program::new(ctx.arg(2)));
    0
}

/// `(struct task_struct *, …)`, for each thread.
#[btf_tracepoint(function = "sched_process_exit")] // Linux 5.5, as a BTF tracepoint
pub fn sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    process::exited(Task::new(ctx.arg(0)));
    0
}

/// Run by user space when it reads the iterator's file. aya-ebpf has no macro for iterators; the section says it all.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")] // Linux 5.8
pub extern "C" fn processes(ctx: &list::IterTask) -> i32 {
    list::process(ctx);
    0
}

/// Never called: the programs have no path that panics, and the verifier would refuse one that loops.
#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

/// The kernel lends its tracing helpers to programs under a licence that is compatible with its own.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
