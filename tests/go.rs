//! A library that knows nothing of us agrees about notes, tree and proofs: Go's `golang.org/x/mod/sumdb`, of Debian's
//! packages. What stands on it is in `tests/go/outside.go`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use auditor_common::note::VerifierKey;
use auditor_tests::bundle::Bundle;
use auditor_tests::ledger::three_instances;
use auditor_tests::{checkout, require};
use auditor_userspace::export::{self, Request};
use auditor_userspace::store::StoreTree;
use tempfile::TempDir;

/// Where Debian keeps the library.
const GO_PATH: &str = "/usr/share/gocode";

fn a_go_with_the_library() -> Result<(), String> {
    let library = Path::new(GO_PATH).join("src/golang.org/x/mod/sumdb/tlog");
    if !library.is_dir() {
        return Err(format!("{} is not there (Debian: golang-golang-x-mod-dev)", library.display()));
    }
    let version = Command::new("go").arg("version").output();
    version.map(drop).map_err(|error| format!("go does not start: {error} (Debian: golang-go)"))
}

/// The program in Go, built once.
fn outside() -> &'static Path {
    static BUILT: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, program) = BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("outside");
        let mut go = Command::new("go");
        go.args(["build", "-o"]).arg(&program).arg(checkout().join("tests/go/outside.go"));
        // The library lies where packages of before Go's modules lie, and nothing is fetched.
        go.envs([
            ("GO111MODULE", "off"),
            ("GOPATH", GO_PATH),
            ("GOFLAGS", ""),
            ("GOPROXY", "off"),
            ("GOTOOLCHAIN", "local"),
        ]);
        go.env("GOCACHE", xtask::paths::built().unwrap().join("go-cache"));
        let output = go.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (folder, program)
    });
    program
}

/// An export of a whole ledger as a folder, and proofs of some of its records beside it.
struct Scene {
    dir: TempDir,
    root: VerifierKey,
}

const PROVEN: [u64; 4] = [0, 255, 256, 1000];

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let mut ledger = three_instances(&state);
        Bundle::of(&state, &mut ledger, &Request::default()).unpack(&dir.path().join("export"));
        let mut reader = ledger.store.reader();
        let signed = reader.checkpoint().unwrap().unwrap();
        let mut tree = StoreTree::new(reader.clone()).unwrap();
        for seq in PROVEN {
            let proof = export::prove(&mut reader, &mut tree, seq, &signed).unwrap();
            std::fs::write(dir.path().join(format!("{seq}.tlog-proof")), proof.to_string()).unwrap();
        }
        Self { dir, root: ledger.opened.root.clone() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Does the outsider take it, and what does he say?
    fn judged(&self, key: &VerifierKey) -> (bool, String) {
        let mut command = Command::new(outside());
        command.arg(key.to_string()).arg(self.path("export"));
        let output = command.args(PROVEN.map(|seq| self.path(&format!("{seq}.tlog-proof")))).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    }
}

#[test]
fn an_export_and_its_proofs_are_what_an_outsider_computes() {
    require!(a_go_with_the_library());
    let scene = Scene::new();
    let (taken, said) = scene.judged(&scene.root);
    assert!(taken && said.contains("4 epochs, 3 older checkpoints, 4 proofs"), "{said}");
}

#[test]
fn what_was_changed_an_outsider_refuses_as_well() {
    require!(a_go_with_the_library());
    let scene = Scene::new();
    let (taken, said) = scene.judged(&Scene::new().root);
    assert!(!taken && said.contains("node: "), "{said}");
    for (name, at, words) in [
        ("export/checkpoint", 60, "checkpoint: "),
        ("export/epochs", 700, "epoch "),
        ("export/node", 100, "node: "),
        ("export/tile/entries/001", 500, "another root"),
        ("1000.tlog-proof", 40, "1000.tlog-proof: "),
    ] {
        let whole = std::fs::read(scene.path(name)).unwrap();
        let mut changed = whole.clone();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        std::fs::write(scene.path(name), changed).unwrap();
        let (taken, said) = scene.judged(&scene.root);
        assert!(!taken && said.contains(words), "{name}: {said}");
        std::fs::write(scene.path(name), whole).unwrap();
    }
    assert!(scene.judged(&scene.root).0);
}
