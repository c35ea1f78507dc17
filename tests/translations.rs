//! The addon's words in other languages: all of them, and as Odoo itself exports them.

use std::fs;

use auditor_tests as support;
use support::{checkout, require};
use xtask::addon;
use xtask::odoo::Installation;

fn an_installation() -> Result<Installation, String> {
    Installation::find().map_err(|error| format!("{error:#}"))
}

/// The terms, without where they stand: a sentence that moved is the same sentence.
fn terms(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn the_template_has_the_terms_that_odoo_exports() {
    require!(an_installation());
    let exported = addon::exported_terms(&an_installation().expect("it is there"), &checkout()).expect("an export");
    let kept = fs::read_to_string(checkout().join(addon::TEMPLATE)).expect("a template");
    assert!(exported.contains("msgid \"Trust Report\""), "{exported}");
    let (exported, kept) = (terms(&exported), terms(&kept));
    let at = exported.iter().zip(&kept).position(|(new, old)| new != old).unwrap_or(exported.len().min(kept.len()));
    let near = |lines: &[&str]| lines[at.saturating_sub(2)..lines.len().min(at + 6)].join("\n");
    assert!(
        exported == kept,
        "run cargo xtask addon translate, and translate what is new; kept:\n{}\nexported:\n{}",
        near(&kept),
        near(&exported)
    );
}

#[test]
fn every_translation_is_whole() {
    require!(an_installation());
    addon::check_translations(&an_installation().expect("it is there"), &checkout()).expect("no fault");
}
