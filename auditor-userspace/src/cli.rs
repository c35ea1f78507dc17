//! What can be typed.

use std::path::PathBuf;

use auditor_common::body::Guarded;
use auditor_common::note::hex;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{self, Places, Scope};
use crate::export;
use crate::serve::figures::window;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "auditor",
    version,
    about = "Network Audit: which module of your Odoo talked to whom, how much, when, and the proof"
)]
#[command(
    after_help = "Exit codes: 0 fine or proven, 1 could not run, 2 usage, 3 tampered, 4 intact with gaps, 5 cannot verify."
)]
pub struct Cli {
    /// Where things are.
    #[command(flatten)]
    pub places: PlacesArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The two directories.
#[derive(Args, Debug)]
pub struct PlacesArgs {
    /// Ledger and keys
    #[arg(long, global = true, value_name = "DIR", env = "NETWORK_AUDIT_STATE_DIR", default_value = config::STATE_DIR)]
    pub state_dir: PathBuf,
    /// Sockets
    #[arg(long, global = true, value_name = "DIR", env = "NETWORK_AUDIT_RUN_DIR", default_value = config::RUN_DIR)]
    pub run_dir: PathBuf,
}

impl From<PlacesArgs> for Places {
    fn from(args: PlacesArgs) -> Self {
        Self { state: args.state_dir, run: args.run_dir }
    }
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Record: watch every Odoo of this machine and seal what is seen
    Run(RunArgs),
    /// Make the keys before the first run, and keep the root key elsewhere
    Init {
        /// Where to put the root key's private half: take it off this machine
        #[arg(long, value_name = "FILE")]
        root_key: PathBuf,
    },
    /// How the daemon is doing
    Status {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// What this kernel lets us see, and why not more
    Probe {
        /// Another kernel object than the one that is built in
        #[arg(long, value_name = "FILE")]
        ebpf_object: Option<PathBuf>,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// The verdict: is all clear, and if not, why
    Report(ReportArgs),
    /// What was recorded
    Events(EventsArgs),
    /// What went where: a line a flow, of the last day unless --since says otherwise
    Flows(FlowsArgs),
    /// Which modules called out: a line a module
    Modules(SumsArgs),
    /// Where traffic went to and came from: a line a destination
    Destinations(SumsArgs),
    /// One record in plain words: what it says, and how that is known
    Explain {
        /// Its number: "seq" in `auditor events -o json`
        #[arg(value_name = "SEQ")]
        seq: u64,
    },
    /// Prove the whole ledger, without the daemon and without writing
    Verify {
        /// One JSON object
        #[arg(long)]
        json: bool,
        /// The root key to trust, as `auditor keys` prints it (instead of the one kept beside the ledger)
        #[arg(long, value_name = "VKEY")]
        root_key: Option<String>,
    },
    /// Hold the store against itself: is everything that is stored beside the records what they give
    Check {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// What `check` starts, because damage to a file can end the process that reads it
    #[command(hide = true)]
    CheckLedger {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// What `verify` starts, because damage to a file can end the process that reads it
    #[command(hide = true)]
    ReadLedger {
        /// The root key to trust
        #[arg(long, value_name = "VKEY")]
        root_key: Option<String>,
        /// Let all other processes go first
        #[arg(long)]
        gently: bool,
    },
    /// The keys that sign, and the fingerprint to pin
    #[command(args_conflicts_with_subcommands = true)]
    Keys {
        /// One JSON object
        #[arg(long)]
        json: bool,
        /// What to do
        #[command(subcommand)]
        what: Option<KeysCommand>,
    },
    /// Hand out a part of the ledger as a file that proves itself, to whoever trusts nobody here
    Export(ExportArgs),
    /// Prove one record: a file of about a kilobyte that needs nothing but the log's key to be verified
    Prove {
        /// Its number: "seq" in `auditor events -o json`
        #[arg(value_name = "SEQ")]
        seq: u64,
        /// Where to put it, instead of printing it; the usual ending is .tlog-proof
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Remove what the policy of retention lets go; the daemon does it by itself every hour
    Retain {
        /// Remove nothing, and say what would go
        #[arg(long)]
        dry_run: bool,
    },
    /// What Odoos asked for, and the host's answers
    Policy {
        /// What to do
        #[command(subcommand)]
        what: PolicyCommand,
    },
    /// Acknowledge a reason of the verdict: it does not count any more, until it recurs (records_missing: for good)
    Ack(AckArgs),
    /// The configuration file
    Config {
        /// What to do with it
        #[command(subcommand)]
        what: ConfigCommand,
    },
    /// A completion script for your shell
    Completion {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// The version
    Version,
}

/// `auditor export`.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// From then on: a span (90s, 2h, 7days) or a moment (2026-11-24T08:00:00Z); from the beginning without it
    #[arg(long, value_name = "TIME", value_parser = Since::parse)]
    pub from: Option<Since>,
    /// Until then, likewise; until now without it
    #[arg(long, value_name = "TIME", value_parser = Since::parse)]
    pub to: Option<Since>,
    /// Only this instance's records: a name, as `auditor status` prints it
    #[arg(long, value_name = "INSTANCE")]
    pub instance: Option<String>,
    /// A number of the one who asked, in hexadecimal: it is sealed, and shows that the export is not older than it
    #[arg(long, value_name = "HEX", value_parser = nonce)]
    pub nonce: Option<String>,
    /// With proof.html in it: a page that a person can read, and that verifies itself in a browser without a network
    #[arg(long)]
    pub html: bool,
    /// Where to put it; the usual ending is .nalx
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

fn nonce(text: &str) -> Result<String, String> {
    let nonce = export::nonce(text).map(|nonce| hex(&nonce));
    nonce.ok_or_else(|| {
        format!("a nonce is hexadecimal, of 1 to {} bytes: `openssl rand -hex 16` makes one", export::NONCE_MAX)
    })
}

/// `auditor keys`.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make the next epoch's key now: whoever takes the one of the present epoch signs nothing with it any more
    Rotate,
}

/// `auditor policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Show what was asked for, what waits, and what holds
    List {
        /// Only this instance's: a name, as `auditor status` prints it
        #[arg(long, value_name = "INSTANCE")]
        instance: Option<String>,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Accept a request that waits
    Accept {
        /// Its number
        #[arg(value_name = "N")]
        number: u64,
    },
    /// Deny a request that waits
    Deny {
        /// Its number
        #[arg(value_name = "N")]
        number: u64,
    },
    /// Change how an instance is recorded, with the host's authority
    Ask {
        /// Which: a name, as `auditor status` prints it
        #[arg(long, value_name = "INSTANCE")]
        instance: String,
        /// auditing, strict_redaction, retention_days, disabled_channels, watch, unwatch, document, undocument
        setting: String,
        /// The value, as JSON: a number, true or false, a list, an object; anything else is taken as text
        value: String,
    },
}

/// `auditor ack`.
#[derive(Args, Debug)]
pub struct AckArgs {
    /// Which reason: a name, as `auditor report --json` has it in "id"
    #[arg(value_name = "REASON")]
    pub reason: String,
    /// About what: as the report has it in "subject"
    #[arg(long, value_name = "SUBJECT", default_value = "")]
    pub subject: String,
    /// Why this is no worry; it is sealed with it
    #[arg(long, value_name = "TEXT")]
    pub text: String,
    /// For this instance's report; without it for that of the whole host
    #[arg(long, value_name = "INSTANCE")]
    pub instance: Option<String>,
}

/// `auditor config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether it makes sense, and if not, where
    Check {
        /// Another file than the usual one
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// `auditor run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// What to audit: odoo (every Odoo, found by its command line), pid:NUMBER, or cgroup:/PATH; children always follow
    #[arg(long, value_name = "SCOPE", default_value = "odoo")]
    pub scope: Scope,
    /// Another configuration file than /etc/network-audit/auditor.toml; without that one everything is as always
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Another kernel object than the one that is built in
    #[arg(long, value_name = "FILE")]
    pub ebpf_object: Option<PathBuf>,
    /// Bytes of the ring between kernel and daemon, a power of two
    #[arg(long, value_name = "BYTES", default_value_t = config::RING_BYTES, value_parser = config::ring_bytes)]
    pub ring_bytes: u32,
}

/// Whose, and how far back.
#[derive(Args, Debug)]
pub struct PeriodArgs {
    /// Only this instance's: a name, as `auditor status` prints it
    #[arg(long, value_name = "INSTANCE")]
    pub instance: Option<String>,
    /// How far back: a span (1h, 1day, 7days)
    #[arg(long, value_name = "SPAN", default_value = "1day", value_parser = window::parse)]
    pub since: u64,
}

/// `auditor report`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// Whose, and how far back
    #[command(flatten)]
    pub period: PeriodArgs,
    /// What a code stood for that a page or a terminal showed
    #[arg(long, value_name = "CODE", conflicts_with_all = ["instance", "since"])]
    pub code: Option<String>,
}

/// `auditor events`.
#[derive(Args, Debug)]
pub struct EventsArgs {
    /// Go on: print what comes
    #[arg(short, long)]
    pub follow: bool,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Which
    #[command(flatten)]
    pub which: WhichArgs,
    /// Only what no ordinary Odoo does, of this kind
    #[arg(long, value_name = "WHAT", value_parser = Guarded::ALL.map(Guarded::word))]
    pub guard: Option<String>,
    /// Also what is not traffic: processes, runs, seals, losses (JSON shows everything)
    #[arg(short, long)]
    pub all: bool,
}

/// `auditor flows`.
#[derive(Args, Debug)]
pub struct FlowsArgs {
    /// How to print it
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Which
    #[command(flatten)]
    pub which: WhichArgs,
}

/// `auditor modules`, `auditor destinations`.
#[derive(Args, Debug)]
pub struct SumsArgs {
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// Whose, and how far back
    #[command(flatten)]
    pub period: PeriodArgs,
}

/// Which records.
#[derive(Args, Clone, Debug)]
pub struct WhichArgs {
    /// Only this module's
    #[arg(long, value_name = "MODULE")]
    pub module: Option<String>,
    /// Only since then: a span (90s, 10m, 2h, 1day) or a moment (2026-11-24T08:00:00Z)
    #[arg(long, value_name = "TIME", value_parser = Since::parse)]
    pub since: Option<Since>,
    /// Only with this label
    #[arg(long, value_enum, value_name = "LABEL")]
    pub label: Option<LabelArg>,
    /// Only this direction
    #[arg(long, value_enum)]
    pub direction: Option<Direction>,
    /// Only this instance's: a name, as `auditor status` prints it
    #[arg(long, value_name = "INSTANCE")]
    pub instance: Option<String>,
}

/// How records are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Table,
    /// One object a line
    Json,
}

/// A direction, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Direction {
    /// The other side began
    In,
    /// We began
    Out,
}

/// A label, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum LabelArg {
    /// A claim bound to the very socket or spawn
    Matched,
    /// A claim that could not be bound
    SelfReported,
    /// No claim, but the host explains it
    Inferred,
    /// Nobody says
    Absent,
}

/// A moment, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// This long ago, nanoseconds.
    Ago(u64),
    /// CLOCK_REALTIME nanoseconds.
    At(u64),
}

impl Since {
    fn parse(text: &str) -> Result<Self, String> {
        if let Ok(span) = humantime::parse_duration(text) {
            return Ok(Self::Ago(span.as_nanos() as u64));
        }
        humantime::parse_rfc3339_weak(text)
            .ok()
            .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
            .map(|since| Self::At(since.as_nanos() as u64))
            .ok_or_else(|| format!("\"{text}\" is no time: give a span (10m, 2h) or a moment (2026-11-24T08:00:00Z)"))
    }

    /// The moment itself.
    #[must_use]
    pub const fn wall_ns(self, now_wall_ns: u64) -> u64 {
        match self {
            Self::Ago(ns) => now_wall_ns.saturating_sub(ns),
            Self::At(ns) => ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::{Cli, Since};

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    fn check(typed: &str, means: Option<Since>) {
        assert_eq!(Since::parse(typed).ok(), means, "{typed}");
    }

    #[test]
    fn a_moment_is_a_span_or_a_date() {
        check("90s", Some(Since::Ago(90_000_000_000)));
        check("2h", Some(Since::Ago(7_200_000_000_000)));
        check("1970-01-01T00:00:01Z", Some(Since::At(1_000_000_000)));
        check("yesterday", None);
        check("", None);
    }
}
