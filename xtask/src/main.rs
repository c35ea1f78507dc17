//! `cargo xtask`: everything that CI does, runnable by hand.

mod bench;
mod check;
mod cli;
mod doctor;
mod kernels;
mod test;
mod up;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match cli::Arguments::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
