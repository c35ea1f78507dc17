//! What explains an instance's traffic: what the host sees of it, and what each of its databases claims.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{ConnectInfo, Query, State};
use axum::response::Response;
use serde_json::json;

use super::Records;
use super::books::{Books, Shelf};
use super::peer::Instances;
use super::policy::Whose;
use super::refusal::Refusal;
use super::socket::{Peer, Window, json, parse};
use crate::attribute::surroundings;
use crate::destination::facts::{Claims, Facts};
use crate::policy::change::is_line;

/// Claims of one database are not longer than this, bytes.
pub(super) const CLAIMS_BYTES: usize = 2 << 20;
/// So many databases of an instance may claim something.
const DATABASES: usize = 64;
/// A text in a claim is not longer than this, bytes.
const TEXT_MAX: usize = 300;
/// How often it is looked at what an instance's processes do, nanoseconds: when there are others, and in any case.
const CHANGED_NS: u64 = 2_000_000_000;
const ANYHOW_NS: u64 = 30_000_000_000;

/// What is known of one instance, by who says so.
#[derive(Clone, Debug, Default)]
pub struct Witnesses {
    host: Facts,
    claims: BTreeMap<String, Claims>,
}

impl Witnesses {
    /// Both together. What the host has seen comes first, and is there whatever is claimed.
    fn facts(&self, sees_names: bool) -> Facts {
        let mut facts = Facts { sees_names, ..self.host.clone() };
        for claims in self.claims.values() {
            facts.claim(claims.clone());
        }
        facts
    }
}

impl Books {
    /// A database of an instance claims something; it replaces what it claimed before. How much of it did not fit.
    pub fn claim(&mut self, instance: &str, claims: Claims) -> Result<u64, String> {
        check(&claims)?;
        let witnesses = self.witnesses.entry(instance.to_owned()).or_default();
        if witnesses.claims.len() >= DATABASES && !witnesses.claims.contains_key(&claims.database) {
            return Err(format!("{DATABASES} databases of this Odoo have claimed something: no more are taken"));
        }
        witnesses.claims.insert(claims.database.clone(), claims);
        let facts = witnesses.facts(self.knowledge.sees_names);
        let dropped = facts.dropped;
        self.knowledge.of(instance).0 = facts;
        Ok(dropped)
    }

    /// The host has looked at an instance. Where it once listened it may have been called: that is remembered.
    fn surround(&mut self, instance: &str, mut seen: Facts) {
        let witnesses = self.witnesses.entry(instance.to_owned()).or_default();
        seen.listeners.extend(&witnesses.host.listeners);
        seen.addresses.extend(&witnesses.host.addresses);
        if seen != witnesses.host {
            witnesses.host = seen;
            let facts = witnesses.facts(self.knowledge.sees_names);
            self.knowledge.of(instance).0 = facts;
        }
    }
}

fn check(claims: &Claims) -> Result<(), String> {
    let own = claims.own.iter().map(|it| &it.place);
    let configured = claims.configured.iter().flat_map(|it| [&it.place, &it.purpose]);
    let modules = claims.modules.iter().flat_map(|it| [Some(&it.name), it.author.as_ref()]).flatten();
    let mut texts = own.chain(configured).chain(modules).chain([&claims.database]);
    match texts.find(|text| !is_line(text, TEXT_MAX)) {
        None => Ok(()),
        Some(text) => {
            let shown: String = text.chars().filter(|char| !char.is_control()).take(40).collect();
            Err(format!("a text in a claim is one line of at most {TEXT_MAX} bytes: \"{shown}…\" is not"))
        }
    }
}

/// A database claims what its settings explain.
pub(super) async fn claim<R: Records>(
    State(window): State<Window<R>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    query: Result<Query<Whose>, QueryRejection>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let instance = window.sight(peer).choose(query?.0.instance).ok_or_else(Refusal::not_yours)?;
    let instance = instance.ok_or_else(|| Refusal::bad("say which Odoo this is about: ?instance=NAME"))?;
    let claims: Claims = parse(body)?;
    let database = claims.database.clone();
    let dropped = window.books.write().claim(&instance, claims).map_err(Refusal::bad)?;
    Ok(json(&json!({"instance": instance, "database": database, "dropped": dropped})))
}

/// Looks at what the processes of every instance do, now and then.
#[derive(Debug)]
pub struct Surroundings {
    instances: Instances,
    /// Where the root key's private half was written, if it was: it should not be there any more.
    root_key: Option<PathBuf>,
    last_ns: u64,
    seen: BTreeMap<String, BTreeSet<u32>>,
}

impl Surroundings {
    /// Has not looked yet.
    #[must_use]
    pub fn new(instances: Instances, root_key: Option<PathBuf>) -> Self {
        Self { instances, root_key, last_ns: 0, seen: BTreeMap::new() }
    }

    /// Looks, if it is time (`now_ns`, CLOCK_BOOTTIME).
    pub(super) fn look(&mut self, shelf: &Shelf, now_ns: u64) {
        let since = now_ns.saturating_sub(self.last_ns);
        if self.last_ns > 0 && since < CHANGED_NS {
            return;
        }
        let mut members: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
        if let Ok(instances) = self.instances.read() {
            for (&tgid, (_, instance)) in instances.iter() {
                members.entry(instance.clone()).or_default().insert(tgid);
            }
        }
        if members == self.seen && since < ANYHOW_NS {
            return;
        }
        shelf.write().host.root_key_here = self.root_key.as_ref().is_some_and(|file| file.exists());
        for (instance, tgids) in &members {
            let found = surroundings::facts(tgids);
            shelf.write().surround(instance, found);
        }
        (self.last_ns, self.seen) = (now_ns, members);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;
    use crate::policy::Policies;
    use crate::policy::terms::Terms;
    use crate::report::basis::Host;

    fn books() -> Books {
        Books::new(Catalogue::built_in(), Policies::new(Terms::default()), Host::default())
    }

    fn claims(text: &str) -> Claims {
        serde_json::from_str(text).expect("claims")
    }

    #[test]
    fn a_database_replaces_its_own_claims_and_no_others() {
        let mut books = books();
        let hosts = |books: &Books| -> Vec<String> {
            books.knowledge.facts("a").configured.iter().map(|it| it.host.to_string()).collect()
        };
        let smtp = |database: &str, host: &str| {
            claims(&format!(
                r#"{{"database": "{database}", "configured": [{{"host": "{host}", "purpose": "mail", "place": "x"}}]}}"#
            ))
        };
        books.claim("a", smtp("one", "192.0.2.1")).expect("it fits");
        books.claim("a", smtp("two", "192.0.2.2")).expect("it fits");
        books.claim("b", smtp("one", "192.0.2.3")).expect("it fits");
        assert_eq!(hosts(&books), ["192.0.2.1", "192.0.2.2"]);
        books.claim("a", smtp("one", "192.0.2.4")).expect("it fits");
        assert_eq!(hosts(&books), ["192.0.2.4", "192.0.2.2"]);
        let seen = Facts { listeners: BTreeSet::from([8069]), ..Facts::none() };
        books.surround("a", seen);
        books.surround("a", Facts { listeners: BTreeSet::from([8072]), ..Facts::none() });
        assert_eq!(books.knowledge.facts("a").listeners, BTreeSet::from([8069, 8072]));
        assert_eq!(hosts(&books), ["192.0.2.4", "192.0.2.2"], "what is claimed stays");
    }

    #[test]
    fn claims_have_bounds() {
        let mut books = books();
        let long = claims(&format!(r#"{{"database": "a", "modules": [{{"name": "{}"}}]}}"#, "x".repeat(301)));
        assert!(books.claim("a", long).is_err_and(|why| why.contains("at most 300")));
        for number in 0..DATABASES {
            books.claim("a", claims(&format!(r#"{{"database": "{number}"}}"#))).expect("it fits");
        }
        assert!(books.claim("a", claims(r#"{"database": "one more"}"#)).is_err_and(|why| why.contains("no more")));
        books.claim("a", claims(r#"{"database": "1"}"#)).expect("it is known");
    }
}
