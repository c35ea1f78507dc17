//! Files that are cut, huge, newer, or something else altogether, given to the programs themselves under a limit of memory:
//! each says one thing, ends with a code of its own, and neither panics nor takes more than it may.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use auditor_common::note::VerifierKey;
use auditor_common::verify::exit;
use auditor_tests::bundle::{Bundle, Thief};
use auditor_tests::ledger::{Ledger, options};
use auditor_tests::robber::segment;
use auditor_tests::{auditor, checkout, verifier};
use auditor_userspace::export::{self, Request};
use auditor_userspace::store::StoreTree;
use tempfile::TempDir;

/// Address space of a verifier, bytes.
const VERIFIER: u64 = 256 << 20;
/// Of the interpreter, with its threads.
const PYTHON: u64 = 1 << 30;
/// Of the daemon's program, which reads a store in a child with a limit of its own.
const AUDITOR: u64 = 2 << 30;

/// An export as archive and folder, a proof, and a store.
struct Scene {
    dir: TempDir,
    root: VerifierKey,
    thief: Thief,
    bundle: Bundle,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let mut ledger = Ledger::open(&state, &options(0)).unwrap();
        for _ in 0..3 {
            ledger.second(&[("alpha", 3)]);
        }
        let mut bundle = Bundle::of(&state, &mut ledger, &Request::default());
        let mut reader = ledger.store.reader();
        let signed = reader.checkpoint().unwrap().unwrap();
        let mut tree = StoreTree::new(reader.clone()).unwrap();
        let proof = export::prove(&mut reader, &mut tree, 4, &signed).unwrap();
        fs::write(dir.path().join("4.tlog-proof"), proof.to_string()).unwrap();
        let thief = Thief::of(&state, 1, 0);
        *bundle.file_mut("SPEC.md") = b"see the release\n".to_vec();
        thief.relist(&mut bundle);
        fs::write(dir.path().join("x.nalx"), bundle.archive()).unwrap();
        for (path, content) in &bundle.0 {
            let path = dir.path().join("folder").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        Self { dir, root: ledger.opened.root.clone(), thief, bundle }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Both verifiers on this file: neither proves it. What they say is one thing, and theirs.
    fn refused(&self, path: &Path, codes: &[u8], what: &str) {
        for (program, (code, text)) in self.both(path) {
            assert!(codes.contains(&code), "{program}, {what}: exit {code}: {text}");
        }
    }

    fn both(&self, path: &Path) -> [(&'static str, (u8, String)); 2] {
        let mut rust = limited(VERIFIER, verifier());
        rust.args(["--key", &self.root.to_string()]).arg(path);
        let mut python = limited(PYTHON, "python3".as_ref());
        python.args(["-B", "-m", "verify", "--key", &self.root.to_string()]).arg(path);
        python.current_dir(checkout().join("odoo_addon/mit_network_audit/core"));
        [("auditor-verify", said(rust.output().unwrap())), ("verify.py", said(python.output().unwrap()))]
    }

    /// What `auditor` says of the store: `verify`, and `check`.
    fn store(&self, codes: &[u8], what: &str) {
        for task in ["verify", "check"] {
            let mut command = limited(AUDITOR, auditor());
            let (code, text) = said(command.arg("--state-dir").arg(self.path("state")).arg(task).output().unwrap());
            assert!(codes.contains(&code), "auditor {task}, {what}: exit {code}: {text}");
        }
    }
}

/// A program with so much address space.
fn limited(bytes: u64, program: &Path) -> Command {
    let mut command = Command::new("prlimit");
    command.arg(format!("--as={bytes}")).args(["--core=0", "--cpu=60", "--"]).arg(program);
    command.env_remove("RUST_BACKTRACE");
    command
}

/// Code and words. That it is a sentence, and nobody's panic, is looked at here.
fn said(output: Output) -> (u8, String) {
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let code = output.status.code().unwrap_or_else(|| panic!("ended by a signal: {text}"));
    for word in ["panicked", "Traceback", "memory allocation", "MemoryError", "stack overflow"] {
        assert!(!text.contains(word), "{text}");
    }
    assert!(!text.trim().is_empty(), "not a word, and exit {code}");
    (code as u8, text)
}

/// Of nothing but holes.
fn huge(path: &Path, len: u64) {
    File::options().write(true).create(true).truncate(false).open(path).unwrap().set_len(len).unwrap();
}

const TERABYTE: u64 = 1 << 40;
const REFUSED: &[u8] = &[exit::IO, exit::TAMPERED, exit::UNKNOWN];

#[test]
fn what_is_whole_is_proven_under_these_limits() {
    let scene = Scene::new();
    for name in ["x.nalx", "folder"] {
        for (program, (code, text)) in scene.both(&scene.path(name)) {
            assert_eq!(code, exit::PROVEN, "{program}, {name}: {text}");
        }
    }
    scene.store(&[exit::PROVEN, exit::GAPS], "whole");
}

#[test]
fn an_archive_that_is_cut_anywhere() {
    let scene = Scene::new();
    let whole = scene.bundle.archive();
    for len in [0, 1, 511, 512, 513, 1024, 1025, whole.len() / 2, whole.len() - 1024, whole.len() - 1] {
        let path = scene.path("cut.nalx");
        fs::write(&path, &whole[..len]).unwrap();
        scene.refused(&path, REFUSED, &format!("cut to {len} bytes"));
    }
}

#[test]
fn archives_that_are_huge() {
    let scene = Scene::new();
    let path = scene.path("huge.nalx");
    huge(&path, TERABYTE);
    scene.refused(&path, REFUSED, "a terabyte of nothing");
    fs::copy(scene.path("x.nalx"), &path).unwrap();
    huge(&path, TERABYTE);
    scene.refused(&path, REFUSED, "an export, and a terabyte of nothing after it");
    // One file of eight gigabytes, which the list may even name.
    let header = auditor_common::tar::header("EXPORT", (1 << 33) - 512).unwrap();
    fs::write(&path, header).unwrap();
    huge(&path, (1 << 33) + 1024);
    scene.refused(&path, REFUSED, "a list of eight gigabytes");
}

#[test]
fn an_archive_of_a_hundred_thousand_files() {
    let scene = Scene::new();
    let mut archive = Vec::new();
    for number in 0..100_000 {
        archive.extend(auditor_common::tar::header(&format!("{number:092}/readme"), 0).unwrap());
    }
    archive.extend(auditor_common::tar::END);
    let path = scene.path("many.nalx");
    fs::write(&path, archive).unwrap();
    scene.refused(&path, &[exit::TAMPERED], "a hundred thousand files");
}

#[test]
fn files_of_an_export_that_are_huge() {
    for name in ["EXPORT", "checkpoint", "epochs", "node", "keys/root.vkey", "bodies/000"] {
        let scene = Scene::new();
        huge(&scene.path("folder").join(name), TERABYTE);
        scene.refused(&scene.path("folder"), REFUSED, name);
    }
    // A list that has the length of the one that is there.
    let scene = Scene::new();
    let mut bundle = scene.bundle.clone();
    let mut note = bundle.signed().export;
    let listed = note.files.iter_mut().find(|file| file.path == "bodies/000").unwrap();
    listed.len = TERABYTE;
    scene.thief.sign(&mut bundle, note);
    fs::write(scene.path("folder/EXPORT"), &bundle.0["EXPORT"]).unwrap();
    huge(&scene.path("folder/bodies/000"), TERABYTE);
    scene.refused(&scene.path("folder"), &[exit::TAMPERED], "as huge as the list says");
}

#[test]
fn what_is_no_export_at_all() {
    let scene = Scene::new();
    let (empty, deep) = (scene.path("empty"), scene.path("deep"));
    fs::create_dir(&empty).unwrap();
    fs::create_dir_all(deep.join("a/".repeat(900))).unwrap();
    let link = scene.path("linked");
    fs::create_dir(&link).unwrap();
    std::os::unix::fs::symlink("/dev/zero", link.join("EXPORT")).unwrap();
    for (path, what) in [
        (PathBuf::from("/dev/null"), "/dev/null"),
        (PathBuf::from("/dev/zero"), "/dev/zero"),
        (scene.path("nothing"), "what is not there"),
        (verifier().to_owned(), "a program"),
        (checkout().join("Cargo.lock"), "a text"),
        (empty, "an empty folder"),
        (deep, "a folder in a folder in a folder"),
        (link, "a link to /dev/zero"),
    ] {
        scene.refused(&path, REFUSED, what);
    }
}

#[test]
fn proofs_that_are_cut_or_huge() {
    let scene = Scene::new();
    let path = scene.path("4.tlog-proof");
    let whole = fs::read(&path).unwrap();
    for len in [0, 1, 22, 23, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..len]).unwrap();
        scene.refused(&path, REFUSED, &format!("a proof cut to {len} bytes"));
    }
    fs::write(&path, &whole).unwrap();
    huge(&path, TERABYTE);
    scene.refused(&path, REFUSED, "a proof of a terabyte");
    let line = format!("{}\n", "A".repeat(44));
    fs::write(&path, [whole[..23].to_vec(), line.repeat(1 << 20).into_bytes()].concat()).unwrap();
    scene.refused(&path, REFUSED, "a proof of a million hashes");
}

/// What a newer version wrote is not called tampered with.
#[test]
fn an_export_of_a_newer_version() {
    let scene = Scene::new();
    let mut bundle = scene.bundle.clone();
    let mut forge = auditor_tests::forge::Forge::of(&bundle);
    let flow = forge.of_type("EVENT")[0];
    forge.rows[flow].0.schema = 2;
    forge.rehash(flow);
    forge.write(&mut bundle, &scene.thief);
    let path = scene.path("newer.nalx");
    fs::write(&path, bundle.archive()).unwrap();
    scene.refused(&path, &[exit::UNKNOWN], "a body of a newer schema");
}

/// What is done to a file.
type Harm = fn(&Path);

#[test]
fn a_store_whose_files_are_cut_huge_or_something_else() {
    let kinds: [(&str, Harm); 4] = [
        ("empty", |path| fs::write(path, []).unwrap()),
        ("cut", |path| {
            let len = fs::metadata(path).unwrap().len();
            File::options().write(true).open(path).unwrap().set_len(len / 2).unwrap();
        }),
        ("a terabyte", |path| {
            fs::write(path, []).unwrap();
            huge(path, TERABYTE);
        }),
        ("a text", |path| fs::write(path, "Lorem ipsum dolor sit amet.\n".repeat(1000)).unwrap()),
    ];
    for name in ["head", "node", "root.vkey", "0001/epochs", "0001/seg-00000000000000000000.redb"] {
        for (kind, harm) in kinds {
            let scene = Scene::new();
            harm(&scene.path("state").join(name));
            scene.store(REFUSED, &format!("{name} is {kind}"));
        }
    }
}

#[test]
fn a_folder_that_is_no_store() {
    let scene = Scene::new();
    let state = scene.path("state");
    fs::remove_dir_all(&state).unwrap();
    scene.store(&[exit::IO], "there is nothing");
    fs::create_dir_all(state.join("0001")).unwrap();
    scene.store(&[exit::IO], "there is a folder");
    fs::write(segment(&state), "x").unwrap();
    scene.store(REFUSED, "there is something in it");
}
