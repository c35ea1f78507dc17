//! Records that hold until another takes their place: they must not vanish with the segment that they lie in.
//!
//! Before a segment is removed, those that lie in it and still hold are said again ([`Restated`]). So the records that are
//! kept give, in their order, the same state as all records that ever were.

use std::collections::BTreeMap;

use auditor_common::body::{AckRecord, Body, PolicyRecord, Restated, Step};

use super::change::Change;
use super::record::Sealed;

/// So many acknowledgements are kept, the newest: whoever is audited can make as many as it likes.
const ACKS_MAX: usize = 10_000;

/// What a record is about: a later one about the same thing takes its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    /// The decision with the largest number: numbers go on from there.
    Number,
    /// A setting that holds, of an instance.
    Setting(String, &'static str, String),
    /// A destination that is documented: of an instance, for a vendor, which.
    Documented(String, String, String),
    /// A request that waits, of an instance.
    Waiting(String, &'static str, String),
    /// An acknowledgement, of an instance: reason and subject.
    Ack(String, String, String),
    /// A declared loss.
    Loss(u64),
    /// The answer to it.
    Answer(u64),
}

/// A record that holds.
#[derive(Clone, Debug)]
struct Held {
    /// When it was said first.
    first: Sealed,
    /// Where it was said last.
    at: u64,
    body: Body,
}

/// The records that hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Lasting {
    held: BTreeMap<About, Held>,
    /// What the record is about that was first said there.
    places: BTreeMap<u64, Vec<About>>,
    newest: u64,
    /// How many of them are acknowledgements.
    acks: usize,
}

impl Lasting {
    /// Takes in a record that lies at `at`, and was said first at `first`. `false` if it says nothing new.
    pub(super) fn take(&mut self, at: u64, first: Sealed, body: &Body) -> bool {
        if at != first.seq
            && let Some(known) = self.places.get(&first.seq)
        {
            for about in known {
                if let Some(held) = self.held.get_mut(about) {
                    held.at = at;
                }
            }
            return false;
        }
        match body {
            Body::Decision(record) => self.decided(at, first, body, record),
            Body::Acknowledged(record) => self.acknowledged(at, first, body, record),
            Body::Recover(recover) if recover.missing != Some(0) => self.hold(About::Loss(first.seq), at, first, body),
            Body::Ack(ack) => self.hold(About::Answer(ack.record), at, first, body),
            _ => {}
        }
        true
    }

    /// What has to be said again before the records below this one are removed, in the order in which it was said.
    pub(super) fn below(&self, min_index: u64) -> Vec<Restated> {
        let mut due: Vec<&Held> = self.held.values().filter(|held| held.at < min_index).collect();
        due.sort_by_key(|held| held.first.seq);
        due.dedup_by_key(|held| held.first.seq);
        due.iter().map(|held| Restated::of(held.first.seq, held.first.wall_ns, &held.body)).collect()
    }

    fn hold(&mut self, about: About, at: u64, first: Sealed, body: &Body) {
        self.let_go(&about);
        self.acks += usize::from(matches!(about, About::Ack(..)));
        self.places.entry(first.seq).or_default().push(about.clone());
        self.held.insert(about, Held { first, at, body: body.clone() });
    }

    fn let_go(&mut self, about: &About) {
        let Some(held) = self.held.remove(about) else { return };
        self.acks -= usize::from(matches!(about, About::Ack(..)));
        if let Some(places) = self.places.get_mut(&held.first.seq) {
            places.retain(|other| other != about);
            if places.is_empty() {
                self.places.remove(&held.first.seq);
            }
        }
    }

    fn decided(&mut self, at: u64, first: Sealed, body: &Body, record: &PolicyRecord) {
        if record.number >= self.newest {
            self.newest = record.number;
            self.hold(About::Number, at, first, body);
        }
        let Some(change) = Change::of(record) else { return };
        let whose = || record.instance.clone();
        let (setting, subject) = change.slot();
        let waiting = About::Waiting(whose(), setting, subject.clone());
        let answers = |held: &Held| matches!(&held.body, Body::Decision(asked) if asked.number == record.number);
        if record.step == Step::Waiting {
            return self.hold(waiting, at, first, body);
        }
        if self.held.get(&waiting).is_some_and(answers) {
            self.let_go(&waiting);
        }
        if !record.step.takes_effect() {
            return;
        }
        match &change {
            Change::Undocument(vendor) => {
                let of_it = |about: &About| matches!(about, About::Documented(instance, of, _) if *instance == record.instance && of == vendor);
                let gone: Vec<About> = self.held.keys().filter(|about| of_it(about)).cloned().collect();
                for about in &gone {
                    self.let_go(about);
                }
            }
            Change::Document(entry) => {
                let about = About::Documented(whose(), entry.vendor.clone(), record.value.clone());
                self.hold(about, at, first, body);
            }
            // Whether a vendor is watched, and whether it is not, is one thing.
            Change::Watch(_) | Change::Unwatch(_) => {
                self.hold(About::Setting(whose(), "watch", subject), at, first, body);
            }
            _ => self.hold(About::Setting(whose(), setting, subject), at, first, body),
        }
    }

    fn acknowledged(&mut self, at: u64, first: Sealed, body: &Body, record: &AckRecord) {
        let about = About::Ack(record.instance.clone(), record.reason.clone(), record.subject.clone());
        self.hold(about, at, first, body);
        if self.acks > ACKS_MAX {
            let ack = |about: &&About| matches!(about, About::Ack(..));
            let oldest = self.places.values().find_map(|places| places.iter().find(ack)).cloned();
            if let Some(oldest) = oldest {
                self.let_go(&oldest);
            }
        }
    }
}
