//! `auditor prove`: one record, and where it lies in the tree that the log signed. It needs no daemon: everything that is
//! in the proof was signed before.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::command::exit;
use crate::config::Places;
use crate::export;
use crate::key;
use crate::store::schema::ledger_folder;
use crate::store::{HeadState, Reader, StoreTree, read_head};

/// Prints a proof, or writes it to a file.
pub(super) fn run(places: &Places, seq: u64, output: Option<&Path>) -> anyhow::Result<u8> {
    let proof = prove(&places.state, seq)?.to_string();
    let Some(path) = output else {
        print!("{proof}");
        return Ok(exit::FINE);
    };
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| file.write_all(proof.as_bytes()).and_then(|()| file.sync_all()));
    written.with_context(|| format!("cannot make {}", path.display()))?;
    let log = key::read_node(&places.state)?.log.clone();
    println!("{}: record {seq}, {} bytes", path.display(), proof.len());
    eprintln!("\nWhoever gets it verifies it without us:\n  auditor-verify --key '{log}' {}", path.display());
    Ok(exit::FINE)
}

fn prove(state: &Path, seq: u64) -> anyhow::Result<auditor_common::proof::ProofFile> {
    let incarnation = match read_head(&state.join("head"))? {
        HeadState::Newest(signed) => signed.checkpoint.origin.incarnation(),
        HeadState::Empty => bail!("there is no ledger in {}: start `auditor run` first", state.display()),
        HeadState::Damaged => bail!("the head file in {} cannot be read: `auditor verify` says more", state.display()),
    };
    let mut reader = Reader::on_files(&ledger_folder(state, incarnation));
    let signed = reader.checkpoint()?.context("nothing is sealed yet: try again in a few seconds")?;
    let mut tree = StoreTree::new(reader.clone())?;
    Ok(export::prove(&mut reader, &mut tree, seq, &signed)?)
}
