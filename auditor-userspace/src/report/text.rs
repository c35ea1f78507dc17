//! A report for people at a terminal: one calm screen.

use std::fmt::Write as _;

use super::Report;
use super::code::Issued;
use super::panels::{DestinationLine, ModuleLine};
use super::reason::{Filter, Moment, Reason, Severity, Verdict, counted, thousands};
use crate::destination::Class;
use crate::serve::wire;

/// At most this many destinations and modules are shown; the JSON has more.
const SHOWN: usize = 10;
const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/// The whole screen.
#[must_use]
pub fn screen(report: &Report) -> String {
    let mut text = String::new();
    heading(&mut text, report);
    reasons(&mut text, report);
    figures(&mut text, report);
    destinations(&mut text, &report.destinations, report.destinations_left_out, SHOWN);
    modules(&mut text, &report.modules, report.modules_left_out, SHOWN);
    text
}

/// Every destination of a report, a line each.
#[must_use]
pub fn all_destinations(report: &Report) -> String {
    let mut text = String::new();
    destinations(&mut text, &report.destinations, report.destinations_left_out, usize::MAX);
    text.trim_start().to_owned()
}

/// Every module of a report, a line each.
#[must_use]
pub fn all_modules(report: &Report) -> String {
    let mut text = String::new();
    modules(&mut text, &report.modules, report.modules_left_out, usize::MAX);
    text.trim_start().to_owned()
}

/// What a code stood for.
#[must_use]
pub fn issued(issued: &Issued) -> String {
    let whose = issued.instance.as_deref().unwrap_or("all instances of this host");
    let (verdict, at) = (issued.verdict.word(), second(issued.at));
    format!("{}: {verdict} for {whose}, at {at} UTC, with {} sealed", issued.code, counted(issued.size, "record"))
}

/// Writing to a text does not fail.
macro_rules! line {
    ($text:expr) => { $text.push('\n') };
    ($text:expr, $($what:tt)*) => {{
        let _ = write!($text, $($what)*);
        while $text.ends_with(' ') {
            $text.pop();
        }
        $text.push('\n');
    }};
}

fn heading(text: &mut String, report: &Report) {
    let word = match report.verdict {
        Verdict::AllClear => "ALL-CLEAR",
        Verdict::Attention => "ATTENTION",
        Verdict::Alarm => "ALARM",
    };
    line!(text, "{word:<58} code {}", report.code);
    let whose = report.instance.as_deref().unwrap_or("all instances of this host");
    let sealed = match report.checkpoint_size {
        Some(size) => format!("{} sealed", counted(size, "record")),
        None => "nothing sealed yet".to_owned(),
    };
    line!(text, "{whose}: {} to {} UTC, {sealed}", minute(report.from), minute(report.until));
    if let (Some(at), Some(summary)) = (report.verified, &report.verified_as) {
        line!(text, "verified {} UTC: {}", minute(at), printable(summary));
    }
    if let Some(until) = report.learning_until {
        line!(text, "new destinations are being learnt until {} UTC", minute(until));
    }
}

fn reasons(text: &mut String, report: &Report) {
    line!(text);
    if report.reasons.is_empty() {
        line!(text, "  nothing to report");
    }
    for reason in &report.reasons {
        let mark = match (&reason.acknowledged, reason.severity) {
            (Some(_), _) => "ok",
            (None, Severity::Alarm) => "!!",
            (None, Severity::Attention) => " !",
            (None, Severity::Note) => " -",
        };
        line!(text, "{mark} {}", reason.sentence);
        if let Some(ack) = &reason.acknowledged {
            line!(text, "     acknowledged {} by the {}: {}", minute(ack.at), ack.by, printable(&ack.text));
        } else if reason.severity > Severity::Note {
            let _ = last(text, reason);
        }
    }
}

/// When it was seen last, and how to see the records.
fn last(text: &mut String, reason: &Reason) -> Option<()> {
    let last = reason.last?;
    line!(text, "     last {} UTC    {}", second(last), command(&reason.filter));
    Some(())
}

/// The command that shows the records behind a reason, as far as its options go.
fn command(filter: &Filter) -> String {
    let mut command = "auditor events".to_owned();
    if !matches!(filter.kind.as_deref(), None | Some("event")) {
        command += " --all";
    }
    let options = [
        ("module", &filter.module),
        ("label", &filter.label),
        ("direction", &filter.direction),
        ("guard", &filter.guard),
    ];
    for (option, value) in options.into_iter().filter_map(|(option, value)| Some((option, value.as_deref()?))) {
        let _ = write!(command, " --{option} {value}");
    }
    if let Some(since) = filter.since {
        let _ = write!(command, " --since {}", wire::time(since.0).get(..19).unwrap_or_default());
        command.push('Z');
    }
    command
}

fn figures(text: &mut String, report: &Report) {
    let cards = &report.cards;
    let mut parts = vec![format!("{} in all", thousands(cards.total))];
    parts.extend(cards.bound.iter().map(|bound| format!("{}-bound {}", bound.vendor, thousands(bound.operations))));
    parts.push(format!("third parties {}", thousands(cards.third_party)));
    parts.push(format!("seen only by the kernel {}", thousands(cards.kernel_only)));
    parts.push(format!("the auditor's own {}", thousands(cards.self_egress)));
    line!(text);
    line!(text, "operations: {}", parts.join(", "));
    if cards.unmeasured > 0 {
        line!(text, "bytes were not measured for {}", counted(cards.unmeasured, "flow"));
    }
    if cards.unrecorded > 0 {
        line!(text, "by policy not recorded, and in none of the figures: {}", thousands(cards.unrecorded));
    }
    line!(text);
    line!(text, "{:<14} {:<4} {:>11} {:>11} {:>11}", "TRAFFIC", "", "OPERATIONS", "SENT", "RECEIVED");
    for share in &report.shares {
        line!(
            text,
            "{:<14} {:<4} {:>11} {:>11} {:>11}",
            share.class.map_or("no flow seen", class),
            share.direction,
            thousands(share.operations),
            measured(share.sent, share.unmeasured),
            measured(share.received, share.unmeasured),
        );
    }
}

fn destinations(text: &mut String, lines: &[DestinationLine], left_out: u64, shown: usize) {
    if lines.is_empty() {
        return;
    }
    line!(text);
    line!(text, "{:<36} {:<14} {:>10} {:>10}  {}", "DESTINATION", "", "OPERATIONS", "SENT", "MODULES");
    for line in lines.iter().take(shown) {
        let port = line.port.map(|port| format!(":{port}")).unwrap_or_default();
        let modules = if line.modules.is_empty() { "-".to_owned() } else { line.modules.join(", ") };
        line!(
            text,
            "{:<36} {:<14} {:>10} {:>10}  {}",
            printable(&format!("{}{port}", line.destination)),
            class(line.class),
            thousands(line.operations),
            measured(line.sent, line.unmeasured),
            printable(&modules),
        );
    }
    more(text, lines.len(), left_out, shown);
}

fn modules(text: &mut String, lines: &[ModuleLine], left_out: u64, shown: usize) {
    if lines.is_empty() {
        return;
    }
    line!(text);
    line!(text, "{:<36} {:<14} {:>10} {:>10}  {}", "MODULE", "", "OPERATIONS", "SENT", "FIRST SEEN");
    for line in lines.iter().take(shown) {
        let what = match (line.opaque, &line.vendor) {
            (Some(true), _) => "opaque",
            (_, Some(_)) => "watched",
            _ => "",
        };
        line!(
            text,
            "{:<36} {:<14} {:>10} {:>10}  {}",
            printable(&caller(line)),
            what,
            thousands(line.operations),
            measured(line.sent, line.unmeasured),
            line.first_seen.map(minute).unwrap_or_default(),
        );
    }
    more(text, lines.len(), left_out, shown);
}

/// Who called, or may have.
fn caller(line: &ModuleLine) -> String {
    let module = line.module.as_deref().unwrap_or("(nobody accounts for it)");
    line.suspects.as_ref().map_or_else(|| module.to_owned(), |it| format!("{module}, or native code of {it}"))
}

fn more(text: &mut String, listed: usize, left_out: u64, shown: usize) {
    let more = listed.saturating_sub(shown) as u64 + left_out;
    if more > 0 {
        line!(text, "… and {} more: see --json", thousands(more));
    }
}

const fn class(class: Class) -> &'static str {
    match class {
        Class::ThirdParty => "third party",
        other => other.word(),
    }
}

/// Names come from claims and from the network: nothing of them may steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}

fn minute(moment: Moment) -> String {
    wire::time(moment.0).get(..16).unwrap_or_default().replace('T', " ")
}

fn second(moment: Moment) -> String {
    wire::time(moment.0).get(..19).unwrap_or_default().replace('T', " ")
}

/// Bytes, "?" where nothing was measured, which is not zero.
fn measured(count: u64, unmeasured: u64) -> String {
    if count == 0 && unmeasured > 0 { "?".to_owned() } else { bytes(count) }
}

/// Bytes with three digits at most and a unit.
#[must_use]
pub fn bytes(count: u64) -> String {
    let (mut amount, mut unit) = (count as f64, 0);
    while amount >= 1000.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    if unit == 0 || amount >= 100.0 {
        format!("{amount:.0} {}", UNITS[unit])
    } else {
        format!("{amount:.1} {}", UNITS[unit])
    }
}
