//! Bursts, through the whole daemon: what is recorded and what is declared lost is what was made, exactly.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use auditor_tests as support;
use serde_json::Value;
use support::{Daemon, Scope, require, wait_for};

/// Traffic that waits for a word before it begins.
struct Generator {
    child: Child,
}

impl Generator {
    fn start(scenario: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kernel-scenarios"))
            .args(scenario)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the generator");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("text");
        assert_eq!(line, "ready\n");
        Self { child }
    }

    /// Lets it go, and gives how much it says it made.
    fn made(mut self) -> u64 {
        self.child.stdin.as_mut().expect("a pipe").write_all(b"go\n").expect("it reads");
        let output = self.child.wait_with_output().expect("it ends");
        let text = String::from_utf8(output.stdout).expect("text");
        text.lines().find_map(|line| line.strip_prefix("made ")?.parse().ok()).expect("it says what it made")
    }
}

/// Runs a burst under a daemon with a ring of this size, and gives its records.
fn burst(scenario: &[&str], ring_bytes: &str) -> (u64, Vec<Value>) {
    let generator = Generator::start(scenario);
    let mut daemon = Daemon::start_with(Scope::Process(generator.child.id()), &["--ring-bytes", ring_bytes]);
    // Its own verification is a process, and so three samples: its fork, its program, its end.
    wait_for("the daemon's own verification", || (!daemon.get("/v1/status")["verified"].is_null()).then_some(()));
    let made = generator.made();
    assert!(daemon.stop().success(), "{}", daemon.log());
    let verified = daemon.auditor(&["verify"]);
    let text = String::from_utf8_lossy(&verified.stdout).into_owned();
    daemon.start_again();
    let records = daemon.events();
    let lost = lost(&records) > 0;
    assert_eq!(verified.status.code(), Some(if lost { 4 } else { 0 }), "{text}");
    (made, records)
}

fn count(records: &[Value], class: &str) -> u64 {
    records.iter().filter(|record| record["class"] == class).count() as u64
}

fn last_seal_of_first_run(records: &[Value]) -> &Value {
    records.iter().rfind(|record| record["class"] == "seal" && record["run"] == 1).expect("a seal")
}

fn lost(records: &[Value]) -> u64 {
    let lost = &last_seal_of_first_run(records)["lost"];
    lost.as_object().expect("an object").values().filter_map(Value::as_u64).sum()
}

/// `samples` are the kernel's, for one of what the generator counts, and `more` those of its beginning and end.
fn check(scenario: &[&str], samples: u64, more: u64) {
    for (ring_bytes, room) in [("67108864", true), ("65536", false)] {
        let (made, records) = burst(scenario, ring_bytes);
        let seal = last_seal_of_first_run(&records);
        let captured = seal["captured"].as_u64().expect("a number");
        assert_eq!(
            captured + lost(&records),
            made * samples + more + 3,
            "{scenario:?} with a ring of {ring_bytes}: {seal:#}"
        );
        if room {
            assert_eq!(lost(&records), 0);
            let opened =
                records.iter().filter(|it| it["class"] == "flow_opened" && it["direction"] == "out").count() as u64;
            assert_eq!(opened, made, "each is a record");
            assert_eq!(count(&records, "flow_opened"), count(&records, "flow_ended"), "and each has an end");
        } else {
            let declared: u64 = records
                .iter()
                .filter(|it| it["class"] == "loss" && it["run"] == 1)
                .filter_map(|it| it["count"].as_u64())
                .sum();
            assert_eq!(declared, lost(&records), "what is lost is declared as well as sealed");
        }
    }
}

#[test]
fn fifty_thousand_datagram_connects_are_recorded_or_declared_lost() {
    require!(support::a_daemon());
    // Released, exits.
    check(&["udp-burst", "50000", "127.0.0.1:9"], 1, 2);
}

#[test]
fn twenty_thousand_connections_are_recorded_or_declared_lost() {
    require!(support::a_daemon());
    // Each: attempt, established and closed at one end, established and closed at the other. Listens, exits.
    check(&["tcp-burst", "20000"], 5, 2);
}

#[test]
fn seals_that_follow_each_other_at_once_lose_nothing_of_what_goes_on_meanwhile() {
    require!(support::a_daemon());
    let generator = Generator::start(&["udp-burst", "150000", "127.0.0.1:9"]);
    let mut daemon = Daemon::start_with(Scope::Process(generator.child.id()), &["--ring-bytes", "67108864"]);
    let over = AtomicBool::new(false);
    // Each rotation has a seal of its own, and several are asked for in one turn of the daemon.
    let rotate = || {
        let mut rotations = 0;
        while !over.load(Ordering::Relaxed) && rotations < 100 {
            let rotated = daemon.auditor(&["keys", "rotate"]);
            if !rotated.status.success() {
                return Err(String::from_utf8_lossy(&rotated.stderr).into_owned());
            }
            rotations += 1;
        }
        Ok(rotations)
    };
    let rotations = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(rotate)).collect();
        generator.made();
        over.store(true, Ordering::Relaxed);
        threads.into_iter().map(|it| it.join().expect("a thread")).sum::<Result<u64, String>>()
    });
    assert!(rotations.expect("each is carried out") > 0);
    assert!(daemon.stop().success(), "{}", daemon.log());
    let verified = daemon.auditor(&["verify"]);
    let text = String::from_utf8_lossy(&verified.stdout);
    assert_eq!(verified.status.code(), Some(0), "{text}");
}
