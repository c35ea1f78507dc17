//! Rows, hashed on several threads while one of them puts the rows in order.
//!
//! The one that reads copies rows into batches. Each batch is hashed by whoever comes first: one of the helpers, or the
//! reader itself where it would otherwise wait. What is in flight is bounded, and so is the memory.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, Scope, Thread};

use auditor_common::verify::Digest;

use crate::store::Rows;

/// Bytes of rows in a batch, and a bit more.
const BATCH: usize = 256 << 10;
/// Batches in flight for each helper.
const AHEAD: usize = 4;

/// Some rows, one after the other.
#[derive(Debug, Default)]
struct Batch {
    rows: Rows,
    taken: AtomicBool,
    digests: OnceLock<Vec<Digest>>,
}

impl Batch {
    /// Hashes the rows, unless somebody else does.
    fn hash(&self) {
        if !self.taken.swap(true, Ordering::Relaxed) {
            let rows: Vec<&[u8]> = self.rows.iter().map(|(_, bytes)| bytes).collect();
            let _ = self.digests.set(Digest::of_each(&rows));
        }
    }
}

/// Gives rows on in the order in which they came, with their hashes.
pub(super) struct Hashing {
    helpers: usize,
    to_helpers: SyncSender<Arc<Batch>>,
    filling: Batch,
    in_flight: VecDeque<Arc<Batch>>,
}

impl Hashing {
    /// With so many helpers, which end when this value is gone.
    pub(super) fn start<'scope>(scope: &'scope Scope<'scope, '_>, helpers: usize) -> Self {
        // There is room for all that is in flight: sending never waits.
        let (to_helpers, batches) = sync_channel::<Arc<Batch>>(helpers * AHEAD + 1);
        let batches = Arc::new(Mutex::new(batches));
        for _ in 0..helpers {
            let (batches, reader) = (Arc::clone(&batches), thread::current());
            scope.spawn(move || help(&batches, &reader));
        }
        Self { helpers, to_helpers, filling: Batch::default(), in_flight: VecDeque::new() }
    }

    /// Takes a row; gives those on that are hashed, where there are enough.
    pub(super) fn row<E>(
        &mut self,
        key: u64,
        bytes: &[u8],
        give: &mut impl FnMut(u64, &[u8], Digest) -> Result<(), E>,
    ) -> Result<(), E> {
        self.filling.rows.push(key, bytes);
        if self.filling.rows.total() < BATCH {
            return Ok(());
        }
        self.send();
        if self.in_flight.len() > self.helpers * AHEAD { self.oldest(give) } else { Ok(()) }
    }

    /// Gives on what is left.
    pub(super) fn finish<E>(mut self, give: &mut impl FnMut(u64, &[u8], Digest) -> Result<(), E>) -> Result<(), E> {
        self.send();
        while !self.in_flight.is_empty() {
            self.oldest(give)?;
        }
        Ok(())
    }

    fn send(&mut self) {
        let batch = Arc::new(std::mem::take(&mut self.filling));
        self.in_flight.push_back(Arc::clone(&batch));
        // Without helpers there is still the reader.
        let _ = self.to_helpers.try_send(batch);
    }

    fn oldest<E>(&mut self, give: &mut impl FnMut(u64, &[u8], Digest) -> Result<(), E>) -> Result<(), E> {
        let Some(batch) = self.in_flight.pop_front() else { return Ok(()) };
        batch.hash();
        let digests = loop {
            match batch.digests.get() {
                Some(digests) => break digests,
                // Somebody else is at it, and wakes us.
                None => thread::park(),
            }
        };
        batch.rows.iter().zip(digests).try_for_each(|((key, bytes), digest)| give(key, bytes, *digest))
    }
}

fn help(batches: &Mutex<Receiver<Arc<Batch>>>, reader: &Thread) {
    loop {
        let batch = batches.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(batch) = batch else { return };
        batch.hash();
        reader.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_out_as_they_went_in() {
        let rows: Vec<Vec<u8>> = (0..20_000_u32).map(|number| vec![number as u8; number as usize % 700]).collect();
        let mut seen: Vec<(u64, Vec<u8>)> = Vec::new();
        thread::scope(|scope| {
            let mut give = |key: u64, bytes: &[u8], digest: Digest| {
                assert_eq!(digest, Digest::of_each(&[bytes])[0]);
                seen.push((key, bytes.to_vec()));
                Ok::<(), ()>(())
            };
            let mut hashing = Hashing::start(scope, 2);
            for (key, row) in (0..).zip(&rows) {
                hashing.row(key, row, &mut give).unwrap();
            }
            hashing.finish(&mut give).unwrap();
        });
        assert_eq!(seen, (0..).zip(rows).collect::<Vec<_>>());
    }

    #[test]
    fn an_error_ends_it() {
        let outcome = thread::scope(|scope| {
            let mut hashing = Hashing::start(scope, 1);
            let mut give = |key: u64, _: &[u8], _: Digest| if key == 7 { Err(key) } else { Ok(()) };
            (0..100_000).try_for_each(|key| hashing.row(key, &[0; 300], &mut give))
        });
        assert_eq!(outcome, Err(7));
    }
}
