//! Names of the other end, by a real daemon: name servers and servers in a network of their own, and something that the
//! daemon takes for an Odoo, in another.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use auditor_tests as support;
use serde_json::{Value, json};
use support::{Daemon, Group, Puppet, Scope, checkout, require, wait_for};
use tempfile::TempDir;

/// The name server of the host's choice, and one of nobody's.
const RESOLVER: &str = "198.51.100.1";
const OTHER: &str = "198.51.100.9";
/// Where the servers are, on an interface that is the Odoo's in no way.
const OUTSIDE: [&str; 8] = [
    "198.51.100.9/32",
    "203.0.113.10/32",
    "203.0.113.11/32",
    "203.0.113.12/32",
    "203.0.113.13/32",
    "203.0.113.14/32",
    "203.0.113.15/32",
    "2001:db8:1::10/128",
];

/// Two network namespaces with a wire between them. They go when this value is dropped.
struct Networks {
    inside: String,
    outside: String,
}

impl Networks {
    fn new() -> Self {
        static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = |what: &str| format!("na-{what}-{}-{number}", std::process::id());
        let it = Self { inside: name("in"), outside: name("out") };
        let (inside, outside) = (&it.inside, &it.outside);
        for step in [
            format!("netns add {inside}"),
            format!("netns add {outside}"),
            format!("-n {outside} link add out type veth peer name in netns {inside}"),
            format!("-n {outside} link set lo up"),
            format!("-n {inside} link set lo up"),
            format!("-n {outside} address add {RESOLVER}/24 dev out"),
            format!("-n {outside} address add 2001:db8::1/64 dev out nodad"),
            format!("-n {inside} address add 198.51.100.2/24 dev in"),
            format!("-n {inside} address add 2001:db8::2/64 dev in nodad"),
            format!("-n {outside} link set out up"),
            format!("-n {inside} link set in up"),
            format!("-n {inside} route add default via {RESOLVER}"),
            format!("-n {inside} -6 route add default via 2001:db8::1"),
        ] {
            ip(&step);
        }
        for address in OUTSIDE {
            ip(&format!("-n {outside} address add {address} dev lo"));
        }
        it
    }

    fn path(name: &str) -> PathBuf {
        Path::new("/run/netns").join(name)
    }
}

impl Drop for Networks {
    fn drop(&mut self) {
        for name in [&self.inside, &self.outside] {
            let _ = Command::new("ip").args(["netns", "delete", name]).status();
        }
    }
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("ip");
    assert!(status.success(), "ip {arguments}");
}

/// A daemon that watches one control group, what it takes for an Odoo, and the world. The order of the fields is the
/// order in which they end.
struct Stage {
    puppet: Puppet,
    daemon: Daemon,
    world: Child,
    _group: Group,
    _networks: Networks,
    _folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        let networks = Networks::new();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let resolvers = folder.path().join("resolv.conf");
        fs::write(&resolvers, format!("nameserver {RESOLVER}\noptions timeout:5\n")).expect("our own folder");
        let mut world = Command::new("nsenter")
            .arg(format!("--net={}", Networks::path(&networks.outside).display()))
            .arg("python3")
            .arg(checkout().join("tests/scenarios/names.py"))
            .args([RESOLVER, OTHER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("nsenter");
        let mut line = String::new();
        BufReader::new(world.stdout.take().expect("its output")).read_line(&mut line).expect("text");
        assert_eq!(line, "ready\n");
        let group = Group::new().expect("a control group");
        let daemon = Daemon::start(Scope::Group(group.path().to_path_buf()));
        let net = format!("--net={}", Networks::path(&networks.inside).display());
        let own_file = format!("mount --bind {} /etc/resolv.conf && exec \"$0\" \"$@\"", resolvers.display());
        let starter = ["nsenter", &net, "unshare", "--mount", "sh", "-c", &own_file];
        let mut puppet = Puppet::start_in(&group, &daemon, "names.conf", &starter);
        puppet.tell(&json!(["hook"]));
        Self { puppet, daemon, world, _group: group, _networks: networks, _folder: folder }
    }

    /// Goes to a host as a module; gives the flow's last record.
    fn reach(&mut self, host: &str, port: u16, module: &str, server_name: Option<&str>, wait: f64) -> Value {
        let ends = self.puppet.tell(&json!(["reach", host, port, module, server_name, wait]));
        let is_it = |it: &Value| it["class"] == "flow_ended" && it["opened"]["local"]["port"] == ends[1];
        self.daemon.wait_for_event(&format!("the end of the flow to {host}, from {ends}"), is_it)
    }

    /// The line of the report about a destination.
    fn line(&self, name: &str) -> Value {
        wait_for(&format!("{name} in the report"), || {
            let report = self.daemon.get("/v1/report");
            let lines = report["destinations"].as_array().cloned().unwrap_or_default();
            lines.into_iter().find(|line| line["destination"] == name)
        })
    }

    fn reasons(&self) -> Vec<String> {
        let report = self.daemon.get("/v1/report");
        let reasons = report["reasons"].as_array().cloned().unwrap_or_default();
        reasons.iter().filter_map(|reason| reason["id"].as_str().map(str::to_owned)).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.world.kill();
        let _ = self.world.wait();
    }
}

/// What a record says of the names of its flow, from the beginning to the end, and of the one that is shown.
fn told(record: &Value) -> (Vec<String>, Value, Value) {
    let names = |names: &Value| -> Vec<String> {
        let names = names.as_array().cloned().unwrap_or_default();
        names.iter().map(|it| format!("{}:{}", it["source"], it["name"]).replace('"', "")).collect()
    };
    let destination = &record["destination"];
    let all = [names(&record["opened"]["names"]), names(&record["names"])].concat();
    (all, json!([destination["name"], destination["named_by"]]), destination["class"].clone())
}

#[test]
fn a_flow_has_the_names_that_the_kernel_saw_and_its_class_is_theirs() {
    require!(support::a_daemon());
    let mut stage = Stage::new();
    let (dns, sni) = (json!("dns"), json!("sni"));
    for (host, port, server_name, names, shown, class) in [
        // By what was looked up, and by how the server was greeted.
        ("iap.odoo.com", 443, Some("iap.odoo.com"), "dns sni", json!(["iap.odoo.com", dns]), "documented"),
        ("www.shop.example", 80, None, "dns", json!(["www.shop.example", dns]), "third_party"),
        ("203.0.113.15", 443, Some("shop.example"), "sni", json!(["shop.example", sni]), "third_party"),
        // Nothing but an address.
        ("203.0.113.15", 80, None, "", json!([null, null]), "third_party"),
        // The vendor's: one flow by each witness, and one over IPv6.
        ("telemetry.mit-odoo.de", 80, None, "dns", json!(["telemetry.mit-odoo.de", dns]), "watched"),
        ("203.0.113.15", 443, Some("x.mit-odoo.de"), "sni", json!(["x.mit-odoo.de", sni]), "watched"),
        // An address that was looked up under another name is still called that.
        ("2001:db8:1::10", 80, None, "dns=telemetry.mit-odoo.de", json!(["telemetry.mit-odoo.de", dns]), "watched"),
        ("mit-odoo.de", 443, Some("mit-odoo.de"), "dns sni", json!(["mit-odoo.de", dns]), "documented"),
    ] {
        let ended = stage.reach(host, port, "vendor_demo", server_name, 0.0);
        let name = server_name.unwrap_or(host);
        let names: Vec<String> = names
            .split_whitespace()
            .map(|it| it.split_once('=').map_or_else(|| format!("{it}:{name}"), |(by, name)| format!("{by}:{name}")))
            .collect();
        assert_eq!(told(&ended), (names, shown, json!(class)), "{host}:{port} {server_name:?}");
    }
    let line = stage.line("telemetry.mit-odoo.de");
    assert_eq!((&line["named_by"], &line["vendor"], &line["class"]), (&dns, &json!("MIT"), &json!("watched")));
    assert_eq!(stage.line("x.mit-odoo.de")["named_by"], sni);
    assert!(stage.reasons().contains(&"watched_hosts".to_owned()), "{:?}", stage.reasons());
}

#[test]
fn a_look_up_is_no_operation_and_nothing_of_its_answer_but_the_name_is_kept() {
    require!(support::a_daemon());
    let mut stage = Stage::new();
    // One that is looked up, and never gone to; another that stands for the one that was asked for.
    stage.puppet.tell(&json!(["look_up", RESOLVER, "marker-7f3a.shop.example"]));
    let ended = stage.reach("www.shop.example", 443, "vendor_demo", Some("www.shop.example"), 0.0);
    assert_eq!(ended["destination"]["class"], "third_party");
    stage.line("www.shop.example");
    let asked = stage.daemon.events().into_iter().filter(|it| it["opened"]["remote"]["port"] == 53);
    let labels: Vec<Value> = asked.map(|it| it["opened"]["attribution"]["reason"].clone()).collect();
    // The one that the test made itself is claimed.
    assert!(labels.contains(&json!("resolver")) && !labels.contains(&json!("no-claim")), "{labels:?}");
    let report = stage.daemon.get("/v1/report");
    let severities = report["reasons"].as_array().into_iter().flatten().map(|reason| &reason["severity"]);
    assert!(severities.into_iter().all(|severity| severity == "note"), "{report:#}");
    for path in ["v1/records", "v1/report", "v1/status", "metrics"] {
        assert!(!stage.daemon.get_text(&format!("/{path}")).contains("marker-7f3a"), "{path}");
    }
    stage.daemon.stop();
    let mut folders = vec![stage.daemon.state()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let bytes = fs::read(&path).expect("a file");
            assert!(!bytes.windows(11).any(|it| it == b"marker-7f3a"), "{}", path.display());
        }
    }
    assert!(files > 2 && !stage.daemon.log().contains("marker-7f3a"));
}

#[test]
fn a_handshake_that_comes_late_names_the_flow_while_it_goes_on() {
    require!(support::a_daemon());
    let mut stage = Stage::new();
    let ended = stage.reach("203.0.113.15", 443, "vendor_demo", Some("late.mit-odoo.de"), 1.2);
    assert_eq!(ended["opened"]["names"], json!([]), "nothing was known when it was opened");
    assert_eq!(told(&ended).0, ["sni:late.mit-odoo.de"]);
    let interim = stage.daemon.events().into_iter().find(|it| it["class"] == "flow_interim").expect("told at once");
    assert_eq!((&interim["flow"], told(&interim)), (&ended["flow"], told(&ended)));
    assert!(interim["sample"]["kseq"].is_u64() && interim["sent"].is_null());
    let line = stage.line("late.mit-odoo.de");
    assert_eq!((&line["operations"], &line["class"]), (&json!(1), &json!("watched")));
    let lines = stage.daemon.get("/v1/report")["destinations"].clone();
    assert_eq!(lines.as_array().map(Vec::len), Some(1), "it counts under its name alone: {lines:#}");
    assert!(stage.reasons().contains(&"watched_hosts".to_owned()), "{:?}", stage.reasons());
    let verified = stage.daemon.auditor(&["verify"]);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert_eq!(verified.status.code(), Some(0), "{said}");
}

#[test]
fn what_a_name_server_of_the_modules_own_choice_says_is_the_modules_word() {
    require!(support::a_daemon());
    let mut stage = Stage::new();
    for tcp in [false, true] {
        stage.puppet.tell(&json!(["look_up", OTHER, "iap.odoo.com", tcp]));
        let ended = stage.reach("203.0.113.12", 443, "mit_sync", None, 0.0);
        let claimed = json!(["iap.odoo.com", "claim"]);
        assert_eq!(told(&ended), (vec!["claim:iap.odoo.com".to_owned()], claimed, json!("watched")), "over TCP: {tcp}");
    }
    stage.puppet.tell(&json!(["look_up", RESOLVER, "iap.odoo.com", true]));
    let ended = stage.reach("203.0.113.12", 443, "mit_sync", None, 0.0);
    assert_eq!(told(&ended).2, "documented", "{ended:#}");
}
