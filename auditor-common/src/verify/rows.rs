//! Row after row: what each must pass, in this order.

use super::checkpoints::Sealed;
use super::coverage::Coverage;
use super::epochs::Epochs;
use super::head::Head;
use super::links::Links;
use super::{Digest, Evidence, Finding, Identity, Start, times};
use crate::body::{Body, Export};
use crate::merkle::{GrowingTree, Hash, leaf};
use crate::record::{ENTRY_LEN, Entry, EntryType, Row, genesis_prev};
use crate::stream::StreamTable;

/// Reads a ledger from its first row that is kept to its last.
#[derive(Clone, Debug)]
pub struct Verifier {
    pub(super) identity: Identity,
    pub(super) evidence: Evidence,
    log_tag: [u8; 16],
    pub(super) start: u64,
    pub(super) tree: GrowingTree,
    pub(super) links: Links,
    last: Option<Entry>,
    /// The last record was a row, and not only a leaf hash.
    adjacent: bool,
    /// Records whose body is not there.
    pub(super) withheld: u64,
    /// Records of which there is the leaf hash alone.
    pub(super) foreign: u64,
    pub(super) streams: StreamTable,
    pub(super) epochs: Epochs,
    pub(super) head: Head,
    pub(super) export: Option<Export>,
    pub(super) sealed: Sealed,
    pub(super) coverage: Coverage,
    /// Which record is of a newer version, in a sentence.
    pub(super) newer: Option<String>,
    pub(super) finding: Option<Finding>,
}

impl Verifier {
    /// A verifier before its first row.
    #[must_use]
    pub fn new(identity: Identity, start: Start, evidence: Evidence) -> Self {
        let log_tag = identity.log_tag();
        let first = start.range.size();
        let head = Head::new(start.clone());
        Self {
            log_tag,
            start: first,
            tree: GrowingTree::new(start.range),
            links: Links::new((first == 0).then(|| genesis_prev(&log_tag))),
            last: None,
            adjacent: true,
            withheld: 0,
            foreign: 0,
            streams: start.streams,
            epochs: Epochs::new(),
            head,
            export: None,
            sealed: Sealed::default(),
            coverage: Coverage::new(first > 0),
            newer: None,
            finding: None,
            identity,
            evidence,
        }
    }

    /// The number of the row that must come next.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.tree.size()
    }

    /// The root of the tree so far.
    #[must_use]
    pub fn root(&mut self) -> Hash {
        self.tree.root()
    }

    /// Was the last record a SEAL?
    #[must_use]
    pub fn ends_with_a_seal(&self) -> bool {
        self.adjacent && self.last.is_some_and(|entry| entry.kind == EntryType::Seal)
    }

    /// The last EXPORT that was seen.
    #[must_use]
    pub fn last_export(&self) -> Option<&Export> {
        self.export.as_ref()
    }

    /// Looks at the next row. After an error there is nothing more to look at: see [`Verifier::finish`].
    pub fn row(&mut self, key: u64, bytes: &[u8]) -> Result<(), Finding> {
        let outcome = self.look(key, bytes, None);
        self.keep(outcome)
    }

    /// The same for a row that is hashed already.
    pub fn digested(&mut self, key: u64, bytes: &[u8], digest: Digest) -> Result<(), Finding> {
        let outcome = self.look(key, bytes, Some(digest));
        self.keep(outcome)
    }

    /// A record of which there is the entry, and not the body.
    pub fn bare(&mut self, bytes: &[u8; ENTRY_LEN]) -> Result<(), Finding> {
        let outcome = self.look_at_bare(bytes);
        self.keep(outcome)
    }

    /// A record of which there is the leaf hash, and nothing else.
    pub fn foreign(&mut self, leaf: Hash) -> Result<(), Finding> {
        let outcome = self.look_at_foreign();
        self.links.go_on_from(leaf);
        self.tree.append(leaf);
        self.adjacent = false;
        self.foreign += 1;
        self.keep(outcome)
    }

    /// A record of the ledger's own stream that lies outside of the stretch, and is proven by itself. Those before the
    /// stretch come before its first row, those after it after its last.
    pub fn outside(&mut self, entry: &Entry, body: &Body) -> Result<(), Finding> {
        let outcome = match body {
            Body::Policy(policy) => {
                self.head.policy(entry.seq, policy);
                Ok(())
            }
            Body::Prune(prune) => self.head.removal(entry, prune),
            _ => Ok(()),
        };
        self.keep(outcome)
    }

    /// Something outside of the rows ended the verification: a file that cannot be read, say.
    pub fn give_up(&mut self, finding: Finding) {
        let _ = self.keep(Err(finding));
    }

    #[inline]
    pub(super) fn keep(&mut self, outcome: Result<(), Finding>) -> Result<(), Finding> {
        if let (Err(finding), None) = (&outcome, &self.finding) {
            self.finding = Some(finding.clone());
        }
        outcome
    }

    fn look(&mut self, key: u64, bytes: &[u8], digest: Option<Digest>) -> Result<(), Finding> {
        let seq = self.next();
        self.seal_has_its_checkpoint()?;
        if key > seq {
            return Err(Finding::integrity(seq, format!("record {seq} is missing")));
        }
        if key < seq {
            return Err(Finding::integrity(key, format!("record {key} is there twice")));
        }
        let row = Row::parse(bytes).map_err(|error| Finding::integrity(seq, format!("record {seq}: {error}")))?;
        let digest = digest.unwrap_or_else(|| Digest::of(&row));
        if row.entry.seq == seq && digest.body_commit != row.entry.body_commit {
            let sentence = format!("record {seq}: its body is not the one that was sealed");
            return Err(Finding::integrity(seq, sentence));
        }
        self.place(seq, &row.entry)?;
        if !self.links.are_broken() {
            self.body(seq, &row)?;
        }
        self.take(row.entry, digest.leaf);
        Ok(())
    }

    fn look_at_bare(&mut self, bytes: &[u8; ENTRY_LEN]) -> Result<(), Finding> {
        let seq = self.next();
        self.seal_has_its_checkpoint()?;
        let entry = Entry::parse(bytes).map_err(|error| Finding::integrity(seq, format!("record {seq}: {error}")))?;
        if entry.kind != EntryType::Event {
            return Err(Finding::integrity(seq, format!("record {seq}: its body must not be withheld")));
        }
        self.place(seq, &entry)?;
        if !self.links.are_broken() {
            self.stream(seq, &entry)?;
            self.coverage.withheld(&entry);
        }
        self.withheld += 1;
        self.take(entry, leaf(bytes));
        Ok(())
    }

    fn look_at_foreign(&mut self) -> Result<(), Finding> {
        self.links.hold()?;
        self.seal_has_its_checkpoint()?;
        self.epoch_begins(self.next())
    }

    fn take(&mut self, entry: Entry, leaf: Hash) {
        self.links.go_on_from(leaf);
        self.tree.append(leaf);
        self.last = Some(entry);
        self.adjacent = true;
    }

    /// Does an entry belong to this place: number, ledger, link, time, epoch?
    fn place(&mut self, seq: u64, entry: &Entry) -> Result<(), Finding> {
        if entry.seq != seq {
            let found = entry.seq;
            return Err(Finding::integrity(seq, format!("record {seq} is in truth record {found}")));
        }
        if entry.log_tag != self.log_tag {
            return Err(Finding::integrity(seq, format!("record {seq} belongs to another ledger")));
        }
        self.links.check(seq, entry)?;
        if self.links.are_broken() {
            return Ok(());
        }
        if let Some(last) = &self.last {
            times::in_order(last, entry, self.adjacent)?;
        }
        self.epoch(seq, entry)
    }
}
