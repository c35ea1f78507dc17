//! `auditor verify`, and the process that it starts to read.

use anyhow::Context as _;
use auditor_common::note::VerifierKey;
use indicatif::{ProgressBar, ProgressStyle};

use crate::config::Places;
use crate::nightly::yield_to_others;
use crate::verify::{Progress, Request, child, in_child, reader};

/// Verifies the ledger in a process of its own, and prints what that found.
pub(super) fn print(places: &Places, as_json: bool, root_key: Option<&str>) -> anyhow::Result<u8> {
    // A key that cannot be read is the caller's to correct, before anything is started.
    let _ = parse(root_key)?;
    let mut command = reader(&places.state);
    if let Some(root_key) = root_key {
        command.arg("--root-key").arg(root_key);
    }
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {human_pos} records, {per_sec}  {msg}")?);
    let report = in_child(command, &mut |progress| match progress {
        Progress::Segment { path, .. } => bar.set_message(path.display().to_string()),
        Progress::Records(count) => bar.set_position(count),
    });
    bar.finish_and_clear();
    let report = report?;
    if as_json {
        println!("{}", report.to_json());
    } else {
        print!("{}", report.to_text());
    }
    Ok(report.exit())
}

/// Reads the ledger, and says line by line how far it is.
pub(super) fn read(places: &Places, root_key: Option<&str>, gently: bool) -> anyhow::Result<u8> {
    if gently {
        yield_to_others();
    }
    let request = Request { state: places.state.clone(), pinned: parse(root_key)?, incarnation: None };
    Ok(child(&request))
}

fn parse(root_key: Option<&str>) -> anyhow::Result<Option<VerifierKey>> {
    let parsed = root_key.map(VerifierKey::parse).transpose();
    parsed.context("--root-key: give the whole line that `auditor keys` prints after \"root\"")
}
