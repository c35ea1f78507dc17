//! `bench-soak [REQUESTS]`: who is credited with what four modules do at once.

use std::process::ExitCode;

use auditor_tests::{an_odoo, soak};

fn main() -> ExitCode {
    if let Err(reason) = an_odoo() {
        eprintln!("error: nothing can be measured here: {reason}");
        return ExitCode::FAILURE;
    }
    let requests = std::env::args().nth(1).and_then(|requests| requests.parse().ok()).unwrap_or(20_000);
    let outcome = soak::soak(requests);
    print!("{outcome}");
    if outcome.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
