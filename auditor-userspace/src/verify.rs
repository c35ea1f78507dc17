//! `auditor verify`: reads the files of a state folder as they are, beside the daemon or without it, and writes nothing.
//!
//! The reading is done in a child process ([`child`]): redb trusts the pages of a file that was closed in good order,
//! and some damage ends the process that reads it. The parent ([`in_child`]) turns that end into a verdict.

mod child; // the reading process, and the one that waits for it
mod hashing; // rows on several threads
mod report; // verdicts as JSON and as text
mod segments; // rows and checkpoints out of the files

use std::io;
use std::path::{Path, PathBuf};

use auditor_common::body::{Body, Recover};
use auditor_common::note::VerifierKey;
use auditor_common::origin::Origin;
use auditor_common::verify::{Answer, Evidence, Finding, Identity, REQUIRED, Released, Standing, Trust, Verdict, exit};

pub use child::{again, child, confine, end, in_child, reader};
pub use report::Report;

use crate::key::{self, KeyError};
use crate::store::schema::ledger_folder;
use crate::store::{HeadState, StoreError, list_segments, read_head};

/// What is to be verified.
#[derive(Clone, Debug)]
pub struct Request {
    /// The state folder.
    pub state: PathBuf,
    /// The root's key or the log's, as `auditor keys` prints it, known by another way than from this host.
    pub pinned: Option<VerifierKey>,
    /// Only this incarnation.
    pub incarnation: Option<u32>,
}

/// Why a verification could not run. What it finds is no error, but a [`Report`].
#[derive(Debug)]
pub enum VerifyError {
    /// There is no ledger.
    NoLedger {
        /// Where it should be.
        state: PathBuf,
    },
    /// A file could not be read.
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The newest segment went on faster than it could be read.
    Moving {
        /// Its file.
        path: PathBuf,
    },
    /// The reading process said why it could not run.
    Said(String),
    /// The reading process could not be started.
    Child {
        /// What happened.
        detail: String,
    },
}

impl std::fmt::Display for VerifyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoLedger { state } => {
                write!(f, "there is no ledger in {}: start `auditor run` first", state.display())
            }
            Self::Io { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Self::Moving { path } => {
                write!(f, "{} is written too fast to be read: try again when there is less traffic", path.display())
            }
            Self::Said(sentence) => f.write_str(sentence),
            Self::Child { detail } => write!(f, "the reading process failed: {detail}"),
        }
    }
}

impl std::error::Error for VerifyError {}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A segment is opened.
    Segment {
        /// Its file.
        path: PathBuf,
        /// Number of its first record.
        first: u64,
    },
    /// So many records of this ledger have been looked at.
    Records(u64),
}

/// How often it is begun again when a segment is removed by policy while it is read.
const ATTEMPTS: u32 = 3;
/// More processors than these hash no faster than one can put in order.
const THREADS: usize = 4;

/// Verifies in this process, on a few of its processors. A file that is damaged in its structure may end it: see
/// [`in_child`].
pub fn verify(request: &Request, progress: &mut dyn FnMut(Progress)) -> Result<Report, VerifyError> {
    verify_on(std::thread::available_parallelism().map_or(1, |count| count.get().min(THREADS)), request, progress)
}

/// The same, on so many threads.
pub fn verify_on(threads: usize, request: &Request, progress: &mut dyn FnMut(Progress)) -> Result<Report, VerifyError> {
    let mut attempt = 1;
    loop {
        match verify_once(request, threads, progress) {
            Err(VerifyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS => {
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

fn verify_once(request: &Request, threads: usize, progress: &mut dyn FnMut(Progress)) -> Result<Report, VerifyError> {
    let state = &request.state;
    let mut incarnations = incarnations(state)?;
    // The head file is read first: what the segments have can only be more.
    let head = head(state)?;
    // A ledger that never came to have a segment was not begun: the crash was before its first seal.
    let released = match &head {
        Released::Newest(signed) => signed.checkpoint.origin.incarnation(),
        _ => 0,
    };
    incarnations.retain(|incarnation| {
        *incarnation <= released
            || list_segments(&ledger_folder(state, *incarnation)).is_ok_and(|segments| !segments.is_empty())
    });
    let Some(newest) = incarnations.last().copied() else {
        return Err(VerifyError::NoLedger { state: state.clone() });
    };
    let keys = match Keys::read(state) {
        Ok(keys) => keys,
        Err(finding) => return Ok(Report::new(vec![unread(&state.display().to_string(), finding)])),
    };
    if let Some(only) = request.incarnation {
        incarnations.retain(|incarnation| *incarnation <= only);
    }
    let mut verdicts = Vec::new();
    let mut before: Vec<VerifierKey> = vec![];
    for incarnation in incarnations {
        let evidence = if incarnation == newest {
            Evidence { released: head.clone(), ..Evidence::default() }
        } else {
            let declared = declared(state, incarnation + 1);
            let silent = "the next ledger does not say why this one was not gone on with";
            let tail = declared.is_none().then(|| Answer::new(Standing::Violated, silent));
            Evidence { declared, tail, ..Evidence::default() }
        };
        let trust = Trust { pinned: request.pinned.clone() };
        let (verdict, epoch_keys) = ledger(&keys, &trust, incarnation, &before, evidence, threads, progress)?;
        before = epoch_keys;
        if request.incarnation.is_none_or(|only| only == incarnation) {
            verdicts.push(verdict);
        }
    }
    if verdicts.is_empty() { Err(VerifyError::NoLedger { state: state.clone() }) } else { Ok(Report::new(verdicts)) }
}

/// Numbers of the ledgers in a state folder, in ascending order.
fn incarnations(state: &Path) -> Result<Vec<u32>, VerifyError> {
    let io = |source| VerifyError::Io { path: state.to_owned(), source };
    let entries = match std::fs::read_dir(state) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => return Err(io(error)),
    };
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(io)?.file_name();
        let number = name.to_str().and_then(|name| name.parse::<u32>().ok().filter(|n| format!("{n:04}") == name));
        numbers.extend(number.filter(|number| *number > 0));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn head(state: &Path) -> Result<Released, VerifyError> {
    match read_head(&state.join("head")) {
        Ok(HeadState::Empty) => Ok(Released::Missing),
        Ok(HeadState::Damaged) => Ok(Released::Damaged),
        Ok(HeadState::Newest(signed)) => Ok(Released::Newest(signed)),
        Err(StoreError::Io { path, source, .. }) => Err(VerifyError::Io { path, source }),
        Err(error) => Err(VerifyError::Child { detail: error.to_string() }),
    }
}

/// The node's public keys as they lie in the state folder: claims, until one of them is pinned.
struct Keys {
    state: PathBuf,
    root: VerifierKey,
    node: auditor_common::epoch::SignedNode,
}

impl Keys {
    fn read(state: &Path) -> Result<Self, Finding> {
        let unknown = |error: KeyError| Finding::Unknown { sentence: error.to_string() };
        let (root, node) = (key::read_root(state).map_err(unknown)?, key::read_node(state).map_err(unknown)?);
        Ok(Self { state: state.to_owned(), root, node })
    }
}

/// What the next ledger says about the one before: its second record.
fn declared(state: &Path, next: u32) -> Option<Recover> {
    let mut reader = crate::store::Reader::on_files(&ledger_folder(state, next));
    match reader.get(1).ok().flatten()?.body {
        Ok(Body::Recover(recover)) => Some(recover),
        _ => None,
    }
}

/// Verifies one ledger; the keys of its epochs can sign the first epoch of the next one.
fn ledger(
    keys: &Keys,
    trust: &Trust,
    incarnation: u32,
    before: &[VerifierKey],
    evidence: Evidence,
    threads: usize,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Verdict, Vec<VerifierKey>), VerifyError> {
    let state = &keys.state;
    let Some(origin) = Origin::new(&keys.node.node, incarnation) else {
        return Err(VerifyError::NoLedger { state: state.clone() });
    };
    let folder = ledger_folder(state, incarnation);
    let found = segments::epochs(state, &folder, incarnation, progress);
    let identity = found.and_then(|notes| Identity::establish(trust, &keys.root, &keys.node, &origin, &notes, before));
    let identity = match identity {
        Ok(identity) => identity,
        Err(finding) => return Ok((unread(&origin.to_string(), finding), vec![])),
    };
    let epoch_keys = identity.epochs.iter().map(|note| note.key.clone()).collect();
    let firsts = list_segments(&folder).map_err(|error| VerifyError::Child { detail: error.to_string() })?;
    let verdict = segments::read(&folder, &firsts, identity, evidence, threads, progress)?;
    Ok((verdict, epoch_keys))
}

/// The verdict on a ledger of which nothing could be read.
fn unread(origin: &str, finding: Finding) -> Verdict {
    let sentence = finding.sentence().to_owned();
    Verdict::unread(origin, finding, &sentence, REQUIRED)
}

/// Of several exit codes the one that matters most.
#[must_use]
pub fn worst(codes: impl IntoIterator<Item = u8>) -> u8 {
    let rank = |code: u8| match code {
        exit::PROVEN => 0,
        exit::GAPS => 1,
        exit::UNKNOWN => 2,
        exit::TAMPERED => 4,
        _ => 3,
    };
    codes.into_iter().max_by_key(|code| rank(*code)).unwrap_or(exit::PROVEN)
}
