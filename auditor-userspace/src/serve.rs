//! A read-only window on the records: HTTP and JSON over a local socket.
//!
//! Who may see what is decided by the kernel's word about the peer alone ([`peer`]); the socket itself is open to all.

pub mod export; // a part of the ledger, handed out
mod ledger_orders; // what the operator wants of the ledger
mod answer; // records, page by page
pub mod orders; // what only the recording thread can do
pub mod peer; // who is asking
mod policy; // asking for a policy, and the answers
mod refusal; // why there is no answer
pub mod books; // sums over the records, kept up to date
pub mod crowd; // how many connections a user may have
pub mod facts; // what explains an instance's traffic
pub mod figures; // verdict, as an answer
mod metrics; // figures for Prometheus
pub mod proof; // the whole ledger, proven now
mod sums; // sums, as an answer
pub mod records; // the store, as the window sees it
pub mod select; // which records were asked for
pub mod socket; // routes
pub mod status; // how the daemon is doing
pub mod wire; // records as JSON

use auditor_common::body::{Body, FlowOpened};

use wire::Head;

/// The number of this API: one more, whenever something is added that somebody may need. Nothing is taken away. Whoever
/// asks compares it with the number that he needs, and says that the daemon is too old where it is less.
pub const API: u32 = 1;

/// What every answer says of who gives it (HTTP's `Server`): another program's answer is not taken for the daemon's.
pub const NAME: &str = concat!("network-audit/", env!("CARGO_PKG_VERSION"));

/// The committed records, as this window needs them.
pub trait Records: Clone + Send + Sync + 'static {
    /// How many records are committed: the next `seq`.
    fn size(&mut self) -> anyhow::Result<u64>;
    /// How many of them are under a released checkpoint.
    fn sealed(&mut self) -> anyhow::Result<u64>;
    /// Up to `limit` records from `seq` on.
    fn range(&mut self, from: u64, limit: usize) -> anyhow::Result<Vec<(Head, Body)>>;
    /// Up to `limit` records before number `before`, newest first.
    fn newest(&mut self, before: u64, limit: usize) -> anyhow::Result<Vec<(Head, Body)>>;
    /// The record that opened a flow.
    fn opened(&mut self, seq: u64) -> Option<FlowOpened>;
    /// The first record that was appended at or after this moment (CLOCK_REALTIME nanoseconds).
    fn first_since(&mut self, wall_ns: u64) -> anyhow::Result<u64>;
    /// The number after the last record that was appended before this moment.
    fn end_before(&mut self, wall_ns: u64) -> anyhow::Result<u64>;
    /// The newest released checkpoint, as the signed note.
    fn checkpoint(&mut self) -> anyhow::Result<Option<String>>;
}

/// Does something that takes its time away from the thread that answers questions.
async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> Result<T, refusal::Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(anyhow::Error::from).and_then(|done| done)?)
}
