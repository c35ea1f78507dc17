//! `xtask fuzz`: every parser, against LLVM's fuzzer. The compiler that builds everything else builds this too: the
//! counters that guide a fuzzer are a pass of LLVM, and need no nightly. There is no address sanitizer in it: the parsers
//! are safe code.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use xtask::process::{self, say};
use xtask::tally::Tally;
use xtask::{paths, programs};

/// What `cargo fuzz` would set, but for the sanitizer.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing";
/// Flags need a target, so that they are not those of build scripts.
const TARGET: &str =
    if cfg!(target_arch = "aarch64") { "aarch64-unknown-linux-gnu" } else { "x86_64-unknown-linux-gnu" };
/// More memory than this is a finding, MiB; a longer look at one input, too, seconds.
const LIMITS: &[&str] = &["-rss_limit_mb=1024", "-timeout=20"];
/// How long each has within `xtask test`.
const SECONDS_IN_TEST: u32 = 5;

/// Fuzzes one target, or all, for so many seconds each.
pub(crate) fn run(which: Option<&str>, seconds: u32) -> Result<()> {
    let checkout = paths::checkout()?;
    let wanted: Vec<String> =
        targets(&checkout)?.into_iter().filter(|name| which.is_none_or(|which| which == name)).collect();
    if wanted.is_empty() {
        bail!("there is no such target; there are: {}", targets(&checkout)?.join(", "));
    }
    let program = build(&checkout)?;
    let findings: Vec<String> =
        wanted.into_iter().filter(|target| fuzz(&checkout, &program, target, seconds).is_err()).collect();
    if findings.is_empty() { Ok(()) } else { bail!("there are findings: {}", findings.join(", ")) }
}

/// A few seconds each, and counted.
pub(crate) fn in_test(checkout: &Path, tally: &mut Tally) {
    if let Err(error) = Command::new("c++").arg("--version").output() {
        return tally.skip(&format!("fuzzing: a C++ compiler is needed (apt-get install g++): {error}"));
    }
    let program = match build(checkout) {
        Ok(program) => program,
        Err(error) => return tally.fail(&format!("fuzzing: {error:#}")),
    };
    let targets = match targets(checkout) {
        Ok(targets) => targets,
        Err(error) => return tally.fail(&format!("fuzzing: {error:#}")),
    };
    for target in targets {
        match fuzz(checkout, &program, &target, SECONDS_IN_TEST) {
            Ok(()) => tally.passed += 1,
            Err(_) => tally.fail(&format!("fuzzing: {target}")),
        }
    }
}

/// Each target has seeds.
fn targets(checkout: &Path) -> Result<Vec<String>> {
    let seeds = checkout.join("fuzz/seeds");
    let entries = fs::read_dir(&seeds).with_context(|| format!("{} cannot be read", seeds.display()))?;
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

fn build(checkout: &Path) -> Result<PathBuf> {
    say("fuzz", "building every target");
    let built = paths::built()?.join("fuzz");
    let mut cargo = programs::cargo(&checkout.join("fuzz"));
    cargo.args(["build", "--quiet", "--release", "--target", TARGET, "--target-dir"]).arg(&built);
    process::run(cargo.env("RUSTFLAGS", FLAGS))
        .context("it cannot be built, for which a C++ compiler is needed as well (apt-get install g++)")?;
    Ok(built.join(TARGET).join("release/auditor-fuzz"))
}

/// What was found is kept beside what is built: `<target>-crash-…`, an input to be looked at and to become a test.
fn fuzz(checkout: &Path, program: &Path, target: &str, seconds: u32) -> Result<()> {
    let corpus = paths::built()?.join("fuzz/corpus").join(target);
    fs::create_dir_all(&corpus).with_context(|| format!("{} cannot be made", corpus.display()))?;
    let mut command = Command::new(program);
    command.env("NETWORK_AUDIT_FUZZ_TARGET", target).arg(&corpus).arg(checkout.join("fuzz/seeds").join(target));
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-artifact_prefix={}-", corpus.display()));
    let output = command.args(LIMITS).args(["-print_final_stats=1", "-verbosity=1"]).output();
    let output = output.with_context(|| format!("{} does not start", program.display()))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let executed = text.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    if output.status.success() {
        say("fuzz", &format!("{target}: {} inputs, no finding", executed.unwrap_or("?").trim()));
        return Ok(());
    }
    println!("{}", process::tail(&text, 40));
    bail!("{target}: a finding")
}
