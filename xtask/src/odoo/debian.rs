//! Odoo's files: from Debian's unstable suite, which has a package of Odoo 19.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::VERSION;
use crate::packages;
use crate::process::{self, say};
use crate::suite_apt::SuiteApt;

const PACKAGE: &str = "odoo-19";
const SHA256: &str = "9d2f598b0555db17e291d48ed24df184c70823c053c4c5ed53c467ca7f629bbf";

/// What Odoo's package links into: icons, fonts and jQuery. They come from the machine's own suite, since Odoo names the
/// files of Font Awesome 4.7 and the unstable suite has a later one. All links are relative, so unpacking mends them.
const COMPANIONS: &[&str] = &[
    "fonts-font-awesome",
    "fonts-roboto-unhinted",
    "fonts-ocr-b",
    "libjs-jquery",
    "libjs-jquery-form",
    "libjs-underscore",
];

/// Unpacks everything into `home/root`. What was downloaded stays, so that this can be done again without a network.
pub fn unpack(home: &Path) -> Result<()> {
    let debs = home.join("debs");
    fs::create_dir_all(&debs)?;
    fetch_odoo(home, &debs)?;
    fetch_companions(&debs)?;
    say("odoo", "unpacking");
    let root = home.join("root.new");
    remove(&root)?;
    fs::create_dir_all(&root)?;
    for deb in fs::read_dir(&debs)? {
        let deb = deb?.path();
        if deb.extension().is_some_and(|extension| extension == "deb") {
            process::output(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&root))?;
        }
    }
    trim(&root)?;
    remove(&home.join("root"))?;
    fs::rename(root, home.join("root")).context("the unpacked files cannot be put in place")
}

fn fetch_odoo(home: &Path, debs: &Path) -> Result<()> {
    let deb = debs.join(format!("{PACKAGE}.deb"));
    if deb.is_file() && digest(&deb)? == SHA256 {
        return Ok(());
    }
    let apt = SuiteApt::prepare(&home.join("apt"), "sid").with_context(|| by_hand(&deb))?;
    say("odoo", "reading the index of Debian's unstable suite (11 MB)");
    process::output(apt.get().arg("update"))?;
    say("odoo", &format!("downloading {PACKAGE} (123 MB)"));
    let pinned = format!("{PACKAGE}={VERSION}");
    if process::output(apt.get().current_dir(debs).args(["download", &pinned])).is_err() {
        process::output(apt.get().current_dir(debs).args(["download", PACKAGE])).with_context(|| {
            format!("Debian's unstable suite no longer has {PACKAGE}, so Odoo cannot be set up; {}", by_hand(&deb))
        })?;
    }
    fs::rename(downloaded(debs)?, &deb)?;
    if digest(&deb)? != SHA256 {
        let version = process::output(Command::new("dpkg-deb").arg("-f").arg(&deb).arg("Version"))?;
        say("odoo", &format!("WARNING: this is {version}, not the build that was tried ({VERSION})"));
    }
    Ok(())
}

fn by_hand(deb: &Path) -> String {
    format!("by hand: put the package {PACKAGE} {VERSION} at {} and run this again", deb.display())
}

fn downloaded(debs: &Path) -> Result<PathBuf> {
    let prefix = format!("{PACKAGE}_");
    let found = fs::read_dir(debs)?.flatten().find(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
    Ok(found.context("apt-get download left no file")?.path())
}

fn fetch_companions(debs: &Path) -> Result<()> {
    let have: Vec<String> =
        fs::read_dir(debs)?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let is_there = |name: &str| have.iter().any(|file| file.starts_with(&format!("{name}_")));
    let wanted: Vec<&str> = COMPANIONS.iter().copied().filter(|name| !is_there(name)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    if process::output(Command::new("apt-cache").args(["show", "--no-all-versions"]).args(&wanted)).is_err() {
        packages::refresh("odoo")?;
    }
    say("odoo", &format!("downloading {} packages of icons, fonts and scripts (3 MB)", wanted.len()));
    let mut apt = Command::new("apt-get");
    apt.args(["-q", "-o", "APT::Sandbox::User=root", "download"]).args(&wanted).current_dir(debs);
    process::output(&mut apt)?;
    Ok(())
}

/// Leaves out what nothing here reads: translations (0.85 of 1.2 GB) and a second, Python-only copy of the addons that
/// Odoo would otherwise put on its path.
fn trim(root: &Path) -> Result<()> {
    let site = root.join("usr/lib/python3/dist-packages");
    remove(&site.join("addons"))?;
    for addon in fs::read_dir(site.join("odoo/addons")).context("the package has no addons")?.flatten() {
        for folder in ["i18n", "i18n_extra"] {
            let translations = addon.path().join(folder);
            if translations.is_dir() {
                remove(&translations)?;
            }
        }
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", folder.display()))
        }
        _ => Ok(()),
    }
}

fn digest(file: &Path) -> Result<String> {
    let bytes = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(super::staging::hex(&super::staging::digest_of(&bytes)))
}
