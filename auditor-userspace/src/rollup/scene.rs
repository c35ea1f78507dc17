//! What happened, as lines of text, for tests: each line is one record, or one thing that is known beside them.
//!
//! ```text
//! run none | stopped | interrupted  [boot=N] [hooks=connect,close]
//! stop
//! wait 90s | 2h | 8day
//! out ADDRESS:PORT[/udp]  [dns:|sni:|claim:NAME] [module=] [chain=a,b] [label=] [contradiction=N] [sent=N|?] [received=N|?]
//!                         [xN] [open] [before] [born=BOOT_NS] [cookie=N] [plain|tls] [instance=] [lasts=1ms]
//! in ADDRESS:PORT ...
//! call [module=] [label=] [channel=] [flow=last|none] [xN]
//! end [sent=] [received=]      of the flow that was left open last
//! loss GAP-NUMBER COUNT|?
//! unrecorded FLOWS CALLS [instance=]                  counted, and by policy not recorded
//! egress ADDRESS:PORT N [configured]                  the auditor's own traffic
//! seal [hooks=connect,!close]
//! exit COMM
//! verified intact | gaps | unable | violated WORDS   the store's own verification
//! missing N|?                                        the ledger before this one was cut
//! answered WORDS                                     the operator's answer to that
//! clock                                              the wall clock was set
//! guard WHAT [instance=] [module=]                   something that no ordinary Odoo does
//! prune                                              what is older than now is removed
//! ```

use std::net::SocketAddr;

use auditor_common::body::{
    Ack, Attribution, Body, Call, Checked, ClockStep, Egress, FlowEnd, FlowOpened, FlowTraffic, Guard, Guarded, Hook,
    Label, Loss, NameSource, Named, Process, ProcessChange, ProcessRecord, Prune, Recover, RunStart, RunStop, Sample,
    Seal, Unrecorded,
};
use auditor_common::endpoint::Endpoint;

use super::{Beside, Rollup};
use crate::destination::Knowledge;
use crate::serve::wire::Head;

/// Where time begins: 2026-11-24T00:00:00Z, and some time after the boot.
pub(crate) const BEGIN_NS: u64 = 1_795_478_400_000_000_000;
const BOOT_NS: u64 = 1_000_000_000_000;

/// The instance that lines mean, unless they name one.
pub(crate) const INSTANCE: &str = "odoo";

pub(crate) struct Record {
    pub(crate) head: Head,
    pub(crate) body: Body,
    tls: Option<bool>,
}

/// Records, and the time.
pub(crate) struct Scene {
    pub(crate) records: Vec<Record>,
    pub(crate) now_ns: u64,
    boot_ns: u64,
    run: u32,
    cookie: u64,
    last_flow: Option<(u64, u64)>,
    last_cut: u64,
}

/// The words of a line: `key=value`, and words alone.
pub(crate) struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    pub(crate) fn of(line: &'a str) -> Self {
        Self(line.split_ascii_whitespace().collect())
    }

    pub(crate) fn at(&self, at: usize) -> &'a str {
        self.0.get(at).copied().unwrap_or_else(|| panic!("a word is missing in {:?}", self.0))
    }

    pub(crate) fn has(&self, word: &str) -> bool {
        self.0.contains(&word)
    }

    pub(crate) fn value(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.value(key).map(|value| value.parse().unwrap_or_else(|_| panic!("{key} is a number in {:?}", self.0)))
    }

    fn times(&self) -> u64 {
        self.0.iter().find_map(|word| word.strip_prefix('x')?.parse().ok()).unwrap_or(1)
    }
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self {
            records: Vec::new(),
            now_ns: BEGIN_NS,
            boot_ns: BOOT_NS,
            run: 0,
            cookie: 100,
            last_flow: None,
            last_cut: 0,
        }
    }

    /// Plays lines; the first that is no record is handed back by its words.
    pub(crate) fn play(text: &str) -> Self {
        let mut scene = Self::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            assert!(scene.line(line), "no such line: {line}");
        }
        scene
    }

    /// Plays one line; `false` if it is none of a scene.
    pub(crate) fn line(&mut self, line: &str) -> bool {
        let words = Words::of(line);
        match words.at(0) {
            "run" => self.start(&words),
            "stop" => self.push(Body::RunStop(RunStop { reason: "signal".into() })),
            "wait" => self.wait(humantime::parse_duration(words.at(1)).expect("a span").as_nanos() as u64),
            "out" | "in" => (0..words.times()).for_each(|_| self.flow(&words)),
            "call" => (0..words.times()).for_each(|_| self.call(&words)),
            "end" => {
                let (flow, since) = self.last_flow.expect("a flow that is open");
                self.end(flow, since, &words);
            }
            "loss" => self.push(Body::Loss(Loss {
                gap: words.at(1).parse().expect("a gap's number"),
                count: words.at(2).parse().ok(),
                from_wall_ns: Some(self.now_ns - 1_000_000_000),
                until_wall_ns: Some(self.now_ns),
                detail: "as told".into(),
            })),
            "unrecorded" => self.push(Body::Unrecorded(Unrecorded {
                instance: words.value("instance").unwrap_or(INSTANCE).into(),
                from_wall_ns: self.now_ns - 1_000_000_000,
                until_wall_ns: self.now_ns,
                flows: words.at(1).parse().expect("a number"),
                calls: words.at(2).parse().expect("a number"),
                sent: 1,
                received: 2,
            })),
            "egress" => self.push(Body::Egress(Egress {
                protocol: 6,
                remote: endpoint(words.at(1)),
                flows: words.at(2).parse().expect("a number"),
                configured: words.has("configured"),
            })),
            "seal" => {
                let hooks = hooks(&words);
                self.push(Body::Seal(seal(hooks)));
            }
            "exit" => {
                let process = Process { tgid: 9, comm: Some(words.at(1).into()), ..Process::default() };
                let record = ProcessRecord {
                    sample: self.sample(),
                    change: ProcessChange::Exited,
                    process,
                    code: Some(0),
                    attribution: Attribution::default(),
                    instance: words.value("instance").unwrap_or(INSTANCE).into(),
                };
                self.push(Body::Process(record));
            }
            "verified" => {
                let exit = ["intact", "unable", "", "violated", "gaps"].iter().position(|word| *word == words.at(1));
                self.push(Body::Checked(Checked {
                    size: self.records.len() as u64,
                    exit: exit.expect("a result") as u8,
                    summary: words.0[2..].join(" "),
                }));
            }
            "missing" => {
                self.last_cut = self.records.len() as u64;
                self.push(Body::Recover(Recover {
                    origin: "before".into(),
                    found_size: None,
                    found_root: None,
                    known: None,
                    missing: words.at(1).parse().ok(),
                    cause: "the store is behind its head".into(),
                }));
            }
            "answered" => {
                let note = words.0[1..].join(" ");
                self.push(Body::Ack(Ack { record: self.last_cut, actor: "root (0)".into(), note }));
            }
            "clock" => {
                let step = ClockStep { before_wall_ns: self.now_ns - 5, after_wall_ns: self.now_ns };
                self.push(Body::Clock(step));
            }
            "guard" => self.guard(&words),
            "prune" => self.push(Body::Prune(Prune {
                min_index: 256,
                root: [0; 32],
                range: Vec::new(),
                removed: 256,
                oldest_wall_ns: BEGIN_NS,
                newest_wall_ns: self.now_ns,
                policy: 1,
                archive: None,
                actor: "schedule".into(),
                streams: Vec::new(),
            })),
            _ => return false,
        }
        true
    }

    pub(crate) fn wait(&mut self, ns: u64) {
        self.now_ns += ns;
        self.boot_ns += ns;
    }

    /// The records, counted.
    pub(crate) fn rollup(&self, limits: super::Limits, knowledge: &Knowledge) -> Rollup {
        let mut rollup = Rollup::new(limits);
        for record in &self.records {
            rollup.apply(&record.head, &record.body, Beside { tls: record.tls }, knowledge);
        }
        rollup
    }

    fn sample(&self) -> Sample {
        Sample { boot_ns: self.boot_ns, cpu: Some(0), kseq: None }
    }

    fn push(&mut self, body: Body) {
        self.push_with(body, None);
    }

    fn push_with(&mut self, body: Body, tls: Option<bool>) {
        let seq = self.records.len() as u64;
        let (wall_ns, boot_ns) = (self.now_ns, self.boot_ns);
        let head = Head { seq, wall_ns, boot_ns, run: self.run, sealed: true, ..Head::default() };
        self.records.push(Record { head, body, tls });
    }

    fn start(&mut self, words: &Words<'_>) {
        self.run += 1;
        let boot = words.number("boot").unwrap_or(1) as u8;
        self.push(Body::RunStart(RunStart {
            version: "0".into(),
            kernel: "6.1".into(),
            boot_id: [boot; 16],
            binary: [0; 32],
            config: [0; 32],
            scope: "odoo".into(),
            previous: words.at(1).into(),
            hooks: hooks(words),
        }));
    }

    fn flow(&mut self, words: &Words<'_>) {
        let (address, protocol) = match words.at(1).strip_suffix("/udp") {
            Some(address) => (address, 17),
            None => (words.at(1), 6),
        };
        let tls = if words.has("plain") { Some(false) } else { words.has("tls").then_some(true) };
        self.cookie += 1;
        let seq = self.records.len() as u64;
        let body = Body::FlowOpened(FlowOpened {
            sample: self.sample(),
            inbound: words.at(0) == "in",
            protocol,
            remote: endpoint(address),
            local: None,
            cookie: words.number("cookie").unwrap_or(self.cookie),
            process: Process { tgid: 7, start_ns: words.number("born").unwrap_or(1), ..Process::default() },
            attribution: attribution(words),
            opened_before: words.has("before"),
            netns: 1,
            instance: words.value("instance").unwrap_or(INSTANCE).into(),
            names: names(words),
        });
        self.push_with(body, tls);
        self.last_flow = Some((seq, self.boot_ns));
        if !words.has("open") {
            let lasts = words.value("lasts").unwrap_or("1ms");
            self.wait(humantime::parse_duration(lasts).expect("a span").as_nanos() as u64);
            self.end(seq, self.boot_ns - humantime::parse_duration(lasts).expect("a span").as_nanos() as u64, words);
        }
    }

    fn end(&mut self, flow: u64, since_boot_ns: u64, words: &Words<'_>) {
        let bytes = |key: &str, otherwise: u64| match words.value(key) {
            Some("?") => None,
            Some(number) => Some(number.parse().expect("bytes")),
            None => Some(otherwise),
        };
        self.push(Body::FlowTraffic(FlowTraffic {
            sample: self.sample(),
            flow,
            end: Some(FlowEnd::Closed),
            error: None,
            sent: bytes("sent", 100),
            received: bytes("received", 200),
            duration_ns: self.boot_ns - since_boot_ns,
            handshake_ns: None,
            names: names(words),
        }));
    }

    fn guard(&mut self, words: &Words<'_>) {
        let what = Guarded::ALL.into_iter().find(|what| what.word() == words.at(1)).expect("a guard's word");
        self.push(Body::Guard(Guard {
            sample: self.sample(),
            what,
            family: None,
            protocol: None,
            cookie: None,
            netns: None,
            opened_before: false,
            target: None,
            process: Process::default(),
            attribution: attribution(words),
            instance: words.value("instance").unwrap_or(INSTANCE).into(),
        }));
    }

    fn call(&mut self, words: &Words<'_>) {
        let flow = self.last_flow.map(|(flow, _)| flow).filter(|_| words.value("flow") != Some("none"));
        self.push(Body::Call(Call {
            sample: Sample { cpu: None, ..self.sample() },
            flow,
            cookie: self.cookie,
            channel: words.value("channel").unwrap_or("http").into(),
            method: Some("POST".into()),
            attribution: attribution(words),
            process: Process::default(),
            instance: words.value("instance").unwrap_or(INSTANCE).into(),
        }));
    }
}

pub(crate) fn endpoint(text: &str) -> Endpoint {
    let at: SocketAddr = text.parse().unwrap_or_else(|_| panic!("{text} is no address:port"));
    match at {
        SocketAddr::V4(v4) => Endpoint::v4(v4.ip().octets(), v4.port()),
        SocketAddr::V6(v6) => Endpoint::v6(v6.ip().octets(), v6.port()),
    }
}

fn names(words: &Words<'_>) -> Vec<Named> {
    words.0.iter().filter_map(|word| name(word)).collect()
}

fn name(word: &str) -> Option<Named> {
    let (source, text) = word.split_once(':')?;
    let source = NameSource::ALL.into_iter().find(|it| it.word() == source)?;
    Some(Named { name: text.to_owned(), source })
}

/// A module is matched and nobody is absent, unless the line says otherwise.
fn attribution(words: &Words<'_>) -> Attribution {
    let module = words.value("module").map(str::to_owned);
    let label = match words.value("label") {
        Some("matched") => Label::Matched,
        Some("self_reported") => Label::SelfReported,
        Some("inferred") => Label::Inferred,
        Some("absent") => Label::Absent,
        Some(other) => panic!("{other} is no label"),
        None if module.is_some() => Label::Matched,
        None => Label::Absent,
    };
    let chain = words.value("chain").or(module.as_deref());
    Attribution {
        label,
        chain: chain.map(|chain| chain.split(',').map(str::to_owned).collect()).unwrap_or_default(),
        module,
        contradictions: words.number("contradiction").map(|number| number as u8).into_iter().collect(),
        ..Attribution::default()
    }
}

fn hooks(words: &Words<'_>) -> Vec<Hook> {
    let hook = |name: &str| Hook {
        name: name.trim_start_matches('!').into(),
        tag: vec![0; 8],
        active: !name.starts_with('!'),
    };
    words.value("hooks").map(|hooks| hooks.split(',').map(hook).collect()).unwrap_or_default()
}

fn seal(hooks: Vec<Hook>) -> Seal {
    Seal {
        previous_checkpoint: [0; 32],
        previous_size: 0,
        min_index: 0,
        captured: 0,
        lost: Vec::new(),
        cpus: Vec::new(),
        hooks,
        clock: (true, 0),
        streams: [0; 32],
        witnessed: Vec::new(),
        binary: [0; 32],
        config: [0; 32],
        end_of_epoch: false,
    }
}
