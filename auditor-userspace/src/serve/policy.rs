//! Asking for a policy, the host's answers, acknowledgements: each goes to the recording thread, and is answered when it
//! is sealed.

use auditor_common::body::{AckRecord, Actor, Body, PolicyRecord};
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{ConnectInfo, Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::orders::{Done, Order, Outcome};
use super::peer::Sight;
use super::refusal::Refusal;
use super::socket::{Peer, Window, json, parse};
use super::{Records, wire};
use crate::catalogue::{Catalogue, Entry, Vendor, Word};
use crate::policy::change::{Change, TEXT_MAX, is_line};
use crate::policy::record::Sealed;
use crate::policy::terms::Policy;
use crate::report;

/// So many decisions are shown, the newest.
const SHOWN: usize = 200;

/// The query of `/v1/policy`, `/v1/catalogue` and `/v1/facts`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Whose {
    pub(super) instance: Option<String>,
}

/// How an instance is recorded, what was asked for and decided, and what it may loosen.
pub(super) async fn show<R: Records>(
    State(window): State<Window<R>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    query: Result<Query<Whose>, QueryRejection>,
) -> Result<Response, Refusal> {
    let instance = window.sight(peer).choose(query?.0.instance).ok_or_else(Refusal::not_yours)?;
    let books = window.books.read();
    let policies = &books.policies;
    let own = |record: &&PolicyRecord| instance.as_ref().is_none_or(|own| *own == record.instance);
    let decisions = policies.decisions().rev().filter(|(_, record)| own(&record)).take(SHOWN);
    Ok(json(&json!({
        "instance": instance,
        "policy": policy(&policies.policy(instance.as_deref().unwrap_or("")))?,
        "host": policies.terms(),
        "retention_days": policies.retention_days(),
        "waiting": policies.waiting().filter(own).map(wire::decision).collect::<Vec<_>>(),
        "decisions": decisions.map(|(sealed, record)| decided(*sealed, record)).collect::<Vec<_>>(),
    })))
}

fn policy(policy: &Policy) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(policy)?;
    value["documented"] = policy.documented.iter().map(entry).collect::<Result<Vec<_>, _>>()?.into();
    value["watched"] = policy.watched.iter().map(vendor).collect::<Result<Vec<_>, _>>()?.into();
    value["unwatched"] = serde_json::to_value(&policy.unwatched)?;
    Ok(value)
}

fn decided(sealed: Sealed, record: &PolicyRecord) -> Value {
    let mut value = wire::decision(record);
    value["seq"] = sealed.seq.into();
    value["time"] = wire::time(sealed.wall_ns).into();
    value
}

fn entry(entry: &Entry) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(entry)?;
    value["word"] = word(entry.word).into();
    Ok(value)
}

fn vendor(vendor: &Vendor) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(vendor)?;
    value["word"] = word(vendor.word).into();
    Ok(value)
}

const fn word(word: Word) -> &'static str {
    match word {
        Word::BuiltIn => "built_in",
        Word::Host => "host",
        Word::Instance => "instance",
    }
}

/// The catalogue that holds for an instance: documented destinations, and watched vendors.
pub(super) async fn catalogue<R: Records>(
    State(window): State<Window<R>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    query: Result<Query<Whose>, QueryRejection>,
) -> Result<Response, Refusal> {
    let instance = window.sight(peer).choose(query?.0.instance).ok_or_else(Refusal::not_yours)?;
    let books = window.books.read();
    let catalogue: &Catalogue = books.knowledge.catalogue(instance.as_deref().unwrap_or(""));
    Ok(json(&json!({
        "instance": instance,
        "entries": catalogue.entries().iter().map(entry).collect::<Result<Vec<_>, _>>()?,
        "vendors": catalogue.vendors().iter().map(vendor).collect::<Result<Vec<_>, _>>()?,
    })))
}

/// The body of `POST /v1/policy`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Root says whose; an Odoo asks for itself.
    instance: Option<String>,
    setting: String,
    value: Value,
}

/// Asks for a policy.
pub(super) async fn ask<R: Records>(
    State(window): State<Window<R>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let (sight, Asked { instance, setting, value }) = (window.sight(peer), parse(body)?);
    let (actor, instance) = whose(&sight, peer, instance)?;
    let instance = instance.ok_or_else(|| Refusal::bad("\"instance\" is missing: say which Odoo this is about"))?;
    let change = Change::read(&setting, &value.to_string()).map_err(Refusal::bad)?;
    let done = window.desk.carry_out(Order::Ask { instance, actor, change }).await?;
    answer(&window, &done).await
}

/// The body of `POST /v1/policy/decide`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Decision {
    number: u64,
    accept: bool,
}

/// The host's answer to a request that waits.
pub(super) async fn decide<R: Records>(
    State(window): State<Window<R>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let (sight, Decision { number, accept }) = (window.sight(peer), parse(body)?);
    let (actor, _) = whose(&sight, peer, None)?;
    let done = window.desk.carry_out(Order::Decide { number, accept, actor }).await?;
    answer(&window, &done).await
}

/// The body of `POST /v1/ack`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Acknowledged {
    /// Root may name one, or speak for the whole host; an Odoo speaks for itself.
    instance: Option<String>,
    reason: String,
    #[serde(default)]
    subject: String,
    text: String,
    /// `last_seq` of the report's reason, plus one: whatever came later was not seen. Everything until now by default.
    before_seq: Option<u64>,
}

/// Acknowledges a reason of the verdict.
pub(super) async fn acknowledge<R: Records>(
    State(window): State<Window<R>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let (sight, asked): (Sight, Acknowledged) = (window.sight(peer), parse(body)?);
    let (actor, instance) = whose(&sight, peer, asked.instance)?;
    if !report::RULES.contains(&asked.reason.as_str()) {
        return Err(Refusal::bad(format!("\"{}\" is no reason: they are {}", asked.reason, report::RULES.join(", "))));
    }
    let fits = |text: &str| is_line(text, TEXT_MAX);
    if asked.text.trim().is_empty() || !fits(&asked.text) || !fits(&asked.subject) {
        return Err(Refusal::bad(format!(
            "\"text\" says why this is no worry, in one line of at most {TEXT_MAX} bytes; so does \"subject\", if there is one"
        )));
    }
    let record = AckRecord {
        instance: instance.unwrap_or_default(),
        reason: asked.reason,
        subject: asked.subject,
        text: asked.text,
        before_seq: asked.before_seq.unwrap_or(u64::MAX),
        actor,
    };
    let done = window.desk.carry_out(Order::Acknowledge(record)).await?;
    answer(&window, &done).await
}

/// On whose authority somebody asks, and for which instance.
fn whose(sight: &Sight, peer: Peer, instance: Option<String>) -> Result<(Actor, Option<String>), Refusal> {
    let actor = match sight {
        Sight::All => Actor::Host { uid: peer.uid },
        Sight::Instance(_) => Actor::Instance { tgid: peer.tgid().unwrap_or(0) },
        Sight::Nothing => return Err(Refusal::not_yours()),
    };
    let instance = sight.choose(instance).ok_or_else(Refusal::not_yours)?;
    if instance.as_ref().is_some_and(|name| name.is_empty() || !is_line(name, TEXT_MAX)) {
        return Err(Refusal::bad("that is no name of an instance: `auditor status` prints them"));
    }
    Ok((actor, instance))
}

/// What was recorded. It is sealed, and from here on every answer of this window knows it.
async fn answer<R: Records>(window: &Window<R>, done: &Done) -> Result<Response, Refusal> {
    window.books.until(done.seq).await;
    let Outcome::Recorded(body) = &done.outcome else { return Err(Refusal::absent("nothing was recorded")) };
    let (name, content) = match &**body {
        Body::Decision(record) => ("decision", wire::decision(record)),
        Body::Acknowledged(record) => ("acknowledged", wire::acknowledged(record)),
        _ => ("record", Value::Null),
    };
    Ok(json(&json!({"seq": done.seq, "time": wire::time(done.wall_ns), "sealed": true, name: content})))
}
