//! The entry: 160 bytes that are a link of the chain and the leaf of the tree at once, and the row that holds it.
//!
//! Big-endian, fixed offsets: `FORMAT.md`, "Entry". An entry holds the leaf hash of the entry before it, so chain and
//! tree cannot disagree. The body is opaque here; the entry holds a salted commitment to it.

use crate::lanes;
use crate::merkle::{Hash, LEAF, leaf, sha256};

/// First bytes of every entry.
pub const MAGIC: [u8; 4] = *b"NAL1";
/// Length of an entry.
pub const ENTRY_LEN: usize = 160;
/// Length of a row's salt.
pub const SALT_LEN: usize = 16;
/// No body is longer, in bytes.
pub const MAX_BODY: usize = 1 << 20;
/// `stream_prev` of the first record of a stream, and of a record that is in none.
pub const NO_RECORD: u64 = u64::MAX;

/// Where the fields are.
pub mod at {
    #![allow(missing_docs, reason = "each is the offset of the field of that name in `Entry`")]
    pub const MAGIC: usize = 0;
    pub const TYPE: usize = 4;
    pub const FLAGS: usize = 5;
    pub const SCHEMA: usize = 6;
    pub const SEQ: usize = 8;
    pub const WALL_NS: usize = 16;
    pub const BOOT_NS: usize = 24;
    pub const RUN: usize = 32;
    pub const EPOCH: usize = 36;
    pub const CLASS: usize = 40;
    pub const BODY_LEN: usize = 44;
    pub const STREAM_PREV: usize = 48;
    pub const STREAM_N: usize = 56;
    pub const STREAM_TAG: usize = 64;
    pub const LOG_TAG: usize = 80;
    pub const PREV: usize = 96;
    pub const BODY_COMMIT: usize = 128;
}

/// What an entry is about.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EntryType {
    /// The first entry of a ledger.
    Genesis = 1,
    /// Something that the kernel saw, or that a process claims.
    Event = 2,
    /// The last entry under every checkpoint.
    Seal = 3,
    /// Evidence is missing.
    Loss = 4,
    /// The next epoch's key.
    Rotate = 5,
    /// The head of the ledger is removed by policy.
    Prune = 6,
    /// What may be removed, from now on.
    Policy = 7,
    /// The clock was set.
    Clock = 8,
    /// The daemon began or stopped.
    Run = 9,
    /// A part of the ledger is handed to somebody.
    Export = 11,
    /// This ledger goes on where another was cut.
    Recover = 13,
}

impl EntryType {
    /// All that exist. 10 (ERASE), 12 (ANCHOR) and 14 (HANDOVER) are reserved, and refused.
    pub const ALL: [Self; 11] = [
        Self::Genesis,
        Self::Event,
        Self::Seal,
        Self::Loss,
        Self::Rotate,
        Self::Prune,
        Self::Policy,
        Self::Clock,
        Self::Run,
        Self::Export,
        Self::Recover,
    ];

    /// The type with this number, if it exists.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Genesis,
            2 => Self::Event,
            3 => Self::Seal,
            4 => Self::Loss,
            5 => Self::Rotate,
            6 => Self::Prune,
            7 => Self::Policy,
            8 => Self::Clock,
            9 => Self::Run,
            11 => Self::Export,
            13 => Self::Recover,
            _ => return None,
        })
    }

    /// Its name in the specification.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Genesis => "GENESIS",
            Self::Event => "EVENT",
            Self::Seal => "SEAL",
            Self::Loss => "LOSS",
            Self::Rotate => "ROTATE",
            Self::Prune => "PRUNE",
            Self::Policy => "POLICY",
            Self::Clock => "CLOCK",
            Self::Run => "RUN",
            Self::Export => "EXPORT",
            Self::Recover => "RECOVER",
        }
    }
}

/// Bits of [`Entry::flags`].
pub mod flag {
    /// The clock was not synchronised.
    pub const CLOCK_UNSYNCHRONISED: u8 = 1;
    /// Something that would explain the record was not there in time.
    pub const INCOMPLETE: u8 = 2;
    /// Every bit that means something.
    pub const ALL: u8 = CLOCK_UNSYNCHRONISED | INCOMPLETE;
}

/// One entry of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is about.
    pub kind: EntryType,
    /// Bits of [`flag`].
    pub flags: u8,
    /// Which schema the body has.
    pub schema: u16,
    /// Its number, and its place in the tree.
    pub seq: u64,
    /// When it was appended: CLOCK_REALTIME nanoseconds.
    pub wall_ns: u64,
    /// The same on CLOCK_BOOTTIME.
    pub boot_ns: u64,
    /// Which start of the daemon, from 1.
    pub run: u32,
    /// Which key signs it.
    pub epoch: u32,
    /// Class of the body within its type.
    pub class: u32,
    /// Length of the body.
    pub body_len: u32,
    /// `seq` of the record before it in its stream, or [`NO_RECORD`].
    pub stream_prev: u64,
    /// Its number within its stream, from 0.
    pub stream_n: u64,
    /// Its stream; zero is none.
    pub stream_tag: [u8; 16],
    /// Its ledger: see [`crate::origin::Origin::tag`].
    pub log_tag: [u8; 16],
    /// Leaf hash of the entry before it; for the first see [`genesis_prev`].
    pub prev: Hash,
    /// See [`commit`].
    pub body_commit: Hash,
}

/// Why bytes are not an entry or a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowError {
    /// Shorter than entry and salt.
    Short {
        /// How long it is.
        len: usize,
    },
    /// Does not begin with [`MAGIC`].
    Magic,
    /// No such type in this version.
    Type(u8),
    /// A flag that has no meaning.
    Flags(u8),
    /// The row is longer or shorter than its entry says.
    Length {
        /// What the entry says.
        body_len: u32,
        /// What there is.
        found: usize,
    },
}

impl std::fmt::Display for RowError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Short { len } => write!(f, "the row has only {len} bytes"),
            Self::Magic => write!(f, "the row does not begin with NAL1"),
            Self::Type(number) => write!(f, "the entry has the unknown type {number}"),
            Self::Flags(flags) => write!(f, "the entry has unknown flags {flags:#04x}"),
            Self::Length { body_len, found } => write!(f, "the body has {found} bytes where the entry says {body_len}"),
        }
    }
}

impl std::error::Error for RowError {}

/// Copies `N` bytes out of an entry; the offsets are constants that fit.
const fn field<const N: usize>(bytes: &[u8; ENTRY_LEN], at: usize) -> [u8; N] {
    let mut out = [0; N];
    let mut i = 0;
    while i < N {
        out[i] = bytes[at + i];
        i += 1;
    }
    out
}

impl Entry {
    /// Its 160 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; ENTRY_LEN] {
        let mut out = [0; ENTRY_LEN];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(at::MAGIC, &MAGIC);
        put(at::TYPE, &[self.kind as u8]);
        put(at::FLAGS, &[self.flags]);
        put(at::SCHEMA, &self.schema.to_be_bytes());
        put(at::SEQ, &self.seq.to_be_bytes());
        put(at::WALL_NS, &self.wall_ns.to_be_bytes());
        put(at::BOOT_NS, &self.boot_ns.to_be_bytes());
        put(at::RUN, &self.run.to_be_bytes());
        put(at::EPOCH, &self.epoch.to_be_bytes());
        put(at::CLASS, &self.class.to_be_bytes());
        put(at::BODY_LEN, &self.body_len.to_be_bytes());
        put(at::STREAM_PREV, &self.stream_prev.to_be_bytes());
        put(at::STREAM_N, &self.stream_n.to_be_bytes());
        put(at::STREAM_TAG, &self.stream_tag);
        put(at::LOG_TAG, &self.log_tag);
        put(at::PREV, &self.prev);
        put(at::BODY_COMMIT, &self.body_commit);
        out
    }

    /// Reads an entry. Whatever it accepts, [`Entry::to_bytes`] writes again to the same bytes.
    #[inline]
    pub fn parse(bytes: &[u8; ENTRY_LEN]) -> Result<Self, RowError> {
        if field(bytes, at::MAGIC) != MAGIC {
            return Err(RowError::Magic);
        }
        let kind = EntryType::from_number(bytes[at::TYPE]).ok_or(RowError::Type(bytes[at::TYPE]))?;
        let flags = bytes[at::FLAGS];
        if flags & !flag::ALL != 0 {
            return Err(RowError::Flags(flags));
        }
        Ok(Self {
            kind,
            flags,
            schema: u16::from_be_bytes(field(bytes, at::SCHEMA)),
            seq: u64::from_be_bytes(field(bytes, at::SEQ)),
            wall_ns: u64::from_be_bytes(field(bytes, at::WALL_NS)),
            boot_ns: u64::from_be_bytes(field(bytes, at::BOOT_NS)),
            run: u32::from_be_bytes(field(bytes, at::RUN)),
            epoch: u32::from_be_bytes(field(bytes, at::EPOCH)),
            class: u32::from_be_bytes(field(bytes, at::CLASS)),
            body_len: u32::from_be_bytes(field(bytes, at::BODY_LEN)),
            stream_prev: u64::from_be_bytes(field(bytes, at::STREAM_PREV)),
            stream_n: u64::from_be_bytes(field(bytes, at::STREAM_N)),
            stream_tag: field(bytes, at::STREAM_TAG),
            log_tag: field(bytes, at::LOG_TAG),
            prev: field(bytes, at::PREV),
            body_commit: field(bytes, at::BODY_COMMIT),
        })
    }

    /// Its leaf hash.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        leaf(&self.to_bytes())
    }
}

/// What comes before salt and body where they are committed to.
const BODY_PREFIX: &[u8; 12] = b"nal/v1/body\0";

/// The commitment to a body: `SHA-256("nal/v1/body\0" ‖ salt ‖ body)`.
///
/// The salt stops anybody who knows the hash from guessing what few values a body can have.
#[must_use]
pub fn commit(salt: &[u8; SALT_LEN], body: &[u8]) -> Hash {
    let mut prefix = [0; BODY_PREFIX.len() + SALT_LEN];
    prefix[..BODY_PREFIX.len()].copy_from_slice(BODY_PREFIX);
    prefix[BODY_PREFIX.len()..].copy_from_slice(salt);
    lanes::hash(&prefix, body)
}

/// `prev` of the first entry: `SHA-256("nal/v1/genesis\0" ‖ log_tag)`.
#[must_use]
pub fn genesis_prev(log_tag: &[u8; 16]) -> Hash {
    let mut input = b"nal/v1/genesis\0".to_vec();
    input.extend_from_slice(log_tag);
    sha256(&input)
}

/// A row as it is stored: entry, salt, body. The entry is read; nothing is hashed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// The entry.
    pub entry: Entry,
    /// The entry's bytes as they are stored: what is hashed.
    pub entry_bytes: &'a [u8; ENTRY_LEN],
    /// The salt.
    pub salt: &'a [u8; SALT_LEN],
    /// The body.
    pub body: &'a [u8],
}

impl<'a> Row<'a> {
    /// Takes a row apart.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RowError> {
        let short = RowError::Short { len: bytes.len() };
        let (entry_bytes, rest) = bytes.split_first_chunk::<ENTRY_LEN>().ok_or(short)?;
        let (salt, body) = rest.split_first_chunk::<SALT_LEN>().ok_or(short)?;
        let entry = Entry::parse(entry_bytes)?;
        if entry.body_len as usize != body.len() || body.len() > MAX_BODY {
            return Err(RowError::Length { body_len: entry.body_len, found: body.len() });
        }
        Ok(Self { entry, entry_bytes, salt, body })
    }

    /// The leaf hash, over the bytes as they are stored.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        leaf(self.entry_bytes)
    }

    /// Does the entry commit to this salt and this body?
    #[must_use]
    pub fn fits(&self) -> bool {
        commit(self.salt, self.body) == self.entry.body_commit
    }
}

/// Body commitments of many rows at a time: see [`commit`]. Of a row only salt and body are looked at.
///
/// Invariant: each has its entry, or room for it.
#[must_use]
pub fn commit_rows<'a>(rows: impl Iterator<Item = &'a [u8]>) -> Vec<Hash> {
    let rows: Vec<&[u8]> = rows.map(|row| &row[ENTRY_LEN..]).collect();
    lanes::hashes(rows.iter().map(|row| (&BODY_PREFIX[..], *row)))
}

/// Two hashes of each row, of many at a time: its leaf hash, and what its entry must say as `body_commit`. Of what is no
/// row they are of no use, and of no harm.
#[must_use]
pub fn hash_rows(rows: &[&[u8]]) -> Vec<[Hash; 2]> {
    let mut hashes = vec![[[0; 32]; 2]; rows.len()];
    let messages = rows.iter().flat_map(|row| {
        let (entry, salt_and_body) = row.split_at(ENTRY_LEN.min(row.len()));
        [(&[LEAF][..], entry), (&BODY_PREFIX[..], salt_and_body)]
    });
    lanes::hash_each(messages, |place, hash| hashes.as_flattened_mut()[place] = hash);
    hashes
}

/// Writes a row: entry, salt, body.
#[must_use]
pub fn to_row(entry: &Entry, salt: &[u8; SALT_LEN], body: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(ENTRY_LEN + SALT_LEN + body.len());
    row.extend_from_slice(&entry.to_bytes());
    row.extend_from_slice(salt);
    row.extend_from_slice(body);
    row
}
