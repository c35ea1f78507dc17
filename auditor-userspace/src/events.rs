//! Records as lines for people.

use serde_json::Value;

/// The heading over [`row`]s.
pub const HEADING: &str = "TIME             MODULE            LABEL          PROCESS            ENDPOINT                          SENT    RECEIVED  WHAT";

/// One record as a line; `None` if it is neither traffic nor guarded, and `all` is off.
#[must_use]
pub fn row(record: &Value, all: bool) -> Option<String> {
    let class = record["class"].as_str().unwrap_or("?");
    match class {
        "flow_opened" => Some(flow(record, record, "-", "-", &opened_as(record))),
        "flow_ended" | "flow_interim" => Some(flow(
            record,
            &record["opened"],
            &bytes(&record["sent"]),
            &bytes(&record["received"]),
            &ended_as(record),
        )),
        "call" => Some(call(record)),
        "guard" => Some(guard(record)),
        _ if all => Some(other(record, class)),
        _ => None,
    }
}

/// One flow as a line: the record that opened it, if that was seen, and the newest one about its bytes or its end.
#[must_use]
pub fn flow_row(opening: Option<&Value>, newest: Option<&Value>) -> Option<String> {
    let first = opening.or(newest)?;
    let opened = opening.unwrap_or(&newest?["opened"]);
    let (sent, received, what) = match newest {
        Some(newest) => (bytes(&newest["sent"]), bytes(&newest["received"]), ended_as(newest)),
        None => ("-".to_owned(), "-".to_owned(), "open".to_owned()),
    };
    Some(flow(first, opened, &sent, &received, &what))
}

fn flow(record: &Value, opened: &Value, sent: &str, received: &str, what: &str) -> String {
    line(record, opened, &endpoint(opened), sent, received, what)
}

/// A call is its own claim, over a flow that may be another module's.
fn call(record: &Value) -> String {
    line(record, record, &endpoint(&record["opened"]), "-", "-", &call_as(record))
}

/// What no ordinary Odoo does.
fn guard(record: &Value) -> String {
    let what = format!("GUARDED {}{}{}", guarded(record), site(record), contradiction(record));
    line(record, record, "-", "-", "-", &what)
}

/// What a record is about that tells of what no ordinary Odoo does.
#[must_use]
pub fn guarded(record: &Value) -> String {
    let target = process(&record["target"]);
    match text(&record["what"]).unwrap_or("?") {
        "raw_socket" => format!("a raw socket for {}", text(&record["protocol"]).unwrap_or("?")),
        "packet_socket" => "a packet socket".to_owned(),
        "stolen_descriptor" => format!("a descriptor taken out of {target}"),
        "ptrace" => format!("a hold on {target}, as a debugger has it"),
        other => other.to_owned(),
    }
}

fn line(record: &Value, whose: &Value, endpoint: &str, sent: &str, received: &str, what: &str) -> String {
    let attribution = &whose["attribution"];
    format!(
        "{:<16} {:<17} {:<14} {:<18} {:<31} {:>6} {:>11}  {}",
        clock(record),
        text(&attribution["module"]).unwrap_or("-"),
        text(&attribution["label"]).unwrap_or("-"),
        process(&whose["process"]),
        endpoint,
        sent,
        received,
        what,
    )
}

fn other(record: &Value, class: &str) -> String {
    let what = match class {
        "process" => format!("{} {}", text(&record["change"]).unwrap_or("?"), process(&record["process"])),
        "loss" => format!("{}: {}", text(&record["gap"]).unwrap_or("?"), text(&record["detail"]).unwrap_or("")),
        "run_start" => format!("scope {}, the run before: {}", record["scope"], record["previous"]),
        "run_stop" => format!("reason {}", record["reason"]),
        "seal" => format!("{} samples since the run began, lost {}", record["captured"], record["lost"]),
        _ => String::new(),
    };
    format!("{:<16} {class} {what}", clock(record))
}

fn opened_as(record: &Value) -> String {
    let direction = if record["direction"] == "in" { "accepted" } else { "opened" };
    let before = if record["opened_before"] == true { ", before the auditor" } else { "" };
    format!("{direction}{before}{}{}{}", named(record), site(record), contradiction(record))
}

fn ended_as(record: &Value) -> String {
    let took = record["duration_ns"].as_u64().map(|ns| format!(" after {}", span(ns))).unwrap_or_default();
    let error = record["error"].as_i64().map(|errno| {
        format!(
            " ({})",
            std::io::Error::from_raw_os_error(errno as i32).to_string().split(" (os").next().unwrap_or("?")
        )
    });
    let end = text(&record["end"]).unwrap_or("goes on").replace('_', " ");
    format!("{end}{}{}{took}", named(record), error.unwrap_or_default())
}

fn call_as(record: &Value) -> String {
    let method = text(&record["method"]).map(|method| format!(" {method}")).unwrap_or_default();
    format!("{}{method}{}", text(&record["channel"]).unwrap_or("?"), site(record))
}

/// What the other end is called, and how that is known.
fn named(record: &Value) -> String {
    let destination = &record["destination"];
    let (name, source) = (text(&destination["name"]), text(&destination["named_by"]));
    name.zip(source).map(|(name, source)| format!(" {name} ({source})")).unwrap_or_default()
}

fn site(record: &Value) -> String {
    text(&record["attribution"]["site"]).map(|site| format!(" at {site}")).unwrap_or_default()
}

fn contradiction(record: &Value) -> &'static str {
    let none = record["attribution"]["contradictions"].as_array().is_none_or(Vec::is_empty);
    if none { "" } else { " CONTRADICTION" }
}

/// Hours to microseconds: the date is in the JSON.
fn clock(record: &Value) -> String {
    let time = text(&record["time"]).unwrap_or("?");
    time.split_once('T').map_or(time, |(_, clock)| clock).trim_end_matches('Z').to_owned()
}

fn process(process: &Value) -> String {
    match process["tgid"].as_u64() {
        Some(0) | None => "-".into(),
        Some(tgid) => format!("{}/{tgid}", text(&process["comm"]).unwrap_or("?")),
    }
}

fn endpoint(opened: &Value) -> String {
    let Some(address) = text(&opened["remote"]["address"]) else {
        return "-".into();
    };
    let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let arrow = if opened["direction"] == "in" { "<-" } else { "->" };
    format!("{arrow} {} {address}:{}", text(&opened["protocol"]).unwrap_or("?"), opened["remote"]["port"])
}

fn bytes(value: &Value) -> String {
    value.as_u64().map_or_else(|| "?".into(), |bytes| bytes.to_string())
}

fn span(ns: u64) -> String {
    let (whole, part, unit) = match ns {
        0..1_000_000 => (ns / 1_000, ns % 1_000 / 100, "µs"),
        1_000_000..1_000_000_000 => (ns / 1_000_000, ns % 1_000_000 / 100_000, "ms"),
        _ => (ns / 1_000_000_000, ns % 1_000_000_000 / 100_000_000, "s"),
    };
    format!("{whole}.{part} {unit}")
}

fn text(value: &Value) -> Option<&str> {
    value.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{row, span};

    #[test]
    fn an_ended_flow_is_one_line_with_all_that_was_asked() {
        let opened = json!({
            "direction": "out", "protocol": "tcp", "remote": {"address": "192.0.2.7", "port": 443},
            "process": {"tgid": 17, "comm": "odoo"}, "attribution": {"label": "matched", "module": "vendor_demo"},
        });
        let record = json!({
            "class": "flow_ended", "time": "2026-11-24T08:00:01.250000Z", "sent": 120, "received": 3000,
            "end": "closed", "duration_ns": 2_500_000, "error": null, "opened": opened,
            "destination": {"name": "erp.example.com", "named_by": "dns"},
        });
        let line = row(&record, false).expect("it is traffic");
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        assert_eq!(
            words.join(" "),
            "08:00:01.250000 vendor_demo matched odoo/17 -> tcp 192.0.2.7:443 120 3000 closed erp.example.com (dns) after 2.5 ms"
        );
    }

    #[test]
    fn what_was_not_measured_is_not_zero() {
        let line = row(&json!({"class": "flow_ended", "sent": null, "received": null, "end": "not_watched"}), false);
        assert!(line.is_some_and(|line| line.contains("?           ?  not watched")));
    }

    #[test]
    fn what_is_no_traffic_is_shown_only_on_request() {
        let seal = json!({"class": "seal", "captured": 3, "lost": {}});
        assert!(row(&seal, false).is_none() && row(&seal, true).is_some());
    }

    #[test]
    fn what_is_guarded_is_shown_with_the_traffic() {
        let of = |what: &str, about: Value| {
            let mut record = json!({
                "class": "guard", "time": "2026-11-24T08:00:01.250000Z", "what": what,
                "process": {"tgid": 17, "comm": "odoo"}, "attribution": {"label": "matched", "module": "vendor"},
            });
            record.as_object_mut().expect("an object").extend(about.as_object().cloned().expect("an object"));
            let line = row(&record, false).expect("it is shown");
            line.split_once("GUARDED ").expect("it says so").1.to_owned()
        };
        let target = json!({"target": {"tgid": 9, "comm": "postgres"}});
        assert_eq!(of("raw_socket", json!({"protocol": "icmp"})), "a raw socket for icmp");
        assert_eq!(of("packet_socket", json!({"protocol": null})), "a packet socket");
        assert_eq!(of("stolen_descriptor", target.clone()), "a descriptor taken out of postgres/9");
        assert_eq!(of("ptrace", target), "a hold on postgres/9, as a debugger has it");
    }

    #[test]
    fn spans_are_short() {
        for (ns, text) in [(900, "0.9 µs"), (1_500_000, "1.5 ms"), (61_250_000_000, "61.2 s")] {
            assert_eq!(span(ns), text);
        }
    }
}
