//! Setting Odoo up: idempotent, a line for each step, and nothing asked of a network once it is done.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Installation, VERSION, database, debian, postgres, staging};
use crate::account::Account;
use crate::packages;
use crate::paths;
use crate::process::{self, say};
use crate::python;

/// What Odoo needs of the machine itself.
pub const PACKAGES: &[&str] =
    &["postgresql", "postgresql-client", "python3", "python3-venv", "libmagic1", "fonts-dejavu-core", "curl"];

/// The file that says that everything below the folder is whole.
pub(super) const DONE: &str = ".done";

/// Odoo's own pins, moved where the pinned release has no wheel for the interpreters here.
const REQUIREMENTS: &str = include_str!("requirements.txt");

/// Sets up what is missing, and starts nothing but the private PostgreSQL.
pub fn setup() -> Result<Installation> {
    let home = Installation::place()?;
    let _lock = super::lock(&home.with_extension("lock"))?;
    packages::install("odoo", PACKAGES)?;
    let account = Account::obtain()?;
    let installation = Installation { home, account };
    make_folders(&installation)?;
    once(&installation, &format!("unpacked-{VERSION}"), || debian::unpack(&installation.home))?;
    let pins = staging::hex(&staging::digest_of(REQUIREMENTS.as_bytes())[..6]);
    once(&installation, &format!("python-{pins}"), || make_environment(&installation))?;
    fs::write(installation.home.join(DONE), "")?;
    postgres::Cluster::new(&installation)?.start()?;
    database::make_template(&installation)?;
    Ok(installation)
}

/// Does a step if its mark is not there; the mark is written last, so a half-done step is done again.
fn once(installation: &Installation, mark: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
    let mark = installation.home.join(format!(".{mark}"));
    if !mark.is_file() {
        step()?;
        fs::write(&mark, "").with_context(|| format!("{} cannot be written", mark.display()))?;
    }
    Ok(())
}

fn make_folders(installation: &Installation) -> Result<()> {
    let home = &installation.home;
    fs::create_dir_all(home).with_context(|| format!("{} cannot be made", home.display()))?;
    for (name, mode) in [("data", 0o700), ("run", 0o755), ("servers", 0o755), ("pycache", 0o755), ("logs", 0o755)] {
        let folder = home.join(name);
        fs::create_dir_all(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode))?;
        installation.account.give(&folder)?;
    }
    fs::create_dir_all(home.join("addons"))?;
    let mut probe = installation.account.command("/usr/bin/test");
    if process::output(probe.arg("-x").arg(home)).is_err() {
        bail!(
            "{} cannot be entered by {}; set NETWORK_AUDIT_CACHE to a place that anyone may enter",
            home.display(),
            installation.account.name
        );
    }
    Ok(())
}

fn make_environment(installation: &Installation) -> Result<()> {
    let python = system_python()?;
    say("odoo", &format!("installing Python packages (53 MB) for {}", python.display()));
    let venv = installation.home.join("venv");
    let requirements = installation.home.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS)?;
    process::output(Command::new(&python).args(["-m", "venv", "--clear"]).arg(&venv))?;
    let mut pip = Command::new(venv.join("bin/pip"));
    pip.args(["install", "-q", "--disable-pip-version-check", "--only-binary=:all:", "--no-binary=docopt", "-r"]);
    process::logged(pip.arg(&requirements), &installation.home.join("logs/pip.log"))
}

/// An interpreter of the system's own: one below a home folder could not be run by the unprivileged account.
pub fn system_python() -> Result<PathBuf> {
    // 3.11 first: Odoo's pins are older than the later ones.
    let names = ["python3.11", "python3", "python3.10", "python3.12", "python3.13"];
    let mut paths = names.iter().map(|name| Path::new("/usr/bin").join(name));
    let found = paths.find(|path| matches!(python::version(path), Some((3, 10..=13))));
    found.context("there is no Python 3.10 to 3.13 in /usr/bin; install one")
}

/// A Chromium for browser tests: large, so it is installed only when such a test asks.
pub fn browser() -> Result<PathBuf> {
    if let Some(path) = paths::program(&["chromium", "chromium-browser", "google-chrome"]) {
        return Ok(path);
    }
    packages::install("odoo", &["chromium"])?;
    paths::program(&["chromium"]).context("chromium is installed, and is still not on the PATH")
}
