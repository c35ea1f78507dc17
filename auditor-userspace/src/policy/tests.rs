use auditor_common::body::Body;

use super::change::{Change, Effect};
use super::record::{AckRecord, Actor, PolicyRecord, Sealed, Step};
use super::terms::{Floor, Policy, Rule, Terms};
use super::{AskError, Policies, REQUESTS_AN_HOUR, WAITING_MAX};
use crate::catalogue::{Catalogue, Word};

const ODOO: Actor = Actor::Instance { tgid: 7 };
const ROOT: Actor = Actor::Host { uid: 0 };

fn change(json: &str) -> Change {
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"))
}

/// What an entry or a vendor looks like in a request.
fn document(vendor: &str, host: &str) -> String {
    format!(
        r#"{{"setting": "document", "value": {{"vendor": "{vendor}", "hosts": ["{host}"], "kind": "other", "purpose": "p", "source": "s"}}}}"#
    )
}

fn watch(name: &str, hosts: &str) -> String {
    format!(
        r#"{{"setting": "watch", "value": {{"name": "{name}", "hosts": [{hosts}], "modules": ["mit_*", "maildesk*"], "authors": ["MIT", "MIT GmbH", "Metzler IT*"]}}}}"#
    )
}

/// Asks, and seals and applies what comes of it.
fn ask(policies: &mut Policies, actor: Actor, json: &str) -> Result<PolicyRecord, AskError> {
    let record = policies.ask("odoo", actor, &change(json), &Catalogue::built_in(), 0)?;
    let seq = policies.decisions().count() as u64;
    policies.apply(Sealed { seq, wall_ns: 0 }, &record);
    Ok(record)
}

fn check(actor: Actor, json: &str, effect: Effect, step: Step) {
    let record = ask(&mut Policies::default(), actor, json).unwrap_or_else(|error| panic!("{json}: {error}"));
    assert_eq!((record.effect, record.step), (effect, step), "{json}: {}", record.reason);
}

#[test]
fn an_instance_tightens_at_once() {
    check(ODOO, r#"{"setting": "strict_redaction", "value": true}"#, Effect::Tightens, Step::AtOnce);
    check(ODOO, r#"{"setting": "retention_days", "value": 181}"#, Effect::Tightens, Step::AtOnce);
    check(ODOO, &watch("Acme", r#""*.acme.example""#), Effect::Tightens, Step::AtOnce);
    check(ODOO, &watch("MIT", r#""mit-odoo.de", "*.mit-odoo.de", "*.example.com""#), Effect::Tightens, Step::AtOnce);
}

#[test]
fn an_instance_loosens_as_the_floor_allows() {
    check(ODOO, r#"{"setting": "auditing", "value": false}"#, Effect::Loosens, Step::Allowed);
    check(ODOO, r#"{"setting": "disabled_channels", "value": ["socket", "smtp"]}"#, Effect::Loosens, Step::Allowed);
    check(ODOO, &document("Shop", "shop.example"), Effect::Loosens, Step::Allowed);
    check(ODOO, r#"{"setting": "retention_days", "value": 30}"#, Effect::Loosens, Step::Waiting);
    check(ODOO, &document("MIT", "shop.example"), Effect::Loosens, Step::Waiting);
    check(ODOO, &document("Shop", "x.mit-odoo.de"), Effect::Loosens, Step::Waiting);
    check(ODOO, r#"{"setting": "unwatch", "value": "MIT"}"#, Effect::Loosens, Step::Waiting);
    // A watched vendor that is watched less is loosened, whatever the request is called.
    check(ODOO, &watch("MIT", r#""mit-odoo.de""#), Effect::Loosens, Step::Waiting);
}

#[test]
fn the_host_does_what_it_wants() {
    check(ROOT, r#"{"setting": "retention_days", "value": 30}"#, Effect::Loosens, Step::AtOnce);
    check(ROOT, &document("MIT", "x.mit-odoo.de"), Effect::Loosens, Step::AtOnce);
}

#[test]
fn less_redaction_waits_and_less_channels_may_be_recorded_again() {
    let mut policies = Policies::default();
    ask(&mut policies, ODOO, r#"{"setting": "strict_redaction", "value": true}"#).expect("it tightens");
    let back = ask(&mut policies, ODOO, r#"{"setting": "strict_redaction", "value": false}"#).expect("taken");
    assert_eq!(back.step, Step::Waiting);
    ask(&mut policies, ODOO, r#"{"setting": "disabled_channels", "value": ["smtp", "imap"]}"#).expect("allowed");
    let fewer = ask(&mut policies, ODOO, r#"{"setting": "disabled_channels", "value": ["smtp"]}"#).expect("taken");
    assert_eq!((fewer.effect, fewer.step), (Effect::Tightens, Step::AtOnce));
    let other = ask(&mut policies, ODOO, r#"{"setting": "disabled_channels", "value": ["pop3"]}"#).expect("taken");
    assert_eq!(other.effect, Effect::Loosens);
    assert!(policies.policy("odoo").strict_redaction);
    assert!(!policies.policy("other").strict_redaction, "another instance is not concerned");
}

#[test]
fn what_makes_no_sense_is_not_taken() {
    let refused = |json: &str, expected: &str| {
        let error = ask(&mut Policies::default(), ODOO, json).expect_err(json);
        assert!(error.to_string().contains(expected), "{json}: {error}");
    };
    refused(r#"{"setting": "auditing", "value": true}"#, "so already");
    refused(r#"{"setting": "retention_days", "value": 180}"#, "so already");
    refused(r#"{"setting": "retention_days", "value": 29}"#, "from 30 to 3650");
    refused(r#"{"setting": "retention_days", "value": 9999}"#, "from 30 to 3650");
    refused(r#"{"setting": "disabled_channels", "value": ["native"]}"#, "no channel");
    refused(r#"{"setting": "undocument", "value": "Nobody"}"#, "so already");
    refused(&document("", "shop.example"), "has a vendor");
    refused(&document(&"x".repeat(501), "shop.example"), "has a vendor");
    for json in [
        r#"{"setting": "no such", "value": 1}"#,
        r#"{"setting": "auditing"}"#,
        r#"{"setting": "auditing", "value": "no"}"#,
        r#"{"setting": "retention_days", "value": -1}"#,
        r#"{"setting": "document", "value": {"vendor": "A", "hosts": ["*"], "kind": "other", "purpose": "p", "source": "s"}}"#,
        r#"{"setting": "document", "value": {"vendor": "A", "hosts": ["a.example"], "kind": "other", "purpose": "p", "source": "s", "word": "host"}}"#,
    ] {
        assert!(serde_json::from_str::<Change>(json).is_err(), "{json}");
    }
}

#[test]
fn nothing_takes_effect_before_the_host_accepts_it() {
    let (mut policies, host) = (Policies::default(), Catalogue::built_in());
    let asked = ask(&mut policies, ODOO, &document("MIT", "x.mit-odoo.de")).expect("taken");
    assert!(policies.catalogue("odoo", &host).is_none());
    assert_eq!(policies.decide(asked.number, true, ODOO), Err(AskError::NotHost));
    assert_eq!(policies.decide(asked.number + 1, true, ROOT), Err(AskError::NotWaiting(asked.number + 1)));
    let accepted = policies.decide(asked.number, true, ROOT).expect("it waits");
    assert_eq!((accepted.step, policies.waiting().count()), (Step::Accepted, 1));
    policies.apply(Sealed { seq: 9, wall_ns: 0 }, &accepted);
    assert_eq!(policies.waiting().count(), 0);
    let entry = policies.catalogue("odoo", &host).and_then(|own| own.entries().last().cloned());
    assert_eq!(entry.map(|entry| (entry.vendor, entry.word)), Some(("MIT".into(), Word::Host)));
    assert_eq!(policies.decide(asked.number, false, ROOT), Err(AskError::NotWaiting(asked.number)));
}

#[test]
fn what_the_host_denies_does_not_take_effect() {
    let mut policies = Policies::default();
    let asked = ask(&mut policies, ODOO, r#"{"setting": "retention_days", "value": 60}"#).expect("taken");
    let denied = policies.decide(asked.number, false, ROOT).expect("it waits");
    policies.apply(Sealed { seq: 1, wall_ns: 0 }, &denied);
    assert_eq!((policies.policy("odoo").retention_days, policies.waiting().count()), (180, 0));
}

#[test]
fn what_the_floor_allowed_stays_the_instances_own_word() {
    let (mut policies, host) = (Policies::default(), Catalogue::built_in());
    ask(&mut policies, ODOO, &document("Shop", "shop.example")).expect("allowed");
    let own = policies.catalogue("odoo", &host).expect("it has its own");
    assert_eq!(own.entries().last().map(|entry| entry.word), Some(Word::Instance));
    assert!(policies.catalogue("other", &host).is_none());
    ask(&mut policies, ODOO, r#"{"setting": "undocument", "value": "Shop"}"#).expect("it tightens");
    assert!(policies.catalogue("odoo", &host).is_none());
}

#[test]
fn a_later_request_takes_the_place_of_one_that_waits() {
    let mut policies = Policies::default();
    ask(&mut policies, ODOO, r#"{"setting": "retention_days", "value": 60}"#).expect("taken");
    let second = ask(&mut policies, ODOO, r#"{"setting": "retention_days", "value": 90}"#).expect("taken");
    let waiting: Vec<u64> = policies.waiting().map(|record| record.number).collect();
    assert_eq!(waiting, [second.number]);
}

#[test]
fn a_flood_of_requests_is_not_taken() {
    let mut policies = Policies::default();
    for n in 0..WAITING_MAX {
        ask(&mut policies, ODOO, &document("MIT", &format!("a{n}.mit-odoo.de"))).expect("taken");
    }
    assert_eq!(ask(&mut policies, ODOO, &document("MIT", "one.more.mit-odoo.de")), Err(AskError::TooMany));
    for n in WAITING_MAX..REQUESTS_AN_HOUR {
        let on = n % 2 == 1;
        ask(&mut policies, ODOO, &format!(r#"{{"setting": "auditing", "value": {on}}}"#)).expect("taken");
    }
    assert_eq!(ask(&mut policies, ODOO, r#"{"setting": "auditing", "value": false}"#), Err(AskError::TooMany));
    let later = policies.ask("odoo", ODOO, &Change::Auditing(false), &Catalogue::built_in(), 2 * super::HOUR_NS);
    assert!(later.is_ok(), "an hour later it is");
    assert!(ask(&mut policies, ROOT, r#"{"setting": "auditing", "value": false}"#).is_ok(), "the host always is");
}

#[test]
fn the_records_give_the_same_state_again() {
    let mut policies = Policies::default();
    for json in [
        r#"{"setting": "auditing", "value": false}"#.to_owned(),
        r#"{"setting": "retention_days", "value": 60}"#.to_owned(),
        watch("Acme", r#""*.acme.example""#),
        document("Shop", "shop.example"),
    ] {
        ask(&mut policies, ODOO, &json).expect("taken");
    }
    let accepted = policies.decide(2, true, ROOT).expect("it waits");
    policies.apply(Sealed { seq: 4, wall_ns: 0 }, &accepted);
    let mut again = Policies::default();
    for (sealed, record) in policies.decisions() {
        let body = Body::Decision(record.clone());
        let read = Body::decode(body.entry_type(), body.class(), &body.encode());
        let Ok(Body::Decision(record)) = read else { panic!("{read:?}") };
        again.apply(*sealed, &record);
    }
    assert_eq!(again.policy("odoo"), policies.policy("odoo"));
    assert_eq!(again.policy("odoo").retention_days, 60);
    let number = again.ask("odoo", ODOO, &Change::Auditing(true), &Catalogue::built_in(), 0).map(|it| it.number);
    assert_eq!(number, Ok(5), "numbers go on");
}

#[test]
fn a_record_from_the_future_changes_nothing() {
    let mut policies = Policies::default();
    let mut record = policies.ask("odoo", ODOO, &Change::Auditing(false), &Catalogue::built_in(), 0).expect("taken");
    record.setting = "something new".into();
    policies.apply(Sealed { seq: 0, wall_ns: 0 }, &record);
    assert_eq!((policies.policy("odoo"), policies.decisions().count()), (Policy::default(), 1));
}

#[test]
fn records_are_kept_as_long_as_anybody_got() {
    let mut policies = Policies::default();
    assert_eq!(policies.retention_days(), 180);
    ask(&mut policies, ODOO, r#"{"setting": "retention_days", "value": 365}"#).expect("it tightens");
    assert_eq!(policies.retention_days(), 365);
}

#[test]
fn what_the_floor_refuses_is_recorded_and_changes_nothing() {
    let floor = Floor { auditing: Rule::Deny, ..Floor::default() };
    let mut policies = Policies::new(Terms { floor, ..Terms::default() });
    let refused = ask(&mut policies, ODOO, r#"{"setting": "auditing", "value": false}"#).expect("it is recorded");
    assert_eq!((refused.step, policies.policy("odoo").auditing), (Step::Refused, true));
}

#[test]
fn an_acknowledgement_is_found_by_what_it_is_about() {
    let mut policies = Policies::default();
    let record = AckRecord {
        instance: "odoo".into(),
        reason: "lost".into(),
        subject: "ring-full".into(),
        text: "the backup did that".into(),
        before_seq: 40,
        actor: ODOO,
    };
    policies.acknowledged(Sealed { seq: 41, wall_ns: 5 }, &record);
    assert_eq!(
        policies.ack("odoo", "lost", "ring-full").map(|(sealed, ack)| (sealed.seq, ack.before_seq)),
        Some((41, 40))
    );
    assert!(
        policies.ack("odoo", "lost", "disk-full").is_none() && policies.ack("other", "lost", "ring-full").is_none()
    );
}

/// Takes a record as if it had been appended as number `seq`.
fn recorded(policies: &mut Policies, seq: u64, body: &Body) -> bool {
    policies.take(seq, seq, body)
}

/// Asks with the host's authority; the record is number `seq`.
fn told(policies: &mut Policies, seq: u64, json: &str) {
    let record = policies.ask("odoo", ROOT, &change(json), &Catalogue::built_in(), 0).expect("it is taken");
    recorded(policies, seq, &Body::Decision(record));
}

/// Numbers of the records that have to be said again before those below `min_index` go.
fn lasting(policies: &Policies, min_index: u64) -> Vec<u64> {
    policies.lasting_below(min_index).iter().map(|restated| restated.record).collect()
}

#[test]
fn what_holds_is_said_again_and_what_was_replaced_is_not() {
    let mut policies = Policies::default();
    told(&mut policies, 10, r#"{"setting": "retention_days", "value": 365}"#);
    told(&mut policies, 11, r#"{"setting": "auditing", "value": false}"#);
    told(&mut policies, 12, r#"{"setting": "retention_days", "value": 400}"#);
    told(&mut policies, 13, &document("Shop", "a.example"));
    told(&mut policies, 14, &document("Shop", "b.example"));
    told(&mut policies, 15, r#"{"setting": "unwatch", "value": "MIT"}"#);
    told(&mut policies, 16, &watch("MIT", r#""mit-odoo.de""#));
    told(&mut policies, 17, &document("Other", "c.example"));
    assert_eq!(lasting(&policies, 100), [11, 12, 13, 14, 16, 17]);
    assert_eq!(lasting(&policies, 13), [11, 12], "what lies in what is kept need not be");
    told(&mut policies, 18, r#"{"setting": "undocument", "value": "Shop"}"#);
    assert_eq!(lasting(&policies, 100), [11, 12, 16, 17, 18], "and the last one, so that numbers go on");
}

#[test]
fn what_waits_is_said_again_until_it_is_answered() {
    let mut policies = Policies::default();
    let asked =
        policies.ask("odoo", ODOO, &change(r#"{"setting": "retention_days", "value": 40}"#), &Catalogue::built_in(), 0);
    recorded(&mut policies, 10, &Body::Decision(asked.expect("it waits")));
    told(&mut policies, 11, r#"{"setting": "strict_redaction", "value": true}"#);
    assert_eq!(lasting(&policies, 100), [10, 11]);
    let denied = policies.decide(1, false, ROOT).expect("it waits");
    recorded(&mut policies, 12, &Body::Decision(denied));
    assert_eq!(lasting(&policies, 100), [11]);
}

#[test]
fn a_state_that_was_said_again_is_the_same_and_its_records_have_their_own_time() {
    let mut policies = Policies::default();
    for (seq, json) in [
        (10, r#"{"setting": "retention_days", "value": 365}"#.to_owned()),
        (11, document("Shop", "shop.example")),
        (12, watch("Acme", r#""*.acme.example""#)),
    ] {
        told(&mut policies, seq, &json);
    }
    let ack = AckRecord {
        instance: "odoo".into(),
        reason: "lost".into(),
        subject: "ring-full".into(),
        text: "known".into(),
        before_seq: 9,
        actor: ROOT,
    };
    recorded(&mut policies, 13, &Body::Acknowledged(ack.clone()));
    recorded(&mut policies, 14, &Body::Acknowledged(ack));
    let restated = policies.lasting_below(100);
    assert_eq!(restated.iter().map(|it| it.record).collect::<Vec<_>>(), [10, 11, 12, 14]);
    let mut again = Policies::default();
    for (seq, it) in (200..).zip(&restated) {
        assert!(!recorded(&mut policies, seq, &Body::Restated(it.clone())), "nothing is new");
        assert!(recorded(&mut again, seq, &Body::Restated(it.clone())));
    }
    assert_eq!(policies.policy("odoo"), again.policy("odoo"));
    assert_eq!(policies.decisions().count(), 3, "nothing is there twice");
    assert_eq!(again.decisions().map(|(sealed, _)| sealed.seq).collect::<Vec<_>>(), [10, 11, 12]);
    assert_eq!(again.ack("odoo", "lost", "ring-full").map(|(sealed, _)| sealed.seq), Some(14));
    for policies in [&policies, &again] {
        assert!(lasting(policies, 200).is_empty(), "they lie in what is kept now");
        assert_eq!(lasting(policies, 202), [10, 11]);
    }
}

#[test]
fn a_declared_loss_and_its_answer_are_said_again() {
    let mut policies = Policies::default();
    let recover = auditor_common::body::Recover {
        origin: "audit.example/node/0001".into(),
        found_size: Some(7),
        found_root: None,
        known: None,
        missing: Some(3),
        cause: "3 signed records are missing".into(),
    };
    recorded(&mut policies, 1, &Body::Recover(recover));
    let answer = auditor_common::body::Ack { record: 1, actor: "user 0".into(), note: "the disk broke".into() };
    recorded(&mut policies, 5, &Body::Ack(answer));
    assert_eq!(lasting(&policies, 256), [1, 5]);
}
