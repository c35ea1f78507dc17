//! What may be removed, and removing it: whole segments, after the ledger says so and is sealed.

use std::fs;
use std::sync::PoisonError;

use auditor_common::body::{Body, Policy, Prune};

use super::schema::{META, META_START, segment_path};
use super::snapshot::{Torn, in_one_state};
use super::{SealInput, Store, StoreError, segment};
use crate::chain::{Edge, Now};
use crate::clock::DAY_NS;

/// What holds if nobody decided otherwise: 180 days or 20 GiB, and never under 30 days.
#[must_use]
pub fn default_policy() -> Policy {
    Policy { keep_ns: 180 * DAY_NS, max_bytes: 20 << 30, min_ns: 30 * DAY_NS, actor: "default".to_owned() }
}

/// One segment, as retention sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentUse {
    /// Its first record.
    pub first: u64,
    /// Size of its file.
    pub bytes: u64,
    /// When its first record was appended, CLOCK_REALTIME nanoseconds.
    pub oldest_wall_ns: u64,
    /// When its last record was appended.
    pub newest_wall_ns: u64,
}

/// How much is kept, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// In the order of their records; the last one is written.
    pub segments: Vec<SegmentUse>,
    /// The policy in force.
    pub policy: Policy,
}

impl Usage {
    /// Bytes of all segments.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// How long it takes, at the present pace, until the store is as large as it may be; `None` while there is no pace
    /// to speak of, or if what is kept long enough fits.
    #[must_use]
    pub fn full_in_ns(&self, now: Now) -> Option<u64> {
        let oldest = self.segments.first()?.oldest_wall_ns;
        let span = now.wall_ns.checked_sub(oldest).filter(|span| *span > 0)?;
        let bytes = self.bytes();
        let at_the_end = u128::from(bytes) * u128::from(self.policy.keep_ns) / u128::from(span);
        if at_the_end <= u128::from(self.policy.max_bytes) {
            return None;
        }
        let room = self.policy.max_bytes.saturating_sub(bytes);
        Some((u128::from(room) * u128::from(span) / u128::from(bytes.max(1))) as u64)
    }

    /// What the policy lets go, if there is anything.
    #[must_use]
    pub fn removal(&self, now: Now) -> Option<Removal> {
        let (gone, kept) = self.segments.split_at_checked(self.removable(now))?;
        let (oldest, newest, first) = (gone.first()?, gone.last()?, kept.first()?.first);
        Some(Removal {
            min_index: first,
            records: first - oldest.first,
            bytes: gone.iter().map(|segment| segment.bytes).sum(),
            oldest_wall_ns: oldest.oldest_wall_ns,
            newest_wall_ns: newest.newest_wall_ns,
        })
    }

    /// How many of the oldest segments the policy lets go. The one that is written always stays.
    #[must_use]
    pub fn removable(&self, now: Now) -> usize {
        let Some((_, closed)) = self.segments.split_last() else { return 0 };
        let mut bytes = self.bytes();
        let mut count = 0;
        for segment in closed {
            let age = now.wall_ns.saturating_sub(segment.newest_wall_ns);
            let old = age >= self.policy.keep_ns;
            let pressed = bytes > self.policy.max_bytes;
            if age < self.policy.min_ns || !(old || pressed) {
                break;
            }
            bytes -= segment.bytes;
            count += 1;
        }
        count
    }
}

/// What the policy lets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removal {
    /// First record that would be kept.
    pub min_index: u64,
    /// How many records would be gone.
    pub records: u64,
    /// How many bytes the disk would have back.
    pub bytes: u64,
    /// When the oldest of them was appended, CLOCK_REALTIME nanoseconds.
    pub oldest_wall_ns: u64,
    /// When the newest of them was appended.
    pub newest_wall_ns: u64,
}

/// What was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// `seq` of the PRUNE that says so.
    pub record: u64,
    /// First record that is kept.
    pub min_index: u64,
    /// How many records are gone.
    pub records: u64,
    /// How many bytes the disk has back.
    pub bytes: u64,
}

impl Store {
    /// The policy in force, and how much there is. A segment that is written no more is looked into once.
    pub fn usage(&mut self) -> Result<Usage, StoreError> {
        let folder = &self.shared.folder;
        let firsts = segment::list(folder)?;
        let mut reader = self.reader();
        let mut segments = Vec::new();
        for (at, first) in firsts.iter().enumerate() {
            let next = firsts.get(at + 1).copied();
            if let Some(known) = self.measured.get(first).filter(|_| next.is_some()) {
                segments.push(*known);
                continue;
            }
            let path = segment_path(folder, *first);
            let bytes = fs::metadata(&path).map_err(|source| StoreError::Io { doing: "measure", path, source })?.len();
            let oldest = reader.get(*first)?.map(|record| record.entry.wall_ns);
            let newest = reader.newest(next.unwrap_or(self.durable), 1)?.first().map(|record| record.entry.wall_ns);
            let oldest_wall_ns = oldest.unwrap_or(self.segment_wall_ns);
            let newest_wall_ns = newest.unwrap_or(oldest_wall_ns);
            let segment = SegmentUse { first: *first, bytes, oldest_wall_ns, newest_wall_ns };
            if next.is_some() {
                self.measured.insert(*first, segment);
            }
            segments.push(segment);
        }
        Ok(Usage { segments, policy: self.policy() })
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy_in_force.as_ref().map_or_else(default_policy, |(_, policy)| policy.clone())
    }

    /// From now on this is the policy. A change is a record; the same policy again is none.
    pub fn set_policy(&mut self, policy: &Policy, now: impl Into<Now>) -> Result<Option<u64>, StoreError> {
        if self.policy_in_force.as_ref().is_some_and(|(_, known)| known == policy) {
            return Ok(None);
        }
        self.append(&Body::Policy(policy.clone()), now).map(Some)
    }

    /// Removes what the policy lets go, if there is anything: PRUNE, seal, and only then the files. A crash in between
    /// leaves too much, never too little.
    pub fn retain(
        &mut self,
        actor: &str,
        input: SealInput,
        now: impl Into<Now>,
    ) -> Result<Option<Removed>, StoreError> {
        let now = now.into();
        let usage = self.usage()?;
        let Some(removal) = usage.removal(now) else { return Ok(None) };
        let Removal { min_index, records, bytes, oldest_wall_ns, newest_wall_ns } = removal;
        // The policy has to be among the records that stay.
        let policy = match &self.policy_in_force {
            Some((seq, _)) if *seq >= min_index => *seq,
            _ => self.append(&Body::Policy(usage.policy.clone()), now)?,
        };
        let start = start(&segment_path(&self.shared.folder, min_index), Torn::No)?;
        let prune = Prune {
            min_index,
            root: start.range.root(),
            range: start.range.hashes().to_vec(),
            removed: records,
            oldest_wall_ns,
            newest_wall_ns,
            policy,
            archive: None,
            actor: actor.to_owned(),
            streams: start.streams.ends().collect(),
        };
        let record = self.append(&Body::Prune(prune), now)?;
        self.seal_and(&input, now, None)?;
        for segment in usage.segments.iter().take_while(|segment| segment.first < min_index) {
            self.remove(segment.first)?;
        }
        Ok(Some(Removed { record, min_index, records, bytes }))
    }

    fn remove(&mut self, first: u64) -> Result<(), StoreError> {
        self.recheck.wait()?;
        self.shared.closed.lock().unwrap_or_else(PoisonError::into_inner).remove(first);
        self.measured.remove(&first);
        let path = segment_path(&self.shared.folder, first);
        self.disk.remove(&path).map_err(|source| StoreError::Io { doing: "remove", path, source })?;
        // The oldest is gone for good before the next one goes: a power cut leaves no hole between them.
        segment::sync_folder(&*self.disk, &self.shared.folder)
    }
}

/// The end of the chain where a segment begins.
pub(super) fn start(path: &std::path::Path, torn: Torn) -> Result<Edge, StoreError> {
    in_one_state(path, 1 << 20, torn, |txn| start_in(txn, path)).map(|(edge, _)| edge)
}

/// The same, of a segment that is open.
pub(super) fn start_in(txn: &redb::ReadTransaction, path: &std::path::Path) -> Result<Edge, StoreError> {
    let redb = |error: redb::Error| StoreError::of_redb(path, error);
    let meta = txn.open_table(META).map_err(|error| redb(error.into()))?;
    let value = meta.get(META_START).map_err(|error| redb(error.into()))?;
    value.and_then(|value| Edge::parse(value.value())).ok_or_else(|| StoreError::Corrupt {
        path: path.to_owned(),
        detail: "it does not say where it begins".to_owned(),
    })
}
