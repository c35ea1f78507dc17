//! What an export needs of the writer: a record that says that it is made, and two signatures under its list of files.

use auditor_common::body::{Body, Export};
use auditor_common::export::{ExportNote, SignedExport};
use auditor_common::note::SignatureLine;

use super::{CheckpointInfo, SealInput, Store, StoreError};
use crate::chain::Now;
use crate::key::random;

/// How many exports may be under way.
const UNDER_WAY: usize = 16;

/// An export that the ledger knows of: it is sealed, and waits for its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// What the record says.
    pub export: Export,
    /// `seq` of the record.
    pub record: u64,
    /// The checkpoint over it.
    pub checkpoint: CheckpointInfo,
    /// First record that is kept.
    pub min_index: u64,
}

impl Store {
    /// Records that a part of the ledger is handed out, and seals it: whoever gets it finds the nonce in the tree.
    pub fn announce_export(
        &mut self,
        mut export: Export,
        input: SealInput,
        now: impl Into<Now>,
    ) -> Result<Announced, StoreError> {
        let now = now.into();
        export.id = random()?;
        // Records that waited for their commit when it was asked for are before this one: the end is the SEAL after it.
        export.last = export.last.min(self.chain.size() + 1);
        let record = self.append(&Body::Export(export.clone()), now)?;
        let checkpoint = self.seal_and(&input, now, None)?;
        let announced = Announced { export, record, checkpoint, min_index: self.min_index() };
        self.announced.push(announced.clone());
        if self.announced.len() > UNDER_WAY {
            self.announced.remove(0);
        }
        Ok(announced)
    }

    /// Signs the list of files of an export that was announced, and nothing else.
    pub fn sign_export(&mut self, text: &str) -> Result<String, StoreError> {
        let refused = |detail: &str| StoreError::Refused { detail: detail.to_owned() };
        let note = ExportNote::parse_text(text).map_err(|error| refused(&error.to_string()))?;
        let known = self.announced.iter().position(|announced| {
            announced.export.id == note.id
                && announced.export.nonce == note.nonce
                && announced.export.filter == note.filter
                && announced.checkpoint.size == note.size
                && self.keys.origin == note.origin
        });
        let known = known.ok_or_else(|| refused("no such export was announced, or it was signed already"))?;
        self.announced.remove(known);
        let line = |signer: &crate::key::Signer| SignatureLine::new(signer.verifier(), &signer.sign(text));
        let (by_epoch, by_log) = (line(&self.keys.epoch), line(&self.keys.log));
        Ok(SignedExport::new(note, self.keys.number, by_epoch, by_log).to_string())
    }
}
