//! The local API of a real daemon, asked by ordinary HTTP clients.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::process::Command;

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

#[test]
fn what_an_odoo_asks_for_is_sealed_and_the_host_decides_what_loosens() {
    require!(support::a_daemon());
    let group = group();
    let mut daemon = of(&group);
    let mut odoo = Puppet::start(&group, &daemon, "asking.conf");
    let tighter = odoo.post("/v1/policy", &json!({"setting": "strict_redaction", "value": true}));
    assert_eq!(tighter["decision"]["step"], "at_once", "{tighter}");
    let looser = odoo.post("/v1/policy", &json!({"setting": "retention_days", "value": 40}));
    assert_eq!((&looser["decision"]["step"], &looser["sealed"]), (&json!("waiting"), &json!(true)), "{looser}");
    assert!(daemon.get("/v1/status")["sealed"].as_u64() > looser["seq"].as_u64(), "it is under a checkpoint");
    let policy = odoo.get("/v1/policy");
    assert_eq!((&policy["policy"]["retention_days"], &policy["waiting"][0]["number"]), (&json!(180), &json!(2)));
    assert_eq!(odoo.post_text("/v1/policy/decide", r#"{"number": 2, "accept": true}"#).0, 403, "it is not the host");
    let listed = daemon.auditor(&["policy", "list"]);
    let text = String::from_utf8_lossy(&listed.stdout);
    assert!(text.contains("retention_days 40") && text.contains("asking.conf"), "{text}");
    let accepted = daemon.auditor(&["policy", "accept", "2"]);
    assert!(accepted.status.success(), "{}", String::from_utf8_lossy(&accepted.stderr));
    assert_eq!(odoo.get("/v1/policy")["policy"]["retention_days"], 40);
    let report = odoo.get("/v1/report");
    assert_eq!(report["verdict"], "attention", "{report:#}");
    assert_eq!(reason(&report, "loosened").expect("a reason")["subject"], "retention_days");
    let again = daemon.auditor(&["policy", "accept", "2"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("no request 2 waits"));
    // What was decided is in the ledger, and nowhere else: it holds after a restart.
    assert!(daemon.stop().success());
    daemon.start_again();
    let policy = wait_for("the records to be read", || {
        let policy = daemon.get(&format!("/v1/policy?instance={}", odoo.instance().replace(' ', "%20")));
        (policy["decisions"].as_array()?.len() == 3).then_some(policy)
    });
    assert_eq!(policy["policy"]["retention_days"], 40, "{policy:#}");
    assert_eq!(policy["policy"]["strict_redaction"], true, "{policy:#}");
    let verified = daemon.auditor(&["verify"]);
    let text = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(matches!(verified.status.code(), Some(0 | 4)), "{text}");
}

#[test]
fn what_is_switched_off_is_counted_and_not_recorded() {
    require!(support::a_daemon());
    let group = group();
    let daemon = of(&group);
    let mut odoo = Puppet::start(&group, &daemon, "private.conf");
    let port = server();
    let done = odoo.post("/v1/policy", &json!({"setting": "auditing", "value": false}));
    assert_eq!(done["decision"]["step"], "allowed", "{done}");
    let own = odoo.tell(&json!(["connect", "127.0.0.1", port]));
    odoo.tell(&json!(["connect", "127.0.0.1", port]));
    let on = odoo.post("/v1/policy", &json!({"setting": "auditing", "value": true}));
    let recorded = odoo.tell(&json!(["connect", "127.0.0.1", port]));
    let flow = |own: &Value| {
        let own = own.clone();
        move |event: &Value| event["class"] == "flow_opened" && event["local"]["port"] == own
    };
    daemon.wait_for_event("the flow after it was switched on", flow(&recorded));
    assert!(!daemon.events().iter().any(flow(&own)), "it was switched off");
    let counted = daemon.wait_for_event("what was counted", |event| event["class"] == "unrecorded");
    assert_eq!((&counted["flows"], &counted["instance"]), (&json!(2), &json!(odoo.instance())), "{counted}");
    assert!(counted["seq"].as_u64() < on["seq"].as_u64(), "it is declared before what ends it");
    // The sums follow the records a moment later.
    let report = wait_for("the count in the report", || {
        Some(odoo.get("/v1/report")).filter(|report| report["cards"]["unrecorded"] == 2)
    });
    assert_eq!(report["verdict"], "attention", "{report:#}");
}

/// All records that are an answer to this question.
fn records(odoo: &mut Puppet, query: &str) -> Vec<Value> {
    let (status, text) = odoo.ask("GET", &format!("/v1/records?{query}"), &Value::Null);
    assert_eq!(status, 200, "{query}: {text}");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn records_are_found_by_every_word_of_a_filter() {
    require!(support::a_daemon());
    let group = group();
    let daemon = of(&group);
    let mut odoo = Puppet::start(&group, &daemon, "words.conf");
    let port = server();
    odoo.tell(&json!(["hook"]));
    odoo.tell(&json!(["connect", "127.0.0.1", port, "sale"]));
    odoo.tell(&json!(["other_address", "127.0.0.1", port, "liar"]));
    let vendor = json!({"setting": "watch", "value": {"name": "Loop", "hosts": ["127.0.0.0/24"]}});
    odoo.post("/v1/policy", &vendor);
    reported(&daemon, "both to be counted", "/v1/report", |report| report["cards"]["total"].as_u64() >= Some(2));
    let all = records(&mut odoo, "");
    let seqs = |found: &[Value]| -> Vec<u64> { found.iter().filter_map(|it| it["seq"].as_u64()).collect() };
    let whole = seqs(&all);
    let of = |query: &str, odoo: &mut Puppet, is_so: &dyn Fn(&Value) -> bool| {
        let found = records(odoo, query);
        let wanted: Vec<Value> = all
            .iter()
            .filter(|it| is_so(it))
            .filter(|it| whole.contains(&it["seq"].as_u64().unwrap()))
            .cloned()
            .collect();
        let found: Vec<u64> = seqs(&found).into_iter().filter(|seq| whole.contains(seq)).collect();
        assert_eq!(found, seqs(&wanted), "{query}");
        assert!(!found.is_empty(), "{query}: nothing was tested");
    };
    let odoo = &mut odoo;
    of("type=policy", odoo, &|it| it["type"] == "policy");
    of("type=event&module=sale", odoo, &|it| {
        it["attribution"]["module"] == "sale" || it["opened"]["attribution"]["module"] == "sale"
    });
    of("class=watched", odoo, &|it| it["destination"]["class"] == "watched");
    of("vendor=Loop", odoo, &|it| it["destination"]["vendor"] == "Loop");
    of("contradiction=true", odoo, &|it| {
        let own = &it["attribution"]["contradictions"];
        let opened = &it["opened"]["attribution"]["contradictions"];
        [own, opened].iter().any(|it| it.as_array().is_some_and(|it| !it.is_empty()))
    });
    of(&format!("instance={}", odoo.instance().replace(' ', "%20")), odoo, &|it| {
        it["instance"].is_string() || it["opened"]["instance"].is_string()
    });
    let middle = whole[whole.len() / 2];
    of(&format!("from_seq={middle}"), odoo, &|it| it["seq"].as_u64() >= Some(middle));
    of(&format!("to_seq={middle}"), odoo, &|it| it["seq"].as_u64() <= Some(middle));
    of(&format!("from={middle}&to_seq={middle}"), odoo, &|it| it["seq"].as_u64() == Some(middle));
    let backwards = records(odoo, &format!("before={middle}&limit=3"));
    let newest: Vec<u64> = whole.iter().rev().copied().filter(|&seq| seq < middle).take(3).collect();
    assert_eq!(seqs(&backwards), newest, "the newest first");
    assert!(records(odoo, "since=2020-01-01T00:00:00Z&to_ns=1600000000000000000").is_empty());
    assert_eq!(records(odoo, "since=2020-01-01T00:00:00Z&limit=1").len(), 1);
    assert!(records(odoo, "gap=disk-full").is_empty());
    let leaves: std::collections::BTreeSet<&str> = all.iter().filter_map(|it| it["leaf"].as_str()).collect();
    assert!(leaves.len() == all.len() && leaves.iter().all(|leaf| leaf.len() == 64), "each has its own leaf hash");
}

#[test]
fn what_settings_claim_and_what_the_host_sees_explains_traffic() {
    require!(support::a_daemon());
    let group = group();
    let daemon = of(&group);
    let mut odoo = Puppet::start(&group, &daemon, "claims.conf");
    let class = |odoo: &mut Puppet, port: u16| -> Value {
        let out = |it: &&Value| it["remote"]["port"] == port && it["direction"] == "out";
        wait_for("the flow", || records(odoo, "").iter().find(out).map(|it| it["destination"].clone()))
    };
    let (port, other) = (server(), server());
    odoo.tell(&json!(["connect", "127.0.0.1", port]));
    odoo.tell(&json!(["connect", "127.0.0.1", other]));
    assert_eq!(class(&mut odoo, port)["class"], "private");
    let mail = |port: u16| {
        json!({"database": "one", "configured": [
            {"host": "127.0.0.1", "port": port, "purpose": "outgoing mail", "place": "Outgoing Mail Servers"}]})
    };
    let taken = odoo.post("/v1/facts", &mail(port));
    assert_eq!((&taken["database"], &taken["dropped"]), (&json!("one"), &json!(0)), "{taken}");
    let found = class(&mut odoo, port);
    assert_eq!(
        (&found["class"], &found["because"]),
        (&json!("configured"), &json!("outgoing mail, configured in Outgoing Mail Servers"))
    );
    assert_eq!(class(&mut odoo, other)["class"], "private", "another port is another place");
    odoo.post("/v1/facts", &mail(other));
    assert_eq!(class(&mut odoo, port)["class"], "private", "it claims this no more");
    let foreign = daemon.get("/v1/records?class=configured&limit=1");
    assert_eq!(foreign["destination"]["class"], "configured", "root sees the same");
    // Where the instance itself listens is its own place: that the host sees, whatever is claimed.
    let listening = odoo.tell(&json!(["listen"]));
    odoo.tell(&json!(["connect", "127.0.0.1", listening]));
    let port = u16::try_from(listening.as_u64().expect("a port")).expect("a port");
    let seen = wait_for("the host to look", || Some(class(&mut odoo, port)).filter(|it| it["class"] == "own"));
    assert_eq!(seen["because"], "the instance listens there");
}

#[test]
fn the_ledger_is_proven_by_whoever_may_ask() {
    require!(support::a_daemon());
    let group = group();
    let daemon = of(&group);
    let mut odoo = Puppet::start(&group, &daemon, "proof.conf");
    let found = odoo.post("/v1/verify", &json!({}));
    let ledger = &found["ledgers"][0];
    let printed = daemon.auditor(&["verify", "--json"]);
    let printed: Value = serde_json::from_slice(&printed.stdout).expect("JSON");
    assert!(matches!(found["exit"].as_u64(), Some(0 | 4)), "{found:#}");
    assert_eq!(ledger["origin"], printed["ledgers"][0]["origin"]);
    assert_eq!(ledger["answers"]["integrity"]["standing"], "proven", "{found:#}");
    let (status, text) = odoo.ask("GET", "/v1/verify", &Value::Null);
    let last: Value = serde_json::from_str(text.lines().last().expect("lines")).expect("JSON");
    assert!(status == 200 && last["report"]["ledgers"][0]["origin"] == ledger["origin"], "{text}");
}

#[test]
fn sums_are_by_what_is_asked_for() {
    require!(support::a_daemon());
    let group = group();
    let daemon = of(&group);
    let mut odoo = Puppet::start(&group, &daemon, "sums.conf");
    let port = server();
    odoo.tell(&json!(["hook"]));
    for module in ["sale", "sale", "stock"] {
        odoo.tell(&json!(["connect", "127.0.0.1", port, module]));
    }
    let sums = wait_for("three operations", || {
        let sums = odoo.get("/v1/rollup?by=module,direction");
        let all = sums["lines"].as_array()?.iter().filter_map(|line| line["operations"].as_u64()).sum::<u64>();
        (all >= 3).then_some(sums)
    });
    let of = |module: &str| {
        let lines = sums["lines"].as_array().into_iter().flatten();
        lines.filter(|line| line["module"] == module && line["direction"] == "out").cloned().collect::<Vec<_>>()
    };
    assert_eq!((of("sale")[0]["operations"].as_u64(), of("stock")[0]["operations"].as_u64()), (Some(2), Some(1)));
    assert_eq!((of("sale").len(), of("sale")[0]["flows"].as_u64()), (1, Some(2)), "{sums:#}");
}

#[test]
fn what_is_sealed_is_among_what_is_committed_whenever_one_asks() {
    require!(support::a_daemon());
    let daemon = Daemon::start(Scope::Process(std::process::id()));
    let port = server();
    let mut seals = BTreeSet::new();
    wait_for("three seals", || {
        drop(TcpStream::connect(("127.0.0.1", port)).expect("a connection"));
        let status = daemon.get("/v1/status");
        let figure = |name: &str| status[name].as_u64().expect("a number");
        assert!(figure("sealed") <= figure("records"), "{status:#}");
        seals.insert(figure("sealed"));
        (seals.len() > 3).then_some(())
    });
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
