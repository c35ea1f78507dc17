//! How a name server's answer and a TLS handshake begin: copied, not understood.

use crate::{
    audited,
    emit::{self, Head, Wake},
    kernel,
    packet::{self, Packet, TCP},
    socket::{self as table, Known, field},
};
use auditor_common::{
    endpoint::Endpoint,
    event::{HEAD_MAX, PacketHead, flag, kind},
    maps::socket,
};
use aya_ebpf::programs::SkBuffContext;

/// Name servers answer from here [RFC 1035].
const DOMAIN: u16 = 53;
/// An answer has a head and a question at least.
const ANSWER_MIN: usize = 17;
/// Shorter than the shortest ClientHello in the smallest packet: an acknowledgement, a keystroke.
const HELLO_PACKET_MIN: u32 = 90;

/// A packet arrives. Of everyone else's, and of whatever is no answer, a few bytes are looked at.
#[inline(always)]
pub fn received(ctx: &SkBuffContext) {
    let Some(packet) = Packet::of(ctx).filter(|packet| packet.source_port == DOMAIN) else { return };
    let Some(known) = table::find(packet.cookie()) else { return };
    if field!(known, protocol) != u16::from(packet.protocol) {
        return;
    }
    let (Some(content), Some(from)) = (packet.content(), packet.source()) else { return };
    if packet.length() >= content + ANSWER_MIN {
        tell(&packet, kind::ANSWER, known, &from, content);
    }
}

/// A packet leaves. What begins like a ClientHello is so rare that only then it is asked whose it is.
#[inline(always)]
pub fn sent(ctx: &SkBuffContext) {
    if packet::length(ctx) < HELLO_PACKET_MIN {
        return;
    }
    let Some(packet) = Packet::of(ctx).filter(|packet| packet.protocol == TCP) else { return };
    let Some(content) = packet.content() else { return };
    let Some(first) = packet.load::<[u8; 6]>(content) else { return };
    if !begins_like_hello(first) {
        return;
    }
    let Some(known) = table::find(packet.cookie()) else { return };
    let flags = field!(known, flags);
    if flags & socket::FLOW == 0 || flags & socket::INBOUND != 0 || known.set(socket::HELLO) & socket::HELLO != 0 {
        return;
    }
    tell(&packet, kind::HELLO, known, &field!(known, remote), content);
}

/// A record that carries a handshake, of a version 3.x, and in it a ClientHello [RFC 8446 section 5.1, 4].
#[inline(always)]
fn begins_like_hello(first: [u8; 6]) -> bool {
    first[0] == 0x16 && first[1] == 3 && first[5] == 1
}

#[inline(always)]
fn tell(packet: &Packet<'_>, kind: u8, known: Known, remote: &Endpoint, content: usize) {
    let owner = field!(known, owner);
    let flags = flag::INTERRUPT | table::flow_flags(known) | audited::flags_of(&owner);
    let head = Head { kind, flags, boot_ns: kernel::boot_ns(), owner: &owner };
    let length = packet::within(packet.length().wrapping_sub(content), HEAD_MAX);
    emit::in_place(&head, Wake::Batch, |place, header| {
        let place: *mut PacketHead = place.as_mut_ptr();
        // SAFETY: fields of the place in the ring, which is as large as the whole; together they are all of it.
        unsafe {
            (&raw mut (*place).header).write(header);
            (&raw mut (*place).key).write(known.key());
            (&raw mut (*place).remote).write(*remote);
            (&raw mut (*place).protocol).write(u16::from(packet.protocol));
            (&raw mut (*place).length).write(length as u16);
            (&raw mut (*place)._pad).write(0);
            packet.copy::<HEAD_MAX>(content, length, &raw mut (*place).bytes);
        }
    });
}
