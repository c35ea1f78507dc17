//! An export, verified from nothing but itself and what the verifier brings along.
//!
//! Only bytes whose hash the signed list has are looked at, and every file is looked at: there is nothing beside the
//! proof that nobody checks.

mod listed; // the signed list, and the keys
mod streams; // where streams stand

use std::collections::BTreeMap;

use super::{Answer, Evidence, Finding, Identity, Question, Scope, Standing, Start, Trust, Verdict, Verifier};
use crate::body::{Body, SCHEMA};
use crate::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::export::{ERASED, EXPIRED, ExportNote, TILE, WITHHELD, filter, tile_path};
use crate::merkle::{CompactRange, Hash};
use crate::note::MAX_NOTE;
use crate::proof::{MAX_PROOF_FILE, ProofFile};
use crate::record::{ENTRY_LEN, Entry, SALT_LEN};
use crate::stream::{CONTROL, StreamTable, tag};
use listed::read_listed;
pub use streams::{format_streams, format_table};

/// No file is larger: each is read whole, and the verifier's memory is bounded by this and by the list of files.
pub const MAX_FILE: u64 = 16 << 20;
/// No export has more files.
const MAX_FILES: usize = 1 << 20;

/// The files of an export, wherever they lie.
pub trait Files {
    /// Paths and lengths of all of them.
    fn list(&mut self) -> std::io::Result<Vec<(String, u64)>>;

    /// The content of one of them, which has this length.
    fn read(&mut self, path: &str, len: u64) -> std::io::Result<Vec<u8>>;
}

/// What the verifier brings along.
#[derive(Clone, Debug, Default)]
pub struct Expect {
    /// The root's key, or the log's.
    pub trust: Trust,
    /// The nonce that was given to the one who made the export.
    pub nonce: Option<Vec<u8>>,
    /// The last checkpoint of this ledger that the verifier has seen.
    pub last_seen: Option<Checkpoint>,
}

/// Why there is no verdict.
#[derive(Debug)]
pub enum ExportError {
    /// A file could not be read.
    Io(std::io::Error),
}

impl std::fmt::Display for ExportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Io(error) = self;
        write!(f, "cannot read the export: {error}")
    }
}

impl std::error::Error for ExportError {}

enum Stop {
    Io(std::io::Error),
    Finding(Finding),
}

impl From<Finding> for Stop {
    fn from(finding: Finding) -> Self {
        Self::Finding(finding)
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

fn violated(question: Question, sentence: impl Into<String>) -> Stop {
    Stop::Finding(Finding::violated(question, None, sentence))
}

fn damaged(sentence: impl Into<String>) -> Stop {
    violated(Question::Integrity, sentence)
}

/// Verifies an export. `progress` is told how many records have been looked at.
pub fn verify_export(
    files: &mut dyn Files,
    expect: &Expect,
    progress: &mut dyn FnMut(u64),
) -> Result<Verdict, ExportError> {
    match Export::open(files, expect) {
        Ok(mut export) => match export.verify(expect, progress) {
            Ok(verdict) => Ok(verdict),
            Err(Stop::Io(error)) => Err(ExportError::Io(error)),
            Err(Stop::Finding(finding)) => Ok(unread(&export.note.origin.to_string(), finding, expect)),
        },
        Err(Stop::Io(error)) => Err(ExportError::Io(error)),
        Err(Stop::Finding(finding)) => Ok(unread("the export", finding, expect)),
    }
}

/// The verdict on an export whose records were not come to.
fn unread(origin: &str, finding: Finding, expect: &Expect) -> Verdict {
    let mut required = super::REQUIRED;
    required[Question::Authenticity as usize] = expect.trust.pinned.is_some();
    Verdict::unread(origin, finding, "the verification ended before its time", required)
}

/// An export whose list of files is signed, and whose keys are known.
struct Export<'a> {
    files: &'a mut dyn Files,
    note: ExportNote,
    /// The epoch whose key signed the list.
    epoch: u32,
    identity: Identity,
    /// Path to length, hash, and whether it was looked at.
    listed: BTreeMap<String, (u64, Hash, bool)>,
}

impl Export<'_> {
    /// A listed file, whose content has the hash of the list.
    fn read(&mut self, path: &str, limit: u64) -> Result<Vec<u8>, Stop> {
        read_listed(self.files, &mut self.listed, path, limit)
    }

    fn has(&self, path: &str) -> bool {
        self.listed.contains_key(path)
    }

    fn verify(&mut self, expect: &Expect, progress: &mut dyn FnMut(u64)) -> Result<Verdict, Stop> {
        let checkpoint = self.read("checkpoint", MAX_NOTE as u64)?;
        let signed =
            SignedCheckpoint::parse(&checkpoint).map_err(|error| damaged(format!("the checkpoint: {error}")))?;
        if signed.checkpoint.size != self.note.size || signed.checkpoint.origin != self.note.origin {
            return Err(damaged("the checkpoint is not the one that EXPORT is about"));
        }
        if self.epoch < signed.epoch {
            return Err(violated(Question::Authenticity, "EXPORT is signed in an epoch before that of its checkpoint"));
        }
        Self::seen_before(expect, &signed.checkpoint)?;
        let proofs = self.proofs(&signed)?;
        let tail = self.tail(expect)?;
        let excerpt = self.note.filter.is_some();
        let scope = if excerpt { self.excerpt()? } else { Scope::Stretch };
        // Where the ledger itself does not begin, somebody asked for less than there is.
        let slice = self.note.first != 0 && self.note.first != self.note.min_index;
        let evidence = Evidence { scope, tail, slice, ..Evidence::default() };
        let start = self.start(excerpt)?;
        let mut verifier = Verifier::new(self.identity.clone(), start, evidence);
        let outcome = self.records(&mut verifier, &checkpoint, &proofs, expect, progress);
        match outcome {
            Ok(()) => {}
            Err(Stop::Io(error)) => return Err(Stop::Io(error)),
            Err(Stop::Finding(finding)) => verifier.give_up(finding),
        }
        Ok(verifier.finish())
    }

    fn start(&mut self, excerpt: bool) -> Result<Start, Stop> {
        if self.note.first == 0 {
            return Ok(Start::genesis());
        }
        let hashes = hashes(&self.read("left", 64 * 32)?).ok_or_else(|| damaged("the file left holds no hashes"))?;
        let range = CompactRange::from_parts(self.note.first, hashes)
            .ok_or_else(|| damaged("the file left does not fit the first record"))?;
        let streams = if excerpt {
            StreamTable::default()
        } else {
            streams::table(&self.read("table", MAX_FILE)?).ok_or_else(|| damaged("the file table is malformed"))?
        };
        Ok(Start { range, streams })
    }

    fn records(
        &mut self,
        verifier: &mut Verifier,
        checkpoint: &[u8],
        proofs: &[(Entry, Body)],
        expect: &Expect,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Stop> {
        let (first, last) = (self.note.first, self.note.last);
        if !first.is_multiple_of(TILE) {
            return Err(damaged("it does not begin at the edge of a tile"));
        }
        for (entry, body) in proofs.iter().filter(|(entry, _)| entry.seq < first) {
            verifier.outside(entry, body)?;
        }
        Self::compare_with_what_was_seen(verifier, expect)?;
        for n in first / TILE..=last / TILE {
            let width = (last + 1 - n * TILE).min(TILE);
            if self.note.filter.is_some() {
                self.excerpt_tile(verifier, n, width, expect)?;
            } else {
                self.tile(verifier, n, width, expect)?;
            }
            progress(verifier.next() - first);
        }
        for (entry, body) in proofs.iter().filter(|(entry, _)| entry.seq > last) {
            verifier.outside(entry, body)?;
        }
        // A whole tree ends with the SEAL of its checkpoint; a stretch is completed by what lies right of it.
        if last + 1 == self.note.size {
            verifier.close(&[], checkpoint)?;
        } else {
            let right =
                hashes(&self.read("right", 64 * 32)?).ok_or_else(|| damaged("the file right holds no hashes"))?;
            verifier.close(&right, checkpoint)?;
            let sealed =
                proofs.iter().any(|(entry, body)| entry.seq + 1 == self.note.size && matches!(body, Body::Seal(_)));
            if !sealed {
                return Err(damaged("the last record of the checkpoint is not proven to be a SEAL"));
            }
        }
        let among_the_rows = verifier.last_export().is_some_and(|export| self.announces(&Body::Export(export.clone())));
        if !among_the_rows && !proofs.iter().any(|(_, body)| self.announces(body)) {
            return Err(violated(Question::Tail, "no record says that this export was made"));
        }
        if !verifier.ends_with_a_seal() {
            return Err(damaged(format!("record {last}, the last one, is not a SEAL")));
        }
        self.everything_was_read()
    }

    /// A tile of entries with their bodies.
    fn tile(&mut self, verifier: &mut Verifier, n: u64, width: u64, expect: &Expect) -> Result<(), Stop> {
        let path = format!("tile/entries/{}", tile_path(n, width));
        let entries = self.read(&path, MAX_FILE)?;
        let bodies = self.read(&format!("bodies/{}", tile_path(n, TILE)), MAX_FILE)?;
        let (mut entries, mut bodies) = (entries.as_slice(), bodies.as_slice());
        let mut leaves = Vec::with_capacity(TILE as usize);
        for _ in 0..width {
            let seq = verifier.next();
            let malformed = || damaged(format!("record {seq} is malformed in its file"));
            let (len, rest) = entries.split_first_chunk::<2>().ok_or_else(malformed)?;
            let (entry, rest) = rest.split_first_chunk::<ENTRY_LEN>().ok_or_else(malformed)?;
            entries = rest;
            if usize::from(u16::from_be_bytes(*len)) != ENTRY_LEN {
                return Err(malformed());
            }
            leaves.push(crate::merkle::leaf(entry));
            match take_body(&mut bodies).ok_or_else(malformed)? {
                Some((salt, body)) => {
                    let row = [entry.as_slice(), salt, body].concat();
                    verifier.row(seq, &row)?;
                }
                None => verifier.bare(entry)?,
            }
            self.epoch_ends(verifier)?;
            Self::compare_with_what_was_seen(verifier, expect)?;
        }
        if !entries.is_empty() || !bodies.is_empty() {
            return Err(damaged(format!("there is more in {path} or its bodies than records")));
        }
        self.hash_tiles(n, width, &leaves)
    }

    /// A tile of leaf hashes, with the rows among them that are handed out.
    fn excerpt_tile(&mut self, verifier: &mut Verifier, n: u64, width: u64, expect: &Expect) -> Result<(), Stop> {
        let path = format!("tile/0/{}", tile_path(n, width));
        let leaves = hashes(&self.read(&path, TILE * 32)?).filter(|leaves| leaves.len() as u64 == width);
        let leaves = leaves.ok_or_else(|| damaged(format!("{path} has another number of hashes")))?;
        let own = format!("own/{}", tile_path(n, TILE));
        let bytes = if self.has(&own) { self.read(&own, MAX_FILE)? } else { vec![] };
        let mut rest = bytes.as_slice();
        for (at, leaf) in leaves.iter().enumerate() {
            let seq = verifier.next();
            if rest.first() != Some(&(at as u8)) {
                verifier.foreign(*leaf)?;
                Self::compare_with_what_was_seen(verifier, expect)?;
                continue;
            }
            rest = &rest[1..];
            let malformed = || damaged(format!("record {seq} is malformed in its file"));
            let (entry, after) = rest.split_first_chunk::<ENTRY_LEN>().ok_or_else(malformed)?;
            rest = after;
            if crate::merkle::leaf(entry) != *leaf {
                return Err(damaged(format!("record {seq} is not the leaf that {path} has")));
            }
            let (salt, body) = take_body(&mut rest).ok_or_else(malformed)?.ok_or_else(malformed)?;
            let row = [entry.as_slice(), salt, body].concat();
            verifier.row(seq, &row)?;
            self.epoch_ends(verifier)?;
            Self::compare_with_what_was_seen(verifier, expect)?;
        }
        if rest.is_empty() { Ok(()) } else { Err(damaged(format!("there is more in {own} than records of its tile"))) }
    }

    /// Where an epoch ended there is a checkpoint.
    fn epoch_ends(&mut self, verifier: &mut Verifier) -> Result<(), Stop> {
        let size = verifier.next();
        let path = format!("checkpoints/{size}");
        if verifier.expects_a_checkpoint() && self.has(&path) {
            let note = self.read(&path, MAX_NOTE as u64)?;
            verifier.checkpoint(size, &note)?;
        }
        Ok(())
    }

    /// The hash tiles of an export from record 0 on are those of its entries; of another one nobody could tell. They are
    /// there for verifiers that know nothing of us.
    fn hash_tiles(&mut self, n: u64, width: u64, leaves: &[Hash]) -> Result<(), Stop> {
        let path = format!("tile/0/{}", tile_path(n, width));
        if self.note.first > 0 || !self.has(&path) {
            return Ok(());
        }
        let kept = self.read(&path, TILE * 32)?;
        if kept != leaves.concat() {
            return Err(damaged(format!("{path} has other hashes than the entries")));
        }
        let mut level = Level { hashes: leaves.to_vec(), n, width };
        // A tile that is complete is one hash of the tile above it, which is looked at when its own last hash is known.
        for height in 1..8 {
            if level.width < TILE {
                break;
            }
            let mut range = CompactRange::new();
            level.hashes.iter().for_each(|hash| range.append(*hash));
            let (above, place) = (level.n / TILE, (level.n % TILE) as usize);
            let last = self.note.last + 1;
            let width = (last >> (8 * height)).saturating_sub(above * TILE).min(TILE);
            let path = format!("tile/{height}/{}", tile_path(above, width));
            let kept = hashes(&self.read(&path, TILE * 32)?);
            let kept = kept.filter(|kept| kept.len() as u64 == width && kept[place] == range.root());
            let kept = kept.ok_or_else(|| damaged(format!("{path} has other hashes than the entries")))?;
            if place + 1 < TILE as usize {
                break;
            }
            level = Level { hashes: kept, n: above, width };
        }
        Ok(())
    }

    /// The stream of an excerpt, and where it ends.
    fn excerpt(&mut self) -> Result<Scope, Stop> {
        let bytes = self.read("streams", MAX_NOTE as u64 * 16)?;
        let (instance, key, ends) = streams::streams(&bytes).ok_or_else(|| damaged("the file streams is malformed"))?;
        if self.note.filter != Some(filter(&instance)) {
            return Err(damaged("the file streams is about another instance than EXPORT"));
        }
        if !ends.contains_key(&self.note.last) {
            return Err(damaged("the file streams does not say where the stream ends"));
        }
        Ok(Scope::Excerpt { tag: tag(&key, &instance), ends })
    }

    /// Records of the ledger's own stream that lie outside, each proven by itself; in the order of their numbers.
    fn proofs(&mut self, signed: &SignedCheckpoint) -> Result<Vec<(Entry, Body)>, Stop> {
        let paths: Vec<String> = self.listed.keys().filter(|path| path.starts_with("proofs/")).cloned().collect();
        let tag = self.identity.log_tag();
        let mut found = Vec::new();
        for path in paths {
            let bytes = self.read(&path, MAX_PROOF_FILE as u64)?;
            let proof = ProofFile::parse(&bytes).map_err(|error| damaged(format!("{path}: {error}")))?;
            if proof.checkpoint != *signed || path != format!("proofs/{}.tlog-proof", proof.index) {
                return Err(damaged(format!("{path} proves something else than its name says")));
            }
            let row = proof.check().map_err(|sentence| damaged(format!("{path}: {sentence}")))?;
            let inside = (self.note.first..=self.note.last).contains(&row.entry.seq);
            if row.entry.log_tag != tag || row.entry.stream_tag != CONTROL || inside {
                return Err(damaged(format!("{path} is about a record that needs no proof here")));
            }
            if row.entry.schema != SCHEMA {
                let sentence =
                    format!("record {} has schema {}, this version knows {SCHEMA}", proof.index, row.entry.schema);
                return Err(Finding::Unknown { sentence }.into());
            }
            let body = Body::decode(row.entry.kind, row.entry.class, row.body);
            let body = body.map_err(|error| damaged(format!("{path}: {error}")))?;
            let genesis = match &body {
                Body::Genesis { root, log, .. } => {
                    proof.index == 0 && root == self.identity.root.public() && log == self.identity.log.public()
                }
                _ => proof.index > 0,
            };
            if !genesis {
                return Err(damaged(format!("{path}: GENESIS names other keys, or is not the first")));
            }
            found.push((row.entry, body));
        }
        found.sort_by_key(|(entry, _)| entry.seq);
        Ok(found)
    }

    /// Is the end the one that the verifier asked for?
    fn tail(&mut self, expect: &Expect) -> Result<Option<Answer>, Stop> {
        if expect.nonce.is_none() {
            return Ok(None);
        }
        if self.note.nonce != expect.nonce {
            return Err(violated(Question::Tail, "the export was made for another nonce"));
        }
        let sentence = format!(
            "complete up to size {}, which holds the nonce that was asked for; later is unproven",
            self.note.size
        );
        Ok(Some(Answer::new(Standing::Proven, sentence)))
    }

    fn announces(&self, body: &Body) -> bool {
        matches!(body, Body::Export(export) if export.id == self.note.id
            && export.nonce == self.note.nonce
            && export.filter == self.note.filter)
    }

    /// A ledger that the verifier has seen longer was rolled back.
    fn seen_before(expect: &Expect, now: &Checkpoint) -> Result<(), Stop> {
        let Some(seen) = &expect.last_seen else { return Ok(()) };
        if seen.origin != now.origin {
            return Err(violated(Question::Tail, format!("the checkpoint that was seen before is of {}", seen.origin)));
        }
        if seen.size > now.size {
            let missing = seen.size - now.size;
            return Err(violated(Question::Tail, format!("{missing} records that were seen before are missing")));
        }
        if seen.size == now.size && seen.root != now.root {
            return Err(violated(Question::Tail, "the same size had another root before: the ledger was forked"));
        }
        Ok(())
    }

    fn compare_with_what_was_seen(verifier: &mut Verifier, expect: &Expect) -> Result<(), Stop> {
        match &expect.last_seen {
            Some(seen) if seen.size == verifier.next() && seen.root != verifier.root() => {
                Err(violated(Question::Tail, "a size that was seen before had another root: the ledger was forked"))
            }
            _ => Ok(()),
        }
    }

    fn everything_was_read(&mut self) -> Result<(), Stop> {
        for path in ["SPEC.md", "proof.html"] {
            if self.has(path) {
                self.read(path, MAX_FILE)?;
            }
        }
        match self.listed.iter().find(|(_, (.., read))| !read) {
            Some((path, _)) => Err(damaged(format!("the file {path} belongs to nothing in this export"))),
            None => Ok(()),
        }
    }
}

struct Level {
    hashes: Vec<Hash>,
    n: u64,
    width: u64,
}

fn hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    rest.is_empty().then(|| hashes.to_vec())
}

/// Length, salt and body off the front; the inner `None` is a body that is not there.
type TakenBody<'a> = Option<(&'a [u8], &'a [u8])>;

fn take_body<'a>(bytes: &mut &'a [u8]) -> Option<TakenBody<'a>> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let len = u32::from_be_bytes(*len);
    if matches!(len, WITHHELD | ERASED | EXPIRED) {
        *bytes = rest;
        return Some(None);
    }
    let (salt, rest) = rest.split_at_checked(SALT_LEN)?;
    let (body, rest) = rest.split_at_checked(len as usize)?;
    *bytes = rest;
    Some(Some((salt, body)))
}
