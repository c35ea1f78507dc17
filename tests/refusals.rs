//! What is missing is said in one sentence, with the right exit code, and nothing is lost or damaged.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use auditor_tests as support;
use auditor_userspace::store::schema::{META, META_SCHEMA};
use redb::Database;
use support::{Daemon, Scope, require, wait_for};

/// The exit code, and what was said.
fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// `auditor run` under a program that takes something away; it must refuse, and leave no ledger.
fn check(taker: &[&str], sentence: &str) {
    let daemon = Daemon::prepare(Scope::Odoo);
    let auditor = daemon.command();
    // One that does not refuse would run on.
    let mut command = Command::new("timeout");
    command.arg("60").args(taker).arg(auditor.get_program()).arg("run");
    command.arg("--state-dir").arg(daemon.state()).arg("--run-dir").arg(daemon.run_folder());
    let (code, text) = said(&command.output().expect("a program of the system"));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(sentence), "{sentence}: {text}");
    assert_eq!(text.trim().lines().count(), 1, "one sentence: {text}");
    assert_eq!(fs::read_dir(daemon.state()).expect("a folder").count(), 0, "nothing was made");
}

/// `auditor run` in a mount namespace of its own, after this shell command.
fn check_without(taken: &str, sentence: &str) {
    let script = format!("{taken} && exec \"$@\"");
    check(&["unshare", "--mount", "sh", "-c", &script, "sh"], sentence);
}

#[test]
fn without_root_it_says_which_capabilities_are_missing() {
    require!(support::a_daemon());
    let daemon = Daemon::prepare(Scope::Odoo);
    let folder = daemon.state().parent().expect("a folder").to_owned();
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let output = Command::new(nobody[0])
        .args(&nobody[1..])
        .arg(folder.join("auditor"))
        .args(["run", "--state-dir", "/tmp/nobody-state", "--run-dir", "/tmp/nobody-run"])
        .output()
        .expect("setpriv");
    let (code, text) = said(&output);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("CAP_BPF") && text.contains("run as root"), "{text}");
    assert!(!Path::new("/tmp/nobody-state").exists(), "nothing was made");
}

#[test]
fn without_btf_it_says_what_the_kernel_needs() {
    require!(support::a_daemon());
    check_without("mount -t tmpfs none /sys/kernel/btf", "CONFIG_DEBUG_INFO_BTF");
}

#[test]
fn without_cgroup2_it_says_how_to_mount_it() {
    require!(support::a_daemon());
    // Wherever it is mounted, and however often.
    let all = "awk '$3 == \"cgroup2\" { print $2 }' /proc/self/mounts | xargs umount --lazy";
    check_without(all, "mount -t cgroup2");
}

#[test]
fn in_a_foreign_pid_namespace_it_refuses_to_start() {
    require!(support::a_daemon());
    check(&["unshare", "--pid", "--fork", "--mount-proc"], "the host's PID namespace");
}

#[test]
fn a_wrong_argument_is_a_usage_error() {
    require!(support::a_daemon());
    let daemon = Daemon::prepare(Scope::Odoo);
    for (wrong, sentence) in [
        (&["run", "--scope", "everything"][..], "odoo, pid:NUMBER or cgroup:/PATH"),
        (&["run", "--ring-bytes", "5000"][..], "a power of two"),
        (&["events", "--since", "yesterday"][..], "a span (10m, 2h)"),
        (&["evnets"][..], "events"),
    ] {
        let (code, text) = said(&daemon.auditor(wrong));
        assert_eq!(code, Some(2), "{wrong:?}: {text}");
        assert!(text.contains(sentence), "{wrong:?}: {text}");
    }
}

#[test]
fn without_a_daemon_a_question_says_so() {
    require!(support::a_daemon());
    let daemon = Daemon::prepare(Scope::Odoo);
    for question in ["status", "events"] {
        let (code, text) = said(&daemon.auditor(&[question]));
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("is `auditor run` running?"), "{text}");
    }
}

#[test]
fn a_second_daemon_is_refused_and_the_first_goes_on() {
    require!(support::a_daemon());
    let first = Daemon::start(Scope::Process(std::process::id()));
    let run = first.run_folder();
    let other = tempfile::tempdir().expect("a folder");
    let same_ledger = first.auditor(&["run", "--scope", "pid:1", "--run-dir", &other.path().display().to_string()]);
    let (code, text) = said(&same_ledger);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("another auditor is writing here"), "{text}");
    let same_sockets =
        first.auditor(&["run", "--scope", "pid:1", "--state-dir", &other.path().join("s").display().to_string()]);
    let (code, text) = said(&same_sockets);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("another daemon answers"), "{text}");
    assert!(run.join("auditor.sock").exists() && first.auditor(&["status"]).status.success());
}

#[test]
fn a_ledger_of_a_newer_version_is_left_alone() {
    require!(support::a_daemon());
    let mut daemon = Daemon::start(Scope::Process(std::process::id()));
    assert!(daemon.stop().success());
    let segment = daemon.state().join("0001/seg-00000000000000000000.redb");
    {
        let newer = Database::open(&segment).expect("a segment");
        let change = newer.begin_write().expect("a transaction");
        change.open_table(META).expect("a table").insert(META_SCHEMA, &99_u32.to_be_bytes()[..]).expect("room");
        change.commit().expect("a disk");
    }
    let before = fs::read(&segment).expect("a segment");
    let run = said(&daemon.auditor(&["run", "--scope", "pid:1"]));
    assert_eq!(run.0, Some(1), "{}", run.1);
    assert!(run.1.contains("written by a newer auditor"), "{}", run.1);
    let verified = daemon.auditor(&["verify"]);
    assert_eq!(verified.status.code(), Some(5), "{}", String::from_utf8_lossy(&verified.stdout));
    assert!(fs::read(&segment).expect("a segment") == before, "not a byte was changed");
}

/// A small disk, mounted for as long as this lives.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path, mebibytes: u32) -> Self {
        let size = format!("size={mebibytes}m,mode=0777");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(at).status();
        assert!(mounted.expect("mount").success());
        Self(at)
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_is_sealed_and_what_was_acknowledged_is_there() {
    require!(support::a_daemon());
    let disk = tempfile::tempdir().expect("a folder");
    let _mounted = SmallDisk::mount(disk.path(), 72);
    let mut daemon = Daemon::prepare(Scope::Process(std::process::id()));
    daemon.put_state_in(disk.path());
    daemon.start_again();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    // Each connect is a record. The ledger has about 8 MiB, so this is far too much.
    let status = wait_for("the daemon to end", || {
        for _ in 0..2_000 {
            socket.connect("127.0.0.1:9").expect("an address");
        }
        daemon.ended()
    });
    assert_eq!(status.code(), Some(1));
    assert!(daemon.log().contains("the disk is full"), "{}", daemon.log());
    let verified = daemon.auditor(&["verify"]);
    let text = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert_eq!(verified.status.code(), Some(4), "intact, with a gap that says why: {text}");
}
