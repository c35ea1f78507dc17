//! `auditor check`, and the process that it starts to read: damage to a file can end the process that reads it.

use std::process::Stdio;
use std::sync::atomic::Ordering;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::command::exit;
use crate::config::Places;
use crate::report::reason::counted;
use crate::store::{Fault, Inspection, StoreError, check};
use crate::verify::{again, confine, end};

/// Has the store checked in a process of its own.
pub(super) fn run(places: &Places, as_json: bool) -> anyhow::Result<u8> {
    let mut command = again(&places.state, "check-ledger");
    command.stdin(Stdio::null());
    if as_json {
        command.arg("--json");
    }
    let status = command.status().context("cannot start this program again")?;
    if let Some(code) = status.code().filter(|code| (0..=5).contains(code)) {
        return Ok(code as u8);
    }
    let sentence = format!("the store cannot be read: the reader {}", end(status));
    if as_json {
        println!("{}", json!({"exit": exit::TAMPERED, "faults": [{"file": places.state, "what": sentence}]}));
    } else {
        println!("damaged: {sentence}");
    }
    Ok(exit::TAMPERED)
}

/// Checks the store, and says what it found.
pub(super) fn read(places: &Places, as_json: bool) -> anyhow::Result<u8> {
    // What a panic prints is for us, not for people: the parent says what happened.
    std::panic::set_hook(Box::new(|_| {}));
    let told = confine();
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {human_pos} records, {per_sec}")?);
    let outcome = check(&places.state, &mut |records| {
        told.fetch_add(1, Ordering::Relaxed);
        bar.set_position(records);
    });
    bar.finish_and_clear();
    let (found, code) = match outcome {
        Ok(found) if found.faults.is_empty() => (found, exit::FINE),
        Ok(found) => (found, exit::TAMPERED),
        Err(StoreError::Corrupt { path, detail }) => {
            (Inspection { faults: vec![Fault { path, what: detail }], ..Inspection::default() }, exit::TAMPERED)
        }
        Err(error @ StoreError::NewerSchema { .. }) => {
            eprintln!("auditor: {error}");
            return Ok(exit::UNVERIFIABLE);
        }
        Err(error) => return Err(error.into()),
    };
    println!("{}", if as_json { line(&found, code) } else { text(&found) });
    Ok(code)
}

fn line(found: &Inspection, code: u8) -> String {
    let faults: Vec<_> = found.faults.iter().map(|it| json!({"file": it.path, "what": it.what})).collect();
    json!({
        "exit": code,
        "origin": found.origin,
        "segments": found.segments,
        "records": found.records,
        "tiles": found.tiles,
        "checkpoints": found.checkpoints,
        "epochs": found.epochs,
        "faults": faults,
    })
    .to_string()
}

fn text(found: &Inspection) -> String {
    if found.faults.is_empty() {
        return format!(
            "consistent: {} in {} of {}; {}, {} and {} are what the records give\n\
             (whether the records are those that were signed, `auditor verify` says)",
            counted(found.records, "record"),
            counted(found.segments, "segment"),
            found.origin,
            counted(found.tiles, "subtree"),
            counted(found.checkpoints, "checkpoint"),
            counted(found.epochs, "epoch note"),
        );
    }
    let faults: Vec<String> = found.faults.iter().map(|it| format!("{}: {}", it.path.display(), it.what)).collect();
    format!("damaged: {}\n{}", counted(found.faults.len() as u64, "fault"), faults.join("\n"))
}
