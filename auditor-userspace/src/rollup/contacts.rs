//! Who talked to whom for the first time.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::row::Key;

/// A pair of module and destination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contact {
    /// Which Odoo.
    pub instance: Arc<str>,
    /// Whose call it was.
    pub module: Option<Arc<str>>,
    /// A name, or a network: an address alone changes too often to mean anything.
    pub site: Arc<str>,
}

/// When something was seen first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct First {
    /// CLOCK_REALTIME nanoseconds.
    pub wall_ns: u64,
    /// Leaf index.
    pub seq: u64,
}

/// First contacts, first calls, first records.
#[derive(Clone, Debug, Default)]
pub(super) struct Contacts {
    limit: usize,
    pairs: BTreeMap<Contact, First>,
    modules: BTreeMap<(Arc<str>, Arc<str>), First>,
    instances: BTreeMap<Arc<str>, First>,
    words: HashSet<Arc<str>>,
    forgotten: u64,
}

impl Contacts {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// One text for all lines that say the same.
    pub(super) fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(word) = self.words.get(text) {
            return Arc::clone(word);
        }
        // Claims can invent names without end; who has one keeps it.
        if self.words.len() >= self.limit {
            self.words.clear();
        }
        let word: Arc<str> = Arc::from(text);
        self.words.insert(Arc::clone(&word));
        word
    }

    /// An instance has a record.
    pub(super) fn seen(&mut self, instance: &Arc<str>, wall_ns: u64, seq: u64) {
        self.instances.entry(Arc::clone(instance)).or_insert(First { wall_ns, seq });
    }

    /// An operation went out.
    pub(super) fn operation(&mut self, key: &Key, wall_ns: u64, seq: u64) {
        if key.inbound {
            return;
        }
        let first = First { wall_ns, seq };
        let room = self.pairs.len() + self.modules.len() < self.limit;
        if let Some(module) = &key.module
            && room
        {
            self.modules.entry((Arc::clone(&key.instance), Arc::clone(module))).or_insert(first);
        }
        let Some(site) = key.site() else { return };
        let site = self.intern(&site);
        let contact = Contact { instance: Arc::clone(&key.instance), module: key.module.clone(), site };
        if room {
            self.pairs.entry(contact).or_insert(first);
        } else if !self.pairs.contains_key(&contact) {
            self.forgotten += 1;
        }
    }

    pub(super) fn contact(&self, contact: &Contact) -> Option<First> {
        self.pairs.get(contact).copied()
    }

    pub(super) fn module(&self, instance: &str, module: &str) -> Option<First> {
        self.modules.get(&(Arc::from(instance), Arc::from(module))).copied()
    }

    pub(super) fn instances(&self) -> impl Iterator<Item = (&str, First)> {
        self.instances.iter().map(|(name, &first)| (&**name, first))
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}
