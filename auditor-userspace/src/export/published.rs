//! The public keys of a node, as they lie beside its ledgers: read once, so that every pass over an export has the same.

use std::path::Path;

use auditor_common::epoch::SignedEpoch;
use auditor_common::note::VerifierKey;

use crate::key;
use crate::store::StoreError;

/// Who signs: notes and keys that an export carries.
#[derive(Clone, Debug)]
pub struct Published {
    /// The node note, as it is stored.
    pub(super) node: Vec<u8>,
    /// The root's key.
    pub(super) root: VerifierKey,
    /// The log's key, under the node's name.
    pub(super) log: VerifierKey,
    /// Epoch notes of all ledgers of the node, in their order.
    pub(super) epochs: Vec<SignedEpoch>,
}

impl Published {
    /// Reads what lies in a state folder up to this ledger.
    pub fn read(state: &Path, incarnation: u32) -> Result<Self, StoreError> {
        let mut epochs = Vec::new();
        for incarnation in 1..=incarnation {
            epochs.extend(key::read_epochs(state, incarnation)?);
        }
        Ok(Self {
            node: key::read_small(&state.join("node"), 64 << 10)?,
            root: key::read_root(state)?,
            log: key::read_node(state)?.log.clone(),
            epochs,
        })
    }

    /// The newest epoch. A list that a later one signs does not fit these keys.
    #[must_use]
    pub fn newest_epoch(&self) -> Option<u32> {
        self.epochs.last().map(|note| note.epoch.epoch)
    }
}
