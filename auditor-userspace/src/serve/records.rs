//! The store, as the window sees it.

use std::collections::{HashMap, VecDeque};

use auditor_common::body::{Body, FlowOpened};

use super::Records;
use super::wire::Head;
use crate::store::{Reader, Record, StoreError};

/// Openings that are remembered: most flows end soon after they began, so their ends need no second look at the disk.
const OPENINGS: usize = 4096;

/// The window's view of the store: committed records, newest state.
#[derive(Clone, Debug)]
pub struct Ledger {
    reader: Reader,
    openings: HashMap<u64, FlowOpened>,
    /// Their numbers, oldest first.
    order: VecDeque<u64>,
}

impl From<Reader> for Ledger {
    fn from(reader: Reader) -> Self {
        Self { reader, openings: HashMap::new(), order: VecDeque::new() }
    }
}

impl Ledger {
    fn head(record: &Record, sealed: u64) -> Head {
        let entry = &record.entry;
        Head {
            seq: entry.seq,
            wall_ns: entry.wall_ns,
            boot_ns: entry.boot_ns,
            run: entry.run,
            epoch: entry.epoch,
            sealed: entry.seq < sealed,
            leaf: record.leaf,
        }
    }

    fn remember(&mut self, seq: u64, flow: &FlowOpened) {
        if self.order.len() == OPENINGS
            && let Some(oldest) = self.order.pop_front()
        {
            self.openings.remove(&oldest);
        }
        if self.openings.insert(seq, flow.clone()).is_none() {
            self.order.push_back(seq);
        }
    }

    fn taken(&mut self, found: Vec<Record>, sealed: u64) -> anyhow::Result<Vec<(Head, Body)>> {
        let mut records = Vec::with_capacity(found.len());
        for record in found {
            let head = Self::head(&record, sealed);
            let body = record.body?;
            if let Body::FlowOpened(flow) = &body {
                self.remember(head.seq, flow);
            }
            records.push((head, body));
        }
        Ok(records)
    }

    fn sealed_size(&mut self) -> Result<u64, StoreError> {
        Ok(self.reader.checkpoint()?.map_or(0, |signed| signed.checkpoint.size))
    }
}

impl Records for Ledger {
    fn size(&mut self) -> anyhow::Result<u64> {
        Ok(self.reader.size()?)
    }

    fn sealed(&mut self) -> anyhow::Result<u64> {
        Ok(self.sealed_size()?)
    }

    fn range(&mut self, from: u64, limit: usize) -> anyhow::Result<Vec<(Head, Body)>> {
        let sealed = self.sealed_size()?;
        let found = self.reader.range(from, limit)?;
        self.taken(found, sealed)
    }

    fn newest(&mut self, before: u64, limit: usize) -> anyhow::Result<Vec<(Head, Body)>> {
        let sealed = self.sealed_size()?;
        let found = self.reader.newest(before, limit)?;
        self.taken(found, sealed)
    }

    fn opened(&mut self, seq: u64) -> Option<FlowOpened> {
        if let Some(flow) = self.openings.get(&seq) {
            return Some(flow.clone());
        }
        match self.reader.get(seq).ok()??.body {
            Ok(Body::FlowOpened(flow)) => Some(flow),
            _ => None,
        }
    }

    fn first_since(&mut self, wall_ns: u64) -> anyhow::Result<u64> {
        Ok(self.reader.first_since(wall_ns)?)
    }

    fn end_before(&mut self, wall_ns: u64) -> anyhow::Result<u64> {
        Ok(self.reader.end_before(wall_ns)?)
    }

    fn checkpoint(&mut self) -> anyhow::Result<Option<String>> {
        Ok(self.reader.checkpoint()?.map(|signed| signed.to_string()))
    }
}
