//! `auditor export`: a part of the ledger in a file, for somebody who trusts nobody here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use auditor_common::export::{MAX_EXPORT, SignedExport};
use auditor_common::tar;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::cli::ExportArgs;
use crate::client;
use crate::clock;
use crate::command::exit;
use crate::config::Places;
use crate::report::text::bytes;

/// Has the daemon make an export, and writes it down.
pub(super) fn run(places: &Places, asked: &ExportArgs) -> anyhow::Result<u8> {
    let now = clock::now().wall_ns;
    let wanted = json!({
        "from_ns": asked.from.map(|from| from.wall_ns(now)),
        "to_ns": asked.to.map(|to| to.wall_ns(now)),
        "instance": asked.instance,
        "nonce": asked.nonce,
        "html": asked.html,
    });
    let mut draft = Draft::create(&asked.output)?;
    let bar = ProgressBar::new_spinner().with_message("the daemon seals it, and hashes what goes into it");
    bar.enable_steady_tick(Duration::from_millis(100));
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} % of {total_bytes}, {binary_bytes_per_sec}")?;
    let downloaded = client::download(&places.api_socket(), "/v1/export", &wanted, |whole, piece| {
        if bar.length().is_none() {
            bar.set_style(style.clone());
            bar.set_length(whole);
        }
        bar.inc(piece.len() as u64);
        draft.file.write_all(piece)
    });
    bar.finish_and_clear();
    downloaded?;
    draft.keep()?;
    let note = list_of(&asked.output)?.export;
    let size = fs::metadata(&asked.output).map_or(0, |found| found.len());
    println!(
        "{}: records {} to {} of {}, {}, export {}",
        asked.output.display(),
        note.first,
        note.last,
        note.origin,
        bytes(size),
        auditor_common::note::hex(&note.id)
    );
    let root = client::object(&places.api_socket(), "/v1/status")?["root_key"].as_str().unwrap_or("ROOT").to_owned();
    let nonce = asked.nonce.as_ref().map(|nonce| format!(" --nonce {nonce}")).unwrap_or_default();
    eprintln!(
        "\nWhoever gets it verifies it without us:\n  auditor-verify --key '{root}'{nonce} {}",
        asked.output.display()
    );
    Ok(exit::FINE)
}

/// The file under another name, until all of it is there.
struct Draft {
    file: File,
    part: PathBuf,
    path: PathBuf,
}

impl Draft {
    fn create(path: &Path) -> anyhow::Result<Self> {
        if fs::exists(path).with_context(|| format!("cannot look at {}", path.display()))? {
            bail!("{} exists already: give another name after -o", path.display());
        }
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = OpenOptions::new().write(true).create_new(true).open(&part);
        let file = file.with_context(|| format!("cannot make {}", part.display()))?;
        Ok(Self { file, part, path: path.to_owned() })
    }

    fn keep(self) -> anyhow::Result<()> {
        let kept = self.file.sync_all().and_then(|()| fs::rename(&self.part, &self.path));
        kept.with_context(|| format!("cannot make {}", self.path.display()))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.part);
    }
}

/// The signed list, which is the first file of every export.
fn list_of(path: &Path) -> anyhow::Result<SignedExport> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let mut block = [0; tar::BLOCK];
        file.read_exact(&mut block)?;
        let header = tar::parse(&block).filter(|(name, len)| name == "EXPORT" && *len <= MAX_EXPORT as u64);
        let (_, len) = header.ok_or_else(|| io::Error::other("it does not begin with its list"))?;
        let mut list = Vec::new();
        file.take(len).read_to_end(&mut list)?;
        Ok(list)
    };
    let list = read().with_context(|| format!("cannot read {} again", path.display()))?;
    SignedExport::parse(&list).with_context(|| format!("{} is not what it should be", path.display()))
}
