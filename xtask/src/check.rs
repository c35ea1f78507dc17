//! What `xtask ci` does before the tests, and the goldens.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use xtask::lint::Linter;
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
    let checkout = paths::checkout()?;
    let faults = tidy::check(&checkout)?;
    for fault in &faults {
        println!("{fault}");
    }
    let unhappy = Linter::ALL.into_iter().filter(|&linter| !is_content(linter, &checkout)).count();
    match (faults.len(), unhappy) {
        (0, 0) => Ok(()),
        (count, 0) => bail!("{count} places are not tidy"),
        (count, unhappy) => bail!("{count} places are not tidy, and {unhappy} linters found something"),
    }
}

/// A linter that is not here finds nothing, and says why.
fn is_content(linter: Linter, checkout: &Path) -> bool {
    if let Err(error) = linter.prepare() {
        say("tidy", &format!("{linter:?} is skipped, because it cannot be installed: {error:#}"));
        return true;
    }
    linter.run(checkout).inspect_err(|error| println!("{error:#}")).is_ok()
}

/// Writes the addon as its formatters have it.
pub(crate) fn format() -> Result<()> {
    let checkout = paths::checkout()?;
    process::run(programs::cargo(&checkout).args(["fmt", "--all"]))?;
    Linter::ALL.into_iter().try_for_each(|linter| linter.write(&checkout))
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
