use std::collections::{BTreeMap, BTreeSet};

use super::scene::{BEGIN_NS, INSTANCE, Scene};
use super::{Limits, Rollup};
use crate::catalogue::Catalogue;
use crate::clock::HOUR_NS;
use crate::destination::Knowledge;
use crate::rollup::row::Sums;

fn knowledge() -> Knowledge {
    Knowledge { catalogue: Catalogue::built_in(), ..Knowledge::default() }
}

fn played(text: &str) -> Rollup {
    Scene::play(text).rollup(Limits::default(), &knowledge())
}

fn total(rollup: &Rollup) -> Sums {
    rollup.rows(0, u64::MAX, &knowledge()).fold(Sums::default(), |mut sums, row| {
        sums.merge(row.sums);
        sums
    })
}

/// Operations, flows, calls, probes, sent, received.
fn check(text: &str, expected: [u64; 6]) {
    let it = total(&played(text));
    let found = [it.operations.count, it.flows, it.calls, it.probes, it.sent, it.received];
    assert_eq!(found, expected, "{text}");
}

#[test]
fn a_flow_that_no_call_names_is_an_operation() {
    check("out 192.0.2.1:443 module=a sent=10 received=20", [1, 1, 0, 0, 10, 20]);
}

#[test]
fn calls_stand_for_the_flow_that_they_went_over() {
    check("out 192.0.2.1:443 module=a open\ncall module=a x3\nend sent=30 received=60", [3, 1, 3, 0, 30, 60]);
}

#[test]
fn a_call_that_is_told_after_the_end_still_stands_for_its_flow() {
    check("out 192.0.2.1:443 module=a sent=1 received=2\ncall module=a x2", [2, 1, 2, 0, 1, 2]);
}

#[test]
fn a_call_whose_flow_nobody_saw_is_an_operation_without_a_destination() {
    let rollup = played("call module=a label=self_reported flow=none");
    let knowledge = knowledge();
    let rows: Vec<_> = rollup.rows(0, u64::MAX, &knowledge).collect();
    assert_eq!((rows.len(), rows[0].about.class, rows[0].sums.operations.count), (1, None, 1));
}

#[test]
fn a_keep_alive_call_is_its_own_modules() {
    let rollup = played("out 192.0.2.1:443 module=a open\ncall module=a\ncall module=b\nend sent=8 received=9");
    let by_module: BTreeMap<String, (u64, u64)> = rollup
        .rows(0, u64::MAX, &knowledge())
        .map(|row| (row.module().unwrap_or("-").to_owned(), (row.sums.operations.count, row.sums.sent)))
        .collect();
    assert_eq!(by_module, BTreeMap::from([("a".into(), (1, 8)), ("b".into(), (1, 0))]));
}

#[test]
fn probes_of_a_look_up_are_no_operations() {
    check("out 192.0.2.1:443/udp sent=0 received=0", [0, 1, 0, 1, 0, 0]);
    check("out 192.0.2.1:443/udp sent=0 received=0 lasts=60ms", [1, 1, 0, 0, 0, 0]);
    check("out 192.0.2.1:53/udp sent=30 received=90", [1, 1, 0, 0, 30, 90]);
    check("out 192.0.2.1:443 sent=0 received=0", [1, 1, 0, 0, 0, 0]);
    check("out 192.0.2.1:443/udp sent=? received=?", [1, 1, 0, 0, 0, 0]);
}

#[test]
fn a_datagram_flow_counts_as_soon_as_it_is_too_old_for_a_probe() {
    check("out 192.0.2.1:443/udp open", [0, 1, 0, 0, 0, 0]);
    check("out 192.0.2.1:443/udp open\nwait 1s\nseal", [1, 1, 0, 0, 0, 0]);
    check("out 192.0.2.1:443/udp open\nwait 1s\nseal\nend sent=5 received=6", [1, 1, 0, 0, 5, 6]);
}

#[test]
fn a_probe_whose_end_is_told_late_is_taken_back() {
    let mut scene = Scene::play("out 192.0.2.1:443/udp open\nwait 1s\nseal\nend sent=0 received=0");
    let Some(auditor_common::body::Body::FlowTraffic(end)) = scene.records.last_mut().map(|it| &mut it.body) else {
        panic!("the last record ends the flow")
    };
    end.duration_ns = 1_000_000;
    let it = total(&scene.rollup(Limits::default(), &knowledge()));
    assert_eq!((it.operations.count, it.probes), (0, 1));
}

#[test]
fn bytes_are_counted_in_the_hour_in_which_they_became_known() {
    let rollup = played("out 192.0.2.1:443 module=a open\nwait 2h\nend sent=5 received=6");
    let hours: Vec<_> = rollup
        .rows(0, u64::MAX, &knowledge())
        .map(|row| ((row.hour_ns - BEGIN_NS) / HOUR_NS, row.sums.operations.count, row.sums.sent))
        .collect();
    assert_eq!(hours, [(0, 1, 0), (2, 0, 5)]);
}

#[test]
fn a_flow_that_gets_its_name_late_counts_under_that_name_alone() {
    let lines = |text: &str| -> Vec<(String, u64, u64, u64)> {
        let rollup = played(text);
        let knowledge = knowledge();
        let row = |row: super::row::Row<'_>| {
            let key = row.key.expect("nothing was folded");
            (key.display(), row.sums.operations.count, row.sums.flows, row.sums.sent)
        };
        rollup.rows(0, u64::MAX, &knowledge).map(row).collect()
    };
    let named = |name: &str| (name.to_owned(), 1, 1, 100);
    assert_eq!(lines("out 192.0.2.1:443 module=a open\nend sni:erp.example"), [named("erp.example")]);
    let looked_up = lines("out 192.0.2.1:443 module=a dns:one.example open\nend sni:two.example");
    assert_eq!(looked_up, [named("one.example")], "a look-up's answer is shown before what the client wrote");
    let called = lines("out 192.0.2.1:443 module=a open\ncall module=b\nend sni:erp.example");
    // The call was counted before the name came.
    let expected = [("erp.example".to_owned(), 0, 1, 100), ("192.0.2.1".to_owned(), 1, 0, 0)];
    assert_eq!(called, expected);
}

#[test]
fn what_was_not_measured_is_not_zero() {
    let it = total(&played("out 192.0.2.1:443 module=a sent=? received=?"));
    assert_eq!((it.sent, it.unmeasured), (0, 1));
}

#[test]
fn an_end_without_a_beginning_is_counted_apart() {
    let mut scene = Scene::play("out 192.0.2.1:443 sent=5 received=6");
    scene.records.remove(0);
    let rollup = scene.rollup(Limits::default(), &knowledge());
    let unplaced = rollup.unplaced();
    assert_eq!((rollup.lines(), unplaced.operations.count, unplaced.sent, unplaced.received), (0, 1, 5, 6));
}

#[test]
fn inbound_clients_are_counted_by_their_network() {
    let rollup = played("in 203.0.113.7:50001\nin 203.0.113.99:50002\nin 203.0.114.7:50003\nin [2001:db8:1:2::9]:7");
    let knowledge = knowledge();
    let seen: BTreeSet<String> =
        rollup.rows(0, u64::MAX, &knowledge).filter_map(|row| Some(row.key?.display())).collect();
    assert_eq!(seen, ["203.0.113.0/24", "203.0.114.0/24", "2001:db8:1::/48"].map(str::to_owned).into());
}

/// A flood of destinations, with one small and watched among them.
fn flood(hours: u32) -> Scene {
    let mut scene = Scene::new();
    for hour in 0..hours {
        for host in 0..60 {
            scene.line(&format!("out 203.0.113.{host}:443 module=junk lasts=1ms x{}", 1 + host % 7));
        }
        scene.line(&format!("out 198.51.100.{hour}:443 dns:x.mit-odoo.de module=sale"));
        scene.wait(HOUR_NS);
    }
    scene
}

const SMALL: Limits = Limits { hour: 20, kept: 5, lines: 100, contacts: 50, open: 1000 };

#[test]
fn what_is_folded_stays_counted_and_keeps_its_class() {
    let knowledge = knowledge();
    let scene = flood(3);
    let (whole, folded) = (scene.rollup(Limits::default(), &knowledge), scene.rollup(SMALL, &knowledge));
    assert!(folded.lines() < whole.lines() / 3, "{} of {}", folded.lines(), whole.lines());
    let by_class = |rollup: &Rollup| {
        rollup.rows(0, u64::MAX, &knowledge).fold(BTreeMap::new(), |mut classes, row| {
            let sums: &mut (u64, u64, u64) = classes.entry(row.about.class).or_default();
            *sums = (sums.0 + row.sums.operations.count, sums.1 + row.sums.sent, sums.2 + row.sums.received);
            classes
        })
    };
    assert_eq!(by_class(&whole), by_class(&folded));
}

#[test]
fn a_flood_of_one_class_does_not_push_out_another() {
    let knowledge = knowledge();
    let rollup = flood(1).rollup(SMALL, &knowledge);
    let watched: Vec<String> = rollup
        .rows(0, u64::MAX, &knowledge)
        .filter(|row| row.about.vendor.is_some())
        .filter_map(|row| Some(row.key?.display()))
        .collect();
    assert_eq!(watched, ["x.mit-odoo.de"]);
}

#[test]
fn with_too_many_lines_the_oldest_hours_are_folded_first() {
    let knowledge = knowledge();
    let rollup = flood(20).rollup(Limits { lines: 30, ..SMALL }, &knowledge);
    assert!(rollup.lines() <= 30, "{}", rollup.lines());
    let newest = rollup.rows(0, u64::MAX, &knowledge).filter(|row| row.key.is_some()).map(|row| row.hour_ns).min();
    assert!(newest.is_some_and(|newest| newest > BEGIN_NS + 10 * HOUR_NS), "{newest:?}");
}

#[test]
fn a_call_is_taken_back_from_the_line_that_its_flow_was_folded_into() {
    let knowledge = knowledge();
    let mut scene = Scene::play("out 192.0.2.1:443 module=a open");
    (0..60).for_each(|host| assert!(scene.line(&format!("out 203.0.113.{host}:443 module=a x2 cookie={host} open"))));
    let flow = scene.records.len();
    let before = scene.rollup(SMALL, &knowledge);
    let operations =
        |rollup: &Rollup| -> u64 { rollup.rows(0, u64::MAX, &knowledge).map(|row| row.sums.operations.count).sum() };
    assert_eq!(operations(&before), 121);
    scene.line("call module=a flow=0");
    assert_eq!(scene.records.len(), flow + 1);
    assert_eq!(operations(&scene.rollup(SMALL, &knowledge)), 121);
}

#[test]
fn the_same_records_give_the_same_sums() {
    let (knowledge, scene) = (knowledge(), flood(4));
    let text = |rollup: &Rollup| format!("{:?}", rollup.rows(0, u64::MAX, &knowledge).collect::<Vec<_>>());
    assert_eq!(text(&scene.rollup(SMALL, &knowledge)), text(&scene.rollup(SMALL, &knowledge)));
}

#[test]
fn a_record_is_counted_once() {
    let knowledge = knowledge();
    let scene = Scene::play("out 192.0.2.1:443 module=a");
    let mut rollup = scene.rollup(Limits::default(), &knowledge);
    for record in &scene.records {
        rollup.apply(&record.head, &record.body, super::Beside::default(), &knowledge);
    }
    assert_eq!((total(&rollup).operations.count, rollup.size()), (1, 2));
}

#[test]
fn first_contacts_are_bounded_and_the_rest_is_counted() {
    let knowledge = knowledge();
    let mut scene = Scene::new();
    (0..60).for_each(|net| assert!(scene.line(&format!("out 203.0.{net}.7:443 module=a"))));
    let rollup = scene.rollup(SMALL, &knowledge);
    assert_eq!(rollup.forgotten(), 60 - 49);
    assert_eq!(rollup.first_call(INSTANCE, "a").map(|first| first.seq), Some(0));
    assert_eq!(rollup.first_call(INSTANCE, "b"), None);
}

#[test]
fn a_contact_is_made_with_a_name_or_a_network() {
    let text = "out 203.0.113.7:443 module=a\nwait 1h\nout 203.0.113.9:443 module=a\n\
                out 198.51.100.1:443 dns:x.example module=a\nwait 1h\nout 192.0.2.1:443 dns:x.example module=a";
    let (rollup, knowledge) = (played(text), knowledge());
    let first: BTreeMap<String, u64> = rollup
        .rows(0, u64::MAX, &knowledge)
        .filter_map(|row| Some((row.key?.display(), rollup.first_contact(row.key?)?.seq)))
        .collect();
    assert_eq!(
        first,
        [("203.0.113.7", 0), ("203.0.113.9", 0), ("x.example", 4)].map(|(site, seq)| (site.into(), seq)).into()
    );
}

#[test]
fn pruned_hours_are_forgotten() {
    let mut scene = flood(4);
    scene.line("wait 1s");
    let knowledge = knowledge();
    let before = scene.rollup(Limits::default(), &knowledge);
    scene.line("out 192.0.2.1:443 module=a");
    scene.line("prune");
    let rollup = scene.rollup(Limits::default(), &knowledge);
    let hours: BTreeSet<u64> = rollup.rows(0, u64::MAX, &knowledge).map(|row| row.hour_ns).collect();
    assert_eq!((hours, rollup.lines()), ([BEGIN_NS + 4 * HOUR_NS].into(), 1));
    assert_eq!(before.lines(), 4 * 61);
    assert_eq!(rollup.first_call(INSTANCE, "junk"), before.first_call(INSTANCE, "junk"), "first contacts stay");
}

#[test]
fn a_watched_module_farther_up_the_stack_is_remembered() {
    for (module, chain, via) in [
        ("queue", "queue,mit_sync,web", Some("mit_sync")),
        ("mit_sync", "mit_sync,web", None),
        ("queue", "queue,mit_network_audit", None),
        ("queue", "queue,web", None),
    ] {
        let rollup = played(&format!("out 192.0.2.1:443 module={module} chain={chain}"));
        let knowledge = knowledge();
        let seen: Vec<Option<String>> = rollup
            .rows(0, u64::MAX, &knowledge)
            .map(|row| row.key.and_then(|key| key.via.as_deref().map(str::to_owned)))
            .collect();
        assert_eq!(seen, [via.map(str::to_owned)], "{chain}");
    }
}

/// What was missed while the last run had not begun.
fn missed(text: &str) -> u64 {
    played(text).history().runs().last().map_or(0, |run| run.missed.values().map(|tally| tally.count).sum())
}

#[test]
fn a_socket_that_nobody_recorded_tells_that_something_was_missed() {
    let run = "run none\nout 192.0.2.1:443 module=a cookie=1 open\nwait 1h\n";
    let after = |how: &str, flow: &str| missed(&format!("{run}{how}\n{flow}"));
    // Its process began when somebody was recording, so its opening would have been recorded.
    let born = 2_000_000_000_000_u64;
    let opened = format!("out 192.0.2.9:443 before cookie=2 born={born}");
    assert_eq!(after("run interrupted", &opened), 1);
    assert_eq!(after("run interrupted", &format!("{opened}\n{opened}")), 1);
    // Nothing follows if the run before said that it stops, or the host was started anew, or something was lost, …
    assert_eq!(after("stop\nrun stopped", &opened), 0);
    assert_eq!(after("run interrupted boot=2", &opened), 0);
    assert_eq!(after("loss 1 5\nrun interrupted", &opened), 0);
    // … or the socket may be older than the first run, or was recorded, or was opened after all.
    assert_eq!(after("run interrupted", "out 192.0.2.9:443 before cookie=2 born=1"), 0);
    assert_eq!(after("run interrupted", &format!("out 192.0.2.1:443 before cookie=1 born={born}")), 0);
    assert_eq!(after("run interrupted", &format!("out 192.0.2.9:443 cookie=2 born={born}")), 0);
}

#[test]
fn a_hook_that_goes_away_is_a_pause_until_it_is_back() {
    let text = "run none hooks=connect,close,!name\nwait 10s\nseal hooks=connect,close,!name\nwait 10s\n\
                seal hooks=connect,!close,!name\nwait 10s\nseal hooks=connect,close,!name";
    let rollup = played(text);
    let pauses: Vec<_> = rollup
        .history()
        .pauses()
        .map(|pause| {
            (
                pause.hook.as_str(),
                (pause.from_ns - BEGIN_NS) / 1_000_000_000,
                pause.until_ns.map(|ns| (ns - BEGIN_NS) / 1_000_000_000),
            )
        })
        .collect();
    assert_eq!(pauses, [("close", 10, Some(30))]);
}

#[test]
fn losses_are_added_up_by_hour_and_reason() {
    let rollup = played("run none\nloss 1 5\nloss 1 6\nloss 7 ?\nloss 4 1\nwait 1h\nloss 1 7");
    let found: Vec<_> =
        rollup.history().losses().map(|(hour, gap, lost)| (hour % 24, gap, lost.tally.count, lost.unknown)).collect();
    assert_eq!(found, [(0, 1, 11, 0), (0, 7, 0, 1), (1, 1, 7, 0)]);
}

#[test]
fn what_is_not_recorded_is_added_up_for_each_instance_and_is_none_of_the_sums() {
    let rollup = played("unrecorded 2 1\nwait 10s\nunrecorded 3 0\nunrecorded 9 9 instance=other\nwait 2h");
    assert_eq!(total(&rollup), Sums::default());
    let mine = rollup.history().unrecorded_between(0, u64::MAX).find(|it| it.instance == INSTANCE).expect("a sum");
    assert_eq!((mine.flows, mine.calls, mine.sent, mine.received), (5, 1, 2, 4));
    assert_eq!(mine.until_wall_ns - mine.from_wall_ns, 11_000_000_000);
    assert_eq!(rollup.history().unrecorded_between(BEGIN_NS + HOUR_NS, u64::MAX).count(), 0);
}
