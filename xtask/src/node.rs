//! What tests of pages want from npm: the rules of accessibility, and what turns style sheets from right to left.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::{self, say};
use crate::{odoo, paths};

/// Names with their versions: nothing here is part of what ships.
const PACKAGES: &[&str] = &["axe-core@4.14.1", "rtlcss@4.3.0"];

/// The folder of these packages; made once, where npm is installed.
pub fn modules() -> Result<PathBuf> {
    let npm = paths::program(&["npm"]).context("npm is not installed; apt-get install npm")?;
    let folder = paths::cache()?.join(format!("node-{}", PACKAGES.join("-")));
    let _lock = odoo::lock(&folder.with_extension("lock"))?;
    let done = folder.join(".done");
    if !done.is_file() {
        say("odoo", &format!("installing {}", PACKAGES.join(" ")));
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let mut command = Command::new(npm);
        command.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
        process::output(command.arg(&folder).args(PACKAGES))?;
        fs::write(done, "")?;
    }
    Ok(folder.join("node_modules"))
}
