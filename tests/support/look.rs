//! The Trust Report, as somebody reads it in a real browser.

use std::process::Command;

use xtask::odoo::{Installation, setup};

use crate::{Odoo, checkout};

/// Logs the administrator in and waits for an element of the page; gives its text. `Err`: there is no browser here.
pub fn text_of(odoo: &Odoo, selector: &str) -> Result<String, String> {
    let browser = setup::browser().map_err(|error| format!("{error:#}"))?;
    let installation = Installation::find().map_err(|error| format!("{error:#}"))?;
    let mut python = Command::new(installation.python());
    python.arg("-B").arg(checkout().join("tests/scenarios/look.py")).arg(browser).arg(odoo.address()).arg(selector);
    let output = python.output().expect("Python");
    assert!(output.status.success(), "{selector}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout).expect("text"))
}
