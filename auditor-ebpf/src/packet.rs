//! Where the content of a packet begins.
//!
//! Programs of this kind get every packet of the host, so what they look at first are the few bytes that tell most of
//! them apart. Packets with IP options or extension headers are none of those that names come in.

use crate::kernel::{self, tcp};
use auditor_common::endpoint::Endpoint;
use aya_ebpf::{
    helpers::generated::{bpf_get_socket_cookie, bpf_skb_load_bytes},
    programs::SkBuffContext,
};

/// Length of an IPv4 header without options, and of an IPv6 header [RFC 791, RFC 8200].
const V4_LEN: usize = 20;
const V6_LEN: usize = 40;
const UDP_LEN: usize = 8;
pub const UDP: u8 = 17;
pub const TCP: u8 = tcp::PROTOCOL as u8;

/// What a packet's network header says. It begins with that header in either direction [1].
///
/// [1]: https://github.com/torvalds/linux/blob/v6.12/kernel/bpf/cgroup.c, `__cgroup_bpf_run_filter_skb`
pub struct Packet<'a> {
    ctx: &'a SkBuffContext,
    pub protocol: u8,
    v6: bool,
    pub source_port: u16,
    /// Where the transport header begins.
    transport: usize,
}

impl<'a> Packet<'a> {
    /// A UDP or TCP packet over plain IPv4 or IPv6.
    #[inline(always)]
    pub fn of(ctx: &'a SkBuffContext) -> Option<Self> {
        let skb = ctx.skb.skb;
        // SAFETY: loads of context fields; below, of packet bytes that were compared with the packet's end.
        unsafe {
            let data = (&raw const (*skb).data).read_volatile() as usize;
            let end = (&raw const (*skb).data_end).read_volatile() as usize;
            if data + V4_LEN + UDP_LEN > end {
                return None;
            }
            let byte = |at: usize| (data as *const u8).add(at).read_volatile();
            let port = |at: usize| u16::from_be((data as *const u8).add(at).cast::<u16>().read_unaligned());
            match byte(0) {
                0x45 => {
                    let (protocol, source_port) = (byte(9), port(V4_LEN));
                    Some(Self { ctx, protocol, v6: false, source_port, transport: V4_LEN })
                }
                first if first >> 4 == 6 && data + V6_LEN + UDP_LEN <= end => {
                    let (protocol, source_port) = (byte(6), port(V6_LEN));
                    Some(Self { ctx, protocol, v6: true, source_port, transport: V6_LEN })
                }
                _ => None,
            }
        }
    }

    /// The whole packet's length.
    #[inline(always)]
    pub fn length(&self) -> usize {
        length(self.ctx) as usize
    }

    /// Where its content begins.
    #[inline(always)]
    pub fn content(&self) -> Option<usize> {
        if self.protocol == UDP {
            return Some(self.transport + UDP_LEN);
        }
        // The upper half of the byte is the length of a TCP header in words [RFC 9293].
        let words: u8 = self.load(self.transport + 12)?;
        Some(self.transport + usize::from(words >> 4) * 4)
    }

    /// Copies a value.
    #[inline(always)]
    pub fn load<T: Copy>(&self, at: usize) -> Option<T> {
        self.ctx.load(at).ok()
    }

    /// Copies `length` bytes to `into`, and fills the rest of its `N` with zeros. `length` is from 1 to `N`.
    #[inline(always)]
    pub fn copy<const N: usize>(&self, at: usize, length: usize, into: *mut [u8; N]) {
        let skb = self.ctx.skb.skb.cast_const().cast();
        // SAFETY: the helper writes no more than it is told. From an impossible place it copies nothing, and fills all
        // with zeros [1].
        unsafe {
            bpf_skb_load_bytes(skb, u32::MAX, into.cast(), N as u32);
            bpf_skb_load_bytes(skb, at as u32, into.cast(), length as u32);
        }
        // [1]: https://github.com/torvalds/linux/blob/v6.12/net/core/filter.c, `____bpf_skb_load_bytes`
    }

    /// The cookie of its socket; makes one if there is none yet.
    #[inline(always)]
    pub fn cookie(&self) -> u64 {
        // SAFETY: a helper that takes the context.
        unsafe { bpf_get_socket_cookie(self.ctx.skb.skb.cast()) }
    }

    /// Where it says that it comes from.
    #[inline(always)]
    pub fn source(&self) -> Option<Endpoint> {
        if self.v6 {
            Some(kernel::end_v6(self.load(8)?, self.source_port))
        } else {
            Some(kernel::end_v4(self.load(12)?, self.source_port))
        }
    }
}

/// A whole packet's length.
#[inline(always)]
pub fn length(ctx: &SkBuffContext) -> u32 {
    // SAFETY: load of a context field.
    unsafe { (&raw const (*ctx.skb.skb).len).read_volatile() }
}

/// A length between 1 and `max`, in a form that the verifier can follow: it forgets what it knew of a register that the
/// compiler compared in another one.
#[inline(always)]
pub fn within(length: usize, max: usize) -> usize {
    let mut length = length as u64;
    // SAFETY: changes one register.
    unsafe {
        core::arch::asm!(
            "if {length} s> 0 goto +1",
            "{length} = 1",
            "if {length} <= {max} goto +1",
            "{length} = {max}",
            length = inout(reg) length,
            max = in(reg) max as u64,
            options(pure, nomem, nostack),
        );
    }
    length as usize
}
