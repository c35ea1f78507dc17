//! Records as an answer: page by page, away from the thread that answers questions.

use std::convert::Infallible;

use auditor_common::body::Body;
use axum::body::{Body as HttpBody, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use super::peer::Sight;
use super::refusal::Refusal;
use super::select::{Line, Select};
use super::socket::{Peer, Window};
use super::wire::Head;
use super::{Records, wire};

/// How many records are read from the store at once.
const PAGE: usize = 512;

/// What there is, and no more.
pub(super) async fn records<R: Records>(
    State(window): State<Window<R>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    query: Result<Query<Select>, QueryRejection>,
) -> Result<Response, Refusal> {
    answer(window, peer, query, false)
}

/// What there is, and what comes.
pub(super) async fn events<R: Records>(
    State(window): State<Window<R>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    query: Result<Query<Select>, QueryRejection>,
) -> Result<Response, Refusal> {
    answer(window, peer, query, true)
}

/// JSON objects, a line each, as they come.
pub(super) fn lines(receiver: mpsc::Receiver<Bytes>) -> Response {
    let stream = ReceiverStream::new(receiver).map(Ok::<_, Infallible>);
    ([(header::CONTENT_TYPE, "application/x-ndjson")], HttpBody::from_stream(stream)).into_response()
}

fn answer<R: Records>(
    window: Window<R>,
    peer: Peer,
    query: Result<Query<Select>, QueryRejection>,
    follow: bool,
) -> Result<Response, Refusal> {
    let Query(select) = query?;
    select.check().map_err(Refusal::bad)?;
    let sight = window.sight(peer);
    if sight == Sight::Nothing {
        return Err(Refusal::not_yours());
    }
    if follow && select.before.is_some() {
        return Err(Refusal::bad("what comes is never before a record: ask /v1/records"));
    }
    let (sender, receiver) = mpsc::channel::<Bytes>(4);
    tokio::spawn(async move {
        // An error ends the answer early; what was sent is whole lines.
        drop(send(window, sight, select, follow, sender).await);
    });
    Ok(lines(receiver))
}

async fn send<R: Records>(
    window: Window<R>,
    sight: Sight,
    select: Select,
    follow: bool,
    sender: mpsc::Sender<Bytes>,
) -> anyhow::Result<()> {
    let mut committed = window.committed.clone();
    let mut reading = tokio::task::spawn_blocking(move || Reading::begin(window, sight, select)).await??;
    loop {
        let (next, lines) = tokio::task::spawn_blocking(move || {
            let lines = reading.page();
            (reading, lines)
        })
        .await?;
        reading = next;
        let lines = lines?;
        if !lines.is_empty() {
            sender.send(Bytes::from(lines)).await?;
        }
        match reading.state {
            Progress::Goes => {}
            Progress::Over => return Ok(()),
            Progress::AtTheEnd if !follow => return Ok(()),
            // Waits for more, or for the reader to go away.
            Progress::AtTheEnd => tokio::select! {
                changed = committed.changed() => changed?,
                () = sender.closed() => return Ok(()),
            },
        }
    }
}

/// How far an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Goes,
    /// There are no more records at the moment.
    AtTheEnd,
    /// No record that comes can be a part of it.
    Over,
}

/// An answer that is being given.
struct Reading<R> {
    window: Window<R>,
    sight: Sight,
    select: Select,
    /// The bounds of what is still to be looked at.
    from: u64,
    end: u64,
    left: u64,
    state: Progress,
}

impl<R: Records> Reading<R> {
    fn begin(mut window: Window<R>, sight: Sight, select: Select) -> anyhow::Result<Self> {
        let since_ns = select.since_ns.or(select.since.map(|since| since.0));
        let from = match (select.from, since_ns) {
            (Some(from), None) => from,
            (from, Some(since_ns)) => window.records.first_since(since_ns)?.max(from.unwrap_or(0)),
            (None, None) => 0,
        };
        let to = select.to_seq.map_or(u64::MAX, |to| to.saturating_add(1));
        let to = match select.to_ns {
            Some(to_ns) => to.min(window.records.end_before(to_ns)?),
            None => to,
        };
        let end = to.min(select.before.unwrap_or(u64::MAX));
        let left = select.limit.unwrap_or(u64::MAX);
        Ok(Self { window, sight, select, from, end, left, state: Progress::Goes })
    }

    /// The lines of the next page.
    fn page(&mut self) -> anyhow::Result<Vec<u8>> {
        self.state = Progress::Goes;
        if self.left == 0 || self.from >= self.end {
            self.state = Progress::Over;
            return Ok(Vec::new());
        }
        let mut page = match self.select.before {
            Some(_) => self.window.records.newest(self.end, PAGE)?,
            None => self.window.records.range(self.from, PAGE)?,
        };
        let Some((last, _)) = page.last() else {
            self.state = if self.select.before.is_some() { Progress::Over } else { Progress::AtTheEnd };
            return Ok(Vec::new());
        };
        let last = last.seq;
        page.retain(|(head, _)| (self.from..self.end).contains(&head.seq));
        let lines = self.lines(&page)?;
        match self.select.before {
            Some(_) => self.end = last,
            None => self.from = last + 1,
        }
        Ok(lines)
    }

    fn lines(&mut self, page: &[(Head, Body)]) -> anyhow::Result<Vec<u8>> {
        let Self { window, sight, select, left, .. } = self;
        let mut lines = Vec::new();
        for (head, body) in page {
            let opened = match body {
                Body::FlowTraffic(traffic) => window.records.opened(traffic.flow),
                Body::Call(call) => call.flow.and_then(|flow| window.records.opened(flow)),
                _ => None,
            };
            let books = window.books.read();
            let line = Line::of(body, opened.as_ref(), &books.knowledge);
            if *left > 0 && select.admits(sight, &line) {
                serde_json::to_writer(&mut lines, &wire::record(head, &line))?;
                lines.push(b'\n');
                *left -= 1;
            }
        }
        Ok(lines)
    }
}
