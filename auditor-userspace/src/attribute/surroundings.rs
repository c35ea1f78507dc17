//! What the host knows of an instance beside its traffic: where it listens, what its addresses are, and what its command
//! line, configuration file and environment name. It is the host's word, and explains ordinary traffic.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use super::instance::argument;
use super::listening;
use super::proc::{Proc, Processes as _, Seen};
use crate::catalogue::Word;
use crate::catalogue::pattern::HostPattern;
use crate::destination::facts::{Configured, Facts};

/// A configuration file or environment is not longer than this, bytes.
const TEXT_MAX: u64 = 1 << 20;
/// Where Odoo looks if nobody names a file.
const USUAL_FILE: &str = "/etc/odoo/odoo.conf";

/// What is known by looking at these processes, all of one instance.
#[must_use]
pub fn facts(tgids: &BTreeSet<u32>) -> Facts {
    let mut facts = Facts::none();
    for &tgid in tgids {
        facts.listeners.extend(listening::ports(tgid).into_iter().map(|it| it.port));
    }
    // All processes of an instance share the rest with its oldest one: network namespace, root folder, settings.
    let oldest = tgids.iter().filter_map(|&tgid| Proc::default().seen(tgid)).min_by_key(|seen| seen.start_ns);
    let Some(oldest) = oldest else { return facts };
    let folder = Path::new("/proc").join(oldest.tgid.to_string());
    facts.addresses = addresses(&folder);
    let hosts = text(&folder.join("root/etc/hosts")).unwrap_or_default();
    for named in named(&oldest, &folder) {
        facts.configured.extend(configured(&named, &hosts));
    }
    facts
}

fn text(path: &Path) -> Option<String> {
    let is_small = fs::metadata(path).is_ok_and(|it| it.is_file() && it.len() <= TEXT_MAX);
    is_small.then(|| fs::read(path).ok()).flatten().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Addresses of the interfaces of the namespace, the loopback's apart: other programs listen there as well.
fn addresses(folder: &Path) -> BTreeSet<IpAddr> {
    let v4 = text(&folder.join("net/fib_trie")).map(|text| fib_trie(&text)).unwrap_or_default();
    let v6 = text(&folder.join("net/if_inet6")).map(|text| if_inet6(&text)).unwrap_or_default();
    v4.into_iter().chain(v6).filter(|address| !address.is_loopback()).collect()
}

/// `|-- ADDRESS` is followed by what it is; `/32 host LOCAL` is an address of this host.
fn fib_trie(text: &str) -> BTreeSet<IpAddr> {
    let mut last = None;
    let mut found = BTreeSet::new();
    for line in text.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(last.map(IpAddr::V4));
        }
    }
    found
}

/// The first column: 32 hexadecimal digits.
fn if_inet6(text: &str) -> BTreeSet<IpAddr> {
    let first = |line: &str| line.split_ascii_whitespace().next().map(str::to_owned);
    let number = |digits: String| u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32);
    text.lines().filter_map(first).filter_map(number).map(|bits| IpAddr::V6(Ipv6Addr::from(bits))).collect()
}

/// Something that is named: host, port, what it is, and where that stands.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    host: String,
    port: Option<u16>,
    purpose: &'static str,
    place: String,
}

/// Everything that command line, configuration file and environment name.
fn named(process: &Seen, folder: &Path) -> Vec<Named> {
    let path = argument(process, "-c", "--config").unwrap_or(USUAL_FILE);
    let file = text(&inside(folder, path)).unwrap_or_default();
    let environment = fs::read(folder.join("environ")).unwrap_or_default();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    let mut found = Vec::new();
    for (purpose, host, port, usual) in
        [("database", "db_host", "db_port", 5432), ("outgoing mail", "smtp_server", "smtp_port", 25)]
    {
        let typed = |key: &str| argument(process, "", &format!("--{}", key.replace("smtp_server", "smtp")));
        let (value, place) = match (typed(host), setting(&file, host)) {
            (Some(value), _) => (value, format!("the command line, {host}")),
            (None, Some(value)) => (value, format!("{path}, {host}")),
            (None, None) => continue,
        };
        let port = typed(port).or_else(|| setting(&file, port)).and_then(|port| port.parse().ok()).or(Some(usual));
        found.push(Named { host: value.to_owned(), port, purpose, place });
    }
    found.extend(of_environment(&environment));
    found.extend(servers(&text(&folder.join("root/etc/resolv.conf")).unwrap_or_default()).map(|host| Named {
        host: host.to_owned(),
        port: Some(53),
        purpose: "name server",
        place: "/etc/resolv.conf".to_owned(),
    }));
    found
}

/// The name servers that a `resolv.conf` names.
pub fn servers(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.trim().strip_prefix("nameserver")).map(str::trim)
}

/// The `resolv.conf` of a process, empty if it has none; `None` if that cannot be found out.
#[must_use]
pub fn name_servers(tgid: u32) -> Option<String> {
    let path = Path::new("/proc").join(tgid.to_string()).join("root/etc/resolv.conf");
    match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.parent().is_some_and(Path::exists) => {
            Some(String::new())
        }
        _ => text(&path),
    }
}

/// A path as the process itself would open it.
fn inside(folder: &Path, path: &str) -> PathBuf {
    match path.strip_prefix('/') {
        Some(path) => folder.join("root").join(path),
        None => folder.join("cwd").join(path),
    }
}

/// The value of `key = value` in a file of Odoo's; `False` is none.
fn setting<'a>(file: &'a str, key: &str) -> Option<&'a str> {
    let value = file.lines().find_map(|line| line.trim().strip_prefix(key)?.trim_start().strip_prefix('='))?.trim();
    (!value.is_empty() && value != "False").then_some(value)
}

fn of_environment(environment: &str) -> Vec<Named> {
    let value = |key: &str| {
        let pairs = environment.split('\0').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(name, value)| *name == key && !value.is_empty()).map(|(_, value)| value).next()
    };
    let mut found = Vec::new();
    if let Some(host) = value("PGHOST") {
        let port = value("PGPORT").and_then(|port| port.parse().ok()).or(Some(5432));
        found.push(Named { host: host.to_owned(), port, purpose: "database", place: "the environment, PGHOST".into() });
    }
    for key in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
        if let Some((host, port)) = value(key).and_then(authority) {
            found.push(Named { host, port, purpose: "proxy", place: format!("the environment, {key}") });
        }
    }
    found
}

/// Host and port of an address: no user, no password, no path.
fn authority(address: &str) -> Option<(String, Option<u16>)> {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let rest = rest.split(['/', '?', '#']).next()?;
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    if let Some(inner) = rest.strip_prefix('[') {
        let (host, port) = inner.split_once(']')?;
        return Some((host.to_owned(), port.strip_prefix(':').and_then(|port| port.parse().ok())));
    }
    let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, port.parse().ok()));
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

/// What is named, under its name and under each address that the instance's own hosts file gives it. Nothing is looked up:
/// the auditor asks nobody. A path is a local socket, and no destination.
fn configured(named: &Named, hosts: &str) -> Vec<Configured> {
    let of_file = hosts.lines().filter_map(|line| {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let address = words.next()?;
        words.any(|name| name.eq_ignore_ascii_case(&named.host)).then(|| address.to_owned())
    });
    let patterns = of_file.chain([named.host.clone()]).filter_map(|host| HostPattern::try_from(host).ok());
    let one = |host| Configured {
        host,
        port: named.port,
        purpose: named.purpose.to_owned(),
        place: named.place.clone(),
        word: Word::Host,
    };
    patterns.filter(HostPattern::is_single).map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::IpAddr;

    use super::{Named, authority, configured, facts, fib_trie, if_inet6, of_environment, setting};

    #[test]
    fn the_kernels_tables_give_addresses() {
        let table = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\nLocal:\n  |-- 192.0.2.7\n\
                     \x20    /32 host LOCAL\n  |-- 192.0.2.255\n     /32 link BROADCAST\n  |-- x\n  /32 host LOCAL\n";
        assert_eq!(fib_trie(table), BTreeSet::from([IpAddr::from([192, 0, 2, 7])]));
        let table = "20010db8000000000000000000000007 02 40 00 80 eth0\n1 02 40 00 80 eth0\n\n";
        assert_eq!(if_inet6(table), BTreeSet::from(["2001:db8::7".parse().expect("an address")]));
    }

    #[test]
    fn a_setting_is_found_as_odoo_would() {
        let file =
            "[options]\n; db_host = no\ndb_host = db.example.com\ndb_hostname = x\nsmtp_server = False\ndb_port=\n";
        assert_eq!(setting(file, "db_host"), Some("db.example.com"));
        assert_eq!(setting(file, "smtp_server"), None);
        assert_eq!(setting(file, "db_port"), None);
    }

    #[test]
    fn of_an_address_host_and_port_are_taken() {
        for (address, host, port) in [
            ("http://u:p@proxy.example.com:3128/x?y", "proxy.example.com", Some(3128)),
            ("proxy.example.com", "proxy.example.com", None),
            ("http://[2001:db8::1]:80", "2001:db8::1", Some(80)),
        ] {
            assert_eq!(authority(address), Some((host.to_owned(), port)), "{address}");
        }
        assert_eq!(authority("http:///x"), None);
        let found = of_environment("A=1\0PGHOST=192.0.2.9\0https_proxy=\0");
        assert_eq!((found.len(), found[0].host.as_str(), found[0].port), (1, "192.0.2.9", Some(5432)));
    }

    #[test]
    fn a_name_is_taken_with_the_addresses_that_the_hosts_file_gives_it() {
        let check = |host: &str, found: &[&str]| {
            let named = Named { host: host.into(), port: None, purpose: "database", place: String::new() };
            let hosts = "192.0.2.5 db db.example.com # other\n::1 localhost\n";
            let texts: Vec<String> = configured(&named, hosts).iter().map(|it| it.host.to_string()).collect();
            assert_eq!(texts, found, "{host}");
        };
        check("DB", &["192.0.2.5", "db"]);
        check("192.0.2.8", &["192.0.2.8"]);
        check("/run/postgresql", &[]);
        check("*.example.com", &[]);
        check("other", &["other"]);
    }

    #[test]
    fn this_very_process_listens_where_it_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let found = facts(&BTreeSet::from([std::process::id(), u32::MAX]));
        assert!(found.listeners.contains(&listener.local_addr().expect("it is bound").port()));
    }
}
