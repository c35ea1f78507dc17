//! The verdict.

use axum::extract::rejection::QueryRejection;
use axum::extract::{ConnectInfo, Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::peer::Sight;
use super::refusal::Refusal;
use super::socket::{Peer, Window, json};
use super::{Records, apart};
use crate::clock::{self, DAY_NS};

/// How far back a question may go.
pub mod window {
    /// Ten years are the longest that anything is kept, nanoseconds.
    const BOUNDS: std::ops::RangeInclusive<u64> = 1_000_000_000..=3650 * super::DAY_NS;

    /// Reads a span, as typed: nanoseconds.
    pub fn parse(text: &str) -> Result<u64, String> {
        let span = humantime::parse_duration(text).ok();
        let ns = span.and_then(|span| u64::try_from(span.as_nanos()).ok()).filter(|ns| BOUNDS.contains(ns));
        ns.ok_or_else(|| format!("\"{text}\" is no span of time: give one from 1s to 10years, as in 6h, 1day, 7days"))
    }
}

/// The query of `/v1/report`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    /// A span, 1 day by default.
    window: Option<String>,
    /// Root may choose; an Odoo sees its own.
    instance: Option<String>,
}

impl Asked {
    /// Whose figures, and how far back.
    pub(super) fn read(self, sight: &Sight) -> Result<(Option<String>, u64), Refusal> {
        let window_ns = self.window.as_deref().map_or(Ok(DAY_NS), window::parse).map_err(Refusal::bad)?;
        Ok((sight.choose(self.instance).ok_or_else(Refusal::not_yours)?, window_ns))
    }
}

/// The report: the verdict, why, and the figures beside it.
pub(super) async fn report<R: Records>(
    State(mut window): State<Window<R>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Refusal> {
    let (instance, window_ns) = query?.0.read(&window.sight(peer))?;
    let report = apart(move || {
        let checkpoint = window.records.checkpoint()?;
        let now_ns = clock::now().wall_ns;
        let kept = window.status.read().ok().and_then(|status| status.kept.clone());
        let mut books = window.books.write();
        books.host.over_size = kept.filter(|kept| kept.bytes > kept.max_bytes).map(|kept| (kept.bytes, kept.max_bytes));
        Ok(books.report(instance.as_deref(), window_ns, now_ns, checkpoint.as_deref()))
    });
    Ok(json(&serde_json::to_value(report.await?)?))
}

/// The query of `/v1/code`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Code {
    code: String,
}

/// What a code stood for.
pub(super) async fn code<R: Records>(
    State(window): State<Window<R>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    query: Result<Query<Code>, QueryRejection>,
) -> Result<Response, Refusal> {
    let sight = window.sight(peer);
    if sight == Sight::Nothing {
        return Err(Refusal::not_yours());
    }
    let books = window.books.read();
    let issued = books.codes.find(&query?.0.code).filter(|issued| match &sight {
        Sight::All => true,
        Sight::Instance(own) => issued.instance.as_ref() == Some(own),
        Sight::Nothing => false,
    });
    let issued = issued.ok_or_else(|| {
        Refusal::absent("this daemon has given out no such code since it started: what shows it was not drawn by it")
    })?;
    Ok(json(&serde_json::to_value(issued)?))
}
