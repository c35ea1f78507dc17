//! Whatever becomes of the auditor, an Odoo's requests succeed, and somebody is told what is wrong.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use auditor_tests as support;
use serde_json::{Value, json};
use support::{Group, Odoo, Scene, Servers, Start, checkout, require};

/// No request waits longer than this for an auditor that is not well: far more than it takes, and less than a person would
/// call a fault.
const UNHURRIED: Duration = Duration::from_secs(4);

/// Goes out by several channels, and it works.
fn check_works(odoo: &Odoo, servers: &Servers, what: &str) {
    for channel in ["requests", "smtp", "curl", "thread", "postcommit"] {
        let operation = format!("{what}-{channel}");
        let begun = Instant::now();
        let (status, body) = odoo.rpc().get(&format!("/vendor_demo/press?channel={channel}&operation={operation}"));
        assert_eq!(status, 200, "{what}, {channel}: {body}");
        assert!(begun.elapsed() < UNHURRIED, "{what}, {channel}: it took {:?}", begun.elapsed());
        assert!(servers.connection(&operation).operations.contains(&operation));
    }
    let log = odoo.log();
    assert!(!log.contains(" ERROR ") && !log.contains(" CRITICAL "), "{what}: {log}");
}

/// What Odoo's page is told: in a word, why the daemon does not answer.
fn trouble(odoo: &Odoo) -> Value {
    let page = odoo.rpc().call("network.audit.report", "load", &json!([]));
    assert_eq!(page["here"]["hook"], "named", "{}", page["here"]);
    page["status"]["trouble"].clone()
}

/// Somebody at the daemon's sockets who is not the daemon. Gone when this is dropped.
struct Impostor(Child);

impl Impostor {
    fn start(folder: &Path, kind: &str) -> Self {
        let script = checkout().join("tests/scenarios/impostor.py");
        let interpreter = xtask::odoo::setup::system_python().expect("Python");
        let mut command = Command::new(interpreter);
        command.arg("-B").arg(script).arg(folder).arg(kind).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("Python");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("text");
        assert_eq!(line, "ready\n", "{kind}");
        Self(child)
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own folder");
}

#[test]
fn no_daemon_and_whoever_pretends_to_be_one_are_no_harm_and_are_shown() {
    require!(support::an_odoo());
    let group = Group::new().expect("a control group");
    let servers = Servers::start();
    let folder = tempfile::tempdir().expect("a folder");
    set_mode(folder.path(), 0o755);
    let odoo = Odoo::start(Start { workers: 0, ..Start::new(&group, folder.path(), &servers) });
    for (kind, shown) in [
        ("absent", "absent"),
        ("stopped", "stopped"),
        ("denied", "denied"),
        ("slow", "slow"),
        ("full", "slow"),
        ("foreign", "foreign"),
        ("talkative", "foreign"),
    ] {
        let stands_in = !["absent", "denied"].contains(&kind);
        let impostor = stands_in.then(|| Impostor::start(folder.path(), kind));
        set_mode(folder.path(), if kind == "denied" { 0o700 } else { 0o755 });
        check_works(&odoo, &servers, kind);
        assert_eq!(trouble(&odoo)["kind"], shown, "{kind}: {}", trouble(&odoo));
        drop(impostor);
    }
}

#[test]
fn a_real_daemon_that_is_full_mute_or_dead_and_a_failing_hook_are_no_harm_and_are_told() {
    require!(support::an_odoo());
    let mut scene = Scene::start(|start| Start { workers: 0, ..start });
    let disturb = |scene: &Scene, way: &str| {
        assert_eq!(scene.odoo.rpc().call("vendor.other", "disturb", &json!([way])), true);
    };
    let loss = |scene: &Scene, gap: &str| {
        scene.daemon.wait_for_event(&format!("the loss {gap}"), |it| it["class"] == "loss" && it["gap"] == gap)
    };
    check_works(&scene.odoo, &scene.servers, "well");
    assert_eq!(trouble(&scene.odoo), Value::Null, "nothing is wrong");

    // Its folder is read-only, as `/run` is in a container: nothing of Odoo writes there.
    set_mode(&scene.daemon.run_folder(), 0o555);
    check_works(&scene.odoo, &scene.servers, "read-only");
    let flow = scene.flow(&scene.servers.connection("read-only-requests"));
    assert_eq!(flow["opened"]["attribution"]["label"], "matched", "{flow:#}");

    disturb(&scene, "exception");
    check_works(&scene.odoo, &scene.servers, "exception");
    disturb(&scene, "mend");
    assert!(loss(&scene, "hint-failure")["count"].as_u64() >= Some(3));

    // It does not look, and more is claimed than the ring holds.
    xtask::process::signal(scene.daemon.pid(), libc::SIGSTOP);
    disturb(&scene, "flood");
    check_works(&scene.odoo, &scene.servers, "full");
    assert_eq!(trouble(&scene.odoo)["kind"], "slow");
    xtask::process::signal(scene.daemon.pid(), libc::SIGCONT);
    assert!(loss(&scene, "hint-overrun")["count"].as_u64() > Some(1_000));

    // The hook is silenced: what goes out is recorded, nobody is named, and it is declared.
    disturb(&scene, "silence");
    thread::sleep(Duration::from_secs(6));
    check_works(&scene.odoo, &scene.servers, "silenced");
    let silenced = loss(&scene, "claims-silenced");
    assert_eq!(silenced["count"], 1, "{silenced:#}");
    let flow = scene.flow(&scene.servers.connection("silenced-requests"));
    let attribution = &flow["opened"]["attribution"];
    assert_eq!((&attribution["label"], &attribution["reason"]), (&json!("absent"), &json!("no-claim")), "{flow:#}");
    let report = scene.daemon.get("/v1/report");
    assert_eq!(report["verdict"], "attention", "{}", report["reasons"]);
    let lost = report["reasons"].as_array().expect("reasons").iter().filter(|it| it["id"] == "lost");
    let subjects: Vec<&Value> = lost.map(|reason| &reason["subject"]).collect();
    for gap in ["hint-failure", "hint-overrun", "claims-silenced"] {
        assert!(subjects.contains(&&json!(gap)), "{gap}: {subjects:?}");
    }

    scene.daemon.kill();
    check_works(&scene.odoo, &scene.servers, "dead");
    assert_eq!(trouble(&scene.odoo)["kind"], "stopped");
}

#[test]
fn a_hook_that_an_addon_silences_together_with_who_serves_is_declared() {
    require!(support::an_odoo());
    let scene = Scene::start(|start| Start { workers: 0, ..start });
    check_works(&scene.odoo, &scene.servers, "well");
    assert_eq!(scene.odoo.rpc().call("vendor.other", "disturb", &json!(["silence_all"])), true);
    thread::sleep(Duration::from_secs(6));
    check_works(&scene.odoo, &scene.servers, "mute");
    let loss = scene.daemon.wait_for_event("the silence", |it| it["gap"] == "claims-silenced");
    assert_eq!(loss["count"], 1, "{loss:#}");
    let served =
        |it: &Value| it["class"] == "call" && it["channel"] == "serve" && it["time"].as_str() > loss["time"].as_str();
    assert!(!scene.daemon.events().iter().any(served), "nobody says who serves any more");
    assert_eq!(scene.daemon.get("/v1/report")["verdict"], "attention");
}
