//! Every way out and in, under every kind of server that Odoo has: who is credited, by which label, with how many bytes.
//!
//! The other end's own log is the truth. What was measured is the table in the README, between its markers; with
//! `UPDATE_VECTORS=1` it is written there.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;

use auditor_tests as support;
use serde_json::{Value, json};
use support::{Connection, Scene, Start, published, require, wait_for};

/// Who goes out: how it is called in the demonstration, what people call it, and whether Python sees it.
struct Out(&'static str, &'static str, bool);

/// No audit event of Python fires for the last two: seen all the same, and credited to nobody.
const OUT: [Out; 18] = [
    Out("requests", "requests", true),
    Out("httpx", "httpx", true),
    Out("urllib", "urllib", true),
    Out("keep-alive", "requests, kept alive", true),
    Out("smtp", "smtplib", true),
    Out("imap", "imaplib", true),
    Out("pop3", "poplib", true),
    Out("tls", "a socket with TLS", true),
    Out("udp", "a datagram", true),
    Out("curl", "a child: curl", true),
    Out("double-fork", "a grandchild: bash, setsid, curl", true),
    Out("thread", "a thread", true),
    Out("pool", "a thread pool", true),
    Out("postcommit", "after the commit", true),
    Out("asyncio", "asyncio", true),
    Out("action", "code in the database", true),
    Out("psycopg2", "psycopg2 (C)", false),
    Out("ctypes", "ctypes (C)", false),
];

/// Who comes in: what is asked for, how people call it, and whose it is.
struct In(&'static str, &'static str, &'static str);

const IN: [In; 4] = [
    In("GET /vendor_demo/hello/world HTTP/1.1\r\n", "in: a controller", "vendor_demo"),
    In("GET /web/static/img/favicon.ico HTTP/1.1\r\n", "in: a static file", "web"),
    In("POST /jsonrpc HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 76\r\n", "in: RPC", "rpc"),
    In(
        "GET /websocket?version=19.0-2 HTTP/1.1\r\nUpgrade: websocket\r\nOrigin: http://127.0.0.1\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "in: a websocket",
        "bus",
    ),
];
const RPC_BODY: &str = r#"{"method":"call","params":{"service":"common","method":"version","args":[]}}"#;

/// One kind of server, as it was measured: labels by the name of the way, in the order of `OUT` and `IN`.
struct Column {
    name: &'static str,
    cells: Vec<Value>,
}

/// All that one scene says.
fn columns(scene: &Scene, names: &[(&'static str, Kind)]) -> Vec<Column> {
    names.iter().map(|&(name, kind)| Column { name, cells: kind.press(scene, name) }).collect()
}

/// How a worker is made to do something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Http,
    /// The same, by the evented child.
    Evented,
    Cron,
}

impl Kind {
    /// Presses every button; gives the label of each, which is checked.
    fn press(self, scene: &Scene, name: &str) -> Vec<Value> {
        if self == Self::Evented {
            // It is a program of its own, and comes later than the workers.
            let evented = scene.odoo.gevent();
            wait_for("the evented child", || evented.try_get("/web/health").is_ok().then_some(()));
        }
        let operations: Vec<String> = OUT.iter().map(|out| self.go_out(scene, out)).collect();
        if self == Self::Cron {
            wait_for("the cron to go out by every way", || {
                scene.odoo.wake_crons();
                scene.servers.log().iter().any(|line| line["operation"] == "cron-ctypes").then_some(())
            });
        }
        let mut cells: Vec<Value> = Vec::new();
        for (out, operation) in OUT.iter().zip(operations) {
            if out.0 == "keep-alive" {
                cells.push(Self::kept_alive(scene, name, &operation));
                continue;
            }
            let seen = scene.servers.connection(&operation);
            let flow = scene.flow(&seen);
            cells.push(self.check_out(scene, name, out, &flow, &seen));
        }
        let inbound = IN.iter().map(|it| if self == Self::Cron { json!("–") } else { self.check_in(scene, name, it) });
        cells.extend(inbound);
        cells
    }

    /// The operation that the other end has in its log.
    fn go_out(self, scene: &Scene, out: &Out) -> String {
        let channel = out.0;
        let (prefix, rpc) = match self {
            Self::Cron => return format!("cron-{channel}"),
            Self::Http => ("worker", scene.odoo.rpc()),
            Self::Evented => ("evented", scene.odoo.gevent()),
        };
        let operation = format!("{prefix}-{channel}");
        let (status, body) = rpc.get(&format!("/vendor_demo/press?channel={channel}&operation={operation}"));
        assert_eq!(status, 200, "{channel}: {body}");
        operation
    }

    fn check_out(self, scene: &Scene, name: &str, out: &Out, flow: &Value, seen: &Connection) -> Value {
        let Out(channel, _, by_python) = out;
        let opened = &flow["opened"];
        let attribution = &opened["attribution"];
        let expected = if *by_python { ("matched", json!("vendor_demo")) } else { ("absent", Value::Null) };
        let found = (attribution["label"].as_str().unwrap_or_default(), attribution["module"].clone());
        assert_eq!(found, expected, "{name}, {channel}: {flow:#}");
        if *by_python {
            let origin = attribution["origin"].as_str().unwrap_or_default();
            let begins = match self {
                Self::Cron => "cron ",
                _ if *channel == "action" => "server-action ",
                _ => "route /vendor_demo/press",
            };
            assert!(origin.starts_with(begins), "{name}, {channel}: {flow:#}");
            assert_eq!(attribution["database"], scene.odoo.database(), "{name}, {channel}: {flow:#}");
        }
        assert_eq!(
            (&flow["sent"], &flow["received"]),
            (&json!(seen.received), &json!(seen.sent)),
            "{channel}: {flow:#}"
        );
        assert_ne!(opened["instance"], "", "{name}, {channel}: {flow:#}");
        attribution["label"].clone()
    }

    /// A connection that is kept open has no end yet: its call is what is looked at.
    fn kept_alive(scene: &Scene, name: &str, operation: &str) -> Value {
        let (server, peer, turn) = scene.servers.open_connection(operation);
        let what = format!("{name}, the call that is kept alive");
        let is_of = |it: &Value| {
            it["class"] == "flow_opened"
                && it["direction"] == "out"
                && (&it["local"]["port"], &it["remote"]["port"]) == (&json!(peer), &json!(server))
        };
        let flow = wait_for(&what, || scene.daemon.events().into_iter().filter(is_of).nth(turn));
        let call = scene.daemon.wait_for_event(&what, |it| it["class"] == "call" && it["flow"] == flow["seq"]);
        for it in [&flow, &call] {
            assert_eq!(it["attribution"]["module"], "vendor_demo", "{what}: {it:#}");
        }
        assert_eq!(call["channel"], "requests", "{what}: {call:#}");
        call["attribution"]["label"].clone()
    }

    fn check_in(self, scene: &Scene, name: &str, it: &In) -> Value {
        let In(head, what, module) = it;
        let websocket = head.contains("websocket");
        let port = match self {
            Self::Evented => scene.odoo.gevent_port(),
            // A prefork worker has no websocket: the evented child does.
            _ if websocket && scene.odoo.is_prefork() => return json!("–"),
            _ => scene.odoo.port(),
        };
        let (own, answer) = converse(port, head, websocket);
        let good = if websocket { "HTTP/1.1 101" } else { " 200 OK" };
        assert!(answer.lines().next().is_some_and(|line| line.contains(good)), "{name}, {what}: {answer}");
        let flow = scene.daemon.wait_for_event(&format!("{name}, {what}"), |flow| {
            flow["class"] == "flow_opened" && flow["direction"] == "in" && flow["remote"]["port"] == own
        });
        let attribution = &flow["attribution"];
        assert_eq!(attribution["module"], *module, "{name}, {what}: {flow:#}");
        assert_eq!(attribution["label"], "matched", "{name}, {what}: {flow:#}");
        assert_eq!(flow["remote"]["address"], "127.0.0.0", "a client's address is cut: {flow:#}");
        assert_eq!(flow["local"]["port"], port, "{name}, {what}: {flow:#}");
        attribution["label"].clone()
    }
}

/// One request, on a connection of its own; gives our port, and the answer.
fn converse(port: u16, head: &str, upgrades: bool) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(support::PATIENCE)).expect("a socket");
    let connection = if upgrades { "Upgrade" } else { "close" };
    let body = if head.starts_with("POST") { RPC_BODY } else { "" };
    let request = format!("{head}Host: 127.0.0.1:{port}\r\nConnection: {connection}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).expect("it reads");
    let own = stream.local_addr().expect("an address").port();
    let mut answer = Vec::new();
    if upgrades {
        let mut piece = [0; 4096];
        while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
            let count = stream.read(&mut piece).expect("an answer");
            assert!(count > 0, "{}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&piece[..count]);
        }
    } else {
        stream.read_to_end(&mut answer).expect("an answer");
    }
    (own, String::from_utf8_lossy(&answer).into_owned())
}

fn table(columns: &[Column]) -> String {
    let ways = OUT.iter().map(|out| out.1).chain(IN.iter().map(|it| it.1));
    let line = |first: &str, cells: &mut dyn Iterator<Item = String>| {
        format!("| {first} | {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    let mut text = line("way", &mut columns.iter().map(|it| it.name.to_owned()));
    text.push_str(&line("---", &mut columns.iter().map(|_| "---".to_owned())));
    for (row, way) in ways.enumerate() {
        let cell = |column: &Column| column.cells[row].as_str().unwrap_or("?").replace("matched", "✓ matched");
        text.push_str(&line(way, &mut columns.iter().map(cell)));
    }
    text
}

/// Whatever this Odoo did, nobody lied, nothing was lost, and the verdict is clear.
fn check_verdict(scene: &Scene) {
    let lies: Vec<Value> = scene
        .daemon
        .events()
        .into_iter()
        .filter(|it| it["attribution"]["contradictions"].as_array().is_some_and(|list| !list.is_empty()))
        .collect();
    assert!(lies.is_empty(), "{lies:#?}");
    let report = scene.daemon.get("/v1/report");
    assert_eq!(report["verdict"], "all-clear", "{}", report["reasons"]);
}

#[test]
fn every_way_is_credited_in_every_kind_of_server() {
    require!(support::an_odoo());
    let all = OUT.map(|out| out.0).join(",");
    let measure = |workers, names: &[(&'static str, Kind)]| {
        let environment = vec![("VENDOR_DEMO_CRON", all.clone())];
        let scene = Scene::start(|start| Start { workers, crons: 1, environment, ..start });
        let columns = columns(&scene, names);
        check_verdict(&scene);
        columns
    };
    let measured = thread::scope(|scope| {
        let prefork = scope.spawn(|| {
            measure(2, &[("prefork", Kind::Http), ("prefork, cron", Kind::Cron), ("evented", Kind::Evented)])
        });
        let mut columns = measure(0, &[("threaded", Kind::Http), ("threaded, cron", Kind::Cron)]);
        let mut measured = prefork.join().expect("prefork");
        measured.append(&mut columns);
        measured
    });
    published::check("tests/odoo_modes.rs", &table(&measured));
}
