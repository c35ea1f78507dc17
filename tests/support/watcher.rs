//! A daemon that is measured: it watches the process that measures it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use auditor_userspace::client;

use crate::wait_for;

/// A daemon that watches this very process, as root. It is killed when this value is dropped.
#[derive(Debug)]
pub struct Watcher {
    child: Child,
    folder: tempfile::TempDir,
}

impl Watcher {
    /// Starts it, with a ring of so many bytes, and waits until it answers.
    #[must_use]
    pub fn start(auditor: &Path, ring_bytes: &str) -> Self {
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
        let watcher = Self { child, folder };
        wait_for("the daemon to answer", || watcher.status());
        watcher
    }

    /// What it says of itself, if it answers.
    #[must_use]
    pub fn status(&self) -> Option<serde_json::Value> {
        client::object(&self.folder.path().join("run/auditor.sock"), "/v1/status").ok()
    }

    /// User and system time, seconds: `/proc/PID/stat`, fields 14 and 15, in ticks of 10 ms.
    #[must_use]
    pub fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
        (ticks(11) + ticks(12)) / 100.0
    }

    /// Resident memory without the ring, which the kernel has in any case, MiB.
    #[must_use]
    pub fn memory_mib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let kib = |name: &str| -> f64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
            line.split_ascii_whitespace().next().expect("a number").parse().expect("a number")
        };
        (kib("RssAnon:") + kib("RssFile:")) / 1024.0
    }

    /// Share of one core over this time, and memory at its end.
    pub fn share(&self, during: impl FnOnce()) -> (f64, f64) {
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
