//! The addon as people install it: a tree and an archive for each series of Odoo, and its words in other languages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::odoo::postgres::Cluster;
use crate::odoo::serve::Server;
use crate::odoo::staging::Addons;
use crate::odoo::{Installation, database};
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

/// The addon's folder, relative to the checkout.
pub const FOLDER: &str = "odoo_addon/mit_network_audit";
/// What can be translated, relative to the checkout.
pub const TEMPLATE: &str = "odoo_addon/mit_network_audit/i18n/mit_network_audit.pot";
/// Takes an export over into the translations, and checks these.
const TRANSLATIONS: &str = "odoo_addon/translations.py";

/// What can be translated, as Odoo itself exports it; without its moment, so that equal terms are equal text.
pub fn exported_terms(installation: &Installation, checkout: &Path) -> Result<String> {
    Cluster::new(installation)?.start()?;
    let addons = Addons::stage(installation, checkout)?;
    let template = database::template_with(installation, &addons)?;
    let name = format!("terms-{}", std::process::id());
    database::clone(installation, &template, &name)?;
    let exported = export(installation, &Server::new(&name, &name).with_addons(&addons));
    database::remove(installation, &name)?;
    exported
}

fn export(installation: &Installation, server: &Server) -> Result<String> {
    let mut odoo = installation.command();
    odoo.arg(installation.script()).args(["i18n", "export", "-d", &server.database, "-l", "pot", "-o", "-", "-c"]);
    odoo.arg(server.configure(installation)?).arg(FOLDER.rsplit('/').next().unwrap_or_default());
    let text = process::output(&mut odoo)?;
    Ok(text.lines().filter(|line| !is_moment(line)).fold(String::new(), |text, line| text + line + "\n"))
}

fn is_moment(line: &str) -> bool {
    line.starts_with("\"POT-Creation-Date:") || line.starts_with("\"PO-Revision-Date:")
}

/// Writes the template anew and takes it over into the translations, whose finished sentences stay.
pub fn translate(installation: &Installation, checkout: &Path) -> Result<()> {
    let path = checkout.join(TEMPLATE);
    fs::create_dir_all(path.parent().context("a template has a folder")?)?;
    fs::write(&path, exported_terms(installation, checkout)?)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    translations(installation, checkout, "merge")
}

/// Looks whether every translation is complete, with the same places to be filled in as its original.
pub fn check_translations(installation: &Installation, checkout: &Path) -> Result<()> {
    translations(installation, checkout, "check")
}

/// With Odoo's own Python, which has a library for the format.
fn translations(installation: &Installation, checkout: &Path, task: &str) -> Result<()> {
    let folder = checkout.join(TEMPLATE).with_file_name("");
    process::run(Command::new(installation.python()).arg("-B").arg(checkout.join(TRANSLATIONS)).arg(task).arg(folder))
}
