//! Two thousand mixed requests to four modules at once; `cargo xtask bench soak` makes it twenty thousand.

use auditor_tests as support;
use support::{require, soak};

#[test]
fn under_load_nobody_is_credited_with_what_another_did() {
    require!(support::an_odoo());
    let outcome = soak::soak(2_000);
    println!("{outcome}");
    assert!(outcome.is_good(), "{outcome}");
}
