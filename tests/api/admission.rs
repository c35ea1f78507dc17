//! Who is let in, and what each of them sees.

use std::process::Command;

use auditor_tests as support;
use serde_json::{Value, json};
use support::{Daemon, Puppet, Scope, require, wait_for};

use crate::{group, of, reported, server};

#[test]
fn an_odoo_sees_its_own_instance_and_no_other() {
    require!(support::a_daemon());
    let group = group();
    let daemon = of(&group);
    let (mut one, mut other) =
        (Puppet::start(&group, &daemon, "one.conf"), Puppet::start(&group, &daemon, "other.conf"));
    let port = server();
    for puppet in [&mut one, &mut other] {
        puppet.tell(&json!(["connect", "127.0.0.1", port]));
    }
    reported(&daemon, "both to be counted", "/v1/report", |report| report["cards"]["total"].as_u64() >= Some(2));
    let (status, text) = one.ask("GET", "/v1/records", &Value::Null);
    assert_eq!(status, 200, "{text}");
    let whose: Vec<Value> = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")).collect();
    let instances =
        whose.iter().filter_map(|record| record["instance"].as_str().or(record["opened"]["instance"].as_str()));
    assert!(instances.clone().count() > 0 && instances.into_iter().all(|it| it == one.instance()), "{text}");
    assert_eq!(one.get("/v1/report")["instance"], one.instance());
    assert_eq!(one.get("/v1/policy")["instance"], one.instance());
    let statuses = one.get("/v1/status")["instances"].clone();
    assert_eq!(statuses.as_object().expect("a map").keys().collect::<Vec<_>>(), [one.instance()]);
    let foreign = other.instance().replace(' ', "%20");
    for path in ["/v1/report", "/v1/policy", "/v1/catalogue"] {
        let (status, text) = one.ask("GET", &format!("{path}?instance={foreign}"), &Value::Null);
        assert_eq!(status, 403, "{path}: {text}");
    }
    for (path, body) in [
        ("/v1/policy", json!({"instance": other.instance(), "setting": "auditing", "value": false})),
        ("/v1/ack", json!({"instance": other.instance(), "reason": "lost", "text": "fine"})),
        ("/v1/policy/decide", json!({"number": 1, "accept": true})),
    ] {
        let (status, text) = one.ask("POST", path, &body);
        assert!(status == 403 || status == 404, "{path}: {status} {text}");
    }
    assert_eq!(daemon.get("/v1/policy")["decisions"], json!([]));
}

/// What somebody without any right gets: the status, and the sentence.
fn as_nobody(daemon: &Daemon, arguments: &[&str]) -> (u64, String) {
    let mut curl = Command::new("setpriv");
    curl.args(["--reuid=65534", "--regid=65534", "--clear-groups", "curl", "--silent", "--show-error"]);
    curl.args(["--max-time", "20", "--write-out", "%{http_code}", "--unix-socket"]);
    let output = curl.arg(daemon.run_folder().join("auditor.sock")).args(arguments).output().expect("curl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.split_at(text.len() - 3);
    (status.parse().expect("a status"), body.to_owned())
}

#[test]
fn a_stranger_learns_that_the_daemon_is_there_and_nothing_else() {
    require!(support::a_daemon());
    let group = group();
    let daemon = of(&group);
    for path in ["/healthz", "/readyz", "/v1/version"] {
        assert_eq!(as_nobody(&daemon, &[&format!("http://auditor{path}")]).0, 200, "{path}");
    }
    for path in [
        "/v1/status",
        "/v1/records",
        "/v1/events",
        "/v1/report",
        "/v1/code?code=AAAA-AAAA",
        "/v1/policy",
        "/v1/catalogue",
        "/v1/checkpoint",
        "/v1/rollup",
        "/v1/verify",
        "/metrics",
    ] {
        let (status, text) = as_nobody(&daemon, &[&format!("http://auditor{path}")]);
        assert!(status == 403 && text.contains("ask with sudo"), "{path}: {status} {text}");
    }
    for (path, body) in [
        ("/v1/policy", r#"{"instance": "x", "setting": "auditing", "value": false}"#),
        ("/v1/policy/decide", r#"{"number": 1, "accept": true}"#),
        ("/v1/ack", r#"{"reason": "lost", "text": "fine"}"#),
        ("/v1/facts", r#"{"database": "x"}"#),
        ("/v1/verify", "{}"),
    ] {
        let (status, text) = as_nobody(&daemon, &["--data", body, &format!("http://auditor{path}")]);
        assert!(status == 403, "{path}: {status} {text}");
    }
}

#[test]
fn metrics_are_for_the_host_and_hold_no_word_of_an_odoo() {
    require!(support::a_daemon());
    let group = group();
    let daemon = of(&group);
    let mut odoo = Puppet::start(&group, &daemon, "metrics.conf");
    let port = server();
    odoo.tell(&json!(["hook"]));
    odoo.tell(&json!(["connect", "127.0.0.1", port, "sale"]));
    daemon.wait_for_event("the flow", |event| event["remote"]["port"] == port);
    assert_eq!(odoo.ask("GET", "/metrics", &Value::Null).0, 403, "they are about the whole host");
    let text = wait_for("the flow to be counted", || {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--unix-socket"]).arg(daemon.run_folder().join("auditor.sock"));
        let output = curl.arg("http://auditor/metrics").output().expect("curl");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        text.contains("network_audit_attribution_total{label=\"matched\"}").then_some(text)
    });
    for wanted in [
        "network_audit_build_info{version=",
        "network_audit_chain_height ",
        "network_audit_hook_active{hook=\"connect4\"} 1",
        "network_audit_events_total ",
        "network_audit_records_total{class=\"flow_opened\"}",
        "# EOF",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing:\n{text}");
    }
    for foreign in ["sale", "metrics.conf", "127.0.0.1", "python"] {
        assert!(!text.contains(foreign), "{foreign} comes from outside:\n{text}");
    }
}

#[test]
fn whoever_hangs_up_before_the_answer_ends_nobody() {
    use std::io::Write as _;
    require!(support::a_daemon());
    let mut daemon = Daemon::start(Scope::Process(std::process::id()));
    // While it does not look, so that it answers when nobody is there any more.
    xtask::process::signal(daemon.pid(), libc::SIGSTOP);
    for _ in 0..8 {
        let socket = daemon.run_folder().join("auditor.sock");
        let mut stream = std::os::unix::net::UnixStream::connect(socket).expect("it listens");
        stream.write_all(b"GET /v1/records HTTP/1.1\r\nHost: auditor\r\n\r\n").expect("room");
    }
    xtask::process::signal(daemon.pid(), libc::SIGCONT);
    wait_for("all of them to be answered", || daemon.get("/v1/status").is_object().then_some(()));
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(daemon.ended(), None, "{}", daemon.log());
}

#[test]
fn one_user_cannot_keep_the_others_out() {
    require!(support::a_daemon());
    let daemon = Daemon::start(Scope::Process(std::process::id()));
    let script = "import socket, sys\n\
                  def reach():\n    it = socket.socket(socket.AF_UNIX); it.connect(sys.argv[1]); return it\n\
                  held = [reach() for _ in range(int(sys.argv[2]))]\n\
                  for it in held[:3]: it.sendall(b'GET /healthz HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); assert b'200 OK' in it.recv(4096)\n\
                  one_more = reach(); one_more.settimeout(20)\n\
                  print(one_more.recv(4096).decode()); sys.stdout.flush(); sys.stdin.read()";
    let mut crowd = Command::new("setpriv");
    crowd.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    crowd.arg(xtask::odoo::setup::system_python().expect("the system's Python")).args(["-c", script]);
    crowd.arg(daemon.run_folder().join("auditor.sock")).arg(auditor_userspace::serve::crowd::PER_USER.to_string());
    let (input, output) = (std::process::Stdio::piped(), std::process::Stdio::piped());
    let mut crowd = crowd.stdin(input).stdout(output).spawn().expect("setpriv");
    let mut said = [0; 4096];
    let length = std::io::Read::read(crowd.stdout.as_mut().expect("its output"), &mut said).expect("an answer");
    let said = String::from_utf8_lossy(&said[..length]).into_owned();
    assert!(said.starts_with("HTTP/1.1 503") && said.contains("too many connections"), "{said}");
    assert_eq!(daemon.get("/v1/status")["pid"].as_u64(), Some(u64::from(daemon.pid())), "root is served all the same");
    drop(crowd.stdin.take());
    assert!(crowd.wait().expect("a child").success());
    wait_for("the places to be free again", || {
        (as_nobody(&daemon, &["http://auditor/healthz"]).0 == 200).then_some(())
    });
}
