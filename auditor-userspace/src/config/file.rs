//! The configuration file: what the host decides beforehand. None is needed.
//!
//! ```toml
//! client_addresses = "cut"                      # of inbound flows: cut (to /24 and /48), full, off
//! catalogue = ["/etc/network-audit/ours.toml"]  # beside the one that is built in
//!
//! [floor]                                       # what an Odoo may loosen by itself: allow, ask (the host), deny
//! auditing = "ask"
//!
//! [policy]                                      # how an Odoo is recorded that asked for nothing
//! retention_days = 365
//!
//! [retention]                                   # what may be removed
//! max_gib = 20                                  # old records go earlier when the ledger is larger
//! min_days = 30                                 # but never younger ones than this
//!
//! [verification]                                # the daemon's own, once a day
//! hour = 3                                      # UTC
//!
//! [[instance]]                                  # a name for an Odoo; all that is given has to fit
//! name = "shop"
//! unit = "odoo-shop.service"
//! ```

use std::path::{Path, PathBuf};

use auditor_common::body::Policy;
use serde::{Deserialize, Serialize};

use super::ClientAddresses;
use crate::attribute::instance;
use crate::attribute::proc::Seen;
use crate::clock::DAY_NS;
use crate::policy::change::{Change, RETENTION_MAX, RETENTION_MIN, is_line};
use crate::policy::terms::{Floor, Policy as Recording, Terms};

/// Names of instances are not longer, in bytes.
const NAME_MAX: usize = 200;

/// A configuration file, as it is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// What is recorded of the addresses of clients.
    pub client_addresses: ClientAddresses,
    /// Catalogues beside the one that is built in.
    pub catalogue: Vec<PathBuf>,
    /// What instances may loosen.
    pub floor: Floor,
    /// How an instance is recorded that asked for nothing.
    pub policy: Recording,
    /// What may be removed, beside the longest `retention_days` that anybody got.
    pub retention: Retention,
    /// When the daemon verifies its own ledger.
    pub verification: Verification,
    /// Names for instances; the first that fits is taken.
    #[serde(rename = "instance")]
    pub instances: Vec<InstanceRule>,
}

/// What may be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Old records go earlier when the ledger is larger than this, GiB.
    pub max_gib: u64,
    /// But never younger ones than this, days.
    pub min_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self { max_gib: 20, min_days: RETENTION_MIN }
    }
}

impl Retention {
    /// A disk is not larger, GiB.
    const MAX_GIB: u64 = 1 << 20;

    fn check(self) -> Result<(), String> {
        if !(1..=Self::MAX_GIB).contains(&self.max_gib) {
            return Err(format!(
                "[retention] max_gib is from 1 to {}: {} is outside of that",
                Self::MAX_GIB,
                self.max_gib
            ));
        }
        if !(RETENTION_MIN..=RETENTION_MAX).contains(&self.min_days) {
            let days = self.min_days;
            return Err(format!(
                "[retention] min_days is from {RETENTION_MIN} to {RETENTION_MAX}: {days} is outside of that"
            ));
        }
        Ok(())
    }

    /// As the ledger has it. Whatever `keep_days` say, nothing goes that is younger than `min_days`.
    #[must_use]
    pub fn policy(self, keep_days: u32, actor: &str) -> Policy {
        Policy {
            keep_ns: u64::from(keep_days) * DAY_NS,
            max_bytes: self.max_gib << 30,
            min_ns: u64::from(self.min_days) * DAY_NS,
            actor: actor.to_owned(),
        }
    }
}

/// When the daemon verifies its own ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Verification {
    /// Hour of the day, UTC.
    pub hour: u8,
}

impl Default for Verification {
    fn default() -> Self {
        Self { hour: 3 }
    }
}

/// A name for an Odoo.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InstanceRule {
    /// The name.
    pub name: String,
    /// Its systemd unit.
    pub unit: Option<String>,
    /// Its cgroup or one above it, as `/proc/PID/cgroup` writes it.
    pub cgroup: Option<PathBuf>,
    /// The configuration file that its command line names.
    pub config: Option<String>,
    /// The data folder that its command line names.
    pub data_dir: Option<String>,
    /// The user that it runs as, in the host's numbering.
    pub uid: Option<u32>,
}

impl InstanceRule {
    /// Whether the process that begins an instance is meant.
    #[must_use]
    pub fn fits(&self, root: &Seen) -> bool {
        let argument = |short, long| instance::argument(root, short, long);
        let below = |path: &Path| instance::cgroups(&root.cgroups).any(|own| Path::new(own).starts_with(path));
        self.unit.as_ref().is_none_or(|unit| instance::unit(&root.cgroups) == Some(unit))
            && self.cgroup.as_ref().is_none_or(|path| below(path))
            && self.config.as_ref().is_none_or(|file| argument("-c", "--config") == Some(file))
            && self.data_dir.as_ref().is_none_or(|folder| argument("-D", "--data-dir") == Some(folder))
            && self.uid.is_none_or(|uid| root.uid == uid)
    }

    fn check(&self) -> Result<(), String> {
        let Self { name, unit, cgroup, config, data_dir, uid } = self;
        if name.trim().is_empty() || !is_line(name, NAME_MAX) {
            return Err(format!("an [[instance]] has a name of at most {NAME_MAX} bytes in one line"));
        }
        if unit.is_none() && cgroup.is_none() && config.is_none() && data_dir.is_none() && uid.is_none() {
            return Err(format!(
                "nothing says which Odoo \"{name}\" is: give its unit, cgroup, config, data_dir or uid"
            ));
        }
        Ok(())
    }
}

impl File {
    /// Reads a file's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            let at = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            format!("{at}{}", error.message())
        })?;
        Change::RetentionDays(file.policy.retention_days).check()?;
        Change::DisabledChannels(file.policy.disabled_channels.clone()).check()?;
        file.retention.check()?;
        if file.verification.hour > 23 {
            return Err(format!("[verification] hour is from 0 to 23 (UTC): {} is none", file.verification.hour));
        }
        file.instances.iter().try_for_each(InstanceRule::check)?;
        Ok(file)
    }

    /// The part that is about policy.
    #[must_use]
    pub fn terms(&self) -> Terms {
        Terms { floor: self.floor, policy: self.policy.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::{File, InstanceRule};
    use crate::attribute::proc::Seen;
    use crate::config::ClientAddresses;
    use crate::policy::terms::Rule;

    #[test]
    fn a_file_says_what_differs_and_the_rest_is_as_always() {
        let text = "client_addresses = \"full\"\n[floor]\nauditing = \"deny\"\n[policy]\nretention_days = 90\n\
                    [[instance]]\nname = \"shop\"\nunit = \"odoo.service\"\n";
        let file = File::parse(text).expect("sound");
        assert_eq!(file.client_addresses, ClientAddresses::Full);
        let terms = file.terms();
        let found = (terms.floor.auditing, terms.floor.retention, terms.policy.retention_days);
        assert_eq!(found, (Rule::Deny, Rule::Ask, 90));
        assert_eq!(file.instances[0].name, "shop");
        assert_eq!(File::parse("").expect("an empty file is one"), File::default());
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_its_line_named() {
        for (text, expected) in [
            ("[floor]\nauditing = \"perhaps\"\n", "line 2"),
            ("[floor]\n\nno_such = \"ask\"\n", "line 3"),
            ("client_addresses = \"some\"\n", "line 1"),
            ("retention_days = 90\n", "unknown field"),
            ("[retention]\nmax_gib = 0\n", "from 1 to"),
            ("[retention]\nmin_days = 7\n", "from 30 to 3650"),
            ("[retention]\nmax_bytes = 7\n", "line 2"),
            ("[verification]\nhour = 24\n", "from 0 to 23"),
            ("[policy]\nretention_days = 7\n", "from 30 to 3650"),
            ("[policy]\ndisabled_channels = [\"native\"]\n", "no channel"),
            ("[[instance]]\nname = \"\"\nuid = 1\n", "a name"),
            ("[[instance]]\nname = \"a\\nb\"\nuid = 1\n", "a name"),
            ("[[instance]]\nname = \"shop\"\n", "nothing says which Odoo"),
            ("= x", "line 1"),
        ] {
            let error = File::parse(text).expect_err(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    fn check(rule: InstanceRule, fits: bool) {
        let root = Seen {
            uid: 101,
            arguments: ["odoo", "-c", "/etc/odoo.conf", "--data-dir=/srv"].map(str::to_owned).to_vec(),
            cgroups: "1:name=systemd:/\n0::/system.slice/odoo.service\n".into(),
            ..Seen::default()
        };
        assert_eq!(rule.fits(&root), fits, "{rule:?}");
    }

    #[test]
    fn an_instance_is_meant_if_all_that_is_given_fits() {
        let rule = InstanceRule::default;
        check(InstanceRule { unit: Some("odoo.service".into()), uid: Some(101), ..rule() }, true);
        check(InstanceRule { unit: Some("odoo.service".into()), uid: Some(102), ..rule() }, false);
        check(InstanceRule { unit: Some("odoo".into()), ..rule() }, false);
        check(InstanceRule { cgroup: Some("/system.slice".into()), ..rule() }, true);
        check(InstanceRule { cgroup: Some("/system".into()), ..rule() }, false);
        check(InstanceRule { config: Some("/etc/odoo.conf".into()), ..rule() }, true);
        check(InstanceRule { data_dir: Some("/srv".into()), ..rule() }, true);
        check(InstanceRule { data_dir: Some("/srv/other".into()), ..rule() }, false);
    }
}
