//! A store, driven as the daemon drives it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use auditor_common::body::{Attribution, Body, CpuMark, FlowOpened, Sample};
use auditor_tests::ledger::{flow_ended, flow_opened, options};
use auditor_userspace::chain::Now;
use auditor_userspace::store::{OpenOptions, SealInput, Store};

/// Records that are verified and exported.
const RECORDS: u64 = 1_000_000;
/// A seal is made as often as the daemon makes one: every second, or when so many records are unsealed.
pub(super) const UNSEALED: u64 = 16_384;

/// What the daemon records most: flows that begin and end.
pub(super) fn bodies(count: u64) -> Vec<Body> {
    (0..count)
        .map(|number| {
            let sample = Sample { boot_ns: 0, cpu: None, kseq: None };
            if number % 2 == 0 {
                let opened = flow_opened(sample);
                let attribution = Attribution { contradictions: vec![], ..opened.attribution };
                return Body::FlowOpened(FlowOpened { attribution, ..opened });
            }
            Body::FlowTraffic(flow_ended(sample, 0))
        })
        .collect()
}

/// The store, driven as the daemon drives it.
pub(super) struct Full {
    /// What the kernel numbered on each of two processors: until now, and until the last seal.
    kseq: [[u64; 2]; 2],
    pub(super) store: Store,
    pub(super) now: Now,
    sealed_at: Instant,
    pub(super) state: PathBuf,
}

impl Full {
    pub(super) fn open(state: &Path, options: &OpenOptions) -> Self {
        let (store, _) = Store::open(state, options).expect("a store");
        Self { kseq: [[0; 2]; 2], store, now: options.now, sealed_at: Instant::now(), state: state.to_owned() }
    }

    pub(super) fn append(&mut self, bodies: &mut [Body], batch: usize) {
        for part in bodies.chunks_mut(batch) {
            self.now.wall_ns += 1_000_000;
            self.now.boot_ns += 1_000_000;
            let mut flow = 0;
            for body in part {
                let cpu = (flow % 2) as usize;
                self.kseq[0][cpu] += 1;
                let sample = Sample { boot_ns: self.now.boot_ns, cpu: Some(cpu as u32), kseq: Some(self.kseq[0][cpu]) };
                match body {
                    Body::FlowOpened(opened) => opened.sample = sample,
                    Body::FlowTraffic(traffic) => (traffic.flow, traffic.sample) = (flow, sample),
                    _ => {}
                }
                flow = self.store.append(body, self.now).expect("an append");
            }
            if self.sealed_at.elapsed() >= Duration::from_secs(1)
                || self.store.unsealed() + self.store.pending() as u64 >= UNSEALED
            {
                self.seal();
            } else {
                self.store.commit().expect("a commit");
            }
        }
    }

    pub(super) fn seal(&mut self) {
        let input = self.input();
        self.store.seal(input, self.now).expect("a seal");
        self.sealed_at = Instant::now();
    }

    /// What a seal says now.
    pub(super) fn input(&mut self) -> SealInput {
        let [last, before] = self.kseq;
        let mark = |cpu: usize| CpuMark {
            cpu: cpu as u32,
            last_kseq: last[cpu],
            received: last[cpu] - before[cpu],
            lost: vec![],
        };
        self.kseq[1] = last;
        SealInput {
            captured: last.iter().sum(),
            cpus: vec![mark(0), mark(1)],
            clock: (true, 1000),
            binary: [1; 32],
            config: [2; 32],
            ..SealInput::default()
        }
    }
}

/// A ledger of a million records.
pub(super) fn million(folder: &Path) -> Full {
    let mut full = Full::open(&folder.join("million"), &options(0));
    while full.store.acknowledged() < RECORDS {
        let mut bodies = bodies(UNSEALED);
        full.append(&mut bodies, 8192);
    }
    full.seal();
    full
}
