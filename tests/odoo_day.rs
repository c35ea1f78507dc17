//! An ordinary day of an Odoo, in compressed time: whatever happens to every Odoo raises nothing, and every note in the
//! report at its end is one of those that are explained here.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use auditor_tests as support;
use serde_json::{Value, json};
use support::{Browser, Scene, Start, checkout, require, skip, wait_for};
use tempfile::TempDir;
use xtask::packages;

/// What happens, in a word, and what makes it happen.
type Event = (&'static str, fn(&mut Day));

/// The day, in this order.
const EVENTS: [Event; 36] = [
    ("the administrator logs in", |day| day.browser.log_in()),
    ("static files are read", |day| day.reads("/web/static/img/favicon.ico", 200)),
    ("the reverse proxy asks whether it is well", |day| day.reads("/web/health", 200)),
    ("a load balancer connects, and says nothing", |day| drop(connect(day.scene.odoo.port()))),
    ("somebody looks for a page that is not there", |day| day.reads("/wp-login.php", 404)),
    ("a robot speaks no HTTP", Day::no_http),
    ("RPC as XML", Day::xml_rpc),
    ("RPC as JSON", |day| assert!(day.count("res.partner") > 0)),
    ("a file is uploaded and read again", Day::upload),
    ("a language is added", Day::language),
    ("mail goes out", Day::mail_out),
    ("mail comes in by POP", |day| day.mail_in("pop")),
    ("mail comes in by IMAP", |day| day.mail_in("imap")),
    ("credits are asked for (IAP)", Day::credits),
    ("the publisher is told (warranty)", Day::warranty),
    ("a server action calls a webhook", Day::webhook),
    ("the administrator runs a scheduled action", Day::scheduled_action),
    ("the demonstration's button is pressed", |day| assert!(day.scene.press("requests").received > 0)),
    ("users hold websockets", Day::websockets),
    ("a client polls the bus", Day::polls),
    ("a report is printed", Day::report),
    ("a module is installed", |day| day.module("barcodes", "button_immediate_install", "installed")),
    ("a module is upgraded", |day| day.module("vendor_other", "button_immediate_upgrade", "installed")),
    ("a module is uninstalled", |day| day.module("barcodes", "button_immediate_uninstall", "uninstalled")),
    ("everything is due at once (crons)", Day::cron_storm),
    ("workers are recycled", Day::recycled),
    ("a worker is killed for its memory", Day::killed),
    ("the database is dumped", Day::backup),
    ("the dump is restored as a copy", Day::restore),
    ("somebody works in Odoo's shell", Day::shell),
    ("the log is rotated", Day::log_rotation),
    ("the configuration is read again (SIGHUP)", Day::hang_up),
    ("a second database is made", Day::second_database),
    ("Odoo's container is started anew", Day::container),
    ("the auditor is started anew, and the clock is set", Day::daemon_and_clock),
    ("nothing happens for a while", |_| thread::sleep(Duration::from_secs(8))),
];

/// Every note that the day leaves, and why it is there. Another one is a fault, and so is one that is missing.
const NOTES: [(&str, &str); 4] = [
    ("clock_set", "the clock was set, by three seconds back and forth, as time servers do"),
    ("lower_tier", "this host's kernel, or its mounts, let the auditor see less than it could: no part of the day"),
    ("recycled", "workers were recycled, killed and started anew with the server"),
    ("restarted", "the auditor was stopped and started, and said so"),
];

/// Where `libfaketime` is, which lets one process see another wall clock.
const CLOCK: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(support::PATIENCE)).expect("a socket");
    stream
}

struct Day {
    browser: Browser,
    scene: Scene,
    folder: TempDir,
    second: Option<String>,
    dump: String,
    /// What could not happen here: the note of which there is none then.
    missing: Vec<&'static str>,
}

impl Day {
    fn begin() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // Odoo's account writes its log here.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("our own folder");
        let log = format!("--logfile={}", folder.path().join("odoo.log").display());
        let addons = vec![checkout().join("tests/odoo_addons/vendor_day")];
        let scene = Scene::start(|start| Start {
            crons: 2,
            addons,
            arguments: vec![log],
            settings: vec![format!(
                "publisher_warranty_url = http://127.0.0.1:{}/warranty",
                start.servers.port("http")
            )],
            // A report is drawn without a screen.
            environment: vec![("QT_QPA_PLATFORM", "offscreen".to_owned())],
            ..start
        });
        let browser = Browser::new(&scene.odoo.address(), scene.odoo.database());
        Self { browser, scene, folder, second: None, dump: String::new(), missing: Vec::new() }
    }

    fn address(&self, server: &str) -> String {
        format!("http://127.0.0.1:{}", self.scene.servers.port(server))
    }

    fn reads(&self, path: &str, expected: u16) {
        let (status, body) = self.browser.get(path);
        assert_eq!(status, expected, "{path}: {}", String::from_utf8_lossy(&body));
    }

    fn call(&self, model: &str, method: &str, arguments: Value) -> Value {
        self.browser.call(model, method, &arguments, &json!({}))
    }

    fn create(&self, model: &str, values: Value) -> Value {
        self.call(model, "create", json!([values]))
    }

    fn count(&self, model: &str) -> u64 {
        let count = self.scene.odoo.rpc().call(model, "search_count", &json!([[]]));
        count.as_u64().expect("a number")
    }

    fn set(&self, parameter: &str, value: &str) {
        let _ = self.call("ir.config_parameter", "set_param", json!([parameter, value]));
    }

    /// The flow of this operation is in the ledger, and credited to this module.
    fn went_out(&self, operation: &str, module: &str) {
        let flow = self.scene.flow(&self.scene.servers.connection(operation));
        let attribution = &flow["opened"]["attribution"];
        assert_eq!((&attribution["label"], &attribution["module"]), (&json!("matched"), &json!(module)), "{flow:#}");
    }

    fn no_http(&mut self) {
        let mut stream = connect(self.scene.odoo.port());
        stream.write_all(b"\x16\x03\x01\x00\xa5\x01\x00\x00\n\n").expect("it reads");
        let _ = stream.read_to_end(&mut Vec::new());
    }

    fn xml_rpc(&mut self) {
        let call = "<?xml version='1.0'?><methodCall><methodName>version</methodName><params/></methodCall>";
        let (status, body) =
            self.browser.send("/xmlrpc/2/common", &["-H", "Content-Type: text/xml", "--data-binary", call]);
        assert!(status == 200 && String::from_utf8_lossy(&body).contains("19.0"), "{status}");
    }

    fn upload(&mut self) {
        let file = json!({"name": "ordinary.txt", "datas": "b3JkaW5hcnk="});
        let id = self.create("ir.attachment", file);
        assert_eq!(self.browser.get(&format!("/web/content/{id}")), (200, b"ordinary".to_vec()));
    }

    fn language(&mut self) {
        let found = self.browser.call(
            "res.lang",
            "search",
            &json!([[["code", "=", "de_DE"]]]),
            &json!({"context": {"active_test": false}}),
        );
        let wizard = self.create("base.language.install", json!({"lang_ids": [[6, 0, found]]}));
        let _ = self.call("base.language.install", "lang_install", json!([[wizard]]));
    }

    fn mail_out(&mut self) {
        let server = json!({
            "name": "ours", "smtp_host": "127.0.0.1", "smtp_port": self.scene.servers.port("smtp"),
            "smtp_encryption": "none", "smtp_authentication": "login",
        });
        let _ = self.create("ir.mail_server", server);
        let mail = json!({
            "subject": "ordinary", "body_html": "<p>day</p>", "email_from": "a@example.com", "email_to": "b@example.com",
            "headers": "{'X-Operation': 'mail-out'}",
        });
        let mail = self.create("mail.mail", mail);
        let _ = self.call("mail.mail", "send", json!([[mail]]));
        self.went_out("mail-out", "base");
    }

    fn mail_in(&mut self, kind: &str) {
        let port = self.scene.servers.port(if kind == "pop" { "pop3" } else { kind });
        let operation = format!("mail-in-{kind}");
        let server = self.create(
            "fetchmail.server",
            json!({"name": kind, "server_type": kind, "server": "127.0.0.1", "port": port, "is_ssl": false,
                   "user": operation, "password": "x"}),
        );
        let _ = self.call("fetchmail.server", "button_confirm_login", json!([[server]]));
        let _ = self.call("fetchmail.server", "fetch_mail", json!([[server]]));
        self.went_out(&operation, "mail");
    }

    fn credits(&mut self) {
        self.set("iap.endpoint", &self.address("http"));
        let service = self.create("iap.service", json!({
            "name": "Ordinary", "technical_name": "ordinary", "description": "x", "unit_name": "x", "integer_balance": true,
        }));
        let _ = self.create("iap.account", json!({"service_id": service}));
        let _ = self.call("iap.account", "get_credits", json!(["ordinary"]));
        self.went_out("balance", "iap");
    }

    fn warranty(&mut self) {
        let _ = self.call("publisher_warranty.contract", "update_notification", json!([[]]));
        self.went_out("warranty", "mail");
    }

    fn webhook(&mut self) {
        let model = self.call("ir.model", "search", json!([[["model", "=", "res.partner"]]]));
        let action = self.create(
            "ir.actions.server",
            json!({"name": "tell", "model_id": model[0], "state": "webhook",
                   "webhook_url": format!("{}/webhook", self.address("http"))}),
        );
        let context = json!({"context": {"active_model": "res.partner", "active_id": 1, "active_ids": [1]}});
        let _ = self.browser.call("ir.actions.server", "run", &json!([[action]]), &context);
        self.went_out("webhook", "base");
    }

    fn scheduled_action(&mut self) {
        let cron = self.call("ir.cron", "search", json!([[["cron_name", "ilike", "auto-vacuum"]]]));
        let _ = self.call("ir.cron", "method_direct_trigger", json!([[cron[0]]]));
    }

    fn websockets(&mut self) {
        let port = self.scene.odoo.gevent_port();
        let evented = self.scene.odoo.gevent();
        wait_for("the evented child", || evented.try_get("/web/health").is_ok().then_some(()));
        let mut users = Vec::new();
        for _ in 0..5 {
            let mut user = connect(port);
            let request = format!(
                "GET /websocket?version=19.0-2 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nOrigin: http://127.0.0.1\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            );
            user.write_all(request.as_bytes()).expect("it reads");
            let mut answer = [0; 12];
            user.read_exact(&mut answer).expect("an answer");
            assert_eq!(&answer, b"HTTP/1.1 101");
            users.push(user);
        }
        thread::sleep(Duration::from_secs(2));
    }

    fn polls(&mut self) {
        let _ = self
            .browser
            .ask("/websocket/peek_notifications", &json!({"channels": [], "last": 0, "is_first_poll": true}));
    }

    /// By wkhtmltopdf, which calls back.
    fn report(&mut self) {
        if let Err(error) = packages::install("test", &["wkhtmltopdf"]) {
            return skip(&format!("no report is printed without wkhtmltopdf: {error:#}"));
        }
        self.set("report.url", &self.scene.odoo.address());
        let (status, body) = self.browser.get("/report/pdf/base.report_irmodulereference/1");
        assert!(
            status == 200 && body.starts_with(b"%PDF"),
            "{status}: {}",
            String::from_utf8_lossy(&body[..body.len().min(4_000)])
        );
    }

    fn module(&mut self, name: &str, button: &str, becomes: &str) {
        let found = self.call("ir.module.module", "search", json!([[["name", "=", name]]]));
        let _ = self.call("ir.module.module", button, json!([found]));
        // Odoo reloads its registry, and may ask for another login.
        self.browser.log_in();
        let state = self.call("ir.module.module", "read", json!([found, ["state"]]))[0]["state"].clone();
        assert_eq!(state, becomes, "{name}");
    }

    fn cron_storm(&mut self) {
        for _ in 0..30 {
            self.scene.odoo.wake_crons();
        }
        let (odoo, database) = (&self.scene.odoo, self.scene.odoo.database());
        odoo.sql(database, "update ir_cron set nextcall = now() at time zone 'utc' - interval '1 hour' where active");
        wait_for("every cron to have run", || {
            odoo.wake_crons();
            let due =
                "select count(*) from ir_cron where active and nextcall < now() at time zone 'utc' - interval '30 min'";
            (odoo.sql(database, due) == "0").then_some(())
        });
    }

    /// What the master has started is another than before.
    fn until_others_work(&self, before: &[u32]) {
        wait_for("other workers", || {
            let now = self.scene.odoo.workers();
            let others = now.iter().filter(|pid| !before.contains(pid)).count();
            let _ = self.scene.odoo.rpc().try_get("/web/health");
            (others > 0).then_some(())
        });
    }

    fn recycled(&mut self) {
        self.scene.odoo.start_again_with(&self.scene.group, &["--limit-request=8"]);
        let before = self.scene.odoo.workers();
        self.until_others_work(&before);
    }

    /// As the kernel does when a control group's memory is used up.
    fn killed(&mut self) {
        let before = self.scene.odoo.workers();
        xtask::process::signal(before[0], libc::SIGKILL);
        self.until_others_work(&before);
        self.browser.log_in();
    }

    fn database_service(&self, method: &str, arguments: Value) -> Value {
        self.browser.ask("/jsonrpc", &json!({"service": "db", "method": method, "args": arguments}))
    }

    fn backup(&mut self) {
        let dump = self.database_service("dump", json!(["admin", self.scene.odoo.database(), "dump"]));
        dump.as_str().expect("a dump").clone_into(&mut self.dump);
        assert!(self.dump.len() > 100_000, "{} bytes", self.dump.len());
    }

    fn restore(&mut self) {
        let copy = format!("{}-copy", self.scene.odoo.database());
        self.scene.odoo.remove_later(&copy);
        // Longer than a command line: through a file.
        let file = self.folder.path().join("restore.json");
        let what = json!({"service": "db", "method": "restore", "args": ["admin", copy, self.dump, true]});
        fs::write(&file, json!({"jsonrpc": "2.0", "id": 1, "method": "call", "params": what}).to_string())
            .expect("a file");
        let body = format!("@{}", file.display());
        let (status, answer) =
            self.browser.send("/jsonrpc", &["-H", "Content-Type: application/json", "--data-binary", &body]);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(status == 200 && !answer.contains("\"error\""), "{status}: {answer}");
        self.dump.clear();
    }

    fn shell(&mut self) {
        let script = format!(
            "import requests\nprint('users', env['res.users'].search_count([]), \
             requests.get('{}/from-a-shell').status_code)\n",
            self.address("http")
        );
        let said = self.scene.odoo.run_beside(&self.scene.group, "shell", &["--no-http"], &script);
        assert!(said.contains("users") && said.contains("200"), "{said}");
        let flow = self.scene.flow(&self.scene.servers.connection("from-a-shell"));
        assert_eq!(flow["opened"]["attribution"]["origin"], "shell", "{flow:#}");
    }

    fn log_rotation(&mut self) {
        let (log, old) = (self.folder.path().join("odoo.log"), self.folder.path().join("odoo.log.1"));
        fs::rename(&log, old).expect("it logs there");
        wait_for("the new log", || {
            let _ = self.scene.odoo.rpc().try_get("/web/health");
            log.exists().then_some(())
        });
    }

    fn hang_up(&mut self) {
        let before = self.scene.odoo.workers();
        xtask::process::signal(self.scene.odoo.master(), libc::SIGHUP);
        wait_for("the new workers", || {
            let new = self.scene.odoo.workers().into_iter().filter(|pid| !before.contains(pid)).count();
            (new >= 3).then_some(())
        });
        let rpc = self.scene.odoo.rpc();
        wait_for("Odoo to answer", || rpc.try_get("/web/health").is_ok_and(|(status, _)| status == 200).then_some(()));
        self.browser.log_in();
    }

    fn second_database(&mut self) {
        let name = format!("{}-second", self.scene.odoo.database());
        self.scene.odoo.remove_later(&name);
        let _ = self.database_service("duplicate_database", json!(["admin", self.scene.odoo.database(), name]));
        self.scene.odoo.serve_also(&name, &self.scene.group);
        let (status, body) = self.scene.odoo.rpc_of(&name).get("/vendor_demo/press?channel=requests&operation=second");
        assert_eq!(status, 200, "{body}");
        let flow = self.scene.flow(&self.scene.servers.connection("second"));
        assert_eq!(flow["opened"]["attribution"]["database"], name, "{flow:#}");
        self.second = Some(name);
    }

    /// Without a warning, as some container engines do.
    fn container(&mut self) {
        self.scene.odoo.kill_and_start_again(&self.scene.group);
        self.browser.log_in();
    }

    /// The clock of the auditor alone is set: other programs of this machine are not to notice.
    fn daemon_and_clock(&mut self) {
        let set = self.folder.path().join("clock");
        fs::write(&set, "+0").expect("a file");
        let has_clock = packages::install("test", &["libfaketime"]).is_ok() && Path::new(CLOCK).exists();
        assert!(self.scene.daemon.stop().success(), "{}", self.scene.daemon.log());
        if has_clock {
            self.scene.daemon.set_environment(&[
                ("LD_PRELOAD", CLOCK.to_owned()),
                ("FAKETIME_TIMESTAMP_FILE", set.display().to_string()),
                ("FAKETIME_NO_CACHE", "1".to_owned()),
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ]);
        }
        self.scene.daemon.start_again();
        assert!(self.scene.press("requests").received > 0);
        if !has_clock {
            self.missing.push("clock_set");
            return skip("no clock is set without libfaketime");
        }
        for step in ["-3", "+0"] {
            // As a file that is whole at any moment: the auditor reads it with each look at the clock.
            let new = PathBuf::from(format!("{}.new", set.display()));
            fs::write(&new, step).expect("a file");
            fs::rename(&new, &set).expect("our own folder");
            thread::sleep(Duration::from_secs(3));
            assert!(self.scene.press("requests").received > 0);
        }
    }

    fn reasons(&self) -> (Value, Vec<Value>) {
        let report = self.scene.daemon.get("/v1/report");
        (report["verdict"].clone(), report["reasons"].as_array().cloned().unwrap_or_default())
    }
}

impl Drop for Day {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("odoo.log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().rev().take(80).collect();
            lines.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

#[test]
fn an_ordinary_day_ends_all_clear_and_every_note_is_explained() {
    require!(support::an_odoo());
    let mut day = Day::begin();
    for (what, happens) in EVENTS {
        let begun = Instant::now();
        happens(&mut day);
        println!("{:>6.1} s  {what}", begun.elapsed().as_secs_f64());
        let (verdict, reasons) = day.reasons();
        assert_eq!(verdict, "all-clear", "after \"{what}\": {reasons:#?}");
    }
    // What is wrong is told within two seals and two looks.
    thread::sleep(Duration::from_secs(12));
    let (verdict, reasons) = day.reasons();
    assert_eq!(verdict, "all-clear", "{reasons:#?}");
    let mut notes: Vec<&str> = reasons.iter().map(|it| it["id"].as_str().unwrap_or_default()).collect();
    notes.sort_unstable();
    let status = day.scene.daemon.get("/v1/status");
    if status["hooks"].as_array().is_some_and(|hooks| hooks.iter().all(|hook| hook["active"] == true)) {
        day.missing.push("lower_tier");
    }
    let explained: Vec<&str> = NOTES.iter().map(|note| note.0).filter(|id| !day.missing.contains(id)).collect();
    assert_eq!(notes, explained, "{reasons:#?}\nexplained are {NOTES:#?}");
    let events = day.scene.daemon.events();
    let lies =
        events.iter().filter(|it| it["attribution"]["contradictions"].as_array().is_some_and(|it| !it.is_empty()));
    assert_eq!(lies.count(), 0);
    let losses: Vec<&Value> = events.iter().filter(|it| it["class"] == "loss").collect();
    assert!(losses.is_empty(), "{losses:#?}");
    let output = day.scene.daemon.auditor(&["verify"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(4),
        "proven, but for the time between stop and start, which is declared: {text}"
    );
}
