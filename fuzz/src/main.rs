//! One program for all targets: `NETWORK_AUDIT_FUZZ_TARGET` says which.

#![no_main]

mod http;
mod targets;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

/// Names the target.
const TARGET: &str = "NETWORK_AUDIT_FUZZ_TARGET";

fn target() -> targets::Target {
    static CHOSEN: OnceLock<targets::Target> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let name = std::env::var(TARGET).unwrap_or_default();
        let found = targets::TARGETS.iter().find(|(known, _)| *known == name);
        let names: Vec<&str> = targets::TARGETS.iter().map(|(known, _)| *known).collect();
        found.unwrap_or_else(|| panic!("{TARGET} must be one of {}", names.join(", "))).1
    })
}

fuzz_target!(|bytes: &[u8]| target()(bytes));
