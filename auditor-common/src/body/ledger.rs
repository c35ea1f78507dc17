//! What the ledger says about itself: its keys, what it keeps, who was handed a part, what came before it.

/// The next epoch's key (ROTATE): the last record but one of its epoch, before the last seal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotate {
    /// Key 1. Number of the epoch that begins after the seal.
    pub epoch: u32,
    /// Key 2. Its Ed25519 public key.
    pub key: [u8; 32],
    /// Key 3. `hour`, `start`, `demand`.
    pub reason: String,
}

/// What may be removed, from now on (POLICY).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Key 1. Records older than this may be removed, nanoseconds.
    pub keep_ns: u64,
    /// Key 2. Old records may be removed when the store is larger, bytes.
    pub max_bytes: u64,
    /// Key 3. But never younger ones than this, nanoseconds.
    pub min_ns: u64,
    /// Key 4. Who decided: user name and number, or `default`.
    pub actor: String,
}

/// One line of the stream table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamEnd {
    /// First element of the array.
    pub tag: [u8; 16],
    /// Second: number of its last record within the stream.
    pub last_n: u64,
    /// Third: `seq` of that record.
    pub last_seq: u64,
}

/// The head of the ledger is removed by policy (PRUNE). Sealed before anything is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prune {
    /// Key 1. First record that is kept.
    pub min_index: u64,
    /// Key 2. Root of the tree of that size.
    pub root: [u8; 32],
    /// Key 3. Its compact range, largest subtree first.
    pub range: Vec<[u8; 32]>,
    /// Key 4. How many records this removes.
    pub removed: u64,
    /// Key 5. When the oldest of them was appended, CLOCK_REALTIME nanoseconds.
    pub oldest_wall_ns: u64,
    /// Key 6. When the newest of them was appended.
    pub newest_wall_ns: u64,
    /// Key 7. `seq` of the POLICY that allows it.
    pub policy: u64,
    /// Key 8. SHA-256 of an archive of what is removed; `None` if there is none.
    pub archive: Option<[u8; 32]>,
    /// Key 9. Who asked: user name and number, or `schedule`.
    pub actor: String,
    /// Key 10. The stream table at that size, in the order of the tags.
    pub streams: Vec<StreamEnd>,
}

/// The wall clock was set (CLOCK): the only record whose `wall_ns` may be smaller than the one before in its run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockStep {
    /// Key 1. What the wall clock would have said without the step, CLOCK_REALTIME nanoseconds.
    pub before_wall_ns: u64,
    /// Key 2. What it said.
    pub after_wall_ns: u64,
}

/// A part of the ledger is handed to somebody (EXPORT). Sealed before it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Export {
    /// Key 1. Random.
    pub id: [u8; 16],
    /// Key 2. What the one who asked wants to find again.
    pub nonce: Option<Vec<u8>>,
    /// Key 3. First record.
    pub first: u64,
    /// Key 4. Last record.
    pub last: u64,
    /// Key 5. SHA-256 of the filter; `None` if there is none.
    pub filter: Option<[u8; 32]>,
    /// Key 6. Who asked: user name and number.
    pub actor: String,
}

/// This ledger goes on where another was cut (RECOVER): the second record of every later incarnation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recover {
    /// Key 1. Origin of the ledger before.
    pub origin: String,
    /// Key 2. How many of its records are there, as far as the daemon could read; `None` if it could not.
    pub found_size: Option<u64>,
    /// Key 3. The root of the tree of that size.
    pub found_root: Option<[u8; 32]>,
    /// Key 4. The newest checkpoint of it that is known, as a signed note; `None` if none is known.
    pub known: Option<String>,
    /// Key 5. How many signed records are missing; `None` if that cannot be known.
    pub missing: Option<u64>,
    /// Key 6. What was found, in a sentence. It cannot say whether somebody cut, or a disk lost.
    pub cause: String,
}
