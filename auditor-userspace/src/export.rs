//! A part of the ledger for somebody who trusts neither us nor this host: files, and a signed list of them.
//!
//! The writer announces it ([`Store::announce_export`](crate::store::Store::announce_export)): a record with the nonce,
//! sealed. Then the files are written from what is stored, in the order of their paths, by whoever asked; and the writer
//! signs the list of them ([`Store::sign_export`](crate::store::Store::sign_export)).

mod excerpt; // one instance's records, and only them
pub mod html; // a page that verifies itself
mod output; // an archive
mod published; // the public keys, as they lie beside the ledger
mod released; // the hash of the verifier in Python
mod stretch; // all records of a stretch

use std::path::Path;

use auditor_common::body::{Body, Export};
use auditor_common::checkpoint::SignedCheckpoint;
use auditor_common::export::{ExportNote, ListedFile, TILE, filter};
use auditor_common::merkle::sha256;
use auditor_common::note::unhex_any;
use auditor_common::proof::{ProofFile, inclusion, right_edge};
use auditor_common::record::EntryType;

pub use output::{Counted, Output, Stream};
pub use published::Published;

use crate::chain::Edge;
use crate::store::{Announced, Reader, StoreError, StoreTree};

/// A nonce is not longer, bytes.
pub const NONCE_MAX: usize = 64;

/// Reads the number of whoever asks, as they may write it in hexadecimal.
#[must_use]
pub fn nonce(text: &str) -> Option<Vec<u8>> {
    unhex_any(text).filter(|nonce| (1..=NONCE_MAX).contains(&nonce.len()))
}

/// The specification, which every export carries.
const SPECIFICATION: &str = include_str!("../../auditor-common/FORMAT.md");

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// From when, CLOCK_REALTIME nanoseconds; from the beginning without it.
    pub from_wall_ns: Option<u64>,
    /// Until when; to the end without it.
    pub to_wall_ns: Option<u64>,
    /// Only the records of this instance, and the ledger's own.
    pub instance: Option<String>,
    /// What the one who asked wants to find again.
    pub nonce: Option<Vec<u8>>,
    /// With a page for people.
    pub html: bool,
}

/// Why there is no export.
#[derive(Debug)]
pub enum ExportError {
    /// The store could not be read.
    Store(StoreError),
    /// A file could not be written.
    Output {
        /// Which.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is nothing of what is asked for.
    Nothing(String),
    /// A file would be larger than any verifier takes.
    TooLarge {
        /// Which.
        path: String,
    },
}

impl std::fmt::Display for ExportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Output { path, source } => write!(f, "cannot write {}: {source}", path.display()),
            Self::Nothing(what) => f.write_str(what),
            Self::TooLarge { path } => write!(f, "the file {path} would be larger than a verifier takes: export less"),
        }
    }
}

impl std::error::Error for ExportError {}

impl From<StoreError> for ExportError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What the EXPORT record says of a request, before it has its id.
pub fn record(reader: &mut Reader, request: &Request, actor: &str) -> Result<Export, ExportError> {
    let size = reader.size()?;
    let first = match request.from_wall_ns {
        Some(from) => reader.first_since(from)?,
        None => reader.range(0, 1)?.first().map_or(0, |record| record.entry.seq),
    };
    let end = match request.to_wall_ns {
        Some(to) => reader.end_before(to.saturating_add(1))?,
        // Whatever is there when it is announced.
        None => u64::MAX,
    };
    if first >= end.min(size) {
        return Err(ExportError::Nothing("nothing was recorded in that time".to_owned()));
    }
    if let Some(instance) = &request.instance
        && reader.stream_key(instance)?.is_none()
    {
        return Err(ExportError::Nothing(format!("there are no records of the instance \"{instance}\"")));
    }
    Ok(Export {
        id: [0; 16],
        nonce: request.nonce.clone(),
        first,
        last: end - 1,
        filter: request.instance.as_deref().map(filter),
        actor: actor.to_owned(),
    })
}

/// What an export covers in the end: from the edge of a tile to a SEAL.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// First record, a multiple of 256.
    first: u64,
    /// Last record, a SEAL.
    last: u64,
    /// Records that were asked for: bodies of others are withheld.
    asked: (u64, u64),
}

/// One export on its way to its files.
struct Making<'a> {
    keys: &'a Published,
    reader: Reader,
    request: &'a Request,
    announced: &'a Announced,
    signed: SignedCheckpoint,
    span: Span,
    start: Edge,
    tree: StoreTree,
    files: Vec<ListedFile>,
    output: &'a mut dyn Output,
    progress: &'a mut dyn FnMut(u64, u64),
}

/// Writes the files of an announced export and returns the list of them, to be signed. `progress` is told how many of
/// how many records have been written. Written again with the same keys, the files are the same.
pub fn write(
    keys: &Published,
    reader: Reader,
    request: &Request,
    announced: &Announced,
    time: u64,
    output: &mut dyn Output,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<ExportNote, ExportError> {
    let mut reader = reader;
    let signed = SignedCheckpoint::parse(announced.checkpoint.note.as_bytes())
        .map_err(|error| corrupt(Path::new("the store"), format!("the checkpoint: {error}")))?;
    let span = span(&mut reader, announced)?;
    let start = reader.edge_at(span.first)?;
    let tree = StoreTree::new(reader.clone())?;
    let mut waiting = html::Waiting::default();
    let files = Vec::new();
    let into: &mut dyn Output = if request.html { &mut waiting } else { &mut *output };
    let mut making =
        Making { keys, reader, request, announced, signed, span, start, tree, files, output: into, progress };
    making.all()?;
    let Making { mut files, .. } = making;
    if request.html {
        let page = waiting.hand_on(output)?;
        let listed = ListedFile { hash: sha256(&page), len: page.len() as u64, path: html::PATH.to_owned() };
        files.insert(files.partition_point(|file| file.path < listed.path), listed);
    }
    let export = &announced.export;
    Ok(ExportNote {
        origin: announced.checkpoint.origin.clone(),
        id: export.id,
        time,
        nonce: export.nonce.clone(),
        first: span.first,
        last: span.last,
        size: announced.checkpoint.size,
        min_index: announced.min_index,
        filter: export.filter,
        verifier: released::verifier(),
        files,
    })
}

fn corrupt(path: &Path, detail: String) -> ExportError {
    ExportError::Store(StoreError::Corrupt { path: path.to_owned(), detail })
}

fn span(reader: &mut Reader, announced: &Announced) -> Result<Span, ExportError> {
    let size = announced.checkpoint.size;
    let asked = (announced.export.first, announced.export.last.min(size - 1));
    let first = (asked.0 / TILE * TILE).max(announced.min_index);
    // To the next SEAL: what comes before it is sealed by it.
    let mut last = asked.1;
    'search: loop {
        let records = reader.range(last, 1024)?;
        if records.is_empty() {
            return Err(ExportError::Store(StoreError::Missing { record: last }));
        }
        for record in &records {
            if record.entry.kind == EntryType::Seal {
                last = record.entry.seq;
                break 'search;
            }
        }
        last += records.len() as u64;
    }
    Ok(Span { first, last, asked })
}

impl Making<'_> {
    /// Every file, in the order of the paths.
    fn all(&mut self) -> Result<(), ExportError> {
        self.put("SPEC.md", SPECIFICATION.as_bytes())?;
        if self.request.instance.is_none() {
            self.bodies()?;
        }
        let note = self.announced.checkpoint.note.clone();
        self.put("checkpoint", note.as_bytes())?;
        self.ends_of_epochs()?;
        self.keys()?;
        if self.span.first > 0 {
            let left = self.start.range.hashes().concat();
            self.put("left", &left)?;
        }
        self.put("node", &self.keys.node)?;
        if self.request.instance.is_some() {
            self.own()?;
        }
        self.proofs()?;
        if self.span.last + 1 < self.announced.checkpoint.size {
            let edge = right_edge(&mut self.tree, self.span.last + 1, self.announced.checkpoint.size)?;
            self.put("right", &edge.concat())?;
        }
        if self.request.instance.is_some() {
            self.streams()?;
            self.leaves()
        } else {
            if self.span.first > 0 {
                let table = auditor_common::verify::format_table(&self.start.streams);
                self.put("table", table.as_bytes())?;
            }
            self.tiles()
        }
    }

    /// Writes a file and lists it.
    fn put(&mut self, path: &str, content: &[u8]) -> Result<(), ExportError> {
        if content.len() as u64 > auditor_common::verify::MAX_FILE {
            return Err(ExportError::TooLarge { path: path.to_owned() });
        }
        if self.output.is_to_be_listed() {
            self.files.push(ListedFile { hash: sha256(content), len: content.len() as u64, path: path.to_owned() });
        }
        self.output.file(path, content)
    }

    fn keys(&mut self) -> Result<(), ExportError> {
        let notes = self.keys.epochs.iter().filter(|note| note.epoch.origin.incarnation() <= self.incarnation());
        let epochs: String = notes.map(ToString::to_string).collect();
        self.put("epochs", epochs.as_bytes())?;
        self.put("keys/log.vkey", format!("{}\n", self.keys.log).as_bytes())?;
        self.put("keys/root.vkey", format!("{}\n", self.keys.root).as_bytes())
    }

    fn incarnation(&self) -> u32 {
        self.announced.checkpoint.origin.incarnation()
    }

    /// Checkpoints at which epochs end, within the span: where the next one starts.
    fn ends_of_epochs(&mut self) -> Result<(), ExportError> {
        let span = self.span.first + 1..=self.span.last + 1;
        let own = self.keys.epochs.iter().filter(|note| note.epoch.origin == self.announced.checkpoint.origin);
        let mut found = Vec::new();
        for start in own.map(|note| note.epoch.start).filter(|start| span.contains(start)) {
            for (size, note) in self.reader.notes(start..=start)? {
                found.push((format!("checkpoints/{size}"), note));
            }
        }
        found.sort();
        for (path, note) in found {
            self.put(&path, &note)?;
        }
        Ok(())
    }

    /// Records of the ledger's own stream outside of the span that a verifier needs, each with its proof.
    fn proofs(&mut self) -> Result<(), ExportError> {
        let size = self.announced.checkpoint.size;
        let mut wanted: Vec<u64> = vec![0, self.announced.record, size - 1];
        wanted.extend(self.removal()?);
        let Span { first, last, .. } = self.span;
        wanted.retain(|seq| !(first..=last).contains(seq) && *seq >= self.announced.min_index);
        wanted.sort_unstable();
        wanted.dedup();
        let mut files = Vec::new();
        for seq in wanted {
            let proof = prove(&mut self.reader, &mut self.tree, seq, &self.signed)?;
            files.push((format!("proofs/{seq}.tlog-proof"), proof.to_string()));
        }
        files.sort();
        for (path, proof) in files {
            self.put(&path, proof.as_bytes())?;
        }
        Ok(())
    }

    /// The newest PRUNE and the POLICY that it names, where the ledger's head was removed.
    fn removal(&mut self) -> Result<Vec<u64>, ExportError> {
        if self.announced.min_index == 0 {
            return Ok(vec![]);
        }
        let mut before = self.announced.checkpoint.size;
        loop {
            let records = self.reader.newest(before, 4096)?;
            for record in &records {
                if let Ok(Body::Prune(prune)) = &record.body {
                    return Ok(vec![record.entry.seq, prune.policy]);
                }
            }
            match records.last() {
                Some(oldest) => before = oldest.entry.seq,
                None => return Ok(vec![]),
            }
        }
    }
}

/// One record, where it lies in the tree of a checkpoint.
pub fn prove(
    reader: &mut Reader,
    tree: &mut StoreTree,
    seq: u64,
    signed: &SignedCheckpoint,
) -> Result<ProofFile, ExportError> {
    let link = reader.links(seq..seq + 1)?.pop().ok_or(StoreError::Missing { record: seq })?;
    if seq >= signed.checkpoint.size {
        return Err(ExportError::Nothing(format!("record {seq} is not sealed yet: try again in a few seconds")));
    }
    let hashes = inclusion(tree, seq, signed.checkpoint.size)?;
    Ok(ProofFile { row: link.row, index: seq, hashes, checkpoint: signed.clone() })
}
