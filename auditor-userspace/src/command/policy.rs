//! `auditor policy` and `auditor ack`.

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, Table};
use serde_json::{Value, json};

use crate::cli::{AckArgs, PolicyCommand};
use crate::client;
use crate::command::exit;
use crate::config::Places;
use crate::report::text::printable;

/// Shows what was asked for, or answers it.
pub(super) fn run(places: &Places, command: &PolicyCommand) -> anyhow::Result<u8> {
    let socket = places.api_socket();
    match command {
        PolicyCommand::List { instance, json } => {
            let query: Vec<(&str, &str)> = instance.iter().map(|name| ("instance", name.as_str())).collect();
            let found = client::object(&socket, &client::path("/v1/policy", &query))?;
            if *json {
                println!("{found}");
            } else {
                print(&found);
            }
        }
        PolicyCommand::Accept { number } => decide(places, *number, true)?,
        PolicyCommand::Deny { number } => decide(places, *number, false)?,
        PolicyCommand::Ask { instance, setting, value } => {
            // What is no JSON is meant as text: `unwatch MIT`.
            let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value.as_str()));
            let wanted = json!({"instance": instance, "setting": setting, "value": value});
            say(&client::post(&socket, "/v1/policy", &wanted)?);
        }
    }
    Ok(exit::FINE)
}

fn decide(places: &Places, number: u64, accept: bool) -> anyhow::Result<()> {
    let answer = json!({"number": number, "accept": accept});
    say(&client::post(&places.api_socket(), "/v1/policy/decide", &answer)?);
    Ok(())
}

fn say(done: &Value) {
    let decision = &done["decision"];
    let (number, step, reason) = (&decision["number"], word(&decision["step"]), word(&decision["reason"]));
    println!("request {number}: {step} ({reason}), sealed as record {}", done["seq"]);
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn print(found: &Value) {
    let policy = &found["policy"];
    let whose = found["instance"].as_str().unwrap_or("instances that asked for nothing");
    println!(
        "{whose}: auditing {}, strict redaction {}, kept for {} days, channels not recorded: {}",
        on(&policy["auditing"]),
        on(&policy["strict_redaction"]),
        policy["retention_days"],
        list(&policy["disabled_channels"]),
    );
    section("waiting for an answer: auditor policy accept N, auditor policy deny N", &found["waiting"]);
    section("decided, the newest first", &found["decisions"]);
}

fn on(value: &Value) -> &'static str {
    if value == true { "on" } else { "off" }
}

fn list(value: &Value) -> String {
    let words: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if words.is_empty() { "none".into() } else { words.join(", ") }
}

fn section(heading: &str, requests: &Value) {
    let requests = requests.as_array().map(Vec::as_slice).unwrap_or_default();
    if requests.is_empty() {
        return;
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    for it in requests {
        let time = it["time"].as_str().and_then(|time| time.get(..19)).unwrap_or("");
        let who = match &it["actor"] {
            actor if actor["who"] == "host" => format!("host, user {}", actor["uid"]),
            actor => format!("Odoo, process {}", actor["tgid"]),
        };
        let wanted = format!("{} {}", word(&it["setting"]), it["value"]);
        let cells =
            [it["number"].to_string(), time.into(), word(&it["step"]).into(), word(&it["instance"]).into(), who];
        table.add_row(cells.iter().map(Cell::new).chain([Cell::new(printable(&wanted))]));
    }
    println!("\n{heading}\n{table}");
}

/// Acknowledges a reason of the verdict.
pub(super) fn acknowledge(places: &Places, asked: &AckArgs) -> anyhow::Result<u8> {
    // Signed records that are missing are the host's to answer for: that is a record of its own, and holds for ever.
    if asked.reason == "records_missing" && asked.instance.is_none() {
        let done = client::post(&places.api_socket(), "/v1/ledger/answer", &json!({"text": asked.text}))?;
        for it in done["answered"].as_array().into_iter().flatten() {
            println!("the loss that record {} declares is answered, sealed as record {}", it["record"], it["seq"]);
        }
        eprintln!("The alarm ends. The ledger before stays unproven for ever: `auditor verify` goes on to say so.");
        return Ok(exit::FINE);
    }
    let mut wanted = json!({"reason": asked.reason, "subject": asked.subject, "text": asked.text});
    if let Some(instance) = &asked.instance {
        wanted["instance"] = instance.as_str().into();
    }
    let done = client::post(&places.api_socket(), "/v1/ack", &wanted)?;
    println!("{} is acknowledged, sealed as record {}; it returns if it recurs", asked.reason, done["seq"]);
    Ok(exit::FINE)
}
