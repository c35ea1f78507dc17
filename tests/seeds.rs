//! The fuzzer begins with whole exports, lists and proofs: they are accepted, so that what is done to them gets deep.
//!
//! They hold random keys. `NETWORK_AUDIT_WRITE_SEEDS=1 cargo test -p auditor-tests --test seeds` makes new ones.

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;

use auditor_common::export::SignedExport;
use auditor_common::proof::ProofFile;
use auditor_common::tar::Archive;
use auditor_common::verify::{Expect, exit, verify_export};
use auditor_tests::bundle::{Bundle, Thief};
use auditor_tests::checkout;
use auditor_tests::ledger::{Ledger, at, options};
use auditor_userspace::export::{self, Request};
use auditor_userspace::kernel_btf::KernelBtf;
use auditor_userspace::store::{Limits, StoreTree};

const WRITE: &str = "NETWORK_AUDIT_WRITE_SEEDS";

fn folder(target: &str) -> PathBuf {
    checkout().join("fuzz/seeds").join(target)
}

/// The seeds of a target whose names begin so.
fn seeds(target: &str, begin: &str) -> Vec<(String, Vec<u8>)> {
    let names = fs::read_dir(folder(target)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<_> = names.filter(|name| name.starts_with(begin)).collect();
    found.sort();
    found.into_iter().map(|name| (name.clone(), fs::read(folder(target).join(name)).unwrap())).collect()
}

fn write(target: &str, name: &str, content: &[u8]) {
    fs::write(folder(target).join(name), content).unwrap();
}

/// Small ones of each kind: a whole ledger, a slice, an excerpt, an excerpt of a slice.
fn make() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(0);
    options.limits = Limits { epoch_ns: 8_000_000_000, reserve_bytes: 1 << 20, ..Limits::default() };
    let mut ledger = Ledger::open(dir.path(), &options).unwrap();
    for second in 0..30 {
        ledger.second(&[("a", u64::from(second % 3 == 0) + 3), ("b", u64::from(second % 5 == 0))]);
    }
    let late = Some(at(25).wall_ns);
    let kinds = [("whole", None, None), ("slice", late, None), ("excerpt", None, Some("b")), ("part", late, Some("b"))];
    for (name, from_wall_ns, instance) in kinds {
        let instance = instance.map(str::to_owned);
        let request = Request { from_wall_ns, instance, nonce: Some(vec![7; 8]), ..Request::default() };
        let mut bundle = Bundle::of(dir.path(), &mut ledger, &request);
        *bundle.file_mut("SPEC.md") = b"see the release\n".to_vec();
        Thief::of(dir.path(), 1, bundle.signed().epoch).relist(&mut bundle);
        for target in ["archive", "bundle"] {
            write(target, &format!("export-{name}"), &bundle.archive());
        }
        write("export", &format!("list-{name}"), &bundle.0["EXPORT"]);
        write("epoch", &format!("notes-{name}"), &bundle.0["epochs"]);
    }
    let mut reader = ledger.store.reader();
    let signed = reader.checkpoint().unwrap().unwrap();
    let mut tree = StoreTree::new(reader.clone()).unwrap();
    for seq in [0, 7, 130, signed.checkpoint.size - 1] {
        let proof = export::prove(&mut reader, &mut tree, seq, &signed).unwrap();
        write("proof", &format!("record-{seq:03}"), proof.to_string().as_bytes());
    }
}

#[test]
fn seeds_are_accepted() {
    if std::env::var_os(WRITE).is_some() {
        make();
    }
    for target in ["archive", "bundle"] {
        let exports = seeds(target, "export-");
        assert_eq!(exports.len(), 4, "{target}");
        for (name, bytes) in exports {
            let mut archive = Archive::open(Cursor::new(bytes)).unwrap().unwrap();
            let verdict = verify_export(&mut archive, &Expect::default(), &mut |_| {}).unwrap();
            assert!(matches!(verdict.exit(), exit::PROVEN | exit::GAPS), "{target}/{name}: {}", verdict.to_text());
        }
    }
    for (name, bytes) in seeds("export", "list-") {
        assert!(SignedExport::parse(&bytes).is_ok(), "{name}");
    }
    let proofs = seeds("proof", "record-");
    assert_eq!(proofs.len(), 4);
    for (name, bytes) in proofs {
        ProofFile::parse(&bytes).unwrap().check().unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let kernel = KernelBtf::parse(fs::read(folder("btf").join("kernel")).unwrap()).unwrap();
    kernel.offsets().unwrap();
    assert!(kernel.has_tracepoint("sock_send_length"));
}
