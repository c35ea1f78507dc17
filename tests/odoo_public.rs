//! Public addons as their authors publish them, and Odoo's own ways out: each goes out by a client of its own to a real
//! server, and is credited.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use auditor_tests as support;
use serde_json::{Value, json};
use support::{Scene, Servers, Start, checkout, require, wait_for};
use xtask::account::Account;
use xtask::odoo::Installation;
use xtask::odoo::public::Public;

/// Something that is set up in an Odoo, and what is done with it.
struct Row {
    what: &'static str,
    /// Who is credited.
    module: &'static str,
    /// The server that it goes to.
    server: &'static str,
    /// The record that is made, in which model. What is in braces is the port of a server.
    model: &'static str,
    values: &'static str,
    /// Its method that goes out, and what it is called with; making it is enough where there is none.
    method: Option<(&'static str, &'static str)>,
}

const PUBLIC: [Row; 6] = [
    Row {
        what: "webservice: requests",
        module: "webservice",
        server: "http",
        model: "webservice.backend",
        values: r#"{"name": "w", "tech_name": "w", "protocol": "http", "auth_type": "none",
                    "url": "http://127.0.0.1:{http}/operations/webservice"}"#,
        method: Some(("call", r#"[{made}, "get"]"#)),
    },
    Row {
        what: "fs_storage: S3 by aiobotocore, in a thread of fsspec's",
        module: "fs_storage",
        server: "s3",
        model: "fs.storage",
        values: r#"{"name": "s3", "code": "s3", "protocol": "s3", "directory_path": "demo", "options":
                    "{\"key\": \"k\", \"secret\": \"s\", \"endpoint_url\": \"http://127.0.0.1:{s3}\"}"}"#,
        method: Some(("action_test_config", "[{made}]")),
    },
    Row {
        what: "fs_storage: FTP by ftplib",
        module: "fs_storage",
        server: "ftp",
        model: "fs.storage",
        values: r#"{"name": "ftp", "code": "ftp", "protocol": "ftp", "directory_path": "/demo", "options":
                    "{\"host\": \"127.0.0.1\", \"port\": {ftp}, \"username\": \"demo\", \"password\": \"demo\"}"}"#,
        method: Some(("action_test_config", "[{made}]")),
    },
    Row {
        what: "fs_storage: SFTP by paramiko",
        module: "fs_storage",
        server: "sftp",
        model: "fs.storage",
        values: r#"{"name": "sftp", "code": "sftp", "protocol": "sftp", "directory_path": "/demo", "options":
                    "{\"host\": \"127.0.0.1\", \"port\": {sftp}, \"username\": \"demo\", \"password\": \"demo\"}"}"#,
        method: Some(("action_test_config", "[{made}]")),
    },
    Row {
        what: "auto_backup: SFTP by pysftp",
        module: "auto_backup",
        server: "sftp",
        model: "db.backup",
        values: r#"{"method": "sftp", "folder": "/test", "sftp_host": "127.0.0.1", "sftp_port": {sftp},
                    "sftp_user": "demo", "sftp_password": "demo", "backup_format": "dump"}"#,
        method: Some(("action_sftp_test_connection", "[{made}]")),
    },
    Row {
        what: "auto_backup: a whole backup",
        module: "auto_backup",
        server: "sftp",
        model: "db.backup",
        values: r#"{"method": "sftp", "folder": "/backups", "sftp_host": "127.0.0.1", "sftp_port": {sftp},
                    "sftp_user": "demo", "sftp_password": "demo", "backup_format": "dump"}"#,
        method: Some(("action_backup", "[{made}]")),
    },
];

const ODOOS_OWN: [Row; 5] = [
    Row {
        what: "base_vat: SOAP by zeep",
        module: "base_vat",
        server: "soap",
        model: "res.partner",
        values: r#"{"name": "a company", "is_company": true, "vat": "BE0477472701"}"#,
        method: None,
    },
    Row {
        what: "IAP, for partner_autocomplete",
        module: "partner_autocomplete",
        server: "http",
        model: "res.partner",
        values: r#"{"name": "another company"}"#,
        method: Some(("enrich_by_domain", r#"["example.com"]"#)),
    },
    Row {
        what: "an outgoing mail server: smtplib",
        module: "base",
        server: "smtp",
        model: "ir.mail_server",
        values: r#"{"name": "out", "smtp_host": "127.0.0.1", "smtp_port": {smtp}, "smtp_encryption": "none",
                    "from_filter": "example.com"}"#,
        method: Some(("test_smtp_connection", "[{made}]")),
    },
    Row {
        what: "an incoming mail server: imaplib",
        module: "mail",
        server: "imap",
        model: "fetchmail.server",
        values: r#"{"name": "imap", "server_type": "imap", "server": "127.0.0.1", "port": {imap}, "is_ssl": false,
                    "user": "fetchmail-imap", "password": "demo"}"#,
        method: Some(("button_confirm_login", "[{made}]")),
    },
    Row {
        what: "an incoming mail server: poplib",
        module: "mail",
        server: "pop3",
        model: "fetchmail.server",
        values: r#"{"name": "pop", "server_type": "pop", "server": "127.0.0.1", "port": {pop3}, "is_ssl": false,
                    "user": "fetchmail-pop", "password": "demo"}"#,
        method: Some(("button_confirm_login", "[{made}]")),
    },
];

/// An Odoo with all of them, and what else they need.
fn scene(public: &Public, home: &Path) -> Scene {
    let servers = Servers::start_with_real_ones(&public.python());
    let mut addons = public.addons().expect("the addons");
    addons.push(checkout().join("tests/odoo_addons/vendor_public"));
    let account = Account::find().expect("an account");
    // pysftp wants to know the server, and zeep keeps a cache.
    fs::create_dir(home.join(".ssh")).expect("a folder");
    fs::write(home.join(".ssh/known_hosts"), known_hosts(&servers)).expect("a file");
    account.give(home).expect("its home");
    fs::set_permissions(home, fs::Permissions::from_mode(0o755)).expect("our own folder");
    Scene::start_with(servers, |start| Start {
        addons,
        libraries: Some(public.libraries()),
        environment: vec![("HOME", home.display().to_string()), ("ODOO_QUEUE_JOB_CHANNELS", "root:1".to_owned())],
        arguments: vec!["--load=base,rpc,web,mit_network_audit,queue_job".to_owned()],
        ..start
    })
}

fn known_hosts(servers: &Servers) -> String {
    let address = format!("http://127.0.0.1:{}/known_hosts", servers.port("soap"));
    let answer = ureq::get(&address).call().expect("an answer").body_mut().read_to_string().expect("text");
    assert!(answer.contains("ssh-ed25519"), "{answer}");
    answer
}

/// What went out since then, but to Odoo itself.
fn outgoing(scene: &Scene, from: u64) -> Vec<Value> {
    let own = scene.odoo.port();
    let mut events = scene.daemon.events();
    events.retain(|it| {
        it["class"] == "flow_opened"
            && it["direction"] == "out"
            && it["seq"].as_u64() >= Some(from)
            && it["remote"]["port"] != own
    });
    events
}

fn check(scene: &Scene, row: &Row) {
    let what = row.what;
    let from = scene.daemon.events().len() as u64;
    let before = seen(&scene.servers, row.server);
    let rpc = scene.odoo.rpc();
    let made = rpc.call(row.model, "create", &json!([[filled(row.values, &scene.servers)]]));
    if let Some((method, arguments)) = row.method {
        let answer = rpc.call(row.model, method, &parsed(&arguments.replace("{made}", &made.to_string())));
        assert_ne!(answer["params"]["type"], "danger", "{what}: {answer}");
    }
    wait_for(&format!("{what}: the server to see it"), || (seen(&scene.servers, row.server) > before).then_some(()));
    check_flows(scene, what, row.module, row.server, from);
}

/// Whatever went out since then is the module's, and some of it went to the server.
fn check_flows(scene: &Scene, what: &str, module: &str, server: &str, from: u64) {
    let port = scene.servers.port(server);
    let flows = wait_for(&format!("{what}: a flow to the server"), || {
        let flows = outgoing(scene, from);
        flows.iter().any(|flow| flow["remote"]["port"] == port).then_some(flows)
    });
    for flow in flows {
        let attribution = &flow["attribution"];
        assert_eq!(attribution["module"], module, "{what}: {flow:#}");
        assert_eq!(attribution["label"], "matched", "{what}: {flow:#}");
        assert_eq!(attribution["database"], scene.odoo.database(), "{what}: {flow:#}");
        assert_eq!(flow["remote"]["address"], "127.0.0.1", "{what}: {flow:#}");
    }
}

/// How much a server has in its log: requests, and connections that have ended.
fn seen(servers: &Servers, name: &str) -> usize {
    let port = servers.port(name);
    servers.log().iter().filter(|line| line["server"][1] == port).count()
}

/// Odoo ends, and so does what it keeps open: then each connection that a server had is a flow of as many bytes. (Of what
/// a server said, who hung up before may have read less.)
fn check_bytes(scene: &mut Scene, names: &[&str]) {
    scene.odoo.stop();
    let ports: Vec<u64> = names.iter().map(|name| scene.servers.port(name).into()).collect();
    let of = |port: &Value, sent: &Value, received: &Value| {
        let all = (port.as_u64()?, sent.as_u64()?, received.as_u64()?);
        ports.contains(&all.0).then_some(all)
    };
    let seen = || {
        let mut log = scene.servers.log();
        log.retain(|line| line["kind"] == "connection" && line["operations"] != json!(["known_hosts"]));
        log.iter().filter_map(|it| of(&it["server"][1], &it["received"], &it["sent"])).collect::<Vec<_>>()
    };
    let recorded = || {
        let mut events = scene.daemon.events();
        events.retain(|it| it["class"] == "flow_ended" && it["opened"]["direction"] == "out");
        events.iter().filter_map(|it| of(&it["opened"]["remote"]["port"], &it["sent"], &it["received"])).collect()
    };
    let (mut seen_last, mut recorded_last) = (Vec::new(), Vec::new());
    for _ in 0..30 {
        (seen_last, recorded_last) = (seen(), recorded());
        seen_last.sort_unstable();
        recorded_last.sort_unstable();
        let is_same = |(seen, recorded): (&(u64, u64, u64), &(u64, u64, u64))| {
            (seen.0, seen.1) == (recorded.0, recorded.1) && recorded.2 <= seen.2
        };
        let all = seen_last.len() == recorded_last.len() && seen_last.iter().zip(&recorded_last).all(is_same);
        if all && seen_last.len() >= names.len() {
            return;
        }
        thread::sleep(Duration::from_millis(500));
    }
    panic!("(server's port, sent, received): the servers {seen_last:?}, the ledger {recorded_last:?}");
}

/// A job that somebody else's code is put into: the runner asks Odoo for it, and Odoo runs it.
fn check_queue_job(scene: &Scene) {
    let rpc = scene.odoo.rpc();
    let backend = rpc.call("webservice.backend", "search", &json!([[], 0, 1]))[0].clone();
    let model = rpc.call("ir.model", "search", &json!([[["model", "=", "webservice.backend"]]]))[0].clone();
    let code = format!("env['webservice.backend'].browse({backend}).with_delay().call('get')");
    let action = json!([{"name": "later", "model_id": model, "state": "code", "code": code}]);
    let action = rpc.call("ir.actions.server", "create", &json!([action]))[0].clone();
    let from = scene.daemon.events().len() as u64;
    rpc.call("ir.actions.server", "run", &json!([[action]]));
    check_flows(scene, "queue_job: the job", "webservice", "http", from);
    let own = scene.odoo.port();
    let asked = scene.daemon.wait_for_event("the runner's request", |it| {
        it["class"] == "flow_opened" && it["direction"] == "out" && it["remote"]["port"] == own
    });
    let attribution = &asked["attribution"];
    assert_eq!((&attribution["module"], &attribution["label"]), (&json!("queue_job"), &json!("matched")), "{asked:#}");
}

/// Asked from outside: the controller of the route is nobody's, and the module is who answers.
fn check_fastapi(scene: &Scene) {
    let rpc = scene.odoo.rpc();
    let values = json!([{"name": "demo", "app": "demo", "root_path": "/api_demo", "demo_auth_method": "http_basic"}]);
    let made = rpc.call("fastapi.endpoint", "create", &json!([values]));
    rpc.call("fastapi.endpoint", "action_sync_registry", &json!([made]));
    wait_for("the route", || rpc.try_get("/api_demo/demo/").is_ok_and(|(status, _)| status == 200).then_some(()));
    let served = scene.daemon.wait_for_event("the call that was served", |it| {
        let origin = it["attribution"]["origin"].as_str().unwrap_or_default();
        it["class"] == "call" && it["channel"] == "serve" && origin.starts_with("route /api_demo/")
    });
    assert_eq!(served["attribution"]["module"], "fastapi", "{served:#}");
}

/// A webhook of Odoo's own, which goes out after the commit.
fn check_webhook(scene: &Scene) {
    let rpc = scene.odoo.rpc();
    let model = rpc.call("ir.model", "search", &json!([[["model", "=", "res.partner"]]]))[0].clone();
    let address = format!("http://127.0.0.1:{}/operations/webhook", scene.servers.port("http"));
    let action = json!([{"name": "tell", "model_id": model, "state": "webhook", "webhook_url": address}]);
    let action = rpc.call("ir.actions.server", "create", &json!([action]))[0].clone();
    let from = scene.daemon.events().len() as u64;
    let context = json!({"context": {"active_model": "res.partner", "active_id": 1, "active_ids": [1]}});
    rpc.call_with("ir.actions.server", "run", &json!([[action]]), &context);
    check_flows(scene, "a webhook", "base", "http", from);
}

/// Nothing of it is a lie, a loss or a failure of the hook.
fn check_verdict(scene: &Scene) {
    let report = scene.daemon.get("/v1/report");
    assert_eq!(report["verdict"], "all-clear", "{}", report["reasons"]);
}

fn with_public_addons(check: impl FnOnce(&mut Scene)) {
    require!(support::an_odoo());
    let installation = Installation::find().expect("an Odoo that is set up");
    let public = Public::set_up(&installation).map_err(|error| format!("{error:#}"));
    require!(public.as_ref().map(drop).map_err(Clone::clone));
    let home = tempfile::tempdir().expect("a folder");
    check(&mut scene(&public.expect("they are there"), home.path()));
}

#[test]
fn public_addons_are_credited_with_what_they_send_and_serve() {
    with_public_addons(|scene| {
        for row in &PUBLIC {
            check(scene, row);
        }
        check_queue_job(scene);
        check_fastapi(scene);
        check_verdict(scene);
        check_bytes(scene, &["http", "s3", "ftp", "sftp"]);
    });
}

#[test]
fn odoos_own_ways_out_are_credited() {
    with_public_addons(|scene| {
        let iap = format!("http://127.0.0.1:{}", scene.servers.port("http"));
        let parameter = json!(["iap.partner_autocomplete.endpoint", iap]);
        scene.odoo.rpc().call("ir.config_parameter", "set_param", &parameter);
        scene.odoo.rpc().call("res.company", "write", &json!([[1], {"vat_check_vies": true}]));
        for row in &ODOOS_OWN {
            check(scene, row);
        }
        check_webhook(scene);
        check_verdict(scene);
        check_bytes(scene, &["http", "soap", "smtp", "imap", "pop3"]);
    });
}

fn filled(text: &str, servers: &Servers) -> Value {
    let names = ["http", "s3", "ftp", "sftp", "smtp", "imap", "pop3"];
    let text = names
        .iter()
        .fold(text.to_owned(), |text, name| text.replace(&format!("{{{name}}}"), &servers.port(name).to_string()));
    parsed(&text)
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
