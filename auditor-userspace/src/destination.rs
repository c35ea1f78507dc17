//! Where a flow goes, in one of six words: the one place that decides it.
//!
//! own, configured, documented, watched, private, third-party: the first that fits, computed from the catalogue, from
//! what the host knows of the instance, and from what the instance claims about itself. A claim may explain traffic;
//! it never makes a watched vendor's host the instance's own, and what an instance documented by itself does not
//! excuse a watched vendor's module.

pub mod facts; // what is known of an instance

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

pub use auditor_common::body::NameSource;
use auditor_common::body::Named;
use auditor_common::endpoint::Endpoint;
use serde::{Deserialize, Serialize};

use crate::catalogue::{Catalogue, Entry, Vendor, Word};
use facts::{Configured, Facts, OwnName};

/// What kind of destination it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The instance itself: its listeners, its addresses, the names under which it is reached.
    Own,
    /// Something that its configuration names: database, mail server, directory, webhook.
    Configured,
    /// Something that the catalogue documents.
    Documented,
    /// A watched vendor's host, or anything a watched vendor's module reaches that nothing else explains.
    Watched,
    /// A private network.
    Private,
    /// Anything else.
    ThirdParty,
}

impl Class {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 6] =
        [Self::Own, Self::Configured, Self::Documented, Self::Watched, Self::Private, Self::ThirdParty];

    /// As programs write it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Configured => "configured",
            Self::Documented => "documented",
            Self::Watched => "watched",
            Self::Private => "private",
            Self::ThirdParty => "third_party",
        }
    }

    /// The class of this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.word() == word)
    }
}

/// A name that was observed for the other end of a flow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// The name, without a dot at its end.
    pub text: Arc<str>,
    /// How it became known.
    pub source: NameSource,
}

impl From<&Named> for Name {
    fn from(named: &Named) -> Self {
        Self { text: Arc::from(named.name.as_str()), source: named.source }
    }
}

/// The name that is shown. A look-up's answer comes before what the client wrote, one that both give before others, and a
/// claim comes last.
#[must_use]
pub fn best(names: &[Name]) -> Option<&Name> {
    let greeted = |name: &Name| names.iter().any(|it| it.source == NameSource::Sni && it.text == name.text);
    // Of equals the first: the newest answer.
    names.iter().rev().max_by_key(|name| (name.source, greeted(name)))
}

/// Whether a flow is encrypted, as far as its names tell: a handshake was seen on it.
#[must_use]
pub fn encrypted(names: &[Name]) -> Option<bool> {
    names.iter().any(|name| name.source == NameSource::Sni).then_some(true)
}

/// What was seen of a flow, as far as its destination matters.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The other side opened it: the destination is where it came from.
    pub inbound: bool,
    /// The other end.
    pub remote: &'a Endpoint,
    /// Names observed for it.
    pub names: &'a [Name],
    /// Whose call it was: the module that is shown.
    pub module: Option<&'a str>,
    /// Whether it is encrypted, where somebody looked.
    pub tls: Option<bool>,
}

/// Where a flow goes, and why we say so.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// A listener of the instance on the loopback interface.
    Listener,
    /// An address of the instance's own interfaces.
    Interface,
    /// A name under which the instance says that it is reached.
    OwnName(&'a OwnName),
    /// Configured.
    Configured(&'a Configured),
    /// Documented.
    Documented(&'a Entry),
    /// A host of a watched vendor.
    WatchedHost(&'a Vendor),
    /// A module of a watched vendor, and nothing that explains its destination.
    WatchedModule(&'a Vendor),
    /// A private network.
    Private,
    /// None of these.
    ThirdParty,
}

impl Place<'_> {
    /// The class.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Listener | Self::Interface | Self::OwnName(_) => Class::Own,
            Self::Configured(_) => Class::Configured,
            Self::Documented(_) => Class::Documented,
            Self::WatchedHost(_) | Self::WatchedModule(_) => Class::Watched,
            Self::Private => Class::Private,
            Self::ThirdParty => Class::ThirdParty,
        }
    }

    /// The reason, for people.
    #[must_use]
    pub fn because(&self) -> String {
        match self {
            Self::Listener => "the instance listens there".into(),
            Self::Interface => "an address of the instance's own".into(),
            Self::OwnName(own) => format!("the instance's own name, from {}", own.place),
            Self::Configured(it) => format!("{}, configured in {}", it.purpose, it.place),
            Self::Documented(entry) => format!("{}: {} ({})", entry.vendor, entry.purpose, entry.source),
            Self::WatchedHost(vendor) => format!("a host of {}", vendor.name),
            Self::WatchedModule(vendor) => format!("reached by a module of {}", vendor.name),
            Self::Private => "a private network".into(),
            Self::ThirdParty => "nothing explains it".into(),
        }
    }
}

/// Where a flow goes, and which watched vendor is behind it, whatever explains the flow.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a> {
    /// Where.
    pub place: Place<'a>,
    /// The watched vendor whose host it is, or whose module's unexplained traffic.
    pub vendor: Option<&'a Vendor>,
    /// Only the instance's own word explains what a watched vendor has to do with.
    pub excused_by_claim: bool,
}

/// Decides where a flow goes.
#[must_use]
pub fn destination<'a>(catalogue: &'a Catalogue, facts: &'a Facts, seen: &Seen<'_>) -> Destination<'a> {
    let address = address(seen.remote);
    let host_of = accusing(seen.names)
        .map(Some)
        .chain([None])
        .find_map(|name| catalogue.vendor_of_host(name.map(|name| &*name.text), address));
    // What a watched module serves to whoever asks is not its call: inbound flows are judged by where they come from.
    let caller = seen.module.filter(|_| !seen.inbound);
    let module_of = caller.and_then(|module| catalogue.vendor_of_module(module, facts.author(module)));
    let names = excusing(seen.names, module_of.is_none() || !facts.sees_names);
    let place = explained(catalogue, facts, seen, address, &names, host_of, module_of);
    let watched = host_of.or(module_of);
    let place = place.unwrap_or_else(|| match (host_of, module_of) {
        (Some(vendor), _) => Place::WatchedHost(vendor),
        (None, Some(vendor)) => Place::WatchedModule(vendor),
        (None, None) if is_private(address) => Place::Private,
        (None, None) => Place::ThirdParty,
    });
    let by_claim = matches!(place, Place::Configured(it) if it.word == Word::Instance);
    let unexplained = place.class() == Class::Watched;
    Destination {
        place,
        vendor: if unexplained { watched } else { host_of },
        excused_by_claim: watched.is_some() && by_claim,
    }
}

/// What is known on this host: the catalogue, and each instance.
#[derive(Clone, Debug, Default)]
pub struct Knowledge {
    /// The catalogue of the host.
    pub catalogue: Catalogue,
    /// What is known of each instance, and its own catalogue where it has asked for one.
    pub instances: BTreeMap<String, (Facts, Option<Catalogue>)>,
    /// Whether names are seen in the kernel here: what is known of an instance of which nothing else is.
    pub sees_names: bool,
}

impl Knowledge {
    /// What is known of an instance; next to nothing, if nobody said anything.
    #[must_use]
    pub fn facts(&self, instance: &str) -> &Facts {
        static NONE: [Facts; 2] = [Facts::none(), Facts::where_names_are_seen(true)];
        self.instances.get(instance).map_or(&NONE[usize::from(self.sees_names)], |(facts, _)| facts)
    }

    /// What is known of an instance, to be changed.
    pub fn of(&mut self, instance: &str) -> &mut (Facts, Option<Catalogue>) {
        let nothing = || (Facts::where_names_are_seen(self.sees_names), None);
        self.instances.entry(instance.to_owned()).or_insert_with(nothing)
    }

    /// The catalogue that holds for an instance.
    #[must_use]
    pub fn catalogue(&self, instance: &str) -> &Catalogue {
        self.instances.get(instance).and_then(|(_, own)| own.as_ref()).unwrap_or(&self.catalogue)
    }

    /// Decides where a flow of this instance goes.
    #[must_use]
    pub fn destination(&self, instance: &str, seen: &Seen<'_>) -> Destination<'_> {
        destination(self.catalogue(instance), self.facts(instance), seen)
    }

    /// The watched vendor whose module this is, in this instance.
    #[must_use]
    pub fn vendor_of_module(&self, instance: &str, module: &str) -> Option<&Vendor> {
        self.catalogue(instance).vendor_of_module(module, self.facts(instance).author(module))
    }
}

fn explained<'a>(
    catalogue: &'a Catalogue,
    facts: &'a Facts,
    seen: &Seen<'_>,
    address: IpAddr,
    names: &[&str],
    host_of: Option<&Vendor>,
    module_of: Option<&Vendor>,
) -> Option<Place<'a>> {
    if is_loopback(address) && (seen.inbound || facts.listeners.contains(&seen.remote.port)) {
        return Some(Place::Listener);
    }
    if facts.addresses.contains(&address) {
        return Some(Place::Interface);
    }
    let own = facts.own_names.iter().find(|own| names.iter().any(|name| own.host.admits_name(name)));
    if let Some(own) = own.filter(|_| host_of.is_none()) {
        return Some(Place::OwnName(own));
    }
    let port = (!seen.inbound).then_some(seen.remote.port);
    if let Some(it) = facts.configured.iter().find(|it| it.is(names, address, port)) {
        return Some(Place::Configured(it));
    }
    // A watched vendor's host is documented only by an entry for that very vendor.
    let fits = |entry: &&Entry| {
        host_of.is_none_or(|vendor| entry.vendor == vendor.name)
            && (entry.word != Word::Instance || host_of.or(module_of).is_none())
            && (seen.inbound || entry.explains(seen.remote.port, seen.tls, seen.module))
    };
    let named = names.iter().copied().map(Some).chain([None]);
    named.flat_map(|name| catalogue.documented(name, address)).find(fits).map(Place::Documented)
}

/// Names that may tell on a flow: what the kernel saw; what the process says only if the kernel saw nothing.
fn accusing(names: &[Name]) -> impl Iterator<Item = &Name> {
    let seen = names.iter().any(|name| name.source > NameSource::Claim);
    names.iter().filter(move |name| !seen || name.source > NameSource::Claim)
}

/// Names that may explain a flow. A client writes any name it likes into its handshake, so a look-up's answer for this
/// address outranks it; a claim counts only if the kernel saw no name, and the claimant is not `trusted` too little.
fn excusing(names: &[Name], trusted: bool) -> Vec<&str> {
    let of = |source: NameSource| -> Vec<&str> {
        names.iter().filter(|name| name.source == source).map(|name| &*name.text).collect()
    };
    let (dns, sni) = (of(NameSource::Dns), of(NameSource::Sni));
    match (dns.is_empty(), sni.is_empty()) {
        (false, false) => dns.into_iter().filter(|name| sni.iter().any(|sni| sni.eq_ignore_ascii_case(name))).collect(),
        (false, true) => dns,
        (true, false) => sni,
        (true, true) if trusted => of(NameSource::Claim),
        (true, true) => Vec::new(),
    }
}

/// The address of an endpoint.
#[must_use]
pub fn address(endpoint: &Endpoint) -> IpAddr {
    Ipv6Addr::from(endpoint.address).to_canonical()
}

/// An unspecified address reaches the loopback interface as well.
fn is_loopback(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified()
}

/// Networks that do not leave the site: RFC 1918, RFC 6598, link-local, unique local, multicast, loopback.
fn is_private(address: IpAddr) -> bool {
    is_loopback(address)
        || address.is_multicast()
        || match address {
            IpAddr::V4(v4) => {
                let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
                v4.is_private() || v4.is_link_local() || v4.is_broadcast() || shared
            }
            IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
        }
}

#[cfg(test)]
mod tests;
