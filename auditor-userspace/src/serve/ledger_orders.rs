//! The operator's orders about the ledger: for root and the daemon's own user, and nobody else.

use auditor_common::body::Ack;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::orders::{Done, Order, Outcome};
use super::peer::Sight;
use super::refusal::Refusal;
use super::socket::{Peer, Window, json, parse};
use super::{Records, wire};
use crate::policy::change::{TEXT_MAX, is_line};
use crate::store::{Removal, Removed};

/// The operator, by name; refuses everybody else.
fn operator<R>(window: &Window<R>, peer: Peer) -> Result<String, Refusal> {
    match window.sight(peer) {
        Sight::All => Ok(format!("user {}", peer.uid)),
        Sight::Instance(_) | Sight::Nothing => Err(Refusal::not_the_host()),
    }
}

/// The body of `POST /v1/ledger/retain`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Retain {
    /// Only say what would go.
    #[serde(default)]
    dry_run: bool,
}

/// Removes what the policy of retention lets go.
pub(super) async fn retain<R: Records>(
    State(window): State<Window<R>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let (actor, Retain { dry_run }) = (operator(&window, peer)?, parse(body)?);
    let done = window.desk.carry_out(Order::Retain { dry_run, actor }).await?;
    let found = match done.outcome {
        Outcome::Removed(Some(Removed { record, min_index, records, bytes })) => {
            json!({"record": record, "min_index": min_index, "records": records, "bytes": bytes})
        }
        Outcome::Removable(Some(removal)) => {
            let Removal { min_index, records, bytes, oldest_wall_ns, newest_wall_ns } = removal;
            let (oldest, newest) = (wire::time(oldest_wall_ns), wire::time(newest_wall_ns));
            json!({"min_index": min_index, "records": records, "bytes": bytes, "oldest": oldest, "newest": newest})
        }
        _ => Value::Null,
    };
    Ok(json(&json!({"dry_run": dry_run, "removed": found})))
}

/// The body of `POST /v1/ledger/rotate`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotate {}

/// Has the next epoch begin, with a key of its own.
pub(super) async fn rotate<R: Records>(
    State(window): State<Window<R>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    operator(&window, peer)?;
    let Rotate {} = parse(body)?;
    let done = window.desk.carry_out(Order::Rotate).await?;
    let Outcome::Rotated(checkpoint) = done.outcome else { return Err(Refusal::absent("no key was made")) };
    Ok(json(&json!({"size": checkpoint.size, "time": wire::time(done.wall_ns), "checkpoint": checkpoint.note})))
}

/// The body of `POST /v1/ledger/answer`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    text: String,
}

/// Answers every declared loss that nobody has answered yet. It ends the alarm, and takes nothing back.
pub(super) async fn answer<R: Records>(
    State(window): State<Window<R>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let (actor, Answer { text }) = (operator(&window, peer)?, parse(body)?);
    if text.trim().is_empty() || !is_line(&text, TEXT_MAX) {
        return Err(Refusal::bad(format!("\"text\" says what happened, in one line of at most {TEXT_MAX} bytes")));
    }
    let unanswered: Vec<u64> = {
        let books = window.books.read();
        books.rollup.history().cuts().filter(|cut| cut.answered.is_none()).map(|cut| cut.seq).collect()
    };
    if unanswered.is_empty() {
        return Err(Refusal::absent("no loss of signed records waits for an answer"));
    }
    let mut answered = Vec::new();
    for record in unanswered {
        let ack = Ack { record, actor: actor.clone(), note: text.clone() };
        let Done { seq, .. } = window.desk.carry_out(Order::Answer(ack)).await?;
        window.books.until(seq).await;
        answered.push(json!({"record": record, "seq": seq}));
    }
    Ok(json(&json!({"answered": answered})))
}
