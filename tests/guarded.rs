//! What no ordinary Odoo does, from the system call to the verdict.

use auditor_tests::{Daemon, Group, Puppet, Scope, lengths_of_calls, require, wait_for};
use serde_json::{Value, json};

/// A daemon, and a process with the addon's hook that it takes for an Odoo.
struct Stage {
    puppet: Puppet,
    daemon: Daemon,
    group: Group,
}

impl Stage {
    fn new() -> Self {
        let group = Group::new().expect("a control group");
        let daemon = Daemon::start(Scope::Group(group.path().to_path_buf()));
        let mut puppet = Puppet::start(&group, &daemon, "guarded.conf");
        puppet.tell(&json!(["hook"]));
        Self { puppet, daemon, group }
    }

    /// The records of one kind, once there are so many.
    fn guards(&self, what: &str, count: usize) -> Vec<Value> {
        let path = format!("/v1/records?guard={what}");
        wait_for(&format!("{count} of {what}"), || {
            let records = lines(&self.daemon.get_text(&path));
            (records.len() >= count).then_some(records)
        })
    }

    /// The reason of this name, as soon as it counts so many.
    fn reason(&self, id: &str, count: u64) -> Value {
        wait_for(&format!("{count} of {id} in the report"), || {
            let report = self.daemon.get("/v1/report");
            let mut reasons = report["reasons"].as_array()?.clone().into_iter();
            reasons.find(|reason| reason["id"] == id && reason["count"] == count)
        })
    }

    fn verdict(&self) -> Value {
        self.daemon.get("/v1/report")["verdict"].clone()
    }

    /// What a command prints.
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.daemon.auditor(arguments);
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
}

#[test]
fn raw_and_packet_sockets_are_alarms_until_somebody_has_seen_them() {
    require!(lengths_of_calls());
    let mut stage = Stage::new();
    let bystander = Puppet::start(&stage.group, &stage.daemon, "bystander.conf");
    stage.puppet.tell(&json!(["raw_socket", "vendor_a"]));
    stage.puppet.tell(&json!(["packet_socket", "vendor_b"]));

    let raw = &stage.guards("raw_socket", 1)[0];
    assert_eq!((&raw["family"], &raw["protocol"]), (&json!("inet"), &json!("icmp")), "{raw:#}");
    let packet = &stage.guards("packet_socket", 1)[0];
    assert_eq!((&packet["family"], &packet["protocol"]), (&json!("packet"), &Value::Null), "{packet:#}");
    for (record, module) in [(raw, "vendor_a"), (packet, "vendor_b")] {
        let whose = (&record["attribution"]["module"], &record["attribution"]["label"]);
        assert_eq!(whose, (&json!(module), &json!("matched")), "what it sent says whose it is: {record:#}");
        assert_eq!(record["process"]["tgid"], stage.puppet.pid(), "{record:#}");
        assert_eq!(record["instance"], stage.puppet.instance(), "{record:#}");
        assert_eq!(record["target"], Value::Null);
    }

    stage.reason("raw_socket", 1);
    stage.reason("packet_socket", 1);
    let seq = raw["seq"].to_string();
    for (arguments, expected) in [
        (&["report"][..], &["ALARM", "1 raw socket opened", "auditor events --guard packet_socket --since"][..]),
        (&["events", "--guard", "raw_socket"], &["vendor_a", "matched", "GUARDED a raw socket for icmp"]),
        (&["explain", &seq], &["with a raw socket for icmp", "ALARM", "by the socket's cookie"]),
    ] {
        let told = stage.says(arguments);
        assert!(expected.iter().all(|words| told.contains(words)), "{arguments:?}: {expected:?} in {told}");
    }

    // The rows that a reason points at are those that it counts.
    for id in ["raw_socket", "packet_socket"] {
        let reason = stage.reason(id, 1);
        let filter = reason["filter"].as_object().expect("a filter");
        let query: Vec<String> = filter.iter().map(|(name, value)| query(name, value)).collect();
        let rows = lines(&stage.daemon.get_text(&format!("/v1/records?{}", query.join("&"))));
        assert_eq!(rows.len(), 1, "{id}: {filter:?}: {rows:#?}");
        assert_eq!(rows[0]["what"], *id);
    }
    let of_another = stage.daemon.get(&format!("/v1/report?instance={}", encoded(bystander.instance())));
    assert_eq!(of_another["verdict"], "all-clear", "{of_another:#}");

    // The sums are made anew from the ledger.
    assert!(stage.daemon.stop().success());
    stage.daemon.start_again();
    stage.reason("packet_socket", 1);
    assert_eq!(stage.reason("raw_socket", 1)["acknowledged"], Value::Null);
    assert_eq!(stage.verdict(), "alarm");

    for id in ["raw_socket", "packet_socket"] {
        let done = stage.daemon.auditor(&["ack", id, "--text", "a test of ours"]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    wait_for("the acknowledgements to count", || (stage.verdict() != "alarm").then_some(()));
    assert_eq!(stage.reason("raw_socket", 1)["acknowledged"]["text"], "a test of ours");
}

fn query(name: &str, value: &Value) -> String {
    format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), encoded))
}

fn encoded(text: &str) -> String {
    text.replace(' ', "%20")
}

#[test]
fn what_recurs_after_an_acknowledgement_is_an_alarm_again() {
    require!(lengths_of_calls());
    let mut stage = Stage::new();
    stage.puppet.tell(&json!(["raw_socket", "vendor_a"]));
    stage.reason("raw_socket", 1);
    assert!(stage.daemon.auditor(&["ack", "raw_socket", "--text", "once"]).status.success());
    wait_for("the acknowledgement to count", || (stage.verdict() != "alarm").then_some(()));
    stage.puppet.tell(&json!(["raw_socket", "vendor_b"]));
    assert_eq!(stage.reason("raw_socket", 2)["acknowledged"], Value::Null);
    assert_eq!(stage.verdict(), "alarm");
}

#[test]
fn what_only_looks_like_it_is_none() {
    require!(lengths_of_calls());
    let mut stage = Stage::new();
    stage.puppet.tell(&json!(["looks_around"]));
    // It is recorded after all that was done before it.
    stage.puppet.tell(&json!(["raw_socket", "vendor_a"]));
    stage.guards("raw_socket", 1);
    let guards: Vec<Value> = stage.daemon.events().into_iter().filter(|it| it["class"] == "guard").collect();
    assert_eq!(guards.len(), 1, "{guards:#?}");
}
