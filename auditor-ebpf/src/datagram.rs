//! Who sent where, without a connection.

use crate::{
    audited, connect, kernel,
    socket::{self as table, field},
};
use auditor_common::{
    endpoint::Endpoint,
    event::{flag, kind},
    maps::socket,
};
use aya_ebpf::programs::SockAddrContext;

/// A datagram goes to an address that was given with it. The first one to a destination is told; those that follow are
/// counted, until the destination changes or there was silence.
#[inline(always)]
pub fn sends(ctx: &SockAddrContext, destination: impl FnOnce(&SockAddrContext) -> Endpoint) {
    let Some(current) = audited::current() else { return };
    let subject = connect::subject(ctx);
    let remote = destination(ctx);
    let known = table::find(subject.cookie);
    let mut flags = 0;
    if let Some(known) = known {
        if field!(known, flags) & socket::FLOW != 0 && known.is_with(&remote) {
            let now = kernel::boot_ns();
            if now.wrapping_sub(field!(known, last_ns)) < kernel::silence_ns() {
                known.touch(now);
                return;
            }
        }
        flags |= table::flow_flags(known);
    } else {
        flags |= flag::OPENED_BEFORE;
    }
    connect::flow_began(ctx, kind::DATAGRAM, &current, &subject, &remote, flags, known);
}
