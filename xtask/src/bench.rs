//! `xtask bench`: tables of what it costs, measured here and now.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use xtask::process::{self, say};
use xtask::programs::Profile;
use xtask::{ebpf, paths, programs, python};

/// Prints a table about this checkout; the words go to its program.
type Table = fn(&Path, &[String]) -> Result<()>;

/// The tables, by the names that one asks for them by.
const TABLES: &[(&str, Table)] = &[
    ("kernel", kernel),
    ("daemon", daemon),
    ("hook", hook),
    ("odoo", odoo),
    ("ledger", ledger),
    ("app", app),
    ("soak", soak),
];

/// The names of the tables.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|(name, _)| *name)
}

/// Prints one table of these names, or all; `arguments` go to its program.
pub(crate) fn run(which: Option<&str>, arguments: &[String]) -> Result<()> {
    let checkout = paths::checkout()?;
    let wanted = TABLES.iter().filter(|(name, _)| which.is_none_or(|which| which == *name));
    // One that misses its goal does not keep the others from being printed.
    let results: Vec<Result<()>> = wanted.map(|(_, table)| table(&checkout, arguments)).collect();
    results.into_iter().collect()
}

/// Runs one of the programs in `tests/bench`.
fn program(checkout: &Path, name: &str, profile: Profile, arguments: &[String]) -> Result<()> {
    let mut cargo = programs::cargo(checkout);
    cargo.args(["run", "--quiet", "-p", "auditor-tests", "--bin", name]);
    if profile == Profile::Release {
        say("bench", "building it as it ships");
        cargo.arg("--release");
    }
    process::run(cargo.arg("--").args(arguments)).context("the table misses a goal, or cannot be measured")
}

/// What a system call costs more because it is looked at.
fn kernel(checkout: &Path, arguments: &[String]) -> Result<()> {
    ebpf::build()?;
    program(checkout, "bench-kernel", Profile::Release, arguments)
}

/// What the daemon needs of the machine.
fn daemon(checkout: &Path, _: &[String]) -> Result<()> {
    let auditor = programs::auditor(Profile::Release)?;
    program(checkout, "bench-daemon", Profile::Release, &[auditor.display().to_string()])
}

/// How many calls of an Odoo under load are credited to whom they should be.
fn soak(checkout: &Path, arguments: &[String]) -> Result<()> {
    let auditor = programs::auditor(Profile::Dev)?;
    say("bench", &format!("with {}", auditor.display()));
    program(checkout, "bench-soak", Profile::Dev, arguments)
}

/// What the addon costs an Odoo that has it.
fn odoo(checkout: &Path, arguments: &[String]) -> Result<()> {
    programs::auditor(Profile::Release)?;
    program(checkout, "bench-odoo", Profile::Release, arguments)
}

/// What the ledger costs, against redb and SHA-256 alone.
fn ledger(checkout: &Path, arguments: &[String]) -> Result<()> {
    program(checkout, "bench-ledger", Profile::Release, arguments)
}

/// What the app costs in an Odoo that keeps a million records: of a real ledger, in a real browser.
fn app(checkout: &Path, arguments: &[String]) -> Result<()> {
    let auditor = programs::auditor(Profile::Release)?;
    let arguments: Vec<String> = [auditor.display().to_string()].into_iter().chain(arguments.to_vec()).collect();
    program(checkout, "bench-app", Profile::Dev, &arguments)
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
