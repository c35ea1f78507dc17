//! What is known of an instance, beside its traffic.
//!
//! Two sources, kept apart by their [`Word`]. **The host's**: interface addresses and listeners of the instance's
//! network namespace (`/proc/PID/net`), the resolvers of its `resolv.conf`, and what its command line, configuration
//! file and environment name: `db_host` and `db_port`, `smtp_server` and `smtp_port`, `PGHOST`, proxies in
//! `http_proxy` and `https_proxy`. **The instance's own**, sent by the addon at start and when a setting changes, as
//! one [`Claims`] object for each database; it replaces what that database claimed before:
//!
//! ```json
//! {"database": "prod",
//!  "own":        [{"host": "erp.example.com", "place": "System Parameters, web.base.url"}],
//!  "configured": [{"host": "smtp.example.com", "port": 587, "purpose": "outgoing mail",
//!                  "place": "Outgoing Mail Servers"}],
//!  "modules":    [{"name": "sale", "author": "Odoo S.A.", "opaque": false}]}
//! ```
//!
//! What the addon has to send, and from where (17.0 to 19.0; a model that is not installed is skipped):
//!
//! | claim | from |
//! |---|---|
//! | own | `ir.config_parameter` `web.base.url`, `report.url`; `website.domain` |
//! | outgoing mail | `ir.mail_server` `smtp_host`, `smtp_port` |
//! | incoming mail | `fetchmail.server` `server`, `port` |
//! | directory | `res.company.ldap` `ldap_server`, `ldap_server_port` |
//! | webhook | `ir.actions.server` `webhook_url`, where `state` is `webhook` |
//! | sign-on | `auth.oauth.provider` `auth_endpoint`, `validation_endpoint`, `data_endpoint`, where enabled |
//! | payment | `payment.provider` whose `state` is not `disabled`: the prefix or host that its own fields name |
//! | service endpoints | `ir.config_parameter` whose key ends in `.endpoint` or `_url` and whose value is an `http(s)` address |
//! | modules | `ir.module.module` that are installed: name and author; opaque where the folder has native code, or code without source |
//!
//! Of an address with a path only host and port are sent; no user, password, path or query. All of it is what the
//! suspect says: it explains ordinary traffic, and is shown as *configured in …*.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::catalogue::Word;
use crate::catalogue::pattern::HostPattern;

/// At most this many settings, and as many modules, of one instance are kept; more are counted. Every line of a report is
/// compared with them.
pub const CLAIMS_MAX: usize = 2_000;

/// Something that configuration names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configured {
    /// Where: one name or one address.
    pub host: HostPattern,
    /// The port; none means any.
    #[serde(default)]
    pub port: Option<u16>,
    /// What it is: "database", "outgoing mail".
    pub purpose: String,
    /// Where that stands: "odoo.conf, db_host".
    pub place: String,
    /// Who says so: the host, or the instance.
    #[serde(skip, default = "instance")]
    pub word: Word,
}

impl Configured {
    /// Whether a destination is this. `port` is `None` where the port says nothing, as with a client's.
    #[must_use]
    pub fn is(&self, names: &[&str], address: IpAddr, port: Option<u16>) -> bool {
        let here = self.host.admits_address(address) || names.iter().any(|name| self.host.admits_name(name));
        here && self.port.is_none_or(|own| port.is_none_or(|port| port == own))
    }
}

const fn instance() -> Word {
    Word::Instance
}

/// A name under which an instance says that it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnName {
    /// The name.
    pub host: HostPattern,
    /// Where that stands.
    pub place: String,
}

/// What an instance says about one of its modules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleClaim {
    /// Technical name.
    pub name: String,
    /// As the manifest has it.
    #[serde(default)]
    pub author: Option<String>,
    /// It has native code, or code without source.
    #[serde(default)]
    pub opaque: bool,
}

/// What one database of an instance claims.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Claims {
    /// Which database.
    pub database: String,
    /// Its own names.
    pub own: Vec<OwnName>,
    /// What its settings name.
    pub configured: Vec<Configured>,
    /// Its installed modules.
    pub modules: Vec<ModuleClaim>,
}

/// What is known of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Module {
    /// As the manifest has it.
    pub author: Option<String>,
    /// It has native code, or code without source.
    pub opaque: bool,
}

/// What is known of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Addresses of its interfaces.
    pub addresses: BTreeSet<IpAddr>,
    /// Ports on which it listens.
    pub listeners: BTreeSet<u16>,
    /// Names of its own.
    pub own_names: Vec<OwnName>,
    /// What its configuration names: first what the host knows, then what it claims.
    pub configured: Vec<Configured>,
    /// Its modules, by technical name.
    pub modules: BTreeMap<String, Module>,
    /// Whether names are seen in the kernel here at all.
    pub sees_names: bool,
    /// Claims that did not fit.
    pub dropped: u64,
}

impl Facts {
    /// Nothing.
    #[must_use]
    pub const fn none() -> Self {
        Self::where_names_are_seen(false)
    }

    /// Nothing but whether names are seen in the kernel.
    #[must_use]
    pub const fn where_names_are_seen(sees_names: bool) -> Self {
        Self {
            addresses: BTreeSet::new(),
            listeners: BTreeSet::new(),
            own_names: Vec::new(),
            configured: Vec::new(),
            modules: BTreeMap::new(),
            sees_names,
            dropped: 0,
        }
    }

    /// Adds what a database claims. A setting names one host: stars and networks are not taken.
    pub fn claim(&mut self, claims: Claims) {
        for own in claims.own {
            if own.host.is_single() && self.has_room() {
                self.own_names.push(own);
            }
        }
        for it in claims.configured {
            if it.host.is_single() && self.has_room() {
                self.configured.push(Configured { word: Word::Instance, ..it });
            }
        }
        for module in claims.modules {
            if self.modules.len() >= CLAIMS_MAX && !self.modules.contains_key(&module.name) {
                self.dropped += 1;
                continue;
            }
            let known = self.modules.entry(module.name).or_default();
            // Two databases may have different versions of a module: what one says against it counts.
            known.opaque |= module.opaque;
            known.author = known.author.take().or(module.author);
        }
    }

    /// Whether one more setting fits; counts it if it does not.
    fn has_room(&mut self) -> bool {
        let fits = self.own_names.len() + self.configured.len() < CLAIMS_MAX;
        self.dropped += u64::from(!fits);
        fits
    }

    /// The author of a module, where it is known.
    #[must_use]
    pub fn author(&self, module: &str) -> Option<&str> {
        self.modules.get(module)?.author.as_deref()
    }

    /// Whether a module is opaque; `None` where nobody said.
    #[must_use]
    pub fn opaque(&self, module: &str) -> Option<bool> {
        self.modules.get(module).map(|module| module.opaque)
    }
}
