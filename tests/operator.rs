//! What the host's operator does with the ledger of a real daemon: each command, and what it says when it cannot.

use auditor_tests as support;
use serde_json::Value;
use support::{Daemon, Scope, require, wait_for};

fn daemon() -> Daemon {
    Daemon::start(Scope::Process(std::process::id()))
}

/// What `auditor status` says of the daemon's own verification, once there was one.
fn verified(daemon: &Daemon) -> Value {
    wait_for("the daemon's own verification", || {
        let verified = daemon.get("/v1/status")["verified"].clone();
        (!verified.is_null()).then_some(verified)
    })
}

#[test]
fn a_daemon_verifies_its_own_ledger_and_seals_what_it_found() {
    require!(support::a_daemon());
    let mut daemon = daemon();
    let first = verified(&daemon);
    assert_eq!(first["exit"], 0, "{first}");
    let record = daemon.wait_for_event("the record of it", |event| event["class"] == "check");
    assert_eq!(
        (&record["seq"], &record["summary"], &record["exit"]),
        (&first["seq"], &first["summary"], &first["exit"])
    );
    let shown = daemon.auditor(&["status"]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.contains("verified") && text.contains("proven: "), "{text}");
    let report = daemon.auditor(&["report"]);
    let text = String::from_utf8_lossy(&report.stdout).into_owned();
    assert!(text.contains("\nverified 2") && text.contains("UTC: proven: "), "{text}");
    // Once in 24 hours is enough: a restart is no reason for another.
    assert!(daemon.stop().success());
    daemon.start_again();
    assert_eq!(verified(&daemon)["seq"], first["seq"]);
    wait_for("the records to be read", || daemon.auditor(&["report"]).status.success().then_some(()));
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(verified(&daemon)["seq"], first["seq"]);
}
