//! How long it takes until what happened cannot be lost any more, and until it is signed: of the real daemon, at 10,000
//! events a second.
//!
//! An event is a datagram socket that is given another address: one flow ends, another begins, two records. When they are
//! durable, and when they are sealed, is asked of the daemon all the time; what it answers counts records, so what it
//! writes about itself meanwhile (a seal each second) makes an event seem early by less than a millisecond.

use std::net::UdpSocket;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use auditor_tests::bench::{Row, row};
use auditor_tests::watcher::Watcher;
use auditor_tests::{a_daemon, wait_for};
use xtask::programs::{self, Profile};

const EVENTS_A_SECOND: u32 = 10_000;
const SECONDS: u32 = 8;
const TICK: Duration = Duration::from_millis(1);
const PAUSE: Duration = Duration::from_millis(2);

/// What the daemon said, and when.
struct Answer {
    at: Instant,
    records: u64,
    sealed: u64,
}

fn ask(watcher: &Watcher) -> Option<Answer> {
    let status = watcher.status()?;
    Some(Answer { at: Instant::now(), records: status["records"].as_u64()?, sealed: status["sealed"].as_u64()? })
}

pub(super) fn waiting(_: &Path, _: usize) -> Vec<Row> {
    if let Err(reason) = a_daemon() {
        println!("event to durable, event to sealed: skipped, because {reason}");
        return vec![];
    }
    let auditor = programs::auditor(Profile::Release).expect("the daemon");
    let watcher = Watcher::start(&auditor, "134217728");
    let before = wait_for("the daemon to answer", || ask(&watcher)).records;
    let over = AtomicBool::new(false);
    let (events, answers) = thread::scope(|scope| {
        let answers = scope.spawn(|| {
            let mut answers = Vec::new();
            while !over.load(Ordering::Relaxed) {
                answers.extend(ask(&watcher));
                thread::sleep(PAUSE);
            }
            answers
        });
        let events = happen();
        let last = before + 2 * events.len() as u64 - 1;
        wait_for("everything to be sealed", || (ask(&watcher)?.sealed >= last).then_some(()));
        over.store(true, Ordering::Relaxed);
        (events, answers.join().expect("answers"))
    });
    let durable = delay(&events, &answers, before, |answer| answer.records);
    let sealed = delay(&events, &answers, before, |answer| answer.sealed);
    vec![
        row("event to durable, at 10,000 a second, p99", durable, "ms", 400.0, 250.0),
        row("event to sealed, at 10,000 a second, p99", sealed, "ms", 1500.0, 1100.0),
    ]
}

/// Lets events happen, and tells when each did.
fn happen() -> Vec<Instant> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let begin = Instant::now();
    let mut events = Vec::new();
    for tick in 0..SECONDS * 1000 {
        thread::sleep((begin + TICK * tick).saturating_duration_since(Instant::now()));
        for _ in 0..EVENTS_A_SECOND / 1000 {
            events.push(Instant::now());
            socket.connect("127.0.0.1:9").expect("an address");
        }
    }
    events
}

/// Of a hundred events one waited longer, in milliseconds. The record of an event's flow is followed by that of its end,
/// with the next event.
fn delay(events: &[Instant], answers: &[Answer], before: u64, count: impl Fn(&Answer) -> u64) -> f64 {
    let mut answers = answers.iter();
    let mut newest = answers.next().expect("an answer");
    let mut delays = Vec::new();
    for (number, at) in (0..).zip(events) {
        while count(newest) < before + 2 * number + 1 {
            newest = answers.next().expect("everything is there in the end");
        }
        delays.push(newest.at.saturating_duration_since(*at).as_secs_f64() * 1e3);
    }
    delays.sort_by(f64::total_cmp);
    delays[delays.len() * 99 / 100]
}
