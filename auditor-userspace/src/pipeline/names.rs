//! What the other ends are called: answers that an instance received.

use auditor_common::body::{Attribution, Label, NameSource};
use auditor_common::event::PacketHead;

use super::Pipeline;
use crate::attribute::{self, reason};
use crate::clock::Now;
use crate::destination::address;
use crate::flow::Opened;
use crate::name::answer;

/// Where name servers are asked (RFC 1035).
const DOMAIN: u16 = 53;

impl Pipeline {
    /// A process of an instance received an answer. A name server that the host did not choose is one that the process
    /// chose, whose word is the process's.
    pub(super) fn answered(&mut self, event: &PacketHead, now: Now) {
        self.know(&event.header);
        let Some(answer) = answer::read(event) else { return };
        let Some(member) = self.member(&event.header) else { return };
        let (instance, tgid) = (member.instance.clone(), member.identity.tgid);
        let chosen = self.resolvers.has(&instance, tgid, address(&event.remote), now.boot_ns);
        let source = if chosen { NameSource::Dns } else { NameSource::Claim };
        self.names.answered(&instance, &event.header, &answer, source);
    }

    /// Whose a flow is that nobody claims: one to a name server of the host's choice is a look-up.
    pub(super) fn explained(&mut self, attribution: Attribution, opened: &Opened, instance: &str) -> Attribution {
        let asks = !opened.inbound && opened.remote.port == DOMAIN && attribution.label == Label::Absent;
        let (server, header) = (address(&opened.remote), &opened.header);
        if asks && self.resolvers.names(instance, header.tgid, server, header.boot_ns) {
            return attribute::inferred(reason::RESOLVER);
        }
        attribution
    }

    /// A process ended; with the last one of an instance, what it has looked up is forgotten.
    pub(super) fn forget_names(&mut self, instance: &str) {
        if self.lineage.members().any(|member| member.instance == instance) {
            return;
        }
        self.names.forget(instance);
        self.resolvers.forget(instance);
    }
}
