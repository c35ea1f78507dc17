//! The books: sums over the records and what explains them, kept up to date on a thread of its own.
//!
//! The recording thread is never waited for and never kept waiting: it says how many records are durable, and this
//! thread reads them as any other reader does. At the start the books are written anew from all records that are kept.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;

use auditor_common::body::Body;
use tokio::sync::watch;

use super::Records;
use super::facts::{Surroundings, Witnesses};
use super::orders::Desk;
use super::wire::{self, Head};
use crate::catalogue::Catalogue;
use crate::clock;
use crate::destination::Knowledge;
use crate::policy::Policies;
use crate::report::basis::{Basis, Host};
use crate::report::code::{Codes, Issued};
use crate::report::reason::Moment;
use crate::report::{Report, report};
use crate::rollup::{Beside, Limits, Rollup};
use crate::store::StoreError;

/// How many records are read from the store at once. Whoever asks waits no longer than for these.
const PAGE: usize = 512;

/// Everything that a report is made of.
#[derive(Clone, Debug)]
pub struct Books {
    /// Sums over the records.
    pub rollup: Rollup,
    /// What explains them.
    pub knowledge: Knowledge,
    /// What was asked for, decided and acknowledged.
    pub policies: Policies,
    /// What the host says of itself.
    pub host: Host,
    /// Codes that were given out.
    pub codes: Codes,
    /// Who says what explains an instance's traffic.
    pub(super) witnesses: BTreeMap<String, Witnesses>,
    /// How many records there were.
    pub(super) taken: Taken,
}

/// How many records there were since the ledger began, as far as it is kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Taken {
    pub(super) by_class: BTreeMap<&'static str, u64>,
    /// Flows and calls, by their label.
    pub(super) by_label: BTreeMap<&'static str, u64>,
}

impl Taken {
    fn add(&mut self, body: &Body) {
        *self.by_class.entry(wire::class(body)).or_default() += 1;
        let attribution = match body {
            Body::FlowOpened(flow) => &flow.attribution,
            Body::Call(call) => &call.attribution,
            _ => return,
        };
        *self.by_label.entry(wire::label(attribution.label)).or_default() += 1;
    }
}

impl Books {
    /// Books without an entry.
    #[must_use]
    pub fn new(catalogue: Catalogue, policies: Policies, host: Host) -> Self {
        let knowledge = Knowledge { catalogue, sees_names: host.sees_names, ..Knowledge::default() };
        Self {
            rollup: Rollup::new(Limits::default()),
            knowledge,
            policies,
            host,
            codes: Codes::default(),
            witnesses: BTreeMap::new(),
            taken: Taken::default(),
        }
    }

    /// The report of one instance, or of all of them; its code is remembered.
    pub fn report(&mut self, instance: Option<&str>, window_ns: u64, now_ns: u64, checkpoint: Option<&str>) -> Report {
        let report = report(&Basis {
            instance,
            now_ns,
            window_ns,
            rollup: &self.rollup,
            knowledge: &self.knowledge,
            policies: &self.policies,
            host: &self.host,
            checkpoint,
        });
        self.codes.issue(Issued {
            code: report.code.clone(),
            instance: report.instance.clone(),
            verdict: report.verdict,
            at: Moment(now_ns),
            size: report.checkpoint_size.unwrap_or(0),
        });
        report
    }

    /// Something was asked for and decided: the instance's own catalogue may be another one from here on.
    fn decided(&mut self, instance: &str) {
        let own = self.policies.catalogue(instance, &self.knowledge.catalogue);
        self.knowledge.of(instance).1 = own;
    }

    /// Takes up to a page of records into the books; how many there were.
    fn take(&mut self, page: &[(Head, Body)]) {
        for (head, body) in page {
            self.rollup.apply(head, body, Beside::default(), &self.knowledge);
            self.taken.add(body);
            if self.policies.take(head.seq, head.wall_ns, body)
                && let Some(instance) = body.instance()
            {
                self.decided(instance);
            }
        }
    }
}

/// The books, for the thread that writes them and for those that look.
#[derive(Clone, Debug)]
pub struct Shelf {
    books: Arc<RwLock<Books>>,
    /// How many records are in the books.
    taken: watch::Sender<u64>,
    /// The records of the runs before are in them.
    caught_up: Arc<AtomicBool>,
}

impl Shelf {
    /// Puts books where everybody finds them.
    #[must_use]
    pub fn new(books: Books) -> Self {
        Self { books: Arc::new(RwLock::new(books)), taken: watch::Sender::new(0), caught_up: Arc::default() }
    }

    /// To look something up.
    pub fn read(&self) -> RwLockReadGuard<'_, Books> {
        self.books.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To write something down.
    pub fn write(&self) -> RwLockWriteGuard<'_, Books> {
        self.books.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the records of the runs before are in the books.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Acquire)
    }

    /// Waits until this record is in the books.
    pub async fn until(&self, seq: u64) {
        // The sender lives as long as this shelf: waiting cannot fail.
        drop(self.taken.subscribe().wait_for(|&taken| taken > seq).await);
    }
}

/// Keeps the books until the recording ends, on a thread of its own. When all records of the runs before are in them,
/// the recording thread is told what they say about policy.
pub fn keep<R: Records>(
    shelf: Shelf,
    mut records: R,
    mut committed: watch::Receiver<u64>,
    desk: Desk,
    mut surroundings: Surroundings,
) -> std::io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    std::thread::Builder::new().name("books".into()).spawn(move || {
        let mut desk = Some(desk);
        loop {
            committed.borrow_and_update();
            if let Err(error) = catch_up(&shelf, &mut records) {
                if let Some(StoreError::Stopped) = error.downcast_ref() {
                    // The recording thread has said why, if it was not told to stop.
                    tracing::info!("the recording has ended, and the books with it");
                } else {
                    tracing::error!("the books cannot be kept, so there is no report: {error:#}");
                }
                return;
            }
            surroundings.look(&shelf, clock::now().boot_ns);
            if let Some(desk) = desk.take() {
                shelf.caught_up.store(true, Ordering::Release);
                desk.begin(shelf.read().policies.clone());
            }
            if runtime.block_on(committed.changed()).is_err() {
                return;
            }
        }
    })
}

/// Takes in all records that are durable.
fn catch_up<R: Records>(shelf: &Shelf, records: &mut R) -> anyhow::Result<()> {
    loop {
        let from = shelf.read().rollup.size();
        let page = records.range(from, PAGE)?;
        if page.is_empty() {
            return Ok(());
        }
        let size = {
            let mut books = shelf.write();
            books.take(&page);
            books.rollup.size()
        };
        shelf.taken.send_replace(size);
    }
}
