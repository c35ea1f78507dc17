//! `bench-app AUDITOR [RECORDS]`: what the app needs of an Odoo and of whoever looks at it, with as many records as are
//! kept: a real ledger of a million, a daemon that serves it, an Odoo whose cron takes it over, and a Chromium.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use auditor_common::body::{Attribution, Body, FlowOpened, Label};
use auditor_common::endpoint::Endpoint;
use auditor_tests::bench::{Row, print, row};
use auditor_tests::ledger::{Ledger, flow_ended, flow_opened, options};
use auditor_tests::{Daemon, Group, Odoo, Scope, Servers, Start, an_odoo, cgroup2_root, checkout, wait_for};
use auditor_userspace::chain::Now;
use auditor_userspace::clock;
use auditor_userspace::store::{Limits, OpenOptions};
use xtask::odoo::{Installation, setup};

/// The ledger's time: as many flows are opened and ended in it as there are records, evenly.
const SPAN_SECONDS: u64 = 23 * 3600;
/// A seal for so many flows, so that there are about as many as in a day of seals by the minute.
const FLOWS_A_SEAL: u64 = 350;
/// An Odoo that has not taken over a single record more for so long does not any more.
const STUCK: Duration = Duration::from_secs(40);

/// The Odoo that the flows are recorded of, as a daemon that watches its control group names it.
fn instance_in(group: &Group) -> String {
    let path = group.path().strip_prefix(cgroup2_root()).expect("it is below the root");
    format!("cgroup:/{}", path.display())
}

/// One flow of an Odoo with forty modules, that talks to 250 places: some private, some nobody explains.
fn nth_flow(number: u64, instance: &str, like: FlowOpened) -> FlowOpened {
    let (place, module) = ((number % 250) as u8, number % 40);
    let third = number.is_multiple_of(3);
    let remote = if third { [192, 0, 2, place] } else { [10, 1, 2, place] };
    let label = if number.is_multiple_of(9) { Label::Absent } else { Label::Matched };
    let named = label == Label::Matched;
    let module = named.then(|| format!("module_{module}"));
    FlowOpened {
        inbound: number.is_multiple_of(5),
        remote: Endpoint::v4(remote, 443),
        cookie: 1 + number,
        attribution: Attribution {
            label,
            chain: module.iter().cloned().collect(),
            site: named.then(|| "models/thing.py:17 go".to_owned()),
            module,
            database: None,
            ..like.attribution
        },
        instance: instance.to_owned(),
        ..like
    }
}

/// Writes a ledger of so many records into a state folder, through the store.
fn write(dir: &Path, records: u64, instance: &str) {
    let begun = clock::now().wall_ns - SPAN_SECONDS * 1_000_000_000;
    let limits = Limits { reserve_bytes: 1 << 20, ..Limits::default() };
    let now = Now { wall_ns: begun, boot_ns: 1_000_000_000 };
    let mut ledger = Ledger::open(dir, &OpenOptions { now, limits, ..options(0) }).expect("a new ledger");
    let flows = records / 2;
    for number in 0..flows {
        let opened = nth_flow(number, instance, flow_opened(ledger.sample()));
        let flow = ledger.append(&Body::FlowOpened(opened)).expect("an append");
        let ended = flow_ended(ledger.sample(), flow);
        ledger.append(&Body::FlowTraffic(ended)).expect("an append");
        let passed = SPAN_SECONDS * 1_000_000_000 / flows * number;
        ledger.now = Now { wall_ns: begun + passed, boot_ns: 1_000_000_000 + passed };
        if number % FLOWS_A_SEAL == 0 {
            ledger.seal().expect("a seal");
        }
    }
    ledger.stop().expect("a last seal");
}

/// Rows that Odoo has, as its database says.
fn rows(odoo: &Odoo) -> u64 {
    odoo.sql(odoo.database(), "select count(*) from network_audit_record").trim().parse().expect("a number")
}

/// Lets the cron take over everything; how many records a second it took.
fn take_over(odoo: &Odoo, records: u64) -> f64 {
    let due = "update ir_cron set nextcall = now() at time zone 'utc' where cron_name like 'Network Audit%'";
    let (begun, before) = (Instant::now(), rows(odoo));
    let (mut last, mut moved) = (before, begun);
    loop {
        // Its next turn would be in up to a minute: what counts is how much it takes over while it has one.
        odoo.sql(odoo.database(), due);
        odoo.wake_crons();
        std::thread::sleep(Duration::from_secs(3));
        let there = rows(odoo);
        if there >= records {
            return (there - before) as f64 / begun.elapsed().as_secs_f64();
        }
        if there > last {
            (last, moved) = (there, Instant::now());
        }
        assert!(moved.elapsed() < STUCK, "{there} of {records} records in {} s", begun.elapsed().as_secs());
    }
}

/// What a person waits for, seconds.
fn browse(odoo: &Odoo) -> BTreeMap<String, f64> {
    let chromium = setup::browser().expect("a browser");
    let installation = Installation::find().expect("an Odoo");
    let script = checkout().join("tests/bench/browse.py");
    let mut python = Command::new(installation.python());
    let output = python.arg("-B").arg(script).arg(chromium).arg(odoo.address()).output().expect("Python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn measure(auditor: &Path, records: u64) -> Vec<Row> {
    let group = Group::new().expect("a control group");
    let servers = Servers::start();
    let mut daemon = Daemon::prepare_with(Scope::Group(group.path().to_path_buf()), auditor);
    let begun = Instant::now();
    write(&daemon.state(), records, &instance_in(&group));
    eprintln!("bench: {records} records were written in {:.0} s", begun.elapsed().as_secs_f64());
    daemon.take_state();
    let begun = Instant::now();
    daemon.start_again();
    wait_for("the books to be whole", || daemon.is_ready().then_some(()));
    let whole = begun.elapsed().as_secs_f64();
    let folder = daemon.run_folder();
    let odoo = Odoo::start(Start { crons: 1, ..Start::new(&group, &folder, &servers) });
    let taken = take_over(&odoo, records / 2 * 2);
    eprintln!("bench: {} rows in Odoo, taken over at {taken:.0} records/s", rows(&odoo));
    odoo.sql(odoo.database(), "analyze network_audit_record");
    let begun = Instant::now();
    drop(daemon.get_text("/v1/report?window=1day"));
    let report = begun.elapsed().as_secs_f64();
    let found = browse(&odoo);
    for (what, seconds) in &found {
        eprintln!("bench: {what}: {seconds:.2} s");
    }
    let groups = found.iter().filter(|(what, _)| !what.starts_with("report") && *what != "list");
    let slowest = groups.map(|(_, seconds)| *seconds).fold(0.0, f64::max);
    let report_page = found["report"].max(found["report again"]);
    vec![
        row("Trust Report, from the client to the last panel", report_page, "s", 1.0, 0.5),
        row("Audit Log, the first page", found["list"], "s", 2.0, 1.0),
        row("Audit Log, the slowest of seven groupings", slowest, "s", 2.0, 1.0),
        row("the cron takes over", taken, "records/s", 200.0, 5_000.0),
        row("the daemon's report alone", report, "s", 0.5, 0.1),
        row("the daemon, from its start to whole books", whole, "s", 60.0, 10.0),
    ]
}

fn main() -> ExitCode {
    if let Err(reason) = an_odoo() {
        eprintln!("error: nothing can be measured here: {reason}");
        return ExitCode::FAILURE;
    }
    let mut arguments = std::env::args_os().skip(1);
    let Some(auditor) = arguments.next().map(PathBuf::from) else {
        eprintln!("usage: bench-app AUDITOR [RECORDS] (a release build; cargo xtask bench app gives it)");
        return ExitCode::from(2);
    };
    let records = arguments.next().and_then(|it| it.to_str()?.parse().ok()).unwrap_or(1_000_000);
    if print(&measure(&auditor, records)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
