//! Bytes to bodies: first the tables of [`schema`], then the values.

use minicbor::Decoder;

use super::{
    Ack, AckRecord, Actor, Attribution, Body, BodyError, Call, Checked, ClockStep, CpuMark, Effect, Egress, Export,
    FlowEnd, FlowOpened, FlowTraffic, Guard, Guarded, Hook, Label, Loss, NameSource, Named, Policy, PolicyRecord,
    Process, ProcessChange, ProcessRecord, Prune, Recover, Restated, Rotate, RunStart, RunStop, Sample, Seal, Step,
    StreamEnd, Unrecorded, class, schema,
};
use crate::endpoint::{Endpoint, MAPPED};
use crate::record::EntryType;

impl Body {
    /// Reads the body of an entry of this type and class. Whatever it accepts, [`Body::encode`] writes again to the
    /// same bytes.
    pub fn decode(kind: EntryType, class: u32, bytes: &[u8]) -> Result<Self, BodyError> {
        schema::check(kind, class, bytes)?;
        let mut input = Reader(Decoder::new(bytes));
        Ok(match (kind, class) {
            (EntryType::Genesis, 0) => input.genesis()?,
            (EntryType::Event, class::FLOW_OPENED) => Self::FlowOpened(input.flow_opened()?),
            (EntryType::Event, class::FLOW_ENDED | class::FLOW_INTERIM) => Self::FlowTraffic(input.flow_traffic()?),
            (EntryType::Event, class::CALL) => Self::Call(input.call()?),
            (EntryType::Event, class::PROCESS) => Self::Process(input.process_record()?),
            (EntryType::Event, class::GUARD) => Self::Guard(input.guard()?),
            (EntryType::Seal, 0) => Self::Seal(input.seal()?),
            (EntryType::Loss, 0) => Self::Loss(input.loss()?),
            (EntryType::Loss, class::LOSS_UNRECORDED) => Self::Unrecorded(input.unrecorded()?),
            (EntryType::Run, class::RUN_START) => Self::RunStart(input.run_start()?),
            (EntryType::Run, class::RUN_STOP) => {
                input.map()?;
                Self::RunStop(RunStop { reason: input.key()?.text()? })
            }
            (EntryType::Run, class::RUN_ACK) => Self::Ack(input.ack()?),
            (EntryType::Run, class::RUN_CHECK) => Self::Checked(input.checked()?),
            (EntryType::Run, class::RUN_EGRESS) => Self::Egress(input.egress()?),
            (EntryType::Rotate, 0) => Self::Rotate(input.rotate()?),
            (EntryType::Policy, 0) => Self::Policy(input.policy()?),
            (EntryType::Policy, class::POLICY_DECISION) => Self::Decision(input.decision()?),
            (EntryType::Policy, class::POLICY_ACK) => Self::Acknowledged(input.acknowledged()?),
            (EntryType::Policy, class::POLICY_RESTATED) => Self::Restated(input.restated()?),
            (EntryType::Prune, 0) => Self::Prune(input.prune()?),
            (EntryType::Clock, 0) => Self::Clock(input.clock_step()?),
            (EntryType::Export, 0) => Self::Export(input.export()?),
            (EntryType::Recover, 0) => Self::Recover(input.recover()?),
            _ => return Err(BodyError::Unknown { kind, class }),
        })
    }
}

/// Takes values off bytes that have passed the schema: keys are skipped, not looked at again.
struct Reader<'b>(Decoder<'b>);

impl Reader<'_> {
    fn map(&mut self) -> Result<&mut Self, BodyError> {
        self.0.map()?;
        Ok(self)
    }

    /// How many keys a map has.
    fn count(&mut self) -> Result<u64, BodyError> {
        self.0.map()?.ok_or(BodyError::NotCanonical)
    }

    fn key(&mut self) -> Result<&mut Self, BodyError> {
        self.0.u8()?;
        Ok(self)
    }

    fn uint<T: TryFrom<u64>>(&mut self) -> Result<T, BodyError> {
        T::try_from(self.0.u64()?).map_err(|_| BodyError::Value)
    }

    fn flag(&mut self) -> Result<bool, BodyError> {
        Ok(self.0.bool()?)
    }

    fn text(&mut self) -> Result<String, BodyError> {
        Ok(self.0.str()?.to_owned())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], BodyError> {
        self.0.bytes()?.try_into().map_err(|_| BodyError::Value)
    }

    fn maybe<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, BodyError>) -> Result<Option<T>, BodyError> {
        if self.0.datatype()? == minicbor::data::Type::Null {
            self.0.null()?;
            return Ok(None);
        }
        read(self).map(Some)
    }

    fn array<T>(&mut self, read: impl Fn(&mut Self) -> Result<T, BodyError>) -> Result<Vec<T>, BodyError> {
        let count = self.0.array()?.ok_or(BodyError::NotCanonical)?;
        (0..count).map(|_| read(self)).collect()
    }

    fn address(&mut self) -> Result<[u8; 16], BodyError> {
        let bytes = self.0.bytes()?;
        let mut address = [0; 16];
        match bytes.len() {
            4 => {
                address[..12].copy_from_slice(&MAPPED);
                address[12..].copy_from_slice(bytes);
            }
            16 => address.copy_from_slice(bytes),
            _ => return Err(BodyError::Value),
        }
        Ok(address)
    }

    fn sample(&mut self) -> Result<Sample, BodyError> {
        Ok(Sample {
            boot_ns: self.key()?.uint()?,
            cpu: self.key()?.maybe(Self::uint)?,
            kseq: self.key()?.maybe(Self::uint)?,
        })
    }

    fn process(&mut self) -> Result<Process, BodyError> {
        self.map()?;
        Ok(Process {
            tgid: self.key()?.uint()?,
            tid: self.key()?.uint()?,
            start_ns: self.key()?.uint()?,
            comm: self.key()?.maybe(Self::text)?,
            executable: self.key()?.maybe(Self::text)?,
            arguments: self.key()?.maybe(Self::uint)?,
            cgroup: self.key()?.uint()?,
            parent: self.key()?.maybe(Self::uint)?,
        })
    }

    fn attribution(&mut self) -> Result<Attribution, BodyError> {
        self.map()?;
        Ok(Attribution {
            label: Label::from_number(self.key()?.uint()?).ok_or(BodyError::Value)?,
            module: self.key()?.maybe(Self::text)?,
            chain: self.key()?.array(Self::text)?,
            site: self.key()?.maybe(Self::text)?,
            origin: self.key()?.maybe(Self::text)?,
            database: self.key()?.maybe(Self::text)?,
            reason: self.key()?.text()?,
            contradictions: self.key()?.array(Self::uint)?,
        })
    }

    fn genesis(&mut self) -> Result<Body, BodyError> {
        self.map()?;
        Ok(Body::Genesis { version: self.key()?.text()?, root: self.key()?.bytes()?, log: self.key()?.bytes()? })
    }

    /// The names of a flow's record, if it has the key, which is its last one: `keys` of them are always there.
    fn names(&mut self, present: u64, keys: u64) -> Result<Vec<Named>, BodyError> {
        if present == keys {
            return Ok(Vec::new());
        }
        let source = |input: &mut Self| NameSource::from_number(input.uint()?).ok_or(BodyError::Value);
        let pair = |input: &mut Self| input.pair(Self::text, source);
        Ok(self.key()?.array(pair)?.into_iter().map(|(name, source)| Named { name, source }).collect())
    }

    fn flow_opened(&mut self) -> Result<FlowOpened, BodyError> {
        let present = self.count()?;
        let sample = self.sample()?;
        let inbound = self.key()?.flag()?;
        let protocol = self.key()?.uint()?;
        let remote = Endpoint::v6(self.key()?.address()?, self.key()?.uint()?);
        let local = self.key()?.maybe(|input| input.pair(Self::address, Self::uint))?;
        Ok(FlowOpened {
            sample,
            inbound,
            protocol,
            remote,
            local: local.map(|(address, port)| Endpoint::v6(address, port)),
            cookie: self.key()?.uint()?,
            process: self.key()?.process()?,
            attribution: self.key()?.attribution()?,
            opened_before: self.key()?.flag()?,
            netns: self.key()?.uint()?,
            instance: self.key()?.text()?,
            names: self.names(present, 14)?,
        })
    }

    fn flow_traffic(&mut self) -> Result<FlowTraffic, BodyError> {
        let present = self.count()?;
        Ok(FlowTraffic {
            sample: self.sample()?,
            flow: self.key()?.uint()?,
            end: self.key()?.maybe(|input| FlowEnd::from_number(input.uint()?).ok_or(BodyError::Value))?,
            error: self.key()?.maybe(Self::uint)?,
            sent: self.key()?.maybe(Self::uint)?,
            received: self.key()?.maybe(Self::uint)?,
            duration_ns: self.key()?.uint()?,
            handshake_ns: self.key()?.maybe(Self::uint)?,
            names: self.names(present, 10)?,
        })
    }

    fn call(&mut self) -> Result<Call, BodyError> {
        self.map()?;
        Ok(Call {
            sample: self.sample()?,
            flow: self.key()?.maybe(Self::uint)?,
            cookie: self.key()?.uint()?,
            channel: self.key()?.text()?,
            method: self.key()?.maybe(Self::text)?,
            attribution: self.key()?.attribution()?,
            process: self.key()?.process()?,
            instance: self.key()?.text()?,
        })
    }

    fn process_record(&mut self) -> Result<ProcessRecord, BodyError> {
        self.map()?;
        Ok(ProcessRecord {
            sample: self.sample()?,
            change: ProcessChange::from_number(self.key()?.uint()?).ok_or(BodyError::Value)?,
            process: self.key()?.process()?,
            code: self.key()?.maybe(Self::uint)?,
            attribution: self.key()?.attribution()?,
            instance: self.key()?.text()?,
        })
    }

    fn guard(&mut self) -> Result<Guard, BodyError> {
        self.map()?;
        Ok(Guard {
            sample: self.sample()?,
            what: Guarded::from_number(self.key()?.uint()?).ok_or(BodyError::Value)?,
            family: self.key()?.maybe(Self::uint)?,
            protocol: self.key()?.maybe(Self::uint)?,
            cookie: self.key()?.maybe(Self::uint)?,
            netns: self.key()?.maybe(Self::uint)?,
            opened_before: self.key()?.flag()?,
            target: self.key()?.maybe(Self::process)?,
            process: self.key()?.process()?,
            attribution: self.key()?.attribution()?,
            instance: self.key()?.text()?,
        })
    }

    /// An array of two.
    fn pair<A, B>(
        &mut self,
        first: impl FnOnce(&mut Self) -> Result<A, BodyError>,
        second: impl FnOnce(&mut Self) -> Result<B, BodyError>,
    ) -> Result<(A, B), BodyError> {
        self.0.array()?;
        Ok((first(self)?, second(self)?))
    }

    fn lost(&mut self) -> Result<Vec<(u64, u64)>, BodyError> {
        self.array(|input| input.pair(Self::uint, Self::uint))
    }

    fn hook(&mut self) -> Result<Hook, BodyError> {
        self.map()?;
        Ok(Hook { name: self.key()?.text()?, tag: self.key()?.0.bytes()?.to_vec(), active: self.key()?.flag()? })
    }

    fn cpu_mark(&mut self) -> Result<CpuMark, BodyError> {
        self.0.array()?;
        Ok(CpuMark { cpu: self.uint()?, last_kseq: self.uint()?, received: self.uint()?, lost: self.lost()? })
    }

    fn seal(&mut self) -> Result<Seal, BodyError> {
        self.map()?;
        Ok(Seal {
            previous_checkpoint: self.key()?.bytes()?,
            previous_size: self.key()?.uint()?,
            min_index: self.key()?.uint()?,
            captured: self.key()?.uint()?,
            lost: self.key()?.lost()?,
            cpus: self.key()?.array(Self::cpu_mark)?,
            hooks: self.key()?.array(Self::hook)?,
            clock: self.key()?.pair(Self::flag, Self::uint)?,
            streams: self.key()?.bytes()?,
            witnessed: self.key()?.array(|input| input.pair(Self::text, Self::uint))?,
            binary: self.key()?.bytes()?,
            config: self.key()?.bytes()?,
            end_of_epoch: self.key()?.flag()?,
        })
    }

    fn loss(&mut self) -> Result<Loss, BodyError> {
        self.map()?;
        Ok(Loss {
            gap: self.key()?.uint()?,
            count: self.key()?.maybe(Self::uint)?,
            from_wall_ns: self.key()?.maybe(Self::uint)?,
            until_wall_ns: self.key()?.maybe(Self::uint)?,
            detail: self.key()?.text()?,
        })
    }

    fn run_start(&mut self) -> Result<RunStart, BodyError> {
        self.map()?;
        Ok(RunStart {
            version: self.key()?.text()?,
            kernel: self.key()?.text()?,
            boot_id: self.key()?.bytes()?,
            binary: self.key()?.bytes()?,
            config: self.key()?.bytes()?,
            scope: self.key()?.text()?,
            previous: self.key()?.text()?,
            hooks: self.key()?.array(Self::hook)?,
        })
    }

    fn recover(&mut self) -> Result<Recover, BodyError> {
        self.map()?;
        Ok(Recover {
            origin: self.key()?.text()?,
            found_size: self.key()?.maybe(Self::uint)?,
            found_root: self.key()?.maybe(Self::bytes)?,
            known: self.key()?.maybe(Self::text)?,
            missing: self.key()?.maybe(Self::uint)?,
            cause: self.key()?.text()?,
        })
    }

    fn ack(&mut self) -> Result<Ack, BodyError> {
        self.map()?;
        Ok(Ack { record: self.key()?.uint()?, actor: self.key()?.text()?, note: self.key()?.text()? })
    }

    fn checked(&mut self) -> Result<Checked, BodyError> {
        self.map()?;
        Ok(Checked { size: self.key()?.uint()?, exit: self.key()?.uint()?, summary: self.key()?.text()? })
    }

    fn rotate(&mut self) -> Result<Rotate, BodyError> {
        self.map()?;
        Ok(Rotate { epoch: self.key()?.uint()?, key: self.key()?.bytes()?, reason: self.key()?.text()? })
    }

    fn policy(&mut self) -> Result<Policy, BodyError> {
        self.map()?;
        Ok(Policy {
            keep_ns: self.key()?.uint()?,
            max_bytes: self.key()?.uint()?,
            min_ns: self.key()?.uint()?,
            actor: self.key()?.text()?,
        })
    }

    fn unrecorded(&mut self) -> Result<Unrecorded, BodyError> {
        self.map()?;
        Ok(Unrecorded {
            instance: self.key()?.text()?,
            from_wall_ns: self.key()?.uint()?,
            until_wall_ns: self.key()?.uint()?,
            flows: self.key()?.uint()?,
            calls: self.key()?.uint()?,
            sent: self.key()?.uint()?,
            received: self.key()?.uint()?,
        })
    }

    fn egress(&mut self) -> Result<Egress, BodyError> {
        self.map()?;
        Ok(Egress {
            protocol: self.key()?.uint()?,
            remote: Endpoint::v6(self.key()?.address()?, self.key()?.uint()?),
            flows: self.key()?.uint()?,
            configured: self.key()?.flag()?,
        })
    }

    fn actor(&mut self) -> Result<Actor, BodyError> {
        self.0.array()?;
        Actor::from_numbers(self.uint()?, self.uint()?).ok_or(BodyError::Value)
    }

    fn decision(&mut self) -> Result<PolicyRecord, BodyError> {
        self.map()?;
        Ok(PolicyRecord {
            number: self.key()?.uint()?,
            step: Step::from_number(self.key()?.uint()?).ok_or(BodyError::Value)?,
            instance: self.key()?.text()?,
            actor: self.key()?.actor()?,
            setting: self.key()?.text()?,
            value: self.key()?.text()?,
            effect: Effect::from_number(self.key()?.uint()?).ok_or(BodyError::Value)?,
            reason: self.key()?.text()?,
        })
    }

    fn acknowledged(&mut self) -> Result<AckRecord, BodyError> {
        self.map()?;
        Ok(AckRecord {
            instance: self.key()?.text()?,
            reason: self.key()?.text()?,
            subject: self.key()?.text()?,
            text: self.key()?.text()?,
            before_seq: self.key()?.uint()?,
            actor: self.key()?.actor()?,
        })
    }

    fn restated(&mut self) -> Result<Restated, BodyError> {
        self.map()?;
        Ok(Restated {
            record: self.key()?.uint()?,
            wall_ns: self.key()?.uint()?,
            entry_type: self.key()?.uint()?,
            entry_class: self.key()?.uint()?,
            instance: self.key()?.text()?,
            content: self.key()?.0.bytes()?.to_vec(),
        })
    }

    fn stream_end(&mut self) -> Result<StreamEnd, BodyError> {
        self.0.array()?;
        Ok(StreamEnd { tag: self.bytes()?, last_n: self.uint()?, last_seq: self.uint()? })
    }

    fn prune(&mut self) -> Result<Prune, BodyError> {
        self.map()?;
        Ok(Prune {
            min_index: self.key()?.uint()?,
            root: self.key()?.bytes()?,
            range: self.key()?.array(Self::bytes)?,
            removed: self.key()?.uint()?,
            oldest_wall_ns: self.key()?.uint()?,
            newest_wall_ns: self.key()?.uint()?,
            policy: self.key()?.uint()?,
            archive: self.key()?.maybe(Self::bytes)?,
            actor: self.key()?.text()?,
            streams: self.key()?.array(Self::stream_end)?,
        })
    }

    fn clock_step(&mut self) -> Result<ClockStep, BodyError> {
        self.map()?;
        Ok(ClockStep { before_wall_ns: self.key()?.uint()?, after_wall_ns: self.key()?.uint()? })
    }

    fn export(&mut self) -> Result<Export, BodyError> {
        self.map()?;
        Ok(Export {
            id: self.key()?.bytes()?,
            nonce: self.key()?.maybe(|input| Ok(input.0.bytes()?.to_vec()))?,
            first: self.key()?.uint()?,
            last: self.key()?.uint()?,
            filter: self.key()?.maybe(Self::bytes)?,
            actor: self.key()?.text()?,
        })
    }
}
