//! `auditor keys` and `auditor init`.

use std::path::Path;

use auditor_common::epoch::{EpochNote, SignedEpoch};
use serde_json::json;

use crate::client;
use crate::clock;
use crate::command::exit;
use crate::config::Places;
use crate::key;
use crate::serve::wire;
use crate::store::default_node;
use crate::store::disk::Files;

/// So many epochs are shown to people, the newest.
const SHOWN: usize = 24;

/// Makes a node's keys; the root key's private half goes into a file of its own, to be taken off the machine.
pub(super) fn init(places: &Places, root_key: &Path) -> anyhow::Result<u8> {
    let root = key::init(&Files, &places.state, &default_node(), Some(root_key), clock::now().wall_ns)?;
    println!("{root}");
    eprintln!("This is the root key's public half: pin it where the ledger will be verified.");
    eprintln!("Its private half is in {}: take that file off this machine now.", root_key.display());
    Ok(exit::FINE)
}

/// Has the next epoch begin.
pub(super) fn rotate(places: &Places) -> anyhow::Result<u8> {
    let done = client::post(&places.api_socket(), "/v1/ledger/rotate", &json!({}))?;
    println!("another key signs from record {} on; the one before is erased", done["size"]);
    Ok(exit::FINE)
}

/// How far the newest epoch reaches: what only its key and the log's vouch for, and both are on this host.
struct Exposure {
    /// From this record on.
    from: u64,
    /// For so long, nanoseconds.
    ns: u64,
}

impl Exposure {
    fn of(newest: &EpochNote, now_wall_ns: u64) -> Self {
        Self { from: newest.start, ns: now_wall_ns.saturating_sub(newest.not_before.saturating_mul(1_000_000_000)) }
    }

    /// "3.2 s", "42 min", "2.5 h", "3 days".
    fn span(&self) -> String {
        let seconds = self.ns as f64 / 1e9;
        match seconds {
            ..60.0 => format!("{seconds:.1} s"),
            ..3600.0 => format!("{:.0} min", seconds / 60.0),
            ..172_800.0 => format!("{:.1} h", seconds / 3600.0),
            _ => format!("{:.0} days", seconds / 86_400.0),
        }
    }
}

/// Prints who signs.
pub(super) fn print(places: &Places, as_json: bool) -> anyhow::Result<u8> {
    let root = key::read_root(&places.state)?;
    let node = key::read_node(&places.state)?;
    let log = node.verify(&root)?;
    let mut epochs = Vec::new();
    for incarnation in 1.. {
        match key::read_epochs(&places.state, incarnation) {
            Ok(notes) => epochs.extend(notes),
            Err(_) => break,
        }
    }
    let exposure = epochs.last().map(|newest| Exposure::of(&newest.epoch, clock::now().wall_ns));
    if as_json {
        let exposure = exposure.map(|it| json!({"from": it.from, "ns": it.ns}));
        let epochs: Vec<_> = epochs.iter().map(line).collect();
        let found = json!({"root": root.to_string(), "log": log.to_string(), "epochs": epochs, "exposure": exposure});
        println!("{found}");
        return Ok(exit::FINE);
    }
    println!("root   {root}");
    println!("log    {log}");
    for SignedEpoch { epoch, .. } in epochs.iter().rev().take(SHOWN).rev() {
        let since = wire::time(epoch.not_before.saturating_mul(1_000_000_000));
        let since = since.get(..19).unwrap_or_default();
        println!("epoch  {} from record {} and {since}Z on: {}", epoch.epoch, epoch.start, epoch.key);
    }
    if epochs.len() > SHOWN {
        println!(
            "       and {} before them, each erased when it had signed the next: see --json",
            epochs.len() - SHOWN
        );
    }
    if let Some(exposure) = exposure {
        println!(
            "\nthe last {} depend on this host alone: whoever takes it now could write records from {} on anew, and none\n\
             before (unless they were seen elsewhere meanwhile: an export, a checkpoint); `auditor keys rotate` ends that",
            exposure.span(),
            exposure.from
        );
    }
    eprintln!(
        "\nPin the root key, by a way that this machine does not control: what it vouches for can be proven then."
    );
    Ok(exit::FINE)
}

fn line(epoch: &SignedEpoch) -> serde_json::Value {
    let note = &epoch.epoch;
    json!({
        "origin": note.origin.to_string(),
        "epoch": note.epoch,
        "start": note.start,
        "not_before": note.not_before,
        "key": note.key.to_string(),
        "signed_by": epoch.signed_by(),
    })
}

#[cfg(test)]
mod tests {
    use super::Exposure;

    fn check(ns: u64, expected: &str) {
        assert_eq!(Exposure { from: 0, ns }.span(), expected);
    }

    #[test]
    fn how_long_a_key_has_signed_is_told_in_the_unit_that_fits() {
        check(3_200_000_000, "3.2 s");
        check(2_520_000_000_000, "42 min");
        check(9_000_000_000_000, "2.5 h");
        check(259_200_000_000_000, "3 days");
    }
}
