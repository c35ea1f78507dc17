//! Packages from npm, for linters and for tests of pages: nothing of them is part of what ships.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::{self, say};
use crate::{odoo, paths};

/// The rules of accessibility, and what turns style sheets from right to left.
pub const PAGES: &[&str] = &["axe-core@4.14.1", "rtlcss@4.3.0"];

/// The folder of these packages, named with their versions; made once, where npm is installed. Two that make it wait for
/// each other.
pub fn modules(purpose: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = paths::cache()?.join(format!("node-{}", packages.join("-")));
    let _lock = odoo::lock(&folder.with_extension("lock"))?;
    let done = folder.join(".done");
    if !done.is_file() {
        let npm = paths::program(&["npm"]).context("there is no npm; on Debian: apt-get install npm")?;
        say(purpose, &format!("installing {}", packages.join(" ")));
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let mut command = Command::new(npm);
        command.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
        process::output(command.arg(&folder).args(packages))?;
        fs::write(done, "")?;
    }
    Ok(folder.join("node_modules"))
}
