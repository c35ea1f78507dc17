//! Which name servers are the host's choice: those of the `resolv.conf` that the instance's processes have.
//!
//! A module may ask a name server of its own, and that one answers whatever the module likes. What it says is no better
//! than the module's own word.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::attribute::surroundings;

/// A file is not read again before this time has passed, nanoseconds; a server that is not in it is a reason to.
const FRESH_NS: u64 = 1_000_000_000;

/// The servers of one instance. `None`: its file cannot be read.
#[derive(Debug)]
struct Servers {
    found: Option<BTreeSet<IpAddr>>,
    read_ns: u64,
}

/// The name servers of every instance.
#[derive(Debug, Default)]
pub struct Resolvers {
    instances: HashMap<String, Servers>,
}

impl Resolvers {
    /// Whether this name server is one that the host chose for this process of an instance. Where that cannot be found
    /// out, every one is.
    pub fn has(&mut self, instance: &str, tgid: u32, server: IpAddr, now_ns: u64) -> bool {
        self.known(instance, tgid, server, now_ns).is_none_or(|found| found.contains(&server))
    }

    /// Whether the host chose this name server for certain.
    pub fn names(&mut self, instance: &str, tgid: u32, server: IpAddr, now_ns: u64) -> bool {
        self.known(instance, tgid, server, now_ns).is_some_and(|found| found.contains(&server))
    }

    /// The servers of an instance: read again, if this one is none of them. `None`: they cannot be found out.
    fn known(&mut self, instance: &str, tgid: u32, server: IpAddr, now_ns: u64) -> Option<&BTreeSet<IpAddr>> {
        let known = self.instances.get(instance);
        let fresh = known.is_some_and(|it| now_ns.saturating_sub(it.read_ns) < FRESH_NS);
        if !fresh && !known.is_some_and(|it| it.admits(server)) {
            let read = Servers { found: surroundings::name_servers(tgid).map(|text| servers(&text)), read_ns: now_ns };
            self.instances.insert(instance.to_owned(), read);
        }
        self.instances.get(instance)?.found.as_ref()
    }

    /// An instance is gone.
    pub fn forget(&mut self, instance: &str) {
        self.instances.remove(instance);
    }
}

impl Servers {
    fn admits(&self, server: IpAddr) -> bool {
        self.found.as_ref().is_none_or(|found| found.contains(&server))
    }
}

/// The servers that such a file names; without any, a resolver asks this very host.
fn servers(text: &str) -> BTreeSet<IpAddr> {
    let named = surroundings::servers(text).filter_map(|host| host.split('%').next()?.parse::<IpAddr>().ok());
    let found: BTreeSet<IpAddr> = named.map(|address| address.to_canonical()).collect();
    if found.is_empty() {
        return BTreeSet::from([Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_asks_whom_its_file_names_and_without_any_this_host() {
        let check = |text: &str, expected: &[&str]| {
            let expected: BTreeSet<IpAddr> = expected.iter().map(|it| it.parse().expect("an address")).collect();
            assert_eq!(servers(text), expected, "{text}");
        };
        check(
            "nameserver 192.0.2.1\n nameserver\t::ffff:192.0.2.2\n#nameserver 192.0.2.3\n",
            &["192.0.2.1", "192.0.2.2"],
        );
        check("nameserver fe80::1%eth0\noptions edns0\n", &["fe80::1"]);
        check("search example.com\nnameserver x\n", &["127.0.0.1", "::1"]);
        check("", &["127.0.0.1", "::1"]);
    }

    #[test]
    fn a_server_that_is_not_named_is_looked_for_again_and_one_that_is_costs_nothing() {
        let mut resolvers = Resolvers::default();
        let other = IpAddr::from([192, 0, 2, 250]);
        let servers = |address: IpAddr| Servers { found: Some(BTreeSet::from([address])), read_ns: 1 };
        resolvers.instances.insert("a".into(), servers(other));
        assert!(resolvers.has("a", u32::MAX, other, u64::MAX));
        assert!(!resolvers.has("a", u32::MAX, IpAddr::from([192, 0, 2, 251]), FRESH_NS));
        assert_eq!(resolvers.instances["a"].read_ns, 1, "it was read just now");
        // No such process: its file cannot be read, so every server counts.
        assert!(resolvers.has("a", u32::MAX, IpAddr::from([192, 0, 2, 251]), 1 + FRESH_NS));
        resolvers.forget("a");
        assert!(resolvers.instances.is_empty());
    }
}
