//! Every way in which the auditor's addon comes into an Odoo, or does not, and what an Odoo's own life does to it.

use auditor_tests as support;
use serde_json::{Value, json};
use support::{Connection, Door, Rpc, Scene, Start, require, wait_for};

/// Presses the button of a database, and gives the flow; `operation` is the first of its kind.
fn press(scene: &Scene, rpc: &Rpc, operation: &str) -> Value {
    let (status, body) = rpc.get(&format!("/vendor_demo/press?channel=requests&operation={operation}"));
    assert_eq!(status, 200, "{operation}: {body}");
    let seen: Connection = scene.servers.connection(operation);
    scene.flow(&seen)["opened"].take()
}

/// What a flow says of who it is.
fn credited(flow: &Value) -> (&str, &str, &str) {
    let attribution = &flow["attribution"];
    let word = |name: &str| attribution[name].as_str().unwrap_or_default();
    (word("label"), word("module"), word("reason"))
}

const NAMED: (&str, &str, &str) = ("matched", "vendor_demo", "cookie");

fn check_named(flow: &Value, database: &str) {
    assert_eq!(credited(flow), NAMED, "{flow:#}");
    assert_eq!(flow["attribution"]["database"], database, "{flow:#}");
}

fn check_clear(scene: &Scene) {
    let report = scene.daemon.get("/v1/report");
    assert_eq!(report["verdict"], "all-clear", "{}", report["reasons"]);
}

#[test]
fn an_odoo_without_the_addon_is_recorded_and_nobody_is_named() {
    require!(support::an_odoo());
    let scene = Scene::start(|start| Start { door: Door::Nowhere, ..start });
    for channel in ["requests", "curl", "psycopg2"] {
        let seen = scene.press(channel);
        let flow = scene.flow(&seen);
        assert_eq!(credited(&flow["opened"]), ("absent", "", "no-ring"), "{channel}: {flow:#}");
        assert_eq!((&flow["sent"], &flow["received"]), (&json!(seen.received), &json!(seen.sent)), "{channel}");
    }
    check_clear(&scene);
    let instances = scene.daemon.get("/v1/status")["instances"].clone();
    let named: u64 = instances.as_object().into_iter().flatten().filter_map(|(_, it)| it["named"].as_u64()).sum();
    assert_eq!(named, 0, "{instances}");
}

#[test]
fn installed_from_the_list_of_apps_it_names_the_next_operation_in_every_worker() {
    require!(support::an_odoo());
    let scene = Scene::start(|start| Start { door: Door::OnPath, ..start });
    let rpc = scene.odoo.rpc();
    let flow = press(&scene, &rpc, "before");
    assert_eq!(credited(&flow), ("absent", "", "no-ring"), "{flow:#}");
    rpc.call("ir.module.module", "update_list", &json!([]));
    let found = rpc.call("ir.module.module", "search", &json!([[["name", "=", "mit_network_audit"]]]));
    rpc.call("ir.module.module", "button_immediate_install", &json!([found]));
    // The worker that installed it, and the others as soon as they hear of it.
    let mut named = std::collections::BTreeSet::new();
    for number in 0..40 {
        let flow = press(&scene, &rpc, &format!("after-{number}"));
        check_named(&flow, scene.odoo.database());
        named.insert(flow["process"]["tgid"].as_u64());
        if named.len() == 2 {
            break;
        }
    }
    assert_eq!(named.len(), 2, "both workers were asked");
    check_clear(&scene);
}

#[test]
fn loaded_and_not_installed_it_names_all_the_same() {
    require!(support::an_odoo());
    let scene = Scene::start(|start| Start { door: Door::LoadedOnly, workers: 0, ..start });
    let flow = press(&scene, &scene.odoo.rpc(), "loaded");
    check_named(&flow, scene.odoo.database());
    check_clear(&scene);
}

#[test]
fn loaded_without_rpc_it_says_what_that_drops() {
    require!(support::an_odoo());
    let scene =
        Scene::start(|start| Start { arguments: vec!["--load=base,web,mit_network_audit".to_owned()], ..start });
    let said =
        wait_for("the warning", || scene.odoo.log().lines().find(|line| line.contains("--load=")).map(str::to_owned));
    assert!(said.contains("WARNING") && said.contains("--load=base,rpc,web,mit_network_audit"), "{said}");
    check_named(&press(&scene, &scene.odoo.rpc(), "without-rpc"), scene.odoo.database());
}

#[test]
fn recycled_workers_a_sighup_and_a_second_database_change_nothing() {
    require!(support::an_odoo());
    let mut scene = Scene::start(|start| Start { arguments: vec!["--limit-request=4".to_owned()], ..start });
    let other = scene.odoo.add_database();
    let (mine, own) = (scene.odoo.database().to_owned(), scene.odoo.rpc());
    let theirs = scene.odoo.rpc_of(&other);
    scene.odoo.serve_also(&other, &scene.group);
    let mut workers_seen = std::collections::BTreeSet::new();
    let press_both = |scene: &Scene, round: &str| {
        for (database, rpc) in [(&mine, &own), (&other, &theirs)] {
            check_named(&press(scene, rpc, &format!("{round}-of-{database}")), database);
        }
    };
    for number in 0..8 {
        press_both(&scene, &format!("recycled-{number}"));
        workers_seen.extend(scene.odoo.workers());
    }
    assert!(workers_seen.len() > 4, "workers are replaced after four requests: {workers_seen:?}");
    let before = scene.odoo.workers();
    xtask::process::signal(scene.odoo.master(), libc::SIGHUP);
    // Odoo 19 may leave its old workers behind; the new ones are there beside them.
    wait_for("the new workers", || {
        let new = scene.odoo.workers().into_iter().filter(|pid| !before.contains(pid)).count();
        (new >= 3).then_some(())
    });
    wait_for("Odoo to answer", || own.try_get("/web/health").is_ok_and(|(status, _)| status == 200).then_some(()));
    press_both(&scene, "reloaded");
    check_clear(&scene);
    let (code, text) = {
        let output = scene.daemon.auditor(&["verify"]);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(code, Some(0), "nothing is missing: {text}");
}
