//! The local API of a real daemon, asked by ordinary HTTP clients.

mod admission; // who is let in, and what each of them sees
mod policy; // what an Odoo asks for, and who decides
mod records; // what is recorded, as one asks for it

use std::net::{TcpListener, TcpStream};

use auditor_tests as support;
use serde_json::{Value, json};
use support::{Daemon, Group, Puppet, Scope, require, wait_for};

/// A daemon that watches one control group.
fn of(group: &Group) -> Daemon {
    Daemon::start(Scope::Group(group.path().to_path_buf()))
}

fn group() -> Group {
    Group::new().expect("a control group")
}

/// A port on loopback at which somebody accepts what comes.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    port
}

/// What the daemon reports, once it is so.
fn reported(daemon: &Daemon, what: &str, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    wait_for(what, || {
        last = daemon.get(path);
        is_so(&last).then(|| last.clone())
    })
}

fn reason<'a>(report: &'a Value, id: &str) -> Option<&'a Value> {
    report["reasons"].as_array().into_iter().flatten().find(|reason| reason["id"] == id)
}

#[test]
fn a_report_counts_what_went_out_and_the_terminal_shows_the_same_code() {
    require!(support::a_daemon());
    let daemon = Daemon::start(Scope::Process(std::process::id()));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    drop(TcpStream::connect(listener.local_addr().expect("its address")).expect("a connection"));
    let report = reported(&daemon, "the connection to be counted", "/v1/report", |report| {
        report["cards"]["total"].as_u64() >= Some(1)
    });
    assert_eq!(report["verdict"], "all-clear", "{report:#}");
    let shown = daemon.auditor(&["report"]);
    let text = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.status.success() && text.starts_with("ALL-CLEAR"), "{text}");
    let code = text.lines().next().and_then(|line| line.rsplit(' ').next()).expect("a code");
    let known = daemon.auditor(&["report", "--code", code]);
    let text = String::from_utf8_lossy(&known.stdout);
    assert!(known.status.success() && text.contains("all-clear for pid:"), "{text}");
    let unknown = daemon.auditor(&["report", "--code", "AAAA-AAAA"]);
    let text = String::from_utf8_lossy(&unknown.stderr);
    assert!(!unknown.status.success() && text.contains("no such code"), "{text}");
}

#[test]
fn what_makes_no_sense_is_refused_in_a_sentence() {
    require!(support::a_daemon());
    let group = group();
    let daemon = of(&group);
    let mut odoo = Puppet::start(&group, &daemon, "odd.conf");
    let long = format!(r#"{{"setting": "watch", "value": {{"name": "{}"}}}}"#, "x".repeat(70_000));
    let deep = format!(r#"{{"setting": "watch", "value": {}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    for (path, text, status, sentence) in [
        ("/v1/policy", "", 400, "EOF"),
        ("/v1/policy", "\u{0}", 400, "not what is asked for"),
        ("/v1/policy", "[]", 400, "not what is asked for"),
        ("/v1/policy", "{}", 400, "missing field"),
        ("/v1/policy", r#"{"setting": "auditing", "value": false, "more": 1}"#, 400, "unknown field"),
        ("/v1/policy", r#"{"setting": "auditing", "value": "no"}"#, 400, "boolean"),
        ("/v1/policy", r#"{"setting": "colour", "value": 1}"#, 400, "unknown variant"),
        ("/v1/policy", r#"{"setting": "retention_days", "value": 3}"#, 400, "from 30 to 3650"),
        ("/v1/policy", r#"{"setting": "auditing", "value": true}"#, 409, "it is so already"),
        ("/v1/policy", &long, 413, "length limit"),
        ("/v1/policy", &deep, 400, "recursion limit"),
        ("/v1/policy/decide", r#"{"number": -1, "accept": true}"#, 400, "integer"),
        ("/v1/policy/decide", r#"{"number": 7, "accept": true}"#, 404, "no request 7 waits"),
        ("/v1/ack", r#"{"reason": "boredom", "text": "x"}"#, 400, "is no reason"),
        ("/v1/ack", r#"{"reason": "lost", "text": ""}"#, 400, "one line"),
        ("/v1/ack", r#"{"reason": "lost", "text": "a\nb"}"#, 400, "one line"),
        ("/v1/facts", r#"{"configured": [{"host": "a b", "purpose": "x", "place": "y"}]}"#, 400, "is no host"),
        ("/v1/facts", r#"{"databases": []}"#, 400, "unknown field"),
        ("/v1/facts", r#"{"own": [{"host": "a", "place": "two\nlines"}]}"#, 400, "one line"),
        ("/v1/report", "{}", 405, ""),
    ] {
        let (found, said) = odoo.post_text(path, text);
        let shown: String = text.chars().take(80).collect();
        assert!(found == status && said.contains(sentence), "{path} {shown}: {found} {said}");
    }
    for (path, sentence) in [
        ("/v1/report?window=soon", "no span of time"),
        ("/v1/report?window=20years", "no span of time"),
        ("/v1/report?colour=red", "unknown field"),
        ("/v1/records?label=certain", "label is one of"),
        ("/v1/records?from=x", "invalid digit"),
        ("/v1/records?type=noise", "type is one of genesis, event"),
        ("/v1/records?class=bad", "class is one of own"),
        ("/v1/records?gap=big", "gap is one of ring-full"),
        ("/v1/records?since=yesterday", "is no moment"),
        ("/v1/events?before=7", "ask /v1/records"),
        ("/v1/rollup?by=colour", "by takes words of hour"),
        ("/v1/rollup?window=soon", "no span of time"),
        ("/v1/code", "missing field"),
    ] {
        let (status, said) = odoo.ask("GET", path, &Value::Null);
        assert!(status == 400 && said.contains(sentence), "{path}: {status} {said}");
    }
    assert_eq!(daemon.get("/v1/policy")["decisions"], json!([]), "nothing of it is recorded");
}
