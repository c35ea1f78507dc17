//! Exports: what is handed out is proven from itself and a pinned key, and nothing that was changed is.

use std::io::Cursor;

use auditor_common::checkpoint::SignedCheckpoint;
use auditor_common::note::VerifierKey;
use auditor_common::tar::Archive;
use auditor_common::verify::{Expect, Finding, Question, Standing, Trust, Verdict, exit, verify_export};
use auditor_tests::bundle::{Bundle, export};
use auditor_tests::ledger::{at, three_instances};
use auditor_userspace::export::{self, Counted, ExportError, Output, Request, Stream};
use auditor_userspace::store::StoreTree;

fn exported(request: &Request) -> (Bundle, VerifierKey) {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = three_instances(dir.path());
    let mut bundle = Bundle::default();
    export(dir.path(), &mut ledger, request, &mut bundle).unwrap();
    (bundle, ledger.opened.root.clone())
}

fn expect(root: &VerifierKey) -> Expect {
    Expect { trust: Trust { pinned: Some(root.clone()) }, ..Expect::default() }
}

fn verify(files: &Bundle, expect: &Expect) -> Verdict {
    verify_export(&mut files.clone(), expect, &mut |_| {}).unwrap()
}

fn standing(verdict: &Verdict, question: Question) -> Standing {
    verdict.answer(question).standing
}

#[test]
fn a_whole_ledger_is_proven_from_its_export() {
    let (files, root) = exported(&Request::default());
    let verdict = verify(&files, &expect(&root));
    assert_eq!(verdict.exit(), exit::PROVEN, "{}", verdict.to_text());
    assert!(verdict.records > 1200, "{}", verdict.to_text());
    for level in ["tile/0/000", "tile/1/000.p/", "tile/entries/000", "bodies/000", "checkpoints/", "SPEC.md"] {
        assert!(files.0.keys().any(|path| path.starts_with(level)), "{level}");
    }
}

#[test]
fn an_archive_is_the_same_as_its_files() {
    let (files, root) = exported(&Request::default());
    let list = String::from_utf8(files.0["EXPORT"].clone()).unwrap();
    let (mut counted, mut bytes) = (Counted::default(), Vec::new());
    let mut stream = Stream::begin(&mut bytes, &list).unwrap();
    for (path, content) in files.0.iter().filter(|(path, _)| *path != "EXPORT") {
        for output in [&mut counted as &mut dyn Output, &mut stream] {
            output.file(path, content).unwrap();
        }
    }
    stream.finish(&list).unwrap();
    assert_eq!(counted.archive_len(&list), bytes.len() as u64);
    let mut archive = Archive::open(Cursor::new(bytes.clone())).unwrap().unwrap();
    let verdict = verify_export(&mut archive, &expect(&root), &mut |_| {}).unwrap();
    assert_eq!(verdict.exit(), exit::PROVEN, "{}", verdict.to_text());
    // Cut, lengthened, or with something behind a file, it is none.
    let refused = |bytes: Vec<u8>| Archive::open(Cursor::new(bytes)).unwrap().is_err();
    assert!(refused(bytes[..bytes.len() - 1].to_vec()) && refused([bytes.as_slice(), &[0]].concat()));
}

#[test]
fn a_slice_is_never_called_whole() {
    let second = |second| Some(at(second).wall_ns);
    let request = Request { from_wall_ns: second(25), to_wall_ns: second(40), ..Request::default() };
    let (files, root) = exported(&request);
    assert!(files.0.contains_key("left") && files.0.contains_key("right") && files.0.contains_key("table"));
    let verdict = verify(&files, &expect(&root));
    assert_eq!(verdict.exit(), exit::GAPS, "{}", verdict.to_text());
    assert_eq!(standing(&verdict, Question::Head), Standing::NotProven);
    for question in [Question::Authenticity, Question::Integrity] {
        assert_eq!(standing(&verdict, question), Standing::Proven, "{}", verdict.to_text());
    }
    assert!(!verdict.to_text().contains("intact:"));
}

#[test]
fn an_excerpt_has_all_of_one_instance_and_nothing_of_others() {
    for (instance, flows) in [("alpha", 60 * 8 * 2), ("beta", 12 * 10 * 2), ("gamma", 2)] {
        let request = Request { instance: Some(instance.to_owned()), ..Request::default() };
        let (files, root) = exported(&request);
        let verdict = verify(&files, &expect(&root));
        assert_eq!(verdict.exit(), exit::PROVEN, "{instance}: {}", verdict.to_text());
        assert!(
            verdict.answer(Question::Coverage).sentence.contains(&format!("{flows} events")),
            "{}",
            verdict.to_text()
        );
        assert!(!files.0.keys().any(|path| path.starts_with("tile/entries") || path.starts_with("bodies")));
        // What was decided about it is there; of another not even the name.
        for name in ["alpha", "beta", "gamma"] {
            let named = |content: &[u8]| content.windows(name.len()).any(|bytes| bytes == name.as_bytes());
            let own = files.0.iter().filter(|(path, _)| path.starts_with("own/"));
            assert_eq!(own.filter(|(_, content)| named(content)).count() > 0, name == instance, "{name}");
            let elsewhere = files.0.iter().filter(|(path, _)| !path.starts_with("own/") && *path != "SPEC.md");
            assert_eq!(elsewhere.filter(|(_, content)| named(content)).count(), 0, "{name}");
        }
    }
}

#[test]
fn an_excerpt_of_a_slice_says_where_the_stream_stood() {
    let second = |second| Some(at(second).wall_ns);
    let request = Request {
        from_wall_ns: second(20),
        to_wall_ns: second(45),
        instance: Some("beta".to_owned()),
        ..Request::default()
    };
    let (files, root) = exported(&request);
    let verdict = verify(&files, &expect(&root));
    assert_eq!(verdict.exit(), exit::GAPS, "{}", verdict.to_text());
    assert_eq!(standing(&verdict, Question::Integrity), Standing::Proven, "{}", verdict.to_text());
    // An instance that was silent then: that it was is what is proven.
    let request = Request { instance: Some("gamma".to_owned()), ..request };
    let (files, root) = exported(&request);
    let verdict = verify(&files, &expect(&root));
    assert_eq!(standing(&verdict, Question::Integrity), Standing::Proven, "{}", verdict.to_text());
    assert!(verdict.answer(Question::Coverage).sentence.contains("0 events"), "{}", verdict.to_text());
}

#[test]
fn an_instance_that_never_was_has_no_excerpt() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = three_instances(dir.path());
    let request = Request { instance: Some("nobody".to_owned()), ..Request::default() };
    assert!(matches!(export(dir.path(), &mut ledger, &request, &mut Bundle::default()), Err(ExportError::Nothing(_))));
    let request = Request { from_wall_ns: Some(u64::MAX - 1), ..Request::default() };
    assert!(matches!(export(dir.path(), &mut ledger, &request, &mut Bundle::default()), Err(ExportError::Nothing(_))));
}

#[test]
fn a_nonce_shows_that_the_export_is_new() {
    let nonce = Some(vec![1, 2, 3, 4]);
    let (files, root) = exported(&Request { nonce: nonce.clone(), ..Request::default() });
    let with = |nonce| Expect { nonce, ..expect(&root) };
    let verdict = verify(&files, &with(nonce));
    assert_eq!((verdict.exit(), standing(&verdict, Question::Tail)), (exit::PROVEN, Standing::Proven));
    let verdict = verify(&files, &with(Some(vec![9])));
    assert_eq!((verdict.exit(), standing(&verdict, Question::Tail)), (exit::TAMPERED, Standing::Violated));
    assert_eq!(verify(&files, &with(None)).exit(), exit::PROVEN);
}

#[test]
fn a_ledger_that_was_longer_when_it_was_seen_last_was_rolled_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = three_instances(dir.path());
    let mut early = Bundle::default();
    export(dir.path(), &mut ledger, &Request::default(), &mut early).unwrap();
    let mut late = Bundle::default();
    export(dir.path(), &mut ledger, &Request::default(), &mut late).unwrap();
    let seen = |files: &Bundle| SignedCheckpoint::parse(&files.0["checkpoint"]).unwrap().checkpoint;
    let after = |seen| Expect { last_seen: Some(seen), ..expect(&ledger.opened.root) };
    assert_eq!(verify(&late, &after(seen(&early))).exit(), exit::PROVEN);
    let verdict = verify(&early, &after(seen(&late)));
    assert_eq!((verdict.exit(), standing(&verdict, Question::Tail)), (exit::TAMPERED, Standing::Violated));
    let mut forked = seen(&early);
    forked.root[0] ^= 1;
    let verdict = verify(&late, &after(forked));
    assert!(verdict.to_text().contains("forked"), "{}", verdict.to_text());
}

#[test]
fn another_key_than_the_pinned_one_cannot_be_verified() {
    let (files, _) = exported(&Request::default());
    let (_, other) = exported(&Request::default());
    assert_eq!(verify(&files, &expect(&other)).exit(), exit::UNKNOWN);
}

#[test]
fn one_record_is_proven_by_about_a_kilobyte() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = three_instances(dir.path());
    let mut reader = ledger.store.reader();
    let mut tree = StoreTree::new(reader.clone()).unwrap();
    let signed = reader.checkpoint().unwrap().unwrap();
    for seq in [0, 1, 255, 256, 700, signed.checkpoint.size - 1] {
        let proof = export::prove(&mut reader, &mut tree, seq, &signed).unwrap();
        proof.check().unwrap();
        let text = proof.to_string();
        assert!(text.len() < 2500, "{}", text.len());
        assert_eq!(auditor_common::proof::ProofFile::parse(text.as_bytes()).unwrap(), proof);
    }
    let beyond = export::prove(&mut reader, &mut tree, signed.checkpoint.size, &signed);
    assert!(beyond.is_err());
}

#[test]
fn every_file_that_is_changed_missing_or_added_is_found() {
    let (files, root) = exported(&Request::default());
    let expect = expect(&root);
    for path in files.0.keys() {
        let mut changed = files.clone();
        let content = changed.0.get_mut(path).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 1;
        let verdict = verify(&changed, &expect);
        assert_ne!(verdict.exit(), exit::PROVEN, "{path} changed: {}", verdict.to_text());
        assert!(matches!(verdict.finding, Some(Finding::Violated { .. } | Finding::Unknown { .. })), "{path}");
        let mut missing = files.clone();
        missing.0.remove(path);
        assert_ne!(verify(&missing, &expect).exit(), exit::PROVEN, "{path} missing");
    }
    for path in ["readme", "checkpoints/7", "proofs/9.tlog-proof", "tile/2/000.p/1", "own/000"] {
        let mut more = files.clone();
        more.0.insert(path.to_owned(), vec![]);
        assert_eq!(verify(&more, &expect).exit(), exit::TAMPERED, "{path} added");
    }
}
