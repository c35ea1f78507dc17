//! `bench-kernel [ROUNDS]`: what being looked at costs, a row each.

use std::process::ExitCode;

use auditor_tests::a_daemon;
use auditor_tests::kernel_cost::{Met, cost_table, other_programs};

fn main() -> ExitCode {
    if let Err(reason) = a_daemon() {
        eprintln!("error: nothing can be measured here: {reason}");
        return ExitCode::FAILURE;
    }
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(15);
    let others = other_programs();
    if others > 0 {
        println!("{others} other BPF programs are loaded: alone, everything but the fifth row would cost more");
    }
    let rows = cost_table(rounds);
    for row in &rows {
        println!(
            "{:<50} {:>8}   floor {:>7}   goal {:>7}   {}",
            row.what,
            row.measured.to_string(),
            row.floor.to_string(),
            row.goal.to_string(),
            row.met
        );
    }
    if rows.iter().any(|row| row.met == Met::Missed) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
