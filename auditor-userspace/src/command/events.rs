//! `auditor events`.

use std::io::Write as _;

use serde_json::Value;

use crate::cli::{Direction, EventsArgs, LabelArg, Output, WhichArgs};
use crate::command::exit;
use crate::config::Places;
use crate::{client, clock, events};

/// Prints what was recorded, and with `--follow` what comes.
pub(super) fn print(places: &Places, asked: &EventsArgs) -> anyhow::Result<u8> {
    let mut out = std::io::stdout().lock();
    if asked.output == Output::Table {
        writeln!(out, "{}", events::HEADING)?;
    }
    let mut failed = None;
    client::lines(&places.api_socket(), &question(&asked.which, asked.guard.as_deref(), asked.follow), |record| {
        match line(asked, &record) {
            None => true,
            Some(line) => {
                let written = writeln!(out, "{line}").and_then(|()| out.flush());
                failed = written.err();
                failed.is_none()
            }
        }
    })?;
    failed.map_or(Ok(exit::FINE), |error| Err(error.into()))
}

fn line(asked: &EventsArgs, record: &Value) -> Option<String> {
    match asked.output {
        Output::Json => Some(record.to_string()),
        Output::Table => events::row(record, asked.all),
    }
}

/// Which records, as the daemon is asked for them.
pub(super) fn question(which: &WhichArgs, guard: Option<&str>, follow: bool) -> String {
    let mut query: Vec<(&str, String)> = Vec::new();
    if let Some(since) = which.since {
        query.push(("since_ns", since.wall_ns(clock::now().wall_ns).to_string()));
    }
    if let Some(module) = &which.module {
        query.push(("module", module.clone()));
    }
    if let Some(label) = which.label {
        query.push(("label", label_word(label).into()));
    }
    if let Some(direction) = which.direction {
        query.push(("direction", if direction == Direction::In { "in" } else { "out" }.into()));
    }
    if let Some(instance) = &which.instance {
        query.push(("instance", instance.clone()));
    }
    if let Some(guard) = guard {
        query.push(("guard", guard.to_owned()));
    }
    let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    client::path(if follow { "/v1/events" } else { "/v1/records" }, &query)
}

const fn label_word(label: LabelArg) -> &'static str {
    match label {
        LabelArg::Matched => "matched",
        LabelArg::SelfReported => "self_reported",
        LabelArg::Inferred => "inferred",
        LabelArg::Absent => "absent",
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::question;
    use crate::cli::{Cli, Command};

    fn check(typed: &str, asks: &str) {
        let cli = Cli::try_parse_from(typed.split(' ')).expect("it can be typed");
        let Command::Events(asked) = cli.command else { panic!("it is about events") };
        assert_eq!(question(&asked.which, asked.guard.as_deref(), asked.follow), asks);
    }

    #[test]
    fn what_is_typed_becomes_a_question() {
        check("auditor events", "/v1/records?");
        check("auditor events -f --module a&b", "/v1/events?module=a%26b");
        check("auditor events --label self_reported --direction in", "/v1/records?label=self_reported&direction=in");
        check("auditor events --instance a --label absent", "/v1/records?label=absent&instance=a");
        check("auditor events --guard raw_socket", "/v1/records?guard=raw_socket");
        check("auditor events --since 1970-01-01T00:00:01Z", "/v1/records?since_ns=1000000000");
    }
}
