//! What linters say of what is not Rust: nothing.

use auditor_tests::{checkout, require};
use xtask::lint::Linter;

fn check(linter: Linter) {
    require!(linter.prepare().map_err(|error| format!("{linter:?} cannot be installed: {error:#}")));
    linter.run(&checkout()).unwrap_or_else(|error| panic!("{error:#}"));
}

#[test]
fn ruff_finds_no_fault_in_the_addon() {
    check(Linter::Ruff);
}

#[test]
fn the_addons_python_is_written_as_ruff_has_it() {
    check(Linter::RuffFormat);
}

#[test]
fn pylint_odoo_finds_nothing() {
    check(Linter::PylintOdoo);
}

#[test]
fn eslint_finds_nothing() {
    check(Linter::Eslint);
}

#[test]
fn the_addons_pages_are_written_as_prettier_has_them() {
    check(Linter::Prettier);
}

#[test]
fn the_daemons_image_is_sound() {
    check(Linter::Hadolint);
}

#[test]
fn the_daemonset_is_what_kubernetes_expects() {
    check(Linter::Kubernetes);
}

#[test]
fn the_handbooks_pages_are_what_its_texts_say() {
    check(Linter::Handbook);
}

#[test]
fn the_compose_file_is_what_its_specification_says() {
    check(Linter::Compose);
}
