//! Bodies to bytes: definite lengths, shortest heads, keys in ascending order.

use std::convert::Infallible;

use minicbor::Encoder;
use minicbor::encode::{Error, Write};

use super::{
    AckRecord, Actor, Attribution, Body, Call, CpuMark, Egress, Export, FlowOpened, FlowTraffic, Guard, Hook, Loss,
    Named, PolicyRecord, Process, ProcessRecord, Prune, Recover, Restated, RunStart, Sample, Seal, StreamEnd,
    Unrecorded,
};

impl Body {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        self.encode_into(&mut bytes);
        bytes
    }

    /// Adds its bytes to others.
    pub fn encode_into(&self, bytes: &mut Vec<u8>) {
        let mut out = Writer(Encoder::new(Memory(std::mem::take(bytes))));
        match self {
            Self::Genesis { version, root, log } => {
                out.map(3).key(1).text(version).key(2).bytes(root).key(3).bytes(log);
            }
            Self::FlowOpened(flow) => flow_opened(&mut out, flow),
            Self::FlowTraffic(traffic) => flow_traffic(&mut out, traffic),
            Self::Call(call) => self::call(&mut out, call),
            Self::Guard(guard) => self::guard(&mut out, guard),
            Self::Process(record) => process_record(&mut out, record),
            Self::Seal(seal) => self::seal(&mut out, seal),
            Self::Loss(loss) => self::loss(&mut out, loss),
            Self::Unrecorded(it) => unrecorded(&mut out, it),
            Self::RunStart(run) => run_start(&mut out, run),
            Self::RunStop(run) => {
                out.map(1).key(1).text(&run.reason);
            }
            Self::Ack(ack) => {
                out.map(3).key(1).uint(ack.record).key(2).text(&ack.actor).key(3).text(&ack.note);
            }
            Self::Checked(it) => {
                out.map(3).key(1).uint(it.size).key(2).uint(it.exit).key(3).text(&it.summary);
            }
            Self::Egress(it) => egress(&mut out, it),
            Self::Rotate(it) => {
                out.map(3).key(1).uint(it.epoch).key(2).bytes(&it.key).key(3).text(&it.reason);
            }
            Self::Policy(it) => {
                out.map(4).key(1).uint(it.keep_ns).key(2).uint(it.max_bytes).key(3).uint(it.min_ns);
                out.key(4).text(&it.actor);
            }
            Self::Decision(it) => decision(&mut out, it),
            Self::Acknowledged(it) => acknowledged(&mut out, it),
            Self::Restated(it) => restated(&mut out, it),
            Self::Prune(prune) => self::prune(&mut out, prune),
            Self::Clock(step) => {
                out.map(2).key(1).uint(step.before_wall_ns).key(2).uint(step.after_wall_ns);
            }
            Self::Export(export) => self::export(&mut out, export),
            Self::Recover(recover) => self::recover(&mut out, recover),
        }
        *bytes = out.0.into_writer().0;
    }
}

/// Takes every byte. Unlike the crate's own implementation for `Vec`, this one becomes part of the code around it: with
/// [`done`] that halves what it costs to encode a body.
struct Memory(Vec<u8>);

impl Write for Memory {
    type Error = Infallible;

    #[inline(always)]
    #[allow(clippy::inline_always, reason = "as a call it costs more than the few bytes it moves")]
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// There are no errors to handle, and nothing to be dropped: to say so spares a call for each value.
#[inline]
fn done(outcome: Result<&mut Encoder<Memory>, Error<Infallible>>) {
    std::mem::forget(outcome);
}

/// An encoder into memory.
struct Writer(Encoder<Memory>);

impl Writer {
    fn map(&mut self, keys: u64) -> &mut Self {
        done(self.0.map(keys));
        self
    }

    fn array(&mut self, elements: usize) -> &mut Self {
        done(self.0.array(elements as u64));
        self
    }

    #[inline]
    fn key(&mut self, key: u8) -> &mut Self {
        self.uint(key)
    }

    fn uint(&mut self, number: impl Into<u64>) -> &mut Self {
        done(self.0.u64(number.into()));
        self
    }

    fn flag(&mut self, flag: bool) -> &mut Self {
        done(self.0.bool(flag));
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        done(self.0.str(text));
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        done(self.0.bytes(bytes));
        self
    }

    fn null(&mut self) -> &mut Self {
        done(self.0.null());
        self
    }

    fn maybe_uint(&mut self, number: Option<impl Into<u64>>) -> &mut Self {
        match number {
            Some(number) => self.uint(number),
            None => self.null(),
        }
    }

    fn maybe_bytes(&mut self, bytes: Option<&[u8]>) -> &mut Self {
        match bytes {
            Some(bytes) => self.bytes(bytes),
            None => self.null(),
        }
    }

    fn maybe_text(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text(text),
            None => self.null(),
        }
    }
}

fn sample<'w>(out: &'w mut Writer, sample: &Sample) -> &'w mut Writer {
    out.key(1).uint(sample.boot_ns).key(2).maybe_uint(sample.cpu).key(3).maybe_uint(sample.kseq)
}

fn process(out: &mut Writer, process: &Process) {
    out.map(8).key(1).uint(process.tgid).key(2).uint(process.tid).key(3).uint(process.start_ns);
    out.key(4).maybe_text(process.comm.as_deref()).key(5).maybe_text(process.executable.as_deref());
    out.key(6).maybe_uint(process.arguments).key(7).uint(process.cgroup).key(8).maybe_uint(process.parent);
}

fn attribution(out: &mut Writer, who: &Attribution) {
    out.map(8).key(1).uint(who.label as u8).key(2).maybe_text(who.module.as_deref());
    out.key(3).array(who.chain.len());
    for module in &who.chain {
        out.text(module);
    }
    out.key(4).maybe_text(who.site.as_deref()).key(5).maybe_text(who.origin.as_deref());
    out.key(6).maybe_text(who.database.as_deref()).key(7).text(&who.reason);
    out.key(8).array(who.contradictions.len());
    for number in &who.contradictions {
        out.uint(*number);
    }
}

fn flow_opened(out: &mut Writer, flow: &FlowOpened) {
    sample(out.map(14 + u64::from(!flow.names.is_empty())), &flow.sample)
        .key(4)
        .flag(flow.inbound)
        .key(5)
        .uint(flow.protocol);
    out.key(6).bytes(flow.remote.octets()).key(7).uint(flow.remote.port);
    match &flow.local {
        Some(local) => out.key(8).array(2).bytes(local.octets()).uint(local.port),
        None => out.key(8).null(),
    };
    process(out.key(10).uint(flow.cookie).key(11), &flow.process);
    attribution(out.key(12), &flow.attribution);
    out.key(13).flag(flow.opened_before).key(14).uint(flow.netns).key(15).text(&flow.instance);
    names(out, 16, &flow.names);
}

/// The last key of a flow's records, which is absent where there is nothing to say.
fn names(out: &mut Writer, key: u8, names: &[Named]) {
    if names.is_empty() {
        return;
    }
    out.key(key).array(names.len());
    for it in names {
        out.array(2).text(&it.name).uint(it.source as u8);
    }
}

fn flow_traffic(out: &mut Writer, traffic: &FlowTraffic) {
    sample(out.map(10 + u64::from(!traffic.names.is_empty())), &traffic.sample).key(4).uint(traffic.flow);
    out.key(5).maybe_uint(traffic.end.map(|end| end as u8)).key(6).maybe_uint(traffic.error);
    out.key(7).maybe_uint(traffic.sent).key(8).maybe_uint(traffic.received);
    out.key(9).uint(traffic.duration_ns).key(10).maybe_uint(traffic.handshake_ns);
    names(out, 11, &traffic.names);
}

fn call(out: &mut Writer, call: &Call) {
    sample(out.map(10), &call.sample).key(4).maybe_uint(call.flow).key(5).uint(call.cookie);
    out.key(6).text(&call.channel).key(7).maybe_text(call.method.as_deref());
    attribution(out.key(8), &call.attribution);
    process(out.key(9), &call.process);
    out.key(10).text(&call.instance);
}

fn process_record(out: &mut Writer, record: &ProcessRecord) {
    sample(out.map(8), &record.sample).key(4).uint(record.change as u8);
    process(out.key(5), &record.process);
    attribution(out.key(6).maybe_uint(record.code).key(7), &record.attribution);
    out.key(8).text(&record.instance);
}

fn guard(out: &mut Writer, guard: &Guard) {
    sample(out.map(13), &guard.sample).key(4).uint(guard.what as u8);
    out.key(5).maybe_uint(guard.family).key(6).maybe_uint(guard.protocol);
    out.key(7).maybe_uint(guard.cookie).key(8).maybe_uint(guard.netns).key(9).flag(guard.opened_before);
    match &guard.target {
        Some(target) => process(out.key(10), target),
        None => _ = out.key(10).null(),
    }
    process(out.key(11), &guard.process);
    attribution(out.key(12), &guard.attribution);
    out.key(13).text(&guard.instance);
}

fn lost<'w>(out: &'w mut Writer, lost: &[(u64, u64)]) -> &'w mut Writer {
    out.array(lost.len());
    for (gap, count) in lost {
        out.array(2).uint(*gap).uint(*count);
    }
    out
}

fn hooks<'w>(out: &'w mut Writer, hooks: &[Hook]) -> &'w mut Writer {
    out.array(hooks.len());
    for hook in hooks {
        out.map(3).key(1).text(&hook.name).key(2).bytes(&hook.tag).key(3).flag(hook.active);
    }
    out
}

fn seal(out: &mut Writer, seal: &Seal) {
    out.map(13).key(1).bytes(&seal.previous_checkpoint).key(2).uint(seal.previous_size);
    lost(out.key(3).uint(seal.min_index).key(4).uint(seal.captured).key(5), &seal.lost);
    out.key(6).array(seal.cpus.len());
    for CpuMark { cpu, last_kseq, received, lost: by_gap } in &seal.cpus {
        lost(out.array(4).uint(*cpu).uint(*last_kseq).uint(*received), by_gap);
    }
    hooks(out.key(7), &seal.hooks).key(8).array(2).flag(seal.clock.0).uint(seal.clock.1);
    out.key(9).bytes(&seal.streams).key(10).array(seal.witnessed.len());
    for (witness, size) in &seal.witnessed {
        out.array(2).text(witness).uint(*size);
    }
    out.key(11).bytes(&seal.binary).key(12).bytes(&seal.config).key(13).flag(seal.end_of_epoch);
}

fn loss(out: &mut Writer, loss: &Loss) {
    out.map(5).key(1).uint(loss.gap).key(2).maybe_uint(loss.count).key(3).maybe_uint(loss.from_wall_ns);
    out.key(4).maybe_uint(loss.until_wall_ns).key(5).text(&loss.detail);
}

fn unrecorded(out: &mut Writer, it: &Unrecorded) {
    out.map(7).key(1).text(&it.instance).key(2).uint(it.from_wall_ns).key(3).uint(it.until_wall_ns);
    out.key(4).uint(it.flows).key(5).uint(it.calls).key(6).uint(it.sent).key(7).uint(it.received);
}

fn egress(out: &mut Writer, it: &Egress) {
    out.map(5).key(1).uint(it.protocol).key(2).bytes(it.remote.octets()).key(3).uint(it.remote.port);
    out.key(4).uint(it.flows).key(5).flag(it.configured);
}

fn actor(out: &mut Writer, actor: Actor) {
    let (kind, number) = actor.numbers();
    out.array(2).uint(kind).uint(number);
}

fn decision(out: &mut Writer, it: &PolicyRecord) {
    out.map(8).key(1).uint(it.number).key(2).uint(it.step as u8).key(3).text(&it.instance);
    actor(out.key(4), it.actor);
    out.key(5).text(&it.setting).key(6).text(&it.value).key(7).uint(it.effect as u8).key(8).text(&it.reason);
}

fn acknowledged(out: &mut Writer, it: &AckRecord) {
    out.map(6).key(1).text(&it.instance).key(2).text(&it.reason).key(3).text(&it.subject).key(4).text(&it.text);
    actor(out.key(5).uint(it.before_seq).key(6), it.actor);
}

fn restated(out: &mut Writer, it: &Restated) {
    out.map(6).key(1).uint(it.record).key(2).uint(it.wall_ns).key(3).uint(it.entry_type);
    out.key(4).uint(it.entry_class).key(5).text(&it.instance).key(6).bytes(&it.content);
}

fn run_start(out: &mut Writer, run: &RunStart) {
    out.map(8).key(1).text(&run.version).key(2).text(&run.kernel).key(3).bytes(&run.boot_id);
    out.key(4).bytes(&run.binary).key(5).bytes(&run.config).key(6).text(&run.scope).key(7).text(&run.previous);
    hooks(out.key(8), &run.hooks);
}

fn recover(out: &mut Writer, recover: &Recover) {
    out.map(6).key(1).text(&recover.origin).key(2).maybe_uint(recover.found_size);
    out.key(3).maybe_bytes(recover.found_root.as_ref().map(<[u8; 32]>::as_slice));
    out.key(4).maybe_text(recover.known.as_deref()).key(5).maybe_uint(recover.missing).key(6).text(&recover.cause);
}

fn prune(out: &mut Writer, prune: &Prune) {
    out.map(10).key(1).uint(prune.min_index).key(2).bytes(&prune.root).key(3).array(prune.range.len());
    for hash in &prune.range {
        out.bytes(hash);
    }
    out.key(4).uint(prune.removed).key(5).uint(prune.oldest_wall_ns).key(6).uint(prune.newest_wall_ns);
    out.key(7).uint(prune.policy).key(8).maybe_bytes(prune.archive.as_ref().map(<[u8; 32]>::as_slice));
    out.key(9).text(&prune.actor).key(10).array(prune.streams.len());
    for StreamEnd { tag, last_n, last_seq } in &prune.streams {
        out.array(3).bytes(tag).uint(*last_n).uint(*last_seq);
    }
}

fn export(out: &mut Writer, export: &Export) {
    out.map(6).key(1).bytes(&export.id).key(2).maybe_bytes(export.nonce.as_deref());
    out.key(3).uint(export.first).key(4).uint(export.last);
    out.key(5).maybe_bytes(export.filter.as_ref().map(<[u8; 32]>::as_slice)).key(6).text(&export.actor);
}
