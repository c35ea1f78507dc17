//! One thing to seal: what a stage found, as the body of a record.

use auditor_common::body::{
    Attribution, Body, Call, FlowOpened, FlowTraffic, Guard, NameSource, Named, Process, ProcessRecord, Sample,
};
use auditor_common::endpoint::{Endpoint, MAPPED};
use auditor_common::event::Header;

use crate::config::ClientAddresses;
use crate::flow::{Ended, Greeted, Opened};

/// A process of which nothing is known but what the event says.
#[must_use]
pub fn bare_process(header: &Header) -> Process {
    Process {
        tgid: header.tgid,
        tid: header.tid,
        start_ns: header.process_start_ns,
        cgroup: header.cgroup,
        ..Process::default()
    }
}

/// What is left out of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Discretion {
    /// What is recorded of the addresses of clients.
    pub client_addresses: ClientAddresses,
    /// No call sites.
    pub strict: bool,
}

impl Discretion {
    fn attribution(self, attribution: Attribution) -> Attribution {
        Attribution { site: attribution.site.filter(|_| !self.strict), ..attribution }
    }

    /// The other end of an inbound flow is a client, and perhaps a person.
    fn client(self, remote: Endpoint) -> Endpoint {
        match self.client_addresses {
            ClientAddresses::Full => remote,
            ClientAddresses::Cut => Endpoint { address: cut(remote.address), ..remote },
            ClientAddresses::Off => Endpoint::v4([0; 4], 0),
        }
    }
}

/// The first 24 bits of an IPv4 address, the first 48 of an IPv6 address, the rest zero.
#[must_use]
pub fn cut(address: [u8; 16]) -> [u8; 16] {
    let keep = if address[..12] == MAPPED { 15 } else { 6 };
    let mut cut = [0; 16];
    cut[..keep].copy_from_slice(&address[..keep]);
    cut
}

/// A flow began. `names` are those of its other end by what was looked up; how it was greeted is added.
#[must_use]
pub fn opened(
    flow: &Opened,
    process: Process,
    attribution: Attribution,
    instance: String,
    mut names: Vec<Named>,
    discretion: Discretion,
) -> Body {
    names.extend(flow.greeted.as_deref().map(greeted));
    // An inbound flow that found no owner is recorded long after its sample, under another seal than the one that
    // counts it: the record gives the time, and no number.
    let numbered = flow.owner_known || !flow.inbound;
    let Sample { boot_ns, cpu, kseq } = Sample::from(&flow.header);
    Body::FlowOpened(FlowOpened {
        sample: Sample { boot_ns, cpu: cpu.filter(|_| numbered), kseq: kseq.filter(|_| numbered) },
        inbound: flow.inbound,
        protocol: flow.protocol,
        remote: if flow.inbound { discretion.client(flow.remote) } else { flow.remote },
        local: flow.local,
        cookie: flow.key.cookie,
        process,
        attribution: discretion.attribution(attribution),
        opened_before: flow.opened_before,
        netns: flow.key.netns,
        instance,
        names,
    })
}

fn greeted(name: &str) -> Named {
    Named { name: name.to_owned(), source: NameSource::Sni }
}

/// A flow ended.
#[must_use]
pub fn ended(flow: &Ended) -> Body {
    Body::FlowTraffic(FlowTraffic {
        sample: flow.sample,
        flow: flow.flow,
        end: Some(flow.end),
        error: flow.error,
        sent: flow.sent,
        received: flow.received,
        duration_ns: flow.duration_ns,
        handshake_ns: flow.handshake_ns,
        names: flow.greeted.as_deref().map(greeted).into_iter().collect(),
    })
}

/// A flow goes on, and its other end has got a name.
#[must_use]
pub fn greeted_late(flow: &Greeted) -> Body {
    Body::FlowTraffic(FlowTraffic {
        sample: flow.sample,
        flow: flow.flow,
        end: None,
        error: None,
        sent: None,
        received: None,
        duration_ns: flow.duration_ns,
        handshake_ns: None,
        names: vec![greeted(&flow.name)],
    })
}

/// A process changed.
#[must_use]
pub fn process(record: ProcessRecord, discretion: Discretion) -> Body {
    Body::Process(ProcessRecord { attribution: discretion.attribution(record.attribution.clone()), ..record })
}

/// A process did what no ordinary Odoo does.
#[must_use]
pub fn guard(record: Guard, discretion: Discretion) -> Body {
    Body::Guard(Guard { attribution: discretion.attribution(record.attribution.clone()), ..record })
}

/// A call was claimed.
#[must_use]
pub fn call(call: Call, discretion: Discretion) -> Body {
    Body::Call(Call { attribution: discretion.attribution(call.attribution.clone()), ..call })
}

#[cfg(test)]
mod tests {
    use auditor_common::body::{Attribution, Body, FlowOpened, Process};
    use auditor_common::endpoint::Endpoint;
    use auditor_common::event::{Header, SocketKey};

    use super::Discretion;
    use crate::config::ClientAddresses;
    use crate::flow::Opened;

    const CLIENT: Endpoint = Endpoint::v4([192, 0, 2, 77], 50_000);
    const V6: Endpoint = Endpoint::v6([0x20, 1, 0xd, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 50_000);

    fn opened(inbound: bool, remote: Endpoint, discretion: Discretion) -> FlowOpened {
        let flow = Opened {
            header: Header::default(),
            key: SocketKey::default(),
            protocol: 6,
            remote,
            local: Some(CLIENT),
            inbound,
            opened_before: false,
            owner_known: true,
            greeted: None,
        };
        let attribution = Attribution { site: Some("models/a.py:7 send".into()), ..Attribution::default() };
        match super::opened(&flow, Process::default(), attribution, "odoo".into(), Vec::new(), discretion) {
            Body::FlowOpened(flow) => flow,
            other => panic!("{other:?}"),
        }
    }

    fn check(client_addresses: ClientAddresses, inbound: bool, remote: Endpoint, recorded: Endpoint) {
        let flow = opened(inbound, remote, Discretion { client_addresses, strict: false });
        assert_eq!((flow.remote, flow.local), (recorded, Some(CLIENT)), "{client_addresses:?} {inbound}");
    }

    #[test]
    fn the_address_of_a_client_is_recorded_as_the_host_has_it() {
        let cut = Endpoint::v6([0x20, 1, 0xd, 0xb8, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 50_000);
        check(ClientAddresses::Cut, true, CLIENT, Endpoint::v4([192, 0, 2, 0], 50_000));
        check(ClientAddresses::Cut, true, V6, cut);
        check(ClientAddresses::Full, true, V6, V6);
        check(ClientAddresses::Off, true, V6, Endpoint::v4([0; 4], 0));
    }

    #[test]
    fn where_somebody_goes_is_recorded_whole() {
        for client_addresses in [ClientAddresses::Cut, ClientAddresses::Full, ClientAddresses::Off] {
            check(client_addresses, false, CLIENT, CLIENT);
        }
    }

    #[test]
    fn strict_redaction_leaves_out_the_call_site() {
        let strict = |strict| Discretion { strict, ..Discretion::default() };
        assert!(opened(false, CLIENT, strict(false)).attribution.site.is_some());
        assert!(opened(false, CLIENT, strict(true)).attribution.site.is_none());
    }
}
