//! Known destinations and watched vendors: what a catalogue file says, as patterns.
//!
//! The built-in catalogue comes first, then the host's own file, then what an instance asked for and got ([`policy`]).
//! Each addition remembers on whose word it is there, because a suspect must not excuse itself.
//!
//! [`policy`]: crate::policy

pub mod pattern; // hosts and names, with stars

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use pattern::{HostPattern, NamePattern};

/// The technical name of our own addon. It is named after the vendor that is watched by default, and is none of its
/// modules.
pub const OWN_MODULE: &str = "mit_network_audit";

/// The catalogue that every auditor begins with.
const BUILT_IN: &str = include_str!("../data/catalogue.toml");

/// On whose word something is in the catalogue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// It came with the auditor.
    #[default]
    BuiltIn,
    /// Whoever runs the host says so.
    Host,
    /// An audited instance says so.
    Instance,
}

/// What a destination is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the words are what a catalogue file says")]
pub enum Kind {
    Odoo,
    Iap,
    Licence,
    Mail,
    Calendar,
    Messaging,
    Maps,
    Media,
    Security,
    Storage,
    Payment,
    Printing,
    Shipping,
    Tax,
    Invoicing,
    Other,
}

/// A documented destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Whose it is.
    pub vendor: String,
    /// Where.
    pub hosts: Vec<HostPattern>,
    /// Ports; none means any.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// A flow that is seen to be plain text is not this.
    #[serde(default)]
    pub tls: bool,
    /// Technical names of the modules whose traffic this explains; none means anybody's.
    #[serde(default)]
    pub only: Vec<NamePattern>,
    /// What it is, in a word.
    pub kind: Kind,
    /// What it is for, in a sentence.
    pub purpose: String,
    /// How we know: a file of Odoo's sources, or "documented by vendor: where".
    pub source: String,
    /// On whose word; a file cannot say.
    #[serde(skip)]
    pub word: Word,
}

impl Entry {
    /// Whether this explains a flow to this port by this module. `tls` is `None` where nobody looked.
    #[must_use]
    pub fn explains(&self, port: u16, tls: Option<bool>, module: Option<&str>) -> bool {
        (self.ports.is_empty() || self.ports.contains(&port))
            && !(self.tls && tls == Some(false))
            && (self.only.is_empty() || module.is_some_and(|module| self.only.iter().any(|only| only.admits(module))))
    }
}

/// A vendor whose hosts and modules are watched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vendor {
    /// Its name, as the report shows it.
    pub name: String,
    /// Its hosts.
    #[serde(default)]
    pub hosts: Vec<HostPattern>,
    /// Technical names of its modules.
    #[serde(default)]
    pub modules: Vec<NamePattern>,
    /// Authors, as manifests name them: each of the names between commas.
    #[serde(default)]
    pub authors: Vec<NamePattern>,
    /// What it says that it does.
    #[serde(default)]
    pub purposes: Vec<String>,
    /// On whose word; a file cannot say.
    #[serde(skip)]
    pub word: Word,
}

impl Vendor {
    /// Whether a host of this name, or with this address, is the vendor's.
    #[must_use]
    pub fn has_host(&self, name: Option<&str>, address: IpAddr) -> bool {
        self.hosts.iter().any(|host| name.is_some_and(|name| host.admits_name(name)) || host.admits_address(address))
    }

    /// Whether a module is the vendor's, by its technical name or by its manifest's author.
    #[must_use]
    pub fn has_module(&self, module: &str, author: Option<&str>) -> bool {
        let by_author = |author: &str| {
            author.split(',').map(str::trim).any(|name| self.authors.iter().any(|pattern| pattern.admits(name)))
        };
        module != OWN_MODULE
            && (self.modules.iter().any(|pattern| pattern.admits(module)) || author.is_some_and(by_author))
    }
}

/// What is documented, and who is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    entries: Vec<Entry>,
    vendors: Vec<Vendor>,
}

/// A file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    entry: Vec<Entry>,
    #[serde(default)]
    vendor: Vec<Vendor>,
    /// Names of vendors that are watched by default, and not here.
    #[serde(default)]
    unwatched: Vec<String>,
}

/// Why a catalogue makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueError {
    /// Which line of the file, from 1, where one can be named.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub what: String,
}

impl std::fmt::Display for CatalogueError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "the catalogue makes no sense at line {line}: {}", self.what),
            None => write!(f, "the catalogue makes no sense: {}", self.what),
        }
    }
}

impl std::error::Error for CatalogueError {}

impl Catalogue {
    /// The catalogue that every auditor begins with.
    #[must_use]
    pub fn built_in() -> Self {
        let mut catalogue = Self::default();
        // The file is part of the program, and a test reads it.
        catalogue.extend(BUILT_IN, Word::BuiltIn).expect("the built-in catalogue is sound");
        catalogue
    }

    /// Adds what a file says. A vendor that is there already is replaced; entries are added.
    pub fn extend(&mut self, text: &str, word: Word) -> Result<(), CatalogueError> {
        let file: File = toml::from_str(text).map_err(|error| CatalogueError {
            line: error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count()),
            what: error.message().to_owned(),
        })?;
        if let Some(twice) = twice(&file.vendor) {
            return Err(CatalogueError { line: None, what: format!("the vendor \"{twice}\" is there twice") });
        }
        if let Some(empty) = file.entry.iter().find(|entry| entry.hosts.is_empty()) {
            let what = format!("the entry \"{}\" of {} names no host", empty.purpose, empty.vendor);
            return Err(CatalogueError { line: None, what });
        }
        for name in &file.unwatched {
            if !self.unwatch(name) {
                return Err(CatalogueError {
                    line: None,
                    what: format!("\"{name}\" is not watched: take it out of unwatched"),
                });
            }
        }
        file.vendor.into_iter().for_each(|vendor| self.watch(Vendor { word, ..vendor }));
        self.entries.extend(file.entry.into_iter().map(|entry| Entry { word, ..entry }));
        Ok(())
    }

    /// Watches a vendor; one of the same name is replaced, in its place: the first vendor that a host fits is shown.
    pub fn watch(&mut self, vendor: Vendor) {
        match self.vendors.iter_mut().find(|known| known.name == vendor.name) {
            Some(known) => *known = vendor,
            None => self.vendors.push(vendor),
        }
    }

    /// Watches a vendor no more; says whether it was watched.
    pub fn unwatch(&mut self, name: &str) -> bool {
        let before = self.vendors.len();
        self.vendors.retain(|vendor| vendor.name != name);
        self.vendors.len() < before
    }

    /// Documents a destination.
    pub fn document(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Documented destinations, in the order of their adding.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Watched vendors.
    #[must_use]
    pub fn vendors(&self) -> &[Vendor] {
        &self.vendors
    }

    /// The watched vendor of this name.
    #[must_use]
    pub fn vendor(&self, name: &str) -> Option<&Vendor> {
        self.vendors.iter().find(|vendor| vendor.name == name)
    }

    /// The watched vendor whose host this is.
    #[must_use]
    pub fn vendor_of_host(&self, name: Option<&str>, address: IpAddr) -> Option<&Vendor> {
        self.vendors.iter().find(|vendor| vendor.has_host(name, address))
    }

    /// The watched vendor whose module this is.
    #[must_use]
    pub fn vendor_of_module(&self, module: &str, author: Option<&str>) -> Option<&Vendor> {
        self.vendors.iter().find(|vendor| vendor.has_module(module, author))
    }

    /// The documented destinations that mean this name or address.
    pub fn documented(&self, name: Option<&str>, address: IpAddr) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| {
            entry
                .hosts
                .iter()
                .any(|host| name.is_some_and(|name| host.admits_name(name)) || host.admits_address(address))
        })
    }
}

fn twice(vendors: &[Vendor]) -> Option<&str> {
    let mut names: Vec<&str> = vendors.iter().map(|vendor| vendor.name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

#[cfg(test)]
mod tests;
