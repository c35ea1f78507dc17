//! What no ordinary Odoo does, in this machine's kernel; and what looks like it, and is not told of.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use auditor_common::event::Guard;
use auditor_tests::kernel_probe::Watched;
use auditor_tests::{a_daemon, lengths_of_calls, require, security_hooks, wait_for};
use auditor_userspace::decode::Event;
use serde_json::Value;
use tempfile::TempDir;

const SCENARIOS: &str = env!("CARGO_BIN_EXE_kernel-scenarios");

fn guards(watched: &Watched) -> Vec<&Guard> {
    watched.events.iter().filter_map(|event| if let Event::Guard(it) = event { Some(it) } else { None }).collect()
}

/// Plays a scenario, and says what was guarded in it.
fn play(scenario: &str) -> (Watched, Vec<String>) {
    let mut watched = Watched::start(SCENARIOS, &[scenario]);
    watched.finish();
    if watched.facts.contains_key("victim") {
        watched.name_processes(&["victim"]);
    }
    let guarded = watched.story().into_iter().filter(|line| line.contains("guarded")).collect();
    (watched, guarded)
}

/// What was guarded, all of it.
#[track_caller]
fn check(scenario: &str, told: &[&str]) -> Watched {
    let (watched, guarded) = play(scenario);
    assert_eq!(guarded, told, "{scenario}: {:#?}", watched.story());
    watched
}

#[test]
fn a_raw_socket_is_told_when_it_is_made() {
    require!(a_daemon());
    let told = [
        "child guarded: raw_socket of family 2 for protocol 1",
        "child guarded: raw_socket of family 10 for protocol 58",
    ];
    let watched = check("raw", &told);
    let cookies: Vec<u64> = guards(&watched).iter().map(|guard| guard.key.cookie).collect();
    assert_eq!(cookies, [watched.fact("four"), watched.fact("six")]);
    assert!(guards(&watched).iter().all(|guard| guard.key.netns != 0 && guard.header.tgid == watched.tgid()));
}

#[test]
fn a_raw_socket_from_before_is_told_at_its_first_use() {
    require!(lengths_of_calls());
    check("raw-before", &["child guarded: raw_socket of family 2 for protocol 1, opened before"]);
}

#[test]
fn a_packet_socket_is_told_once_by_its_first_use_at_the_latest() {
    require!(lengths_of_calls());
    for scenario in ["packet-sends", "packet-reads"] {
        let watched = check(scenario, &["child guarded: packet_socket of family 17"]);
        assert_eq!(guards(&watched)[0].key.cookie, watched.fact("cookie"), "{scenario}");
        assert_ne!(guards(&watched)[0].key.netns, 0);
    }
}

#[test]
fn a_packet_socket_is_told_when_it_is_made() {
    require!(security_hooks());
    let watched = check("packet-made", &["child guarded: packet_socket of family 17"]);
    assert_eq!(guards(&watched)[0].key.cookie, watched.fact("cookie"));
}

#[test]
fn a_descriptor_that_is_taken_out_of_another_process_is_told_each_time() {
    require!(security_hooks());
    let stolen = "child guarded: stolen_descriptor of victim";
    let watched = check("steals", &[stolen, stolen]);
    assert!(guards(&watched)[0].target_start_ns > guards(&watched)[0].header.process_start_ns, "it was born later");
}

#[test]
fn a_debugger_is_told_when_it_attaches() {
    require!(security_hooks());
    check("traces", &["child guarded: ptrace of victim"]);
}

#[test]
fn reading_anothers_memory_is_told_once_for_a_while() {
    require!(security_hooks());
    check("reads-memory", &["child guarded: ptrace of victim"]);
}

#[test]
fn what_ordinary_programs_do_is_not_told() {
    require!(a_daemon());
    for scenario in ["pings", "netlink", "looks"] {
        check(scenario, &[]);
    }
}

/// The daemon beside the scenarios, as root and without a service manager: a kernel that is booted for these tests has
/// nothing else. It is ended when this value is dropped.
struct Bare {
    folder: TempDir,
    daemon: Child,
}

impl Bare {
    fn watching(process: u32) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Self::auditor(folder.path());
        command.args(["run", "--scope", &format!("pid:{process}")]).stdout(Stdio::null());
        let it = Self { daemon: command.spawn().expect("the daemon"), folder };
        wait_for("the daemon to answer", || it.ask(&["status"]));
        it
    }

    fn program() -> PathBuf {
        Path::new(SCENARIOS).with_file_name("auditor")
    }

    fn auditor(folder: &Path) -> Command {
        let mut command = Command::new(Self::program());
        command.env("NETWORK_AUDIT_STATE_DIR", folder.join("state")).env("NETWORK_AUDIT_RUN_DIR", folder.join("run"));
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// What a command prints, if it has something to say.
    fn ask(&self, arguments: &[&str]) -> Option<String> {
        let output = Self::auditor(self.folder.path()).args(arguments).output().expect("auditor");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        (output.status.success() && !text.is_empty()).then_some(text)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn built() -> Result<(), String> {
    if Bare::program().is_file() { Ok(()) } else { Err("the daemon is not built: cargo build".to_owned()) }
}

#[test]
fn what_a_process_does_to_another_is_an_alarm_that_names_the_other() {
    require!(security_hooks());
    require!(built());
    for (scenario, what, count) in [("steals", "stolen_descriptor", 2), ("traces", "ptrace", 1)] {
        let mut doing = Command::new(SCENARIOS);
        let mut doing = doing.arg(scenario).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the scenario");
        let told = BufReader::new(doing.stdout.take().expect("it is piped")).lines();
        let told: Vec<String> = told.map_while(Result::ok).take_while(|line| line != "ready").collect();
        let victim = told[0].strip_prefix("victim ").expect("the first thing that it says");
        let bare = Bare::watching(doing.id());
        doing.stdin.take().expect("it is piped").write_all(b"go\n").expect("it waits");
        assert!(doing.wait().expect("a child").success(), "{scenario}");

        let reason = wait_for(what, || {
            let report: Value = serde_json::from_str(&bare.ask(&["report", "--json"])?).ok()?;
            let reasons = report["reasons"].as_array()?.clone();
            reasons.into_iter().find(|reason| reason["id"] == what && reason["count"] == count)
        });
        assert_eq!(reason["severity"], "alarm", "{reason:#}");
        let records = bare.ask(&["events", "-o", "json", "--guard", what]).expect("records");
        for line in records.lines() {
            let record: Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(record["target"]["tgid"].to_string(), victim, "{record:#}");
            assert_eq!(record["target"]["comm"], "kernel-scenario", "{record:#}");
            assert_eq!((&record["cookie"], &record["family"]), (&Value::Null, &Value::Null));
        }
        assert_eq!(records.lines().count(), count);
    }
}
