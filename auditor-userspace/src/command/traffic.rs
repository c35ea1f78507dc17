//! `auditor flows`, `auditor modules`, `auditor destinations`: what went where, by what one wants to see it by.

use std::collections::BTreeMap;
use std::io::Write as _;

use serde_json::Value;

use crate::cli::{FlowsArgs, Output, Since, SumsArgs, WhichArgs};
use crate::clock::DAY_NS;
use crate::command::events::question;
use crate::command::{exit, report};
use crate::config::Places;
use crate::report::{Report, text};
use crate::{client, events};

/// A flow, as its records have it.
#[derive(Default)]
struct Flow {
    opening: Option<Value>,
    newest: Option<Value>,
}

/// Prints one line a flow.
pub(super) fn flows(places: &Places, asked: &FlowsArgs) -> anyhow::Result<u8> {
    let mut flows: BTreeMap<u64, Flow> = BTreeMap::new();
    // All of them are held until the last record has come: nobody means half a year.
    let which = WhichArgs { since: asked.which.since.or(Some(Since::Ago(DAY_NS))), ..asked.which.clone() };
    client::lines(&places.api_socket(), &question(&which, None, false), |record| {
        match record["class"].as_str() {
            Some("flow_opened") => {
                let seq = record["seq"].as_u64().unwrap_or_default();
                flows.entry(seq).or_default().opening = Some(record);
            }
            Some("flow_ended" | "flow_interim") => {
                let flow = record["flow"].as_u64().unwrap_or_default();
                flows.entry(flow).or_default().newest = Some(record);
            }
            _ => {}
        }
        true
    })?;
    let mut out = std::io::stdout().lock();
    if asked.output == Output::Table {
        writeln!(out, "{}", events::HEADING)?;
    }
    for (seq, flow) in &flows {
        let line = match asked.output {
            Output::Table => events::flow_row(flow.opening.as_ref(), flow.newest.as_ref()),
            Output::Json => Some(object(*seq, flow).to_string()),
        };
        line.map_or(Ok(()), |line| writeln!(out, "{line}"))?;
    }
    Ok(exit::FINE)
}

fn object(seq: u64, flow: &Flow) -> Value {
    let newest = flow.newest.as_ref();
    let opened = flow.opening.clone().or_else(|| Some(newest?["opened"].clone())).unwrap_or_default();
    let of_newest = |name: &str| newest.map(|newest| newest[name].clone()).unwrap_or_default();
    serde_json::json!({
        "flow": seq,
        "opened": opened,
        "sent": of_newest("sent"),
        "received": of_newest("received"),
        "duration_ns": of_newest("duration_ns"),
        "end": of_newest("end"),
        "error": of_newest("error"),
    })
}

/// Prints one line a module.
pub(super) fn modules(places: &Places, asked: &SumsArgs) -> anyhow::Result<u8> {
    sums(places, asked, "modules", text::all_modules)
}

/// Prints one line a destination.
pub(super) fn destinations(places: &Places, asked: &SumsArgs) -> anyhow::Result<u8> {
    sums(places, asked, "destinations", text::all_destinations)
}

fn sums(places: &Places, asked: &SumsArgs, what: &str, table: fn(&Report) -> String) -> anyhow::Result<u8> {
    let value = report::of(places, &asked.period)?;
    let mut out = std::io::stdout().lock();
    if asked.json {
        for line in value[what].as_array().into_iter().flatten() {
            writeln!(out, "{line}")?;
        }
        return Ok(exit::FINE);
    }
    let shown = table(&report::read(value)?);
    if shown.is_empty() {
        eprintln!("auditor: nothing was seen in that time");
    }
    write!(out, "{shown}")?;
    Ok(exit::FINE)
}
