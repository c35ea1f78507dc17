//! Lies, silence and hostile rings, by real processes against the real daemon: what is recorded, and what is not.

use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use auditor_tests as support;
use serde_json::{Value, json};
use support::{Daemon, Group, Puppet, Scope, require, wait_for};

/// A daemon that watches one control group, and somebody on loopback who accepts and hangs up.
struct Stage {
    daemon: Daemon,
    group: Group,
    port: u16,
}

impl Stage {
    fn new() -> Self {
        let group = Group::new().expect("a control group");
        let daemon = Daemon::start(Scope::Group(group.path().to_path_buf()));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        thread::spawn(move || listener.incoming().for_each(drop));
        Self { daemon, group, port }
    }

    /// A process with the addon's hook, of an instance of this name.
    fn puppet(&self, name: &str) -> Puppet {
        let mut puppet = Puppet::start(&self.group, &self.daemon, &format!("{name}.conf"));
        puppet.tell(&json!(["hook"]));
        puppet
    }

    /// The records of an instance.
    fn records(&self, instance: &str) -> Vec<Value> {
        let of_it = |record: &Value| record["instance"] == instance || record["opened"]["instance"] == instance;
        self.daemon.events().into_iter().filter(of_it).collect()
    }

    /// The records of an instance that say that somebody lied.
    fn alarms(&self, instance: &str) -> Vec<Value> {
        self.records(instance).into_iter().filter(contradicts).collect()
    }

    /// The flow that this instance opened to our server, once it is recorded.
    fn flow(&self, instance: &str) -> Value {
        let port = self.port;
        wait_for(&format!("a flow of {instance}"), || {
            let is_it = |it: &Value| it["class"] == "flow_opened" && it["remote"]["port"] == port;
            self.records(instance).into_iter().find(is_it)
        })
    }

    /// The losses of one kind.
    fn losses(&self, gap: &str) -> Vec<Value> {
        self.daemon.events().into_iter().filter(|it| it["class"] == "loss" && it["gap"] == gap).collect()
    }

    fn verdict(&self) -> Value {
        self.daemon.get("/v1/report")
    }
}

fn contradicts(record: &Value) -> bool {
    record["attribution"]["contradictions"].as_array().is_some_and(|list| !list.is_empty())
}

/// A line for each record.
fn shown(records: &[Value]) -> String {
    let line = |it: &Value| {
        json!([it["class"], it["change"], it["channel"], it["instance"], it["attribution"], it["process"]["comm"]])
    };
    records.iter().map(line).map(|line| line.to_string()).collect::<Vec<_>>().join("\n")
}

fn ids(report: &Value) -> Vec<&str> {
    report["reasons"].as_array().into_iter().flatten().filter_map(|reason| reason["id"].as_str()).collect()
}

#[test]
fn each_contradiction_is_one_alarm_record_and_nothing_else_is_one() {
    require!(support::a_daemon());
    let stage = Stage::new();
    let (host, port) = ("127.0.0.1", stage.port);
    let mut other = stage.puppet("other");
    let (instance, pid) = (other.instance().to_owned(), other.pid());
    other.tell(&json!(["connect", host, port, "vendor_x"]));
    let foreign = stage.flow(&instance)["cookie"].clone();
    // Threads are told apart within one instance: this process has one with the other.
    let attacks = [
        (1, json!(["other_address", host, port, "vendor_a"])),
        (2, json!(["two_voices", host, port, "vendor_a", "vendor_b"])),
        (3, json!(["masquerade", host, port, "vendor_a"])),
        (3, json!(["masquerade_child", "vendor_a"])),
        (3, json!(["file_of_another", host, port, "vendor_a", "vendor_b"])),
        (4, json!(["call_without_socket", "vendor_a"])),
        (4, json!(["call_over", foreign, "vendor_a"])),
        (5, json!(["spawn_by", pid, "vendor_a"])),
    ];
    let mut liars: Vec<(u8, &Value, Puppet)> = Vec::new();
    for (number, attack) in &attacks {
        // A thread is another process's only within the instance that both belong to.
        let name = if *number == 5 { "other".to_owned() } else { format!("liar-{}", liars.len()) };
        let mut puppet = stage.puppet(&name);
        puppet.tell(attack);
        liars.push((*number, attack, puppet));
    }
    for (number, attack, puppet) in &liars {
        let what = format!("the alarm of {attack}");
        let alarms = wait_for(&what, || Some(stage.alarms(puppet.instance())).filter(|it| !it.is_empty()));
        let [alarm] = &alarms[..] else { panic!("{what} is one record: {}", shown(&alarms)) };
        let attribution = &alarm["attribution"];
        assert_eq!(attribution["contradictions"], json!([number]), "{attack}: {alarm:#}");
        let of_a_child = attack[0] == "masquerade_child";
        let process = &alarm["process"][if of_a_child { "parent" } else { "tgid" }];
        assert_eq!(*process, puppet.pid(), "{attack}: {alarm:#}");
        let (class, channel) = match number {
            3 if of_a_child => ("process", Value::Null),
            4 => ("call", json!("socket")),
            5 => ("call", json!("spawn")),
            _ => ("flow_opened", Value::Null),
        };
        assert_eq!((&alarm["class"], &alarm["channel"]), (&json!(class), &channel), "{attack}: {alarm:#}");
        if *number == 5 {
            assert_eq!(alarm["cookie"], 0, "{attack}: {alarm:#}");
        }
    }
    // Time for a second record of anything: a commit, a seal, and the wait for the kernel's word.
    thread::sleep(Duration::from_secs(3));
    let all: Vec<Value> = stage.daemon.events().into_iter().filter(contradicts).collect();
    assert_eq!(all.len(), attacks.len(), "one record for each attack: {}", shown(&all));
    let report = wait_for("the verdict", || Some(stage.verdict()).filter(|it| it["verdict"] == "alarm"));
    let reason = report["reasons"].as_array().expect("reasons").iter().find(|it| it["id"] == "contradiction");
    assert_eq!(reason.expect("the reason")["count"], attacks.len(), "{report:#}");
}

#[test]
fn what_ordinary_code_does_contradicts_nothing() {
    require!(support::a_daemon());
    let stage = Stage::new();
    let (host, port) = ("127.0.0.1", stage.port);
    let mut puppets = Vec::new();
    for (at, ordinary) in [
        json!(["nonblocking", host, port, "vendor_a"]),
        json!(["again_by_another", host, port, "vendor_a", "vendor_b"]),
        json!(["shared_connection", host, port, "vendor_a", "vendor_b"]),
        json!(["call_at_the_end", host, port, "vendor_a"]),
        json!(["inherited_socket", host, port, "vendor_a"]),
        json!(["spawns", "vendor_a"]),
        json!(["spawn_and_end", "vendor_a"]),
        json!(["unbound_name", port, "vendor_a"]),
        json!(["datagrams_of_two", host, port, "vendor_a", "vendor_b"]),
        json!(["mapped_address", port, "vendor_a"]),
        json!(["any_address", port, "vendor_a"]),
        json!(["patched", host, port, "vendor_a", "vendor_b"]),
    ]
    .iter()
    .enumerate()
    {
        let mut puppet = stage.puppet(&format!("honest-{at}"));
        puppet.tell(ordinary);
        let connects = !["spawns", "spawn_and_end"].contains(&ordinary[0].as_str().expect("a name"));
        puppets.push((ordinary.clone(), connects, puppet));
    }
    for (ordinary, connects, puppet) in &puppets {
        if *connects {
            let flow = stage.flow(puppet.instance());
            assert_eq!(flow["attribution"]["label"], "matched", "{ordinary}: {flow:#}");
        }
    }
    // Longer than a call waits for the kernel's word, and than a seal is away.
    thread::sleep(Duration::from_secs(8));
    for (ordinary, _, puppet) in &puppets {
        let alarms = stage.alarms(puppet.instance());
        assert!(alarms.is_empty(), "{ordinary}: {}", shown(&alarms));
    }
    let report = stage.verdict();
    assert_eq!(report["verdict"], "all-clear", "{report:#}");
}

#[test]
fn a_lie_about_oneself_cannot_be_told_and_a_replay_gives_nobody_a_name() {
    require!(support::a_daemon());
    let stage = Stage::new();
    let (host, port) = ("127.0.0.1", stage.port);
    let mut liar = stage.puppet("liar");
    liar.tell(&json!(["own_lie", host, port, "somebody_else"]));
    let flow = stage.flow(liar.instance());
    assert_eq!(
        (&flow["attribution"]["label"], &flow["attribution"]["module"]),
        (&json!("matched"), &json!("somebody_else")),
        "its name is its own word: {flow:#}"
    );
    let mut player = stage.puppet("player");
    let own = player.tell(&json!(["replay", host, port, "vendor_a"]));
    let what = "the flow under the claim of another";
    let flow = stage.daemon.wait_for_event(what, |it| it["class"] == "flow_opened" && it["local"]["port"] == own);
    let attribution = &flow["attribution"];
    assert_eq!((&attribution["label"], &attribution["reason"]), (&json!("absent"), &json!("no-claim")), "{flow:#}");
    for puppet in [&liar, &player] {
        let alarms = stage.alarms(puppet.instance());
        assert!(alarms.is_empty(), "{}", shown(&alarms));
    }
}

#[test]
fn claims_that_are_overwritten_are_counted_and_the_next_one_counts() {
    require!(support::a_daemon());
    let stage = Stage::new();
    let mut puppet = stage.puppet("flood");
    puppet.tell(&json!(["connect", "127.0.0.1", stage.port, "vendor_a"]));
    stage.flow(puppet.instance());
    // While it does not look, more comes than the ring holds.
    xtask::process::signal(stage.daemon.pid(), libc::SIGSTOP);
    puppet.tell(&json!(["flood", 4096 + 900, "vendor_a"]));
    xtask::process::signal(stage.daemon.pid(), libc::SIGCONT);
    let losses = wait_for("the loss", || Some(stage.losses("hint-overrun")).filter(|it| !it.is_empty()));
    let [loss] = &losses[..] else { panic!("one loss: {losses:#?}") };
    assert_eq!(loss["count"], 900, "{loss:#}");
    let own = puppet.tell(&json!(["connect", "127.0.0.1", stage.port, "vendor_b"]));
    let flow = stage.daemon.wait_for_event("the next flow", |it| it["local"]["port"] == own);
    assert_eq!(flow["attribution"]["module"], "vendor_b", "{flow:#}");
    assert_eq!(stage.verdict()["verdict"], "attention");
}

#[test]
fn a_silenced_hook_is_declared_and_what_its_process_does_is_recorded() {
    require!(support::a_daemon());
    let stage = Stage::new();
    let ways = ["code", "table", "ctypes", "exception"];
    let mut puppets: Vec<(Puppet, Value)> = Vec::new();
    for way in ways {
        let mut puppet = stage.puppet(way);
        let port = puppet.tell(&json!(["listen"]));
        serve(&mut puppet, &port, Some("vendor_a"));
        puppet.tell(&json!(["silence", way]));
        puppets.push((puppet, port));
    }
    assert_eq!(stage.losses("claims-silenced"), Vec::<Value>::new(), "nothing is told before it is so");
    thread::sleep(Duration::from_secs(6));
    for (puppet, port) in &mut puppets {
        serve(puppet, port, Some("vendor_a"));
    }
    for (way, (puppet, _)) in ways.iter().zip(&mut puppets) {
        let process = format!("process {} ", puppet.pid());
        let loss = stage.daemon.wait_for_event(&format!("the silence of {way}"), |it| {
            it["gap"] == "claims-silenced" && it["detail"].as_str().is_some_and(|text| text.contains(&process))
        });
        assert_eq!(loss["count"], 1, "{way}: {loss:#}");
        let own = puppet.tell(&json!(["connect", "127.0.0.1", stage.port, "vendor_a"]));
        let what = format!("the flow of {way}");
        let flow = stage.daemon.wait_for_event(&what, |it| it["local"]["port"] == own && it["class"] == "flow_opened");
        assert_eq!(flow["attribution"]["label"], "absent", "{way}: {flow:#}");
    }
    assert_eq!(stage.losses("claims-silenced").len(), ways.len(), "each is told once");
    let report = stage.verdict();
    assert_eq!(report["verdict"], "attention", "{report:#}");
    assert!(ids(&report).contains(&"lost"), "{report:#}");
}

/// A hook that is silenced together with what says who serves: the kernel's word that its process accepts connections is
/// left, and is enough.
#[test]
fn a_hook_silenced_together_with_who_serves_is_declared_and_a_server_without_a_word_is_not() {
    require!(support::lengths_of_calls());
    let stage = Stage::new();
    // The last two are honest: of the first nobody says who serves (an address that no route has), and to whoever asks
    // the second whether it lives, Python does not listen any more; both hooks are heard of with each connection.
    let ways = [("code", true), ("table", true), ("ctypes", true), ("exception", true), ("", false), ("audit", false)];
    let mut puppets: Vec<(&str, bool, Puppet, Value)> = Vec::new();
    for (way, silenced) in ways {
        let mut puppet = stage.puppet(&format!("mute-{way}"));
        let port = puppet.tell(&json!(["listen"]));
        serve(&mut puppet, &port, Some("vendor_a"));
        if !way.is_empty() {
            puppet.tell(&json!(["silence", way]));
        }
        puppets.push((way, silenced, puppet, port));
    }
    for _ in 0..3 {
        thread::sleep(Duration::from_secs(3));
        for (_, _, puppet, port) in &mut puppets {
            serve(puppet, port, None);
        }
    }
    let losses = wait_for("a loss for each that was silenced", || {
        Some(stage.losses("claims-silenced")).filter(|losses| losses.len() >= 4)
    });
    // Two looks more, so that whoever is wrongly told of is told of.
    thread::sleep(Duration::from_secs(3));
    let all = stage.losses("claims-silenced");
    assert_eq!(all.len(), losses.len(), "each is told once: {all:#?}");
    for (way, silenced, puppet, _) in &puppets {
        let process = format!("process {} ", puppet.pid());
        let told = all.iter().any(|it| it["detail"].as_str().is_some_and(|text| text.contains(&process)));
        assert_eq!(told, *silenced, "{way}: {all:#?}");
    }
    assert_eq!(stage.verdict()["verdict"], "attention");
}

/// What is accepted waits for the claim of who serves it, past commits and seals. A daemon that dies meanwhile has lost
/// what it had counted, and the next one says how much that was.
#[test]
fn a_connection_that_waits_for_its_claim_when_the_daemon_dies_is_a_counted_loss() {
    require!(support::lengths_of_calls());
    let mut stage = Stage::new();
    let mut puppet = stage.puppet("waiting");
    let port = puppet.tell(&json!(["listen"]));
    let mut client = open(&port);
    puppet.tell(&json!(["hold"]));
    // A record that is durable later than that sample: what is lost lies before it, when somebody was looking.
    let own = puppet.tell(&json!(["connect", "127.0.0.1", stage.port, "vendor_a"]));
    stage.daemon.wait_for_event("a later flow", |it| it["local"]["port"] == own);
    stage.daemon.kill();
    let of_it = |it: &Value| it["class"] == "flow_opened" && it["direction"] == "in";
    stage.daemon.start_again();
    let losses = wait_for("the loss", || Some(stage.losses("uncommitted")).filter(|it| !it.is_empty()));
    let [loss] = &losses[..] else { panic!("one loss: {losses:#?}") };
    assert_eq!(loss["count"], 1, "{loss:#}");
    assert!(!stage.daemon.events().iter().any(of_it), "it was lost, and not recorded");
    // It goes on, and is seen when it is used again.
    std::io::Write::write_all(&mut client, b"y").expect("it is open");
    puppet.tell(&json!(["release"]));
    let flow = stage.daemon.wait_for_event("the connection from before", of_it);
    assert_eq!(flow["opened_before"], true, "{flow:#}");
    // The next death has nothing to count.
    stage.daemon.wait_for_event("a seal after it", |it| it["class"] == "flow_ended" && it["flow"] == flow["seq"]);
    stage.daemon.kill();
    stage.daemon.start_again();
    assert_eq!(stage.losses("uncommitted").len(), 1);
    let output = stage.daemon.auditor(&["verify"]);
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stdout));
}

/// A connection to the puppet's server, with something to read.
fn open(port: &Value) -> TcpStream {
    use std::io::Write as _;
    let port = port.as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    client.write_all(b"x").expect("it reads");
    client
}

/// A request to the puppet's server, which it answers as a controller of a module, or as nobody's.
fn serve(puppet: &mut Puppet, port: &Value, module: Option<&str>) {
    use std::io::Read as _;
    let mut client = open(port);
    puppet.tell(&json!(["serve", module]));
    client.read_to_end(&mut Vec::new()).expect("an answer");
}

#[test]
fn hostile_rings_harm_nobody() {
    require!(support::a_daemon());
    let stage = Stage::new();
    let mut honest = stage.puppet("honest");
    let kinds = ["random", "truncated", "cycle", "wrong_pid", "restless"];
    let mut hostile: Vec<Puppet> = Vec::new();
    for kind in kinds {
        let mut puppet = Puppet::start(&stage.group, &stage.daemon, &format!("{kind}.conf"));
        puppet.tell(&json!(["hostile_ring", kind]));
        hostile.push(puppet);
    }
    thread::sleep(Duration::from_secs(3));
    for (kind, puppet) in kinds.iter().zip(&mut hostile) {
        let own = puppet.tell(&json!(["connect", "127.0.0.1", stage.port]));
        let what = format!("the flow of {kind}");
        let flow = stage.daemon.wait_for_event(&what, |it| it["local"]["port"] == own && it["class"] == "flow_opened");
        assert_eq!(flow["attribution"]["label"], "absent", "{kind}: {flow:#}");
    }
    let own = honest.tell(&json!(["connect", "127.0.0.1", stage.port, "vendor_a"]));
    let flow = stage.daemon.wait_for_event("the honest flow", |it| it["local"]["port"] == own);
    assert_eq!(flow["attribution"]["module"], "vendor_a", "{flow:#}");
    // What is missing of a ring is declared, and not a flood of it.
    let losses = stage.losses("hint-failure");
    let of = |puppet: &Puppet| {
        let process = format!("process {} ", puppet.pid());
        losses.iter().filter(|it| it["detail"].as_str().is_some_and(|text| text.contains(&process))).count()
    };
    let told: Vec<(&str, usize)> = kinds.iter().copied().zip(hostile.iter().map(of)).collect();
    assert!(told[0].1 > 0 && told[1].1 > 0, "{told:?}");
    let output = stage.daemon.auditor(&["verify"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(4), "intact, and what is missing of claims is declared: {text}");
}
