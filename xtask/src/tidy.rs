//! What no compiler checks: each dependency has one door, files stay small, and text stays clean.

pub mod rules;

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process;
use rules::{DOORS, LONG_FILES, MAX_LINES, MAX_TEST_LINES, NOWHERE};

/// The line after which a file holds its own tests.
const TESTS_BEGIN: &str = "#[cfg(test)]";

/// One place that is not as it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, relative to the checkout.
    pub path: String,
    /// The line, from 1; 0 for the whole file.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Looks at every file that is, or could be, committed.
pub fn check(checkout: &Path) -> Result<Vec<Fault>> {
    let mut faults = Vec::new();
    for path in files(checkout)? {
        let Ok(bytes) = fs::read(checkout.join(&path)) else { continue };
        if let Ok(text) = String::from_utf8(bytes) {
            check_text(&path, &text, &mut faults);
        }
    }
    Ok(faults)
}

fn files(checkout: &Path) -> Result<Vec<String>> {
    let mut git = Command::new("git");
    // A checkout that belongs to another user is read all the same: nothing in it is run by this.
    git.args(["-c", "safe.directory=*", "-C"]).arg(checkout);
    let list = process::output(git.args(["ls-files", "-co", "--exclude-standard"])).context("git cannot list files")?;
    Ok(list.lines().map(str::to_owned).collect())
}

fn check_text(path: &str, text: &str, faults: &mut Vec<Fault>) {
    let mut fault = |line, what: String| faults.push(Fault { path: path.to_owned(), line, what });
    if is_written_by_a_tool(path) {
        return;
    }
    let mut is_test = is_test(path);
    for (index, line) in text.lines().enumerate() {
        if line.ends_with([' ', '\t', '\r']) {
            fault(index + 1, "white space at the end of the line".to_owned());
        }
        for (token, reason) in NOWHERE {
            if has_word(line, token) {
                fault(index + 1, format!("{token} must not stand here: {reason}"));
            }
        }
        is_test |= line == TESTS_BEGIN;
        for door in DOORS {
            let is_inside = door.within.iter().any(|prefix| path.starts_with(prefix));
            let may = door.allowed.iter().any(|prefix| path.starts_with(prefix));
            if is_inside && !may && !is_test && is_code(path, line) && has_word(line, door.token) {
                fault(index + 1, format!("{} has one door, and this is not it: {}", door.token, door.reason));
            }
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        fault(text.lines().count(), "no end of line at the end of the file".to_owned());
    }
    check_length(path, text, &mut fault);
}

fn check_length(path: &str, text: &str, fault: &mut impl FnMut(usize, String)) {
    let is_source = matches!(extension(path), "rs" | "py" | "js" | "scss" | "xml");
    // A file's own tests are rows of data, and do not count.
    let lines = text.lines().take_while(|line| *line != TESTS_BEGIN).count();
    let most = if is_test(path) { MAX_TEST_LINES } else { MAX_LINES };
    let is_reviewed = LONG_FILES.iter().any(|(file, _)| *file == path);
    if is_source && lines > most && !is_reviewed {
        fault(0, format!("{lines} lines are more than one noun needs ({most}); cut it, or list it with a reason"));
    }
}

fn is_written_by_a_tool(path: &str) -> bool {
    path.ends_with("Cargo.lock") || path.starts_with("fuzz/seeds/") || matches!(extension(path), "svg" | "pot" | "po")
}

fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

fn extension(path: &str) -> &str {
    Path::new(path).extension().and_then(OsStr::to_str).unwrap_or_default()
}

/// Comments may speak of anything.
fn is_code(path: &str, line: &str) -> bool {
    let comment = if extension(path) == "py" { "#" } else { "//" };
    !line.trim_start().starts_with(comment)
}

/// The token, not as the tail of a longer word or path.
fn has_word(line: &str, token: &str) -> bool {
    line.match_indices(token).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let starts_a_word = token.starts_with(|first: char| first.is_alphanumeric() || first == '/' || first == '_');
        !starts_a_word || before.is_none_or(|before| !before.is_alphanumeric() && !"_.}-)".contains(before))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, text: &str, expected: &[usize]) {
        let mut faults = Vec::new();
        check_text(path, text, &mut faults);
        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, expected, "{faults:?}");
    }

    #[test]
    fn a_clean_file() {
        check("auditor-userspace/src/flow.rs", "//! Flows.\n\npub struct Flow;\n", &[]);
    }

    #[test]
    fn white_space_and_a_missing_end() {
        check("README.md", "# A \n\ttext", &[1, 2]);
    }

    #[test]
    fn a_second_door() {
        check("auditor-userspace/src/flow.rs", "use redb::Database;\n", &[1]);
        check("auditor-userspace/src/flow.rs", "// not redb::Database\n", &[]);
        check("auditor-userspace/src/flow.rs", "#[cfg(test)]\nuse redb::Database;\n", &[]);
        check("auditor-userspace/src/store/schema.rs", "use redb::Database;\n", &[]);
        check("odoo_addon/mit_network_audit/core/hook.py", "from odoo import api\n", &[1]);
    }

    #[test]
    fn a_clock_in_a_pure_stage() {
        check("auditor-userspace/src/flow.rs", "let now = Instant::now();\n", &[1]);
        check("auditor-userspace/src/clock.rs", "let now = Instant::now();\n", &[]);
    }

    #[test]
    fn a_path_of_one_machine() {
        check("README.md", concat!("cd /wo", "rk/x\n"), &[1]);
        check("README.md", concat!("cd my/wo", "rk/x\n"), &[]);
    }

    #[test]
    fn a_long_file() {
        check("auditor-userspace/src/flow.rs", &"//\n".repeat(MAX_LINES + 1), &[0]);
        check("README.md", &"text\n".repeat(MAX_LINES + 1), &[]);
        check("tests/store.rs", &"//\n".repeat(MAX_LINES + 1), &[]);
    }

    #[test]
    fn a_reviewed_long_file_is_one_that_exists_and_is_long() {
        let checkout = crate::paths::checkout().expect("a checkout");
        for (path, reason) in LONG_FILES {
            let text = fs::read_to_string(checkout.join(path)).expect("a file of the list");
            assert!(text.lines().count() > MAX_LINES && !reason.is_empty(), "{path} needs no exception");
        }
    }
}
