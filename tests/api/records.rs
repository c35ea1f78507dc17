//! What is recorded, as one asks for it.

use std::collections::BTreeSet;
use std::net::TcpStream;

use auditor_tests as support;
use serde_json::{Value, json};
use support::{Daemon, Puppet, Scope, require, wait_for};

use crate::{group, of, reported, server};

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
    let leaves: BTreeSet<&str> = all.iter().filter_map(|it| it["leaf"].as_str()).collect();
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
