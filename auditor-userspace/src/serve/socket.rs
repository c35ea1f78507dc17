//! The routes, and the thread that serves them.

use std::os::unix::net::UnixListener as StdListener;
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::Bytes;
use axum::extract::connect_info::Connected;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::IncomingStream;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::UnixListener;
use tokio::sync::watch;

use super::books::Shelf;
use super::crowd::Door;
use super::export::Exports;
use super::figures;
use super::orders::Desk;
use super::peer::{Instances, Sight};
use super::proof::Prover;
use super::refusal::Refusal;
use super::status::Status;
use super::{Records, answer, export, facts, ledger_orders, metrics, policy, proof, sums};
use crate::attribute::proc::{Proc, Processes as _};

/// A question is not longer than this, bytes.
const BODY_MAX: usize = 64 << 10;

/// What the window shows.
#[derive(Clone)]
pub struct Window<R> {
    /// The committed records.
    pub records: R,
    /// Changes whenever there are more of them.
    pub committed: watch::Receiver<u64>,
    /// How the daemon is doing.
    pub status: Arc<RwLock<Status>>,
    /// Who belongs to which instance.
    pub instances: Instances,
    /// Sums over the records.
    pub books: Shelf,
    /// Where the recording thread takes orders.
    pub desk: Desk,
    /// What exports are made of.
    pub exports: Exports,
    /// Who proves the ledger.
    pub prover: Prover,
    /// The user the daemon runs as.
    pub own_uid: u32,
}

/// User and process of a peer; `None` where the kernel could not say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) uid: u32,
    /// Process and its start (CLOCK_BOOTTIME nanoseconds), read when the connection was accepted.
    who: Option<(u32, u64)>,
}

impl Peer {
    /// The process, in the host's numbering.
    pub(super) fn tgid(self) -> Option<u32> {
        self.who.map(|(tgid, _)| tgid)
    }
}

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        match stream.io().stream().peer_cred() {
            Ok(cred) => {
                let pid = cred.pid().and_then(|pid| u32::try_from(pid).ok());
                let seen = pid.and_then(|pid| Proc::default().seen(pid));
                Self { uid: cred.uid(), who: seen.map(|seen| (seen.tgid, seen.start_ns)) }
            }
            Err(_) => Self { uid: u32::MAX, who: None },
        }
    }
}

/// Serves until the process ends, on a thread of its own: a slow reader never slows the recording.
pub fn serve<R: Records>(listener: StdListener, window: Window<R>) -> std::io::Result<JoinHandle<()>> {
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("serve".into()).spawn(move || {
        runtime.block_on(async move {
            let Ok(listener) = UnixListener::from_std(listener) else { return };
            let service = router(window).into_make_service_with_connect_info::<Peer>();
            // `serve` returns only when accepting fails for good; the recording goes on without a window.
            drop(axum::serve(Door::new(listener), service).await);
        });
    })
}

fn router<R: Records>(window: Window<R>) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(ready::<R>))
        .route("/v1/version", get(version))
        .route("/v1/status", get(status::<R>))
        .route("/v1/records", get(answer::records::<R>))
        .route("/v1/events", get(answer::events::<R>))
        .route("/v1/checkpoint", get(checkpoint::<R>))
        .route("/v1/report", get(figures::report::<R>))
        .route("/v1/code", get(figures::code::<R>))
        .route("/v1/rollup", get(sums::rollup::<R>))
        .route("/v1/verify", get(proof::watch::<R>).post(proof::verify::<R>))
        .route("/v1/facts", post(facts::claim::<R>).layer(DefaultBodyLimit::max(facts::CLAIMS_BYTES)))
        .route("/metrics", get(metrics::metrics::<R>))
        .route("/v1/policy", get(policy::show::<R>).post(policy::ask::<R>))
        .route("/v1/policy/decide", post(policy::decide::<R>))
        .route("/v1/catalogue", get(policy::catalogue::<R>))
        .route("/v1/ack", post(policy::acknowledge::<R>))
        .route("/v1/export", post(export::export::<R>))
        .route("/v1/ledger/retain", post(ledger_orders::retain::<R>))
        .route("/v1/ledger/rotate", post(ledger_orders::rotate::<R>))
        .route("/v1/ledger/answer", post(ledger_orders::answer::<R>))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::map_response(named))
        .with_state(window)
}

/// Who answers: whoever was led to another program's socket can tell.
async fn named(mut response: Response) -> Response {
    response.headers_mut().insert(header::SERVER, HeaderValue::from_static(super::NAME));
    response
}

async fn health() -> &'static str {
    "ok\n"
}

/// Ready: the records of the runs before are in the books, so reports are whole.
async fn ready<R: Records>(State(window): State<Window<R>>) -> Result<&'static str, Refusal> {
    if window.books.is_caught_up() {
        return Ok("ready\n");
    }
    Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the records are still being read: ask again in a moment"))
}

async fn version() -> Response {
    json(&serde_json::json!({"version": env!("CARGO_PKG_VERSION"), "api": super::API}))
}

async fn status<R: Records>(
    State(window): State<Window<R>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Result<Response, Refusal> {
    let failed = |_| anyhow::anyhow!("the recording thread has failed: see its log");
    let mut status = window.status.read().map_err(failed)?.clone();
    match window.sight(peer) {
        Sight::All => {}
        Sight::Instance(own) => status.instances.retain(|name, _| *name == own),
        Sight::Nothing => return Err(Refusal::not_yours()),
    }
    status.verified = window.books.read().rollup.history().newest_check().map(Into::into);
    Ok(json(&serde_json::to_value(&status)?))
}

async fn checkpoint<R: Records>(
    State(mut window): State<Window<R>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Result<Response, Refusal> {
    if window.sight(peer) == Sight::Nothing {
        return Err(Refusal::not_yours());
    }
    let note = window.records.checkpoint()?.ok_or_else(|| Refusal::absent("nothing is sealed yet"))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], note).into_response())
}

impl<R> Window<R> {
    pub(super) fn sight(&self, peer: Peer) -> Sight {
        match self.instances.read() {
            Ok(instances) => Sight::of(peer.uid, peer.who, self.own_uid, &instances),
            Err(_) => Sight::Nothing,
        }
    }
}

/// Reads the body of a question.
pub(super) fn parse<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Refusal> {
    serde_json::from_slice(&body?).map_err(|error| Refusal::bad(format!("this is not what is asked for here: {error}")))
}

pub(super) fn json(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], format!("{value}\n")).into_response()
}
