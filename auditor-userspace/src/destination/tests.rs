//! One row of data for each thing that decides: what is seen, and the class that follows.

use std::net::IpAddr;
use std::sync::Arc;

use auditor_common::endpoint::Endpoint;

use super::facts::{CLAIMS_MAX, Claims, Configured, Facts};
use super::{Class, Name, NameSource, Seen, destination};
use crate::catalogue::pattern::HostPattern;
use crate::catalogue::{Catalogue, Word};

/// The instance of these tests: an Odoo behind a proxy, with a database, a mail server and two vendors' modules.
fn facts() -> Facts {
    let claims = r#"{
        "database": "prod",
        "own": [{"host": "erp.example.com", "place": "web.base.url"},
                {"host": "sneaky.mit-odoo.de", "place": "report.url"}],
        "configured": [{"host": "smtp.example.net", "port": 587, "purpose": "outgoing mail", "place": "Outgoing Mail Servers"},
                       {"host": "mail.mit-odoo.de", "port": 587, "purpose": "outgoing mail", "place": "Outgoing Mail Servers"}],
        "modules": [{"name": "locker", "author": "Metzler IT GmbH", "opaque": true}, {"name": "sale", "author": "Odoo S.A."}]
    }"#;
    let mut facts = Facts {
        addresses: [IpAddr::from([172, 18, 0, 5])].into(),
        listeners: [8069, 8072].into(),
        configured: vec![Configured {
            host: HostPattern::try_from("10.0.0.5".to_owned()).expect("an address"),
            port: Some(5432),
            purpose: "database".into(),
            place: "odoo.conf, db_host".into(),
            word: Word::Host,
        }],
        ..Facts::default()
    };
    facts.claim(serde_json::from_str::<Claims>(claims).expect("claims"));
    facts
}

/// `dns:`, `sni:` and `claim:` names, by spaces.
fn names(text: &str) -> Vec<Name> {
    text.split_ascii_whitespace()
        .map(|word| {
            let (source, name) = word.split_once(':').expect("source:name");
            let source = match source {
                "dns" => NameSource::Dns,
                "sni" => NameSource::Sni,
                _ => NameSource::Claim,
            };
            Name { text: Arc::from(name), source }
        })
        .collect()
}

fn endpoint(text: &str) -> Endpoint {
    let at: std::net::SocketAddr = text.parse().expect(text);
    match at.ip() {
        IpAddr::V4(v4) => Endpoint::v4(v4.octets(), at.port()),
        IpAddr::V6(v6) => Endpoint::v6(v6.octets(), at.port()),
    }
}

const SHOP: &str = "203.0.113.7:443";

fn checked(facts: &Facts, way: &str, remote: &str, named: &str, module: Option<&str>, class: Class) -> Option<String> {
    let catalogue = Catalogue::built_in();
    let (remote, named) = (endpoint(remote), names(named));
    let seen = Seen { inbound: way == "in", remote: &remote, names: &named, module, tls: None };
    let found = destination(&catalogue, facts, &seen);
    assert_eq!(found.place.class(), class, "{way} {remote:?} {named:?} {module:?}: {}", found.place.because());
    found.vendor.map(|vendor| vendor.name.clone())
}

fn check(way: &str, remote: &str, named: &str, module: Option<&str>, class: Class) {
    checked(&facts(), way, remote, named, module, class);
}

#[test]
fn own_is_what_the_instance_is_itself() {
    check("out", "127.0.0.1:8069", "", Some("sale"), Class::Own);
    check("out", "[::1]:8072", "", None, Class::Own);
    check("out", "0.0.0.0:8069", "", None, Class::Own);
    check("out", "172.18.0.5:443", "", None, Class::Own);
    check("out", SHOP, "dns:erp.example.com", Some("base"), Class::Own);
    check("in", "127.0.0.1:50000", "", None, Class::Own);
    check("in", "172.18.0.5:50000", "", None, Class::Own);
}

#[test]
fn another_port_of_the_loopback_interface_is_not_the_instance() {
    check("out", "127.0.0.1:3128", "", Some("sale"), Class::Private);
    check("out", "127.0.0.1:3128", "", Some("mit_sync"), Class::Watched);
}

#[test]
fn configured_is_what_settings_name() {
    check("out", "10.0.0.5:5432", "", None, Class::Configured);
    check("out", "10.0.0.5:5433", "", None, Class::Private);
    check("out", "198.51.100.25:587", "dns:smtp.example.net", Some("mail"), Class::Configured);
    check("out", "198.51.100.25:25", "dns:smtp.example.net", Some("mail"), Class::ThirdParty);
    check("out", "198.51.100.25:587", "dns:smtp.example.net", Some("mit_sync"), Class::Configured);
}

#[test]
fn documented_is_what_the_catalogue_names() {
    check("out", SHOP, "dns:iap.odoo.com", Some("iap"), Class::Documented);
    check("out", "203.0.113.7:80", "dns:services.odoo.com", Some("mail"), Class::Documented);
    check("out", "203.0.113.7:22", "dns:iap.odoo.com", Some("iap"), Class::ThirdParty);
    check("out", SHOP, "dns:api.stripe.com", Some("mit_sync"), Class::Documented);
    check("out", SHOP, "dns:storage.googleapis.com", Some("cloud_storage_google"), Class::Documented);
    check("out", SHOP, "dns:storage.googleapis.com", Some("mit_sync"), Class::Watched);
}

#[test]
fn watched_is_a_watched_vendors_host_or_its_modules_unexplained_traffic() {
    for (remote, named, module, class, vendor) in [
        (SHOP, "dns:telemetry.mit-odoo.de", Some("sale"), Class::Watched, Some("MIT")),
        (SHOP, "sni:telemetry.mit-odoo.de", None, Class::Watched, Some("MIT")),
        (SHOP, "claim:telemetry.mit-odoo.de", Some("sale"), Class::Watched, Some("MIT")),
        (SHOP, "dns:mit-odoo.de", Some("mit_sync"), Class::Documented, Some("MIT")),
        ("203.0.113.7:8443", "dns:mit-odoo.de", Some("mit_sync"), Class::Watched, Some("MIT")),
        (SHOP, "dns:shop.example", Some("mit_sync"), Class::Watched, Some("MIT")),
        (SHOP, "", Some("locker"), Class::Watched, Some("MIT")),
        ("192.168.1.9:9100", "", Some("mit_label"), Class::Watched, Some("MIT")),
        (SHOP, "dns:shop.example", Some("mit_network_audit"), Class::ThirdParty, None),
        (SHOP, "dns:shop.example", Some("sale"), Class::ThirdParty, None),
    ] {
        assert_eq!(checked(&facts(), "out", remote, named, module, class).as_deref(), vendor, "{named} {module:?}");
    }
}

#[test]
fn a_watched_vendor_is_not_excused_by_the_instances_own_names() {
    check("out", SHOP, "dns:sneaky.mit-odoo.de", Some("sale"), Class::Watched);
}

#[test]
fn a_watched_vendors_host_that_only_settings_name_is_configured_and_says_so() {
    let (catalogue, facts) = (Catalogue::built_in(), facts());
    let (remote, named) = (endpoint("203.0.113.7:587"), names("dns:mail.mit-odoo.de"));
    let seen = Seen { inbound: false, remote: &remote, names: &named, module: Some("mail"), tls: None };
    let found = destination(&catalogue, &facts, &seen);
    assert_eq!((found.place.class(), found.excused_by_claim), (Class::Configured, true));
    assert_eq!(found.vendor.map(|vendor| vendor.name.as_str()), Some("MIT"));
    let database = Seen { remote: &endpoint("10.0.0.5:5432"), names: &[], ..seen };
    assert!(!destination(&catalogue, &facts, &database).excused_by_claim);
}

#[test]
fn inbound_traffic_is_judged_by_where_it_comes_from() {
    check("in", "203.0.113.7:50000", "", Some("mit_portal"), Class::ThirdParty);
    check("in", "192.168.1.9:50000", "", Some("mit_portal"), Class::Private);
    check("in", "203.0.113.7:50000", "dns:crawler.mit-odoo.de", None, Class::Watched);
}

#[test]
fn a_look_up_outranks_a_handshake_and_both_outrank_a_claim() {
    // A client writes into its handshake what it likes: the address was looked up under another name.
    check("out", SHOP, "dns:evil.example sni:iap.odoo.com", Some("sale"), Class::ThirdParty);
    check("out", SHOP, "dns:iap.odoo.com dns:other.example sni:iap.odoo.com", Some("sale"), Class::Documented);
    check("out", SHOP, "sni:iap.odoo.com", Some("sale"), Class::Documented);
    check("out", SHOP, "dns:evil.example claim:iap.odoo.com", Some("sale"), Class::ThirdParty);
    check("out", SHOP, "claim:iap.odoo.com", Some("sale"), Class::Documented);
    // One telling name is enough, and a claim does not hide what the kernel saw.
    check("out", SHOP, "dns:iap.odoo.com dns:x.mit-odoo.de", Some("sale"), Class::Watched);
    check("out", SHOP, "dns:x.mit-odoo.de claim:iap.odoo.com", Some("sale"), Class::Watched);
}

#[test]
fn where_the_kernel_sees_names_a_watched_module_is_not_excused_by_its_own() {
    let sees = Facts { sees_names: true, ..facts() };
    checked(&sees, "out", SHOP, "claim:iap.odoo.com", Some("mit_sync"), Class::Watched);
    checked(&sees, "out", SHOP, "claim:iap.odoo.com", Some("sale"), Class::Documented);
    checked(&facts(), "out", SHOP, "claim:iap.odoo.com", Some("mit_sync"), Class::Documented);
}

#[test]
fn what_an_instance_documented_itself_excuses_no_watched_vendor() {
    let mut catalogue = Catalogue::built_in();
    let entry = "[[entry]]\nvendor = \"MIT\"\nhosts = [\"x.mit-odoo.de\", \"shop.example\"]\nkind = \"other\"\npurpose = \"p\"\nsource = \"s\"\n";
    for (word, host, module, class) in [
        (Word::Instance, "dns:x.mit-odoo.de", "sale", Class::Watched),
        (Word::Instance, "dns:shop.example", "mit_sync", Class::Watched),
        (Word::Instance, "dns:shop.example", "sale", Class::Documented),
        (Word::Host, "dns:x.mit-odoo.de", "sale", Class::Documented),
        (Word::Host, "dns:shop.example", "mit_sync", Class::Documented),
    ] {
        let mut with = catalogue.clone();
        with.extend(entry, word).expect("sound");
        let (facts, remote, named) = (facts(), endpoint(SHOP), names(host));
        let seen = Seen { inbound: false, remote: &remote, names: &named, module: Some(module), tls: None };
        assert_eq!(destination(&with, &facts, &seen).place.class(), class, "{word:?} {host} {module}");
    }
    // An entry of another vendor does not document a watched vendor's host, whoever added it.
    catalogue.extend(&entry.replace("MIT", "Other"), Word::Host).expect("sound");
    let (facts, remote, named) = (facts(), endpoint(SHOP), names("dns:x.mit-odoo.de"));
    let seen = Seen { inbound: false, remote: &remote, names: &named, module: Some("sale"), tls: None };
    assert_eq!(destination(&catalogue, &facts, &seen).place.class(), Class::Watched);
}

#[test]
fn plain_text_is_not_what_a_vendor_documents_as_encrypted() {
    let (catalogue, facts) = (Catalogue::built_in(), facts());
    for (tls, class) in [(None, Class::Documented), (Some(true), Class::Documented), (Some(false), Class::Watched)] {
        let (remote, named) = (endpoint(SHOP), names("dns:mit-odoo.de"));
        let seen = Seen { inbound: false, remote: &remote, names: &named, module: Some("mit_sync"), tls };
        assert_eq!(destination(&catalogue, &facts, &seen).place.class(), class, "{tls:?}");
    }
}

#[test]
fn private_networks_stay_on_the_site() {
    for remote in [
        "10.1.2.3:80",
        "172.31.0.1:80",
        "192.168.0.1:80",
        "100.64.0.1:80",
        "169.254.169.254:80",
        "224.0.0.251:5353",
        "255.255.255.255:67",
        "[fc00::1]:80",
        "[fe80::1]:80",
        "[ff02::fb]:5353",
        "127.0.0.1:5432",
        "[::ffff:10.1.2.3]:80",
    ] {
        check("out", remote, "", None, Class::Private);
    }
    for remote in ["172.32.0.1:80", "100.128.0.1:80", "8.8.8.8:53", "[2001:db8::1]:443", "[::ffff:8.8.8.8]:53"] {
        check("out", remote, "", None, Class::ThirdParty);
    }
}

#[test]
fn a_flood_of_claims_is_bounded_and_counted() {
    let mut facts = Facts::default();
    let one = serde_json::json!({"host": "a.example", "purpose": "p", "place": "s"});
    let flood = serde_json::json!({"database": "d", "configured": vec![one; CLAIMS_MAX + 7]});
    facts.claim(serde_json::from_value(flood).expect("claims"));
    assert_eq!((facts.configured.len(), facts.dropped), (CLAIMS_MAX, 7));
}

#[test]
fn a_claimed_setting_names_one_host() {
    let mut facts = Facts::default();
    let hosts = ["*.example.com", "198.51.100.0/24", "198.51.100.7", "a.example.com"];
    let settings = hosts.map(|host| serde_json::json!({"host": host, "purpose": "p", "place": "s"}));
    facts.claim(serde_json::from_value(serde_json::json!({"configured": settings})).expect("claims"));
    assert_eq!(facts.configured.len(), 2);
}

#[test]
fn a_claim_is_the_instances_word_whatever_it_says() {
    assert!(facts().configured.iter().skip(1).all(|it| it.word == Word::Instance));
    let forged = r#"{"configured": [{"host": "a.example", "purpose": "p", "place": "s", "word": "host"}]}"#;
    assert!(serde_json::from_str::<Claims>(forged).is_err());
}

#[test]
fn a_class_has_one_word() {
    for class in Class::ALL {
        assert_eq!(Class::from_word(class.word()), Some(class));
        assert_eq!(serde_json::to_value(class).expect("a word"), class.word());
    }
}
