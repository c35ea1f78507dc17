//! Public test vectors of other projects, judged as they say. They lie beside the checkout, or the test is skipped.
#![cfg(feature = "user")]

use std::fs;
use std::path::{Path, PathBuf};

use auditor_common::merkle::{Hash, verify_consistency, verify_inclusion};
use auditor_common::note::VerifierKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::Value;

fn vectors(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("SKIPPED: because there are no public vectors at {}", path.display());
    None
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// A hash of any length as the file has it; ours have 32 bytes and nothing else.
fn hash(value: &Value) -> Option<Hash> {
    STANDARD.decode(value.as_str().unwrap_or_default()).unwrap().try_into().ok()
}

fn hashes(value: &Value) -> Option<Vec<Hash>> {
    value.as_array().map_or(Some(vec![]), |proof| proof.iter().map(hash).collect())
}

/// Judges every file of a folder. A good case that is refused all the same has "hashes" that are not of 32 bytes.
fn judge(folder: &Path, refused: &str, verdict: impl Fn(&Value) -> Option<()>) {
    let mut judged = 0;
    for path in files(folder) {
        let case = json(&path);
        let expected = case["wantErr"] == false && (refused.is_empty() || !path.ends_with(refused));
        assert_eq!(verdict(&case).is_some(), expected, "{}", path.display());
        judged += 1;
    }
    assert_eq!(judged, 98);
}

#[test]
fn inclusion_proofs_are_judged_as_they_should_be() {
    let Some(folder) = vectors("merkle/testdata/inclusion") else { return };
    judge(&folder, "", |case| {
        let (leaf, root) = (hash(&case["leafHash"])?, hash(&case["root"])?);
        let (index, size) = (case["leafIdx"].as_u64()?, case["treeSize"].as_u64()?);
        verify_inclusion(index, size, &leaf, &hashes(&case["proof"])?, &root).ok()
    });
}

#[test]
fn consistency_proofs_are_judged_as_they_should_be() {
    let Some(folder) = vectors("merkle/testdata/consistency") else { return };
    judge(&folder, "sizes-are-equal-one-and-proof-is-empty.json", |case| {
        let (root1, root2) = (hash(&case["root1"])?, hash(&case["root2"])?);
        let (size1, size2) = (case["size1"].as_u64()?, case["size2"].as_u64()?);
        verify_consistency(size1, size2, &root1, &root2, &hashes(&case["proof"])?).ok()
    });
}

fn unhex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// As a note's signature is judged, except that the message need not be text; `None` is a key that nobody can pin.
fn verify(public: &[u8], message: &[u8], signature: &[u8]) -> Option<bool> {
    VerifierKey::new("example", public.try_into().ok()?).ok()?;
    let key = VerifyingKey::from_bytes(public.try_into().ok()?).ok()?;
    Some(Signature::from_slice(signature).is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()))
}

#[test]
fn wycheproof_signatures_are_judged_as_they_should_be() {
    let Some(path) = vectors("ed25519/wycheproof_ed25519_test.json") else { return };
    let mut judged = 0;
    for group in json(&path)["testGroups"].as_array().unwrap() {
        let public = unhex(&group["publicKey"]["pk"]);
        for case in group["tests"].as_array().unwrap() {
            let verdict = verify(&public, &unhex(&case["msg"]), &unhex(&case["sig"])) == Some(true);
            assert_eq!(verdict, case["result"] == "valid", "{case}");
            judged += 1;
        }
    }
    assert_eq!(judged, 151);
}

#[test]
fn of_the_edge_cases_none_with_a_low_order_point_is_accepted() {
    let Some(path) = vectors("ed25519/cctv_ed25519vectors.json") else { return };
    let cases = json(&path);
    let mut accepted = 0;
    for case in cases.as_array().unwrap() {
        let message = case["msg"].as_str().unwrap().as_bytes();
        if verify(&unhex(&case["key"]), message, &unhex(&case["sig"])) == Some(true) {
            accepted += 1;
            let flags = case["flags"].as_array().cloned().unwrap_or_default();
            let low = flags.iter().any(|flag| flag == "low_order_A" || flag == "low_order_R");
            assert!(!low, "{case}");
        }
    }
    assert_eq!((cases.as_array().unwrap().len(), accepted), (914, 43));
}

#[test]
fn the_twelve_cases_of_speccheck_get_the_strict_verdict() {
    let Some(path) = vectors("ed25519/speccheck_cases.json") else { return };
    let cases = json(&path);
    let verdicts: Vec<bool> = cases
        .as_array()
        .unwrap()
        .iter()
        .map(|case| {
            let (key, message, signature) =
                (unhex(&case["pub_key"]), unhex(&case["message"]), unhex(&case["signature"]));
            verify(&key, &message, &signature) == Some(true)
        })
        .collect();
    // Case 3 is a mixed-order key with a mixed-order R, which only a check with the cofactor in mind accepts: it is
    // neither weak nor malleable, and the equation without cofactor holds.
    let expected = [false, false, false, true, false, false, false, false, false, false, false, false];
    assert_eq!(verdicts, expected);
}
