//! A copied database is not the one that it was made of: it says whose copy it is, starts afresh, and cries no tampering.

use auditor_tests as support;
use serde_json::{Value, json};
use support::{Odoo, Scene, look, require, wait_for};
use xtask::odoo::postgres::ROLE;

/// How an administrator makes a copy: from the running one's name to the copy's.
struct Way {
    name: &'static str,
    make: fn(&Odoo, &str),
    /// Whether the copy has the name of what it was made of.
    keeps_its_name: bool,
}

const WAYS: &[Way] = &[
    Way {
        name: "Odoo's own neutralize, as of one that was restored under its name",
        make: |odoo, copy| odoo.command(&["neutralize", "-c", "{}", "-d", copy]),
        keeps_its_name: true,
    },
    Way {
        name: "createdb -T, which keeps the identifier",
        make: |odoo, copy| {
            let statement = format!("create database \"{copy}\" template \"{}\" owner {ROLE}", odoo.database());
            odoo.sql("postgres", &statement);
        },
        keeps_its_name: false,
    },
    Way {
        name: "Odoo's own duplicate",
        make: |odoo, copy| odoo.command(&["db", "-c", "{}", "duplicate", odoo.database(), copy]),
        keeps_its_name: false,
    },
    Way {
        name: "Odoo's own dump, and restored",
        make: |odoo, copy| {
            let file = std::env::temp_dir().join(format!("network-audit-{copy}.zip"));
            let path = file.to_str().expect("a plain path");
            odoo.command(&["db", "-c", "{}", "dump", odoo.database(), path]);
            odoo.command(&["db", "-c", "{}", "load", copy, path]);
            std::fs::remove_file(&file).expect("the dump");
        },
        keeps_its_name: false,
    },
];

fn count(odoo: &Odoo, condition: &str) -> u64 {
    let statement = format!("select count(*) from network_audit_record where {condition}");
    odoo.sql(odoo.database(), &statement).trim().parse().expect("a number")
}

fn report(odoo: &Odoo, method: &str, arguments: &Value) -> Value {
    odoo.rpc().call("network.audit.report", method, arguments)
}

fn check(scene: &mut Scene, way: &Way) {
    let name = way.name;
    scene.begin("requests");
    let original = scene.odoo.database().to_owned();
    wait_for(&format!("rows before {name}"), || {
        scene.odoo.rpc().call("network.audit.record", "action_update", &json!([]));
        (count(&scene.odoo, "module = 'vendor_demo'") > 0).then_some(())
    });
    let last = scene.odoo.sql(&original, "select max(seq) from network_audit_record");

    let copy = if way.keeps_its_name { original.clone() } else { format!("{original}-copy") };
    scene.odoo.turn_to(&scene.group, &copy, |odoo| (way.make)(odoo, &copy));
    // The first page that is opened loads the database.
    let here = &report(&scene.odoo, "load", &json!(["1hour"]))["here"];
    assert_eq!(here["copied_from"], json!(original), "{name}: {here:#}");
    assert_eq!(here["protected"], json!(true), "{name}: {here:#}");
    if way.keeps_its_name {
        match look::text_of(&scene.odoo, ".o_network_audit_banner") {
            Ok(said) => assert!(said.contains(&format!("is a copy of {original}")), "{name}: {said}"),
            Err(reason) => support::skip(&reason),
        }
    }
    let inherited = format!("seq <= {} and module = 'vendor_demo'", last.trim());
    assert_eq!(count(&scene.odoo, &inherited), 0, "{name}: rows of {original} in {copy}");

    scene.begin("requests");
    let found = wait_for(&format!("rows of its own after {name}"), || {
        scene.odoo.rpc().call("network.audit.record", "action_update", &json!([]));
        let found = report(&scene.odoo, "compare", &json!([]))["value"].take();
        (count(&scene.odoo, "module = 'vendor_demo'") > 0).then_some(found)
    });
    for word in ["different", "missing", "unknown"] {
        assert_eq!(found[word], json!([]), "{name}: {found:#}");
    }
}

#[test]
fn a_copy_says_whose_it_is_and_starts_afresh() {
    require!(support::an_odoo());
    let mut scene = Scene::new();
    for way in WAYS {
        check(&mut scene, way);
    }
    let output = scene.daemon.auditor(&["verify"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}
