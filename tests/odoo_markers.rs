//! Secrets in bodies, header values, paths, queries, passwords, mail addresses, names and command arguments: none of them
//! is found anywhere in the auditor.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};

use auditor_tests as support;
use serde_json::{Value, json};
use support::{Daemon, Scene, require};
use tempfile::TempDir;

/// What every marker begins with.
const BEGINNING: &str = "zqxgeheimnis";

/// Where a marker is within bytes, in any writing of it, with what stands around it.
fn found(bytes: &[u8]) -> Option<String> {
    let in_base64 = (0..3).map(base64_of_beginning);
    let in_hexadecimal = BEGINNING.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let writings = in_base64.chain([BEGINNING.to_owned(), BEGINNING.to_uppercase(), in_hexadecimal]);
    writings.into_iter().find_map(|writing| {
        let at = bytes.windows(writing.len()).position(|window| window == writing.as_bytes())?;
        let around = &bytes[at.saturating_sub(60)..bytes.len().min(at + 60)];
        Some(String::from_utf8_lossy(around).into_owned())
    })
}

/// Those digits of its Base64 that do not depend on what stands before and behind.
fn base64_of_beginning(offset: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes = [&vec![0; offset][..], BEGINNING.as_bytes()].concat();
    let whole = bytes.as_chunks::<3>().0.iter().flat_map(|&[one, two, three]| {
        let triple = u32::from(one) << 16 | u32::from(two) << 8 | u32::from(three);
        [18, 12, 6, 0].map(|shift| DIGITS[(triple >> shift) as usize & 63] as char)
    });
    whole.skip(if offset == 0 { 0 } else { 4 }).collect()
}

fn check_none(what: &str, bytes: &[u8]) {
    assert!(!bytes.is_empty(), "{what} is empty: nothing was looked at");
    if let Some(around) = found(bytes) {
        panic!("a marker is in {what}: …{around}…");
    }
}

/// Asks from outside, with a marker wherever there is room for one; gives how many that were.
fn ask_with_markers(port: u16) -> usize {
    let mut count = 0;
    let mut mark = || {
        count += 1;
        format!("{BEGINNING}in{count:03}xqz")
    };
    let login = |mark: &mut dyn FnMut() -> String| {
        json!({"params": {"db": mark(), "login": mark(), "password": mark(), mark(): [mark()]}}).to_string()
    };
    for (method, path, body) in [
        ("GET", format!("/vendor_demo/hello/{}?{}={}", mark(), mark(), mark()), String::new()),
        ("GET", format!("/web/static/{}.png?{}", mark(), mark()), String::new()),
        ("GET", format!("/{}/{}?{}", mark(), mark(), mark()), String::new()),
        ("POST", format!("/web/session/authenticate?{}", mark()), login(&mut mark)),
        ("POST", "/jsonrpc".to_owned(), login(&mut mark)),
        ("POST", format!("/xmlrpc/2/common?{}", mark()), format!("<methodCall>{}</methodCall>", mark())),
        ("GET", format!("/websocket?{}", mark()), String::new()),
        (&mark().to_uppercase(), "/web/health".to_owned(), String::new()),
    ] {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Cookie: session_id={}; {}={}\r\nAuthorization: Bearer {}\r\nX-{}: {}\r\nContent-Length: {}\r\n\r\n",
            mark(),
            mark(),
            mark(),
            mark(),
            mark(),
            mark(),
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        stream.write_all(format!("{head}{body}").as_bytes()).expect("it reads");
        // A refusal may come as a reset, which is an answer as well.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    count
}

/// The rings of all processes of the group, as bytes.
fn rings(scene: &Scene) -> Vec<Vec<u8>> {
    let descriptors = |pid: u32| fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let paths = scene.group.processes().into_iter().flat_map(descriptors).map(|entry| entry.path());
    let is_ring = |path: &std::path::PathBuf| {
        fs::read_link(path).is_ok_and(|link| link.to_string_lossy().contains("memfd:network-audit-hints"))
    };
    paths.filter(is_ring).map(|path| fs::read(path).expect("a ring")).collect()
}

/// Every file below a folder, with its content.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    fs::read_dir(folder)
        .expect("a folder")
        .flatten()
        .flat_map(|entry| {
            let path = entry.path();
            if path.is_dir() {
                files(&path)
            } else {
                vec![(path.display().to_string(), fs::read(&path).expect("a file"))]
            }
        })
        .filter(|(_, content)| !content.is_empty())
        .collect()
}

/// Whoever listens while it happens: to the API's stream, and to `auditor events -f`.
struct Streams {
    folder: TempDir,
    listening: [(&'static str, Child); 2],
}

impl Streams {
    fn listen(daemon: &Daemon) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let into = |name: &str| fs::File::create(folder.path().join(name)).expect("a file");
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--no-buffer", "--unix-socket"]).arg(daemon.run_folder().join("auditor.sock"));
        let curl = curl.arg("http://auditor/v1/events").stdout(into("stream")).spawn().expect("curl");
        let mut follow = daemon.command();
        let follow = follow.args(["events", "-f", "-o", "json"]).stdout(into("follow")).spawn().expect("auditor");
        Self { folder, listening: [("stream", curl), ("follow", follow)] }
    }

    /// What they have heard.
    fn end(self) -> Vec<(&'static str, Vec<u8>)> {
        let heard = self.listening.map(|(name, mut child)| {
            child.kill().expect("it listens still");
            let _ = child.wait();
            (name, fs::read(self.folder.path().join(name)).expect("a file"))
        });
        heard.into()
    }
}

/// The tables of the auditor's addon.
fn tables(scene: &Scene) -> Vec<String> {
    let statement = "select table_name from information_schema.tables where table_name like 'network\\_audit%'";
    let tables = scene.odoo.sql(scene.odoo.database(), statement);
    let tables: Vec<String> = tables.lines().map(str::to_owned).collect();
    assert!(tables.len() >= 3, "{tables:?}");
    tables
}

/// An export with its page, and what is in the archive once it is unpacked; one record's proof; one record's story.
fn check_export(scene: &Scene) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("all.nalx");
    let path = path.to_str().expect("text");
    let output = scene.daemon.auditor(&["export", "--html", "-o", path]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    check_none("the export", &fs::read(path).expect("the export"));
    let unpacked = folder.path().join("unpacked");
    fs::create_dir(&unpacked).expect("a folder");
    let tar = Command::new("tar").arg("-xf").arg(path).arg("-C").arg(&unpacked).status().expect("tar");
    assert!(tar.success(), "an export is an archive");
    let files = files(&unpacked);
    assert!(files.iter().any(|(path, _)| path.ends_with("proof.html")), "it has a page");
    for (path, content) in &files {
        check_none(path, content);
    }
    let call = scene.daemon.wait_for_event("a call", |it| it["class"] == "call");
    let seq = call["seq"].to_string();
    for arguments in [["explain", &seq], ["prove", &seq]] {
        let said = scene.daemon.auditor(&arguments);
        check_none(arguments[0], &[said.stdout, said.stderr].concat());
    }
}

#[test]
fn what_is_said_over_the_wire_is_nowhere_in_the_auditor() {
    require!(support::an_odoo());
    let mut scene = Scene::new();
    let streams = Streams::listen(&scene.daemon);
    let mut count = ask_with_markers(scene.odoo.port());
    let planted = scene.odoo.rpc().call("vendor.demo", "plant_markers", &json!([format!("{BEGINNING}w")]));
    count += planted.as_array().expect("markers").len();
    let evented = scene.odoo.gevent();
    support::wait_for("the evented child", || evented.try_get("/web/health").is_ok().then_some(()));
    count += ask_with_markers(scene.odoo.gevent_port());
    let (status, body) = evented.get(&format!("/vendor_demo/plant?seed={BEGINNING}e"));
    assert_eq!(status, 200, "{body}");
    count += serde_json::from_str::<Value>(&body).expect("JSON").as_array().expect("markers").len();
    assert!(count >= 400, "only {count} markers were planted");
    // They went out, and can be found where they are.
    let truth = scene.servers.log().iter().map(Value::to_string).collect::<Vec<_>>().concat();
    assert!(found(truth.as_bytes()).is_some(), "the other end has seen markers");
    assert!(found(scene.odoo.log().as_bytes()).is_some(), "Odoo's own log has markers");
    for channel in ["requests", "urllib", "smtp", "imap", "pop3", "tls", "httpx", "ftp"] {
        scene.daemon.wait_for_event(&format!("a call by {channel}"), |it| {
            it["class"] == "call" && it["channel"] == channel && it["attribution"]["module"] == "vendor_demo"
        });
    }

    let rings = rings(&scene);
    assert!(rings.len() >= 2, "only {} rings", rings.len());
    for ring in &rings {
        check_none("a ring of claims", ring);
    }
    for path in [
        "healthz",
        "metrics",
        "v1/status",
        "v1/records",
        "v1/report",
        "v1/policy",
        "v1/catalogue",
        "v1/checkpoint",
        "v1/rollup",
        "v1/version",
    ] {
        check_none(path, scene.daemon.get_text(&format!("/{path}")).as_bytes());
    }
    for (what, said) in streams.end() {
        assert!(String::from_utf8_lossy(&said).contains("vendor_demo"), "{what} has said nothing");
        check_none(what, &said);
    }
    for arguments in [
        &["events"][..],
        &["events", "-o", "json"],
        &["flows"],
        &["modules"],
        &["destinations"],
        &["report"],
        &["status"],
        &["status", "--json"],
        &["verify"],
        &["keys"],
    ] {
        check_none(&arguments.join(" "), &scene.daemon.auditor(arguments).stdout);
    }
    scene.odoo.rpc().call("network.audit.record", "action_update", &json!([]));
    let copy = scene.odoo.rpc().call("network.audit.record", "search_read", &json!([[], []]));
    assert!(copy.as_array().is_some_and(|rows| rows.len() > 20), "Odoo has a copy: {}", copy.to_string().len());
    check_none("Odoo's copy of the records", copy.to_string().as_bytes());
    for table in tables(&scene) {
        let rows = scene.odoo.sql(scene.odoo.database(), &format!("select row_to_json(it) from {table} it"));
        assert!(found(rows.as_bytes()).is_none(), "{table}: {:?}", found(rows.as_bytes()));
    }
    check_export(&scene);
    assert!(scene.daemon.stop().success(), "{}", scene.daemon.log());
    check_none("the daemon's log", scene.daemon.log().as_bytes());
    for (path, content) in &files(&scene.daemon.state()) {
        check_none(path, content);
    }
}
