//! What the host's operator does with the ledger of a real daemon: each command, and what it says when it cannot.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use auditor_common::body::{AckRecord, Actor, Body, Effect, PolicyRecord, Step};
use auditor_tests as support;
use auditor_userspace::chain::Now;
use auditor_userspace::clock;
use auditor_userspace::store::Limits;
use serde_json::{Value, json};
use support::ledger::{self, Ledger};
use support::{Daemon, Group, Puppet, Scope, require, wait_for};

/// A daemon that watches a control group with nobody in it: whoever runs these tests is the operator, and not audited.
fn daemon(group: &Group) -> Daemon {
    Daemon::start(Scope::Group(group.path().to_path_buf()))
}

fn group() -> Group {
    Group::new().expect("a control group")
}

/// What `auditor status` says of the daemon's own verification, once there was one.
fn verified(daemon: &Daemon) -> Value {
    wait_for("the daemon's own verification", || {
        let verified = daemon.get("/v1/status")["verified"].clone();
        (!verified.is_null()).then_some(verified)
    })
}

#[test]
fn a_daemon_verifies_its_own_ledger_and_seals_what_it_found() {
    require!(support::a_daemon());
    let group = group();
    let mut daemon = daemon(&group);
    let first = verified(&daemon);
    assert_eq!(first["exit"], 0, "{first}");
    let record = daemon.wait_for_event("the record of it", |event| event["class"] == "check");
    assert_eq!(
        (&record["seq"], &record["summary"], &record["exit"]),
        (&first["seq"], &first["summary"], &first["exit"])
    );
    let shown = daemon.auditor(&["status"]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.contains("verified") && text.contains("proven: "), "{text}");
    let report = daemon.auditor(&["report"]);
    let text = String::from_utf8_lossy(&report.stdout).into_owned();
    assert!(text.contains("\nverified 2") && text.contains("UTC: proven: "), "{text}");
    // Once in 24 hours is enough: a restart is no reason for another.
    assert!(daemon.stop().success());
    daemon.start_again();
    assert_eq!(verified(&daemon)["seq"], first["seq"]);
    wait_for("the records to be read", || daemon.auditor(&["report"]).status.success().then_some(()));
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(verified(&daemon)["seq"], first["seq"]);
}

/// Exit code, and what was said on both channels.
fn said(output: &Output) -> (Option<i32>, String) {
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    (output.status.code(), text.concat())
}

/// A command that has to succeed; what it printed.
fn done(daemon: &Daemon, arguments: &[&str]) -> String {
    let (code, text) = said(&daemon.auditor(arguments));
    assert_eq!(code, Some(0), "{arguments:?}: {text}");
    text
}

const DAY_NS: u64 = 86_400_000_000_000;

fn decision(number: u64, setting: &str, value: &str, effect: Effect) -> Body {
    Body::Decision(PolicyRecord {
        number,
        step: Step::AtOnce,
        instance: "shop".to_owned(),
        actor: Actor::Host { uid: 0 },
        setting: setting.to_owned(),
        value: value.to_owned(),
        effect,
        reason: "the host asked".to_owned(),
    })
}

/// A ledger of three segments that was written a hundred days ago. Its first records decide how an instance is recorded.
fn write_an_old_ledger(state: &Path, keep_days: &str) {
    let long_ago = Now { wall_ns: clock::now().wall_ns - 100 * DAY_NS, boot_ns: 1_000_000_000 };
    let mut options = ledger::options(0);
    options.now = long_ago;
    options.limits = Limits { segment_ns: 10_000_000_000, reserve_bytes: 1 << 20, ..Limits::default() };
    let mut ledger = Ledger::open(state, &options).expect("a new store");
    ledger.append(&decision(1, "retention_days", keep_days, Effect::Tightens)).expect("an append");
    ledger.append(&decision(2, "strict_redaction", "true", Effect::Tightens)).expect("an append");
    let ack = AckRecord {
        instance: "shop".to_owned(),
        reason: "lost".to_owned(),
        subject: "ring-full".to_owned(),
        text: "known".to_owned(),
        before_seq: 5,
        actor: Actor::Host { uid: 0 },
    };
    ledger.append(&Body::Acknowledged(ack)).expect("an append");
    for _ in 0..30 {
        for _ in 0..20 {
            ledger.flow().expect("an append");
        }
        ledger.wait(1);
        ledger.seal().expect("a seal");
    }
    ledger.stop().expect("a last seal");
}

/// A daemon, not started, with a configuration and an old ledger.
fn with_an_old_ledger(group: &Group, keep_days: &str, config: &str) -> Daemon {
    let mut daemon = Daemon::prepare(Scope::Group(group.path().to_path_buf()));
    write_an_old_ledger(&daemon.state(), keep_days);
    daemon.take_state();
    daemon.configure(config);
    daemon
}

fn segments(daemon: &Daemon) -> usize {
    let names = fs::read_dir(daemon.state().join("0001")).expect("a folder").map(|entry| entry.expect("a file"));
    names.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "redb")).count()
}

fn shop(daemon: &Daemon) -> Value {
    daemon.get("/v1/policy?instance=shop")
}

#[test]
fn what_is_old_enough_goes_and_what_holds_is_said_again() {
    require!(support::a_daemon());
    let group = group();
    let mut daemon = with_an_old_ledger(&group, "365", "[policy]\nretention_days = 30\n");
    daemon.start_again();
    let root = daemon.get("/v1/status")["root_key"].as_str().expect("a key").to_owned();
    wait_for("the records to be read", || (!shop(&daemon)["decisions"].as_array()?.is_empty()).then_some(()));
    let files = segments(&daemon);
    assert!(files >= 3, "{files}");
    let kept = wait_for("the ledger to be measured", || {
        let kept = daemon.get("/v1/status")["kept"].clone();
        (kept["keep_days"] == 365).then_some(kept)
    });
    assert_eq!((&kept["min_days"], &kept["max_bytes"]), (&json!(30), &json!(20_u64 << 30)), "{kept}");
    assert!(done(&daemon, &["status"]).contains("365 days are kept"));
    assert!(done(&daemon, &["retain", "--dry-run"]).contains("nothing is old enough"), "somebody got 365 days");
    assert!(done(&daemon, &["retain"]).contains("nothing is old enough"));
    // From here on nobody needs them any more.
    done(&daemon, &["policy", "ask", "--instance", "shop", "retention_days", "40"]);
    let foretold = done(&daemon, &["retain", "--dry-run"]);
    assert!(foretold.contains("records would go"), "{foretold}");
    assert_eq!(segments(&daemon), files, "nothing is gone");
    let gone = done(&daemon, &["retain"]);
    assert!(gone.contains("records are gone"), "{gone}");
    assert!(segments(&daemon) < files);
    let first = daemon.events()[0]["seq"].clone();
    assert!(gone.contains(&format!("begins with record {first}")), "{first}: {gone}");
    // What is left is proven, handed out or not, and what was decided in what is gone holds.
    let (code, text) = said(&daemon.auditor(&["verify", "--root-key", &root]));
    assert_eq!(code, Some(4), "intact, with declared gaps: {text}");
    assert!(text.contains("what was before was removed by policy"), "{text}");
    done(&daemon, &["check"]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rest.nalx");
    done(&daemon, &["export", "-o", self::text(&path)]);
    for verify in [verify_offline, verify_in_python] {
        let (code, text) = verify(&["--key", &root, self::text(&path)]);
        assert_eq!(code, Some(4), "{text}");
        assert!(text.contains("what was before was removed by policy"), "{text}");
    }
    let restated: Vec<Value> = daemon.events().into_iter().filter(|event| event["class"] == "restated").collect();
    let said_again: Vec<&Value> = restated.iter().map(|event| &event["said"]["class"]).collect();
    assert_eq!(said_again, ["decision", "acknowledged"], "{restated:#?}");
    let policy = shop(&daemon);
    assert_eq!(
        (&policy["policy"]["strict_redaction"], &policy["policy"]["retention_days"]),
        (&json!(true), &json!(40))
    );
    assert!(daemon.stop().success());
    daemon.start_again();
    let policy = wait_for("the records to be read", || {
        let policy = shop(&daemon);
        (policy["decisions"].as_array()?.len() >= 2).then_some(policy)
    });
    assert_eq!(
        (&policy["policy"]["strict_redaction"], &policy["policy"]["retention_days"]),
        (&json!(true), &json!(40))
    );
    let next = done(&daemon, &["policy", "ask", "--instance", "shop", "auditing", "false"]);
    assert!(next.contains("request 4:"), "numbers go on: {next}");
}

#[test]
fn the_daemon_removes_what_is_due_by_itself() {
    require!(support::a_daemon());
    let group = group();
    let mut daemon = with_an_old_ledger(&group, "45", "[policy]\nretention_days = 60\n");
    let files = segments(&daemon);
    daemon.start_again();
    let pruned = daemon.wait_for_event("what is due to be removed", |event| event["class"] == "prune");
    assert_eq!(pruned["actor"], "schedule", "{pruned}");
    wait_for("the files to be gone", || (segments(&daemon) < files).then_some(()));
    let (code, text) = said(&daemon.auditor(&["verify"]));
    assert_eq!(code, Some(4), "{text}");
    assert_eq!(shop(&daemon)["policy"]["strict_redaction"], true);
}

#[test]
fn a_removal_that_a_crash_cut_short_is_done_again() {
    require!(support::a_daemon());
    let group = group();
    let mut daemon = with_an_old_ledger(&group, "45", "[policy]\nretention_days = 60\n");
    let before = ledger::contents(&daemon.state().join("0001"));
    let files = segments(&daemon);
    daemon.start_again();
    wait_for("what is due to be gone", || (segments(&daemon) < files).then_some(()));
    assert!(daemon.stop().success());
    // PRUNE is sealed, the oldest files are gone, and the newest that was to go is still there.
    let (left, content) = before.iter().rfind(|(path, _)| !path.exists()).expect("one that went");
    fs::write(left, content).expect("a segment");
    daemon.take_state();
    let (code, text) = said(&daemon.auditor(&["verify"]));
    assert_eq!(code, Some(4), "too much is proven as well: {text}");
    daemon.start_again();
    wait_for("the rest to be gone", || (!left.exists()).then_some(()));
    let (code, text) = said(&daemon.auditor(&["verify"]));
    assert_eq!(code, Some(4), "{text}");
    assert_eq!(shop(&daemon)["policy"]["strict_redaction"], true);
    let restated = daemon.events().iter().filter(|event| event["class"] == "restated").count();
    assert_eq!(restated, 3, "what lies in what is kept is not said again: two settings and an acknowledgement");
}

#[test]
fn another_key_signs_when_it_is_asked_for() {
    require!(support::a_daemon());
    let group = group();
    let daemon = daemon(&group);
    let keys = |daemon: &Daemon| -> Value { serde_json::from_str(&done(daemon, &["keys", "--json"])).expect("JSON") };
    let before = keys(&daemon);
    let said = done(&daemon, &["keys", "rotate"]);
    assert!(said.contains("another key signs from record"), "{said}");
    let after = keys(&daemon);
    let count = |keys: &Value| keys["epochs"].as_array().map_or(0, Vec::len);
    assert_eq!(count(&after), count(&before) + 1);
    assert!(after["exposure"]["from"].as_u64() > before["exposure"]["from"].as_u64(), "{after}");
    let text = done(&daemon, &["keys"]);
    assert!(text.contains(" s depend on this host alone"), "{text}");
    let newest = after["epochs"].as_array().and_then(|epochs| epochs.last()).expect("an epoch");
    assert!(text.contains(newest["key"].as_str().expect("a key")), "{text}");
    let private = fs::read_dir(daemon.state().join("keys")).expect("a folder").count();
    assert_eq!(private, 2, "the log's, and that of the present epoch");
    let root = before["root"].as_str().expect("a key");
    let (code, text) = verify_with(&daemon, root);
    assert_eq!(code, Some(0), "{text}");
}

fn verify_with(daemon: &Daemon, root: &str) -> (Option<i32>, String) {
    said(&daemon.auditor(&["verify", "--root-key", root]))
}

#[test]
fn a_cut_is_an_alarm_until_the_operator_answers_and_stays_unproven_for_ever() {
    require!(support::a_daemon());
    let group = group();
    let mut daemon = daemon(&group);
    assert!(daemon.stop().success());
    let segment = daemon.state().join("0001/seg-00000000000000000000.redb");
    let older = fs::read(&segment).expect("a segment");
    daemon.start_again();
    assert!(daemon.stop().success());
    fs::write(&segment, older).expect("a cut");
    daemon.start_again();
    let report = wait_for("the alarm", || {
        let report = daemon.get("/v1/report");
        (report["verdict"] == "alarm").then_some(report)
    });
    let named = |report: &Value, id: &str| {
        report["reasons"].as_array().into_iter().flatten().find(|reason| reason["id"] == id).cloned()
    };
    assert!(named(&report, "records_missing").is_some(), "{report:#}");
    wait_for("the daemon's own verification to find it", || named(&daemon.get("/v1/report"), "store_violated"));
    let answered = done(&daemon, &["ack", "records_missing", "--text", "the disk was swapped"]);
    assert!(answered.contains("is answered, sealed as record"), "{answered}");
    let report = daemon.get("/v1/report");
    assert_ne!(report["verdict"], "alarm", "{report:#}");
    let (code, text) = said(&daemon.auditor(&["ack", "records_missing", "--text", "again"]));
    assert!(code == Some(1) && text.contains("no loss of signed records waits"), "{code:?} {text}");
    assert_eq!(daemon.auditor(&["verify"]).status.code(), Some(3), "for ever");
}

#[test]
fn what_went_where_is_a_line_a_flow_a_module_and_a_destination() {
    require!(support::a_daemon());
    let group = group();
    let daemon = daemon(&group);
    let mut odoo = Puppet::start(&group, &daemon, "calling.conf");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || listener.incoming().for_each(drop));
    odoo.tell(&json!(["hook"]));
    odoo.tell(&json!(["connect", "127.0.0.1", port, "vendor_demo"]));
    let remote = format!("127.0.0.1:{port}");
    let ended = daemon.wait_for_event("the flow to end", |event| {
        event["class"] == "flow_ended" && event["opened"]["remote"]["port"] == port
    });
    let flows = done(&daemon, &["flows", "--module", "vendor_demo"]);
    let lines: Vec<&str> = flows.lines().skip(1).collect();
    assert_eq!(lines.len(), 1, "one flow is one line: {flows}");
    assert!(lines[0].contains(&remote) && lines[0].contains("matched") && lines[0].contains(" after "), "{flows}");
    let flow: Value =
        serde_json::from_str(&done(&daemon, &["flows", "-o", "json", "--module", "vendor_demo"])).expect("JSON");
    assert_eq!((&flow["flow"], &flow["sent"]), (&ended["flow"], &json!(1)), "{flow}");
    let other = done(&daemon, &["flows", "--instance", "nobody"]);
    assert_eq!(other.lines().count(), 1, "the heading: {other}");
    wait_for("the sums", || done(&daemon, &["modules"]).contains("vendor_demo").then_some(()));
    assert!(done(&daemon, &["modules", "--json"]).contains(r#""module":"vendor_demo""#));
    assert!(done(&daemon, &["destinations"]).contains("vendor_demo"));
    assert!(done(&daemon, &["destinations", "--json", "--instance", odoo.instance()]).contains("127.0.0.1"));
    let told = done(&daemon, &["explain", &ended["seq"].to_string()]);
    assert!(told.contains(&format!("went to {remote} over tcp")) && told.contains("vendor_demo, matched:"), "{told}");
    let (code, why) = said(&daemon.auditor(&["explain", "99999999"]));
    assert!(code == Some(1) && why.contains("record 99999999 is not there"), "{why}");
}

/// Something that is changed in a segment.
type Change = fn(&redb::WriteTransaction);

/// Changes something in a segment of a ledger that nobody writes.
fn change(segment: &Path, how: Change) {
    let db = redb::Database::open(segment).expect("a segment");
    let transaction = db.begin_write().expect("a transaction");
    how(&transaction);
    transaction.commit().expect("a disk");
}

#[test]
fn a_store_is_held_against_itself_and_each_thing_that_does_not_fit_is_named() {
    use auditor_userspace::store::schema::{CHECKPOINTS, EPOCHS, META, META_ALIGNED, META_POLICY, STREAMS, TILES};
    require!(support::root());
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state");
    write_an_old_ledger(&state, "365");
    let auditor = Daemon::prepare(Scope::Odoo);
    let check = |state: &Path| said(&auditor.auditor(&["check", "--state-dir", text(state)]));
    let (code, found) = check(&state);
    assert!(code == Some(0) && found.contains("consistent: ") && found.contains("4 subtrees"), "{found}");
    let segment = |state: &Path| {
        let mut names: Vec<_> =
            fs::read_dir(state.join("0001")).expect("a folder").map(|it| it.expect("it").path()).collect();
        names.retain(|path| path.extension().is_some_and(|extension| extension == "redb"));
        names.sort();
        names.remove(1)
    };
    let changes: [(Change, &str); 8] = [
        (|it| drop(it.open_table(TILES).unwrap().pop_first().unwrap()), "the subtree 1 of level 1 is missing"),
        (|it| drop(it.open_table(TILES).unwrap().insert(1 << 56 | 1, &[7; 32]).unwrap()), "has another root"),
        (|it| drop(it.open_table(TILES).unwrap().insert(1 << 56 | 0x63, &[7; 32]).unwrap()), "its records are not"),
        (|it| drop(it.open_table(CHECKPOINTS).unwrap().pop_first().unwrap()), "the checkpoint of size"),
        (|it| drop(it.open_table(META).unwrap().remove(META_POLICY).unwrap()), "is not the POLICY of record"),
        (|it| drop(it.open_table(META).unwrap().remove(META_ALIGNED).unwrap()), "is missing or damaged"),
        (|it| drop(it.open_table(STREAMS).unwrap().pop_first().unwrap()), "the key of the stream of shop is missing"),
        (
            |it| drop(it.open_table(EPOCHS).unwrap().insert(9, b"x".as_slice()).unwrap()),
            "the note of epoch 9 is damaged",
        ),
    ];
    for (how, expected) in changes {
        let copy = folder.path().join("copy");
        ledger::copy(&state, &copy);
        change(&segment(&copy), how);
        let (code, found) = check(&copy);
        assert!(code == Some(3) && found.contains("damaged: ") && found.contains(expected), "{expected}: {found}");
        fs::remove_dir_all(&copy).expect("a copy");
    }
    let (code, why) = said(&auditor.auditor(&["check"]));
    assert!(code == Some(1) && why.contains("there is no ledger"), "{why}");
}

#[test]
fn a_store_is_checked_while_it_is_written() {
    require!(support::a_daemon());
    let group = group();
    let mut daemon = daemon(&group);
    done(&daemon, &["keys", "rotate"]);
    for _ in 0..5 {
        assert!(done(&daemon, &["check", "--json"]).contains(r#""faults":[]"#));
    }
    daemon.kill();
    done(&daemon, &["check"]);
    daemon.start_again();
    done(&daemon, &["check"]);
}

/// What the offline verifier says.
fn verify_offline(arguments: &[&str]) -> (Option<i32>, String) {
    said(&Command::new(support::verifier()).args(arguments).output().expect("the verifier"))
}

/// What the second one says, which was written from the specification.
fn verify_in_python(arguments: &[&str]) -> (Option<i32>, String) {
    let mut python = Command::new("python3");
    python.args(["-B", "-m", "verify"]).args(arguments);
    python.current_dir(support::checkout().join("odoo_addon/mit_network_audit/core"));
    said(&python.output().expect("python3"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn an_export_proves_itself_to_somebody_who_has_the_key_and_the_nonce() {
    require!(support::a_daemon());
    let group = group();
    let daemon = daemon(&group);
    let _odoo = Puppet::start(&group, &daemon, "exported.conf");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("all.nalx");
    let told = done(&daemon, &["export", "--nonce", "00FF17", "-o", text(&path)]);
    assert!(told.contains("records 0 to ") && told.contains("auditor-verify --key"), "{told}");
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "no draft is left");
    let root = daemon.get("/v1/status")["root_key"].as_str().expect("a key").to_owned();
    let (code, verdict) = verify_offline(&["--key", &root, "--nonce", "00ff17", text(&path)]);
    assert_eq!(code, Some(0), "{verdict}");
    let (code, verdict) = verify_offline(&["--key", &root, "--nonce", "00ff18", text(&path)]);
    assert_eq!(code, Some(3), "another nonce: {verdict}");
    // The second verifier says the same, and a page for people is one file more.
    let (code, verdict) = verify_in_python(&["--key", &root, "--nonce", "00ff17", text(&path)]);
    assert_eq!(code, Some(0), "{verdict}");
    let page = folder.path().join("page.nalx");
    done(&daemon, &["export", "--html", "--nonce", "00ff19", "-o", text(&page)]);
    let bytes = fs::read(&page).expect("an export");
    assert!(bytes.windows(11).any(|window| window == b"proof.html\0"), "a page is in it");
    for verify in [verify_offline, verify_in_python] {
        let (code, verdict) = verify(&["--key", &root, "--nonce", "00ff19", text(&page)]);
        assert_eq!(code, Some(0), "{verdict}");
    }
    let sealed = daemon.wait_for_event("the record of it", |event| event["class"] == "export");
    assert_eq!((&sealed["nonce"], &sealed["actor"]), (&json!("00ff17"), &json!("user 0")), "{sealed}");
    // A file that is there is left alone.
    let before = fs::read(&path).expect("an export");
    let (code, why) = said(&daemon.auditor(&["export", "-o", text(&path)]));
    assert!(code == Some(1) && why.contains("exists already"), "{code:?} {why}");
    assert!(fs::read(&path).expect("an export") == before);
}

#[test]
fn an_odoo_is_handed_its_own_records_and_no_other() {
    require!(support::a_daemon());
    let group = group();
    let daemon = daemon(&group);
    let (mut one, other) = (Puppet::start(&group, &daemon, "one.conf"), Puppet::start(&group, &daemon, "other.conf"));
    let (status, why) = one.ask("POST", "/v1/export", &json!({"instance": other.instance()}));
    assert_eq!(status, 403, "{why}");
    let (status, why) = as_nobody(&daemon, "/v1/export", "{}");
    assert_eq!(status, 403, "{why}");
    assert!(!daemon.events().iter().any(|event| event["class"] == "export"), "nothing was sealed");
    // What it gets is what root gets of it: by the same filter, with its own name in the record.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("own.nalx");
    let length = one.tell(&json!(["save", "/v1/export", {}, text(&path)]));
    assert!(length.as_u64() > Some(10_000), "{length}");
    let root = daemon.get("/v1/status")["root_key"].as_str().expect("a key").to_owned();
    for verify in [verify_offline, verify_in_python] {
        let (code, verdict) = verify(&["--key", &root, text(&path)]);
        assert_eq!(code, Some(0), "{verdict}");
    }
    let bytes = fs::read(&path).expect("an export");
    let names = |name: &str| bytes.windows(name.len()).any(|window| window == name.as_bytes());
    assert!(names("one.conf") && !names("other.conf"));
    let sealed = daemon.wait_for_event("the record of it", |event| event["class"] == "export");
    assert_eq!(sealed["actor"], format!("instance {}", one.instance()), "{sealed}");
    let asked = folder.path().join("asked.nalx");
    done(&daemon, &["export", "--instance", one.instance(), "-o", text(&asked)]);
    assert_eq!(verify_offline(&["--key", &root, text(&asked)]).0, Some(0));
}

#[test]
fn an_export_of_what_is_not_there_is_refused_in_a_sentence() {
    require!(support::a_daemon());
    let group = group();
    let daemon = daemon(&group);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.nalx");
    for (options, code, sentence) in [
        (&["--instance", "nobody"][..], 1, "no records of the instance"),
        (&["--from", "2001-01-01T00:00:00Z", "--to", "2001-01-02T00:00:00Z"], 1, "nothing was recorded"),
        (&["--from", "1h", "--to", "2h"], 1, "end before it begins"),
        (&["--from", "yesterday"], 2, "a span (10m, 2h)"),
        (&["--nonce", "xyz"], 2, "hexadecimal"),
        (&["--nonce", "123"], 2, "hexadecimal"),
        (&["--html", "--html"], 2, "--html"),
    ] {
        let arguments: Vec<&str> = ["export", "-o", text(&path)].iter().chain(options).copied().collect();
        let (found, why) = said(&daemon.auditor(&arguments));
        assert_eq!(found, Some(code), "{options:?}: {why}");
        assert!(why.contains(sentence), "{options:?}: {why}");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0, "{options:?}: nothing is left");
    }
    let (code, why) = said(&daemon.auditor(&["export"]));
    assert!(code == Some(2) && why.contains("--output"), "{why}");
}

#[test]
fn one_record_is_proven_by_a_small_file_without_the_daemon() {
    require!(support::a_daemon());
    let group = group();
    let mut daemon = daemon(&group);
    let odoo = Puppet::start(&group, &daemon, "proven.conf");
    let record = daemon
        .wait_for_event("a sealed record", |event| event["instance"] == odoo.instance() && event["sealed"] == true);
    let seq = record["seq"].to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("one.tlog-proof");
    let told = done(&daemon, &["prove", &seq, "-o", text(&path)]);
    let proof = fs::read_to_string(&path).expect("a proof");
    assert!(proof.len() < 3000, "about a kilobyte: {}", proof.len());
    assert!(daemon.stop().success());
    let printed = done(&daemon, &["prove", &seq]);
    assert!(printed.starts_with("c2sp.org/tlog-proof@v1\n"), "{printed}");
    let keys: Value = serde_json::from_str(&done(&daemon, &["keys", "--json"])).expect("JSON");
    let (root, log) = (keys["root"].as_str().expect("a key"), keys["log"].as_str().expect("a key"));
    assert!(told.contains(log), "{told}");
    let (code, verdict) = verify_offline(&["--key", log, text(&path)]);
    assert!(code == Some(0) && verdict.contains(&format!("record {seq} (EVENT)")), "{code:?} {verdict}");
    assert_eq!(verify_offline(&["--key", root, text(&path)]).0, Some(5), "the root's key says nothing of it");
    // The same under another name, and with one letter changed.
    let renamed = folder.path().join("renamed");
    fs::write(&renamed, &printed).expect("a file");
    assert_eq!(verify_offline(&["--key", log, text(&renamed)]).0, Some(0));
    let hash = proof.lines().nth(3).expect("a hash");
    let other = if hash.starts_with('A') { "B" } else { "A" };
    fs::write(&path, proof.replacen(hash, &format!("{other}{}", &hash[1..]), 1)).expect("a file");
    assert_eq!(verify_offline(&["--key", log, text(&path)]).0, Some(3));
    for (seq, code, sentence) in [("99999999", 1, "record 99999999 is not there"), ("x", 2, "invalid digit")] {
        let (found, why) = said(&daemon.auditor(&["prove", seq]));
        assert!(found == Some(code) && why.contains(sentence), "{seq}: {found:?} {why}");
    }
    let empty = Daemon::prepare(Scope::Odoo);
    let (code, why) = said(&empty.auditor(&["prove", "1"]));
    assert!(code == Some(1) && why.contains("there is no ledger"), "{why}");
}

/// A question of somebody without any right: the status, and the sentence.
fn as_nobody(daemon: &Daemon, path: &str, body: &str) -> (u64, String) {
    let mut curl = Command::new("setpriv");
    curl.args(["--reuid=65534", "--regid=65534", "--clear-groups", "curl", "--silent", "--show-error"]);
    curl.args(["--max-time", "20", "--write-out", "%{http_code}", "--unix-socket"]);
    let socket = daemon.run_folder().join("auditor.sock");
    let output = curl.arg(socket).args(["--data", body, &format!("http://auditor{path}")]).output().expect("curl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (body, status) = text.split_at(text.len() - 3);
    (status.parse().expect("a status"), body.to_owned())
}

#[test]
fn what_is_the_operators_is_nobody_elses() {
    require!(support::a_daemon());
    let group = group();
    let daemon = daemon(&group);
    let mut odoo = Puppet::start(&group, &daemon, "curious.conf");
    for (path, body) in [
        ("/v1/ledger/retain", r#"{"dry_run": true}"#),
        ("/v1/ledger/rotate", "{}"),
        ("/v1/ledger/answer", r#"{"text": "fine"}"#),
    ] {
        let (status, text) = odoo.post_text(path, body);
        assert!(status == 403 && text.contains("only root"), "{path}: {status} {text}");
        let (status, text) = as_nobody(&daemon, path, body);
        assert!(status == 403 && text.contains("only root"), "{path}: {status} {text}");
    }
    assert!(!daemon.events().iter().any(|event| event["reason"] == "demand"), "no key was made");
}

#[test]
fn without_a_daemon_the_operator_is_told_so() {
    require!(support::a_daemon());
    let daemon = Daemon::prepare(Scope::Odoo);
    let path = daemon.run_folder().join("x.nalx");
    for command in [
        &["retain"][..],
        &["retain", "--dry-run"],
        &["keys", "rotate"],
        &["export", "-o", text(&path)],
        &["ack", "records_missing", "--text", "fine"],
    ] {
        let (code, text) = said(&daemon.auditor(command));
        assert_eq!(code, Some(1), "{command:?}: {text}");
        assert!(text.contains("is `auditor run` running?"), "{command:?}: {text}");
    }
}

#[test]
fn a_configuration_says_how_long_is_kept_or_what_is_wrong_with_it() {
    require!(support::a_daemon());
    let daemon = Daemon::prepare(Scope::Odoo);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("auditor.toml");
    let check = |config: &str| {
        fs::write(&path, config).expect("a configuration");
        said(&daemon.auditor(&["config", "check", "--config", text(&path)]))
    };
    let (code, told) = check("[policy]\nretention_days = 90\n[retention]\nmax_gib = 5\n[verification]\nhour = 4\n");
    assert!(code == Some(0) && told.contains("for 90 days and up to 5 GiB, and never less than 30 days"), "{told}");
    assert!(told.contains("daily at 04:00 UTC"), "{told}");
    for (config, sentence) in [
        ("[retention]\nmin_days = 7\n", "min_days is from 30 to 3650: 7 is outside of that"),
        ("[retention]\nmax_gib = 0\n", "max_gib is from 1 to"),
        ("[verification]\nhour = 24\n", "hour is from 0 to 23"),
        ("[retention]\nkeep = 7\n", "line 2: unknown field"),
    ] {
        let (code, why) = check(config);
        assert!(code == Some(1) && why.contains(sentence), "{config}: {code:?} {why}");
    }
}

#[test]
fn what_is_typed_wrongly_is_a_usage_error() {
    require!(support::a_daemon());
    let daemon = Daemon::prepare(Scope::Odoo);
    for (command, sentence) in [
        (&["retain", "--days", "7"][..], "--days"),
        (&["keys", "rotat"], "rotate"),
        (&["ack", "records_missing"], "--text"),
    ] {
        let (code, text) = said(&daemon.auditor(command));
        assert_eq!(code, Some(2), "{command:?}: {text}");
        assert!(text.contains(sentence), "{command:?}: {text}");
    }
}
