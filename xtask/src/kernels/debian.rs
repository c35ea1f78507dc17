//! Kernels out of Debian's packages: the newest that each suite has for virtual machines.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use xtask::process::{self, say};
use xtask::suite_apt::SuiteApt;

/// One long-term kernel each, and the newest there is.
const SUITES: &[&str] = &["bookworm", "trixie", "sid"];

/// The name without a version that each suite has.
const NEWEST: &str = "linux-image-cloud-amd64";

/// A kernel that can be booted.
pub(super) struct Kernel {
    /// As `uname -r` has it.
    pub(super) release: String,
    /// Compressed, as the emulator takes it.
    pub(super) file: PathBuf,
}

/// One for each suite; what was downloaded once stays.
pub(super) fn kernels(home: &Path) -> Result<Vec<Kernel>> {
    SUITES.iter().map(|suite| kernel(&home.join(suite), suite)).collect()
}

fn kernel(home: &Path, suite: &str) -> Result<Kernel> {
    if let Some(kernel) = find(home)? {
        return Ok(kernel);
    }
    let apt = SuiteApt::prepare(&home.join("apt"), suite)?;
    say("kernels", &format!("downloading the newest kernel of Debian {suite}"));
    process::output(apt.get().arg("update"))?;
    let image = dependency(&apt, NEWEST, "linux-image-")?;
    // Newer suites keep the kernel itself in a package of its own.
    let package = dependency(&apt, &image, "linux-binary-").unwrap_or(image);
    process::output(apt.get().current_dir(home).args(["download", &package]))?;
    for deb in fs::read_dir(home)?.flatten().map(|entry| entry.path()) {
        if deb.extension().is_some_and(|extension| extension == "deb") {
            process::output(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(home.join("root")))?;
            fs::remove_file(deb)?;
        }
    }
    find(home)?.with_context(|| format!("{package} holds no kernel"))
}

fn dependency(apt: &SuiteApt, package: &str, prefix: &str) -> Result<String> {
    let told = process::output(apt.cache().args(["depends", package]))?;
    let mut names = told.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    let found = names.find(|name| name.starts_with(prefix));
    found.map(str::to_owned).with_context(|| format!("{package} depends on no {prefix}…"))
}

fn find(home: &Path) -> Result<Option<Kernel>> {
    for folder in ["root/boot", "root/usr/lib/modules"].map(|folder| home.join(folder)) {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(release) = name.strip_prefix("vmlinuz-") {
                return Ok(Some(Kernel { release: release.to_owned(), file: path }));
            }
            let inside = path.join("vmlinuz");
            if inside.is_file() {
                return Ok(Some(Kernel { release: name, file: inside }));
            }
        }
    }
    Ok(None)
}
