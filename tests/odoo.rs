//! A real Odoo and the real daemon: what is recorded is what the other end saw, and it is credited to whom it should.

use auditor_tests as support;
use serde_json::{Value, json};
use support::{Connection, Group, Odoo, Scene, Servers, Start, require, wait_for};

/// Who is behind a channel of the demonstration vendor, and who is seen to send.
struct Expected {
    channel: &'static str,
    label: &'static str,
    module: Option<&'static str>,
    program: &'static str,
}

const fn matched(channel: &'static str) -> Expected {
    Expected { channel, label: "matched", module: Some("vendor_demo"), program: "python" }
}

fn check(scene: &Scene, expected: &Expected) {
    let seen = scene.press(expected.channel);
    check_flow(scene, &scene.flow(&seen), &seen, expected);
}

fn check_flow(scene: &Scene, flow: &Value, seen: &Connection, expected: &Expected) {
    let channel = expected.channel;
    let opened = &flow["opened"];
    let attribution = &opened["attribution"];
    assert_eq!(attribution["label"], expected.label, "{channel}: {flow:#}");
    assert_eq!(attribution["module"], json!(expected.module), "{channel}: {flow:#}");
    assert_eq!(attribution["contradictions"], json!([]), "{channel}: {flow:#}");
    if expected.module.is_some() {
        assert_eq!(attribution["database"], scene.odoo.database(), "{channel}: {flow:#}");
    }
    let program = opened["process"]["executable"].as_str().unwrap_or_default();
    let name = program.rsplit('/').next().unwrap_or_default();
    assert!(name.starts_with(expected.program), "{channel}: {flow:#}");
    assert_eq!(opened["remote"]["address"], "127.0.0.1", "{channel}: {flow:#}");
    assert_eq!(flow["end"], "closed", "{channel}: {flow:#}");
    assert_eq!(flow["sent"], seen.received, "{channel}: {flow:#}");
    assert_eq!(flow["received"], seen.sent, "{channel}: {flow:#}");
    assert_ne!(opened["instance"], "", "{channel}: {flow:#}");
}

/// A call is claimed while its flow is open, also when both are read together.
fn check_call_of_a_flow_that_is_over(scene: &Scene) {
    let flow = scene.flow(&scene.press("requests"));
    let cookie = &flow["opened"]["cookie"];
    let call = scene.daemon.wait_for_event("the call of a flow", |it| it["class"] == "call" && it["cookie"] == *cookie);
    assert_eq!(call["flow"], flow["flow"], "{call:#}");
    assert_eq!(call["method"], "POST", "{call:#}");
    assert_eq!(call["attribution"]["label"], "matched", "{call:#}");
    assert_eq!(call["attribution"]["module"], "vendor_demo", "{call:#}");
}

fn verify(scene: &Scene) -> (Option<i32>, String) {
    let output = scene.daemon.auditor(&["verify"]);
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn every_way_out_is_credited_as_it_should_be() {
    require!(support::an_odoo());
    let scene = Scene::new();
    for channel in ["requests", "urllib", "smtp", "udp", "thread", "pool", "postcommit"] {
        check(&scene, &matched(channel));
    }
    check(&scene, &Expected { program: "curl", ..matched("curl") });
    check_call_of_a_flow_that_is_over(&scene);
    // No audit event of Python fires for these: seen all the same, and credited to nobody.
    for channel in ["psycopg2", "ctypes"] {
        check(&scene, &Expected { channel, label: "absent", module: None, program: "python" });
    }
    let (code, text) = verify(&scene);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn a_request_from_outside_is_inbound_and_served_by_a_module() {
    require!(support::an_odoo());
    let scene = Scene::new();
    let (status, _) = scene.odoo.rpc().get("/vendor_demo/hello/world");
    assert_eq!(status, 200);
    let served = scene.daemon.wait_for_event("the call that was served", |record| {
        record["class"] == "call" && record["attribution"]["origin"] == "route /vendor_demo/hello/<string:name>"
    });
    assert_eq!(served["channel"], "serve", "{served:#}");
    assert_eq!(served["attribution"]["module"], "vendor_demo", "{served:#}");
    let flow = scene.daemon.wait_for_event("the inbound flow", |record| {
        record["class"] == "flow_opened" && record["cookie"] == served["cookie"]
    });
    assert_eq!(flow["direction"], "in", "{flow:#}");
    assert_eq!(flow["local"]["port"], scene.odoo.port(), "{flow:#}");
}

#[test]
fn two_modules_on_one_connection_are_told_apart_at_their_calls() {
    require!(support::an_odoo());
    let mut scene = Scene::new();
    scene.odoo.rpc().call("vendor.other", "run_keep_alive", &json!(["of-demo", "of-other"]));
    let calls = wait_for("two calls", || {
        let calls: Vec<Value> = scene
            .daemon
            .events()
            .into_iter()
            .filter(|record| record["class"] == "call" && record["channel"] != "serve" && record["flow"].is_u64())
            .collect();
        (calls.len() >= 2).then_some(calls)
    });
    let modules: Vec<&Value> = calls.iter().map(|call| &call["attribution"]["module"]).collect();
    assert_eq!(modules, ["vendor_demo", "vendor_other"], "{calls:#?}");
    assert_eq!(calls[0]["cookie"], calls[1]["cookie"], "{calls:#?}");
    assert_eq!(calls[0]["flow"], calls[1]["flow"], "{calls:#?}");
    scene.odoo.stop();
    let seen = scene.servers.connection("of-demo");
    assert_eq!(seen.operations, ["of-demo", "of-other"]);
}

#[test]
fn threaded_gevent_and_cron_workers_name_their_modules_too() {
    require!(support::an_odoo());
    let threaded = Scene::with(0, 0);
    check(&threaded, &matched("requests"));
    drop(threaded);

    let scene = Scene::with(2, 1);
    let gevent = scene.odoo.gevent();
    // The gevent child is a program of its own, and comes later than the workers.
    wait_for("the gevent child", || gevent.try_get("/web/health").is_ok().then_some(()));
    let (status, body) = gevent.get("/vendor_demo/press?channel=requests&operation=from-gevent");
    assert_eq!(status, 200, "{body}");
    let seen = scene.servers.connection("from-gevent");
    check_flow(&scene, &scene.flow(&seen), &seen, &matched("requests"));
    let is_of_cron = |record: &Value| {
        let attribution = &record["opened"]["attribution"];
        record["class"] == "flow_ended"
            && attribution["label"] == "matched"
            && attribution["module"] == "vendor_demo"
            && attribution["origin"].as_str().is_some_and(|origin| origin.starts_with("cron "))
    };
    wait_for("the cron's flow", || {
        scene.odoo.wake_crons();
        scene.daemon.events().into_iter().find(is_of_cron)
    });
}

#[test]
fn after_a_restart_of_the_daemon_the_next_operation_is_matched_again() {
    require!(support::an_odoo());
    let mut scene = Scene::new();
    check(&scene, &matched("requests"));
    assert!(scene.daemon.stop().success(), "{}", scene.daemon.log());
    scene.daemon.start_again();
    check(&scene, &matched("requests"));
    let classes: Vec<String> =
        scene.daemon.events().iter().map(|it| it["class"].as_str().unwrap_or("").into()).collect();
    let of_runs: Vec<&str> = classes.iter().map(String::as_str).filter(|it| it.starts_with("run_")).collect();
    assert_eq!(of_runs, ["run_start", "run_stop", "run_start"]);
    let (code, text) = verify(&scene);
    assert_eq!(code, Some(4), "a stop is a time in which nothing was seen, and is declared: {text}");
}

#[test]
fn killing_odoo_loses_no_acknowledged_record() {
    require!(support::an_odoo());
    let mut scene = Scene::new();
    check(&scene, &matched("requests"));
    let before = scene.daemon.events();
    scene.odoo.kill();
    scene.daemon.wait_for_event("the end of a process", |it| it["class"] == "process" && it["change"] == "exited");
    assert_still_there(&before, &scene.daemon.events());
    scene.odoo.kill_and_start_again(&scene.group);
    check(&scene, &matched("requests"));
    assert_still_there(&before, &scene.daemon.events());
    let (code, text) = verify(&scene);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn killing_the_daemon_loses_no_acknowledged_record_and_declares_the_gap() {
    require!(support::an_odoo());
    let mut scene = Scene::new();
    for _ in 0..5 {
        scene.begin("requests");
    }
    // Read and killed at once: whatever was shown is acknowledged, sealed or not.
    let before = scene.daemon.events();
    scene.daemon.kill();
    scene.daemon.start_again();
    assert_still_there(&before, &scene.daemon.events());
    check(&scene, &matched("requests"));
    let start = scene.daemon.events().into_iter().rfind(|it| it["class"] == "run_start").expect("a second run");
    assert_eq!(start["previous"], "interrupted", "{start:#}");
    let (code, text) = verify(&scene);
    assert_eq!(code, Some(4), "{text}");
}

#[test]
fn without_a_daemon_the_modules_of_an_odoo_go_out_as_ever() {
    require!(support::an_odoo());
    let group = Group::new().expect("a control group");
    let servers = Servers::start();
    let nowhere = std::path::Path::new("/nonexistent");
    let odoo = Odoo::start(Start::new(&group, nowhere, &servers));
    for channel in ["requests", "smtp", "curl", "psycopg2", "ctypes", "udp", "thread", "pool", "postcommit"] {
        let operation = format!("alone-{channel}");
        let (status, body) = odoo.rpc().get(&format!("/vendor_demo/press?channel={channel}&operation={operation}"));
        assert_eq!(status, 200, "{channel}: {body}");
        assert_eq!(servers.connection(&operation).operations, [operation]);
    }
    let log = odoo.log();
    assert!(!log.contains(" ERROR ") && !log.contains(" CRITICAL "), "{log}");
}

/// Every record of `before`, unchanged but for the seal that has come over it.
fn assert_still_there(before: &[Value], after: &[Value]) {
    assert!(!before.is_empty(), "nothing was recorded");
    let content = |record: &Value| {
        let mut record = record.clone();
        record["sealed"].take();
        record
    };
    for (old, new) in before.iter().zip(after) {
        assert_eq!(content(old), content(new));
    }
    assert!(after.len() >= before.len(), "{} records are left of {}", after.len(), before.len());
}
