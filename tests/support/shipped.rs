//! One vendor's addon, shipped in each of the ways that make it unreadable, or plain.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use xtask::{odoo::setup, paths, process, python};

use crate::checkout;

/// What makes native code of Python.
const CYTHON: &str = "cython==3.3.1";

/// How it is shipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shipped {
    /// As it was written.
    Plain,
    /// Bytecode without its source.
    Bytecode,
    /// Code that is in no file.
    Marshalled,
    /// Compiled.
    Native,
}

impl Shipped {
    /// Every way.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Bytecode, Self::Marshalled, Self::Native];

    /// The name of the addon that is shipped so.
    #[must_use]
    pub const fn addon(self) -> &'static str {
        match self {
            Self::Plain => "vendor_closed_plain",
            Self::Bytecode => "vendor_closed_bytecode",
            Self::Marshalled => "vendor_closed_marshalled",
            Self::Native => "vendor_closed_native",
        }
    }

    /// Makes it in this folder; gives its place.
    pub fn make(self, folder: &Path) -> Result<PathBuf> {
        let addon = folder.join(self.addon());
        copy_as(&checkout().join("tests/odoo_addons/vendor_closed"), &addon, "vendor_closed", self.addon());
        let way = match self {
            Self::Plain => return Ok(addon),
            Self::Bytecode => "bytecode",
            Self::Marshalled => "marshalled",
            Self::Native => "native",
        };
        // By the interpreter that Odoo runs on: bytecode and libraries are of one version.
        let mut ship = Command::new(setup::system_python()?);
        ship.arg("-B").arg(checkout().join("tests/scenarios/ship.py")).arg(way).arg(&addon);
        if self == Self::Native {
            ship.env("CYTHON", cython()?);
        }
        process::output(&mut ship).with_context(|| format!("the addon cannot be shipped as {way}"))?;
        Ok(addon)
    }
}

/// Cython, in an environment of its own that is made once.
pub fn cython() -> Result<PathBuf> {
    if paths::program(&["cc"]).is_none() {
        bail!("there is no C compiler; install gcc");
    }
    let folder = paths::cache()?.join(format!("python-tests-{CYTHON}"));
    python::environment("test", &folder, &setup::system_python()?, &[CYTHON])?;
    Ok(folder.join("bin/cython"))
}

/// A copy of an addon under another name.
pub(crate) fn copy_as(from: &Path, to: &Path, name: &str, another: &str) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the source").flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            if entry.file_name() != "__pycache__" {
                copy_as(&path, &target, name, another);
            }
        } else {
            let text = fs::read_to_string(&path).expect("text");
            fs::write(target, text.replace(name, another)).expect("a file");
        }
    }
}
