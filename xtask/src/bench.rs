//! `xtask bench`: tables of what it costs, measured here and now.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use xtask::odoo::staging::Addons;
use xtask::odoo::{Installation, database, suite};
use xtask::process::{self, say};
use xtask::programs::Profile;
use xtask::{ebpf, paths, programs, python};

/// Prints a table about this checkout; the words go to its program.
type Table = fn(&Path, &[String]) -> Result<()>;

/// The tables, by the names that one asks for them by.
const TABLES: &[(&str, Table)] =
    &[("kernel", kernel), ("daemon", daemon), ("hook", hook), ("ledger", ledger), ("app", app), ("soak", soak)];

/// Prints one table, or all; `arguments` go to its program.
pub(crate) fn run(which: Option<&str>, arguments: &[String]) -> Result<()> {
    let checkout = paths::checkout()?;
    let wanted: Vec<_> = TABLES.iter().filter(|(name, _)| which.is_none_or(|which| which == *name)).collect();
    if wanted.is_empty() {
        let names: Vec<&str> = TABLES.iter().map(|(name, _)| *name).collect();
        bail!("there is no such table; there are: {}", names.join(", "));
    }
    // One that misses its goal does not keep the others from being printed.
    let results: Vec<Result<()>> = wanted.iter().map(|(_, table)| table(&checkout, arguments)).collect();
    results.into_iter().collect()
}

/// What a system call costs more because it is looked at.
fn kernel(checkout: &Path, arguments: &[String]) -> Result<()> {
    ebpf::build()?;
    say("bench", "building it as it ships");
    let mut cargo = programs::cargo(checkout);
    cargo.args(["run", "--quiet", "--release", "-p", "auditor-tests", "--bin", "bench-kernel", "--"]);
    process::run(cargo.args(arguments)).context("the kernel's table misses a goal, or cannot be measured")
}

/// What the daemon needs of the machine.
fn daemon(checkout: &Path, _: &[String]) -> Result<()> {
    let auditor = programs::auditor(Profile::Release)?;
    let mut cargo = programs::cargo(checkout);
    cargo.args(["run", "--quiet", "--release", "-p", "auditor-tests", "--bin", "bench-daemon", "--"]);
    process::run(cargo.arg(auditor)).context("the daemon's table misses a goal, or cannot be measured")
}

/// How many calls of an Odoo under load are credited to whom they should be.
fn soak(checkout: &Path, arguments: &[String]) -> Result<()> {
    let auditor = programs::auditor(Profile::Dev)?;
    say("bench", &format!("with {}", auditor.display()));
    let mut cargo = programs::cargo(checkout);
    cargo.args(["run", "--quiet", "-p", "auditor-tests", "--bin", "bench-soak", "--"]);
    process::run(cargo.args(arguments)).context("somebody is credited wrongly or too few are, or it cannot be measured")
}

/// What the ledger costs, against redb and SHA-256 alone.
fn ledger(checkout: &Path, arguments: &[String]) -> Result<()> {
    say("bench", "building it as it ships");
    let mut cargo = programs::cargo(checkout);
    cargo.args(["run", "--quiet", "--release", "-p", "auditor-tests", "--bin", "bench-ledger", "--"]);
    process::run(cargo.args(arguments)).context("the ledger's table misses a floor, or cannot be measured")
}

/// What the app costs in an Odoo that keeps a million records.
fn app(checkout: &Path, _: &[String]) -> Result<()> {
    let installation = Installation::find()?;
    let addons = Addons::stage(&installation, checkout)?;
    let name = format!("bench-{}", std::process::id());
    database::clone(&installation, database::TEMPLATE, &name)?;
    let outcome = suite::run(&installation, &addons, &name, "mit_network_audit", Some("network_audit_bench"));
    database::remove(&installation, &name)?;
    let outcome = outcome?;
    if outcome.failed > 0 {
        bail!("the app's table misses a goal: {}", outcome.names.join(", "));
    }
    Ok(())
}

/// What the addon's hook costs on each interpreter here.
fn hook(checkout: &Path, arguments: &[String]) -> Result<()> {
    for (minor, interpreter) in python::interpreters() {
        say("bench", &format!("the hook on Python 3.{minor}"));
        let mut command = Command::new(interpreter);
        command.arg("-B").arg(checkout.join("tests/core/bench_hook.py")).args(arguments).current_dir(checkout);
        process::run(&mut command)?;
    }
    Ok(())
}
