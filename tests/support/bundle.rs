//! Exports in memory: made as the daemon makes them, and changed as somebody might who has the keys of today.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use auditor_common::export::{ListedFile, SignedExport};
use auditor_common::merkle::sha256;
use auditor_common::note::SignatureLine;
use auditor_common::tar::{END, header, padding};
use auditor_common::verify::Files;
use auditor_userspace::export::{self, ExportError, Output, Published, Request};
use auditor_userspace::key::{KeyPaths, Signer};

use crate::ledger::Ledger;

/// An export in memory: written to, and read from.
#[derive(Clone, Debug, Default)]
pub struct Bundle(pub BTreeMap<String, Vec<u8>>);

impl Output for Bundle {
    fn file(&mut self, path: &str, content: &[u8]) -> Result<(), ExportError> {
        let last = self.0.keys().rfind(|path| *path != "EXPORT");
        assert!(last.is_none_or(|last| last.as_str() < path) || path == "EXPORT", "{path} is out of order");
        assert!(self.0.insert(path.to_owned(), content.to_vec()).is_none(), "{path} twice");
        Ok(())
    }

    fn finish(&mut self, list: &str) -> Result<(), ExportError> {
        self.file("EXPORT", list.as_bytes())
    }
}

impl Files for Bundle {
    fn list(&mut self) -> io::Result<Vec<(String, u64)>> {
        Ok(self.0.iter().map(|(path, content)| (path.clone(), content.len() as u64)).collect())
    }

    fn read(&mut self, path: &str, _: u64) -> io::Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Makes an export as the daemon does: announced, written, signed.
pub fn export(dir: &Path, ledger: &mut Ledger, request: &Request, output: &mut dyn Output) -> Result<(), ExportError> {
    let mut reader = ledger.store.reader();
    let record = export::record(&mut reader, request, "root (0)")?;
    let announced = ledger.store.announce_export(record, ledger.input(), ledger.now)?;
    ledger.note_sealed();
    let keys = Published::read(dir, announced.checkpoint.origin.incarnation())?;
    let note = export::write(&keys, reader, request, &announced, 1_767_225_600, output, &mut |_, _| {})?;
    output.finish(&ledger.store.sign_export(&note.text())?)
}

impl Bundle {
    /// An export of a ledger.
    #[must_use]
    pub fn of(dir: &Path, ledger: &mut Ledger, request: &Request) -> Self {
        let mut bundle = Self::default();
        export(dir, ledger, request, &mut bundle).expect("an export");
        bundle
    }

    /// Writes the files into a folder, which did not exist before.
    pub fn unpack(&self, folder: &Path) {
        for (path, content) in &self.0 {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("our own folder");
            fs::write(path, content).expect("our own folder");
        }
    }

    /// The signed list.
    #[must_use]
    pub fn signed(&self) -> SignedExport {
        SignedExport::parse(&self.0["EXPORT"]).expect("a list")
    }

    /// A file that must be there.
    pub fn file_mut(&mut self, path: &str) -> &mut Vec<u8> {
        self.0.get_mut(path).unwrap_or_else(|| panic!("no file {path}"))
    }

    /// As an archive. Names that no archive can have are left out.
    #[must_use]
    pub fn archive(&self) -> Vec<u8> {
        let mut archive = Vec::new();
        for (path, content) in &self.0 {
            let Some(header) = header(path, content.len() as u64) else { continue };
            archive.extend(header);
            archive.extend(content);
            archive.extend(&END[..padding(content.len() as u64)]);
        }
        archive.extend(END);
        archive
    }
}

/// The keys that lie on the host at this moment, in the hands of somebody else.
#[derive(Debug)]
pub struct Thief {
    /// The log's key, under the ledger's name.
    pub log: Signer,
    /// The key of the epoch.
    pub epoch: Signer,
    /// Its number.
    pub number: u32,
}

impl Thief {
    /// Copies the keys out of a state folder.
    #[must_use]
    pub fn of(dir: &Path, incarnation: u32, epoch: u32) -> Self {
        let paths = KeyPaths::new(dir);
        let key = Signer::load(&paths.epoch(incarnation, epoch)).expect("the key of the epoch");
        let (origin, _) = key.verifier().name().rsplit_once("/e").expect("an epoch's name");
        let log = Signer::load(&paths.log()).expect("the log's key").renamed(origin).expect("a name");
        Self { log, epoch: key, number: epoch }
    }

    /// Lists the files as they are now, and signs the list.
    pub fn relist(&self, bundle: &mut Bundle) {
        let mut note = bundle.signed().export;
        note.files = (bundle.0.iter().filter(|(path, _)| *path != "EXPORT"))
            .map(|(path, content)| ListedFile { hash: sha256(content), len: content.len() as u64, path: path.clone() })
            .collect();
        self.sign(bundle, note);
    }

    /// Puts another list in the place of the one that is there, and signs it.
    pub fn sign(&self, bundle: &mut Bundle, note: auditor_common::export::ExportNote) {
        let text = note.text();
        let line = |signer: &Signer| SignatureLine::new(signer.verifier(), &signer.sign(&text));
        let signed = SignedExport::new(note, self.number, line(&self.epoch), line(&self.log));
        bundle.0.insert("EXPORT".to_owned(), signed.to_string().into_bytes());
    }
}
