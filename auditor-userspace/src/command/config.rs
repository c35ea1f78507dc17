//! `auditor config check`, and the configuration of a run.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use crate::catalogue::{Catalogue, Word};
use crate::command::exit;
use crate::config::CONFIG_FILE;
use crate::config::file::File;

/// What a configuration file and the catalogues that it names say.
pub(super) struct Configured {
    pub(super) file: File,
    pub(super) catalogue: Catalogue,
    /// The catalogues' files, and what is in them.
    pub(super) texts: Vec<(PathBuf, String)>,
}

/// Reads the configuration; without a path the usual one, if it is there.
pub(super) fn read(path: Option<&Path>) -> anyhow::Result<Configured> {
    let text = match path {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?,
        None => match std::fs::read_to_string(CONFIG_FILE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.with_context(|| format!("cannot read {CONFIG_FILE}"))?,
        },
    };
    let name = path.unwrap_or(Path::new(CONFIG_FILE)).display().to_string();
    let file = File::parse(&text).map_err(|why| anyhow!("{name}: {why}"))?;
    let mut catalogue = Catalogue::built_in();
    let mut texts = Vec::new();
    for path in &file.catalogue {
        let name = || path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", name()))?;
        catalogue.extend(&text, Word::Host).with_context(name)?;
        texts.push((path.clone(), text));
    }
    Ok(Configured { file, catalogue, texts })
}

/// Says whether the configuration makes sense.
pub(super) fn check(path: Option<&Path>) -> anyhow::Result<u8> {
    let Configured { file, catalogue, .. } = read(path)?;
    println!(
        "sound: {} named instances, {} documented destinations, {} watched vendors",
        file.instances.len(),
        catalogue.entries().len(),
        catalogue.vendors().len()
    );
    let File { policy, retention, verification, .. } = &file;
    println!(
        "records are kept for {} days and up to {} GiB, and never less than {} days; the ledger is verified daily at {:02}:00 UTC",
        policy.retention_days, retention.max_gib, retention.min_days, verification.hour
    );
    Ok(exit::FINE)
}
