//! An addon's own tests, run by Odoo, and counted.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::serve::Server;
use super::staging::Addons;
use super::witness::Witness;
use super::{Installation, database};
use crate::node;
use crate::process::{self, say};

/// A folder for pictures of the pages, where somebody wants them.
const SHOTS: &str = "NETWORK_AUDIT_SHOTS";

/// What came out of a run of Odoo's test runner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Tests that ran and did not fail.
    pub passed: u64,
    /// Failures and errors.
    pub failed: u64,
    /// Which ones failed.
    pub names: Vec<String>,
    /// Which ones, or which classes of them, said that they were skipped, and why.
    pub skips: Vec<String>,
}

/// Runs them in a new database, which is gone afterwards.
pub fn in_new_database(
    installation: &Installation,
    checkout: &Path,
    addon: &str,
    tags: Option<&str>,
) -> Result<Outcome> {
    let addons = Addons::stage(installation, checkout)?;
    let name = format!("test-{addon}-{}", std::process::id());
    database::clone(installation, database::TEMPLATE, &name)?;
    let outcome = run(installation, &addons, &name, addon, tags);
    database::remove(installation, &name)?;
    outcome
}

/// Installs (or updates) `addon` in `database` and runs the tests that `tags` select, its own by default.
fn run(
    installation: &Installation,
    addons: &Addons,
    database: &str,
    addon: &str,
    tags: Option<&str>,
) -> Result<Outcome> {
    let server = Server::new(&format!("test-{database}"), database).with_addons(addons).on_free_ports()?;
    let own = format!("/{addon}");
    let mut odoo = server.odoo(installation, "server")?;
    odoo.args(["-i", addon, "-u", addon, "--workers=0", "--max-cron-threads=0", "--stop-after-init"]);
    odoo.args([&format!("--load=base,web,{addon}"), "--test-enable", "--test-tags", tags.unwrap_or(&own)]);
    let log = server.folder(installation).join("test.log");
    // Without a daemon the tests that need one say themselves that they are skipped.
    let witness =
        Witness::start().inspect_err(|error| say("odoo", &format!("no daemon for the tests: {error:#}"))).ok();
    if let Some(witness) = &witness {
        odoo = witness.command(&odoo, installation);
    }
    match node::modules("odoo", node::PAGES) {
        Ok(modules) => {
            let path = format!("{}:{}:/usr/bin:/bin", modules.join(".bin").display(), installation.python_folder());
            odoo.env("NETWORK_AUDIT_AXE", modules.join("axe-core/axe.min.js")).env("PATH", path);
        }
        Err(error) => {
            say("odoo", &format!("pages are not checked by axe-core, nor turned from right to left: {error:#}"));
        }
    }
    if let Some(folder) = std::env::var_os(SHOTS).map(PathBuf::from) {
        fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        installation.account.give(&folder)?;
        odoo.env(SHOTS, fs::canonicalize(folder)?);
    }
    let result = process::logged(&mut odoo, &log);
    drop(witness);
    let text = fs::read_to_string(&log)?;
    for line in text.lines().filter(|line| is_of_interest(line)) {
        println!("{line}");
    }
    let outcome = count(&text);
    // Odoo fails for a failed test as well, which the count says better; without one, the failure is another.
    if let (Err(error), 0) = (result, outcome.failed) {
        return Err(error);
    }
    if outcome == Outcome::default() {
        bail!("Odoo ran no test of {addon}; see {}", log.display());
    }
    Ok(outcome)
}

fn is_of_interest(line: &str) -> bool {
    ["FAIL:", "ERROR:", ": skipped", "error(s) of"].iter().any(|mark| line.contains(mark))
}

/// Reads lines such as `1 failed, 0 error(s) of 12 tests when loading database 'd1'`, and those of what was skipped. A
/// class that is skipped as a whole is not in Odoo's total; a single test is.
fn count(log: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let mut skipped_of_total = 0;
    for line in log.lines() {
        if let Some((_, what)) = line.split_once(": skipped ") {
            skipped_of_total += u64::from(!what.starts_with("setUpClass "));
            outcome.skips.push(what.trim_end().to_owned());
        }
        if let Some((_, name)) = line.split_once(" FAIL: ").or_else(|| line.split_once(" ERROR: ")) {
            outcome.names.push(name.to_owned());
        }
        let Some((before, after)) = line.split_once(" error(s) of ") else { continue };
        let Some((failures, errors)) = before.rsplit_once(" failed, ") else { continue };
        let last = failures.rsplit(' ').next().unwrap_or_default();
        let first = after.split(' ').next().unwrap_or_default();
        if let (Ok(failures), Ok(errors), Ok(total)) =
            (last.parse::<u64>(), errors.parse::<u64>(), first.parse::<u64>())
        {
            outcome.failed += failures + errors;
            outcome.passed += total.saturating_sub(failures + errors);
        }
    }
    outcome.passed = outcome.passed.saturating_sub(skipped_of_total);
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_and_errors_are_taken_from_the_total() {
        let log = "2026 1 INFO d1 odoo.tests.result: 1 failed, 2 error(s) of 12 tests when loading database 'd1'\n";
        assert_eq!(count(log), Outcome { passed: 9, failed: 3, ..Outcome::default() });
    }

    #[test]
    fn what_is_skipped_is_counted_and_not_passed() {
        let log = "1 INFO d1 odoo.tests.suite: skipped setUpClass (a.TestTours) : SKIPPED: because no daemon answers\n\
                   1 INFO d1 odoo.tests.case: skipped TestA.test_b : SKIPPED: because of this\n\
                   1 INFO d1 odoo.tests.result: 0 failed, 0 error(s) of 12 tests when loading database 'd1'\n";
        let outcome = count(log);
        assert_eq!((outcome.passed, outcome.failed, outcome.skips.len()), (11, 0, 2));
    }

    #[test]
    fn a_log_without_a_result_counts_nothing() {
        assert_eq!(count("12 post-tests in 0.1s, 3 queries\n"), Outcome::default());
    }
}
