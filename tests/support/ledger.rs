//! Real ledgers, written through the library: events, marks of the kernel that fit them, several seals.

use std::path::{Path, PathBuf};
use std::process::Command;

use auditor_common::body::{
    AckRecord, Actor, Attribution, Body, CpuMark, Effect, FlowEnd, FlowOpened, FlowTraffic, Hook, Label, PolicyRecord,
    Process, Restated, RunStart, RunStop, Sample, Step,
};
use auditor_common::endpoint::Endpoint;
use auditor_common::note::VerifierKey;
use auditor_userspace::chain::Now;
use auditor_userspace::store::{CheckpointInfo, Limits, OpenOptions, Opened, SealInput, Store, StoreError};
use auditor_userspace::verify::{self, Report, Request};

/// A moment, this many seconds after the tests' own beginning of time.
#[must_use]
pub fn at(second: u64) -> Now {
    Now { wall_ns: 1_767_225_600_000_000_000 + second * 1_000_000_000, boot_ns: (1 + second) * 1_000_000_000 }
}

/// How a test's store is opened.
#[must_use]
pub fn options(second: u64) -> OpenOptions {
    OpenOptions {
        node: "audit.example/cluster-a/node-7".to_owned(),
        binary: [1; 32],
        config: [2; 32],
        clock: (true, 1000),
        limits: Limits { reserve_bytes: 1 << 20, ..Limits::default() },
        ..OpenOptions::new("0.1.0", at(second))
    }
}

/// A store with a daemon's bookkeeping about it: two processors, whose samples are numbered and sealed.
pub struct Ledger {
    /// The store.
    pub store: Store,
    /// What was found when it was opened.
    pub opened: Opened,
    /// What time it is.
    pub now: Now,
    /// Whose flows these are.
    pub instance: String,
    kseq: [u64; 2],
    sealed: [u64; 2],
    captured: u64,
}

impl Ledger {
    /// Opens a store, and says that a run begins.
    pub fn open(dir: &Path, options: &OpenOptions) -> Result<Self, StoreError> {
        let (store, opened) = Store::open(dir, options)?;
        let mut ledger = Self {
            store,
            opened,
            now: options.now,
            instance: "systemd odoo.service".to_owned(),
            kseq: [0; 2],
            sealed: [0; 2],
            captured: 0,
        };
        let previous = if ledger.opened.created { "none" } else { "stopped" };
        let start = RunStart {
            version: "0.1.0".to_owned(),
            kernel: "6.1.0".to_owned(),
            boot_id: [3; 16],
            binary: [1; 32],
            config: [2; 32],
            scope: "odoo".to_owned(),
            previous: previous.to_owned(),
            hooks: hooks(),
        };
        ledger.append(&Body::RunStart(start))?;
        Ok(ledger)
    }

    /// Appends a record.
    pub fn append(&mut self, body: &Body) -> Result<u64, StoreError> {
        self.store.append(body, self.now)
    }

    /// Appends a flow's beginning and its end.
    pub fn flow(&mut self) -> Result<u64, StoreError> {
        let opened = FlowOpened { instance: self.instance.clone(), ..flow_opened(self.sample()) };
        let flow = self.append(&Body::FlowOpened(opened))?;
        let ended = flow_ended(self.sample(), flow);
        self.append(&Body::FlowTraffic(ended))
    }

    /// A second in which instances have so many flows each; sealed.
    pub fn second(&mut self, flows: &[(&str, u64)]) {
        for (instance, flows) in flows {
            (*instance).clone_into(&mut self.instance);
            for _ in 0..*flows {
                self.flow().expect("a flow");
            }
        }
        self.wait(1);
        self.seal().expect("a seal");
    }

    /// Appends what an operator has to say about the instance: a request of its and what became of it, an acknowledgement,
    /// and both said again.
    pub fn decide(&mut self) -> Result<(), StoreError> {
        let instance = self.instance.clone();
        let actor = Actor::Instance { tgid: 4242 };
        let decision = PolicyRecord {
            number: 1,
            step: Step::AtOnce,
            instance: instance.clone(),
            actor,
            setting: "retention_days".to_owned(),
            value: "365".to_owned(),
            effect: Effect::Tightens,
            reason: format!("{instance} wants to keep more"),
        };
        let ack = AckRecord {
            instance: instance.clone(),
            reason: "gap".to_owned(),
            subject: String::new(),
            text: format!("{instance} was being moved"),
            before_seq: 3,
            actor,
        };
        for body in [Body::Decision(decision), Body::Acknowledged(ack)] {
            let seq = self.append(&body)?;
            self.append(&Body::Restated(Restated::of(seq, self.now.wall_ns, &body)))?;
        }
        Ok(())
    }

    /// The next thing that the kernel tells of, numbered by one of two processors.
    pub fn sample(&mut self) -> Sample {
        let cpu = self.captured % 2;
        self.captured += 1;
        self.kseq[cpu as usize] += 1;
        Sample { boot_ns: self.now.boot_ns, cpu: Some(cpu as u32), kseq: Some(self.kseq[cpu as usize]) }
    }

    /// What a seal says now.
    #[must_use]
    pub fn input(&self) -> SealInput {
        let mark = |cpu: usize| CpuMark {
            cpu: cpu as u32,
            last_kseq: self.kseq[cpu],
            received: self.kseq[cpu] - self.sealed[cpu],
            lost: vec![],
        };
        SealInput {
            captured: self.captured,
            lost: vec![],
            cpus: vec![mark(0), mark(1)],
            hooks: hooks(),
            clock: (true, 1000),
            binary: [1; 32],
            config: [2; 32],
        }
    }

    /// Seals.
    pub fn seal(&mut self) -> Result<CheckpointInfo, StoreError> {
        let info = self.store.seal(self.input(), self.now)?;
        self.note_sealed();
        Ok(info)
    }

    /// What was received until now is under a seal that something else made.
    pub fn note_sealed(&mut self) {
        self.sealed = self.kseq;
    }

    /// Lets time pass.
    pub fn wait(&mut self, seconds: u64) {
        self.now.wall_ns += seconds * 1_000_000_000;
        self.now.boot_ns += seconds * 1_000_000_000;
    }

    /// Says that the run ends, and seals it.
    pub fn stop(mut self) -> Result<CheckpointInfo, StoreError> {
        self.append(&Body::RunStop(RunStop { reason: "signal".to_owned() }))?;
        self.seal()
    }
}

/// A ledger of `seals` seals with `flows` flows before each, closed in good order.
pub fn write(dir: &Path, seals: u64, flows: u64) -> Opened {
    let mut ledger = Ledger::open(dir, &options(0)).expect("a new store");
    for _ in 0..seals {
        for _ in 0..flows {
            ledger.flow().expect("an append");
        }
        ledger.wait(1);
        ledger.seal().expect("a seal");
    }
    let opened = ledger.opened.clone();
    ledger.stop().expect("a last seal");
    opened
}

fn hooks() -> Vec<Hook> {
    vec![Hook { name: "connect4".to_owned(), tag: vec![1, 2, 3, 4, 5, 6, 7, 8], active: true }]
}

/// The end of a flow.
#[must_use]
pub fn flow_ended(sample: Sample, flow: u64) -> FlowTraffic {
    FlowTraffic {
        sample,
        flow,
        end: Some(FlowEnd::Closed),
        error: None,
        sent: Some(517),
        received: Some(4096),
        duration_ns: 2_000_000,
        handshake_ns: Some(100_000),
        names: Vec::new(),
    }
}

/// A ledger of three instances, some epochs and some segments, of more than 1,200 records.
#[must_use]
pub fn three_instances(dir: &Path) -> Ledger {
    let mut options = options(0);
    options.limits =
        Limits { epoch_ns: 20_000_000_000, segment_ns: 30_000_000_000, reserve_bytes: 1 << 20, ..Limits::default() };
    let mut ledger = Ledger::open(dir, &options).expect("a ledger");
    for instance in ["alpha", "beta", "gamma"] {
        instance.clone_into(&mut ledger.instance);
        ledger.decide().expect("decisions");
    }
    for second in 0..60 {
        ledger.second(&[("alpha", 8), ("beta", second % 5), ("gamma", u64::from(second == 7))]);
    }
    ledger
}

/// A flow as an Odoo's module would open it.
#[must_use]
pub fn flow_opened(sample: Sample) -> FlowOpened {
    let who = Process {
        tgid: 4242,
        tid: 4242,
        start_ns: 77,
        comm: Some("odoo".to_owned()),
        executable: Some("/usr/bin/python3.11".to_owned()),
        arguments: Some(6),
        cgroup: 99,
        parent: Some(1),
    };
    let whose = Attribution {
        label: Label::Matched,
        module: Some("payment_vendor".to_owned()),
        chain: vec!["payment_vendor".to_owned(), "sale".to_owned()],
        site: Some("models/payment.py:93 _send".to_owned()),
        origin: Some("cron 7".to_owned()),
        database: Some("prod".to_owned()),
        reason: "cookie".to_owned(),
        contradictions: vec![],
    };
    FlowOpened {
        sample,
        inbound: false,
        protocol: 6,
        remote: Endpoint::v4([192, 0, 2, 7], 443),
        local: Some(Endpoint::v4([10, 0, 0, 5], 51_234)),
        cookie: 0x1_0000_0001,
        process: who,
        attribution: whose,
        opened_before: false,
        netns: 4_026_531_840,
        instance: "systemd odoo.service".to_owned(),
        names: Vec::new(),
    }
}

/// Verifies a state folder in this process.
pub fn verify_here(dir: &Path, pinned: Option<&VerifierKey>) -> Report {
    let request = Request { state: dir.to_owned(), pinned: pinned.cloned(), incarnation: None };
    verify::verify(&request, &mut |_| {}).expect("a verification")
}

/// Name of the variable that tells a test's own program to be the reading process.
const READER: &str = "NETWORK_AUDIT_TEST_READER";

/// Verifies a state folder in a process of its own: the test's program again, as the test `the_reading_process`.
pub fn verify_in_child(dir: &Path) -> Report {
    let mut command = Command::new(std::env::current_exe().expect("the test's own program"));
    command.args(["the_reading_process", "--exact", "--nocapture", "--test-threads=1"]).env(READER, dir);
    verify::in_child(command, &mut |_| {}).expect("a verification")
}

/// To be called by the test `the_reading_process`: reads, if this is the program that was started to.
pub fn read_if_asked() {
    let Some(dir) = std::env::var_os(READER) else { return };
    // Whatever the test harness has printed on the line so far is not ours.
    println!();
    let request = Request { state: PathBuf::from(dir), pinned: None, incarnation: None };
    std::process::exit(i32::from(verify::child(&request)));
}

/// Every file below a folder, with its content.
#[must_use]
pub fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            let content = std::fs::read(&path).expect("a file");
            found.push((path, content));
        }
    }
    found.sort();
    found
}

/// Copies a folder, as it is at this moment.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("a copy");
        }
    }
}
