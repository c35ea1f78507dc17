//! The arithmetic of completeness: what the kernel numbered, what arrived, what is missing.
//!
//! The kernel numbers its samples for each processor, without holes except where a sample could not be sent. At a seal
//! the daemon reads those counters, drains the ring, and only then counts: every number up to the mark has either
//! arrived or is lost. Samples beyond the mark belong to the next seal.

use std::collections::BTreeMap;

use auditor_common::body::CpuMark;
use auditor_common::gap::Gap;

/// What the kernel says about one processor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Number of the newest sample.
    pub kseq: u64,
    /// Samples that could not be sent since the programs were loaded.
    pub dropped: u64,
}

#[derive(Clone, Debug, Default)]
struct Account {
    sealed_kseq: u64,
    sealed_dropped: u64,
    received: u64,
}

/// The accounts of all processors, for one run.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    cpus: BTreeMap<u32, Account>,
    captured: u64,
    lost: BTreeMap<Gap, u64>,
}

/// What a seal says about completeness.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// For each processor.
    pub cpus: Vec<CpuMark>,
    /// Lost since the previous seal, by reason.
    pub lost: Vec<(Gap, u64)>,
}

impl Accounts {
    /// A sample arrived; whether it counts. One that was held up for longer than a seal waits was sealed as lost, and is
    /// not counted a second time.
    pub fn received(&mut self, cpu: u32, kseq: u64) -> bool {
        let account = self.cpus.entry(cpu).or_default();
        let counts = kseq > account.sealed_kseq;
        account.received += u64::from(counts);
        self.captured += u64::from(counts);
        counts
    }

    /// Something was lost that no number of a processor counts.
    pub fn lost(&mut self, gap: Gap, count: u64) {
        let lost = self.lost.entry(gap).or_default();
        // Some counts are the word of an audited process, and may be anything.
        *lost = lost.saturating_add(count);
    }

    /// Whether nothing is missing of what the kernel had to tell in this run.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let is_of_claims = |gap: Gap| matches!(gap, Gap::HintOverrun | Gap::HintFailure | Gap::ClaimsSilenced);
        self.lost.iter().all(|(&gap, &count)| count == 0 || is_of_claims(gap))
    }

    /// Samples received since the run began.
    #[must_use]
    pub fn captured(&self) -> u64 {
        self.captured
    }

    /// Lost since the run began, by the number of the reason.
    #[must_use]
    pub fn lost_so_far(&self) -> Vec<(u64, u64)> {
        self.lost.iter().filter(|&(_, &count)| count > 0).map(|(&gap, &count)| (gap as u64, count)).collect()
    }

    /// Whether samples up to the marks may still be on their way: fewer arrived than were numbered and not dropped.
    #[must_use]
    pub fn is_waiting(&self, marks: &BTreeMap<u32, Mark>) -> bool {
        marks.iter().any(|(cpu, mark)| {
            let account = self.cpus.get(cpu).cloned().unwrap_or_default();
            let missing = missing(&account, mark);
            missing > mark.dropped.saturating_sub(account.sealed_dropped)
        })
    }

    /// Closes the accounts at these marks. To be called when everything up to them was drained.
    pub fn close(&mut self, marks: &BTreeMap<u32, Mark>) -> Balance {
        let mut balance = Balance::default();
        let mut total: BTreeMap<Gap, u64> = BTreeMap::new();
        for (&cpu, mark) in marks {
            let account = self.cpus.entry(cpu).or_default();
            let missing = missing(account, mark);
            let dropped = missing.min(mark.dropped.saturating_sub(account.sealed_dropped));
            let lost: Vec<(Gap, u64)> = [(Gap::RingFull, dropped), (Gap::Unexplained, missing - dropped)]
                .into_iter()
                .filter(|&(_, count)| count > 0)
                .collect();
            for &(gap, count) in &lost {
                *total.entry(gap).or_default() += count;
            }
            balance.cpus.push(CpuMark {
                cpu,
                last_kseq: mark.kseq,
                received: account.received,
                lost: lost.iter().map(|&(gap, count)| (gap as u64, count)).collect(),
            });
            account.sealed_kseq = mark.kseq;
            account.sealed_dropped += dropped;
            account.received = 0;
        }
        for (&gap, &count) in &total {
            self.lost(gap, count);
        }
        balance.lost = total.into_iter().collect();
        balance
    }
}

fn missing(account: &Account, mark: &Mark) -> u64 {
    mark.kseq.saturating_sub(account.sealed_kseq).saturating_sub(account.received)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use auditor_common::gap::Gap;

    use super::{Accounts, Mark};

    fn marks(kseq: u64, dropped: u64) -> BTreeMap<u32, Mark> {
        BTreeMap::from([(0, Mark { kseq, dropped })])
    }

    fn with(received: u64) -> Accounts {
        let mut accounts = Accounts::default();
        (1..=received).for_each(|kseq| assert!(accounts.received(0, kseq)));
        accounts
    }

    #[test]
    fn what_arrived_and_what_was_dropped_make_what_was_numbered() {
        let mut accounts = with(7);
        let balance = accounts.close(&marks(10, 3));
        assert_eq!(balance.lost, [(Gap::RingFull, 3)]);
        let cpu = &balance.cpus[0];
        assert_eq!((cpu.last_kseq, cpu.received, cpu.lost.as_slice()), (10, 7, &[(1, 3)][..]));
        assert_eq!((accounts.captured(), accounts.lost_so_far()), (7, vec![(1, 3)]));
    }

    #[test]
    fn a_hole_that_the_kernel_does_not_admit_is_unexplained() {
        assert_eq!(with(7).close(&marks(10, 1)).lost, [(Gap::RingFull, 1), (Gap::Unexplained, 2)]);
    }

    #[test]
    fn drops_after_the_mark_belong_to_the_next_seal() {
        let mut accounts = with(10);
        assert!(accounts.close(&marks(10, 2)).lost.is_empty());
        assert_eq!(accounts.close(&marks(12, 2)).lost, [(Gap::RingFull, 2)]);
    }

    #[test]
    fn a_sample_that_comes_after_its_seal_is_not_counted_again() {
        let mut accounts = with(9);
        assert_eq!(accounts.close(&marks(10, 0)).lost, [(Gap::Unexplained, 1)]);
        assert!(!accounts.received(0, 10), "it was sealed as lost");
        assert!(accounts.received(0, 11));
        let balance = accounts.close(&marks(11, 0));
        assert_eq!((balance.cpus[0].received, balance.lost.len(), accounts.captured()), (1, 0, 10));
    }

    #[test]
    fn samples_on_their_way_are_waited_for() {
        assert!(with(9).is_waiting(&marks(10, 0)));
        assert!(!with(9).is_waiting(&marks(10, 1)));
        assert!(!with(0).is_waiting(&marks(0, 0)));
    }
}
