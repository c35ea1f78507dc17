//! Public addons for Odoo 19, as their authors publish them, with the libraries that they go out by: installed once, at
//! pinned versions, beside Odoo's own environment and never into it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::setup::system_python;
use super::{Installation, staging};
use crate::process::{self, say};
use crate::python;

/// The addons.
const ADDONS: &str = include_str!("public_addons.txt");
/// What they import, and Odoo has not.
const LIBRARIES: &str = include_str!("public_libraries.txt");
/// The other end: real servers of what the addons speak.
const SERVERS: &[&str] =
    &["moto[s3]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5", "asyncssh==2.24.1", "pyftpdlib==2.2.0"];

/// Where they are.
#[derive(Clone, Debug)]
pub struct Public {
    folder: PathBuf,
}

impl Public {
    /// Installs what is missing; nothing is asked of a network once it is there.
    pub fn set_up(installation: &Installation) -> Result<Self> {
        let pins = [ADDONS, LIBRARIES, &SERVERS.join("\n")].concat();
        let key = staging::hex(&staging::digest_of(pins.as_bytes())[..6]);
        let _lock = installation.lock("public")?;
        let public = Self { folder: installation.home.join(format!("public-{key}")) };
        let done = public.folder.join(".done");
        if !done.is_file() {
            fs::create_dir_all(&public.folder)
                .with_context(|| format!("{} cannot be made", public.folder.display()))?;
            say("odoo", "installing public addons, their libraries and servers for them (200 MB)");
            install(installation, ADDONS, &public.folder.join("packages"))?;
            install(installation, LIBRARIES, &public.libraries())?;
            python::environment("odoo", &public.folder.join("servers"), &system_python()?, SERVERS)?;
            fs::write(done, "")?;
        }
        Ok(public)
    }

    /// The addons' folders.
    pub fn addons(&self) -> Result<Vec<PathBuf>> {
        let folder = self.folder.join("packages/odoo/addons");
        let entries = fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
        let mut addons: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        addons.sort();
        if addons.len() != ADDONS.lines().count() {
            bail!("{} has {} addons of {}; remove it", folder.display(), addons.len(), ADDONS.lines().count());
        }
        Ok(addons)
    }

    /// What is to be on the path of an Odoo that has them.
    pub fn libraries(&self) -> PathBuf {
        self.folder.join("libraries")
    }

    /// The interpreter that has the servers.
    pub fn python(&self) -> PathBuf {
        self.folder.join("servers/bin/python3")
    }
}

/// Exactly what is pinned, and nothing that it asks for besides: that is pinned as well, or Odoo has it.
fn install(installation: &Installation, pins: &str, target: &Path) -> Result<()> {
    let list = target.with_extension("txt");
    fs::write(&list, pins).with_context(|| format!("{} cannot be written", list.display()))?;
    let mut pip = std::process::Command::new(installation.python().with_file_name("pip"));
    pip.args(["install", "-q", "--disable-pip-version-check", "--no-deps", "--upgrade", "--target"]).arg(target);
    // Published as source only.
    pip.args(["--only-binary=:all:", "--no-binary=pysftp", "-r"]).arg(&list);
    process::logged(&mut pip, &installation.home.join("logs/public.log"))
}
