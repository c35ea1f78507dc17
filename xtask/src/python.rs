//! The Python interpreters of this machine: the addon's core has to run on each of 3.10 to 3.13.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::paths;
use crate::process::{self, say};

/// One interpreter for each minor version that is supported and installed, the system's before others.
pub fn interpreters() -> BTreeMap<u32, PathBuf> {
    let mut found = BTreeMap::new();
    for path in candidates() {
        if let Some((3, minor @ 10..=13)) = version(&path) {
            found.entry(minor).or_insert(path);
        }
    }
    found
}

/// What the addon's core knows how to name, and the standard library has not; and TOML, which it has since Python 3.11.
const REQUIREMENTS: &[&str] = &["httpx==0.28.1", "tomli==2.2.1"];

/// The interpreter with what the tests want to import besides, in an environment outside of the checkout; made once.
pub fn for_tests(minor: u32, python: &Path) -> Result<PathBuf> {
    let folder = paths::cache()?.join(format!("python-tests-3.{minor}-{}", REQUIREMENTS.join("-")));
    environment("test", &folder, python, REQUIREMENTS)?;
    Ok(folder.join("bin/python3"))
}

/// Published as source only, and plain Python.
const SOURCES_ONLY: &[&str] = &["pyftpdlib"];

/// Makes an environment of this interpreter with these packages in a folder, if it is not there.
pub fn environment(purpose: &str, folder: &Path, python: &Path, packages: &[&str]) -> Result<()> {
    let done = folder.join(".done");
    if !done.is_file() {
        say(purpose, &format!("installing {} for {}", packages.join(" "), python.display()));
        process::output(Command::new(python).args(["-m", "venv", "--clear"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.args(["install", "-q", "--disable-pip-version-check", "--only-binary=:all:"]);
        pip.args(SOURCES_ONLY.iter().map(|name| format!("--no-binary={name}")));
        process::output(pip.args(packages))?;
        fs::write(done, "")?;
    }
    Ok(())
}

/// Major and minor of an interpreter, if it runs.
pub fn version(python: &Path) -> Option<(u32, u32)> {
    let mut command = Command::new(python);
    command.args(["-c", "import sys; print(*sys.version_info[:2])"]);
    let text = process::output(&mut command).ok()?;
    let (major, minor) = text.split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn candidates() -> Vec<PathBuf> {
    let mut paths = vec![PathBuf::from("/usr/bin/python3")];
    for folder in ["/usr/bin", "/usr/local/bin"] {
        paths.extend((10..=13).map(|minor| Path::new(folder).join(format!("python3.{minor}"))));
    }
    let pyenv = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let pyenv = pyenv.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".pyenv")));
    let versions = pyenv.and_then(|root| fs::read_dir(root.join("versions")).ok());
    paths.extend(versions.into_iter().flatten().flatten().map(|entry| entry.path().join("bin/python3")));
    paths.retain(|path| path.is_file());
    paths
}
