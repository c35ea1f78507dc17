//! What happens to every ledger in its life, and is no tampering: neither verifier calls it so.

use std::path::Path;

use auditor_common::body::{Body, Loss, Policy};
use auditor_common::verify::exit;
use auditor_tests::bundle::Bundle;
use auditor_tests::ledger::{Ledger, at, copy, options, verify_here};
use auditor_tests::second::{Both, Brought};
use auditor_userspace::export::Request;
use auditor_userspace::store::{Limits, OpenOptions};

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
    let request = Request { from_wall_ns: Some(at(2 * HOUR + 60 - 600).wall_ns), ..whole() };
    check(exit::GAPS, &request, |dir| {
        let mut ledger = Ledger::open(dir, &options(2 * HOUR)).unwrap();
        live(&mut ledger, 25);
        set_clock(&mut ledger, -600);
        live(&mut ledger, 60);
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

fn pruned(dir: &Path) -> Ledger {
    let second = 1_000_000_000;
    let policy =
        Policy { keep_ns: 30 * second, max_bytes: u64::MAX, min_ns: 20 * second, actor: "root (0)".to_owned() };
    let mut ledger = Ledger::open(dir, &OpenOptions { policy, ..short(0) }).unwrap();
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
