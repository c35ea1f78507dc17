//! One thing to seal: what a stage found, as the body of a record.

use auditor_common::body::{Attribution, Body, FlowOpened, FlowTraffic, Process, ProcessChange, ProcessRecord, Sample};
use auditor_common::event::Header;

use crate::flow::{Ended, Opened};

/// The sample behind an event.
#[must_use]
pub const fn sample(header: &Header) -> Sample {
    Sample { boot_ns: header.boot_ns, cpu: Some(header.cpu), kseq: Some(header.kseq) }
}

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

/// A flow began.
#[must_use]
pub fn opened(flow: &Opened, process: Process, attribution: Attribution, instance: String) -> Body {
    // An inbound flow that found no owner is recorded long after its sample, under another seal than the one that
    // counts it: the record gives the time, and no number.
    let numbered = flow.owner_known || !flow.inbound;
    let Sample { boot_ns, cpu, kseq } = sample(&flow.header);
    Body::FlowOpened(FlowOpened {
        sample: Sample { boot_ns, cpu: cpu.filter(|_| numbered), kseq: kseq.filter(|_| numbered) },
        inbound: flow.inbound,
        protocol: flow.protocol,
        remote: flow.remote,
        local: flow.local,
        cookie: flow.key.cookie,
        process,
        attribution,
        opened_before: flow.opened_before,
        netns: flow.key.netns,
        instance,
    })
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
    })
}

/// A process changed.
#[must_use]
pub fn process(
    sample: Sample,
    change: ProcessChange,
    process: Process,
    code: Option<u32>,
    attribution: Attribution,
    instance: String,
) -> Body {
    Body::Process(ProcessRecord { sample, change, process, code, attribution, instance })
}
