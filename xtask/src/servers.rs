//! The other end of the demonstration: servers on loopback with a log of their own, which is the truth.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::account::Account;
use crate::odoo::setup;

/// Running servers. They go on when this value is dropped: whoever started them ends them.
#[derive(Debug)]
pub struct Servers {
    /// Their process.
    pub child: Child,
    /// Name to port, as JSON: what `VENDOR_DEMO_SERVERS` has to be for the demonstration to find them.
    pub ports: String,
    /// Their log, a JSON object a line.
    pub log: PathBuf,
}

impl Servers {
    /// Starts them on free ports, as `account`, with their script and log in `folder`.
    pub fn start(checkout: &Path, folder: &Path, account: &Account) -> Result<Self> {
        Self::start_script(checkout, folder, account, &setup::system_python()?, &["servers.py"])
    }

    /// The same, by the last of these scripts, which needs the others.
    pub fn start_script(
        checkout: &Path,
        folder: &Path,
        account: &Account,
        python: &Path,
        scripts: &[&str],
    ) -> Result<Self> {
        let mut script = PathBuf::new();
        for name in scripts {
            script = folder.join(name);
            let source = checkout.join("tests/scenarios").join(name);
            fs::copy(&source, &script).with_context(|| format!("{} is missing", source.display()))?;
        }
        let log = folder.join("truth.jsonl");
        fs::write(&log, "").with_context(|| format!("{} cannot be written", log.display()))?;
        account.give(&log)?;
        let mut command = account.command(python);
        command.arg("-B").arg(script).arg("--log").arg(&log);
        for name in ["http", "smtp", "tcp", "udp", "postgres"] {
            command.arg(format!("--{name}-port=0"));
        }
        let errors = fs::File::create(folder.join("servers.log"))?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).process_group(0);
        let mut child = command.spawn().context("the loopback servers do not start")?;
        let output = child.stdout.take().context("the loopback servers have no output")?;
        let mut ports = String::new();
        BufReader::new(output).read_line(&mut ports)?;
        if !ports.starts_with('{') {
            let _ = child.kill();
            let _ = child.wait();
            bail!("the loopback servers do not start; see {}", folder.join("servers.log").display());
        }
        Ok(Self { child, ports: ports.trim().to_owned(), log })
    }
}
