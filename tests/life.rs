//! The addon's life in a database: updated, taken out, put back, and the people go whom it knew.

use std::collections::BTreeSet;

use auditor_tests as support;
use serde_json::{Value, json};
use support::{Odoo, Scene, require, wait_for};

const ADDON: &str = "mit_network_audit";

fn rows(odoo: &Odoo) -> u64 {
    let text = odoo.sql(odoo.database(), "select count(*) from network_audit_record");
    text.trim().parse().expect("a number")
}

/// Takes over what the daemon has until there is something.
fn fill(scene: &Scene) {
    scene.begin("requests");
    wait_for("rows", || {
        scene.odoo.rpc().call("network.audit.record", "action_update", &json!([]));
        (rows(&scene.odoo) > 0).then_some(())
    });
}

fn state(odoo: &Odoo) -> String {
    let statement = format!("select state from ir_module_module where name = '{ADDON}'");
    odoo.sql(odoo.database(), &statement).trim().to_owned()
}

/// Runs `odoo` on the database while its server is away.
fn with_odoo(scene: &mut Scene, arguments: &[&str]) {
    let database = scene.odoo.database().to_owned();
    scene.odoo.turn_to(&scene.group, &database, |odoo| {
        let mut line = vec!["-c", "{}", "-d", &database, "--stop-after-init", "--no-http"];
        line.extend(arguments);
        odoo.command(&line);
    });
}

fn protected(odoo: &Odoo) -> Value {
    odoo.rpc().call("network.audit.report", "load", &json!(["1hour"]))["here"]["protected"].take()
}

#[test]
fn neither_rows_nor_people_keep_the_addon_from_being_updated_taken_out_and_put_back() {
    require!(support::an_odoo());
    let mut scene = Scene::new();
    fill(&scene);
    let before = rows(&scene.odoo);

    with_odoo(&mut scene, &["-u", ADDON]);
    assert!(rows(&scene.odoo) >= before, "an update keeps the rows");
    assert_eq!(protected(&scene.odoo), json!(true), "and their protection");

    // A module and a person whom rows name may go.
    let user = scene.odoo.rpc().call("res.users", "create", &json!([{"name": "Gone", "login": "gone"}]));
    scene.odoo.rpc().call("res.users", "unlink", &json!([[user]]));
    let module = scene.odoo.rpc().call("ir.module.module", "search", &json!([[["name", "=", "vendor_other"]]]));
    scene.odoo.rpc().call("ir.module.module", "button_immediate_uninstall", &json!([module]));
    assert!(rows(&scene.odoo) >= before, "what is deleted takes no row along");

    // A server that loads a module for all databases refuses to take it out: it is done without that server.
    let database = scene.odoo.database().to_owned();
    scene.odoo.turn_to(&scene.group, &database, |odoo| {
        odoo.command(&["module", "uninstall", "-c", "{}", "-d", &database, ADDON]);
    });
    assert_eq!(state(&scene.odoo), "uninstalled");
    let left = "select count(*) from pg_class where relname like 'network_audit%'";
    assert_eq!(scene.odoo.sql(scene.odoo.database(), left).trim(), "0", "nothing of it stays");
    let function = "select count(*) from pg_proc where proname = 'network_audit_record_protected'";
    assert_eq!(scene.odoo.sql(scene.odoo.database(), function).trim(), "0", "nor of its trigger");

    with_odoo(&mut scene, &["-i", ADDON]);
    assert_eq!(state(&scene.odoo), "installed");
    assert_eq!(protected(&scene.odoo), json!(true));
    fill(&scene);
    let found = scene.odoo.rpc().call("network.audit.report", "compare", &json!([]))["value"].take();
    for word in ["different", "missing", "unknown"] {
        assert_eq!(found[word], json!([]), "{found:#}");
    }
}

/// What the cron does, done now.
fn run_cron(odoo: &Odoo) {
    let named = json!([[["cron_name", "=like", "Network Audit%"]]]);
    let crons = odoo.rpc().call("ir.cron", "search", &named);
    odoo.rpc().call("ir.cron", "method_direct_trigger", &json!([crons]));
}

#[test]
fn a_verdict_that_becomes_another_is_an_activity_of_each_auditor() {
    require!(support::an_odoo());
    let mut scene = Scene::new();
    with_odoo(&mut scene, &["-i", "mail"]);
    let activities = |scene: &Scene| {
        let about = json!([[["summary", "like", "Network Audit"]], ["summary", "user_id"]]);
        scene.odoo.rpc().call("mail.activity", "search_read", &about)
    };
    run_cron(&scene.odoo);
    assert_eq!(activities(&scene), json!([]), "nothing has changed");
    let vendor = json!([{"name": "Demo", "modules": "vendor_demo"}]);
    let asked = scene.odoo.rpc().call("network.audit.vendor", "create", &vendor);
    scene.odoo.rpc().call("network.audit.vendor", "action_ask", &json!([[asked]]));
    scene.press("requests");
    wait_for("an alarm", || (scene.daemon.get("/v1/report")["verdict"] == "alarm").then_some(()));
    run_cron(&scene.odoo);
    let found = activities(&scene);
    let summaries: Vec<&str> = found.as_array().into_iter().flatten().filter_map(|it| it["summary"].as_str()).collect();
    assert_eq!(summaries, ["Network Audit: all-clear became alarm"], "{found:#}");
    run_cron(&scene.odoo);
    assert_eq!(activities(&scene), found, "it is told once");
}

/// Test events from whichever worker answers, as many at once as a browser asks for.
fn test_events(scene: &Scene) -> Vec<Value> {
    let send = || scene.odoo.rpc().call("network.audit.report", "send_test_event", &json!([false]));
    std::thread::scope(|scope| {
        let sent: Vec<_> = (0..6).map(|_| scope.spawn(send)).collect();
        sent.into_iter().map(|it| it.join().expect("an answer")).collect()
    })
}

#[test]
fn test_events_of_each_worker_and_of_a_child_are_sealed() {
    require!(support::an_odoo());
    let scene = Scene::new();
    let first = scene.daemon.get("/v1/status")["records"].take();
    let mut events: Vec<Value> = Vec::new();
    let workers = |events: &[Value]| events.iter().map(|it| it["pid"].to_string()).collect::<BTreeSet<_>>().len();
    wait_for("both workers to answer", || {
        events.extend(test_events(&scene));
        (workers(&events) == 2).then_some(())
    });
    events.push(scene.odoo.rpc().call("network.audit.report", "send_test_event", &json!([true])));
    assert_eq!(workers(&events), 3, "the child is a process of its own");
    let ports: Vec<&Value> = events.iter().map(|it| &it["local_port"]).collect();
    wait_for("all of them to be sealed", || {
        let asked = json!([ports, first]);
        let found = scene.odoo.rpc().call("network.audit.report", "find_test_events", &asked)["value"].take();
        ports.iter().all(|port| found[port.to_string()]["sealed"] == true).then_some(())
    });
}
