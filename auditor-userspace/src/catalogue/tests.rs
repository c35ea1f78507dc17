use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use super::{Catalogue, CatalogueError, OWN_MODULE, Word};

const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));

fn refused(text: &str) -> CatalogueError {
    Catalogue::default().extend(text, Word::Host).expect_err(text)
}

#[test]
fn the_built_in_catalogue_watches_one_vendor_and_documents_odoos_own_hosts() {
    let catalogue = Catalogue::built_in();
    assert_eq!(catalogue.vendors().iter().map(|vendor| vendor.name.as_str()).collect::<Vec<_>>(), ["MIT"]);
    let hosts = catalogue.entries().iter().flat_map(|entry| &entry.hosts);
    let odoo: std::collections::BTreeSet<String> =
        hosts.map(ToString::to_string).filter(|host| host.ends_with(".odoo.com")).collect();
    assert!(odoo.len() >= 15, "{odoo:?}");
    for name in ["services.odoo.com", "iap.odoo.com", "mit-odoo.de", "api.stripe.com"] {
        assert!(catalogue.documented(Some(name), ELSEWHERE).next().is_some(), "{name}");
    }
    assert!(catalogue.documented(Some("odoo.com.example.net"), ELSEWHERE).next().is_none());
}

#[test]
fn our_own_addon_is_no_module_of_the_vendor_it_is_named_after() {
    let catalogue = Catalogue::built_in();
    for (module, author, watched) in [
        ("mit_sync", None, true),
        ("maildesk_mail_client", None, true),
        ("locker", Some("Metzler IT GmbH"), true),
        ("locker", Some("Somebody, Metzler IT GmbH"), true),
        ("summit_sync", Some("Summit GmbH"), false),
        ("sale", Some("Odoo S.A."), false),
        ("mitre", None, false),
        (OWN_MODULE, None, false),
        (OWN_MODULE, Some("MIT"), false),
    ] {
        assert_eq!(catalogue.vendor_of_module(module, author).is_some(), watched, "{module} {author:?}");
    }
}

#[test]
fn an_error_names_its_line() {
    let text =
        "[[entry]]\nvendor = \"A\"\nhosts = [\"a.example\", \"*\"]\nkind = \"odoo\"\npurpose = \"p\"\nsource = \"s\"\n";
    let error = refused(text);
    assert_eq!(error.line, Some(3), "{error}");
    assert!(error.to_string().contains("\"*\" is no host"), "{error}");
    assert_eq!(refused("[[entry]]\nvendor = \"A\"\nhost = [\"a.example\"]\n").line, Some(3));
    assert_eq!(refused("[[vendor]]\nname = \"A\"\nmodules = [\"*\"]\n").line, Some(3));
    assert_eq!(refused("[[entry]\n").line, Some(1));
}

#[test]
fn what_makes_no_sense_is_refused() {
    for text in [
        "[[vendor]]\nname = \"A\"\n[[vendor]]\nname = \"A\"\n",
        "unwatched = [\"nobody\"]\n",
        "[[entry]]\nvendor = \"A\"\nhosts = []\nkind = \"odoo\"\npurpose = \"p\"\nsource = \"s\"\n",
        "[[entry]]\nvendor = \"A\"\nhosts = [\"a.example\"]\nkind = \"no kind\"\npurpose = \"p\"\nsource = \"s\"\n",
        "[[entry]]\nvendor = \"A\"\nhosts = [\"a.example\"]\nports = [70000]\nkind = \"odoo\"\npurpose = \"p\"\nsource = \"s\"\n",
        "[[entry]]\nvendor = \"A\"\nhosts = [\"a.example\"]\nword = \"host\"\nkind = \"odoo\"\npurpose = \"p\"\nsource = \"s\"\n",
    ] {
        refused(text);
    }
}

#[test]
fn the_hosts_file_replaces_vendors_and_adds_entries() {
    let mut catalogue = Catalogue::built_in();
    let before = catalogue.entries().len();
    let text = "unwatched = [\"MIT\"]\n[[vendor]]\nname = \"Acme\"\nhosts = [\"*.acme.example\"]\n\
                [[entry]]\nvendor = \"Acme\"\nhosts = [\"198.51.100.0/24\"]\nkind = \"other\"\npurpose = \"p\"\nsource = \"us\"\n";
    catalogue.extend(text, Word::Host).expect("sound");
    assert_eq!(catalogue.entries().len(), before + 1);
    assert!(catalogue.vendor("MIT").is_none());
    assert_eq!(catalogue.vendor("Acme").map(|vendor| vendor.word), Some(Word::Host));
    assert!(catalogue.vendor_of_host(Some("a.acme.example"), ELSEWHERE).is_some());
    assert!(catalogue.documented(None, IpAddr::from([198, 51, 100, 9])).any(|entry| entry.word == Word::Host));
}

#[test]
fn an_entry_explains_its_ports_its_encryption_and_its_modules() {
    let catalogue = Catalogue::built_in();
    for (host, port, tls, module, explained) in [
        ("mit-odoo.de", 443, None, None, true),
        ("mit-odoo.de", 443, Some(true), Some("mit_x"), true),
        ("mit-odoo.de", 443, Some(false), None, false),
        ("mit-odoo.de", 80, None, None, false),
        ("telemetry.mit-odoo.de", 443, None, None, false),
        ("storage.googleapis.com", 443, None, Some("cloud_storage_google"), true),
        ("storage.googleapis.com", 443, None, Some("mit_x"), false),
        ("storage.googleapis.com", 443, None, None, false),
    ] {
        let found = catalogue.documented(Some(host), ELSEWHERE).any(|entry| entry.explains(port, tls, module));
        assert_eq!(found, explained, "{host}:{port} {tls:?} {module:?}");
    }
}

/// Odoo 19's sources, where a test set-up has unpacked them.
fn odoo_sources() -> Option<PathBuf> {
    let cache =
        std::env::var_os("NETWORK_AUDIT_CACHE").map_or_else(|| "/var/cache/network-audit".into(), PathBuf::from);
    let found = std::fs::read_dir(cache).ok()?.flatten().map(|folder| folder.path()).find(|path| {
        path.is_dir() && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("odoo-19"))
    })?;
    Some(found.join("root/usr/lib/python3/dist-packages")).filter(|path| path.join("odoo").is_dir())
}

#[test]
fn every_host_is_in_the_file_that_its_entry_names() {
    let Some(sources) = odoo_sources() else {
        println!("SKIPPED: because Odoo's sources are not unpacked (cargo xtask odoo setup)");
        return;
    };
    for entry in Catalogue::built_in().entries() {
        if entry.source.starts_with("documented by vendor: ") {
            continue;
        }
        let under = if entry.source.starts_with("addons/") { sources.join("odoo") } else { sources.clone() };
        let text = read(&under.join(&entry.source));
        for host in &entry.hosts {
            let host = host.to_string();
            // Below a star the code puts the name together: the domain's own label has to be there.
            let needle = match host.strip_prefix("*.") {
                Some(parent) => parent.rsplit('.').nth(1).unwrap_or(parent).to_owned(),
                None => host,
            };
            assert!(text.contains(&needle), "{} does not name {needle}", entry.source);
        }
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
