//! The list of an export's files, and the keys that sign it.

use std::collections::BTreeMap;

use super::{Expect, Export, Files, MAX_FILE, MAX_FILES, Stop, damaged, violated};
use crate::epoch::{SignedEpoch, SignedNode, parse_epochs};
use crate::export::{MAX_EXPORT, SignedExport, is_path};
use crate::merkle::{Hash, sha256};
use crate::note::{MAX_NOTE, NoteError, VerifierKey};
use crate::origin::Origin;
use crate::verify::{Finding, Identity, Question};

impl<'a> Export<'a> {
    /// Reads the list, follows the keys, and holds the one against the other.
    pub(super) fn open(files: &'a mut dyn Files, expect: &Expect) -> Result<Self, Stop> {
        let found = files.list()?;
        if found.len() > MAX_FILES {
            return Err(damaged("the export has more files than any has"));
        }
        let len = found.iter().find(|(path, _)| path == "EXPORT").map(|(_, len)| *len);
        let len = len.ok_or_else(|| damaged("the export has no file EXPORT"))?;
        if len > MAX_EXPORT as u64 {
            return Err(damaged("the file EXPORT is too long"));
        }
        let bytes = files.read("EXPORT", len)?;
        let signed = SignedExport::parse(&bytes).map_err(|error| damaged(format!("the file EXPORT: {error}")))?;
        let listed: BTreeMap<_, _> =
            signed.export.files.iter().map(|file| (file.path.clone(), (file.len, file.hash, false))).collect();
        let mut seen = 0;
        for (path, len) in found.iter().filter(|(path, _)| path != "EXPORT") {
            if !is_path(path) {
                return Err(damaged(format!("the export has a file that none has: {path:?}")));
            }
            match listed.get(path) {
                Some((listed, ..)) if listed == len => seen += 1,
                Some(_) => return Err(damaged(format!("the file {path} has another length than the list says"))),
                None => return Err(damaged(format!("the file {path} is not in the list"))),
            }
        }
        if seen != listed.len() || found.len() != listed.len() + 1 {
            return Err(damaged("a file of the list is missing, or is there twice"));
        }
        let origin = signed.export.origin.clone();
        let mut small = Unsigned { files, listed };
        let root = small.key("keys/root.vkey")?;
        let log = small.key("keys/log.vkey")?;
        let bytes = small.read("node", MAX_NOTE as u64)?;
        let node = SignedNode::parse(&bytes).map_err(|error| damaged(format!("the file node: {error}")))?;
        let bytes = small.read("epochs", MAX_FILE)?;
        let epochs = parse_epochs(&bytes).map_err(|error| damaged(format!("the file epochs: {error}")))?;
        let identity = identity(expect, &root, &node, &origin, &epochs)?;
        if log.public() != node.log.public() || log.name() != node.log.name() {
            return Err(violated(Question::Authenticity, "keys/log.vkey is not the key that the node note names"));
        }
        let key = identity.epochs.get(signed.epoch as usize).map(|epoch| epoch.key.clone());
        let key = key.ok_or_else(|| damaged(format!("there is no note of epoch {}", signed.epoch)))?;
        match signed.verify(&identity.log, &key) {
            Ok(_) => {}
            Err(error @ NoteError::Unsigned { .. }) => {
                return Err(Finding::Unknown { sentence: format!("the file EXPORT: {error}") }.into());
            }
            Err(error) => return Err(violated(Question::Authenticity, format!("the file EXPORT: {error}"))),
        }
        let Unsigned { files, listed } = small;
        Ok(Self { files, epoch: signed.epoch, note: signed.export, identity, listed })
    }
}

/// Files whose list is not known to be signed yet: the keys that sign it are among them.
struct Unsigned<'a> {
    files: &'a mut dyn Files,
    listed: BTreeMap<String, (u64, Hash, bool)>,
}

impl Unsigned<'_> {
    fn read(&mut self, path: &str, limit: u64) -> Result<Vec<u8>, Stop> {
        read_listed(self.files, &mut self.listed, path, limit)
    }

    fn key(&mut self, path: &str) -> Result<VerifierKey, Stop> {
        let bytes = self.read(path, 1024)?;
        let text = std::str::from_utf8(&bytes).ok().and_then(|text| text.strip_suffix('\n'));
        let key = text.map(VerifierKey::parse);
        match key {
            Some(Ok(key)) => Ok(key),
            Some(Err(error)) => Err(damaged(format!("{path}: {error}"))),
            None => Err(damaged(format!("{path} is not one line"))),
        }
    }
}

/// A listed file, whose content has the hash of the list.
pub(super) fn read_listed(
    files: &mut dyn Files,
    listed: &mut BTreeMap<String, (u64, Hash, bool)>,
    path: &str,
    limit: u64,
) -> Result<Vec<u8>, Stop> {
    let Some((len, hash, read)) = listed.get_mut(path) else {
        return Err(damaged(format!("the file {path} is missing")));
    };
    if *len > limit {
        return Err(damaged(format!("the file {path} is too long")));
    }
    let bytes = files.read(path, *len)?;
    if bytes.len() as u64 != *len || sha256(&bytes) != *hash {
        return Err(damaged(format!("the file {path} is not the one in the list")));
    }
    *read = true;
    Ok(bytes)
}

/// Follows the keys of a node's ledgers, the first of which the root key signed, up to this one.
fn identity(
    expect: &Expect,
    root: &VerifierKey,
    node: &SignedNode,
    origin: &Origin,
    notes: &[SignedEpoch],
) -> Result<Identity, Stop> {
    let mut before: Vec<VerifierKey> = vec![];
    let mut ledgers = notes.chunk_by(|one, other| one.epoch.origin == other.epoch.origin).peekable();
    let mut incarnation = 0;
    while let Some(notes) = ledgers.next() {
        let of = &notes[0].epoch.origin;
        incarnation += 1;
        if of.incarnation() != incarnation || of.node() != origin.node() {
            return Err(damaged("the epoch notes are not in the order of the node's ledgers"));
        }
        let identity = Identity::establish(&expect.trust, root, node, of, notes, &before)?;
        if of == origin {
            return if ledgers.peek().is_none() {
                Ok(identity)
            } else {
                Err(damaged("there are epoch notes too many"))
            };
        }
        before = identity.epochs.iter().map(|note| note.key.clone()).collect();
    }
    Err(damaged("there is no epoch note of this ledger"))
}
