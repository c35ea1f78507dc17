//! The last seal on a full disk.

use std::sync::PoisonError;

use auditor_common::body::{Body, Loss, RunStop};
use auditor_common::gap::Gap;
use auditor_common::record::{EntryType, Row};

use super::{SealInput, Store, StoreError, open, reserve, seal};
use crate::chain::Now;
use crate::key::{KeyPaths, Signer};

impl Store {
    /// Gives the reserve back to the disk, and uses the room to say that it was full.
    pub(super) fn seal_on_a_full_disk(&mut self, now: Now) -> Result<u64, StoreError> {
        if !reserve::release(&self.state.join("reserve")) {
            return Err(StoreError::Stopped);
        }
        // What is pending is held against the chain that is found on the disk: it needs its links for that.
        self.settle();
        self.take_up_again()?;
        let detail = "the disk is full; the daemon stops here".to_owned();
        let loss = Loss {
            gap: Gap::DiskFull as u64,
            count: None,
            from_wall_ns: Some(now.wall_ns),
            until_wall_ns: None,
            detail,
        };
        let stop = RunStop { reason: "disk full".to_owned() };
        let input = SealInput { clock: (self.synchronised, 0), ..SealInput::default() };
        self.stopped = false;
        let sealed = self
            .append(&Body::Loss(loss), now)
            .and_then(|_| self.append(&Body::RunStop(stop), now))
            .and_then(|_| {
                let body = seal::body(&input, &self.chain, self.checkpoint.as_ref(), self.min_index(), false);
                self.append(&body, now)
            })
            .and_then(|_| {
                self.settle();
                let signed = seal::sign(&self.keys, &self.chain);
                self.write(Some(&signed), None)?;
                self.head.write(&*self.disk, &signed)?;
                *self.shared.checkpoint.lock().unwrap_or_else(PoisonError::into_inner) = Some(signed.clone());
                self.checkpoint = Some(signed);
                Ok(self.durable)
            });
        self.stopped = true;
        sealed
    }

    /// redb refuses to go on after an error of the disk: opens the segment again, and follows it to its end. That end is
    /// before or after the commit that failed; rows that are not there are pending as they were.
    fn take_up_again(&mut self) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        let mut active = shared.active.write().unwrap_or_else(PoisonError::into_inner);
        self.pins.clear();
        active.db = None;
        let log_tag = self.keys.origin.tag(&self.keys.root);
        let end = open::load_end(&*self.disk, &shared.folder, active.first, &self.keys.origin, log_tag)?;
        let notes = open::all_epochs(&self.state, self.keys.origin.incarnation(), &end.db)?;
        active.db = Some(end.db);
        drop(active);
        let (run, last) = (self.chain.run(), self.chain.last());
        self.chain = end.chain;
        self.chain.resume_run(run, last);
        // The commit that failed may have been the end of an epoch, and may be there all the same.
        let incarnation = self.keys.origin.incarnation();
        let number = open::current(&notes, self.chain.size()).map_or(self.keys.number, |note| note.epoch.epoch);
        if number != self.keys.number {
            self.keys.epoch = Signer::load(&KeyPaths::new(&self.state).epoch(incarnation, number))?;
            self.keys.number = number;
        }
        self.chain.begin_epoch(self.keys.number);
        self.checkpoint = end.checkpoint;
        self.durable = self.chain.size();
        self.take_pending_up();
        Ok(())
    }

    /// Takes up the pending rows that are not durable, as far as they still follow. A SEAL or a ROTATE among them is left
    /// out, with what comes after: nobody was told of the checkpoint that belongs to it.
    fn take_pending_up(&mut self) {
        let mut kept = Vec::new();
        for link in std::mem::take(&mut self.pending) {
            let Ok(row) = Row::parse(&link.row) else { break };
            if link.seq < self.chain.size() {
                continue;
            }
            let ends_here = matches!(row.entry.kind, EntryType::Seal | EntryType::Rotate);
            if ends_here || row.entry.prev != self.chain.end().prev || !self.chain.follow(&row.entry, row.leaf()) {
                break;
            }
            kept.push(link);
        }
        self.pending = kept;
    }
}
