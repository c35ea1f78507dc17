//! A case as text: lines of a scene, things that are known beside it, and what is expected.
//!
//! ```text
//! case NAME
//!   … lines of a scene (see `rollup::scene`), and:
//!   claims JSON                      what the addon says
//!   host addresses=A,B listeners=N,M the host's word; a line `configured HOST PORT PURPOSE` likewise
//!   sees names                       names are seen in the kernel here
//!   catalogue WORD JSON              an entry on the word of host or instance
//!   ask odoo|host|INSTANCE JSON      a change
//!   accept N, deny N                 the host's answer
//!   ack REASON SUBJECT|- host|odoo   an acknowledgement
//!   limits lines=N contacts=N        bounds of the sums
//!   tier, root_key, over_size        what the host says of itself
//!   view all|INSTANCE                whose report
//!   window SPAN
//!   verdict WORD                     expected, as are
//!   alarm|attention|note|acked REASON SUBJECT|- COUNT
//! ```

use auditor_common::body::Body;

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::catalogue::pattern::HostPattern;
use crate::catalogue::{Catalogue, Entry, Word};
use crate::clock::DAY_NS;
use crate::destination::Knowledge;
use crate::destination::facts::{Configured, Facts};
use crate::policy::Policies;
use crate::policy::change::Change;
use crate::policy::record::{AckRecord, Actor, Sealed};
use crate::report::basis::{Basis, Host};
use crate::report::{Report, report};
use crate::rollup::Limits;
use crate::rollup::scene::{INSTANCE, Scene, Words};

/// A case of the table.
pub(super) struct Case<'a> {
    pub(super) name: &'a str,
    pub(super) lines: Vec<&'a str>,
}

/// The table, line by line; `#` begins a comment.
pub(super) fn cases(text: &str) -> Vec<Case<'_>> {
    let mut cases: Vec<Case<'_>> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match (line.strip_prefix("case "), cases.last_mut()) {
            (Some(name), _) => cases.push(Case { name, lines: Vec::new() }),
            (None, Some(case)) => case.lines.push(line),
            (None, None) => panic!("a line before the first case: {line}"),
        }
    }
    cases
}

/// Everything a report is made of, as far as a case has said it.
pub(super) struct Stage {
    scene: Scene,
    knowledge: Knowledge,
    policies: Policies,
    host: Host,
    limits: Limits,
    view: Option<String>,
    window_ns: u64,
}

impl Stage {
    pub(super) fn new() -> Self {
        let mut knowledge = Knowledge { catalogue: Catalogue::built_in(), ..Knowledge::default() };
        knowledge.instances.insert(INSTANCE.into(), (Facts::default(), None));
        Self {
            scene: Scene::new(),
            knowledge,
            policies: Policies::default(),
            host: Host::default(),
            limits: Limits::default(),
            view: Some(INSTANCE.into()),
            window_ns: DAY_NS,
        }
    }

    /// Plays a line; `false` if it is an expectation.
    pub(super) fn line(&mut self, line: &str) -> bool {
        let words = Words::of(line);
        let rest = |after: usize| line.splitn(after + 1, ' ').nth(after).unwrap_or_default();
        match words.at(0) {
            "verdict" | "alarm" | "attention" | "note" | "acked" => return false,
            "claims" => self.facts().claim(serde_json::from_str(rest(1)).expect(line)),
            "host" => {
                let list = |key: &str| words.value(key).unwrap_or_default().split(',').filter(|it| !it.is_empty());
                let addresses: BTreeSet<IpAddr> = list("addresses").map(|it| it.parse().expect("an address")).collect();
                let listeners: BTreeSet<u16> = list("listeners").map(|it| it.parse().expect("a port")).collect();
                self.facts().addresses.extend(addresses);
                self.facts().listeners.extend(listeners);
            }
            "configured" => {
                let host = HostPattern::try_from(words.at(1).to_owned()).expect("a host");
                let port = words.at(2).parse().ok();
                let (purpose, place) = (rest(3).to_owned(), "odoo.conf".to_owned());
                self.facts().configured.push(Configured { host, port, purpose, place, word: Word::Host });
            }
            "sees" => self.facts().sees_names = true,
            "catalogue" => {
                let word = if words.at(1) == "host" { Word::Host } else { Word::Instance };
                let entry: Entry = serde_json::from_str(rest(2)).expect(line);
                self.knowledge.catalogue.document(Entry { word, ..entry });
            }
            "ask" => self.ask(words.at(1), rest(2)),
            "accept" | "deny" => {
                let number = words.at(1).parse().expect("a number");
                let record = self.policies.decide(number, words.at(0) == "accept", Actor::Host { uid: 0 });
                let sealed = self.sealed();
                self.policies.take(sealed.seq, sealed.wall_ns, &Body::Decision(record.expect("it waits")));
                self.own_catalogue();
            }
            "ack" => self.acknowledge(&words),
            "limits" => {
                let number = |key: &str, otherwise: usize| words.number(key).map_or(otherwise, |it| it as usize);
                self.limits.lines = number("lines", self.limits.lines);
                self.limits.contacts = number("contacts", self.limits.contacts);
            }
            "tier" => self.host.missing_tier = Some("this kernel is older than 6.3: no bytes of datagrams".into()),
            "over_size" => self.host.over_size = Some((21 << 30, 20 << 30)),
            "root_key" => self.host.root_key_here = true,
            "view" => self.view = Some(words.at(1).to_owned()).filter(|view| view != "all"),
            "window" => self.window_ns = span(words.at(1)),
            _ => assert!(self.scene.line(line), "no such line: {line}"),
        }
        true
    }

    /// The report.
    pub(super) fn report(&self, checkpoint: Option<&str>) -> Report {
        let rollup = self.scene.rollup(self.limits, &self.knowledge);
        report(&Basis {
            instance: self.view.as_deref(),
            now_ns: self.scene.now_ns,
            window_ns: self.window_ns,
            rollup: &rollup,
            knowledge: &self.knowledge,
            policies: &self.policies,
            host: &self.host,
            checkpoint,
        })
    }

    /// Verdict and reasons, in the words of the table.
    pub(super) fn found(&self) -> BTreeSet<String> {
        let report = self.report(None);
        let reasons = report.reasons.iter().map(|reason| {
            let severity = serde_json::to_value(reason.severity).expect("a word");
            let word = if reason.acknowledged.is_some() { "acked" } else { severity.as_str().expect("a word") };
            let subject = if reason.subject.is_empty() { "-" } else { &reason.subject };
            format!("{word} {} {subject} {}", reason.id, reason.count)
        });
        reasons.chain([format!("verdict {}", report.verdict.word())]).collect()
    }

    fn facts(&mut self) -> &mut Facts {
        &mut self.knowledge.instances.entry(INSTANCE.into()).or_default().0
    }

    fn sealed(&self) -> Sealed {
        Sealed { seq: self.scene.records.len() as u64, wall_ns: self.scene.now_ns }
    }

    fn ask(&mut self, who: &str, json: &str) {
        let (instance, actor) = match who {
            "host" => (INSTANCE, Actor::Host { uid: 0 }),
            "odoo" => (INSTANCE, Actor::Instance { tgid: 7 }),
            other => (other, Actor::Instance { tgid: 8 }),
        };
        let change: Change = serde_json::from_str(json).expect(json);
        let record = self.policies.ask(instance, actor, &change, &self.knowledge.catalogue, self.scene.now_ns);
        let sealed = self.sealed();
        self.policies.take(sealed.seq, sealed.wall_ns, &Body::Decision(record.expect(json)));
        self.own_catalogue();
    }

    fn own_catalogue(&mut self) {
        let own = self.policies.catalogue(INSTANCE, &self.knowledge.catalogue);
        self.knowledge.instances.entry(INSTANCE.into()).or_default().1 = own;
    }

    fn acknowledge(&mut self, words: &Words<'_>) {
        let sealed = self.sealed();
        let record = AckRecord {
            instance: self.view.clone().unwrap_or_default(),
            reason: words.at(1).to_owned(),
            subject: if words.at(2) == "-" { String::new() } else { words.at(2).to_owned() },
            text: "we know".into(),
            before_seq: sealed.seq,
            actor: if words.at(3) == "host" { Actor::Host { uid: 0 } } else { Actor::Instance { tgid: 7 } },
        };
        self.policies.take(sealed.seq, sealed.wall_ns, &Body::Acknowledged(record));
    }
}

fn span(text: &str) -> u64 {
    humantime::parse_duration(text).expect("a span").as_nanos() as u64
}
