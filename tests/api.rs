//! The local API of a real daemon, asked by ordinary HTTP clients.

use std::net::{TcpListener, TcpStream};

use auditor_tests as support;
use support::{Daemon, Scope, require, wait_for};

/// A daemon that watches this very process, and its peers on loopback.
fn of_ourselves() -> Daemon {
    Daemon::start(Scope::Process(std::process::id()))
}

/// One connection over loopback, from beginning to end.
fn connect() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    drop(TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection"));
}

#[test]
fn a_report_counts_what_went_out_and_the_terminal_shows_the_same_code() {
    require!(support::a_daemon());
    let daemon = of_ourselves();
    connect();
    let report = wait_for("the connection to be counted", || {
        let report = daemon.get("/v1/report");
        (report["cards"]["total"].as_u64() >= Some(1)).then_some(report)
    });
    assert_eq!(report["verdict"], "all-clear", "{report:#}");
    let shown = daemon.auditor(&["report"]);
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.status.success() && text.starts_with("ALL-CLEAR"), "{text}");
    let code = text.lines().next().and_then(|line| line.rsplit(' ').next()).expect("a code");
    let known = daemon.auditor(&["report", "--code", code]);
    let text = String::from_utf8_lossy(&known.stdout);
    assert!(known.status.success() && text.contains("all-clear for pid:"), "{text}");
}
