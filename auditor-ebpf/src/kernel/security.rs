//! What the programs of the security hooks read.

use super::{OFFSETS, Offsets, Sock, copy, load};
use aya_ebpf::helpers::generated::{bpf_get_current_task_btf, bpf_task_pt_regs};

/// A `struct socket` [1] from a security hook: what a descriptor holds.
///
/// [1]: https://github.com/torvalds/linux/blob/v6.12/include/linux/net.h
#[derive(Clone, Copy)]
pub struct SocketOf(*const u8);

impl SocketOf {
    #[inline(always)]
    pub fn new(argument: *const u8) -> Self {
        Self(argument)
    }

    /// Its protocol's half.
    #[inline(always)]
    pub fn sock(self) -> Option<Sock> {
        let sock: *const u8 = load(self.0, offset!(socket_sock));
        if sock.is_null() { None } else { Some(Sock(sock)) }
    }
}

/// Number of the system call that the running thread is in; `None` where this architecture's registers do not say.
#[inline(always)]
pub fn system_call() -> Option<u32> {
    let offset = offset!(registers_call);
    if offset == u32::MAX as usize {
        return None;
    }
    // SAFETY: the running task has registers, and the helper finds them (since Linux 5.15).
    let registers = unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) };
    Some(copy(registers as *const u8, offset))
}
