//! Starting up: what the disk has, against what the head file says was released.
//!
//! | head file | store | what happens |
//! |---|---|---|
//! | nothing | nothing | a new ledger: keys, GENESIS, first seal |
//! | size n | newest checkpoint n | go on |
//! | older than the store's newest checkpoint, and among the store's | | the crash was between commit and head file: go on |
//! | newer than the store, or another root | | signed records are missing: new incarnation, RECOVER |
//! | unreadable, or empty beside a sealed store | | the same: what cannot be read is not absent |
//! | any | cannot be read | the same |
//!
//! Records after the newest checkpoint are sealed before anything else is written.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};

use auditor_common::body::{Body, Policy, Recover, class};
use auditor_common::checkpoint::SignedCheckpoint;
use auditor_common::epoch::{EpochNote, SignedEpoch};
use auditor_common::merkle;
use auditor_common::note::VerifierKey;
use auditor_common::origin::Origin;
use auditor_common::record::{Entry, EntryType, Row, genesis_prev};
use auditor_common::stream::CONTROL;
use redb::{Database, ReadableDatabase as _, ReadableTable as _};

use super::disk::Disk;
use super::epoch::{Recheck, SecondReading, keep_note};
use super::head::{Head, HeadState};
use super::read::{Active, Shared, newest_checkpoint};
use super::schema::{CHECKPOINTS, EPOCHS, ROWS, STREAMS, ledger_folder, segment_path};
use super::snapshot::{Torn, in_one_state};
use super::stream::Streams;
use super::{CheckpointInfo, Limits, OpenOptions, Opened, PreviousRun, SealInput, Store, StoreError, reserve, segment};
use crate::chain::{Chain, Edge, Now};
use crate::key::{self, KeyPaths, Keys, Signer};

/// The end of a ledger, as its newest segment has it.
pub(super) struct End {
    pub(super) db: Database,
    pub(super) first: u64,
    pub(super) chain: Chain,
    pub(super) checkpoint: Option<SignedCheckpoint>,
    pub(super) segment_wall_ns: u64,
    pub(super) policy: Option<(u64, Policy)>,
    waiting: u64,
    last: Option<Entry>,
    previous: PreviousRun,
}

impl Store {
    /// Opens the state folder, and makes what is not there. See the head of this file for what is gone through.
    pub fn open(state: &Path, options: &OpenOptions) -> Result<(Self, Opened), StoreError> {
        let disk = &*options.disk;
        key::create_folder(disk, state)?;
        let mut head = Head::open(disk, &state.join("head"))?;
        let reserve = state.join("reserve");
        reserve::hold(&reserve, options.limits.reserve_bytes)?;
        let created = !KeyPaths::new(state).node().exists();
        if created {
            key::init(disk, state, &options.node, None, options.now.wall_ns)?;
        }
        let node = Node::load(state)?;
        let incarnation = newest_ledger(disk, state, &node, &head)?;
        let (ledger, recovered) = match take_up(disk, state, &node, incarnation, head.state()) {
            Ok(Some(ledger)) => (ledger, None),
            Ok(None) => (begin(state, &node, incarnation, None, options, &mut head)?, None),
            Err(TakeUp::Refused(error)) => return Err(error),
            Err(TakeUp::Violated(recover)) => {
                let ledger = begin(state, &node, incarnation + 1, Some(&recover), options, &mut head)?;
                (ledger, Some(*recover))
            }
        };
        let Ledger { keys, mut end, streams, recheck } = ledger;
        if let (Some(checkpoint), false) = (&end.checkpoint, matches_head(&end, head.state())) {
            // The crash was between commit and head file.
            head.write(disk, checkpoint)?;
        }
        // A ledger that has just begun is in its first run already.
        if let Some(last) = end.last {
            end.chain.begin_run(last.run + 1, last.wall_ns);
        }
        let run = end.chain.run();
        let (previous, waiting, is_new) = (end.previous, end.waiting, end.last.is_none());
        let mut store = Self::assemble(state, keys, end, streams, recheck, head, options);
        if !is_new {
            // Whatever the run before left unsealed is sealed, and with it its key has signed for the last time.
            store.rotate(options.seal(), options.now, "start")?;
        }
        if store.policy_in_force.is_none() {
            store.set_policy(&options.policy, options.now)?;
        }
        let checkpoint = store.checkpoint.clone().map(|signed| CheckpointInfo::of(&signed));
        let root = node.root;
        let origin = store.keys.origin.clone();
        let opened = Opened { created, root, origin, run, previous, recovered, checkpoint, waiting };
        Ok((store, opened))
    }

    fn assemble(
        state: &Path,
        keys: Keys,
        end: End,
        streams: Streams,
        recheck: Recheck,
        head: Head,
        options: &OpenOptions,
    ) -> Self {
        let durable = end.chain.size();
        let active = Active { first: end.first, db: Some(end.db) };
        let shared = Shared {
            folder: ledger_folder(state, keys.origin.incarnation()),
            active: RwLock::new(active),
            checkpoint: Mutex::new(end.checkpoint.clone()),
            closed: Mutex::default(),
        };
        Self {
            state: state.to_owned(),
            shared: Arc::new(shared),
            disk: options.disk.clone(),
            limits: options.limits,
            head,
            keys,
            epoch_boot_ns: options.now.boot_ns,
            recheck: SecondReading::new(recheck),
            chain: end.chain,
            streams,
            policy_in_force: end.policy,
            policy: None,
            pending: Vec::new(),
            spare: Vec::new(),
            waiting: end.waiting,
            waiting_written: end.waiting,
            durable,
            checkpoint: end.checkpoint,
            segment_wall_ns: end.segment_wall_ns,
            synchronised: options.clock.0,
            pins: super::append::Pins::default(),
            salts: super::Salts::default(),
            announced: Vec::new(),
            measured: BTreeMap::new(),
            stopped: false,
        }
    }
}

/// What is the node's own, whatever ledger it writes.
struct Node {
    name: String,
    root: VerifierKey,
    log: Signer,
}

impl Node {
    fn load(state: &Path) -> Result<Self, StoreError> {
        let note = key::read_node(state)?;
        let root = key::read_root(state)?;
        let log = Signer::load(&KeyPaths::new(state).log())?;
        let mismatch = |detail: &str| StoreError::Keys { detail: detail.to_owned() };
        note.verify(&root).map_err(|_| mismatch("the node note is not signed by the root key beside it"))?;
        if note.log != *log.verifier() {
            return Err(mismatch("the log's private key is not the one that the node note names"));
        }
        Ok(Self { name: note.node, root, log })
    }

    fn origin(&self, incarnation: u32) -> Result<Origin, StoreError> {
        Origin::new(&self.name, incarnation)
            .ok_or_else(|| StoreError::Keys { detail: "the node note has no usable name".to_owned() })
    }

    fn log_for(&self, origin: &Origin) -> Result<Signer, StoreError> {
        self.log.renamed(&origin.to_string()).map_err(|error| StoreError::Keys { detail: error.to_string() })
    }
}

struct Ledger {
    keys: Keys,
    end: End,
    streams: Streams,
    recheck: Recheck,
}

/// The newest ledger that has a checkpoint. Folders of ledgers that never came to have one are cleared: the crash was
/// before their first seal, and nobody was told of what they hold.
fn newest_ledger(disk: &dyn Disk, state: &Path, node: &Node, head: &Head) -> Result<u32, StoreError> {
    let io = |source| StoreError::Io { doing: "list", path: state.to_owned(), source };
    let mut newest = 1;
    for entry in fs::read_dir(state).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        let number = name.to_str().filter(|name| name.len() >= 4).and_then(|name| name.parse().ok());
        newest = newest.max(number.unwrap_or(1));
    }
    let released = match head.state() {
        HeadState::Newest(signed) if signed.checkpoint.origin.node() == node.name => {
            signed.checkpoint.origin.incarnation()
        }
        _ => 1,
    };
    while newest > released && segment::list(&ledger_folder(state, newest))?.is_empty() {
        let folder = ledger_folder(state, newest);
        let cleared = |source| StoreError::Io { doing: "clear", path: folder.clone(), source };
        if folder.exists() {
            disk.remove_folder(&folder).map_err(cleared)?;
        }
        key::erase(disk, &KeyPaths::new(state).epoch(newest, 0))?;
        newest -= 1;
    }
    Ok(newest.max(released))
}

enum TakeUp {
    /// The daemon must not write here.
    Refused(StoreError),
    /// Signed records are missing, or cannot be read.
    Violated(Box<Recover>),
}

impl From<StoreError> for TakeUp {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

/// Takes a ledger up where it ends; `None` if it has nothing yet.
fn take_up(
    disk: &dyn Disk,
    state: &Path,
    node: &Node,
    incarnation: u32,
    head: &HeadState,
) -> Result<Option<Ledger>, TakeUp> {
    let origin = node.origin(incarnation)?;
    let folder = ledger_folder(state, incarnation);
    let log = node.log_for(&origin)?;
    let violated = |found: Option<(u64, merkle::Hash)>, cause: String| {
        TakeUp::Violated(Box::new(recover_body(&origin, found, head, cause)))
    };
    let Some(first) = segment::list(&folder)?.last().copied() else {
        return match head {
            HeadState::Empty => Ok(None),
            HeadState::Newest(_) => Err(violated(Some((0, merkle::empty())), "the store is gone".to_owned())),
            HeadState::Damaged => Err(violated(None, "store and head file cannot be read".to_owned())),
        };
    };
    let log_tag = origin.tag(node.root.public());
    let end = match load_end(disk, &folder, first, &origin, log_tag) {
        Ok(end) => end,
        Err(StoreError::Corrupt { path, detail }) => {
            return Err(violated(None, format!("{} cannot be read: {detail}", path.display())));
        }
        Err(error) => return Err(error.into()),
    };
    let found = end.checkpoint.as_ref().map(|signed| (signed.checkpoint.size, signed.checkpoint.root));
    let Some(newest) = &end.checkpoint else {
        // A segment without any checkpoint before it: the first transaction of a ledger has one.
        return Err(violated(Some((0, merkle::empty())), "the store has no checkpoint".to_owned()));
    };
    let notes = all_epochs(state, incarnation, &end.db)?;
    let signer = notes.iter().find(|note| note.epoch.epoch == newest.epoch && note.epoch.origin == origin);
    let verified = signer.map(|note| newest.verify(log.verifier(), &note.epoch.key));
    match verified {
        Some(Ok(_)) => {}
        Some(Err(error)) => return Err(violated(None, format!("the newest checkpoint of the store: {error}"))),
        None => return Err(violated(None, format!("there is no note of epoch {}", newest.epoch))),
    }
    judge(&folder, &end, newest, head).map_err(|cause| violated(found, cause))?;
    // Everything that was signed is there. What is there of the present epoch is read once more, before its key signs
    // for the last time.
    let reread = |end: &End| {
        let start = current(&notes, end.chain.size()).map_or(0, |note| note.epoch.start);
        let mut recheck = Recheck::from(&folder, start, genesis_prev(&log_tag))?;
        recheck.run(&folder, end.chain.size(), u64::MAX).map(|()| recheck)
    };
    let recheck = match reread(&end) {
        Ok(recheck) => recheck,
        Err(StoreError::Corrupt { detail, .. }) => return Err(violated(found, detail)),
        Err(error) => return Err(error.into()),
    };
    let streams = load_streams(&end.db, &segment_path(&folder, first))?;
    let mut end = end;
    let keys = load_keys(disk, state, node, &origin, log, &notes, &mut end.chain)?;
    Ok(Some(Ledger { keys, end, streams, recheck }))
}

fn load_streams(db: &Database, path: &Path) -> Result<Streams, StoreError> {
    let redb = |error: redb::Error| StoreError::of_redb(path, error);
    let txn = db.begin_read().map_err(|error| redb(error.into()))?;
    let table = txn.open_table(STREAMS).map_err(|error| redb(error.into()))?;
    let mut keys = Vec::new();
    for stream in table.iter().map_err(|error| redb(error.into()))? {
        let (instance, key) = stream.map_err(|error| redb(error.into()))?;
        keys.push((instance.value().to_owned(), *key.value()));
    }
    Ok(Streams::new(keys))
}

/// Is the store at least where the head file is, and the same there?
fn judge(folder: &Path, end: &End, newest: &SignedCheckpoint, head: &HeadState) -> Result<(), String> {
    // Only the very first seal of a ledger can be durable before there is a head file, or a head file of this ledger.
    let is_first = || first_checkpoint(end) == Some(newest.checkpoint.size);
    let released = match head {
        HeadState::Newest(released) => released,
        HeadState::Empty if is_first() => return Ok(()),
        HeadState::Empty => return Err("the head file is gone".to_owned()),
        HeadState::Damaged => return Err("the head file cannot be read".to_owned()),
    };
    let (ours, theirs) = (&newest.checkpoint, &released.checkpoint);
    if ours.origin != theirs.origin {
        let next =
            ours.origin.node() == theirs.origin.node() && ours.origin.incarnation() == theirs.origin.incarnation() + 1;
        return if next && is_first() { Ok(()) } else { Err(format!("the head file is about {}", theirs.origin)) };
    }
    if theirs.size > ours.size {
        return Err(format!("{} signed records are missing: cut, or lost by the disk", theirs.size - ours.size));
    }
    match root_at(folder, end, theirs.size) {
        Some(root) if root == theirs.root => Ok(()),
        Some(_) => Err(format!("the store has another root at size {} than was released", theirs.size)),
        None => Err(format!("the store has no checkpoint of size {}, which was released", theirs.size)),
    }
}

fn matches_head(end: &End, head: &HeadState) -> bool {
    matches!((head, &end.checkpoint), (HeadState::Newest(released), Some(ours)) if released.as_ref() == ours)
}

fn first_checkpoint(end: &End) -> Option<u64> {
    let txn = end.db.begin_read().ok()?;
    let table = txn.open_table(CHECKPOINTS).ok()?;
    (end.first == 0).then(|| table.first().ok().flatten().map(|(size, _)| size.value()))?
}

/// The root of the checkpoint of this size, in whichever segment it is.
fn root_at(folder: &Path, end: &End, size: u64) -> Option<merkle::Hash> {
    let find = |txn: &redb::ReadTransaction| {
        let note = txn.open_table(CHECKPOINTS).ok()?.get(size).ok()??.value().to_vec();
        Some(SignedCheckpoint::parse(&note).ok()?.checkpoint.root)
    };
    if let Some(root) = end.db.begin_read().ok().and_then(|txn| find(&txn)) {
        return Some(root);
    }
    let firsts = segment::list(folder).ok()?;
    let first = firsts.iter().rev().find(|first| **first < size)?;
    in_one_state(&segment_path(folder, *first), 1 << 20, Torn::Maybe, |txn| Ok(find(txn))).ok()?.0
}

fn recover_body(origin: &Origin, found: Option<(u64, merkle::Hash)>, head: &HeadState, cause: String) -> Recover {
    let known = match head {
        HeadState::Newest(signed) => Some(signed),
        HeadState::Empty | HeadState::Damaged => None,
    };
    let missing = known.zip(found).map(|(signed, (size, _))| signed.checkpoint.size.saturating_sub(size));
    Recover {
        origin: origin.to_string(),
        found_size: found.map(|(size, _)| size),
        found_root: found.map(|(_, root)| root),
        known: known.map(ToString::to_string),
        missing,
        cause,
    }
}

/// Opens the newest segment and follows its rows from the newest checkpoint to the end.
pub(super) fn load_end(
    disk: &dyn Disk,
    folder: &Path,
    first: u64,
    origin: &Origin,
    log_tag: [u8; 16],
) -> Result<End, StoreError> {
    let path = segment_path(folder, first);
    segment::refuse_newer(&path)?;
    let db = match segment::open(disk, folder, first) {
        Ok(db) => db,
        Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::InvalidData => {
            return Err(StoreError::Corrupt { path, detail: source.to_string() });
        }
        Err(error) => return Err(error),
    };
    let txn = db.begin_read().map_err(|error| StoreError::of_redb(&path, error))?;
    let segment::Values { sealed, aligned, policy, waiting } = segment::values(&txn, &path, origin)?;
    let corrupt = |detail: String| StoreError::Corrupt { path: path.clone(), detail };
    let checkpoint = match newest_checkpoint(&txn, &path)? {
        Some(checkpoint) => Some(checkpoint),
        None if first > 0 => checkpoint_before(folder, first)?,
        None => None,
    };
    if let Some(SignedCheckpoint { checkpoint, .. }) = &checkpoint
        && (checkpoint.size, checkpoint.root) != (sealed.range.size(), sealed.range.root())
    {
        return Err(corrupt("its end does not fit its newest checkpoint".to_owned()));
    }
    let mut chain = Chain::resume(log_tag, sealed, aligned);
    let redb = |error: redb::StorageError| StoreError::of_redb(&path, error);
    let table = txn.open_table(ROWS).map_err(|error| StoreError::of_redb(&path, error))?;
    for row in table.range(chain.size()..).map_err(redb)? {
        let (seq, bytes) = row.map_err(redb)?;
        let row = Row::parse(bytes.value()).map_err(|error| corrupt(format!("record {}: {error}", seq.value())))?;
        let fits = row.entry.seq == chain.size() && seq.value() == row.entry.seq && row.fits();
        if !fits || row.entry.prev != chain.end().prev || row.entry.log_tag != log_tag {
            return Err(corrupt(format!("record {} does not follow the one before it", seq.value())));
        }
        if !chain.follow(&row.entry, row.leaf()) {
            return Err(corrupt(format!("record {} does not follow in its stream", seq.value())));
        }
    }
    let (last, previous) = how_it_ended(&txn, folder, first)?;
    if let Some(entry) = last {
        chain.begin_epoch(entry.epoch);
    }
    let segment_wall_ns = match table.first().map_err(redb)? {
        Some((_, bytes)) => Row::parse(bytes.value()).map_or(0, |row| row.entry.wall_ns),
        None => last.map_or(0, |entry| entry.wall_ns),
    };
    drop(table);
    drop(txn);
    Ok(End { db, first, chain, checkpoint, segment_wall_ns, policy, waiting, last, previous })
}

/// The newest checkpoint of the segments before this one: a segment that has just begun has none of its own.
fn checkpoint_before(folder: &Path, first: u64) -> Result<Option<SignedCheckpoint>, StoreError> {
    let Some(before) = segment::list(folder)?.into_iter().rev().find(|other| *other < first) else { return Ok(None) };
    let path = segment_path(folder, before);
    in_one_state(&path, 1 << 20, Torn::Maybe, |txn| newest_checkpoint(txn, &path)).map(|(checkpoint, _)| checkpoint)
}

/// The last entry, and how the last run ended: the newest record that is no SEAL says it. A segment that has just begun
/// may have neither: then they are in the one before.
fn how_it_ended(
    txn: &redb::ReadTransaction,
    folder: &Path,
    first: u64,
) -> Result<(Option<Entry>, PreviousRun), StoreError> {
    let mut last = None;
    let mut previous = ending(txn, &segment_path(folder, first), &mut last)?;
    for before in segment::list(folder)?.into_iter().rev().filter(|before| *before < first) {
        if previous.is_some() {
            break;
        }
        let path = segment_path(folder, before);
        // What is in both is the same in both.
        let (found, _) = in_one_state(&path, 1 << 20, Torn::Maybe, |txn| {
            let mut last = last;
            ending(txn, &path, &mut last).map(|previous| (last, previous))
        })?;
        (last, previous) = found;
    }
    // Nothing but seals is left: the run was going on.
    let interrupted = || last.map(|entry| PreviousRun::Interrupted { last_wall_ns: entry.wall_ns });
    let previous = previous.or_else(interrupted).unwrap_or(PreviousRun::None);
    Ok((last, previous))
}

/// How the last run ended, if this segment says it; and the last entry, if it is not known yet.
fn ending(
    txn: &redb::ReadTransaction,
    path: &Path,
    last: &mut Option<Entry>,
) -> Result<Option<PreviousRun>, StoreError> {
    let table = txn.open_table(ROWS).map_err(|error| StoreError::of_redb(path, error))?;
    for row in table.iter().map_err(|error| StoreError::of_redb(path, error))?.rev() {
        let (_, bytes) = row.map_err(|error| StoreError::of_redb(path, error))?;
        let Ok(Row { entry, .. }) = Row::parse(bytes.value()) else { continue };
        let newest = *last.get_or_insert(entry);
        match (entry.kind, entry.class) {
            (EntryType::Seal | EntryType::Policy | EntryType::Clock | EntryType::Rotate, _) => {}
            (EntryType::Run, class::RUN_STOP) => {
                return Ok(Some(PreviousRun::Stopped { last_wall_ns: entry.wall_ns }));
            }
            (EntryType::Genesis | EntryType::Recover, _) => return Ok(Some(PreviousRun::None)),
            _ => return Ok(Some(PreviousRun::Interrupted { last_wall_ns: newest.wall_ns })),
        }
    }
    Ok(None)
}

/// The newest epoch that has begun at this size.
pub(super) fn current(notes: &[SignedEpoch], size: u64) -> Option<&SignedEpoch> {
    notes.iter().filter(|note| note.epoch.start <= size).max_by_key(|note| note.epoch.epoch)
}

/// The keys to go on with. Where a crash came between a seal and what follows it, that is done now: the newest note is
/// kept, and keys that sign no more, or whose note never became durable, are erased.
fn load_keys(
    disk: &dyn Disk,
    state: &Path,
    node: &Node,
    origin: &Origin,
    log: Signer,
    notes: &[SignedEpoch],
    chain: &mut Chain,
) -> Result<Keys, StoreError> {
    let paths = KeyPaths::new(state);
    let incarnation = origin.incarnation();
    let note = current(notes, chain.size())
        .ok_or_else(|| StoreError::Keys { detail: "there is no note of any epoch".to_owned() })?;
    let number = note.epoch.epoch;
    let key = Signer::load(&paths.epoch(incarnation, number))?;
    if note.epoch.key != *key.verifier() {
        return Err(StoreError::Keys {
            detail: format!("the private key of epoch {number} is not the one of its note"),
        });
    }
    let kept = key::read_epochs(state, incarnation)?;
    for note in notes.iter().filter(|note| !kept.contains(note)) {
        keep_note(disk, &paths.epochs(incarnation), &note.to_string())?;
    }
    for other in epoch_keys(state, incarnation)?.into_iter().filter(|other| *other != number) {
        key::erase(disk, &paths.epoch(incarnation, other))?;
    }
    erase_before(disk, state, incarnation)?;
    chain.begin_epoch(number);
    Ok(Keys { origin: origin.clone(), root: *node.root.public(), log, epoch: key, number })
}

/// The epoch notes beside the segments and in the newest one.
pub(super) fn all_epochs(state: &Path, incarnation: u32, db: &Database) -> Result<Vec<SignedEpoch>, StoreError> {
    let mut notes = key::read_epochs(state, incarnation)?;
    let txn = db.begin_read().map_err(|error| StoreError::of_redb(state, error))?;
    let Ok(table) = txn.open_table(EPOCHS) else { return Ok(notes) };
    for note in table.iter().map_err(|error| StoreError::of_redb(state, error))? {
        let (_, bytes) = note.map_err(|error| StoreError::of_redb(state, error))?;
        notes.extend(SignedEpoch::parse(bytes.value()).ok());
    }
    notes.sort_by_key(|note| note.epoch.epoch);
    notes.dedup();
    Ok(notes)
}

/// Begins a ledger: GENESIS, RECOVER if another came before, and the first seal, in one transaction.
fn begin(
    state: &Path,
    node: &Node,
    incarnation: u32,
    recover: Option<&Recover>,
    options: &OpenOptions,
    head: &mut Head,
) -> Result<Ledger, StoreError> {
    let disk = &*options.disk;
    let origin = node.origin(incarnation)?;
    let log = node.log_for(&origin)?;
    let folder = ledger_folder(state, incarnation);
    if recover.is_some() {
        begin_keys(disk, state, node, &origin, &log, options.now)?;
    }
    let key = Signer::load(&KeyPaths::new(state).epoch(incarnation, 0))?;
    let log_tag = origin.tag(node.root.public());
    let mut chain = Chain::new(log_tag);
    chain.begin_run(1, 0);
    let mut salts = super::Salts::default();
    let genesis = Body::Genesis {
        version: options.version.clone(),
        root: *node.root.public(),
        log: *node.log.verifier().public(),
    };
    let recover = recover.map(|recover| Body::Recover(recover.clone()));
    let policy = Body::Policy(options.policy.clone());
    let mut links = Vec::new();
    for body in [Some(genesis), recover, Some(policy.clone())].iter().flatten() {
        links.push(chain.append(body, 0, options.now, salts.next()?, Some(CONTROL)));
    }
    let seal = super::seal::body(&options.seal(), &chain, None, 0, false);
    links.push(chain.append(&seal, 0, options.now, salts.next()?, Some(CONTROL)));
    let policy_seq = chain.size() - 2;
    let keys = Keys { origin: origin.clone(), root: *node.root.public(), log, epoch: key, number: 0 };
    let checkpoint = super::seal::sign(&keys, &chain);
    let start = Edge::genesis(&log_tag);
    let db = segment::create(disk, &folder, &origin, &start, |db, path| {
        let batch = super::append::Batch {
            links: &links,
            checkpoint: Some(&checkpoint),
            ends: Some((chain.end(), &start)),
            policy: Some((policy_seq, &policy.encode())),
            ..Default::default()
        };
        super::append::write(db, path, &batch)
    })?;
    head.write(disk, &checkpoint)?;
    erase_before(disk, state, incarnation)?;
    let end = End {
        db,
        first: 0,
        chain,
        checkpoint: Some(checkpoint),
        segment_wall_ns: options.now.wall_ns,
        policy: Some((policy_seq, options.policy.clone())),
        waiting: 0,
        last: None,
        previous: PreviousRun::None,
    };
    Ok(Ledger { keys, end, streams: Streams::default(), recheck: Recheck::new(0, start.prev) })
}

/// The key of epoch 0 of a later ledger: its note is signed by the newest epoch key that has survived, and by the log's.
fn begin_keys(
    disk: &dyn Disk,
    state: &Path,
    node: &Node,
    origin: &Origin,
    log: &Signer,
    now: Now,
) -> Result<(), StoreError> {
    let paths = KeyPaths::new(state);
    let before = newest_epoch_key(state, node, origin.incarnation() - 1)?;
    key::create_folder(disk, &ledger_folder(state, origin.incarnation()))?;
    key::erase(disk, &paths.epoch(origin.incarnation(), 0))?;
    let key = Signer::generate(&origin.epoch_name(0))?;
    key.save(disk, &paths.epoch(origin.incarnation(), 0))?;
    let note = EpochNote {
        origin: origin.clone(),
        epoch: 0,
        start: 0,
        root: merkle::empty(),
        key: key.verifier().clone(),
        not_before: now.wall_ns / 1_000_000_000,
    };
    key::publish(disk, &paths.epochs(origin.incarnation()), key::sign_epoch(&note, &before, log).as_bytes())?;
    Ok(())
}

/// Erases the keys of earlier ledgers: the newest of them has signed this one's first epoch, and signs no more.
fn erase_before(disk: &dyn Disk, state: &Path, incarnation: u32) -> Result<(), StoreError> {
    for earlier in 1..incarnation {
        for epoch in epoch_keys(state, earlier)? {
            key::erase(disk, &KeyPaths::new(state).epoch(earlier, epoch))?;
        }
    }
    Ok(())
}

/// Numbers of the epochs of a ledger whose private key is on the disk.
fn epoch_keys(state: &Path, incarnation: u32) -> Result<Vec<u32>, StoreError> {
    let folder = state.join("keys");
    let io = |source| StoreError::Io { doing: "list", path: folder.clone(), source };
    let prefix = format!("{incarnation:04}-e");
    let mut epochs: Vec<u32> = Vec::new();
    for entry in fs::read_dir(&folder).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        let epoch = name.to_str().and_then(|name| name.strip_prefix(&prefix)?.parse::<u32>().ok());
        epochs.extend(epoch);
    }
    Ok(epochs)
}

/// The newest key of a ledger that is on the disk and has a note beside the segments.
fn newest_epoch_key(state: &Path, node: &Node, incarnation: u32) -> Result<Signer, StoreError> {
    let noted: Vec<u32> = key::read_epochs(state, incarnation)?.iter().map(|note| note.epoch.epoch).collect();
    let newest = epoch_keys(state, incarnation)?.into_iter().filter(|epoch| noted.contains(epoch)).max();
    let epoch = newest.ok_or_else(|| StoreError::Keys {
        detail: format!("no epoch key of {}/{incarnation:04} has survived to sign the next ledger's", node.name),
    })?;
    Ok(Signer::load(&KeyPaths::new(state).epoch(incarnation, epoch))?)
}

impl OpenOptions {
    /// The seal that stands before the daemon has looked at anything.
    fn seal(&self) -> SealInput {
        SealInput { clock: self.clock, binary: self.binary, config: self.config, ..SealInput::default() }
    }
}

impl Limits {
    /// Is it time for another segment file?
    pub(super) fn is_over(&self, bytes: u64, age_ns: u64) -> bool {
        bytes >= self.segment_bytes || age_ns >= self.segment_ns
    }
}
