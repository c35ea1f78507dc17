//! `xtask test`: sets up what the tests stand on, runs all of them, and counts.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use xtask::odoo::postgres::Cluster;
use xtask::odoo::{Installation, setup, suite};
use xtask::process::say;
use xtask::programs::{self, Profile};
use xtask::tally::Tally;
use xtask::{packages, paths, python};

use crate::{fuzz, kernels};

/// What tests need besides what Odoo does: a module in C to be built, certificates to be made, namespaces.
const PACKAGES: &[&str] = &["gcc", "g++", "python3-dev", "openssl", "util-linux"];

/// Another library for notes and trees.
const GO: &[&str] = &["golang-go", "golang-golang-x-mod-dev"];

/// Runs the tests whose names contain `filter`, or all; prints the counts last.
pub(crate) fn run(filter: Option<&str>) -> Result<Tally> {
    let checkout = paths::checkout()?;
    let mut tally = Tally::default();
    let built = prepare(&mut tally);
    rust(&checkout, filter, built, &mut tally)?;
    for (minor, interpreter) in python::interpreters() {
        // Without it, the tests that need more than the standard library say that they are skipped.
        let interpreter = python::for_tests(minor, &interpreter).unwrap_or_else(|error| {
            say("test", &format!("{error:#}"));
            interpreter
        });
        python_core(&checkout, filter, &format!("python 3.{minor}"), &interpreter, &mut tally)?;
    }
    if filter.is_none() {
        addon(&checkout, &mut tally);
        kernels::load(&mut tally);
        fuzz::in_test(&checkout, &mut tally);
    }
    if let Ok(installation) = Installation::find() {
        Cluster::new(&installation)?.stop_if_idle()?;
    }
    report(&tally);
    Ok(tally)
}

/// What cannot be set up is said here; the tests that stand on it then say themselves that they are skipped, and why.
fn prepare(tally: &mut Tally) -> bool {
    if let Err(error) = packages::install("test", PACKAGES) {
        say("test", &format!("tests that need more are skipped: {error:#}"));
    }
    if let Err(error) = packages::install("test", GO) {
        say("test", &format!("the tests in Go are skipped: {error:#}"));
    }
    if let Err(error) = setup::setup() {
        say("test", &format!("Odoo cannot be set up, so tests with it are skipped: {error:#}"));
    }
    if let Err(error) = setup::browser() {
        say("test", &format!("tests in a browser are skipped: {error:#}"));
    }
    match programs::auditor(Profile::Dev).and_then(|_| programs::verifier(Profile::Dev)) {
        Ok(_) => true,
        Err(error) => {
            say("test", &format!("daemon or verifier cannot be built: {error:#}"));
            tally.fail("building the daemon and the verifier");
            false
        }
    }
}

fn rust(checkout: &Path, filter: Option<&str>, built: bool, tally: &mut Tally) -> Result<()> {
    let notes = skips_file()?;
    let mut cargo = programs::cargo(checkout);
    cargo.args(["test", "--workspace", "--no-fail-fast"]).args(filter);
    cargo.env("NETWORK_AUDIT_SKIPS", &notes).stdin(Stdio::null()).stdout(Stdio::piped());
    if built {
        cargo.env(programs::BUILT, "1");
    }
    let mut child = cargo.spawn().context("cargo test does not start")?;
    let failed_before = tally.failed;
    for line in BufReader::new(child.stdout.take().context("cargo test has no output")?).lines() {
        let line = line?;
        println!("{line}");
        tally.read_cargo(&line);
    }
    if !child.wait()?.success() && tally.failed == failed_before {
        tally.fail("cargo test did not get to an end");
    }
    tally.read_skips(&fs::read_to_string(&notes).unwrap_or_default());
    let _ = fs::remove_file(notes);
    Ok(())
}

/// An absolute path: tests change into folders of their own.
fn skips_file() -> Result<PathBuf> {
    let path = paths::built()?.join(format!("skips-{}.tsv", std::process::id()));
    fs::write(&path, "").with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path)
}

/// The tests of the addon's core and of the goldens: plain `unittest`, no Odoo.
fn python_core(checkout: &Path, filter: Option<&str>, runner: &str, python: &Path, tally: &mut Tally) -> Result<()> {
    for folder in ["tests", "tests/core"].map(|name| checkout.join(name)) {
        if !has_tests(&folder) {
            continue;
        }
        say("test", &format!("{runner}, {}", folder.strip_prefix(checkout).unwrap_or(&folder).display()));
        let mut command = Command::new(python);
        command.args(["-B", "-m", "unittest", "discover", "-v", "-s"]).arg(&folder).current_dir(checkout);
        if let Some(filter) = filter {
            command.args(["-k", filter]);
        }
        let output = command.stdin(Stdio::null()).output().with_context(|| format!("{runner} does not start"))?;
        let text = String::from_utf8_lossy(&output.stderr);
        let nothing_chosen = filter.is_some() && text.contains("Ran 0 tests");
        if !nothing_chosen {
            tally.read_unittest(runner, &text);
        }
        if output.status.success() || nothing_chosen {
            println!("{}", text.trim_end().lines().next_back().unwrap_or_default());
        } else {
            println!("{text}");
        }
    }
    Ok(())
}

fn has_tests(folder: &Path) -> bool {
    fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("test_") && name.ends_with(".py")
    })
}

/// The addon's own tests, run by Odoo.
fn addon(checkout: &Path, tally: &mut Tally) {
    if !checkout.join("odoo_addon/mit_network_audit/tests").is_dir() {
        return;
    }
    say("test", "the addon, in Odoo");
    match addon_in_odoo(checkout) {
        Ok(Some(outcome)) => {
            tally.passed += outcome.passed;
            tally.failed += outcome.failed;
            tally.failures.extend(outcome.names);
            outcome.skips.iter().for_each(|what| tally.skip(&format!("the addon in Odoo: {what}")));
        }
        Ok(None) => tally.skip("the addon in Odoo: Odoo is not set up here"),
        Err(error) => tally.fail(&format!("the addon in Odoo: {error:#}")),
    }
}

fn addon_in_odoo(checkout: &Path) -> Result<Option<suite::Outcome>> {
    let Ok(installation) = Installation::find() else { return Ok(None) };
    suite::in_new_database(&installation, checkout, "mit_network_audit", None).map(Some)
}

fn report(tally: &Tally) {
    println!();
    for what in &tally.skips {
        println!("skipped: {what}");
    }
    for what in &tally.failures {
        println!("failed: {what}");
    }
    // Alone on the last line: other programs read it.
    println!("{tally}");
}
