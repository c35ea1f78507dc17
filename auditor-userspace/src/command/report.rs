//! `auditor report`.

use anyhow::Context as _;

use serde_json::Value;

use crate::cli::{PeriodArgs, ReportArgs};
use crate::client;
use crate::command::exit;
use crate::config::Places;
use crate::report::code::Issued;
use crate::report::{Report, text};

/// Prints the verdict and why, or what a code stood for.
pub(super) fn print(places: &Places, asked: &ReportArgs) -> anyhow::Result<u8> {
    let socket = places.api_socket();
    if let Some(code) = &asked.code {
        let value = client::object(&socket, &client::path("/v1/code", &[("code", code)]))?;
        let issued: Issued = serde_json::from_value(value.clone()).context("the daemon is of another version")?;
        println!("{}", if asked.json { value.to_string() } else { text::issued(&issued) });
        return Ok(exit::FINE);
    }
    let value = of(places, &asked.period)?;
    if asked.json {
        println!("{value}");
        return Ok(exit::FINE);
    }
    print!("{}", text::screen(&read(value)?));
    Ok(exit::FINE)
}

/// The report of a period, as the daemon gives it.
pub(super) fn of(places: &Places, period: &PeriodArgs) -> anyhow::Result<Value> {
    let window = format!("{}ns", period.since);
    let mut query = vec![("window", window.as_str())];
    query.extend(period.instance.as_deref().map(|instance| ("instance", instance)));
    Ok(client::object(&places.api_socket(), &client::path("/v1/report", &query))?)
}

/// Reads a report.
pub(super) fn read(value: Value) -> anyhow::Result<Report> {
    serde_json::from_value(value).context("the daemon is of another version: restart it")
}
