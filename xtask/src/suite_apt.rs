//! Packages of a Debian suite that is not the machine's own, read through a private apt state, so that nothing of the
//! machine's own package set changes. The mirror is the one that this machine uses already.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// An apt that knows one suite, and keeps that to itself.
#[derive(Debug)]
pub struct SuiteApt {
    home: PathBuf,
}

impl SuiteApt {
    /// Keeps its lists in `home`; reads nothing yet.
    pub fn prepare(home: &Path, suite: &str) -> Result<Self> {
        fs::create_dir_all(home.join("lists/partial"))?;
        fs::create_dir_all(home.join("cache/archives/partial"))?;
        let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
        if !fs::exists(keyring)? {
            bail!("Debian's archive keys are not here ({keyring})");
        }
        let sources = format!("deb [signed-by={keyring}] {} {suite} main\n", own_mirror()?);
        fs::write(home.join("sources.list"), sources)?;
        Ok(Self { home: home.to_owned() })
    }

    /// `apt-get`, to be told what to do: `update`, `download`.
    pub fn get(&self) -> Command {
        let mut apt = self.program("apt-get");
        apt.arg("-q");
        apt
    }

    /// `apt-cache`, to be told what to look up.
    pub fn cache(&self) -> Command {
        self.program("apt-cache")
    }

    fn program(&self, name: &str) -> Command {
        let mut apt = Command::new(name);
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
        bail!("this is not Debian, so Debian's packages cannot be looked up");
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
