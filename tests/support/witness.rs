//! What somebody outside knows about a store: what it acknowledged, and what it released. After any crash, none of that
//! may be taken back.

use std::path::Path;

use auditor_common::merkle::Hash;
use auditor_common::note::VerifierKey;
use auditor_common::verify::exit;
use auditor_userspace::store::{CheckpointInfo, HeadState, Store, StoreError, read_head};
use auditor_userspace::verify::{Request, verify};

use crate::ledger::{Ledger, copy, options};
use crate::power::folder;

/// What somebody outside knows: what was acknowledged, and what was released.
#[derive(Clone, Debug, Default)]
pub struct Witness {
    /// The root key, to be pinned.
    pub root: Option<VerifierKey>,
    /// Leaf hashes of acknowledged records, from the first on.
    pub leaves: Vec<Hash>,
    /// The newest checkpoint that somebody was told of.
    pub released: Option<CheckpointInfo>,
    /// Records that a PRUNE was sealed for: they may be gone, and need not.
    pub removable: u64,
    /// What time it is, for the next start.
    pub second: u64,
}

impl Witness {
    /// The store has said something: what is durable counts as acknowledged, and a checkpoint as released.
    pub fn note(&mut self, ledger: &Ledger, released: Option<CheckpointInfo>) -> Result<(), StoreError> {
        let from = self.leaves.len() as u64;
        let known = ledger.store.acknowledged();
        let mut reader = ledger.store.reader();
        // What was removed between two words was seen by nobody.
        let first = reader.range(from, 1)?.first().map_or(from, |record| record.entry.seq);
        self.leaves.resize(first as usize, [0; 32]);
        self.leaves.extend(reader.leaves(first..known)?);
        assert_eq!(self.leaves.len() as u64, known);
        self.released = released.or(self.released.take());
        Ok(())
    }

    /// What is left of a state folder, against what somebody outside knows.
    pub fn examine(&self, state: &Path, what: &str) {
        let request = Request { state: state.to_owned(), pinned: self.root.clone(), incarnation: None };
        let Some(released) = &self.released else {
            // Nobody was told of anything: there may be nothing, but what is there is not called tampered with.
            if let Ok(report) = verify(&request, &mut |_| {}) {
                assert_ne!(report.exit(), exit::TAMPERED, "{what}: {}", report.to_text());
            }
            return;
        };
        let report = verify(&request, &mut |_| {}).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(matches!(report.exit(), exit::PROVEN | exit::GAPS), "{what}: {}", report.to_text());

        // The head file has what was released. The next start finds no less in the store, and calls nothing missing; it
        // is made on a copy here.
        let head = match read_head(&state.join("head")).expect("a head file") {
            HeadState::Newest(signed) => CheckpointInfo::of(&signed),
            other => panic!("{what}: {other:?}"),
        };
        let copied = folder();
        copy(state, copied.path());
        let (store, opened) = Store::open(copied.path(), &options(self.second + 50)).expect("the next start");
        assert_eq!((opened.origin.incarnation(), opened.recovered), (1, None), "{what}");
        let mut reader = store.reader();
        for known in [released, &head] {
            assert!(released.size <= known.size, "{what}: {released:?} {head:?}");
            let kept = reader.notes(known.size..=known.size).expect("a store");
            assert!(kept.iter().all(|(_, note)| *note == known.note.as_bytes()), "{what}: another checkpoint");
            assert!(kept.len() == 1 || known.size <= self.removable, "{what}: checkpoint {} is gone", known.size);
        }

        // Each record that was acknowledged is there, once, and what it was.
        let records = reader.range(0, usize::MAX).expect("a store");
        let first = records.first().map_or(0, |record| record.entry.seq);
        assert!(first <= self.removable, "{what}: {first} is the first record, and {} may be", self.removable);
        for (record, seq) in records.iter().zip(first..) {
            assert_eq!(record.entry.seq, seq, "{what}");
            let known = self.leaves.get(seq as usize).filter(|leaf| **leaf != [0; 32]);
            assert!(known.is_none_or(|leaf| *leaf == record.leaf), "{what}: record {seq} is another one");
        }
        let size = first + records.len() as u64;
        assert!(size >= self.leaves.len() as u64, "{what}: {size} of {} acknowledged records", self.leaves.len());
    }
}
