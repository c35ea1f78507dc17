//! `auditor`: the daemon and the command line, one thin binary over the library.

use std::process::ExitCode;

use auditor_userspace::cli::{Cli, Command};
use auditor_userspace::command;
use clap::Parser as _;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // A reader that goes away (`auditor events | head`) ends us, as it does every other program of the shell. The daemon
    // it does not: anybody may hang up on it before it has answered.
    if !matches!(cli.command, Command::Run(_)) {
        // SAFETY: no thread runs yet, and the default disposition has no handler to be unsafe.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    }
    command::run(cli)
}
