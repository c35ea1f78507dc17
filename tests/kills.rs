//! Fifty times `kill -9`, on the real daemon, with real flows coming in all the time.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use auditor_tests as support;
use fastrand::Rng;
use serde_json::Value;
use support::{Daemon, Scope, require};

const ROUNDS: u64 = 50;
/// Every so many rounds the daemon is killed without having been waited for: while it starts.
const EARLY: u64 = 5;

/// A program that makes datagram sockets, a few hundred a second, until it is dropped.
struct Load(Child);

impl Load {
    fn start() -> Self {
        let script = "import socket, time\n\
                      while True:\n    \
                          with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as it: it.connect(('127.0.0.1', 9))\n    \
                          time.sleep(0.003)\n";
        Self(Command::new("python3").args(["-c", script]).spawn().expect("python3"))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Follows the daemon's records until it is gone; gives those that were shown.
fn follow(daemon: &Daemon) -> thread::JoinHandle<Vec<Value>> {
    let mut command = daemon.command();
    command.args(["events", "-f", "-o", "json"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("auditor events");
    thread::spawn(move || {
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let records = lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()).collect();
        child.wait().expect("auditor events");
        records
    })
}

/// What a record says, whether it was sealed when it was shown or not.
fn said(mut record: Value) -> (u64, Value) {
    let fields = record.as_object_mut().expect("an object");
    fields.remove("sealed");
    (record["seq"].as_u64().expect("a number"), record)
}

#[test]
fn fifty_kills_under_load_lose_no_record_that_was_shown() {
    require!(support::a_daemon());
    let load = Load::start();
    let mut rng = Rng::with_seed(1);
    let mut daemon = Daemon::prepare(Scope::Process(load.0.id()));
    let mut shown: BTreeMap<u64, Value> = BTreeMap::new();
    let mut runs = 0;
    for round in 0..ROUNDS {
        if round % EARLY == EARLY - 1 {
            daemon.spawn();
            thread::sleep(Duration::from_millis(rng.u64(0..400)));
            daemon.kill();
        } else {
            daemon.start_again();
            let records = follow(&daemon);
            thread::sleep(Duration::from_millis(rng.u64(100..700)));
            daemon.kill();
            runs += 1;
            for (seq, record) in records.join().expect("a reader").into_iter().map(said) {
                let before = shown.insert(seq, record.clone());
                assert!(before.is_none_or(|before| before == record), "round {round}: record {seq} was another one");
            }
        }
        let verified = daemon.auditor(&["verify"]);
        let text = String::from_utf8_lossy(&verified.stdout).into_owned();
        assert!(matches!(verified.status.code(), Some(0 | 4)), "round {round}: {text}");
    }
    daemon.start_again();
    let records: Vec<Value> = daemon.events();
    assert!(daemon.stop().success(), "{}", daemon.log());
    let seqs: Vec<u64> = records.iter().map(|record| record["seq"].as_u64().expect("a number")).collect();
    assert_eq!(seqs, (0..seqs.len() as u64).collect::<Vec<_>>(), "each number once");
    let mut there: BTreeMap<u64, Value> = records.into_iter().map(said).collect();
    for (seq, record) in &shown {
        assert_eq!(there.remove(seq).as_ref(), Some(record), "record {seq}");
    }
    println!("{runs} runs, {} records, {} of them shown before a kill", seqs.len(), shown.len());
    assert!(shown.len() as u64 > runs, "records were shown: {}", shown.len());
    // What nobody was there to see is said.
    let verified = daemon.auditor(&["verify"]);
    assert_eq!(verified.status.code(), Some(4), "{}", String::from_utf8_lossy(&verified.stdout));
}
