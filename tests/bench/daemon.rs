//! `bench-daemon AUDITOR`: what the daemon itself needs: how many events it takes from the ring to a committed record in
//! a second of one core, and how much of a core and of memory it takes, idle and at 200 flows a second.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use auditor_tests::bench::{Row, print, row};
use auditor_tests::watcher::Watcher;
use auditor_tests::{a_daemon, wait_for};

/// Events of a second of one core, from the ring to a committed record.
fn events_a_second(auditor: &Path) -> f64 {
    const EVENTS: u32 = 400_000;
    let watcher = Watcher::start(auditor, "134217728");
    let before = watcher.cpu_seconds();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    for _ in 0..EVENTS {
        socket.connect("127.0.0.1:9").expect("an address");
    }
    wait_for("everything to be committed", || {
        let status = watcher.status()?;
        // Each is two records: one flow ends, another begins.
        (status["records"].as_u64()? >= 2 * u64::from(EVENTS) - 1).then_some(())
    });
    f64::from(EVENTS) / (watcher.cpu_seconds() - before)
}

fn two_hundred_flows_a_second(seconds: u32) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has one");
    let begin = Instant::now();
    for flow in 0..200 * seconds {
        let client = TcpStream::connect(address).expect("we listen");
        drop(listener.accept().expect("we connected"));
        drop(client);
        let due = begin + Duration::from_millis(5) * (flow + 1);
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}

fn rows(auditor: &Path) -> Vec<Row> {
    let speed = events_a_second(auditor) / 1e3;
    let watcher = Watcher::start(auditor, "8388608");
    let (idle, _) = watcher.share(|| thread::sleep(Duration::from_secs(20)));
    let (busy, memory) = watcher.share(|| two_hundred_flows_a_second(20));
    vec![
        row("ring to committed record, one core", speed, "k/s", 100.0, 200.0),
        row("the daemon, idle", idle * 100.0, "% of a core", 0.3, 0.1),
        row("the daemon at 200 flows/s", busy * 100.0, "% of a core", 3.0, 0.5),
        row("its memory at 200 flows/s, the ring apart", memory, "MiB", 60.0, 40.0),
    ]
}

fn main() -> ExitCode {
    if let Err(reason) = a_daemon() {
        eprintln!("error: nothing can be measured here: {reason}");
        return ExitCode::FAILURE;
    }
    let Some(auditor) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: bench-daemon AUDITOR (a release build; cargo xtask bench daemon gives it)");
        return ExitCode::from(2);
    };
    let rows = rows(&auditor);
    if print(&rows) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
