//! The store held against itself: everything that is stored beside the rows is made anew from them, and compared.
//!
//! `auditor verify` asks whether the records are those that were signed, and looks at nothing that can be computed. This
//! asks whether what is computed (subtrees, ends of the chain, tables of streams, the policy in force, notes of epochs) is
//! what the rows give: what proofs, exports and the next start rely on. It writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use auditor_common::body::{Body, SCHEMA};
use auditor_common::checkpoint::SignedCheckpoint;
use auditor_common::epoch::SignedEpoch;
use auditor_common::merkle::{Complete, Hash};
use auditor_common::origin::Origin;
use auditor_common::record::{Entry, EntryType, Row};
use auditor_common::stream::{CONTROL, may_be_an_instances, tag};
use redb::{ReadTransaction, ReadableTable as _, TableError};

use super::schema::{
    CHECKPOINTS, EPOCHS, META, META_ALIGNED, META_ORIGIN, META_POLICY, META_SCHEMA, META_SEALED, META_START, ROWS,
    STORE_SCHEMA, STREAMS, TILES, ledger_folder, segment_path, tile_key,
};
use super::snapshot::{Torn, in_a_state_that_fits};
use super::{HeadState, StoreError, read_head, segment};
use crate::chain::{ALIGNMENT, Chain, Edge};
use crate::key;

/// Memory for pages: what is read once need not be kept.
const CACHE: usize = 8 << 20;
/// So many faults are told; where there are more, these are enough.
const FAULTS_MAX: usize = 100;
/// Records between two words about progress.
const STRIDE: u64 = 8192;

/// Something that does not fit the rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// In which file.
    pub path: PathBuf,
    /// What is wrong.
    pub what: String,
}

/// What was compared, and what did not fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// The ledger.
    pub origin: String,
    /// Segment files.
    pub segments: u64,
    /// Records: links, commitments, streams.
    pub records: u64,
    /// Roots of subtrees.
    pub tiles: u64,
    /// Checkpoints: their roots.
    pub checkpoints: u64,
    /// Notes of epochs.
    pub epochs: u64,
    /// What does not fit.
    pub faults: Vec<Fault>,
}

/// Checks the newest ledger of a state folder. `progress` is told how many records have been looked at.
pub fn check(state: &Path, progress: &mut dyn FnMut(u64)) -> Result<Inspection, StoreError> {
    let released = match read_head(&state.join("head"))? {
        HeadState::Newest(signed) => *signed,
        HeadState::Empty => return Err(StoreError::Refused { detail: no_ledger(state) }),
        HeadState::Damaged => {
            return Err(StoreError::Corrupt {
                path: state.join("head"),
                detail: "neither of its slots is sound".into(),
            });
        }
    };
    let origin = released.checkpoint.origin.clone();
    let folder = ledger_folder(state, origin.incarnation());
    // Without it, which nothing here leads to, the next start ends.
    key::read_node(state)?;
    let root = key::read_root(state)?;
    let mut check = Check {
        found: Inspection { origin: origin.to_string(), ..Inspection::default() },
        path: folder.clone(),
        log_tag: origin.tag(root.public()),
        origin,
        kept: key::read_epochs(state, released.checkpoint.origin.incarnation())?,
        streams: BTreeMap::new(),
        policy: None,
        epoch: 0,
        released_met: false,
    };
    let firsts = segment::list(&folder)?;
    let mut end: Option<Edge> = None;
    for (at, first) in firsts.iter().enumerate() {
        check.path = segment_path(&folder, *first);
        let next = firsts.get(at + 1).copied();
        end = Some(check.segment(*first, end, next, &released, progress)?);
    }
    check.path = folder.join("epochs");
    check.kept_epochs();
    check.path = state.join("head");
    if !check.released_met {
        let size = released.checkpoint.size;
        check.fault(format!("the checkpoint of size {size}, which it says was released, is not in the store"));
    }
    Ok(check.found)
}

fn no_ledger(state: &Path) -> String {
    format!("there is no ledger in {}: start `auditor run` first", state.display())
}

#[derive(Clone)]
struct Check {
    found: Inspection,
    /// The file that is looked at.
    path: PathBuf,
    origin: Origin,
    log_tag: [u8; 16],
    /// Epoch notes beside the segments.
    kept: Vec<SignedEpoch>,
    /// Tags of the instances' streams, as rows show them.
    streams: BTreeMap<String, [u8; 16]>,
    /// The newest POLICY that was seen.
    policy: Option<(u64, Vec<u8>)>,
    /// The epoch of the newest record.
    epoch: u32,
    released_met: bool,
}

/// What a pass over the rows of a segment gives.
struct Rows {
    chain: Chain,
    /// Ends of the chain at the sizes where something is stored about them.
    roots: BTreeMap<u64, Hash>,
    ends: BTreeMap<u64, Edge>,
    tiles: BTreeMap<u64, Hash>,
    /// Sizes at which a SEAL is the last record.
    seals: BTreeSet<u64>,
    /// The end where the next segment begins.
    handed_on: Option<Edge>,
}

impl Check {
    fn fault(&mut self, what: String) {
        if self.found.faults.len() < FAULTS_MAX {
            self.found.faults.push(Fault { path: self.path.clone(), what });
        }
    }

    fn corrupt(&self, detail: String) -> StoreError {
        StoreError::Corrupt { path: self.path.clone(), detail }
    }

    /// Checks a segment; gives the end of the chain where the next one begins. The newest segment may be written
    /// meanwhile: what is found in a state that the daemon has left behind counts for nothing.
    fn segment(
        &mut self,
        first: u64,
        before: Option<Edge>,
        next: Option<u64>,
        released: &SignedCheckpoint,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Edge, StoreError> {
        let torn = if next.is_none() { Torn::Maybe } else { Torn::No };
        let read = |txn: &ReadTransaction| {
            let mut pass = self.clone();
            let outcome = pass.in_one_state(txn, first, before.as_ref(), next, released, progress);
            match outcome {
                Ok(end) if pass.found.faults.len() == self.found.faults.len() => Ok((pass, end)),
                outcome => Err(Box::new((pass, outcome))),
            }
        };
        let unread = |error| Box::new((self.clone(), Err(error)));
        let (pass, outcome) = match in_a_state_that_fits(&self.path, CACHE, torn, unread, read) {
            Ok(((pass, end), _)) => (pass, Ok(end)),
            Err(refused) => *refused,
        };
        *self = pass;
        outcome
    }

    fn redb(&self, error: impl Into<redb::Error>) -> StoreError {
        StoreError::of_redb(&self.path, error)
    }

    fn in_one_state(
        &mut self,
        txn: &ReadTransaction,
        first: u64,
        before: Option<&Edge>,
        next: Option<u64>,
        released: &SignedCheckpoint,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Edge, StoreError> {
        self.found.segments += 1;
        let schema = self.value(txn, META_SCHEMA)?.and_then(|value| value.try_into().ok()).map(u32::from_be_bytes);
        match schema {
            Some(STORE_SCHEMA) => {}
            Some(found) => return Err(StoreError::NewerSchema { found, known: STORE_SCHEMA }),
            None => return Err(self.corrupt("it does not say which layout it has".to_owned())),
        }
        if self.value(txn, META_ORIGIN)?.as_deref() != Some(self.origin.to_string().as_bytes()) {
            self.fault("it says that it belongs to another ledger".to_owned());
        }
        let start = self.edge(txn, META_START)?;
        if start.range.size() != first {
            self.fault(format!("its name says that it begins at {first}, it says {}", start.range.size()));
        }
        let expected = match before {
            Some(before) => Some(before.clone()),
            None if first == 0 => Some(Edge::genesis(&self.log_tag)),
            None => None,
        };
        if expected.is_some_and(|expected| expected != start) {
            self.fault(format!("it does not begin at record {first} as the records before it end"));
        }
        let (sealed, aligned) = (self.edge(txn, META_SEALED)?, self.edge(txn, META_ALIGNED)?);
        let rows = self.rows(txn, start, next, [sealed.range.size(), aligned.range.size()], progress)?;
        for (name, edge) in [(META_SEALED, &sealed), (META_ALIGNED, &aligned)] {
            if rows.ends.get(&edge.range.size()) != Some(edge) {
                self.fault(format!("its value \"{name}\" is not the end of the chain at size {}", edge.range.size()));
            }
        }
        if aligned.range.size() != sealed.range.size() / ALIGNMENT * ALIGNMENT {
            self.fault("its value \"aligned\" is not about the last multiple of 256".to_owned());
        }
        self.tiles(txn, &rows)?;
        self.checkpoints(txn, first, &rows, sealed.range.size(), released)?;
        self.stored_streams(txn)?;
        self.stored_policy(txn)?;
        self.stored_epochs(txn, &rows)?;
        Ok(rows.handed_on.unwrap_or_else(|| rows.chain.end().clone()))
    }

    fn value(&self, txn: &ReadTransaction, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let meta = match txn.open_table(META) {
            Ok(meta) => meta,
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(self.redb(error)),
        };
        let found = meta.get(name).map_err(|error| self.redb(error))?;
        Ok(found.map(|value| value.value().to_vec()))
    }

    fn edge(&self, txn: &ReadTransaction, name: &str) -> Result<Edge, StoreError> {
        let value = self.value(txn, name)?.and_then(|value| Edge::parse(&value));
        value.ok_or_else(|| self.corrupt(format!("its value \"{name}\" is missing or damaged")))
    }

    /// Follows the rows: each fits its commitment, its number, the one before, and its stream.
    fn rows(
        &mut self,
        txn: &ReadTransaction,
        start: Edge,
        next: Option<u64>,
        wanted: [u64; 2],
        progress: &mut dyn FnMut(u64),
    ) -> Result<Rows, StoreError> {
        let mut rows = Rows {
            chain: Chain::resume(self.log_tag, start.clone(), start.clone()),
            roots: BTreeMap::new(),
            ends: BTreeMap::from([(start.range.size(), start)]),
            tiles: BTreeMap::new(),
            seals: BTreeSet::new(),
            handed_on: None,
        };
        let table = txn.open_table(ROWS).map_err(|error| self.redb(error))?;
        for row in table.iter().map_err(|error| self.redb(error))? {
            let (seq, bytes) = row.map_err(|error| self.redb(error))?;
            let (seq, size) = (seq.value(), rows.chain.size());
            let row = Row::parse(bytes.value()).map_err(|error| self.corrupt(format!("record {seq}: {error}")))?;
            let fits = seq == size && row.entry.seq == seq && row.fits() && row.entry.log_tag == self.log_tag;
            if !fits || row.entry.prev != rows.chain.end().prev {
                // What comes after has nothing to be held against.
                return Err(self.corrupt(format!("record {seq} does not follow the one before it")));
            }
            if !rows.chain.follow(&row.entry, row.leaf()) {
                self.fault(format!("record {seq} does not follow in its stream"));
            }
            for Complete { level, index, hash } in rows.chain.take_complete() {
                rows.tiles.insert(tile_key(&Complete { level, index, hash }), hash);
            }
            let size = seq + 1;
            if row.entry.kind == EntryType::Seal {
                rows.seals.insert(size);
                rows.roots.insert(size, rows.chain.end().range.root());
            }
            if wanted.contains(&size) {
                rows.ends.insert(size, rows.chain.end().clone());
            }
            if next == Some(size) {
                rows.handed_on = Some(rows.chain.end().clone());
            }
            self.body(&row.entry, row.body);
            // Those of the next segment are counted there.
            if next.is_none_or(|next| seq < next) {
                self.found.records += 1;
                if self.found.records.is_multiple_of(STRIDE) {
                    progress(self.found.records);
                }
            }
        }
        if next.is_some_and(|next| rows.chain.size() < next) {
            self.fault(format!("records {} and later are missing: the next segment begins later", rows.chain.size()));
        }
        Ok(rows)
    }

    /// What a record says that is stored elsewhere as well.
    fn body(&mut self, entry: &Entry, body: &[u8]) {
        self.epoch = entry.epoch;
        if entry.schema != SCHEMA {
            return;
        }
        match entry.kind {
            kind if may_be_an_instances(kind, entry.class) => {
                let Ok(read) = Body::decode(entry.kind, entry.class, body) else {
                    return self.fault(format!("record {}: its body is none of this version", entry.seq));
                };
                // In older stores decisions are in the ledger's own stream.
                let anywhere = entry.kind != EntryType::Event && entry.stream_tag == CONTROL;
                if let Some(instance) = read.instance().filter(|_| !anywhere) {
                    let known = self.streams.entry(instance.to_owned()).or_insert(entry.stream_tag);
                    if *known != entry.stream_tag {
                        self.fault(format!("record {} is not in the stream of {instance}", entry.seq));
                    }
                }
            }
            EntryType::Policy if entry.class == 0 => self.policy = Some((entry.seq, body.to_vec())),
            _ => {}
        }
    }

    fn tiles(&mut self, txn: &ReadTransaction, rows: &Rows) -> Result<(), StoreError> {
        let table = txn.open_table(TILES).map_err(|error| self.redb(error))?;
        let mut stored = BTreeMap::new();
        for tile in table.iter().map_err(|error| self.redb(error))? {
            let (place, hash) = tile.map_err(|error| self.redb(error))?;
            stored.insert(place.value(), *hash.value());
        }
        self.found.tiles += stored.len() as u64;
        let name = |place: u64| format!("the subtree {} of level {}", place & ((1 << 56) - 1), place >> 56);
        for (place, hash) in &rows.tiles {
            match stored.remove(place) {
                Some(found) if found == *hash => {}
                Some(_) => self.fault(format!("{} has another root than its records give", name(*place))),
                None => self.fault(format!("{} is missing", name(*place))),
            }
        }
        for place in stored.keys() {
            self.fault(format!("{} is there, and its records are not", name(*place)));
        }
        Ok(())
    }

    fn checkpoints(
        &mut self,
        txn: &ReadTransaction,
        first: u64,
        rows: &Rows,
        sealed: u64,
        released: &SignedCheckpoint,
    ) -> Result<(), StoreError> {
        let table = txn.open_table(CHECKPOINTS).map_err(|error| self.redb(error))?;
        let mut seals = rows.seals.clone();
        let mut newest = first;
        for note in table.iter().map_err(|error| self.redb(error))? {
            let (size, bytes) = note.map_err(|error| self.redb(error))?;
            let (size, bytes) = (size.value(), bytes.value());
            self.found.checkpoints += 1;
            newest = size;
            let signed = match SignedCheckpoint::parse(bytes) {
                Ok(signed) => signed,
                Err(error) => {
                    self.fault(format!("the checkpoint of size {size}: {error}"));
                    continue;
                }
            };
            let fits = seals.remove(&size) && signed.checkpoint.size == size && signed.checkpoint.origin == self.origin;
            if !fits || rows.roots.get(&size) != Some(&signed.checkpoint.root) {
                self.fault(format!("the checkpoint of size {size} is not about the records that are there"));
            }
            self.released_met |= signed == *released;
        }
        for size in seals {
            self.fault(format!("the checkpoint of size {size} is missing"));
        }
        if newest > first && newest != sealed {
            self.fault(format!("its newest checkpoint is of size {newest}, its value \"sealed\" says {sealed}"));
        }
        Ok(())
    }

    fn stored_streams(&mut self, txn: &ReadTransaction) -> Result<(), StoreError> {
        let table = txn.open_table(STREAMS).map_err(|error| self.redb(error))?;
        let mut stored = BTreeMap::new();
        for stream in table.iter().map_err(|error| self.redb(error))? {
            let (instance, key) = stream.map_err(|error| self.redb(error))?;
            let instance = instance.value().to_owned();
            stored.insert(instance.clone(), tag(key.value(), &instance));
        }
        for (instance, tag) in self.streams.clone() {
            match stored.get(&instance) {
                Some(found) if *found == tag => {}
                Some(_) => self.fault(format!("the key of the stream of {instance} is not that of its records")),
                None => self.fault(format!("the key of the stream of {instance} is missing")),
            }
        }
        Ok(())
    }

    fn stored_policy(&mut self, txn: &ReadTransaction) -> Result<(), StoreError> {
        let stored = self.value(txn, META_POLICY)?;
        let Some((seq, body)) = &self.policy else { return Ok(()) };
        let expected = [seq.to_be_bytes().as_slice(), body].concat();
        if stored.as_ref() != Some(&expected) {
            self.fault(format!("its value \"policy\" is not the POLICY of record {seq}"));
        }
        Ok(())
    }

    /// Each epoch up to that of the newest record has its note beside the segments; the newest may be in its segment only, if
    /// a crash came in between.
    fn kept_epochs(&mut self) {
        let kept: BTreeSet<u32> = self.kept.iter().map(|note| note.epoch.epoch).collect();
        let missing = (0..self.epoch.max(1)).find(|epoch| !kept.contains(epoch));
        if let Some(epoch) = missing {
            self.fault(format!("the note of epoch {epoch} is missing"));
        }
    }

    /// The notes of epochs in a segment are those beside it, but the newest, if a crash came in between; an epoch that
    /// starts in here starts with a seal, at the root of that.
    fn stored_epochs(&mut self, txn: &ReadTransaction, rows: &Rows) -> Result<(), StoreError> {
        let table = match txn.open_table(EPOCHS) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Ok(()),
            Err(error) => return Err(self.redb(error)),
        };
        let last = self.kept.last().map(|note| note.epoch.epoch);
        for note in table.iter().map_err(|error| self.redb(error))? {
            let (number, bytes) = note.map_err(|error| self.redb(error))?;
            let number = number.value();
            self.found.epochs += 1;
            let Ok(note) = SignedEpoch::parse(bytes.value()) else {
                self.fault(format!("the note of epoch {number} is damaged"));
                continue;
            };
            let is_kept = self.kept.contains(&note) || last.is_some_and(|last| number == last + 1);
            if !is_kept || note.epoch.epoch != number {
                self.fault(format!("the note of epoch {number} is not the one beside the segments"));
            }
            if rows.roots.get(&note.epoch.start) != Some(&note.epoch.root) {
                self.fault(format!("epoch {number} starts at record {}, at another root", note.epoch.start));
            }
        }
        Ok(())
    }
}
