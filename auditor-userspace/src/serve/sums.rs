//! Sums over the records, by whatever somebody wants to see them by.

use std::collections::BTreeMap;

use axum::extract::rejection::QueryRejection;
use axum::extract::{ConnectInfo, Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::figures::window;
use super::refusal::Refusal;
use super::socket::{Peer, Window, json as answer};
use super::{Records, wire};
use crate::clock::{self, DAY_NS};
use crate::rollup::row::{Key, Row, Sums};

/// What can be summed by.
const BY: [&str; 8] = ["hour", "instance", "module", "destination", "class", "vendor", "direction", "label"];
/// So many lines are an answer, those with the most operations; the rest is one line.
const LINES: usize = 5_000;

/// The query of `/v1/rollup`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Asked {
    window: Option<String>,
    instance: Option<String>,
    /// Words of [`BY`], with commas; `class,direction` by default.
    by: Option<String>,
}

impl Asked {
    fn by(&self) -> Result<Vec<&'static str>, String> {
        let words = self.by.as_deref().unwrap_or("class,direction");
        let known = |word: &str| BY.into_iter().find(|known| *known == word);
        let found = words.split(',').map(|word| known(word.trim()));
        found.collect::<Option<_>>().ok_or_else(|| format!("by takes words of {}, with commas", BY.join(", ")))
    }
}

/// Sums within a window of time. An hour is in it whole, or not at all.
pub(super) async fn rollup<R: Records>(
    State(window): State<Window<R>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    query: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(asked) = query?;
    let by = asked.by().map_err(Refusal::bad)?;
    let window_ns = asked.window.as_deref().map_or(Ok(DAY_NS), window::parse).map_err(Refusal::bad)?;
    let instance = window.sight(peer).choose(asked.instance).ok_or_else(Refusal::not_yours)?;
    let found = super::apart(move || {
        let now_ns = clock::now().wall_ns;
        let books = window.books.read();
        let rows = books.rollup.rows(now_ns.saturating_sub(window_ns), now_ns, &books.knowledge);
        let own = |row: &Row<'_>| instance.as_deref().is_none_or(|own| *row.about.instance == *own);
        Ok(json!({"instance": instance, "by": by, "lines": sum(rows.filter(own), &by)}))
    });
    Ok(answer(&found.await?))
}

fn sum<'a>(rows: impl Iterator<Item = Row<'a>>, by: &[&'static str]) -> Vec<Value> {
    let mut groups: BTreeMap<Vec<Option<String>>, Sums> = BTreeMap::new();
    for row in rows {
        let key = by.iter().map(|by| value(&row, by)).collect();
        groups.entry(key).or_default().merge(row.sums);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    // The sort is stable, and the groups are in order: the result does not depend on chance.
    groups.sort_by_key(|(_, sums)| std::cmp::Reverse(sums.operations.count));
    let rest = groups.split_off(groups.len().min(LINES));
    let mut lines: Vec<Value> = groups.iter().map(|(key, sums)| line(by, key, sums)).collect();
    if !rest.is_empty() {
        let mut sums = Sums::default();
        for (_, more) in &rest {
            sums.merge(more);
        }
        let mut others = line(&[], &[], &sums);
        others["others"] = rest.len().into();
        lines.push(others);
    }
    lines
}

/// What a line is, in one respect; `None` where nobody knows.
fn value(row: &Row<'_>, by: &str) -> Option<String> {
    match by {
        "hour" => Some(wire::time(row.hour_ns)),
        "instance" => Some(row.about.instance.to_string()),
        "module" => row.module().map(str::to_owned),
        "destination" => row.key.map(Key::display),
        "class" => row.about.class.map(|class| class.word().to_owned()),
        "vendor" => row.about.vendor.as_deref().map(str::to_owned),
        "direction" => Some(if row.about.inbound { "in" } else { "out" }.to_owned()),
        "label" => Some(wire::label(row.about.label).to_owned()),
        _ => None,
    }
}

fn line(by: &[&'static str], key: &[Option<String>], sums: &Sums) -> Value {
    let mut line: Map<String, Value> =
        by.iter().zip(key).map(|(by, value)| ((*by).to_owned(), value.clone().into())).collect();
    let seen = sums.operations.first_ns > 0;
    for (name, value) in [
        ("operations", json!(sums.operations.count)),
        ("flows", json!(sums.flows)),
        ("calls", json!(sums.calls)),
        ("sent", json!(sums.sent)),
        ("received", json!(sums.received)),
        ("unmeasured", json!(sums.unmeasured)),
        ("first", if seen { wire::time(sums.operations.first_ns).into() } else { Value::Null }),
        ("last", if seen { wire::time(sums.operations.last_ns).into() } else { Value::Null }),
    ] {
        line.insert(name.to_owned(), value);
    }
    Value::Object(line)
}
