//! Rows and checkpoints out of the segment files, in their order, into the verifier.

use std::path::Path;
use std::time::Duration;

use auditor_common::epoch::SignedEpoch;
use auditor_common::verify::{Digest, Evidence, Finding, Identity, Question, Start, Verdict, Verifier};
use redb::{ReadTransaction, ReadableDatabase, ReadableTable as _, TableDefinition, TableError};

use super::hashing::Hashing;
use super::{Progress, VerifyError};
use crate::chain::Edge;
use crate::key;
use crate::store::hashed::{self, Ended};
use crate::store::schema::{CHECKPOINTS, EPOCHS, META, META_SCHEMA, META_START, ROWS, STORE_SCHEMA, segment_path};
use crate::store::snapshot::{Snapshot, Torn, in_one_state, unharmed};
use crate::store::{StoreError, list_segments};

/// Memory for pages: what is read once need not be kept, and what fits into the processor's own cache is read faster.
const CACHE: usize = 256 << 10;
/// How often the newest segment is read again when the daemon has gone on while it was read.
const ATTEMPTS: u32 = 10;
/// Waited before that, and longer each time.
const PAUSE: Duration = Duration::from_millis(20);
/// Records between two words about progress.
const STRIDE: u64 = 65_536;

/// The epoch notes of a ledger, wherever they lie, in their order.
pub(super) fn epochs(
    state: &Path,
    folder: &Path,
    incarnation: u32,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<SignedEpoch>, Finding> {
    let unknown = |sentence: String| Finding::Unknown { sentence };
    let mut notes = key::read_epochs(state, incarnation).map_err(|error| unknown(error.to_string()))?;
    for first in list_segments(folder).map_err(|error| unknown(error.to_string()))? {
        let path = segment_path(folder, first);
        progress(Progress::Segment { path: path.clone(), first });
        let found = in_one_state(&path, CACHE, Torn::Maybe, |txn| self::notes(txn, &path));
        notes.extend(found.map_err(|error| unreadable(&path, &error))?.0);
    }
    notes.sort_by_key(|note| note.epoch.epoch);
    notes.dedup();
    Ok(notes)
}

fn notes(txn: &ReadTransaction, path: &Path) -> Result<Vec<SignedEpoch>, StoreError> {
    let mut notes = Vec::new();
    let Some(table) = table(txn, path, EPOCHS)? else { return Ok(notes) };
    let corrupt = |detail: String| StoreError::Corrupt { path: path.to_owned(), detail };
    for note in table.iter().map_err(|error| StoreError::of_redb(path, error))? {
        let (epoch, bytes) = note.map_err(|error| StoreError::of_redb(path, error))?;
        let note = SignedEpoch::parse(bytes.value()).map_err(|error| corrupt(error.to_string()))?;
        // A torn tree can lead in circles.
        if note.epoch.epoch != epoch.value()
            || notes.last().is_some_and(|last: &SignedEpoch| last.epoch.epoch >= epoch.value())
        {
            return Err(corrupt(format!("the note of epoch {} is not in its place", epoch.value())));
        }
        notes.push(note);
    }
    Ok(notes)
}

/// Reads a ledger's segments and says what they are worth.
pub(super) fn read(
    folder: &Path,
    firsts: &[u64],
    identity: Identity,
    evidence: Evidence,
    threads: usize,
    progress: &mut dyn FnMut(Progress),
) -> Result<Verdict, VerifyError> {
    let Some(first) = firsts.first().copied() else {
        let mut verifier = Verifier::new(identity, Start::genesis(), evidence);
        verifier.give_up(Finding::Violated {
            question: Question::Tail,
            record: Some(0),
            sentence: format!("there is no segment in {}", folder.display()),
        });
        return Ok(verifier.finish());
    };
    let start = match start(&segment_path(folder, first), first) {
        Ok(start) => start,
        Err(Stop::Io(error)) => return Err(error),
        Err(Stop::Finding(finding)) => {
            let mut verifier = Verifier::new(identity, Start::genesis(), evidence);
            verifier.give_up(finding);
            return Ok(verifier.finish());
        }
    };
    let mut verifier = Verifier::new(identity, start, evidence);
    for (at, first) in firsts.iter().enumerate() {
        let path = segment_path(folder, *first);
        progress(Progress::Segment { path: path.clone(), first: *first });
        let end = firsts.get(at + 1).copied();
        match segment(&path, verifier.clone(), end, threads, progress) {
            Ok(after) => verifier = *after,
            Err(Failed { verifier: mut failed, stop: Stop::Finding(finding) }) => {
                failed.give_up(finding);
                return Ok(failed.finish());
            }
            Err(Failed { stop: Stop::Io(error), .. }) => return Err(error),
        }
    }
    Ok(verifier.finish())
}

enum Stop {
    Io(VerifyError),
    Finding(Finding),
}

struct Failed {
    verifier: Box<Verifier>,
    stop: Stop,
}

fn unreadable(path: &Path, error: &StoreError) -> Finding {
    match error {
        StoreError::NewerSchema { .. } => Finding::Unknown { sentence: error.to_string() },
        error => Finding::Violated {
            question: Question::Integrity,
            record: None,
            sentence: format!("the segment {} cannot be read: {error}", path.display()),
        },
    }
}

impl Stop {
    fn of(path: &Path, error: StoreError) -> Self {
        match error {
            StoreError::Io { path, source, .. } => Self::Io(VerifyError::Io { path, source }),
            error => Self::Finding(unreadable(path, &error)),
        }
    }
}

/// Where the first segment that is kept says that it begins.
fn start(path: &Path, first: u64) -> Result<Start, Stop> {
    if first == 0 {
        return Ok(Start::genesis());
    }
    let read = |txn: &ReadTransaction| {
        let corrupt =
            || StoreError::Corrupt { path: path.to_owned(), detail: "it does not say where it begins".to_owned() };
        let meta = table(txn, path, META)?.ok_or_else(corrupt)?;
        let start = meta.get(META_START).map_err(|error| StoreError::of_redb(path, error))?;
        let edge = start.and_then(|start| Edge::parse(start.value())).ok_or_else(corrupt)?;
        if edge.range.size() == first { Ok(Start { range: edge.range, streams: edge.streams }) } else { Err(corrupt()) }
    };
    in_one_state(path, CACHE, Torn::Maybe, read).map(|(start, _)| start).map_err(|error| Stop::of(path, error))
}

/// Reads one segment. It may be written while it is read, or may have been left by a crash: then what does not fit is
/// looked at again, in a newer state or in the last commit but one, before it is called anything.
fn segment(
    path: &Path,
    before: Verifier,
    end: Option<u64>,
    threads: usize,
    progress: &mut dyn FnMut(Progress),
) -> Result<Box<Verifier>, Failed> {
    for attempt in 1..=ATTEMPTS {
        let snapshot = match Snapshot::take(path) {
            Ok(snapshot) => snapshot,
            Err(error) => return Err(Failed { verifier: Box::new(before), stop: Stop::of(path, error) }),
        };
        let failed = match state(&snapshot, path, before.clone(), end, threads, progress) {
            Ok(verifier) => return Ok(verifier),
            Err(failed) => failed,
        };
        // What was found in a state that the daemon has left behind meanwhile counts for nothing.
        if !snapshot.is_current() {
            std::thread::sleep(PAUSE * attempt);
            continue;
        }
        // A commit that a power cut tore was not acknowledged: redb, when it opens such a file, goes back to the one
        // before. If that one fits, and has all that was released, the daemon goes on from there, and so do we.
        if !snapshot.is_unclean() {
            return Err(failed);
        }
        let repaired = unharmed(path, || {
            let db = snapshot.repaired(CACHE)?;
            Ok(read_state(&db, path, Box::new(before.clone()), end, threads, progress).ok())
        });
        match repaired {
            Ok(Some(verifier)) => return Ok(verifier),
            _ if snapshot.is_current() => return Err(failed),
            _ => {}
        }
    }
    let moving = VerifyError::Moving { path: path.to_owned() };
    Err(Failed { verifier: Box::new(before), stop: Stop::Io(moving) })
}

/// Reads one committed state of a segment, which may be torn.
fn state(
    snapshot: &Snapshot,
    path: &Path,
    verifier: Verifier,
    end: Option<u64>,
    threads: usize,
    progress: &mut dyn FnMut(Progress),
) -> Result<Box<Verifier>, Failed> {
    let kept = Box::new(verifier.clone());
    let read = || {
        let db = snapshot.open(CACHE)?;
        Ok(read_state(&db, path, Box::new(verifier), end, threads, progress))
    };
    unharmed(path, read).unwrap_or_else(|error| Err(Failed { verifier: kept, stop: Stop::of(path, error) }))
}

fn read_state(
    db: &impl ReadableDatabase,
    path: &Path,
    mut verifier: Box<Verifier>,
    end: Option<u64>,
    threads: usize,
    progress: &mut dyn FnMut(Progress),
) -> Result<Box<Verifier>, Failed> {
    match rows(db, path, &mut verifier, end, threads, progress) {
        // The end of the newest segment is the end of the ledger: whether it fits belongs to this state.
        Ok(()) if end.is_none() => match verifier.clone().finish().finding {
            Some(finding) => Err(Failed { verifier, stop: Stop::Finding(finding) }),
            None => Ok(verifier),
        },
        Ok(()) => Ok(verifier),
        Err(stop) => Err(Failed { verifier, stop }),
    }
}

fn rows(
    db: &impl ReadableDatabase,
    path: &Path,
    verifier: &mut Verifier,
    end: Option<u64>,
    threads: usize,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), Stop> {
    // The next segment begins with a few records of this one: they are read there.
    let end = end.unwrap_or(u64::MAX);
    let redb = |error: redb::Error| Stop::of(path, StoreError::of_redb(path, error));
    let txn = db.begin_read().map_err(|error| redb(error.into()))?;
    known_schema(&txn, path).map_err(|error| Stop::of(path, error))?;
    let notes = table(&txn, path, CHECKPOINTS).map_err(|error| Stop::of(path, error))?;
    let mut notes = match &notes {
        Some(notes) => Some(notes.range(..=end).map_err(|error| redb(error.into()))?),
        None => None,
    };
    let mut next_note = || match notes.as_mut().and_then(Iterator::next) {
        Some(Ok((size, note))) => Ok(Some((size.value(), note))),
        Some(Err(error)) => Err(redb(error.into())),
        None => Ok(None),
    };
    let mut note = next_note()?;
    let mut after = |verifier: &mut Verifier| {
        while let Some((size, bytes)) = note.take_if(|(size, _)| *size <= verifier.next()) {
            verifier.checkpoint(size, bytes.value()).map_err(Stop::Finding)?;
            note = next_note()?;
        }
        if verifier.next().is_multiple_of(STRIDE) {
            progress(Progress::Records(verifier.next()));
        }
        Ok(())
    };
    let rows = table(&txn, path, ROWS).map_err(|error| Stop::of(path, error))?;
    if let Some(rows) = rows {
        let rows = rows.range(..end).map_err(|error| redb(error.into()))?;
        if threads > 1 {
            std::thread::scope(|scope| {
                let mut give = |key: u64, bytes: &[u8], digest: Digest| {
                    verifier.digested(key, bytes, digest).map_err(Stop::Finding)?;
                    after(verifier)
                };
                let mut hashing = Hashing::start(scope, threads - 1);
                for row in rows {
                    let (key, bytes) = row.map_err(|error| redb(error.into()))?;
                    hashing.row(key.value(), bytes.value(), &mut give)?;
                }
                hashing.finish(&mut give)
            })?;
        } else {
            let ended = hashed::each(rows, |key, bytes, hashes| {
                verifier.digested(key, bytes, hashes.into()).map_err(Stop::Finding)?;
                after(verifier)
            });
            ended.map_err(|ended| match ended {
                Ended::Stopped(stop) => stop,
                Ended::Unread(error) => redb(error.into()),
            })?;
        }
    }
    match note {
        Some((size, bytes)) => verifier.checkpoint(size, bytes.value()).map_err(Stop::Finding),
        None => Ok(()),
    }
}

fn known_schema(txn: &ReadTransaction, path: &Path) -> Result<(), StoreError> {
    let corrupt =
        || StoreError::Corrupt { path: path.to_owned(), detail: "it does not say which layout it has".to_owned() };
    let meta = table(txn, path, META)?.ok_or_else(corrupt)?;
    let value = meta.get(META_SCHEMA).map_err(|error| StoreError::of_redb(path, error))?.ok_or_else(corrupt)?;
    let found = value.value().try_into().map(u32::from_be_bytes).map_err(|_| corrupt())?;
    if found > STORE_SCHEMA { Err(StoreError::NewerSchema { found, known: STORE_SCHEMA }) } else { Ok(()) }
}

/// A table, if the segment has it.
fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
    txn: &ReadTransaction,
    path: &Path,
    definition: TableDefinition<K, V>,
) -> Result<Option<redb::ReadOnlyTable<K, V>>, StoreError> {
    match txn.open_table(definition) {
        Ok(table) => Ok(Some(table)),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(StoreError::of_redb(path, error)),
    }
}
