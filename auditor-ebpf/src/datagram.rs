//! Who sent where, without a connection.

use crate::{
    audited::{self, Current},
    connect, kernel,
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
    let Some(watched) = audited::watched() else { return };
    let subject = connect::subject(ctx);
    let remote = destination(ctx);
    let known = table::find(subject.cookie);
    let mut flags = 0;
    if let Some(known) = known {
        if field!(known, flags) & socket::FLOW != 0 && known.is_with(&remote) {
            // Where the length of each send is told, that hook looks at the time, in `traffic`.
            if kernel::lengths() {
                return;
            }
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
    let current = Current::of(&watched);
    connect::flow_began(ctx, kind::DATAGRAM, &current, &subject, &remote, flags, known);
}
