//! One vendor's addon, shipped plain, as bytecode, as marshalled code and as native code, in a real Odoo: who is credited
//! with what it sends, and what is said of the module.
//!
//! The table in the README is what was measured; with `UPDATE_VECTORS=1` it is written there.

use std::fmt::Write as _;

use auditor_tests as support;
use serde_json::{Value, json};
use support::shipped::{Shipped, cython};
use support::{Scene, Start, published, require, wait_for};

const WAYS_OUT: [&str; 4] = ["requests", "socket", "thread", "curl"];

/// An Odoo, and what makes native code of Python.
fn all_that_is_needed() -> Result<(), String> {
    support::an_odoo()?;
    cython().map(drop).map_err(|error| format!("{error:#}"))
}

/// Presses every button of one addon; gives the label that all flows have, and who is credited.
fn check_flows(scene: &Scene, shipped: Shipped) -> (String, String) {
    let addon = shipped.addon();
    for way in WAYS_OUT {
        let (status, body) = scene.odoo.rpc().get(&format!("/{addon}/go/{way}"));
        assert_eq!(status, 200, "{addon}, {way}: {body}");
        let seen = scene.servers.connection(&format!("{addon}-{way}"));
        let flow = scene.flow(&seen);
        let attribution = &flow["opened"]["attribution"];
        assert_eq!((&flow["sent"], &flow["received"]), (&json!(seen.received), &json!(seen.sent)), "{flow:#}");
        assert_eq!(attribution["origin"], format!("route /{addon}/go/<string:way>"), "{addon}, {way}: {flow:#}");
        assert_eq!(attribution["contradictions"], json!([]), "{addon}, {way}: {flow:#}");
        if shipped == Shipped::Native {
            // It leaves no frame. What is on the stack is credited, with the suspicion beside it, and never as matched.
            let suspect = json!(format!("native:{addon}"));
            let chain = attribution["chain"].as_array().expect("a chain");
            assert_eq!(
                (&attribution["label"], &attribution["reason"], chain.last()),
                (&json!("self_reported"), &json!("ambiguous"), Some(&suspect)),
                "{way}: {flow:#}"
            );
            assert!(
                ["base", "web", "http_routing"].map(|name| json!(name)).contains(&attribution["module"]),
                "{flow:#}"
            );
        } else {
            assert_eq!((&attribution["label"], &attribution["module"]), (&json!("matched"), &json!(addon)), "{flow:#}");
        }
    }
    // Who serves is read off the route, whatever its code is.
    let served = scene.daemon.wait_for_event("who served", |it| {
        it["channel"] == "serve" && it["attribution"]["origin"] == format!("route /{addon}/go/<string:way>")
    });
    assert_eq!(served["attribution"]["module"], addon, "{served:#}");
    match shipped {
        Shipped::Native => ("self-reported, ambiguous".into(), "what called it, or native code of the module".into()),
        _ => ("matched".into(), "the module".into()),
    }
}

/// Operations and bytes of one addon in a report, by its name or under a suspicion; `None` unless every line says whether
/// it can be read.
fn listed(report: &Value, shipped: Shipped) -> Option<(u64, u64)> {
    let name = if shipped == Shipped::Native { "suspects" } else { "module" };
    let lines = report["modules"].as_array()?.iter().filter(|line| line[name] == shipped.addon());
    let is_opaque = shipped != Shipped::Plain;
    let mut lines = lines.map(|line| {
        let sums = (line["operations"].as_u64()?, line["sent"].as_u64()?);
        (line["opaque"] == is_opaque).then_some(sums)
    });
    lines.try_fold((0, 0), |(operations, bytes), it| it.map(|(more, sent)| (operations + more, bytes + sent)))
}

/// API, command line and Odoo's page say the same of an addon.
fn check_listed(scene: &Scene, shipped: Shipped) {
    let addon = shipped.addon();
    let sent = wait_for(&format!("{addon} in the report"), || {
        // By its cron, the addon tells the daemon what is installed, and what of it nobody can read.
        scene.odoo.wake_crons();
        let page = scene.odoo.rpc().call("network.audit.report", "load", &json!([]));
        let (page, api) =
            (listed(&page["report"]["value"], shipped)?, listed(&scene.daemon.get("/v1/report"), shipped)?);
        (page == api && api.0 == WAYS_OUT.len() as u64).then_some(api.1)
    });
    assert!(sent > 0, "{addon}");
    let output = scene.daemon.auditor(&["modules"]);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    let row = table.lines().find(|row| row.contains(addon)).unwrap_or_else(|| panic!("{addon} is not in:\n{table}"));
    assert_eq!(row.contains(" opaque "), shipped != Shipped::Plain, "{row}");
    assert_eq!(row.contains("or native code of"), shipped == Shipped::Native, "{row}");
}

#[test]
fn one_vendor_shipped_in_four_ways_is_credited_or_honestly_not_and_is_listed() {
    require!(all_that_is_needed());
    let folder = tempfile::tempdir().expect("a folder");
    let addons = Shipped::ALL.map(|shipped| shipped.make(folder.path()).expect("an addon")).to_vec();
    let scene = Scene::start(|start| Start { workers: 0, crons: 1, addons, ..start });
    let mut table = "| shipped as | label | credited with it | listed as |\n| --- | --- | --- | --- |\n".to_owned();
    for (shipped, name) in
        Shipped::ALL.into_iter().zip(["source", "bytecode", "marshalled code", "native code (Cython)"])
    {
        let (label, credited) = check_flows(&scene, shipped);
        check_listed(&scene, shipped);
        let word = if shipped == Shipped::Plain { "–" } else { "opaque" };
        writeln!(table, "| {name} | {label} | {credited} | {word} |").expect("a string takes it");
    }
    let report = scene.daemon.get("/v1/report");
    assert_eq!(report["verdict"], "all-clear", "{}", report["reasons"]);
    published::check("tests/odoo_opaque.rs", &table);
}
