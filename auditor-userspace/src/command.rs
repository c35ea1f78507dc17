//! What each command does: the edge between people and the stages.

mod check; // the store against itself
mod config; // the configuration file
mod events; // print records
mod explain; // one record in plain words
mod export; // a part of the ledger
mod keys; // who signs
mod policy; // what instances asked for
mod probe; // what loads here
mod prove; // one record
mod report; // the verdict
mod retain; // remove what may go
mod run; // record
mod status; // how the daemon is doing
mod traffic; // flows, modules, destinations
mod verify; // prove the ledger

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::cli::{Cli, Command, ConfigCommand, KeysCommand};
use crate::config::Places;

/// Exit codes: they mean the same in every command.
pub mod exit {
    /// Fine, or everything that was required is proven.
    pub const FINE: u8 = 0;
    /// Could not run.
    pub const FAILED: u8 = 1;
    /// Usage: given by the command line's parser.
    pub const USAGE: u8 = 2;
    /// Tampered.
    pub const TAMPERED: u8 = 3;
    /// Intact, but with gaps, or a part unproven.
    pub const GAPS: u8 = 4;
    /// Cannot verify: unknown key, or a newer version.
    pub const UNVERIFIABLE: u8 = 5;
}

/// Does what was typed.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let places = Places::from(cli.places);
    let done = match cli.command {
        Command::Run(args) => run::run(places, args),
        Command::Init { root_key } => keys::init(&places, &root_key),
        Command::Keys { what: Some(KeysCommand::Rotate), .. } => keys::rotate(&places),
        Command::Keys { json, what: None } => keys::print(&places, json),
        Command::Export(asked) => export::run(&places, &asked),
        Command::Prove { seq, output } => prove::run(&places, seq, output.as_deref()),
        Command::Retain { dry_run } => retain::run(&places, dry_run),
        Command::Probe { ebpf_object, json } => probe::print(ebpf_object, json),
        Command::Status { json } => status::print(&places, json),
        Command::Report(asked) => report::print(&places, &asked),
        Command::Events(asked) => events::print(&places, &asked),
        Command::Flows(asked) => traffic::flows(&places, &asked),
        Command::Modules(asked) => traffic::modules(&places, &asked),
        Command::Destinations(asked) => traffic::destinations(&places, &asked),
        Command::Explain { seq } => explain::run(&places, seq),
        Command::Policy { what } => policy::run(&places, &what),
        Command::Ack(asked) => policy::acknowledge(&places, &asked),
        Command::Config { what: ConfigCommand::Check { config } } => config::check(config.as_deref()),
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "auditor", &mut std::io::stdout());
            Ok(exit::FINE)
        }
        Command::Version => {
            println!("auditor {}", env!("CARGO_PKG_VERSION"));
            Ok(exit::FINE)
        }
        Command::Check { json } => check::run(&places, json),
        Command::CheckLedger { json } => check::read(&places, json),
        Command::Verify { json, root_key } => verify::print(&places, json, root_key.as_deref()),
        Command::ReadLedger { root_key, gently } => verify::read(&places, root_key.as_deref(), gently),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("auditor: {error:#}");
            ExitCode::from(exit::FAILED)
        }
    }
}
