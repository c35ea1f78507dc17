//! The verdict's table of cases, from `tests/vectors/verdict.txt`; the screen and the JSON, from files beside it.

mod stage; // what a case says, set up and judged

use std::collections::BTreeSet;

use stage::{Case, Stage, cases};

use super::code::{Codes, Issued, code};
use super::reason::{Moment, Severity, Verdict, counted, thousands};
use super::{Report, text};

const CASES: &str = include_str!("../../../tests/vectors/verdict.txt");
const SCREEN: &str = include_str!("../../../tests/vectors/verdict.screen.txt");
const JSON: &str = include_str!("../../../tests/vectors/verdict.json");

#[test]
fn each_case_has_its_verdict_and_its_reasons() {
    let mut failed = Vec::new();
    for Case { name, lines } in cases(CASES) {
        let mut stage = Stage::new();
        let expected: BTreeSet<String> =
            lines.iter().filter(|line| !stage.line(line)).map(|line| (*line).to_owned()).collect();
        let found = stage.found();
        if expected != found {
            failed.push(format!("{name}\n  expected {expected:#?}\n  found {found:#?}"));
        }
    }
    assert!(failed.is_empty(), "{} cases:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn the_table_has_every_rule_and_every_benign_thing() {
    let all = cases(CASES);
    let lines: Vec<&str> = all.iter().flat_map(|case| &case.lines).copied().collect();
    for rule in [
        "alarm store_violated",
        "alarm records_missing",
        "alarm contradiction",
        "alarm watched_hosts",
        "alarm watched_modules",
        "alarm raw_socket",
        "alarm packet_socket",
        "alarm stolen_descriptor",
        "alarm ptrace",
        "alarm self_egress",
        "alarm capture_off",
        "attention unattributed",
        "attention lost",
        "attention interrupted",
        "attention hook_off",
        "attention auditing_off",
        "attention loosened",
        "attention watched_native",
        "attention first_contact",
        "attention unverified",
        "note new_destinations",
        "note clock_set",
        "note open_before",
        "note restarted",
        "note recycled",
        "note lower_tier",
        "note root_key",
        "note claimed_settings",
        "note passed_through",
        "note folded",
        "note forgotten",
        "note waiting",
    ] {
        assert!(lines.iter().any(|line| line.starts_with(&format!("{rule} "))), "no case has {rule}");
    }
    let benign = all.iter().filter(|case| case.name.starts_with("benign: ")).count();
    assert!(benign >= 20, "{benign}");
    for case in all.iter().filter(|case| case.name.starts_with("benign: ")) {
        assert!(case.lines.contains(&"verdict all-clear"), "{} is not all-clear", case.name);
    }
}

/// The case that screen and JSON show.
fn shown() -> Report {
    let mut stage = Stage::new();
    let all = cases(CASES);
    let case = all.iter().find(|case| case.name == "a day with everything").expect("it is in the table");
    case.lines.iter().for_each(|line| {
        stage.line(line);
    });
    stage.report(Some("audit.example/node/0001\n4242\nAAAA\n"))
}

#[test]
fn the_screen_is_as_it_was_agreed() {
    let screen = text::screen(&shown());
    assert!(screen == SCREEN, "tests/vectors/verdict.screen.txt is to be:\n{screen}");
    assert!(screen.lines().count() <= 60 && screen.lines().all(|line| line.chars().count() <= 120));
}

#[test]
fn the_json_is_as_it_was_agreed_and_can_be_read_back() {
    let report = shown();
    let json = serde_json::to_string_pretty(&report).expect("a report");
    assert!(json.trim() == JSON.trim(), "tests/vectors/verdict.json is to be:\n{json}");
    assert_eq!(serde_json::from_str::<Report>(JSON).expect("a report"), report);
}

#[test]
fn nothing_that_is_claimed_steers_a_terminal() {
    let mut stage = Stage::new();
    stage.line("out 203.0.113.7:443 dns:a\u{1b}[2Jb.example module=evil\u{7}");
    assert!(text::screen(&stage.report(None)).chars().all(|letter| letter == '\n' || !letter.is_control()));
}

#[test]
fn the_code_changes_with_whatever_it_stands_for() {
    let report = shown();
    let of = |report: &Report, checkpoint: &str| {
        code(report.instance.as_deref(), report.verdict, &report.reasons, Some(checkpoint))
    };
    let mut codes = BTreeSet::from([of(&report, "a"), of(&report, "b")]);
    codes.insert(of(&Report { verdict: Verdict::AllClear, ..report.clone() }, "a"));
    codes.insert(of(&Report { instance: Some("other".into()), ..report.clone() }, "a"));
    codes.insert(of(&Report { reasons: report.reasons[1..].to_vec(), ..report.clone() }, "a"));
    let mut more = report.clone();
    more.reasons[0].count += 1;
    codes.insert(of(&more, "a"));
    assert_eq!(codes.len(), 6, "{codes:?}");
    // Words of a reason and times may change, and the code does not.
    let mut later = report.clone();
    later.until = Moment(later.until.0 + 1);
    later.reasons[0].sentence.clear();
    assert_eq!(of(&later, "a"), of(&report, "a"));
    assert!(codes.iter().all(|code| code.len() == 9 && code.as_bytes()[4] == b'-'));
}

#[test]
fn a_code_is_found_again_as_it_is_typed() {
    let mut codes = Codes::default();
    let issued = Issued { code: "ABCD-2345".into(), instance: None, verdict: Verdict::Alarm, at: Moment(5), size: 7 };
    codes.issue(issued.clone());
    for typed in ["ABCD-2345", "abcd2345", " abcd-2345\n"] {
        assert_eq!(codes.find(typed), Some(&issued), "{typed}");
    }
    assert_eq!(codes.find("ABCD-2346"), None);
    (0..5000).for_each(|n| codes.issue(Issued { code: format!("{n:04}-AAAA"), ..issued.clone() }));
    assert_eq!(codes.find("ABCD-2345"), None, "old ones are forgotten");
}

#[test]
fn the_same_records_give_the_same_report() {
    assert_eq!(shown(), shown());
}

#[test]
fn an_instance_sees_nothing_of_another() {
    let mut stage = Stage::new();
    for line in [
        "out 203.0.113.7:443 dns:x.mit-odoo.de module=secret_module instance=other",
        "out 203.0.113.7:443 dns:secret.example contradiction=1 module=secret_module instance=other",
        "exit odoo instance=other",
        "guard raw_socket instance=other",
        r#"ask other {"setting": "auditing", "value": false}"#,
    ] {
        assert!(stage.line(line), "{line}");
    }
    let json = serde_json::to_string(&stage.report(None)).expect("a report");
    for hidden in ["secret", "other", "raw_socket", "x.mit-odoo.de", "auditing"] {
        assert!(!json.contains(hidden), "{hidden} is in {json}");
    }
    stage.line("view all");
    assert_eq!(stage.report(None).verdict, Verdict::Alarm);
}

#[test]
fn counts_are_words() {
    assert_eq!(counted(1, "flow"), "1 flow");
    assert_eq!(counted(0, "flow"), "0 flows");
    assert_eq!(counted(1234, "process"), "1,234 processes");
    for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(thousands(number), text);
    }
    assert!(Severity::Alarm > Severity::Attention && Severity::Attention > Severity::Note);
}
