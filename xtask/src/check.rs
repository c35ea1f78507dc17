//! What `xtask ci` does before the tests, and the goldens.

use std::process::Command;

use anyhow::{Result, bail};
use xtask::process::{self, say};
use xtask::{paths, programs, tidy};

/// Formatting, lints and tidiness.
pub(crate) fn everything() -> Result<()> {
    let checkout = paths::checkout()?;
    say("ci", "formatting");
    process::run(programs::cargo(&checkout).args(["fmt", "--all", "--check"]))?;
    say("ci", "lints");
    let mut clippy = programs::cargo(&checkout);
    clippy.args(["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    process::run(&mut clippy)?;
    tidiness()
}

/// Prints every fault; an error if there is one.
pub(crate) fn tidiness() -> Result<()> {
    let faults = tidy::check(&paths::checkout()?)?;
    for fault in &faults {
        println!("{fault}");
    }
    match faults.len() {
        0 => Ok(()),
        count => bail!("{count} places are not tidy"),
    }
}

/// Lets the tests write the goldens anew, and shows what changed: a person reads that.
pub(crate) fn vectors() -> Result<()> {
    let checkout = paths::checkout()?;
    let mut cargo = programs::cargo(&checkout);
    cargo.args(["test", "--quiet", "-p", "auditor-common", "-p", "auditor-userspace", "--all-features"]);
    let result = process::run(cargo.env("UPDATE_VECTORS", "1"));
    for command in [["status", "--short"].as_slice(), &["--no-pager", "diff"]] {
        let mut git = Command::new("git");
        git.args(["-c", "safe.directory=*", "-C"]).arg(&checkout);
        process::run(git.args(command).args(["--", "tests/vectors"]))?;
    }
    result
}
