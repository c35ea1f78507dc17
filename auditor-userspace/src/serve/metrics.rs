//! Figures for Prometheus. No label holds anything that came over a wire, or from an audited process: labels are words of
//! this program.

use axum::extract::{ConnectInfo, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::Records;
use super::books::Books;
use super::peer::Sight;
use super::refusal::Refusal;
use super::socket::{Peer, Window};
use super::status::Status;
use crate::report::reason::Moment;

/// One label, and the word that it has.
type Labels = Vec<(&'static str, String)>;

/// The figures of the whole host: for root and for the daemon's own user.
pub(super) async fn metrics<R: Records>(
    State(window): State<Window<R>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Result<Response, Refusal> {
    if window.sight(peer) != Sight::All {
        return Err(Refusal::not_yours());
    }
    let failed = |_| anyhow::anyhow!("the recording thread has failed: see its log");
    let status = window.status.read().map_err(failed)?.clone();
    let text = exposition(&status, &window.books.read()).map_err(anyhow::Error::from)?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

fn exposition(status: &Status, books: &Books) -> Result<String, std::fmt::Error> {
    let mut figures = Figures(Registry::with_prefix("network_audit"));
    figures.gauges("build_info", "The daemon's version", &mut [("version", status.version.clone(), 1)].into_iter());
    let lost = &mut status.lost.iter().map(|(reason, &count)| ("reason", reason.clone(), count));
    figures.counters("events_lost", "Evidence that is missing since the start", lost);
    let records = &mut books.taken.by_class.iter().map(|(class, &count)| ("class", (*class).to_owned(), count));
    figures.counters("records", "Records since the ledger began, as far as it is kept", records);
    let labels = &mut books.taken.by_label.iter().map(|(label, &count)| ("label", (*label).to_owned(), count));
    figures.counters("attribution", "Flows and calls, by how far their claim goes", labels);
    let hooks = &mut status.hooks.iter().map(|hook| ("hook", hook.name.clone(), u64::from(hook.active)));
    figures.gauges("hook_active", "Whether a hook is loaded and attached", hooks);
    figures.counter("events", "Samples from the kernel since the start", status.captured);
    for (name, help, value) in [
        ("chain_height", "Records that are committed", status.records),
        ("sealed_records", "Records under the newest checkpoint", status.sealed),
        ("last_checkpoint_timestamp_seconds", "When it was signed", seconds(&status.sealed_at)),
        ("flows", "Flows that are open", status.flows),
        ("instances", "Audited instances", status.instances.len() as u64),
        ("processes", "Audited processes", status.instances.values().map(|it| it.processes).sum()),
        ("processes_named", "Those that hand over claims", status.instances.values().map(|it| it.named).sum()),
        ("rollup_lines", "Lines of sums in memory", books.rollup.lines() as u64),
    ] {
        figures.gauge(name, help, value);
    }
    let mut text = String::new();
    encode(&mut text, &figures.0)?;
    Ok(text)
}

/// Seconds since 1970; 0 for what is no moment.
fn seconds(moment: &str) -> u64 {
    Moment::try_from(moment.to_owned()).map_or(0, |moment| moment.0 / 1_000_000_000)
}

/// What a figure is of: a label and its word, or nothing in particular.
type Values<'a> = &'a mut dyn Iterator<Item = (&'static str, String, u64)>;

struct Figures(Registry);

impl Figures {
    fn counters(&mut self, name: &str, help: &str, values: Values<'_>) {
        let family = Family::<Labels, Counter>::default();
        for (label, word, value) in values {
            family.get_or_create(&vec![(label, word)]).inc_by(value);
        }
        self.0.register(name, help, family);
    }

    fn gauges(&mut self, name: &str, help: &str, values: Values<'_>) {
        let family = Family::<Labels, Gauge>::default();
        for (label, word, value) in values {
            family.get_or_create(&vec![(label, word)]).set(signed(value));
        }
        self.0.register(name, help, family);
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        let counter: Counter = Counter::default();
        counter.inc_by(value);
        self.0.register(name, help, counter);
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        let gauge: Gauge = Gauge::default();
        gauge.set(signed(value));
        self.0.register(name, help, gauge);
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
