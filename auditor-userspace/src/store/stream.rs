//! Which records belong together: one stream for each instance, with a random key of its own.

use std::collections::{BTreeMap, HashMap};

use auditor_common::body::{Body, FlowEnd, FlowTraffic};
use auditor_common::record::EntryType;
use auditor_common::stream::{CONTROL, tag};

use super::StoreError;
use crate::key::random;

/// The streams' keys, and which stream an open flow is in.
#[derive(Debug, Default)]
pub(super) struct Streams {
    keys: BTreeMap<String, [u8; 16]>,
    tags: BTreeMap<String, [u8; 16]>,
    /// Streams that are not durable yet.
    new: Vec<(String, [u8; 16])>,
    /// By the `seq` of the record that opened it. A flow that is still open when the daemon stops is in no stream of the
    /// next run: its end is a record of the next run's own flow.
    flows: HashMap<u64, [u8; 16]>,
}

impl Streams {
    pub(super) fn new(keys: impl IntoIterator<Item = (String, [u8; 16])>) -> Self {
        let keys: BTreeMap<String, [u8; 16]> = keys.into_iter().collect();
        let tags = keys.iter().map(|(instance, key)| (instance.clone(), tag(key, instance))).collect();
        Self { keys, tags, ..Self::default() }
    }

    /// The tag of the stream that a record belongs to.
    pub(super) fn of(&mut self, body: &Body) -> Result<Option<[u8; 16]>, StoreError> {
        if let Body::FlowTraffic(traffic) = body {
            return Ok(self.flows.get(&traffic.flow).copied());
        }
        let Some(instance) = body.instance() else {
            return Ok((body.entry_type() != EntryType::Event).then_some(CONTROL));
        };
        if let Some(tag) = self.tags.get(instance) {
            return Ok(Some(*tag));
        }
        let key = random()?;
        let new = tag(&key, instance);
        self.keys.insert(instance.to_owned(), key);
        self.tags.insert(instance.to_owned(), new);
        self.new.push((instance.to_owned(), key));
        Ok(Some(new))
    }

    /// Keeps in mind which stream a flow is in, until it ends.
    pub(super) fn remember(&mut self, body: &Body, seq: u64, tag: Option<[u8; 16]>) {
        match (body, tag) {
            (Body::FlowOpened(_), Some(tag)) => {
                self.flows.insert(seq, tag);
            }
            (Body::FlowTraffic(FlowTraffic { flow, end: Some(end), .. }), _) => {
                debug_assert!(FlowEnd::from_number(*end as u8).is_some());
                self.flows.remove(flow);
            }
            _ => {}
        }
    }

    /// Streams that have yet to be written down.
    pub(super) fn unwritten(&self) -> &[(String, [u8; 16])] {
        &self.new
    }

    /// They are durable.
    pub(super) fn written(&mut self) {
        self.new.clear();
    }

    /// All of them, for the next segment.
    pub(super) fn all(&self) -> Vec<(String, [u8; 16])> {
        self.keys.iter().map(|(instance, key)| (instance.clone(), *key)).collect()
    }
}
