//! Where things are: the checkout, what Cargo built, and what is set up once for a machine.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The checkout, found at run time: a program built in one checkout must not write into another.
pub fn checkout() -> Result<PathBuf> {
    let start = match env::var_os("CARGO_MANIFEST_DIR") {
        Some(directory) => PathBuf::from(directory),
        None => env::current_dir().context("the current folder cannot be read")?,
    };
    start
        .ancestors()
        .find(|folder| folder.join("auditor-common/Cargo.toml").is_file())
        .map(Path::to_path_buf)
        .context("this is not inside of a checkout of Network Audit; change into one first")
}

/// The folder of the profile that the running program was built in (`target/debug`), wherever the target folder is.
pub fn built() -> Result<PathBuf> {
    let program = env::current_exe().context("the path of this program cannot be read")?;
    let mut folder = program.parent().context("this program has no folder")?;
    if folder.ends_with("deps") {
        folder = folder.parent().context("this program has no target folder")?;
    }
    Ok(folder.to_path_buf())
}

/// Set-up things are kept outside of the checkout, so that a second clone does not fetch and build them again:
/// `$NETWORK_AUDIT_CACHE`, else `/var/cache/network-audit` for root, else below the user's cache folder.
pub fn cache() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("NETWORK_AUDIT_CACHE") {
        return Ok(folder.into());
    }
    if crate::process::is_root() {
        return Ok("/var/cache/network-audit".into());
    }
    env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
        .map(|folder| folder.join("network-audit"))
        .context("there is no cache folder; set NETWORK_AUDIT_CACHE to one")
}

/// The first of `names` that is on the PATH, or in the folders of system programs that a user's PATH may lack.
pub fn program(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> =
        env::split_paths(&path).chain(["/usr/sbin", "/sbin", "/usr/bin"].map(PathBuf::from)).collect();
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
}
