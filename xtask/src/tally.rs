//! Counting over test runners of several languages: their closing lines are read, and added up.

use std::fmt;

/// What ran, what did not, and the names of what failed or was skipped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed, and runners that did not get to an end.
    pub failed: u64,
    /// Tests that could not run here.
    pub skipped: u64,
    /// Which ones failed.
    pub failures: Vec<String>,
    /// Which ones were skipped, and why.
    pub skips: Vec<String>,
}

impl Tally {
    /// Reads one line of `cargo test`.
    pub fn read_cargo(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            self.failures.push(name.to_owned());
        }
        let Some(counts) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else { return };
        for count in counts.1.split(';') {
            let mut words = count.split_whitespace();
            let Some(number) = words.next().and_then(|word| word.parse::<u64>().ok()) else { continue };
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                Some("ignored") => self.skipped += number,
                _ => {}
            }
        }
    }

    /// Takes the skips that Rust tests noted, of which Cargo knows nothing: it counted them as passed. A line is the
    /// test, a tab and the reason.
    pub fn read_skips(&mut self, notes: &str) {
        for line in notes.lines().filter(|line| !line.is_empty()) {
            let (test, reason) = line.split_once('\t').unwrap_or((line, "it did not say why"));
            self.passed = self.passed.saturating_sub(1);
            self.skip(&format!("{test}: {reason}"));
        }
    }

    /// Reads all that Python's `unittest` printed; `runner` names it where something is wrong.
    pub fn read_unittest(&mut self, runner: &str, text: &str) {
        let ran = text.lines().rev().find_map(|line| line.strip_prefix("Ran ")?.split(' ').next()?.parse::<u64>().ok());
        let Some(ran) = ran else {
            return self.fail(&format!("{runner}: it did not get to an end"));
        };
        let verdict = text.lines().rev().find(|line| line.starts_with("OK") || line.starts_with("FAILED"));
        let count = |key: &str| -> u64 {
            let verdict = verdict.unwrap_or_default();
            let fields = verdict.split(['(', ',', ')']).map(str::trim);
            fields.filter_map(|field| field.strip_prefix(key)?.strip_prefix('=')?.parse::<u64>().ok()).sum()
        };
        let (failed, skipped) = (count("failures") + count("errors") + count("unexpected successes"), count("skipped"));
        self.passed += ran.saturating_sub(failed + skipped);
        self.failed += failed;
        self.skipped += skipped;
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("FAIL: ").or_else(|| line.strip_prefix("ERROR: ")) {
                self.failures.push(format!("{runner}: {name}"));
            } else if let Some((name, reason)) = line.split_once(" ... skipped ") {
                self.skips.push(format!("{runner}: {name}: {reason}"));
            }
        }
    }

    /// Whether something ran, and nothing failed.
    pub fn is_good(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    /// Counts one more that failed.
    pub fn fail(&mut self, what: &str) {
        self.failed += 1;
        self.failures.push(what.to_owned());
    }

    /// Counts one more that was skipped.
    pub fn skip(&mut self, what: &str) {
        self.skipped += 1;
        self.skips.push(what.to_owned());
    }
}

/// The closing line, which other programs read: it stays as it is.
impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(read: impl FnOnce(&mut Tally), expected: &str) -> Tally {
        let mut tally = Tally::default();
        read(&mut tally);
        assert_eq!(tally.to_string(), expected);
        tally
    }

    #[test]
    fn two_test_programs_add_up() {
        let lines = [
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test a_name ... FAILED",
            "test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.01s",
        ];
        let tally =
            check(|tally| lines.iter().for_each(|line| tally.read_cargo(line)), "4 passed, 1 failed, 1 skipped");
        assert_eq!(tally.failures, ["a_name"]);
    }

    #[test]
    fn a_noted_skip_is_no_pass() {
        let read = |tally: &mut Tally| {
            tally.read_cargo("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
            tally.read_skips("a_test\tit needs root\n");
        };
        assert_eq!(check(read, "2 passed, 0 failed, 1 skipped").skips, ["a_test: it needs root"]);
    }

    #[test]
    fn unittest_with_failures_errors_and_skips() {
        let text = "test_a (t.A) ... skipped 'no vectors'\nERROR: test_b (t.A)\nFAIL: test_c (t.A)\n\
                    Ran 5 tests in 0.001s\n\nFAILED (failures=1, errors=1, skipped=1)\n";
        let tally = check(|tally| tally.read_unittest("python 3.11", text), "2 passed, 2 failed, 1 skipped");
        assert_eq!(tally.failures, ["python 3.11: test_b (t.A)", "python 3.11: test_c (t.A)"]);
        assert_eq!(tally.skips, ["python 3.11: test_a (t.A): 'no vectors'"]);
    }

    #[test]
    fn unittest_that_is_well() {
        check(
            |tally| tally.read_unittest("python 3.11", "Ran 1 test in 0.0s\n\nOK\n"),
            "1 passed, 0 failed, 0 skipped",
        );
    }

    #[test]
    fn a_runner_that_broke_off_has_failed() {
        check(|tally| tally.read_unittest("python 3.11", "Traceback\n"), "0 passed, 1 failed, 0 skipped");
    }
}
