//! The addon as people install it: a tree and an archive for each series of Odoo.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{process, python};

/// The generator, relative to the checkout: the standard library of Python is all that it needs.
const GENERATOR: &str = "odoo_addon/series.py";

/// Runs the generator, which prints where it wrote, or the faults that it found.
pub fn series(checkout: &Path, task: &str, folder: Option<&Path>) -> Result<()> {
    let mut command = Command::new(interpreter()?);
    command.arg("-B").arg(checkout.join(GENERATOR)).arg(task).args(folder);
    process::run(&mut command)
}

fn interpreter() -> Result<PathBuf> {
    let found = python::interpreters().into_values().next();
    found.context("no Python from 3.10 to 3.13 is installed; on Debian: apt-get install python3")
}
