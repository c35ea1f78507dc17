//! Rows out of a segment together with their hashes, several at a time: hashed in turns they take half the time.

use auditor_common::merkle::Hash;
use auditor_common::record::hash_rows;
use redb::{Range, StorageError};

/// Rows that are hashed together.
const TOGETHER: usize = 64;

/// Why it ended before the last row.
pub(crate) enum Ended<E> {
    /// A row could not be read.
    Unread(StorageError),
    /// Whoever was given a row said so.
    Stopped(E),
}

/// Gives on each row with its key and its hashes (see [`hash_rows`]), in their order. Rows before one that cannot be
/// read are given before that is said.
pub(crate) fn each<E>(
    mut rows: Range<'_, u64, &'static [u8]>,
    mut give: impl FnMut(u64, &[u8], [Hash; 2]) -> Result<(), E>,
) -> Result<(), Ended<E>> {
    let mut end = Ok(());
    while end.is_ok() {
        // They stay where they are while they are hashed: nothing is copied.
        let mut some = Vec::with_capacity(TOGETHER);
        while end.is_ok() && some.len() < TOGETHER {
            match rows.next() {
                Some(Ok(row)) => some.push(row),
                Some(Err(error)) => end = Err(Some(error)),
                None => end = Err(None),
            }
        }
        let bytes: Vec<&[u8]> = some.iter().map(|(_, bytes)| bytes.value()).collect();
        for ((key, _), (bytes, hashes)) in some.iter().zip(bytes.iter().zip(hash_rows(&bytes))) {
            give(key.value(), bytes, hashes).map_err(Ended::Stopped)?;
        }
    }
    match end {
        Err(Some(error)) => Err(Ended::Unread(error)),
        _ => Ok(()),
    }
}
