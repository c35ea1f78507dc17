//! What no compiler checks, checked with the tests as well.

#[test]
fn the_sources_are_tidy() {
    let faults = xtask::tidy::check(&auditor_tests::checkout()).expect("a checkout with git");
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}
