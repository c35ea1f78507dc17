//! A ledger written anew by somebody with the keys of today: rows changed, and everything that depends on them computed
//! and signed again.

use auditor_common::body::Body;
use auditor_common::checkpoint::{Checkpoint, SignedCheckpoint};
use auditor_common::export::{TILE, tile_path};
use auditor_common::merkle::CompactRange;
use auditor_common::record::{ENTRY_LEN, Entry, SALT_LEN, commit};

use crate::bundle::{Bundle, Thief};

/// The rows of an export of a whole ledger.
#[derive(Clone, Debug)]
pub struct Forge {
    /// Entry, salt, body.
    pub rows: Vec<(Entry, [u8; SALT_LEN], Vec<u8>)>,
}

impl Forge {
    /// Takes the rows out of an export.
    #[must_use]
    pub fn of(bundle: &Bundle) -> Self {
        let files = |prefix: &str| {
            let found = bundle.0.iter().filter(move |(path, _)| path.starts_with(prefix));
            found.flat_map(|(_, content)| content.iter().copied()).collect::<Vec<u8>>()
        };
        let (entries, bodies) = (files("tile/entries/"), files("bodies/"));
        let mut rest = bodies.as_slice();
        let rows = entries.chunks(2 + ENTRY_LEN).map(|entry| {
            let entry = Entry::parse(entry[2..].try_into().expect("an entry")).expect("an entry");
            let (salt, after) = rest[4..].split_first_chunk().expect("a salt");
            let (body, after) = after.split_at(entry.body_len as usize);
            rest = after;
            (entry, *salt, body.to_vec())
        });
        Self { rows: rows.collect() }
    }

    /// The body of a record.
    #[must_use]
    pub fn body(&self, seq: usize) -> Body {
        let (entry, _, body) = &self.rows[seq];
        Body::decode(entry.kind, entry.class, body).expect("a body")
    }

    /// Gives a record another body.
    pub fn put(&mut self, seq: usize, body: &Body) {
        self.rows[seq].2 = body.encode();
    }

    /// The numbers of the records that these words are about.
    #[must_use]
    pub fn of_type(&self, name: &str) -> Vec<usize> {
        let named = |(_, (entry, ..)): &(usize, &(Entry, _, _))| entry.kind.name() == name;
        self.rows.iter().enumerate().filter(named).map(|(seq, _)| seq).collect()
    }

    /// Numbers, commitments and links, from this record on.
    pub fn rehash(&mut self, from: usize) {
        for at in from..self.rows.len() {
            let prev = at.checked_sub(1).map(|before| self.rows[before].0.leaf());
            let (entry, salt, body) = &mut self.rows[at];
            entry.seq = at as u64;
            entry.body_len = body.len() as u32;
            entry.body_commit = commit(salt, body);
            entry.prev = prev.unwrap_or(entry.prev);
        }
    }

    /// The tree of the first so many records.
    #[must_use]
    pub fn tree(&self, size: usize) -> CompactRange {
        let mut range = CompactRange::new();
        self.rows[..size].iter().for_each(|(entry, ..)| range.append(entry.leaf()));
        range
    }

    /// A checkpoint of so many records, by the keys of today, under the name of this epoch.
    #[must_use]
    pub fn checkpoint(&self, size: usize, thief: &Thief, epoch: u32) -> SignedCheckpoint {
        let origin = auditor_common::origin::Origin::parse(thief.log.verifier().name()).expect("an origin");
        let checkpoint = Checkpoint { origin, size: size as u64, root: self.tree(size).root() };
        let text = checkpoint.text();
        let named = thief.epoch.renamed(&format!("{}/e{epoch}", thief.log.verifier().name())).expect("a name");
        let (log, by) = (thief.log.sign(&text), named.sign(&text));
        SignedCheckpoint::new(checkpoint, epoch, (thief.log.verifier(), &log), (named.verifier(), &by))
    }

    /// Puts the rows as they are into the export, without hash tiles; signs tree and list.
    pub fn write(&self, bundle: &mut Bundle, thief: &Thief) {
        bundle.0.retain(|path, _| !path.starts_with("tile/") && !path.starts_with("bodies/"));
        for (n, rows) in self.rows.chunks(TILE as usize).enumerate() {
            let (mut entries, mut bodies) = (Vec::new(), Vec::new());
            for (entry, salt, body) in rows {
                entries.extend((ENTRY_LEN as u16).to_be_bytes());
                entries.extend(entry.to_bytes());
                bodies.extend((body.len() as u32).to_be_bytes());
                bodies.extend(salt);
                bodies.extend(body);
            }
            bundle.0.insert(format!("tile/entries/{}", tile_path(n as u64, rows.len() as u64)), entries);
            bundle.0.insert(format!("bodies/{}", tile_path(n as u64, TILE)), bodies);
        }
        let size = self.rows.len();
        let signed = self.checkpoint(size, thief, thief.number);
        bundle.0.insert("checkpoint".to_owned(), signed.to_string().into_bytes());
        let mut note = bundle.signed().export;
        (note.last, note.size) = (size as u64 - 1, size as u64);
        thief.sign(bundle, note);
        thief.relist(bundle);
    }
}

/// The same signature once more: S + L instead of S, for which the same equation holds. `line` is `key id ‖ R ‖ S`.
#[must_use]
pub fn malleated(line: &[u8]) -> Vec<u8> {
    let order: [u8; 32] = [
        0xED, 0xD3, 0xF5, 0x5C, 0x1A, 0x63, 0x12, 0x58, 0xD6, 0x9C, 0xF7, 0xA2, 0xDE, 0xF9, 0xDE, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut line = line.to_vec();
    let mut carry = 0;
    for (byte, add) in line[36..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    line
}
