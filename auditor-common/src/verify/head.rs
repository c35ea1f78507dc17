//! Where the rows begin, and what removed those before.

use super::{Answer, Evidence, Finding, Question, Scope, Standing, Start};
use crate::body::{Policy, Prune};
use crate::record::Entry;
use crate::stream::StreamTable;

/// The beginning of the rows, and what was read that explains it.
#[derive(Clone, Debug)]
pub(super) struct Head {
    begun_with: Start,
    /// The newest POLICY, and its number.
    policy: Option<(u64, Policy)>,
    /// The PRUNE that explains where the rows begin, and what they begin with.
    prune: Option<Prune>,
}

impl Head {
    pub(super) fn new(begun_with: Start) -> Self {
        Self { begun_with, policy: None, prune: None }
    }

    /// Number of the first row.
    fn start(&self) -> u64 {
        self.begun_with.range.size()
    }

    pub(super) fn policy(&mut self, seq: u64, policy: &Policy) {
        self.policy = Some((seq, policy.clone()));
    }

    /// What is removed was old enough, by the policy that was recorded before.
    pub(super) fn removal(&mut self, entry: &Entry, prune: &Prune) -> Result<(), Finding> {
        let seq = entry.seq;
        let violated = |what: &str| {
            Err(Finding::violated(Question::Head, Some(seq), format!("record {seq} removes records {what}")))
        };
        if prune.policy < self.start() && self.policy.is_none() {
            // Its policy was removed after it: an older removal, which explains nothing here.
            return Ok(());
        }
        let Some((_, policy)) = self.policy.as_ref().filter(|(number, _)| *number == prune.policy) else {
            return violated("by a policy that was not recorded before");
        };
        if prune.newest_wall_ns.saturating_add(policy.min_ns) > entry.wall_ns {
            return violated("that the policy keeps");
        }
        let explains = prune.min_index >= self.start() && prune.min_index <= seq;
        if explains && self.prune.as_ref().is_none_or(|known| known.min_index > prune.min_index) {
            self.prune = Some(prune.clone());
        }
        Ok(())
    }

    /// Is the beginning there? `to_the_end`: the verification was not ended before its time.
    pub(super) fn answer(&self, evidence: &Evidence, to_the_end: bool) -> Answer {
        let start = self.start();
        if start == 0 {
            return Answer::new(Standing::Proven, "it begins with its first record");
        }
        if !to_the_end {
            // The record that explains it may be one that was not come to.
            return Answer::new(Standing::NotProven, "the verification ended before its time");
        }
        if evidence.slice {
            let sentence = format!("a slice from record {start} on: what comes before was not asked for");
            return Answer::new(Standing::NotProven, sentence);
        }
        let Some(prune) = &self.prune else {
            let sentence = format!("the records before {start} are missing, and no record says that they were removed");
            return Answer::new(Standing::Violated, sentence);
        };
        // Removing takes a moment for each file: what lies before the place that was announced may still be there. Where
        // it is gone, what begins there is what was announced.
        if prune.min_index == start && !self.is_as_announced(prune, &evidence.scope) {
            return Answer::new(Standing::Violated, format!("it begins with record {start}, and not as PRUNE says"));
        }
        let sentence = format!("it begins with record {start}: what was before was removed by policy");
        Answer::new(Standing::Proven, sentence)
    }

    fn is_as_announced(&self, prune: &Prune, scope: &Scope) -> bool {
        let Start { range, streams } = &self.begun_with;
        // Of an excerpt only the streams that it is about are known.
        let excerpt = matches!(scope, Scope::Excerpt { .. });
        prune.root == range.root()
            && prune.range == range.hashes()
            && (excerpt || StreamTable::from_ends(&prune.streams).as_ref() == Some(streams))
    }
}
