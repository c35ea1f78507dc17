//! `auditor keys` and `auditor init`.

use std::path::Path;

use serde_json::json;

use crate::clock;
use crate::command::exit;
use crate::config::Places;
use crate::key;
use crate::store::default_node;
use crate::store::disk::Files;

/// Makes a node's keys; the root key's private half goes into a file of its own, to be taken off the machine.
pub(super) fn init(places: &Places, root_key: &Path) -> anyhow::Result<u8> {
    let root = key::init(&Files, &places.state, &default_node(), Some(root_key), clock::now().wall_ns)?;
    println!("{root}");
    eprintln!("This is the root key's public half: pin it where the ledger will be verified.");
    eprintln!("Its private half is in {}: take that file off this machine now.", root_key.display());
    Ok(exit::FINE)
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
    if as_json {
        let epochs: Vec<_> = epochs
            .iter()
            .map(|epoch| {
                let note = &epoch.epoch;
                json!({"origin": note.origin.to_string(), "epoch": note.epoch, "start": note.start, "key": note.key.to_string()})
            })
            .collect();
        println!("{}", json!({"root": root.to_string(), "log": log.to_string(), "epochs": epochs}));
        return Ok(exit::FINE);
    }
    println!("root   {root}");
    println!("log    {log}");
    for epoch in &epochs {
        println!("epoch  {} from record {}: {}", epoch.epoch.epoch, epoch.epoch.start, epoch.epoch.key);
    }
    eprintln!(
        "\nPin the root key, by a way that this machine does not control: what it vouches for can be proven then."
    );
    Ok(exit::FINE)
}
