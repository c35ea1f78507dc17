//! The programs of this project that the tests and `up` start: built when asked for.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::{self, say};
use crate::{ebpf, paths};

/// Set by `xtask test` for the tests: everything is built, do not look again.
pub const BUILT: &str = "NETWORK_AUDIT_BUILT";

/// How the daemon is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// With the tests: dependencies are optimised, our own code is not.
    Dev,
    /// As it ships.
    Release,
}

/// Builds the kernel programs and then the daemon that carries them; gives the daemon's path.
pub fn auditor(profile: Profile) -> Result<PathBuf> {
    let checkout = paths::checkout()?;
    ebpf::build()?;
    say("build", "the daemon");
    let mut cargo = cargo(&checkout);
    cargo.args(["build", "--quiet", "-p", "auditor-userspace", "--bin", "auditor"]);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    process::run(&mut cargo)?;
    path(profile)
}

/// Builds the offline verifier; gives its path.
pub fn verifier(profile: Profile) -> Result<PathBuf> {
    let checkout = paths::checkout()?;
    say("build", "the offline verifier");
    let mut cargo = cargo(&checkout);
    cargo.args(["build", "--quiet", "-p", "auditor-common", "--features", "user", "--bin", "auditor-verify"]);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    process::run(&mut cargo)?;
    Ok(path(profile)?.with_file_name("auditor-verify"))
}

/// Where the daemon is, built or not: the target folder is the one that this program was built in.
pub fn path(profile: Profile) -> Result<PathBuf> {
    let built = paths::built()?;
    let name = if profile == Profile::Release { "release" } else { "debug" };
    Ok(built.parent().context("the target folder has no parent")?.join(name).join("auditor"))
}

/// The Cargo that runs this, in the checkout.
pub fn cargo(checkout: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(checkout);
    // What Cargo sets for the program it runs is not meant for the next Cargo.
    command.env_remove("CARGO_MANIFEST_DIR");
    command
}
