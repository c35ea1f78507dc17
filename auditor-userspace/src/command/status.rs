//! `auditor status`.

use anyhow::Context as _;
use comfy_table::presets::NOTHING;
use comfy_table::{Cell, Table};

use crate::client;
use crate::command::exit;
use crate::config::Places;
use crate::report::text::bytes;
use crate::serve::status::{Kept, Status};

/// Prints how the daemon is doing; fails if there is none.
pub(super) fn print(places: &Places, json: bool) -> anyhow::Result<u8> {
    let value = client::object(&places.api_socket(), "/v1/status")?;
    if json {
        println!("{value}");
        return Ok(exit::FINE);
    }
    let status: Status = serde_json::from_value(value).context("the daemon is of another version: restart it")?;
    println!("{}", summary(&status));
    println!("\nhooks in the kernel\n{}", hooks(&status));
    println!("\naudited instances\n{}", instances(&status));
    Ok(exit::FINE)
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table
}

fn summary(status: &Status) -> Table {
    let lost = if status.lost.is_empty() {
        "nothing".into()
    } else {
        status.lost.iter().map(|(gap, count)| format!("{count} ({gap})")).collect::<Vec<_>>().join(", ")
    };
    let verified = status.verified.as_ref().map_or("not yet".into(), |it| format!("{}: {}", it.at, it.summary));
    let mut table = plain();
    for (name, value) in [
        ("recording since", format!("{} (process {}, version {})", status.since, status.pid, status.version)),
        ("scope", status.scope.clone()),
        ("ledger", format!("{} in {}", status.origin, status.state_dir)),
        ("root key", status.root_key.clone()),
        ("records", format!("{}, {} of them sealed (last {})", status.records, status.sealed, status.sealed_at)),
        ("samples", format!("{} received, lost: {lost}", status.captured)),
        ("open flows", status.flows.to_string()),
        ("verified", verified),
        ("kept", status.kept.as_ref().map_or("not measured yet".into(), kept)),
    ] {
        table.add_row([name, &value]);
    }
    table
}

/// How much is kept, and how long it will last.
fn kept(it: &Kept) -> String {
    let left = match it.full_in_days {
        None => format!("at this pace all of {} days fits", it.keep_days),
        Some(0) => format!("full: what is older than {} days goes as it grows", it.min_days),
        Some(days) => format!("full in {days} days at this pace, then what is older than {} days goes", it.min_days),
    };
    let since = it.since.get(..19).unwrap_or_default();
    format!("since {since}Z, {} of {}; {} days are kept; {left}", bytes(it.bytes), bytes(it.max_bytes), it.keep_days)
}

fn hooks(status: &Status) -> Table {
    let mut table = plain();
    for hook in &status.hooks {
        let state = if hook.active { "active" } else { "off" };
        table.add_row([hook.name.as_str(), state, hook.reason.as_deref().unwrap_or("")]);
    }
    table
}

fn instances(status: &Status) -> Table {
    let mut table = plain();
    if status.instances.is_empty() {
        table.add_row(["none: no Odoo is running, or none was recognised by its command line"]);
    }
    for (name, it) in &status.instances {
        let named = format!(
            "{} of {} Odoo processes hand over claims, {} processes in all",
            it.named, it.workers, it.processes
        );
        table.add_row([Cell::new(name), Cell::new(named)]);
    }
    table
}
