//! `bench-daemon AUDITOR`: what the daemon itself needs: how many events it takes from the ring to a committed record in
//! a second of one core, and how much of a core and of memory it takes, idle and at 200 flows a second.

use std::fs;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use auditor_tests::bench::{Row, print};
use auditor_tests::{a_daemon, wait_for};

/// A daemon that watches this very process.
struct Watcher {
    child: Child,
    auditor: PathBuf,
    folder: tempfile::TempDir,
}

impl Watcher {
    fn start(auditor: &Path, ring_bytes: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let child = Command::new(auditor)
            .args(["run", "--ring-bytes", ring_bytes, "--scope", &format!("pid:{}", std::process::id())])
            .arg("--state-dir")
            .arg(folder.path().join("state"))
            .arg("--run-dir")
            .arg(folder.path().join("run"))
            .stderr(Stdio::null())
            .spawn()
            .expect("the daemon");
        let watcher = Self { child, auditor: auditor.to_owned(), folder };
        wait_for("the daemon to answer", || watcher.status());
        watcher
    }

    fn status(&self) -> Option<serde_json::Value> {
        let output = Command::new(&self.auditor)
            .args(["status", "--json", "--run-dir"])
            .arg(self.folder.path().join("run"))
            .output()
            .expect("auditor");
        serde_json::from_slice(&output.stdout).ok()
    }

    /// User and system time, seconds: `/proc/PID/stat`, fields 14 and 15, in ticks of 10 ms.
    fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
        (ticks(11) + ticks(12)) / 100.0
    }

    /// Resident memory without the ring, which the kernel has in any case, MiB.
    fn memory_mib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let kib = |name: &str| -> f64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
            line.split_ascii_whitespace().next().expect("a number").parse().expect("a number")
        };
        (kib("RssAnon:") + kib("RssFile:")) / 1024.0
    }

    /// Share of one core over this time, and memory at its end.
    fn share(&self, during: impl FnOnce()) -> (f64, f64) {
        let (begin, cpu) = (Instant::now(), self.cpu_seconds());
        during();
        ((self.cpu_seconds() - cpu) / begin.elapsed().as_secs_f64(), self.memory_mib())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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
    let row = |what, measured, unit, floor, goal| Row { what, measured, unit, floor, goal };
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
