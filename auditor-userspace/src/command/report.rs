//! `auditor report`.

use anyhow::Context as _;

use crate::cli::ReportArgs;
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
    let window = format!("{}ns", asked.since);
    let mut query = vec![("window", window.as_str())];
    query.extend(asked.instance.as_deref().map(|instance| ("instance", instance)));
    let value = client::object(&socket, &client::path("/v1/report", &query))?;
    if asked.json {
        println!("{value}");
        return Ok(exit::FINE);
    }
    let report: Report = serde_json::from_value(value).context("the daemon is of another version: restart it")?;
    print!("{}", text::screen(&report));
    Ok(exit::FINE)
}
