//! Addons, copied out of the checkout: Odoo's account may not be able to read a checkout below somebody's home.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use super::Installation;

/// Our addons, relative to the checkout: the product, and two demonstration vendors.
const SOURCES: &[&str] =
    &["odoo_addon/mit_network_audit", "tests/odoo_addons/vendor_demo", "tests/odoo_addons/vendor_other"];

/// Sets apart what several threads of one program write at once.
static TURN: AtomicU64 = AtomicU64::new(0);

/// Staged addons: one folder for Odoo's `addons_path`, named after a hash of what is in it.
#[derive(Clone, Debug)]
pub struct Addons {
    folder: PathBuf,
    names: Vec<String>,
    key: String,
    libraries: Option<PathBuf>,
}

impl Addons {
    /// Copies the project's own addons.
    pub fn stage(installation: &Installation, checkout: &Path) -> Result<Self> {
        let sources: Vec<PathBuf> = SOURCES.iter().map(|name| checkout.join(name)).collect();
        Self::stage_from(installation, &sources)
    }

    /// Copies any addons, each given by its folder.
    pub fn stage_from(installation: &Installation, sources: &[PathBuf]) -> Result<Self> {
        let mut files = BTreeMap::new();
        let mut names = Vec::new();
        for source in sources {
            if !source.join("__manifest__.py").is_file() {
                bail!("{} is no addon: it has no __manifest__.py", source.display());
            }
            let name = source.file_name().context("an addon's folder has no name")?.to_string_lossy().into_owned();
            collect(source, Path::new(&name), &mut files)?;
            names.push(name);
        }
        let mut hasher = Sha256::new();
        for (path, content) in &files {
            hasher.update(path.as_os_str().as_encoded_bytes());
            hasher.update([0]);
            hasher.update(digest_of(content));
        }
        let key = hex(&hasher.finalize()[..6]);
        let folder = installation.home.join("addons").join(&key);
        write(&folder, &files)?;
        Ok(Self { folder, names, key, libraries: None })
    }

    /// With a folder of Python packages that they import, and Odoo has not.
    #[must_use]
    pub fn with_libraries(mut self, folder: Option<PathBuf>) -> Self {
        self.libraries = folder;
        self
    }

    /// Where the Python packages are that they import, and Odoo has not.
    pub fn libraries(&self) -> Option<&Path> {
        self.libraries.as_deref()
    }

    /// What to put on Odoo's `addons_path`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The addons' names, comma-separated.
    pub fn names(&self) -> String {
        self.names.join(",")
    }

    /// A short hash of the sources.
    pub fn key(&self) -> &str {
        &self.key
    }
}

fn collect(source: &Path, name: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    let entries = fs::read_dir(source).with_context(|| format!("{} cannot be read", source.display()))?;
    for entry in entries {
        let entry = entry?;
        let target = name.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if entry.file_name() != "__pycache__" {
                collect(&entry.path(), &target, files)?;
            }
        } else {
            files.insert(target, fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// Written beside its place and renamed, so that a folder that exists is whole.
fn write(folder: &Path, files: &BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let fresh = folder.with_extension(format!("new-{}-{}", std::process::id(), TURN.fetch_add(1, Ordering::Relaxed)));
    for (path, content) in files {
        let path = fresh.join(path);
        fs::create_dir_all(path.parent().context("a staged file has no folder")?)?;
        fs::write(&path, content).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    if fs::rename(&fresh, folder).is_err() {
        // Another one was faster; the content is the same.
        fs::remove_dir_all(&fresh)?;
    }
    Ok(())
}

pub(super) fn digest_of(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_stage_the_same_addons_at_once_all_find_them_whole() {
        let home = std::env::temp_dir().join(format!("network-audit-staging-{}", std::process::id()));
        let files: BTreeMap<PathBuf, Vec<u8>> =
            (0..50).map(|n| (PathBuf::from(format!("vendor/{n}.py")), vec![b'#'; 64])).collect();
        let folder = home.join("key");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| write(&folder, &files).expect("each thread is told that the folder is there"));
            }
        });
        let staged = fs::read_dir(folder.join("vendor")).expect("the folder is there").count();
        let beside = fs::read_dir(&home).expect("its home is there").count();
        fs::remove_dir_all(&home).expect("it can be taken away");
        assert_eq!((staged, beside), (50, 1));
    }
}
