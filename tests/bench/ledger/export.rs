//! What is handed to somebody: a whole ledger, and one record with its proof.

use std::fs::File;
use std::hint::black_box;
use std::io::BufWriter;
use std::path::Path;
use std::process::Command;

use auditor_common::checkpoint::SignedCheckpoint;
use auditor_common::merkle::verify_inclusion;
use auditor_common::proof::ProofFile;
use auditor_common::record::Row as StoredRow;
use auditor_tests::bench::{Row, median, row};
use auditor_tests::checkout;
use auditor_userspace::export;
use auditor_userspace::key::{Signer, read_root};
use auditor_userspace::store::StoreTree;

use super::driven::{Full, million};
use super::timing::timed;

pub(super) fn exporting(folder: &Path, _: usize) -> Vec<Row> {
    let mut full = million(folder);
    let path = folder.join("whole.nalx");
    let mut rows = vec![whole(&path, &mut full), by_the_second_verifier(&path, &full)];
    rows.extend(proving(&full));
    rows.extend(small_things(&full));
    rows
}

/// As the daemon does it: everything is read for the list, which is signed, and read again for whoever asked.
fn whole(path: &Path, full: &mut Full) -> Row {
    let ((), time) = timed(|| {
        let request = export::Request::default();
        let mut reader = full.store.reader();
        let record = export::record(&mut reader, &request, "root (0)").expect("an export");
        let input = full.input();
        let announced = full.store.announce_export(record, input, full.now).expect("an export");
        let seconds = full.now.wall_ns / 1_000_000_000;
        let incarnation = announced.checkpoint.origin.incarnation();
        let keys = export::Published::read(&full.state, incarnation).expect("the public keys");
        let mut counted = export::Counted::default();
        let note = export::write(&keys, reader.clone(), &request, &announced, seconds, &mut counted, &mut |_, _| {});
        let signed = full.store.sign_export(&note.expect("an export").text()).expect("a signature");
        let file = BufWriter::with_capacity(1 << 20, File::create(path).expect("a file"));
        let mut stream = export::Stream::begin(file, &signed).expect("a file");
        export::write(&keys, reader, &request, &announced, seconds, &mut stream, &mut |_, _| {}).expect("an export");
        export::Output::finish(&mut stream, &signed).expect("a file");
    });
    let records = full.store.acknowledged() as f64;
    row("export of a million records", time.wall * 1e6 / records, "s", 3.0, 1.5)
}

/// The verifier in Python, from its start to its verdict.
fn by_the_second_verifier(path: &Path, full: &Full) -> Row {
    let key = read_root(&full.state).expect("the root's key").to_string();
    let mut verify = Command::new("python3");
    verify.args(["-B", "-m", "verify", "--key", &key]).arg(path);
    verify.current_dir(checkout().join("odoo_addon/mit_network_audit/core"));
    let (output, time) = timed(|| verify.output().expect("python3"));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(matches!(output.status.code(), Some(0 | 4)), "{said}{}", String::from_utf8_lossy(&output.stderr));
    row("verify.py", full.store.sealed() as f64 / time.wall / 1e3, "k/s", 100.0, 250.0)
}

fn proving(full: &Full) -> Vec<Row> {
    let mut reader = full.store.reader();
    let signed: SignedCheckpoint = reader.checkpoint().expect("a store").expect("a checkpoint");
    let size = signed.checkpoint.size;
    let (mut built, mut checked, mut len) = (vec![], vec![], 0);
    for number in 0..200_u64 {
        let seq = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % size;
        let (proof, time) = timed(|| {
            let mut tree = StoreTree::new(reader.clone()).expect("a tree");
            export::prove(&mut reader, &mut tree, seq, &signed).expect("a proof")
        });
        built.push(time.wall * 1e3);
        // The record itself is what is proven, and no part of the proof.
        let record = ProofFile { row: vec![], ..proof.clone() };
        len = record.to_string().len() + (30 - proof.hashes.len()) * 45;
        let (fits, time) = timed(|| {
            let row = StoredRow::parse(&proof.row).expect("a row");
            row.fits() && verify_inclusion(seq, size, &row.leaf(), &proof.hashes, &signed.checkpoint.root).is_ok()
        });
        assert!(fits);
        checked.push(time.wall * 1e6);
    }
    vec![
        row("one inclusion proof is built in", median(built), "ms", 1.0, 0.1),
        row("and checked in", median(checked), "µs", 20.0, 10.0),
        row("its file, at 10^9 records, the record apart", len as f64, "bytes", 2048.0, 1536.0),
    ]
}

fn small_things(full: &Full) -> Vec<Row> {
    let signer = Signer::generate("audit.example/bench").expect("a key");
    let text = "a checkpoint is about this long: an origin, a size, and a root in base64\n";
    let ((), time) = timed(|| {
        (0..2000).for_each(|_| {
            black_box(signer.sign(text));
        });
    });
    let share = time.cpu / 2000.0 * 2.0 * 20.0 * 100.0;
    let links = full.store.reader().links(1000..2000).expect("rows");
    let fixed: usize =
        links.iter().map(|link| 8 + link.row.len() - StoredRow::parse(&link.row).expect("a row").body.len()).sum();
    vec![
        row("signing, at 20 checkpoints a second", share, "% of a core", 1.0, 0.2),
        row("a record without its body", fixed as f64 / links.len() as f64, "bytes", 192.0, 184.0),
    ]
}
