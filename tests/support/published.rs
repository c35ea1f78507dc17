//! Tables in the README that tests measure: the README says what was measured.

use std::fs;

use crate::checkout;

const END: &str = "<!-- end of what was measured -->";

/// Holds the table that this test file measures against the README's; with `UPDATE_VECTORS=1` it is written there.
pub fn check(measured_by: &str, table: &str) {
    let begin = format!("<!-- measured by {measured_by} -->\n");
    let path = checkout().join("README.md");
    let text = fs::read_to_string(&path).expect("the README");
    let (before, rest) = text.split_once(&begin).expect("the marker where the table begins");
    let (published, after) = rest.split_once(END).expect("the marker where the table ends");
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        fs::write(&path, format!("{before}{begin}{table}{END}{after}")).expect("the README");
        return;
    }
    assert_eq!(published, table, "the README's table is not what was measured; UPDATE_VECTORS=1 writes it anew");
}
