//! What happens to every ledger in its life, and is no tampering: neither verifier calls it so.

use std::path::Path;
use std::sync::Arc;

use auditor_common::body::{Body, CpuMark, Export, Loss, Policy, Unrecorded};
use auditor_common::verify::exit;
use auditor_tests::bundle::Bundle;
use auditor_tests::ledger::{Ledger, at, copy, options, verify_here};
use auditor_tests::power::{Fault, SimulatedDisk, Survives, folder};
use auditor_tests::second::{Both, Brought};
use auditor_userspace::export::Request;
use auditor_userspace::store::schema::{META, META_SCHEMA};
use auditor_userspace::store::{Limits, OpenOptions, Store, StoreError};

const HOUR: u64 = 3600;

/// Epochs of some seconds, so that a test sees several.
fn short(second: u64) -> OpenOptions {
    let limits =
        Limits { epoch_ns: 8_000_000_000, segment_ns: 10_000_000_000, reserve_bytes: 1 << 20, ..Limits::default() };
    OpenOptions { limits, ..options(second) }
}

fn begin(dir: &Path) -> Ledger {
    Ledger::open(dir, &short(0)).unwrap()
}

fn live(ledger: &mut Ledger, seconds: u64) {
    for _ in 0..seconds {
        for _ in 0..5 {
            ledger.flow().unwrap();
        }
        ledger.wait(1);
        ledger.seal().unwrap();
    }
}

/// The life of a ledger; then its store and the export that is asked for are good, as far as is to be expected.
fn check(expected: u8, request: &Request, life: impl FnOnce(&Path) -> Ledger) {
    let mut both = match Both::start() {
        Ok(both) => both,
        Err(reason) => return auditor_tests::skip(&reason),
    };
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = life(dir.path());
    let report = verify_here(dir.path(), Some(&ledger.opened.root));
    assert!(matches!(report.exit(), exit::PROVEN | exit::GAPS), "the store: {}", report.to_text());
    let bundle = Bundle::of(dir.path(), &mut ledger, request);
    let heard = both.files(&bundle, &Brought::key(&ledger.opened.root)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(heard.said.exit, expected, "{}", heard.rust);
}

fn whole() -> Request {
    Request::default()
}

fn slice(from: u64, to: u64) -> Request {
    Request { from_wall_ns: Some(at(from).wall_ns), to_wall_ns: Some(at(to).wall_ns), ..whole() }
}

fn of(instance: &str) -> Request {
    Request { instance: Some(instance.to_owned()), ..whole() }
}

/// The auditor ends like this, and is there again later.
fn again(dir: &Path, second: u64, end: impl FnOnce(Ledger)) -> Ledger {
    let mut ledger = begin(dir);
    live(&mut ledger, 3);
    end(ledger);
    let mut ledger = Ledger::open(dir, &short(second)).unwrap();
    live(&mut ledger, 3);
    ledger
}

#[test]
fn a_ledger_with_nothing_but_its_beginning() {
    check(exit::PROVEN, &whole(), begin);
}

#[test]
fn one_flow() {
    check(exit::PROVEN, &whole(), |dir| {
        let mut ledger = begin(dir);
        ledger.flow().unwrap();
        ledger
    });
}

#[test]
fn a_day_on_which_nothing_happens_but_seals() {
    check(exit::PROVEN, &whole(), |dir| {
        let mut ledger = begin(dir);
        for _ in 0..60 {
            ledger.wait(5);
            ledger.seal().unwrap();
        }
        ledger
    });
}

#[test]
fn keys_that_were_renewed_and_erased() {
    check(exit::PROVEN, &whole(), |dir| {
        let mut ledger = begin(dir);
        live(&mut ledger, 40);
        ledger
    });
}

#[test]
fn a_key_that_is_renewed_on_demand() {
    check(exit::PROVEN, &whole(), |dir| {
        let mut ledger = begin(dir);
        live(&mut ledger, 2);
        ledger.store.rotate(ledger.input(), ledger.now, "demand").unwrap();
        ledger.note_sealed();
        live(&mut ledger, 2);
        ledger
    });
}

#[test]
fn a_stop_and_a_start() {
    check(exit::GAPS, &whole(), |dir| again(dir, 60, |ledger| drop(ledger.stop().unwrap())));
}

#[test]
fn a_start_at_midnight_the_day_after() {
    check(exit::GAPS, &whole(), |dir| again(dir, 24 * HOUR, |ledger| drop(ledger.stop().unwrap())));
}

#[test]
fn a_crash_with_records_that_were_not_committed() {
    check(exit::GAPS, &whole(), |dir| {
        again(dir, 60, |mut ledger| {
            ledger.flow().unwrap();
        })
    });
}

#[test]
fn a_crash_between_commit_and_seal() {
    check(exit::GAPS, &whole(), |dir| {
        again(dir, 60, |mut ledger| {
            ledger.flow().unwrap();
            ledger.store.commit().unwrap();
        })
    });
}

#[test]
fn a_crash_between_seal_and_head_file() {
    check(exit::GAPS, &whole(), |dir| {
        again(dir, 60, |mut ledger| {
            let head = std::fs::read(dir.join("head")).unwrap();
            live(&mut ledger, 1);
            drop(ledger);
            std::fs::write(dir.join("head"), head).unwrap();
        })
    });
}

#[test]
fn a_reboot_that_sets_the_boot_clock_back() {
    check(exit::GAPS, &whole(), |dir| {
        again(dir, 60, |ledger| drop(ledger.stop().unwrap()));
        let mut options = short(200);
        options.now.boot_ns = 5_000_000_000;
        let mut ledger = Ledger::open(dir, &options).unwrap();
        live(&mut ledger, 3);
        ledger
    });
}

#[test]
fn a_night_in_suspend() {
    check(exit::PROVEN, &whole(), |dir| {
        let mut ledger = begin(dir);
        live(&mut ledger, 3);
        // Both clocks count sleep.
        ledger.wait(8 * HOUR);
        live(&mut ledger, 3);
        ledger
    });
}

fn set_clock(ledger: &mut Ledger, seconds: i64) {
    ledger.now.wall_ns = ledger.now.wall_ns.wrapping_add_signed(seconds * 1_000_000_000);
    ledger.flow().unwrap();
}

#[test]
fn a_clock_that_is_set_back_and_forward() {
    for steps in [[-3600, 3600], [3600, -3600], [-7200, 10]] {
        check(exit::PROVEN, &whole(), |dir| {
            let mut ledger = begin(dir);
            for step in steps {
                live(&mut ledger, 5);
                set_clock(&mut ledger, step);
            }
            live(&mut ledger, 20);
            ledger
        });
    }
}

/// The step lies before the slice, in the epoch in whose middle the slice begins: its records are older than that epoch.
#[test]
fn a_slice_after_a_clock_was_set_back() {
    // It is asked for from a moment on that no clock had said before; the tile in which that lies begins earlier.
    let request = Request { from_wall_ns: Some(at(2 * HOUR + 150).wall_ns), ..whole() };
    check(exit::GAPS, &request, |dir| {
        let mut ledger = Ledger::open(dir, &options(2 * HOUR)).unwrap();
        live(&mut ledger, 25);
        set_clock(&mut ledger, -600);
        live(&mut ledger, 60);
        ledger.wait(700);
        live(&mut ledger, 3);
        ledger
    });
}

#[test]
fn slices_that_begin_and_end_anywhere() {
    for (from, to) in [(20, 40), (25, 26), (30, 59), (0, 10)] {
        let expected = if from == 0 { exit::PROVEN } else { exit::GAPS };
        check(expected, &slice(from, to), |dir| {
            let mut ledger = begin(dir);
            live(&mut ledger, 60);
            ledger
        });
    }
}

fn many(dir: &Path) -> Ledger {
    let mut ledger = begin(dir);
    for round in 0..60 {
        ledger.instance = format!("systemd odoo-{}.service", round % 20);
        live(&mut ledger, 1);
    }
    ledger
}

#[test]
fn twenty_instances_and_one_of_them() {
    check(exit::PROVEN, &whole(), many);
    check(exit::PROVEN, &of("systemd odoo-7.service"), many);
}

#[test]
fn an_instance_that_was_silent_in_a_slice() {
    let request = Request { instance: Some("systemd odoo-3.service".to_owned()), ..slice(25, 42) };
    check(exit::GAPS, &request, many);
}

#[test]
fn a_declared_loss_and_one_of_nothing() {
    for (count, expected) in [(3, exit::GAPS), (0, exit::PROVEN)] {
        check(expected, &whole(), |dir| {
            let mut ledger = begin(dir);
            let detail = "the ring was full".to_owned();
            let loss = Loss { gap: 1, count: Some(count), from_wall_ns: None, until_wall_ns: None, detail };
            ledger.append(&Body::Loss(loss)).unwrap();
            live(&mut ledger, 3);
            ledger
        });
    }
}

/// Epochs and segments of some seconds, and a policy that soon lets them go.
fn forgetful(second: u64) -> OpenOptions {
    const SECOND: u64 = 1_000_000_000;
    let policy =
        Policy { keep_ns: 30 * SECOND, max_bytes: u64::MAX, min_ns: 20 * SECOND, actor: "root (0)".to_owned() };
    OpenOptions { policy, ..short(second) }
}

#[test]
fn what_was_not_recorded_of_one_instance_is_no_gap_of_another() {
    for (instance, expected) in [("alpha", exit::GAPS), ("beta", exit::PROVEN)] {
        check(expected, &of(instance), |dir| {
            let mut ledger = begin(dir);
            ledger.second(&[("alpha", 3), ("beta", 3)]);
            let unrecorded = Unrecorded { instance: "alpha".to_owned(), flows: 7, ..Unrecorded::default() };
            ledger.append(&Body::Unrecorded(unrecorded)).unwrap();
            ledger.decide().unwrap();
            ledger.second(&[("alpha", 3), ("beta", 3)]);
            ledger
        });
    }
}

fn pruned(dir: &Path) -> Ledger {
    let mut ledger = Ledger::open(dir, &forgetful(0)).unwrap();
    live(&mut ledger, 90);
    let removed = ledger.store.retain("schedule", ledger.input(), ledger.now).unwrap();
    assert!(removed.is_some_and(|removed| removed.min_index > 0));
    ledger.note_sealed();
    live(&mut ledger, 3);
    ledger
}

#[test]
fn a_head_that_was_removed_by_policy() {
    check(exit::GAPS, &whole(), pruned);
}

#[test]
fn one_instance_of_a_ledger_whose_head_was_removed() {
    check(exit::GAPS, &of("systemd odoo.service"), pruned);
}

#[test]
fn an_export_after_an_export() {
    check(exit::PROVEN, &whole(), |dir| {
        let mut ledger = begin(dir);
        live(&mut ledger, 3);
        drop(Bundle::of(dir, &mut ledger, &whole()));
        live(&mut ledger, 3);
        ledger
    });
}

#[test]
fn a_ledger_that_was_copied_to_another_disk() {
    check(exit::GAPS, &whole(), |dir| {
        let old = tempfile::tempdir().unwrap();
        let mut ledger = begin(old.path());
        live(&mut ledger, 3);
        ledger.stop().unwrap();
        copy(old.path(), dir);
        let mut ledger = Ledger::open(dir, &short(60)).unwrap();
        live(&mut ledger, 3);
        ledger
    });
}

#[test]
fn a_slice_of_a_ledger_whose_head_was_removed() {
    check(exit::GAPS, &slice(80, 90), pruned);
}

#[test]
fn a_head_that_was_removed_twice_and_a_start_after_it() {
    check(exit::GAPS, &whole(), |dir| {
        let mut ledger = pruned(dir);
        live(&mut ledger, 60);
        assert!(ledger.store.retain("schedule", ledger.input(), ledger.now).unwrap().is_some());
        ledger.note_sealed();
        ledger.stop().unwrap();
        let mut ledger = Ledger::open(dir, &forgetful(300)).unwrap();
        live(&mut ledger, 3);
        ledger
    });
}

#[test]
fn two_days_with_their_midnights_and_a_key_for_each_hour() {
    check(exit::PROVEN, &whole(), |dir| {
        let mut ledger = Ledger::open(dir, &options(0)).unwrap();
        for _ in 0..50 {
            ledger.flow().unwrap();
            ledger.wait(HOUR);
            ledger.seal().unwrap();
        }
        ledger
    });
}

/// The tests' beginning of time is a midnight, and so is a day after it.
#[test]
fn a_restart_in_the_second_of_midnight() {
    check(exit::GAPS, &whole(), |dir| {
        let mut ledger = Ledger::open(dir, &short(24 * HOUR - 3)).unwrap();
        live(&mut ledger, 3);
        assert_eq!(ledger.now.wall_ns % (24 * HOUR * 1_000_000_000), 0);
        ledger.stop().unwrap();
        let mut ledger = Ledger::open(dir, &short(24 * HOUR)).unwrap();
        live(&mut ledger, 3);
        ledger
    });
}

#[test]
fn ten_starts_after_each_other() {
    check(exit::GAPS, &whole(), |dir| {
        for start in 0..10 {
            let mut ledger = Ledger::open(dir, &short(20 * start)).unwrap();
            live(&mut ledger, 2);
            ledger.stop().unwrap();
        }
        begin_at(dir, 300)
    });
}

fn begin_at(dir: &Path, second: u64) -> Ledger {
    let mut ledger = Ledger::open(dir, &short(second)).unwrap();
    live(&mut ledger, 3);
    ledger
}

#[test]
fn another_version_with_another_configuration() {
    check(exit::GAPS, &whole(), |dir| {
        let mut ledger = begin(dir);
        live(&mut ledger, 3);
        ledger.stop().unwrap();
        let options = OpenOptions { version: "0.2.0".to_owned(), binary: [8; 32], config: [9; 32], ..short(60) };
        let mut ledger = Ledger::open(dir, &options).unwrap();
        live(&mut ledger, 3);
        ledger
    });
}

/// The machine starts in the year 2000, and is told the time a minute later.
#[test]
fn a_clock_whose_battery_is_empty() {
    check(exit::GAPS, &whole(), |dir| {
        let mut ledger = begin(dir);
        live(&mut ledger, 3);
        ledger.stop().unwrap();
        let mut options = OpenOptions { clock: (false, u64::MAX), ..short(0) };
        options.now.wall_ns = 946_684_800_000_000_000;
        options.now.boot_ns = 2_000_000_000;
        let mut ledger = Ledger::open(dir, &options).unwrap();
        live(&mut ledger, 60);
        ledger.now.wall_ns = at(600).wall_ns;
        live(&mut ledger, 20);
        ledger
    });
}

#[test]
fn a_clock_that_nobody_has_set_right() {
    check(exit::PROVEN, &whole(), |dir| {
        let mut ledger = Ledger::open(dir, &OpenOptions { clock: (false, u64::MAX), ..short(0) }).unwrap();
        live(&mut ledger, 20);
        ledger
    });
}

/// As fast as the kernel lets a clock be slowed down, for an hour; and a second that is counted twice.
#[test]
fn a_clock_that_is_slewed_and_a_leap_second() {
    for lost_ns in [500_000, 1_000_000_000] {
        check(exit::PROVEN, &whole(), |dir| {
            let mut ledger = begin(dir);
            for second in 0..60 {
                live(&mut ledger, 1);
                if lost_ns < 1_000_000_000 || second == 30 {
                    ledger.now.wall_ns -= lost_ns;
                }
            }
            ledger
        });
    }
}

#[test]
fn a_processor_that_is_added() {
    check(exit::PROVEN, &whole(), |dir| {
        let mut ledger = begin(dir);
        live(&mut ledger, 3);
        let mut input = ledger.input();
        input.cpus.push(CpuMark { cpu: 9, last_kseq: 0, received: 0, lost: vec![] });
        ledger.store.seal(input, ledger.now).unwrap();
        ledger.note_sealed();
        live(&mut ledger, 3);
        ledger
    });
}

/// The copy is made of files that a daemon has open, and is gone on with as after a crash.
#[test]
fn a_copy_of_a_ledger_that_is_running() {
    check(exit::GAPS, &whole(), |dir| {
        let old = tempfile::tempdir().unwrap();
        let mut ledger = begin(old.path());
        live(&mut ledger, 3);
        ledger.flow().unwrap();
        ledger.store.commit().unwrap();
        copy(old.path(), dir);
        begin_at(dir, 60)
    });
}

#[test]
fn a_second_daemon_that_was_refused() {
    check(exit::PROVEN, &whole(), |dir| {
        let mut ledger = begin(dir);
        live(&mut ledger, 3);
        assert!(matches!(Store::open(dir, &short(4)), Err(StoreError::Busy { .. })));
        live(&mut ledger, 3);
        ledger
    });
}

#[test]
fn an_export_that_nobody_fetched() {
    check(exit::GAPS, &whole(), |dir| {
        again(dir, 60, |mut ledger| {
            ledger.store.announce_export(announced(), ledger.input(), ledger.now).unwrap();
        })
    });
}

fn announced() -> Export {
    Export { id: [0; 16], nonce: Some(vec![7; 16]), first: 0, last: 1, filter: None, actor: "root (0)".to_owned() }
}

/// What it does when the fault comes.
type Act = fn(&mut Ledger) -> Result<(), StoreError>;

/// A ledger whose disk meets this fault at the first of these steps; of what was not synced then, nothing is there
/// afterwards, or all of it. It is gone on with.
fn struck(fault: Fault, step: &str, act: Act) {
    let at = place_of(step, act);
    for survives in [Survives::Nothing, Survives::Everything] {
        check(exit::GAPS, &whole(), |dir| {
            let root = folder();
            let disk = SimulatedDisk::over(root.path());
            disk.fail(at, fault);
            let ended = life_on(&disk, act);
            assert!(disk.has_failed() && ended.is_err(), "{step}: {ended:?}");
            let left = folder();
            disk.after_a_cut(left.path(), survives);
            copy(&left.path().join("state"), dir);
            let mut ledger = Ledger::open(dir, &forgetful(200)).unwrap();
            assert_eq!(ledger.opened.recovered, None, "{step}");
            live(&mut ledger, 3);
            ledger
        });
    }
}

/// How many operations of the disk come before this step.
fn place_of(step: &str, act: Act) -> usize {
    let root = folder();
    let disk = SimulatedDisk::over(root.path());
    let begun = life_on(&disk, act).unwrap_or_else(|error| panic!("{step}: {error}"));
    let steps = disk.steps();
    let found = steps[begun..].iter().position(|name| name.starts_with(step));
    begun + found.unwrap_or_else(|| panic!("no step {step} among {:?}", &steps[begun..]))
}

/// Half a minute of life on this disk, and then the act. Gives how many operations were before the act.
fn life_on(disk: &SimulatedDisk, act: Act) -> Result<usize, StoreError> {
    let options = OpenOptions { disk: Arc::new(disk.clone()), ..forgetful(0) };
    let mut ledger = Ledger::open(&disk.root().join("state"), &options)?;
    live(&mut ledger, 30);
    ledger.flow()?;
    let begun = disk.steps().len();
    act(&mut ledger).map(|()| begun)
}

fn seal(ledger: &mut Ledger) -> Result<(), StoreError> {
    ledger.wait(1);
    ledger.seal().map(drop)
}

fn rotate(ledger: &mut Ledger) -> Result<(), StoreError> {
    ledger.store.rotate(ledger.input(), ledger.now, "demand").map(drop)
}

/// Until another segment is begun.
fn fill(ledger: &mut Ledger) -> Result<(), StoreError> {
    for _ in 0..30 {
        for _ in 0..20 {
            ledger.flow()?;
        }
        seal(ledger)?;
    }
    Ok(())
}

fn remove(ledger: &mut Ledger) -> Result<(), StoreError> {
    ledger.wait(100);
    let removed = ledger.store.retain("schedule", ledger.input(), ledger.now)?;
    assert!(removed.is_some());
    Ok(())
}

fn announce(ledger: &mut Ledger) -> Result<(), StoreError> {
    ledger.store.announce_export(announced(), ledger.input(), ledger.now).map(drop)
}

#[test]
fn a_power_cut_at_the_first_page_of_a_commit() {
    struck(Fault::Cut, "write state/0001/seg-", |ledger| ledger.store.commit());
}

#[test]
fn a_power_cut_at_the_sync_of_a_commit() {
    struck(Fault::Cut, "sync state/0001/seg-", |ledger| ledger.store.commit());
}

#[test]
fn a_power_cut_at_the_head_file() {
    struck(Fault::Cut, "write state/head", seal);
}

#[test]
fn a_power_cut_while_the_next_key_is_made() {
    struck(Fault::Cut, "create state/keys/", rotate);
}

#[test]
fn a_power_cut_while_the_end_of_an_epoch_is_sealed() {
    struck(Fault::Cut, "write state/0001/seg-", rotate);
}

#[test]
fn a_power_cut_while_the_note_of_an_epoch_gets_its_place() {
    struck(Fault::Cut, "rename state/0001/epochs", rotate);
}

#[test]
fn a_power_cut_while_an_old_key_is_overwritten() {
    struck(Fault::Cut, "write state/keys/", rotate);
}

#[test]
fn a_power_cut_while_an_old_key_is_removed() {
    struck(Fault::Cut, "remove state/keys/", rotate);
}

#[test]
fn a_power_cut_while_a_segment_is_begun() {
    struck(Fault::Cut, "create state/0001/seg-", fill);
}

#[test]
fn a_power_cut_while_a_segment_gets_its_name() {
    struck(Fault::Cut, "rename state/0001/seg-", fill);
}

#[test]
fn a_power_cut_while_segments_are_removed() {
    struck(Fault::Cut, "remove state/0001/seg-", remove);
}

#[test]
fn a_power_cut_while_an_export_is_announced() {
    struck(Fault::Cut, "sync state/0001/seg-", announce);
}

#[test]
fn a_disk_that_is_full_at_a_commit() {
    struck(Fault::Full, "write state/0001/seg-", |ledger| ledger.store.commit());
}

#[test]
fn a_disk_that_is_full_when_a_key_is_renewed() {
    struck(Fault::Full, "create state/keys/", rotate);
}

#[test]
fn a_disk_that_fails_once() {
    struck(Fault::Error, "sync state/0001/seg-", seal);
}

/// It cannot be verified by this version, and that is what is said.
#[test]
fn a_store_of_a_newer_version() {
    let dir = tempfile::tempdir().unwrap();
    live(&mut begin(dir.path()), 3);
    let db = redb::Database::open(dir.path().join("0001/seg-00000000000000000000.redb")).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(META).unwrap().insert(META_SCHEMA, 2_u32.to_be_bytes().as_slice()).unwrap();
    txn.commit().unwrap();
    drop(db);
    assert_eq!(verify_here(dir.path(), None).exit(), exit::UNKNOWN);
}

#[test]
fn there_are_more_of_these_than_attacks() {
    let tests = |source: &str| source.matches("\n#[test]\nfn ").count();
    let (benign, attacks) =
        (tests(include_str!("benign.rs")) - 1, include_str!("attacks.rs").matches("\nfn attack_").count());
    assert!(benign >= attacks && attacks >= 29, "{benign} of {attacks}");
}
