//! Odoo's files: from Debian's unstable suite, which has a package of Odoo 19, read through a private apt state, so that
//! nothing of the machine's own package set changes. The mirror is the one that this machine uses already.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::VERSION;
use crate::packages;
use crate::process::{self, say};

const PACKAGE: &str = "odoo-19";
const SHA256: &str = "9d2f598b0555db17e291d48ed24df184c70823c053c4c5ed53c467ca7f629bbf";

/// What Odoo's package links into: icons, fonts and jQuery. They come from the machine's own suite, since Odoo names the
/// files of Font Awesome 4.7 and the unstable suite has a later one. All links are relative, so unpacking mends them.
const COMPANIONS: &[&str] = &[
    "fonts-font-awesome",
    "fonts-roboto-unhinted",
    "fonts-ocr-b",
    "libjs-jquery",
    "libjs-jquery-form",
    "libjs-underscore",
];

/// Unpacks everything into `home/root`. What was downloaded stays, so that this can be done again without a network.
pub fn unpack(home: &Path) -> Result<()> {
    let debs = home.join("debs");
    fs::create_dir_all(&debs)?;
    fetch_odoo(home, &debs)?;
    fetch_companions(&debs)?;
    say("odoo", "unpacking");
    let root = home.join("root.new");
    remove(&root)?;
    fs::create_dir_all(&root)?;
    for deb in fs::read_dir(&debs)? {
        let deb = deb?.path();
        if deb.extension().is_some_and(|extension| extension == "deb") {
            process::output(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(&root))?;
        }
    }
    trim(&root)?;
    remove(&home.join("root"))?;
    fs::rename(root, home.join("root")).context("the unpacked files cannot be put in place")
}

fn fetch_odoo(home: &Path, debs: &Path) -> Result<()> {
    let deb = debs.join(format!("{PACKAGE}.deb"));
    if deb.is_file() && digest(&deb)? == SHA256 {
        return Ok(());
    }
    let apt = UnstableApt::prepare(home).with_context(|| by_hand(&deb))?;
    say("odoo", "reading the index of Debian's unstable suite (11 MB)");
    process::output(apt.get().arg("update"))?;
    say("odoo", &format!("downloading {PACKAGE} (123 MB)"));
    let pinned = format!("{PACKAGE}={VERSION}");
    if process::output(apt.get().current_dir(debs).args(["download", &pinned])).is_err() {
        process::output(apt.get().current_dir(debs).args(["download", PACKAGE])).with_context(|| {
            format!("Debian's unstable suite no longer has {PACKAGE}, so Odoo cannot be set up; {}", by_hand(&deb))
        })?;
    }
    fs::rename(downloaded(debs)?, &deb)?;
    if digest(&deb)? != SHA256 {
        let version = process::output(Command::new("dpkg-deb").arg("-f").arg(&deb).arg("Version"))?;
        say("odoo", &format!("WARNING: this is {version}, not the build that was tried ({VERSION})"));
    }
    Ok(())
}

fn by_hand(deb: &Path) -> String {
    format!("by hand: put the package {PACKAGE} {VERSION} at {} and run this again", deb.display())
}

fn downloaded(debs: &Path) -> Result<PathBuf> {
    let prefix = format!("{PACKAGE}_");
    let found = fs::read_dir(debs)?.flatten().find(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
    Ok(found.context("apt-get download left no file")?.path())
}

fn fetch_companions(debs: &Path) -> Result<()> {
    let have: Vec<String> =
        fs::read_dir(debs)?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let is_there = |name: &str| have.iter().any(|file| file.starts_with(&format!("{name}_")));
    let wanted: Vec<&str> = COMPANIONS.iter().copied().filter(|name| !is_there(name)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    if process::output(Command::new("apt-cache").args(["show", "--no-all-versions"]).args(&wanted)).is_err() {
        packages::refresh("odoo")?;
    }
    say("odoo", &format!("downloading {} packages of icons, fonts and scripts (3 MB)", wanted.len()));
    let mut apt = Command::new("apt-get");
    apt.args(["-q", "-o", "APT::Sandbox::User=root", "download"]).args(&wanted).current_dir(debs);
    process::output(&mut apt)?;
    Ok(())
}

/// Leaves out what nothing here reads: translations (0.85 of 1.2 GB) and a second, Python-only copy of the addons that
/// Odoo would otherwise put on its path.
fn trim(root: &Path) -> Result<()> {
    let site = root.join("usr/lib/python3/dist-packages");
    remove(&site.join("addons"))?;
    for addon in fs::read_dir(site.join("odoo/addons")).context("the package has no addons")?.flatten() {
        for folder in ["i18n", "i18n_extra"] {
            let translations = addon.path().join(folder);
            if translations.is_dir() {
                remove(&translations)?;
            }
        }
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", folder.display()))
        }
        _ => Ok(()),
    }
}

fn digest(file: &Path) -> Result<String> {
    let bytes = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(super::staging::hex(&super::staging::digest_of(&bytes)))
}

/// An apt that knows the unstable suite, and keeps that to itself.
struct UnstableApt {
    home: PathBuf,
}

impl UnstableApt {
    fn prepare(home: &Path) -> Result<Self> {
        let home = home.join("apt");
        fs::create_dir_all(home.join("lists/partial"))?;
        fs::create_dir_all(home.join("cache/archives/partial"))?;
        let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
        if !fs::exists(keyring)? {
            bail!("Debian's archive keys are not here ({keyring})");
        }
        let sources = format!("deb [signed-by={keyring}] {} sid main\n", own_mirror()?);
        fs::write(home.join("sources.list"), sources)?;
        Ok(Self { home })
    }

    fn get(&self) -> Command {
        let mut apt = Command::new("apt-get");
        apt.arg("-q");
        let place = |key: &str, name: &str| format!("{key}={}", self.home.join(name).display());
        for option in [
            place("Dir::Etc::sourcelist", "sources.list"),
            place("Dir::Etc::sourceparts", "no-parts"),
            place("Dir::State::Lists", "lists"),
            place("Dir::Cache", "cache"),
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
        ] {
            apt.args(["-o", &option]);
        }
        for index in ["DEP-11", "DEP-11-icons", "DEP-11-icons-small", "CNF"] {
            apt.args(["-o", &format!("Acquire::IndexTargets::deb::{index}::DefaultEnabled=false")]);
        }
        apt
    }
}

/// The mirror that this machine takes Debian's own packages from.
fn own_mirror() -> Result<String> {
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    if !system.lines().any(|line| line == "ID=debian") {
        bail!("this is not Debian, so its package of Odoo 19 cannot be looked up");
    }
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(parts) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(parts.flatten().map(|part| part.path()));
    }
    files.sort();
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    texts.flat_map(|text| mirrors(&text)).next().context("no Debian mirror stands in apt's sources")
}

/// The addresses in one of apt's files, of either style, that serve Debian itself (its `main` component; not security).
fn mirrors(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("deb ") && line.contains(" main")) {
        found.extend(line.split_whitespace().find(|word| word.contains("://")).map(str::to_owned));
    }
    for paragraph in text.split("\n\n") {
        let field = |name: &str| paragraph.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let is_debian = field("Components:").is_some_and(|words| words.split_whitespace().any(|word| word == "main"))
            && field("Signed-By:").is_none_or(|key| key.contains("debian"));
        if let (true, Some(addresses)) = (is_debian, field("URIs:")) {
            found.extend(addresses.split_whitespace().map(str::to_owned));
        }
    }
    found.retain(|address| !address.trim_end_matches('/').ends_with("-security"));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(mirrors(text), expected, "in {text:?}");
    }

    #[test]
    fn a_one_line_source() {
        check("# note\ndeb [arch=amd64] http://mirror.test/debian bookworm main\n", &["http://mirror.test/debian"]);
    }

    #[test]
    fn a_paragraph_source() {
        check(
            "Types: deb\nURIs: http://mirror.test/debian\nSuites: bookworm\nComponents: main\n",
            &["http://mirror.test/debian"],
        );
    }

    #[test]
    fn security_and_strangers_are_left_out() {
        check("deb http://mirror.test/debian-security bookworm-security main\n", &[]);
        check("deb http://other.test/apt tool-bookworm stable\n", &[]);
        check("Types: deb\nURIs: http://other.test/\nComponents: main\nSigned-By: /etc/apt/keyrings/other.gpg\n", &[]);
    }
}
