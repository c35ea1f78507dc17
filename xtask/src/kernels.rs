//! The tests of the kernel half on other kernels than this machine's, each booted by an emulator.

mod debian;
mod image;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use comfy_table::{Table, presets};
use xtask::process::{self, say};
use xtask::programs::Profile;
use xtask::tally::Tally;
use xtask::{packages, paths, programs};

/// The emulator, and the one program for everything that a booted kernel finds.
const PACKAGES: &[&str] = &["qemu-system-x86", "busybox-static"];

/// Seconds: long enough for all the tests by software emulation, on a busy machine.
const PATIENCE: &str = "900";

/// The test that says whether a kernel takes the programs at all.
const LOADING: &str = "every_required_hook";

/// What came out of the tests on one kernel.
struct Outcome {
    release: String,
    tally: Tally,
}

/// `xtask kernels`: runs the tests whose names contain `filter` in each kernel, and prints a table; false if one failed.
pub(crate) fn run(filter: Option<&str>) -> Result<bool> {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(["kernel", "passed", "failed", "skipped"]);
    let mut good = true;
    for Outcome { release, tally } in on_each(filter)? {
        tally.failures.iter().for_each(|name| println!("failed on {release}: {name}"));
        good &= tally.is_good();
        table.add_row([release, tally.passed.to_string(), tally.failed.to_string(), tally.skipped.to_string()]);
    }
    println!("{table}");
    Ok(good)
}

/// For `xtask test`: whether each kernel takes the programs. What a newer kernel's verifier lets pass, an older may not.
pub(crate) fn load(tally: &mut Tally) {
    match on_each(Some(LOADING)) {
        Ok(outcomes) => {
            for Outcome { release, tally: on_it } in outcomes {
                tally.passed += on_it.passed;
                on_it.failures.iter().for_each(|name| tally.fail(&format!("on Linux {release}: {name}")));
                on_it.skips.iter().for_each(|name| tally.skip(&format!("on Linux {release}: {name}")));
            }
        }
        Err(error) => tally.skip(&format!("the programs on other kernels: {error:#}")),
    }
}

fn on_each(filter: Option<&str>) -> Result<Vec<Outcome>> {
    packages::install("kernels", PACKAGES)?;
    let kernels = debian::kernels(&paths::cache()?.join("kernels"))?;
    let image = image::make(&paths::built()?.join("kernels"), &build()?, filter)?;
    let boot = |kernel: debian::Kernel| -> Result<Outcome> {
        say("kernels", &format!("booting {}", kernel.release));
        Ok(Outcome { tally: boot(&kernel.file, &image)?, release: kernel.release })
    };
    kernels.into_iter().map(boot).collect()
}

/// What a booted kernel runs.
struct Programs {
    tests: Vec<PathBuf>,
    /// What the tests start; they know it by these paths.
    started: Vec<PathBuf>,
}

fn build() -> Result<Programs> {
    let checkout = paths::checkout()?;
    programs::auditor(Profile::Dev)?;
    let mut cargo = programs::cargo(&checkout);
    cargo.args([
        "test",
        "--no-run",
        "-p",
        "auditor-tests",
        "--test",
        "kernel",
        "--test",
        "guards",
        "--test",
        "coverage",
    ]);
    let output = cargo.stdin(Stdio::null()).output().context("cargo does not start")?;
    let told = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("the tests cannot be built:\n{}", process::tail(&told, 20));
    }
    let tests: Vec<PathBuf> = told.lines().filter_map(executable).map(|program| checkout.join(program)).collect();
    let first = tests.first().context("cargo does not say where it put the tests")?;
    let folder = first.parent().and_then(Path::parent).context("the tests have no target folder")?;
    let started = ["kernel-scenarios", "auditor"].map(|program| folder.join(program)).to_vec();
    Ok(Programs { tests, started })
}

/// Reads Cargo's `Executable kernel.rs (target/…/kernel-0123)`.
fn executable(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("Executable ")?.split_once('(')?.1.strip_suffix(')')
}

/// Boots a kernel with the image, and counts what its console tells of the tests.
///
/// Its processors take turns in one thread of the emulator: side by side, one can run an instruction that the other is just
/// rewriting (a static key of the scheduler's clock), which hardware forbids and the emulator does not; the guest then panics.
fn boot(kernel: &Path, image: &Path) -> Result<Tally> {
    let mut qemu = Command::new("timeout");
    qemu.args([PATIENCE, "qemu-system-x86_64", "-accel", "tcg,thread=single"]);
    qemu.args(["-cpu", "max", "-smp", "2", "-m", "1500"]);
    qemu.args(["-nographic", "-no-reboot", "-nic", "none", "-append", "console=ttyS0 quiet panic=-1", "-kernel"]);
    qemu.arg(kernel).arg("-initrd").arg(image);
    let output = qemu.stdin(Stdio::null()).output().context("the emulator does not start")?;
    let console = String::from_utf8_lossy(&output.stdout).replace('\r', "");
    let tally = count(&console);
    if tally.failed > 0 {
        eprintln!("{}", process::tail(&console, 60));
    }
    Ok(tally)
}

fn count(console: &str) -> Tally {
    let mut tally = Tally::default();
    console.lines().for_each(|line| tally.read_cargo(line));
    let notes: Vec<&str> = console.lines().filter_map(|line| line.strip_prefix(image::SKIPPED)).collect();
    tally.read_skips(&notes.join("\n"));
    if !console.contains(image::THE_END) {
        tally.fail("it did not get to the end of the tests");
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_says_where_a_test_is() {
        assert_eq!(
            executable("  Executable kernel.rs (target/x/debug/deps/kernel-1)"),
            Some("target/x/debug/deps/kernel-1")
        );
        assert_eq!(executable("   Compiling xtask v0.1.0 (here)"), None);
    }

    #[test]
    fn a_console_that_stops_in_the_middle_is_a_failure() {
        let whole = "test a ... ok\ntest result: ok. 2 passed; 0 failed; 0 ignored\nSKIP-NOTE b\tbecause\nTHE-END\n";
        let tally = count(whole);
        assert_eq!((tally.passed, tally.failed, tally.skipped), (1, 0, 1));
        assert_eq!(count(&whole[..whole.len() - 4]).failed, 1);
    }
}
