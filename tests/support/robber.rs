//! What somebody with the files of a store, redb and perhaps the keys of today can do to it: redb finds nothing wrong with
//! what is left.

use std::path::{Path, PathBuf};

use auditor_common::body::Body;
use auditor_common::merkle::sha256;
use auditor_common::record::{ENTRY_LEN, EntryType, Row, SALT_LEN, to_row};
use auditor_userspace::store::schema::{CHECKPOINTS, EPOCHS, ROWS, segment_path};
use redb::{Database, ReadableDatabase as _, ReadableTable as _};

use crate::bundle::Thief;
use crate::forge::Forge;

/// The first segment of the first ledger of a state folder.
#[must_use]
pub fn segment(dir: &Path) -> PathBuf {
    segment_path(&dir.join("0001"), 0)
}

/// Somebody with the first segment of a ledger that is closed.
#[derive(Debug)]
pub struct Robber {
    /// The segment, as redb opens it.
    pub db: Database,
}

impl Robber {
    /// Opens the segment.
    #[must_use]
    pub fn on(dir: &Path) -> Self {
        Self { db: Database::open(segment(dir)).expect("a segment") }
    }

    /// A row, as it is stored.
    #[must_use]
    pub fn row(&self, seq: u64) -> Vec<u8> {
        let txn = self.db.begin_read().expect("a transaction");
        let rows = txn.open_table(ROWS).expect("rows");
        rows.get(seq).expect("a page").expect("a row").value().to_vec()
    }

    /// How many rows there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        let txn = self.db.begin_read().expect("a transaction");
        let rows = txn.open_table(ROWS).expect("rows");
        rows.last().expect("a page").expect("a row").0.value() + 1
    }

    /// Sizes of the checkpoints.
    #[must_use]
    pub fn checkpoints(&self) -> Vec<u64> {
        let txn = self.db.begin_read().expect("a transaction");
        let notes = txn.open_table(CHECKPOINTS).expect("checkpoints");
        notes.iter().expect("a page").map(|note| note.expect("a page").0.value()).collect()
    }

    /// A checkpoint's note.
    #[must_use]
    pub fn checkpoint(&self, size: u64) -> String {
        let txn = self.db.begin_read().expect("a transaction");
        let notes = txn.open_table(CHECKPOINTS).expect("checkpoints");
        String::from_utf8(notes.get(size).expect("a page").expect("a note").value().to_vec()).expect("UTF-8")
    }

    /// Puts a row in the place of this number.
    pub fn put(&self, seq: u64, row: &[u8]) {
        let txn = self.db.begin_write().expect("a transaction");
        txn.open_table(ROWS).expect("rows").insert(seq, row).expect("room");
        txn.commit().expect("a disk");
    }

    /// Puts a note in the place of the checkpoint of this size.
    pub fn put_checkpoint(&self, size: u64, note: &str) {
        let txn = self.db.begin_write().expect("a transaction");
        txn.open_table(CHECKPOINTS).expect("checkpoints").insert(size, note.as_bytes()).expect("room");
        txn.commit().expect("a disk");
    }

    /// Takes a row away.
    pub fn delete(&self, seq: u64) {
        self.retain(|at| at != seq, |_| true);
    }

    /// Keeps of rows and checkpoints what these say.
    pub fn retain(&self, row: impl Fn(u64) -> bool, checkpoint: impl Fn(u64) -> bool) {
        let txn = self.db.begin_write().expect("a transaction");
        txn.open_table(ROWS).expect("rows").retain(|seq, _| row(seq)).expect("room");
        txn.open_table(CHECKPOINTS).expect("checkpoints").retain(|size, _| checkpoint(size)).expect("room");
        txn.commit().expect("a disk");
    }

    /// Cuts off everything from this size on.
    pub fn cut(&self, size: u64) {
        self.retain(|seq| seq < size, |at| at <= size);
    }

    /// Takes the note of an epoch out of the segment.
    pub fn forget_epoch(&self, epoch: u32) {
        let txn = self.db.begin_write().expect("a transaction");
        txn.open_table(EPOCHS).expect("epochs").remove(epoch).expect("room");
        txn.commit().expect("a disk");
    }

    /// All rows.
    #[must_use]
    pub fn rows(&self) -> Forge {
        let parsed = (0..self.size()).map(|seq| {
            let bytes = self.row(seq);
            let row = Row::parse(&bytes).expect("a row");
            let salt: [u8; SALT_LEN] = bytes[ENTRY_LEN..ENTRY_LEN + SALT_LEN].try_into().expect("a salt");
            (row.entry, salt, row.body.to_vec())
        });
        Forge { rows: parsed.collect() }
    }

    /// Puts these rows there, and nothing else.
    pub fn write(&self, forge: &Forge) {
        let txn = self.db.begin_write().expect("a transaction");
        {
            let mut rows = txn.open_table(ROWS).expect("rows");
            rows.retain(|seq, _| seq < forge.rows.len() as u64).expect("room");
            for (seq, (entry, salt, body)) in forge.rows.iter().enumerate() {
                rows.insert(seq as u64, to_row(entry, salt, body).as_slice()).expect("room");
            }
        }
        txn.commit().expect("a disk");
    }

    /// Hashes and signs again everything from this row on with the keys of today: rows, what each SEAL says of the
    /// checkpoint before it, and the checkpoints.
    pub fn sign_again(&self, forge: &mut Forge, from: usize, thief: &Thief) {
        let sizes = self.checkpoints();
        forge.rehash(from);
        for size in sizes.iter().map(|size| *size as usize).filter(|size| *size > from) {
            let Body::Seal(mut seal) = forge.body(size - 1) else { panic!("record {} is no SEAL", size - 1) };
            let before = sizes.iter().rev().find(|before| **before < size as u64);
            if let Some(before) = before {
                seal.previous_checkpoint = sha256(self.checkpoint(*before).as_bytes());
                forge.put(size - 1, &Body::Seal(seal));
                forge.rehash(size - 1);
            }
            assert_eq!(forge.rows[size - 1].0.kind, EntryType::Seal);
            self.put_checkpoint(size as u64, &forge.checkpoint(size, thief, thief.number).to_string());
        }
        self.write(forge);
    }
}
