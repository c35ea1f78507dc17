//! A probe of one's own, with one process that it watches: a scenario of `scenarios/kernel.rs`.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use auditor_common::body::Guarded;
use auditor_common::endpoint::Endpoint;
use auditor_common::event::{Closed, Connect, Established, Guard, Header, PacketHead, flag};
use auditor_userspace::decode::{Event, decode};
use auditor_userspace::probe::{Options, Probe};
use auditor_userspace::ring::Ring;

/// A probe, and a process that does what a test is about.
pub struct Watched {
    /// The programs in the kernel.
    pub probe: Probe,
    ring: Ring,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// What the scenario said so far.
    pub facts: BTreeMap<String, String>,
    /// What the kernel said so far.
    pub events: Vec<Event>,
    /// Names in [`Watched::story`].
    processes: HashMap<u32, String>,
    ports: HashMap<u16, String>,
    received: u64,
}

/// How much arrived, and how much is counted as lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Samples that arrived.
    pub received: u64,
    /// Numbers that never did.
    pub lost: u64,
}

/// A probe that sees nobody but whom it is told of: other tests run at the same time.
pub fn alone() -> Options {
    Options { candidates: false, ..Options::default() }
}

impl Watched {
    /// Starts a scenario, lets it come to its first pause, and audits it from there.
    pub fn start(program: &str, scenario: &[&str]) -> Self {
        Self::with(&alone(), program, scenario)
    }

    /// The same, with a probe of another kind.
    pub fn with(options: &Options, program: &str, scenario: &[&str]) -> Self {
        let mut watched = Self::unaudited(options, program, scenario);
        watched.read_facts();
        let tgid = watched.tgid();
        let listed = watched.probe.processes().expect("the kernel lists processes");
        let found = listed.iter().find(|process| process.tgid == tgid).expect("the child is listed");
        watched.probe.audit(tgid, found.start_ns).expect("there is room");
        watched
    }

    /// The same, without a word to the probe.
    pub fn unaudited(options: &Options, program: &str, scenario: &[&str]) -> Self {
        let mut probe = Probe::load(options).unwrap_or_else(|error| panic!("{error}"));
        let ring = probe.take_ring().expect("the first reader");
        let mut child = Command::new(Path::new(program))
            .args(scenario)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the scenario starts");
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let processes = HashMap::from([(child.id(), "child".to_owned())]);
        Self {
            probe,
            ring,
            child,
            input,
            output,
            facts: BTreeMap::new(),
            events: Vec::new(),
            processes,
            ports: HashMap::new(),
            received: 0,
        }
    }

    /// Its number.
    pub fn tgid(&self) -> u32 {
        self.child.id()
    }

    /// A number that the scenario said.
    pub fn fact(&self, name: &str) -> u64 {
        let text = self.facts.get(name).unwrap_or_else(|| panic!("the scenario did not say {name}"));
        text.parse().unwrap_or_else(|_| panic!("{name} is {text}"))
    }

    /// Names a port in the story.
    pub fn name_port(&mut self, port: u16, name: &str) {
        self.ports.insert(port, name.to_owned());
    }

    /// Names ports that the scenario said, by what it called them.
    pub fn name_ports(&mut self, facts: &[&str]) {
        for fact in facts {
            self.name_port(u16::try_from(self.fact(fact)).expect("a port"), fact);
        }
    }

    /// Names processes that the scenario said, by what it called them.
    pub fn name_processes(&mut self, facts: &[&str]) {
        for fact in facts {
            self.processes.insert(u32::try_from(self.fact(fact)).expect("a process"), (*fact).to_owned());
        }
    }

    /// Lets it go on to its next pause, or to its end.
    pub fn go(&mut self) {
        self.let_go();
        self.read_facts();
    }

    /// Lets it go on, and does not wait.
    pub fn let_go(&mut self) {
        self.input.write_all(b"go\n").expect("the scenario waits");
    }

    /// Reads what it says up to its next pause, or to its end.
    pub fn read_facts(&mut self) {
        let mut line = String::new();
        while self.output.read_line(&mut line).expect("text") > 0 && line.trim() != "ready" {
            let (name, value) = line.trim().split_once(' ').expect("a fact has a name and a value");
            self.facts.insert(name.to_owned(), value.to_owned());
            line.clear();
        }
    }

    /// Lets it go on to its end; gives how it ended.
    pub fn finish(&mut self) -> Balance {
        self.go();
        assert!(self.child.wait().expect("a child").success(), "the scenario {:?} failed", self.facts);
        self.balance()
    }

    /// Takes what is there until everything that was numbered has arrived or is counted as lost.
    pub fn balance(&mut self) -> Balance {
        crate::wait_for("every sample", || {
            let marks = self.probe.marks().expect("the counters");
            self.drain();
            let numbered: u64 = marks.values().map(|mark| mark.kseq).sum();
            let lost: u64 = marks.values().map(|mark| mark.dropped).sum();
            (self.received + lost >= numbered).then_some(Balance { received: self.received, lost })
        })
    }

    fn drain(&mut self) {
        let (events, received) = (&mut self.events, &mut self.received);
        self.ring.drain(usize::MAX, |sample| {
            *received += 1;
            events.push(decode(sample).unwrap_or_else(|error| panic!("{error}: {sample:02x?}")));
        });
    }

    /// Waits until the kernel has said this; lines as in [`Watched::story`].
    pub fn wait_for(&mut self, line: &str) {
        crate::wait_for(line, || {
            self.drain();
            self.story().iter().any(|told| told.starts_with(line)).then_some(())
        });
    }

    /// What the kernel said, a line for each event, with names for numbers that differ from run to run.
    pub fn story(&self) -> Vec<String> {
        self.events.iter().map(|event| self.line(event)).collect()
    }

    fn line(&self, event: &Event) -> String {
        let who = |tgid: u32| self.processes.get(&tgid).cloned().unwrap_or_else(|| "somebody".to_owned());
        let told = match event {
            Event::Connect(it) => format!("connects {}", self.sent_to(it)),
            Event::Datagram(it) => format!("sends {}", self.sent_to(it)),
            Event::Established(it) => format!("established {}", self.ends(it)),
            Event::FirstUse(it) => format!("uses {}", self.ends(it)),
            Event::Listen(it) => format!("listens {}", self.ends(it)),
            Event::Closed(it) => format!("closed {}", traffic(it)),
            Event::Released(it) => format!("released {}", traffic(it)),
            Event::Fork(it) => format!("has {}", who(it.child_tgid)),
            Event::Exec(it) => format!("becomes {} {}", text(&it.comm), it.arguments),
            Event::Exit(it) => format!("exits {:#x}", it.code),
            Event::Guard(it) => format!("guarded: {}", guarded(it, who(it.target_tgid))),
            Event::Answer(it) => format!("is answered {}", self.packet(it)),
            Event::Hello(it) => format!("greets {}", self.packet(it)),
        };
        format!("{} {told}{}", who(event.header().tgid), flags(event.header()))
    }

    fn sent_to(&self, event: &Connect) -> String {
        let previous = match (event.previous_sent, event.previous_received) {
            (0, 0) => String::new(),
            (sent, received) => format!(", before {sent}/{received}"),
        };
        format!(
            "{}{} {} #{}{previous}",
            protocol(event.protocol),
            if event.family == 10 { "6" } else { "" },
            self.end(&event.remote),
            event.key.generation
        )
    }

    fn packet(&self, event: &PacketHead) -> String {
        format!("{} {} {}", protocol(event.protocol), self.end(&event.remote), event.length)
    }

    fn ends(&self, event: &Established) -> String {
        let remote = if event.remote == Endpoint::default() { "nobody".to_owned() } else { self.end(&event.remote) };
        format!("{} {} with {remote}", protocol(event.protocol), self.end(&event.local))
    }

    fn end(&self, end: &Endpoint) -> String {
        let address = IpAddr::from(Ipv6Addr::from(end.address)).to_canonical();
        match self.ports.get(&end.port) {
            Some(name) => format!("{address}:{name}"),
            None => format!("{address}:{}", end.port),
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn traffic(event: &Closed) -> String {
    let before = match event.state_before {
        0 => "",
        2 => " before it came to be",
        7 => " before it was tried",
        _ => " later",
    };
    let error = if event.error == 0 { String::new() } else { format!(" errno {}", event.error) };
    format!("{}/{}{error}{before}", event.sent, event.received)
}

fn guarded(event: &Guard, target: String) -> String {
    let what = Guarded::from_number(event.what).map_or("?", Guarded::word);
    match (event.target_tgid, event.protocol) {
        (0, 0) => format!("{what} of family {}", event.family),
        (0, protocol) => format!("{what} of family {} for protocol {protocol}", event.family),
        _ => format!("{what} of {target}"),
    }
}

fn flags(header: &Header) -> String {
    let words = [(flag::INBOUND, "inbound"), (flag::OPENED_BEFORE, "opened before"), (flag::CANDIDATE, "candidate")];
    words.iter().filter(|(bit, _)| header.flags & bit != 0).flat_map(|(_, word)| [", ", *word]).collect()
}

fn protocol(number: u16) -> String {
    match number {
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        other => other.to_string(),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()
}
