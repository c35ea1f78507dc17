//! `auditor explain`: one record in plain words.

use std::fmt::Write as _;

use anyhow::bail;
use serde_json::Value;

use crate::attribute::reason;
use crate::client;
use crate::command::exit;
use crate::config::Places;
use crate::events;
use crate::report::text::printable;

/// Says what a record says, how that is known, and what it proves.
pub(super) fn run(places: &Places, seq: u64) -> anyhow::Result<u8> {
    let mut found = None;
    let question = client::path("/v1/records", &[("from", &seq.to_string()), ("limit", "1")]);
    client::lines(&places.api_socket(), &question, |record| {
        found = Some(record);
        false
    })?;
    let Some(record) = found.filter(|record| record["seq"] == seq) else {
        bail!("record {seq} is not there: it was removed by policy, or has yet to be recorded");
    };
    print!("{}", explain(&record));
    Ok(exit::FINE)
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn explain(record: &Value) -> String {
    let mut text = String::new();
    // Writing to a text does not fail.
    let mut line = |what: String| {
        let _ = writeln!(text, "{}", printable(&what));
    };
    let class = word(&record["class"]).replace('_', " ");
    line(format!("record {}: {class}, {}", record["seq"], word(&record["time"])));
    let flow = if record["opened"].is_object() { &record["opened"] } else { record };
    if flow["remote"].is_object() {
        line(format!("  the kernel saw: {}", seen(flow)));
    }
    if record["class"] == "guard" {
        line(format!("  the kernel saw: {} with {}", who(&record["process"]), events::guarded(record)));
        line("  ALARM: no ordinary Odoo does this".to_owned());
    }
    let later = if record["opened"].is_object() { &record["names"] } else { &Value::Null };
    for named in [&flow["names"], later].into_iter().filter_map(Value::as_array).flatten() {
        line(format!("  called: {} ({})", word(&named["name"]), how_named(word(&named["source"]))));
    }
    if let (Some(sent), Some(received)) = (record.get("sent"), record.get("received")) {
        line(format!("  payload: {} sent, {} received", counted(sent), counted(received)));
    }
    let attribution = [&record["attribution"], &flow["attribution"]].into_iter().find(|it| it.is_object());
    if let Some(attribution) = attribution {
        line(format!("  whose: {}", whose(attribution)));
        for (name, what) in [("site", "called at"), ("origin", "because of"), ("database", "for the database")] {
            if let Some(value) = attribution[name].as_str() {
                line(format!("  {what}: {value} (a claim)"));
            }
        }
        if attribution["contradictions"].as_array().is_some_and(|list| !list.is_empty()) {
            line("  CONTRADICTION: what was claimed is not what the kernel saw".to_owned());
        }
    }
    for (name, what) in
        [("detail", "what"), ("summary", "what"), ("cause", "what"), ("reason", "why"), ("note", "note")]
    {
        if let Some(value) = record[name].as_str() {
            line(format!("  {what}: {value}"));
        }
    }
    line(proof(record));
    text
}

fn seen(flow: &Value) -> String {
    let process = &flow["process"];
    let address = word(&flow["remote"]["address"]);
    let address = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
    let remote = format!("{address}:{}", flow["remote"]["port"]);
    let who = who(process);
    let protocol = word(&flow["protocol"]);
    match word(&flow["direction"]) {
        "in" => format!("{who} served {remote} over {protocol}"),
        _ => format!("{who} went to {remote} over {protocol}"),
    }
}

fn who(process: &Value) -> String {
    match process["tgid"].as_u64() {
        Some(tgid) if tgid > 0 => format!("process {tgid} ({})", process["comm"].as_str().unwrap_or("?")),
        _ => "an unknown process".to_owned(),
    }
}

fn how_named(source: &str) -> &'static str {
    match source {
        "dns" => "dns: an answer that this Odoo received, seen by the kernel",
        "sni" => "sni: the server's name in its TLS handshake, which the client writes, seen by the kernel",
        _ => "a claim: an answer of a name server that the process chose itself",
    }
}

fn counted(bytes: &Value) -> String {
    bytes.as_u64().map_or_else(|| "not measured".to_owned(), |bytes| format!("{bytes} bytes"))
}

fn whose(attribution: &Value) -> String {
    let module = attribution["module"].as_str().unwrap_or("no module");
    let how = match word(&attribution["label"]) {
        "matched" => {
            "matched: that very process claimed it for that very socket, or for the spawn that made the process"
        }
        "self_reported" => "self-reported: a claim that could not be bound to a socket or a spawn that the kernel saw",
        "inferred" => "inferred: nobody claims it, and something that the host knows explains it",
        _ => "absent: nobody says whose it is",
    };
    let reason = word(&attribution["reason"]);
    format!("{module}, {how} ({})", why(reason).unwrap_or(reason))
}

/// What the word of an attribution's reason stands for.
fn why(word: &str) -> Option<&'static str> {
    Some(match word {
        reason::COOKIE => "by the socket's cookie",
        reason::SPAWN => "by the spawn that began this branch of the process tree",
        reason::NO_CLAIM => "the process hands over claims, and there is none for this",
        reason::NO_RING => "the process has not handed over any claims",
        reason::INBOUND => "the other side opened it, and nobody said who serves it",
        reason::LISTENER => "the other side opened it, and no process has used it yet",
        reason::OPENED_BEFORE => "the socket was there before the auditor",
        reason::GENERATED => "the claim names code that came out of no file",
        reason::AMBIGUOUS => "native code, which leaves no trace, may have been the caller",
        reason::RESOLVER => "a look-up, by a name server of the process's own resolv.conf",
        reason::UNBOUND => "a claim without a socket that the kernel saw",
        _ => return None,
    })
}

fn proof(record: &Value) -> String {
    let (seq, run, epoch) = (&record["seq"], &record["run"], &record["epoch"]);
    if record["sealed"] == true {
        format!("  sealed, in run {run}, with the key of epoch {epoch}: `auditor prove {seq}` makes a proof of it")
    } else {
        format!("  durable, in run {run}, and not sealed yet: that comes within seconds")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::explain;

    #[test]
    fn a_flow_is_told_with_who_where_and_how_that_is_known() {
        let record = json!({
            "seq": 7, "class": "flow_opened", "time": "2026-11-24T08:00:00.000000Z", "sealed": true, "run": 2, "epoch": 3,
            "direction": "out", "protocol": "tcp", "remote": {"address": "192.0.2.7", "port": 443},
            "process": {"tgid": 17, "comm": "odoo"},
            "attribution": {"label": "matched", "module": "vendor", "site": "a.py:3 f\u{1b}[2J", "reason": "cookie"},
            "names": [{"name": "erp.example.com", "source": "dns"}],
        });
        let text = explain(&record);
        for expected in [
            "record 7: flow opened",
            "process 17 (odoo) went to 192.0.2.7:443 over tcp",
            "vendor, matched:",
            "(by the socket's cookie)",
            "called: erp.example.com (dns: an answer that this Odoo received, seen by the kernel)",
            "called at: a.py:3 f?[2J (a claim)",
            "`auditor prove 7`",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }

    #[test]
    fn what_no_ordinary_odoo_does_is_told_with_what_it_was() {
        let record = json!({
            "seq": 8, "class": "guard", "sealed": true, "run": 1, "what": "raw_socket", "protocol": "icmp",
            "process": {"tgid": 17, "comm": "odoo"}, "attribution": {"label": "absent", "reason": "no-claim"},
        });
        let text = explain(&record);
        assert!(text.contains("the kernel saw: process 17 (odoo) with a raw socket for icmp\n  ALARM"), "{text}");
    }

    #[test]
    fn what_ended_is_told_by_what_opened_it_and_what_was_not_measured_is_no_zero() {
        let record = json!({
            "seq": 9, "class": "flow_ended", "sealed": false, "run": 1, "sent": null, "received": 5,
            "opened": {
                "direction": "in", "protocol": "udp", "remote": {"address": "::1", "port": 53}, "process": {"tgid": 0},
                "attribution": {"label": "absent", "module": null, "reason": "no_claim"},
            },
        });
        let text = explain(&record);
        assert!(text.contains("an unknown process served [::1]:53 over udp"), "{text}");
        assert!(text.contains("not measured sent, 5 bytes received"), "{text}");
        assert!(text.contains("no module, absent: nobody says") && text.contains("not sealed yet"), "{text}");
    }
}
