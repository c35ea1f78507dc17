//! Whatever ends the daemon, what it acknowledged is there afterwards, and what is missing is said.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use auditor_common::body::{Body, Loss, Policy};
use auditor_common::verify::exit;
use auditor_tests::ledger::{Ledger, at, copy, options, read_if_asked, verify_here, verify_in_child, write};
use auditor_tests::{require, root};
use auditor_userspace::store::{PreviousRun, Reader, Store, StoreError, list_segments};

/// The program of a test that reads in a process of its own: see `verify_in_child`.
#[test]
fn the_reading_process() {
    read_if_asked();
}

const WRITER: &str = "NETWORK_AUDIT_TEST_WRITER";

/// The program of a test that writes until it is killed: says what is acknowledged, a number a line.
#[test]
fn the_writing_process() {
    let Some(dir) = std::env::var_os(WRITER) else { return };
    let second = std::fs::read_to_string(Path::new(&dir).join("second")).map_or(0, |text| text.parse().unwrap());
    let mut ledger = Ledger::open(Path::new(&dir), &options(second)).expect("a store");
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nopened {}", ledger.store.acknowledged()).expect("a parent");
    for round in 1_u64.. {
        for _ in 0..round % 9 {
            ledger.flow().expect("an append");
        }
        if round % 5 == 0 {
            ledger.wait(1);
            ledger.seal().expect("a seal");
        } else {
            ledger.store.commit().expect("a commit");
        }
        writeln!(out, "acknowledged {}", ledger.store.acknowledged()).expect("a parent");
    }
}

/// Starts the writer, kills it after it has acknowledged something for so long, and returns the last word it said.
fn write_and_kill(dir: &Path, after: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["the_writing_process", "--exact", "--nocapture", "--test-threads=1"])
        .env(WRITER, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (opened, is_open) = std::sync::mpsc::channel();
    let reading = std::thread::spawn(move || {
        let mut acknowledged = 0;
        for line in lines.map_while(Result::ok) {
            if let Some(count) = line.strip_prefix("acknowledged ").or(line.strip_prefix("opened ")) {
                acknowledged = count.parse().unwrap();
                let _ = opened.send(());
            }
        }
        acknowledged
    });
    is_open.recv().unwrap();
    std::thread::sleep(after);
    // SIGKILL, to this process alone.
    child.kill().unwrap();
    child.wait().unwrap();
    reading.join().unwrap()
}

#[test]
fn a_killed_daemon_loses_no_acknowledged_record() {
    let dir = tempfile::tempdir().unwrap();
    let mut interrupted = 0;
    for round in 0..12_u64 {
        std::fs::write(dir.path().join("second"), (round * 1000).to_string()).unwrap();
        let acknowledged = write_and_kill(dir.path(), Duration::from_millis(round * 23));
        let mut reader = Reader::on_files(&dir.path().join("0001"));
        let durable = reader.size().unwrap();
        assert!(durable >= acknowledged, "round {round}: {durable} of {acknowledged}");
        // Before anybody has opened it again, and with one gap more for each interruption after.
        let report = verify_in_child(dir.path());
        let expected = if round == 0 { exit::PROVEN } else { exit::GAPS };
        assert_eq!(report.exit(), expected, "round {round}: {}", report.to_text());
        interrupted += 1;
    }
    let (store, opened) = Store::open(dir.path(), &options(100_000)).unwrap();
    assert!(matches!(opened.previous, PreviousRun::Interrupted { .. }));
    assert_eq!((opened.run, opened.recovered.is_none(), store.unsealed()), (interrupted + 1, true, 0));
    drop(store);
    let report = verify_here(dir.path(), None);
    assert_eq!(report.exit(), exit::GAPS, "{}", report.to_text());
    assert!(report.to_text().contains("ended without saying so"), "{}", report.to_text());
}

/// Images of the disk after each step of a commit, as a crash would leave them, and whether they are gone on with.
#[test]
fn a_crash_after_any_step_of_a_commit_is_gone_on_from() {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("live");
    let mut images: Vec<(&str, PathBuf, u64)> = Vec::new();
    let mut ledger = Ledger::open(&live, &options(0)).unwrap();
    let mut take = |name: &'static str, acknowledged: u64| {
        let image = dir.path().join(name);
        copy(&live, &image);
        images.push((name, image, acknowledged));
    };
    take("opened", ledger.store.acknowledged());
    ledger.flow().unwrap();
    take("appended", ledger.store.acknowledged());
    ledger.store.commit().unwrap();
    take("committed", ledger.store.acknowledged());
    let head = std::fs::read(live.join("head")).unwrap();
    ledger.flow().unwrap();
    ledger.seal().unwrap();
    take("sealed", ledger.store.acknowledged());
    // Between the commit and the head file: the record was not acknowledged, and is there.
    take("sealed, head file not written", ledger.store.acknowledged());
    std::fs::write(dir.path().join("sealed, head file not written/head"), head).unwrap();
    // In the middle of writing the head file: one slot is torn, the other is the one before.
    take("sealed, head file torn", ledger.store.acknowledged());
    let path = dir.path().join("sealed, head file torn/head");
    let mut torn = std::fs::read(&path).unwrap();
    let newer = if torn[8..16] > torn[4104..4112] { 0 } else { 4096 };
    torn[newer + 300..newer + 4096].fill(0);
    std::fs::write(path, torn).unwrap();
    drop(ledger);

    for (name, image, acknowledged) in images {
        let before = verify_here(&image, None);
        assert_eq!(before.exit(), exit::PROVEN, "{name}: {}", before.to_text());
        let ledger = Ledger::open(&image, &options(100)).unwrap();
        assert!(ledger.opened.recovered.is_none(), "{name}");
        assert!(ledger.store.acknowledged() >= acknowledged, "{name}");
        ledger.stop().unwrap();
        let after = verify_here(&image, None);
        assert_eq!(after.exit(), exit::GAPS, "{name}: {}", after.to_text());
    }
}

/// A file system of this size, gone with the value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(kib: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={kib}k"), "network-audit-test"]).arg(dir.path());
        assert!(mount.status().unwrap().success(), "mount");
        Self(dir)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_sealed_as_full_and_nothing_acknowledged_is_lost() {
    require!(root());
    let disk = SmallDisk::new(12 * 1024);
    let state = disk.0.path().join("state");
    let mut ledger = Ledger::open(&state, &options(0)).unwrap();
    let mut acknowledged = 0;
    let error = loop {
        for _ in 0..100 {
            ledger.flow().unwrap();
        }
        match ledger.store.commit() {
            Ok(()) => acknowledged = ledger.store.acknowledged(),
            Err(error) => break error,
        }
    };
    let StoreError::DiskFull { sealed: Some(sealed), .. } = error else { panic!("{error}") };
    assert!(sealed >= acknowledged, "{sealed} of {acknowledged}");
    assert!(matches!(ledger.store.append(&Body::RunStop(stop()), ledger.now), Err(StoreError::Stopped)));
    drop(ledger);
    let report = verify_here(&state, None);
    assert_eq!((report.exit(), report.verdicts[0].unsealed), (exit::GAPS, 0), "{}", report.to_text());
    assert!(report.to_text().contains("disk-full"), "{}", report.to_text());

    // There is no room for the reserve now: nothing is begun that could not be ended well.
    match Store::open(&state, &options(100)) {
        Err(StoreError::DiskFull { .. }) => {}
        other => panic!("{other:?}"),
    }
    assert!(Command::new("mount").args(["-o", "remount,size=64m"]).arg(disk.0.path()).status().unwrap().success());
    let (_, opened) = Store::open(&state, &options(200)).unwrap();
    assert!(matches!(opened.previous, PreviousRun::Stopped { .. }));
}

fn stop() -> auditor_common::body::RunStop {
    auditor_common::body::RunStop { reason: "signal".to_owned() }
}

#[test]
fn a_clock_that_is_set_is_told_of_and_is_no_tampering() {
    for step in [-7200_i64, -2, 2, 7200] {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path(), &options(10_000)).unwrap();
        ledger.flow().unwrap();
        ledger.wait(1);
        ledger.now.wall_ns = ledger.now.wall_ns.checked_add_signed(step * 1_000_000_000).unwrap();
        ledger.flow().unwrap();
        ledger.wait(100);
        ledger.flow().unwrap();
        ledger.stop().unwrap();
        let report = verify_here(dir.path(), None);
        assert_eq!(report.exit(), exit::PROVEN, "{step} s: {}", report.to_text());
        assert!(report.to_text().contains("1 declared steps"), "{step} s: {}", report.to_text());
    }
}

#[test]
fn a_reboot_with_a_clock_that_went_back_is_no_tampering() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 2, 3);
    let mut options = options(0);
    // Seven days in the past, a few seconds after boot.
    options.now.wall_ns -= 7 * 86_400 * 1_000_000_000;
    options.now.boot_ns = 3_000_000_000;
    let mut ledger = Ledger::open(dir.path(), &options).unwrap();
    ledger.flow().unwrap();
    ledger.stop().unwrap();
    let report = verify_here(dir.path(), None);
    assert_eq!(report.exit(), exit::GAPS, "{}", report.to_text());
}

/// Appends records until the next one has this number.
fn fill(ledger: &mut Ledger, next: u64) {
    let loss = Loss { gap: 1, count: Some(1), from_wall_ns: None, until_wall_ns: None, detail: "a test".to_owned() };
    while ledger.append(&Body::Loss(loss.clone())).unwrap() + 1 < next {}
}

#[test]
fn a_daemon_that_is_killed_where_a_segment_has_no_record_yet_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(0);
    options.limits.segment_ns = 10_000_000_000;
    let mut ledger = Ledger::open(dir.path(), &options).unwrap();
    ledger.wait(20);
    fill(&mut ledger, 255);
    assert_eq!(ledger.seal().unwrap().size, 256);
    assert_eq!(list_segments(&dir.path().join("0001")).unwrap(), [0, 256]);
    drop(ledger);
    options.now = at(100);
    let ledger = Ledger::open(dir.path(), &options).unwrap();
    assert_eq!(ledger.opened.run, 2);
    assert!(matches!(ledger.opened.previous, PreviousRun::Interrupted { .. }));
    ledger.stop().unwrap();
    let report = verify_here(dir.path(), None);
    assert_eq!(report.exit(), exit::GAPS, "{}", report.to_text());
}

#[test]
fn a_ledger_that_begins_with_the_last_seal_of_an_epoch_is_no_tampering() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(0);
    options.limits.segment_ns = 10_000_000_000;
    let second = 1_000_000_000;
    options.policy = Policy { keep_ns: 30 * second, max_bytes: u64::MAX, min_ns: 0, actor: "a test".to_owned() };
    let mut ledger = Ledger::open(dir.path(), &options).unwrap();
    ledger.wait(20);
    fill(&mut ledger, 255);
    // 255 is ROTATE, and 256 the SEAL.
    let rotated = ledger.store.rotate(ledger.input(), ledger.now, "demand").unwrap();
    assert_eq!((rotated.size, list_segments(&dir.path().join("0001")).unwrap()), (257, vec![0, 256]));
    ledger.wait(100);
    let removed = ledger.store.retain("schedule", ledger.input(), ledger.now).unwrap().unwrap();
    assert_eq!(removed.min_index, 256);
    ledger.stop().unwrap();
    let report = verify_here(dir.path(), None);
    assert_eq!(report.exit(), exit::GAPS, "{}", report.to_text());
}
