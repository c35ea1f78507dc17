//! Records as JSON: the only place that knows how they are written for programs.

mod words; // type and class of a record

use auditor_common::body::{
    AckRecord, Actor, Attribution, Body, Call, Effect, Egress, Export, FlowEnd, FlowOpened, FlowTraffic, Guard, Hook,
    Label, Loss, Named, Policy, PolicyRecord, Process, ProcessChange, ProcessRecord, Prune, Recover, Restated,
    RunStart, Sample, Seal, Step, Unrecorded,
};
use auditor_common::endpoint::Endpoint;
use auditor_common::gap::Gap;
use auditor_common::merkle::Hash;
pub use auditor_common::note::hex;
use serde_json::{Map, Value, json};

use super::select::Line;
use crate::destination::{Destination, Name};

pub use words::{TYPES, class, kind};

/// The head of a record, as far as people see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Leaf index.
    pub seq: u64,
    /// When it was appended, CLOCK_REALTIME nanoseconds.
    pub wall_ns: u64,
    /// When it was appended, CLOCK_BOOTTIME nanoseconds.
    pub boot_ns: u64,
    /// Which run of the daemon.
    pub run: u32,
    /// Which key epoch.
    pub epoch: u32,
    /// Under a released checkpoint.
    pub sealed: bool,
    /// Its leaf hash.
    pub leaf: Hash,
}

/// A record as one JSON object, with the record of the flow that it speaks of, and where that flow goes.
#[must_use]
pub fn record(head: &Head, line: &Line<'_>) -> Value {
    let Line { body, opened, destination, name } = line;
    let mut object = Map::new();
    object.insert("seq".into(), head.seq.into());
    object.insert("time".into(), time(event_wall_ns(head, body)).into());
    object.insert("type".into(), kind(body).into());
    object.insert("class".into(), class(body).into());
    object.insert("sealed".into(), head.sealed.into());
    object.insert("run".into(), head.run.into());
    object.insert("epoch".into(), head.epoch.into());
    object.insert("leaf".into(), hex(&head.leaf).into());
    if let Value::Object(content) = content(body) {
        object.extend(content);
    }
    if let Some(opened) = opened {
        object.insert("opened".into(), flow_opened(opened));
    }
    if let Some(found) = destination {
        object.insert("destination".into(), where_to(found, name.as_ref()));
    }
    Value::Object(object)
}

/// Where a flow goes, as far as it is known now. It is no part of what is sealed: what explains a flow may become known
/// later than the flow.
fn where_to(found: &Destination<'_>, name: Option<&Name>) -> Value {
    json!({
        "name": name.map(|name| &*name.text),
        "named_by": name.map(|name| name.source.word()),
        "class": found.place.class().word(),
        "vendor": found.vendor.map(|vendor| &vendor.name),
        "because": found.place.because(),
    })
}

/// RFC 3339, UTC, with microseconds.
#[must_use]
pub fn time(wall_ns: u64) -> String {
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(wall_ns);
    humantime::format_rfc3339_micros(at).to_string()
}

/// When it happened, CLOCK_REALTIME nanoseconds: the record's own time, moved back to the kernel's sample where there
/// is one.
#[must_use]
pub fn event_wall_ns(head: &Head, body: &Body) -> u64 {
    let sample = match body {
        Body::FlowOpened(flow) => &flow.sample,
        Body::FlowTraffic(flow) => &flow.sample,
        Body::Call(call) => &call.sample,
        Body::Process(process) => &process.sample,
        Body::Guard(guard) => &guard.sample,
        _ => return head.wall_ns,
    };
    head.wall_ns.saturating_sub(head.boot_ns.saturating_sub(sample.boot_ns))
}

fn content(body: &Body) -> Value {
    match body {
        Body::Genesis { version, root, log } => {
            json!({"version": version, "root_key": hex(root), "log_key": hex(log)})
        }
        Body::FlowOpened(flow) => flow_opened(flow),
        Body::FlowTraffic(flow) => flow_traffic(flow),
        Body::Call(it) => call(it),
        Body::Process(it) => process_record(it),
        Body::Guard(it) => guard(it),
        Body::Seal(it) => seal(it),
        Body::Loss(it) => loss(it),
        Body::Unrecorded(it) => unrecorded(it),
        Body::Recover(it) => recover(it),
        Body::RunStart(it) => run_start(it),
        Body::RunStop(it) => json!({"reason": it.reason}),
        Body::Ack(it) => json!({"record": it.record, "actor": it.actor, "note": it.note}),
        Body::Checked(it) => json!({"size": it.size, "exit": it.exit, "summary": it.summary}),
        Body::Egress(it) => egress(it),
        Body::Rotate(it) => json!({"epoch": it.epoch, "key": hex(&it.key), "reason": it.reason}),
        Body::Policy(it) => policy(it),
        Body::Decision(it) => decision(it),
        Body::Acknowledged(it) => acknowledged(it),
        Body::Restated(it) => restated(it),
        Body::Prune(it) => prune(it),
        Body::Clock(it) => json!({"before": time(it.before_wall_ns), "after": time(it.after_wall_ns)}),
        Body::Export(it) => export(it),
    }
}

fn policy(it: &Policy) -> Value {
    json!({"keep_ns": it.keep_ns, "max_bytes": it.max_bytes, "min_ns": it.min_ns, "actor": it.actor})
}

/// A request and what became of it, as the value that it asked for is written by people.
#[must_use]
pub fn decision(it: &PolicyRecord) -> Value {
    json!({
        "number": it.number,
        "step": step(it.step),
        "takes_effect": it.step.takes_effect(),
        "instance": it.instance,
        "actor": actor(it.actor),
        "setting": it.setting,
        "value": serde_json::from_str::<Value>(&it.value).unwrap_or_else(|_| it.value.clone().into()),
        "effect": effect(it.effect),
        "reason": it.reason,
    })
}

/// An acknowledgement.
#[must_use]
pub fn acknowledged(it: &AckRecord) -> Value {
    json!({
        "instance": it.instance,
        "reason": it.reason,
        "subject": it.subject,
        "text": it.text,
        "before_seq": it.before_seq,
        "actor": actor(it.actor),
    })
}

/// A record that is said again: as that record is written.
fn restated(it: &Restated) -> Value {
    let said = it
        .body()
        .map_or(Value::Null, |body| json!({"type": kind(&body), "class": class(&body), "content": content(&body)}));
    json!({"record": it.record, "first": time(it.wall_ns), "instance": it.instance, "said": said})
}

fn actor(actor: Actor) -> Value {
    match actor {
        Actor::Host { uid } => json!({"who": "host", "uid": uid}),
        Actor::Instance { tgid } => json!({"who": "instance", "tgid": tgid}),
    }
}

/// What became of a request, as a word.
#[must_use]
pub const fn step(step: Step) -> &'static str {
    match step {
        Step::AtOnce => "at_once",
        Step::Allowed => "allowed",
        Step::Waiting => "waiting",
        Step::Refused => "refused",
        Step::Accepted => "accepted",
        Step::Denied => "denied",
    }
}

const fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::None => "none",
        Effect::Tightens => "tightens",
        Effect::Loosens => "loosens",
    }
}

fn unrecorded(it: &Unrecorded) -> Value {
    json!({
        "instance": it.instance,
        "from": time(it.from_wall_ns),
        "until": time(it.until_wall_ns),
        "flows": it.flows,
        "calls": it.calls,
        "sent": it.sent,
        "received": it.received,
    })
}

fn egress(it: &Egress) -> Value {
    json!({
        "protocol": protocol(it.protocol),
        "remote": endpoint(&it.remote),
        "flows": it.flows,
        "configured": it.configured,
    })
}

fn prune(it: &Prune) -> Value {
    json!({
        "min_index": it.min_index,
        "root": hex(&it.root),
        "removed": it.removed,
        "oldest": time(it.oldest_wall_ns),
        "newest": time(it.newest_wall_ns),
        "policy": it.policy,
        "archive": it.archive.as_ref().map(|hash| hex(hash)),
        "actor": it.actor,
    })
}

fn export(it: &Export) -> Value {
    json!({
        "id": hex(&it.id),
        "nonce": it.nonce.as_ref().map(|nonce| hex(nonce)),
        "first": it.first,
        "last": it.last,
        "filter": it.filter.as_ref().map(|hash| hex(hash)),
        "actor": it.actor,
    })
}

fn flow_opened(flow: &FlowOpened) -> Value {
    json!({
        "sample": sample(&flow.sample),
        "direction": if flow.inbound { "in" } else { "out" },
        "protocol": protocol(flow.protocol),
        "remote": endpoint(&flow.remote),
        "local": flow.local.as_ref().map(endpoint),
        "cookie": flow.cookie,
        "process": process(&flow.process),
        "attribution": attribution(&flow.attribution),
        "opened_before": flow.opened_before,
        "netns": flow.netns,
        "instance": flow.instance,
        "names": names(&flow.names),
    })
}

fn flow_traffic(flow: &FlowTraffic) -> Value {
    json!({
        "sample": sample(&flow.sample),
        "flow": flow.flow,
        "end": flow.end.map(end),
        "error": flow.error,
        "sent": flow.sent,
        "received": flow.received,
        "duration_ns": flow.duration_ns,
        "handshake_ns": flow.handshake_ns,
        "names": names(&flow.names),
    })
}

fn names(names: &[Named]) -> Value {
    names.iter().map(|it| json!({"name": it.name, "source": it.source.word()})).collect()
}

fn call(call: &Call) -> Value {
    json!({
        "sample": sample(&call.sample),
        "flow": call.flow,
        "cookie": call.cookie,
        "channel": call.channel,
        "method": call.method,
        "attribution": attribution(&call.attribution),
        "process": process(&call.process),
        "instance": call.instance,
    })
}

fn process_record(record: &ProcessRecord) -> Value {
    let change = match record.change {
        ProcessChange::Found => "found",
        ProcessChange::Forked => "forked",
        ProcessChange::Executed => "executed",
        ProcessChange::Exited => "exited",
    };
    json!({
        "sample": sample(&record.sample),
        "change": change,
        "process": process(&record.process),
        "code": record.code,
        "attribution": attribution(&record.attribution),
        "instance": record.instance,
    })
}

fn guard(guard: &Guard) -> Value {
    json!({
        "sample": sample(&guard.sample),
        "what": guard.what.word(),
        "family": guard.family.map(family),
        "protocol": guard.protocol.map(protocol),
        "cookie": guard.cookie,
        "netns": guard.netns,
        "opened_before": guard.opened_before,
        "target": guard.target.as_ref().map(process),
        "process": process(&guard.process),
        "attribution": attribution(&guard.attribution),
        "instance": guard.instance,
    })
}

fn seal(seal: &Seal) -> Value {
    json!({
        "previous_checkpoint": hex(&seal.previous_checkpoint),
        "previous_size": seal.previous_size,
        "min_index": seal.min_index,
        "captured": seal.captured,
        "lost": losses(&seal.lost),
        "cpus": seal.cpus.iter().map(|mark| json!({
            "cpu": mark.cpu,
            "last_kseq": mark.last_kseq,
            "received": mark.received,
            "lost": losses(&mark.lost),
        })).collect::<Vec<_>>(),
        "hooks": seal.hooks.iter().map(hook).collect::<Vec<_>>(),
        "clock_synchronised": seal.clock.0,
        "clock_max_error_ns": seal.clock.1,
        "end_of_epoch": seal.end_of_epoch,
    })
}

fn loss(loss: &Loss) -> Value {
    json!({
        "gap": gap(loss.gap),
        "count": loss.count,
        "from": loss.from_wall_ns.map(time),
        "until": loss.until_wall_ns.map(time),
        "detail": loss.detail,
    })
}

fn recover(recover: &Recover) -> Value {
    json!({
        "origin": recover.origin,
        "found_size": recover.found_size,
        "found_root": recover.found_root.as_ref().map(|root| hex(root)),
        "known": recover.known,
        "missing": recover.missing,
        "cause": recover.cause,
    })
}

fn run_start(run: &RunStart) -> Value {
    json!({
        "version": run.version,
        "kernel": run.kernel,
        "boot_id": hex(&run.boot_id),
        "binary": hex(&run.binary),
        "config": hex(&run.config),
        "scope": run.scope,
        "previous": run.previous,
        "hooks": run.hooks.iter().map(hook).collect::<Vec<_>>(),
    })
}

fn sample(sample: &Sample) -> Value {
    json!({"boot_ns": sample.boot_ns, "cpu": sample.cpu, "kseq": sample.kseq})
}

fn process(process: &Process) -> Value {
    json!({
        "tgid": process.tgid,
        "tid": process.tid,
        "start_ns": process.start_ns,
        "comm": process.comm,
        "executable": process.executable,
        "arguments": process.arguments,
        "cgroup": process.cgroup,
        "parent": process.parent,
    })
}

fn attribution(it: &Attribution) -> Value {
    json!({
        "label": label(it.label),
        "module": it.module,
        "chain": it.chain,
        "site": it.site,
        "origin": it.origin,
        "database": it.database,
        "reason": it.reason,
        "contradictions": it.contradictions,
    })
}

fn hook(hook: &Hook) -> Value {
    json!({"name": hook.name, "tag": hex(&hook.tag), "active": hook.active})
}

fn endpoint(endpoint: &Endpoint) -> Value {
    json!({"address": address(endpoint), "port": endpoint.port})
}

/// The address alone, as people write it.
#[must_use]
pub fn address(endpoint: &Endpoint) -> String {
    match endpoint.octets() {
        [a, b, c, d] => std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string(),
        _ => std::net::Ipv6Addr::from(endpoint.address).to_string(),
    }
}

/// Address and port, as people write them.
#[must_use]
pub fn socket_address(endpoint: &Endpoint) -> String {
    let address = address(endpoint);
    if address.contains(':') {
        format!("[{address}]:{}", endpoint.port)
    } else {
        format!("{address}:{}", endpoint.port)
    }
}

/// A protocol's name, or its number.
#[must_use]
pub fn protocol(number: u16) -> String {
    match number {
        1 => "icmp".into(),
        6 => "tcp".into(),
        17 => "udp".into(),
        58 => "icmpv6".into(),
        262 => "mptcp".into(),
        other => other.to_string(),
    }
}

/// A socket family's name, or its number.
fn family(number: u16) -> String {
    match number {
        2 => "inet".into(),
        10 => "inet6".into(),
        17 => "packet".into(),
        other => other.to_string(),
    }
}

/// A label as a word.
#[must_use]
pub const fn label(label: Label) -> &'static str {
    match label {
        Label::Absent => "absent",
        Label::Inferred => "inferred",
        Label::SelfReported => "self_reported",
        Label::Matched => "matched",
    }
}

const fn end(end: FlowEnd) -> &'static str {
    match end {
        FlowEnd::Closed => "closed",
        FlowEnd::Error => "error",
        FlowEnd::NotEstablished => "not_established",
        FlowEnd::Idle => "idle",
        FlowEnd::Replaced => "replaced",
        FlowEnd::NotWatched => "not_watched",
    }
}

/// A gap as a word, or its number where it is one from the future.
#[must_use]
pub fn gap(number: u64) -> String {
    Gap::from_number(number).map_or_else(|| number.to_string(), |gap| gap.word().to_owned())
}

/// Counts of loss, by reason.
#[must_use]
pub fn losses(lost: &[(u64, u64)]) -> Value {
    Value::Object(lost.iter().map(|&(reason, count)| (gap(reason), count.into())).collect())
}
