//! What can be typed after `cargo xtask`.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};
use xtask::odoo::serve::Server;
use xtask::odoo::staging::Addons;
use xtask::odoo::{Installation, database, postgres, serve, setup, suite};
use xtask::{addon, ebpf, paths};

use crate::{bench, check, doctor, fuzz, kernels, test, up};

/// Builds, sets up, starts and tests Network Audit.
#[derive(Parser)]
#[command(name = "cargo xtask", max_term_width = 110)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Look for every prerequisite, and say what to do about the missing ones
    Doctor,
    /// Build, set up and start everything, and show the flows of a real Odoo as they come
    Up {
        /// Where Odoo listens on loopback
        #[arg(long, default_value_t = 8069)]
        port: u16,
        /// Leave it running in the background
        #[arg(long)]
        detach: bool,
    },
    /// Stop what `up --detach` left running
    Down,
    /// The command line of the daemon that `up` started: auditor events, auditor verify, …
    Auditor {
        /// What to ask it
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run all tests, or those whose names contain FILTER, and count them
    Test {
        /// A part of the tests' names
        filter: Option<String>,
    },
    /// All that has to pass: formatting, lints, tidiness, tests
    Ci,
    /// One door for each dependency, small files, clean text, and what linters of the addon and of deploy/ say
    Tidy,
    /// Write everything as its formatter has it: Rust, Python, JavaScript
    Format,
    /// Write the goldens anew and show what changed
    Vectors,
    /// Measure what it costs, and print the tables
    Bench {
        /// One table; all by default
        #[arg(value_parser = PossibleValuesParser::new(bench::names()))]
        table: Option<String>,
        /// What its program is told
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Feed every parser with what a fuzzer comes up with
    Fuzz {
        /// One target; all by default
        target: Option<String>,
        /// How long each has
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Build the kernel programs
    BuildEbpf,
    /// Run the tests of the kernel half on other kernels, booted by an emulator
    Kernels {
        /// A part of the tests' names
        filter: Option<String>,
    },
    /// The addon as people install it: a tree and an archive for each series of Odoo
    #[command(subcommand)]
    Addon(Addon),
    /// A real Odoo 19 with a PostgreSQL of its own
    #[command(subcommand)]
    Odoo(Odoo),
}

#[derive(Subcommand)]
enum Addon {
    /// Write an archive for each series, and their checksums
    Dist {
        /// Where to; target/addon of the checkout by default
        folder: Option<PathBuf>,
    },
    /// Write a tree for each series, to be put on an addons path
    Write {
        /// Where to; target/addon of the checkout by default
        folder: Option<PathBuf>,
    },
    /// Look at each tree for what its series would refuse
    Check,
    /// Let Odoo export what can be translated, and take it over into the translations
    Translate,
}

#[derive(Subcommand)]
enum Odoo {
    /// Set up what is missing, once for this machine
    Setup,
    /// Make a database from the template
    Clone {
        /// The new database; one of that name is replaced
        database: String,
        /// With the project's addons installed
        #[arg(long)]
        audited: bool,
    },
    /// Serve a database in the foreground
    Serve(Serve),
    /// Odoo's Python shell on a database
    Shell {
        /// The database
        database: String,
    },
    /// Run an addon's own tests in a new database
    Test {
        /// The addon
        #[arg(default_value = "mit_network_audit")]
        addon: String,
        /// Odoo's --test-tags; all of the addon's by default
        #[arg(long)]
        tags: Option<String>,
    },
    /// Stop servers that run in the background, and the PostgreSQL
    Stop,
}

#[derive(Args)]
struct Serve {
    /// The database
    database: String,
    /// Where to listen on loopback; the websocket gets the third port after it
    #[arg(long, default_value_t = 8069)]
    port: u16,
    /// Prefork workers; 0 for the threaded mode
    #[arg(long, default_value_t = 2)]
    workers: u32,
    /// Without the project's addons
    #[arg(long)]
    plain: bool,
    /// More arguments for Odoo
    #[arg(last = true)]
    more: Vec<String>,
}

impl Arguments {
    /// Does what was asked.
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self.task {
            Task::Odoo(task) => task.run(),
            Task::Addon(task) => task.run(),
            Task::Doctor => Ok(exit(doctor::run())),
            Task::Up { port, detach } => up::up(port, detach).map(|()| ExitCode::SUCCESS),
            Task::Down => up::down().map(|()| ExitCode::SUCCESS),
            Task::Auditor { arguments } => match up::auditor(&arguments)? {},
            Task::Test { filter } => Ok(exit(test::run(filter.as_deref())?.is_good())),
            Task::Ci => {
                check::everything()?;
                Ok(exit(test::run(None)?.is_good()))
            }
            Task::Format => check::format().map(|()| ExitCode::SUCCESS),
            Task::Tidy => check::tidiness().map(|()| ExitCode::SUCCESS),
            Task::Vectors => check::vectors().map(|()| ExitCode::SUCCESS),
            Task::Bench { table, arguments } => bench::run(table.as_deref(), &arguments).map(|()| ExitCode::SUCCESS),
            Task::Kernels { filter } => Ok(exit(kernels::run(filter.as_deref())?)),
            Task::Fuzz { target, seconds } => fuzz::run(target.as_deref(), seconds).map(|()| ExitCode::SUCCESS),
            Task::BuildEbpf => {
                println!("{}", ebpf::build()?.display());
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn exit(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Addon {
    fn run(self) -> Result<ExitCode> {
        let checkout = paths::checkout()?;
        let (task, folder) = match self {
            Addon::Dist { folder } => ("dist", Some(folder)),
            Addon::Write { folder } => ("write", Some(folder)),
            Addon::Check => ("check", None),
            Addon::Translate => {
                addon::translate(&Installation::find()?, &checkout)?;
                return Ok(ExitCode::SUCCESS);
            }
        };
        let folder = folder.map(|folder| folder.unwrap_or_else(|| checkout.join("target/addon")));
        addon::series(&checkout, task, folder.as_deref()).map(|()| ExitCode::SUCCESS)
    }
}

impl Odoo {
    fn run(self) -> Result<ExitCode> {
        let done = Ok(ExitCode::SUCCESS);
        if let Odoo::Setup = self {
            let installation = setup::setup()?;
            println!("Odoo {} is set up in {}", xtask::odoo::VERSION, installation.home.display());
            return done;
        }
        let installation = Installation::find()?;
        if let Odoo::Stop = self {
            serve::stop_all(&installation)?;
            postgres::Cluster::new(&installation)?.stop()?;
            return done;
        }
        postgres::Cluster::new(&installation)?.start()?;
        match self {
            Odoo::Clone { database: name, audited } => {
                let template = if audited {
                    database::template_with(&installation, &Addons::stage(&installation, &paths::checkout()?)?)?
                } else {
                    database::TEMPLATE.to_owned()
                };
                database::clone(&installation, &template, &name)?;
                println!("{name} is a clone of {template}");
            }
            Odoo::Serve(arguments) => return Err(arguments.replace_this_process(&installation)?),
            Odoo::Shell { database } => {
                let mut shell = Server::new("shell", &database).odoo(&installation, "shell")?;
                return Err(shell.arg("--no-http").exec()).context("Odoo's shell does not start");
            }
            Odoo::Test { addon, tags } => {
                let outcome = suite::in_new_database(&installation, &paths::checkout()?, &addon, tags.as_deref())?;
                println!("{} passed, {} failed", outcome.passed, outcome.failed);
                return Ok(exit(outcome.failed == 0));
            }
            Odoo::Setup | Odoo::Stop => {}
        }
        done
    }
}

impl Serve {
    /// Odoo takes the place of this process, so Ctrl-C and the exit status are its own.
    fn replace_this_process(self, installation: &Installation) -> Result<anyhow::Error> {
        let mut server = Server::new(&format!("serve-{}", self.database), &self.database);
        if !self.plain {
            server = server.with_addons(&Addons::stage(installation, &paths::checkout()?)?);
        }
        (server.http_port, server.gevent_port, server.workers) = (self.port, self.port.saturating_add(3), self.workers);
        let error = server.serve(installation)?.args(&self.more).exec();
        Ok(anyhow::Error::new(error).context("Odoo does not start"))
    }
}
