//! Commit, balance, seal.

use std::collections::BTreeMap;

use auditor_common::body::{Body, Loss};
use auditor_common::gap::Gap;

use super::Pipeline;
use super::withheld::DECLARE_NS;
use crate::account::Mark;
use crate::clock::{self, Now};
use crate::flow::Flush;
use crate::probe::{HookState, HookStatus, Overflows};
use crate::serve::wire;
use crate::store::{SealInput, Store, StoreError};

/// A record waits no longer than this to be durable.
pub(super) const COMMIT_NS: u64 = 200_000_000;
/// So many records are committed at once, however young they are.
const COMMIT_ROWS: usize = 4096;
/// A seal comes no sooner than this after the one before, if there is something to seal.
const SEAL_NS: u64 = 1_000_000_000;
/// And no later than this, even if there is nothing.
const SEAL_IDLE_NS: u64 = 5_000_000_000;
/// So many unsealed records are sealed at once.
const SEAL_ROWS: u64 = 16_384;
/// How often the ring is looked at again for samples that are on their way, a millisecond apart. A program in the kernel
/// may be interrupted between taking its number and sending, for as long as a busy processor lets others go first.
const PATIENCE: u32 = 1_000;

/// Why what was to be sealed was not.
#[derive(Debug)]
pub(super) enum Sealing {
    /// The recording cannot go on.
    Failed(anyhow::Error),
    /// It was not done, and the recording goes on.
    Refused(StoreError),
}

impl From<anyhow::Error> for Sealing {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Sealing> for anyhow::Error {
    fn from(sealing: Sealing) -> Self {
        match sealing {
            Sealing::Failed(error) => error,
            Sealing::Refused(error) => error.into(),
        }
    }
}

impl Pipeline {
    /// Makes durable what is due.
    pub(super) fn commit_if_due(&mut self, now: Now) -> anyhow::Result<()> {
        let due = self.due.commit.is_some_and(|due| now.boot_ns >= due);
        if due || self.parts.store.pending() >= COMMIT_ROWS {
            self.flows.flush(Flush::Commit, now.boot_ns, &mut self.changes);
            self.record_changes(now)?;
            self.commit()?;
            self.expect_commit(now);
        }
        Ok(())
    }

    /// A flow that is not announced yet is, at the latest, by a commit; and what waits longer is noted by one.
    pub(super) fn expect_commit(&mut self, now: Now) {
        if self.flows.has_waiting() || !self.unclaimed.is_empty() {
            self.due.commit.get_or_insert(now.boot_ns + COMMIT_NS);
        }
    }

    fn commit(&mut self) -> anyhow::Result<()> {
        self.note_waiting();
        self.parts.store.commit()?;
        self.due.commit = None;
        self.parts.committed.send_replace(self.parts.store.acknowledged());
        Ok(())
    }

    /// What was read and waits for the other witness's word is lost if the daemon dies meanwhile: then the next one says
    /// how much that was.
    fn note_waiting(&mut self) {
        let claims = (self.waiting.len() + self.unclaimed.len()) as u64;
        self.parts.store.waits(self.flows.waiting().saturating_add(claims));
    }

    /// Seals what is due.
    pub(super) fn seal_if_due(&mut self, now: Now) -> anyhow::Result<()> {
        let unsealed = self.parts.store.unsealed();
        let age = now.boot_ns.saturating_sub(self.due.seal);
        if (unsealed > 0 && age >= SEAL_NS) || unsealed >= SEAL_ROWS || age >= SEAL_IDLE_NS {
            self.seal(now)?;
        }
        Ok(())
    }

    /// Seals everything up to now.
    pub(super) fn seal(&mut self, now: Now) -> anyhow::Result<()> {
        Ok(self.seal_by(now, |store, input| store.seal(input, now)).map(drop)?)
    }

    /// Has a seal made over everything up to now: reads the kernel's marks, drains up to them, balances, signs. What was
    /// balanced is sealed in any case: where `make` did not come to it, in an ordinary seal.
    pub(super) fn seal_by<T>(
        &mut self,
        now: Now,
        make: impl FnOnce(&mut Store, SealInput) -> Result<T, StoreError>,
    ) -> Result<T, Sealing> {
        let input = self.balance(now)?;
        self.note_waiting();
        let before = self.parts.store.sealed();
        let made = make(&mut self.parts.store, input.clone());
        if self.parts.store.is_stopped() {
            return made.map_err(|error| Sealing::Failed(error.into()));
        }
        if self.parts.store.sealed() == before {
            self.parts.store.seal(input, now).map_err(|error| Sealing::Failed(error.into()))?;
        }
        self.due.seal = now.boot_ns;
        self.due.commit = None;
        if let Ok(mut status) = self.parts.status.write() {
            status.sealed = self.parts.store.sealed();
            status.sealed_at = wire::time(now.wall_ns);
        }
        self.parts.committed.send_replace(self.parts.store.acknowledged());
        made.map_err(Sealing::Refused)
    }

    /// Everything that a seal says of the time since the one before.
    fn balance(&mut self, now: Now) -> anyhow::Result<SealInput> {
        let marks = self.parts.probe.marks()?;
        self.drain_up_to(&marks, now)?;
        self.flows.flush(Flush::Seal, now.boot_ns, &mut self.changes);
        self.record_changes(now)?;
        self.record_guards(|_| true, now)?;
        self.record_overflows(now)?;
        self.declare_withheld(None, DECLARE_NS, now)?;
        self.record_egress(now)?;
        let coverage = self.parts.probe.coverage();
        self.record_detached(&coverage, now)?;
        let balance = self.accounts.close(&marks);
        for &(gap, count) in &balance.lost {
            self.append(Body::Loss(self.loss(gap, count, now)), now)?;
        }
        let clock = clock::state().map_or((false, u64::MAX), |state| (state.synchronised, state.max_error_ns));
        Ok(SealInput {
            captured: self.accounts.captured(),
            lost: self.accounts.lost_so_far(),
            cpus: balance.cpus,
            hooks: super::hooks(&coverage),
            clock,
            binary: self.parts.digests.binary,
            config: self.parts.digests.config,
        })
    }

    fn loss(&self, gap: Gap, count: u64, now: Now) -> Loss {
        let detail = match gap {
            Gap::RingFull => "the ring between kernel and daemon was full",
            _ => "the kernel's numbers have a hole that its own counters do not explain",
        };
        Loss {
            gap: gap as u64,
            count: Some(count),
            from_wall_ns: Some(now.wall_from_boot(self.due.seal)),
            until_wall_ns: Some(now.wall_ns),
            detail: detail.to_owned(),
        }
    }

    /// A hook that was attached and is not any more: somebody cut it, and what it saw is missing from here on.
    fn record_detached(&mut self, coverage: &[HookStatus], now: Now) -> anyhow::Result<()> {
        for hook in coverage.iter().filter(|hook| hook.state == HookState::Detached) {
            if self.detached.insert(hook.name) {
                let detail =
                    format!("the hook {} is not attached any more: what it sees is missing from now on", hook.name);
                let loss = Loss {
                    gap: Gap::HookDetached as u64,
                    count: None,
                    from_wall_ns: Some(now.wall_from_boot(self.due.seal)),
                    until_wall_ns: None,
                    detail,
                };
                self.append(Body::Loss(loss), now)?;
            }
        }
        Ok(())
    }

    /// What did not fit into the kernel's tables has no number of its own: it is told apart from the balance.
    fn record_overflows(&mut self, now: Now) -> anyhow::Result<()> {
        let Overflows { sockets, processes } = self.parts.probe.overflows()?;
        let before = std::mem::replace(&mut self.overflows, Overflows { sockets, processes });
        for (gap, count, detail) in [
            (Gap::SocketTableFull, sockets - before.sockets, "sockets whose end and bytes will not be known"),
            (Gap::ProcessTableFull, processes - before.processes, "children that are not followed"),
        ] {
            self.lost(now, gap, count, &format!("a table in the kernel was full: {detail}"))?;
        }
        Ok(())
    }

    /// Observes everything up to the marks. What lies beyond them stays for the next seal.
    fn drain_up_to(&mut self, marks: &BTreeMap<u32, Mark>, now: Now) -> anyhow::Result<()> {
        for _ in 0..PATIENCE {
            loop {
                let full = self.drain_within(marks);
                self.read_claims(now)?;
                self.observe_batch(now)?;
                if !self.accounts.is_waiting(marks) {
                    return Ok(());
                }
                if !full {
                    break;
                }
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Ok(())
    }
}
