//! Debian packages: what is missing, and installing it. On another system the list is what to do by hand.

use std::fs;
use std::process::Command;

use anyhow::{Result, bail};

use crate::paths;
use crate::process::{self, say};

/// Whether packages can be had with apt here, as root.
pub fn apt_works() -> bool {
    paths::program(&["apt-get"]).is_some() && process::is_root()
}

/// Which of `names` are not installed; all of them where dpkg is not known.
pub fn missing<'a>(names: &[&'a str]) -> Vec<&'a str> {
    names.iter().copied().filter(|name| !is_installed(name)).collect()
}

fn is_installed(name: &str) -> bool {
    process::output(Command::new("dpkg-query").args(["-W", "-f=${Status}", name]))
        .is_ok_and(|status| status.contains("install ok installed"))
}

/// Installs those of `names` that are missing. `purpose` stands at the start of each line said.
pub fn install(purpose: &str, names: &[&str]) -> Result<()> {
    let wanted = missing(names);
    if wanted.is_empty() {
        return Ok(());
    }
    let list = wanted.join(" ");
    if !apt_works() {
        bail!("these Debian packages (or your system's own of the same content) are missing: {list}; {}", remedy());
    }
    if wanted.contains(&"postgresql") {
        keep_clusters_away()?;
    }
    say(purpose, &format!("installing {list}"));
    refresh(purpose)?;
    let mut apt = Command::new("apt-get");
    apt.args(["install", "-y", "-qq", "--no-install-recommends"]).args(&wanted);
    process::output(apt.env("DEBIAN_FRONTEND", "noninteractive"))?;
    Ok(())
}

/// Reads the package index, whose absence is the usual state of a fresh container. A source that does not answer is
/// apt's warning, not our failure: the packages may well come from another.
pub fn refresh(purpose: &str) -> Result<()> {
    say(purpose, "reading the index of Debian packages");
    process::output(Command::new("apt-get").args(["update", "-qq"]))?;
    Ok(())
}

/// Debian makes and starts a cluster when PostgreSQL is installed. Ours is private: the machine need not have one.
fn keep_clusters_away() -> Result<()> {
    let settings = "/etc/postgresql-common/createcluster.conf";
    fs::create_dir_all("/etc/postgresql-common")?;
    if !fs::exists(settings)? {
        fs::write(settings, "create_main_cluster = false\n")?;
    }
    Ok(())
}

fn remedy() -> &'static str {
    if paths::program(&["apt-get"]).is_some() {
        "run this as root, or install them yourself"
    } else {
        "this is not Debian, so install them by hand"
    }
}
