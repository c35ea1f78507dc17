//! Patterns that a catalogue is made of: hosts, and names of modules and authors.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Wider networks than these say nothing about who is there.
const WIDEST_V4: u8 = 12;
const WIDEST_V6: u8 = 24;

/// Which hosts are meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HostPattern {
    /// This name.
    Name(String),
    /// Every name below this one, at any depth, and not the name itself.
    Below(String),
    /// Every address in this network.
    Net(IpNet),
}

impl HostPattern {
    /// Whether a name is meant. Names are compared without regard to case and to a dot at the end.
    #[must_use]
    pub fn admits_name(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.').as_bytes();
        match self {
            Self::Name(own) => name.eq_ignore_ascii_case(own.as_bytes()),
            Self::Below(parent) => {
                let Some(at) = name.len().checked_sub(parent.len()).filter(|&at| at > 1) else { return false };
                name[at - 1] == b'.' && name[at..].eq_ignore_ascii_case(parent.as_bytes())
            }
            Self::Net(_) => false,
        }
    }

    /// Whether an address is meant.
    #[must_use]
    pub fn admits_address(&self, address: IpAddr) -> bool {
        matches!(self, Self::Net(net) if net.contains(&address))
    }

    /// Whether one name or one address is meant.
    #[must_use]
    pub fn is_single(&self) -> bool {
        match self {
            Self::Name(_) => true,
            Self::Below(_) => false,
            Self::Net(net) => net.prefix_len() == net.max_prefix_len(),
        }
    }

    /// Whether this one means something that the other means as well.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Net(one), Self::Net(two)) => one.contains(two) || two.contains(one),
            (Self::Net(_), _) | (_, Self::Net(_)) => false,
            (Self::Name(name), other) | (other, Self::Name(name)) => other.admits_name(name),
            (Self::Below(one), Self::Below(two)) => one == two || self.admits_name(two) || other.admits_name(one),
        }
    }
}

impl TryFrom<String> for HostPattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let typed = text.to_ascii_lowercase();
        if let Ok(net) = typed.parse::<IpNet>() {
            return net_pattern(net.trunc(), &text);
        }
        if let Ok(address) = typed.parse::<IpAddr>() {
            return Ok(Self::Net(address.into()));
        }
        let (below, name) = match typed.strip_prefix("*.") {
            Some(parent) => (true, parent),
            None => (false, typed.as_str()),
        };
        let name = name.trim_end_matches('.');
        if !is_name(name) {
            return Err(format!(
                "\"{text}\" is no host: write a name, *.name for everything below it, an address or a network"
            ));
        }
        if below && !name.contains('.') {
            return Err(format!(
                "\"{text}\" is too wide: below the * there have to be two labels, as in *.example.com"
            ));
        }
        Ok(if below { Self::Below(name.to_owned()) } else { Self::Name(name.to_owned()) })
    }
}

fn net_pattern(net: IpNet, text: &str) -> Result<HostPattern, String> {
    let widest = if net.addr().is_ipv4() { WIDEST_V4 } else { WIDEST_V6 };
    if net.prefix_len() < widest {
        return Err(format!("\"{text}\" is too wide: networks down to /{WIDEST_V4} and /{WIDEST_V6} are taken"));
    }
    Ok(HostPattern::Net(net))
}

/// A host name as DNS has it: ASCII labels; other scripts in their `xn--` form.
fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (1..=253).contains(&name.len()) && name.split('.').all(label)
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> Self {
        pattern.to_string()
    }
}

impl std::fmt::Display for HostPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Below(parent) => write!(f, "*.{parent}"),
            Self::Net(net) if net.prefix_len() == net.max_prefix_len() => write!(f, "{}", net.addr()),
            Self::Net(net) => write!(f, "{net}"),
        }
    }
}

/// A name with `*` for any characters, or none. Compared without regard to case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NamePattern(String);

impl NamePattern {
    /// Whether a name is meant.
    #[must_use]
    pub fn admits(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
        let mut parts: Vec<&str> = parts.collect();
        // Without a star there is one part, and nothing may be left.
        let Some(last) = parts.pop() else { return rest.is_empty() };
        for part in parts {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }
}

impl TryFrom<String> for NamePattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // A pattern that admits everything would make every module a suspect, or every suspect excused.
        if text.chars().filter(|&letter| letter != '*').count() < 3 || text.len() > 200 {
            return Err(format!("\"{text}\" is no pattern for names: it needs three letters, and * for the rest"));
        }
        Ok(Self(text.to_lowercase()))
    }
}

impl From<NamePattern> for String {
    fn from(pattern: NamePattern) -> Self {
        pattern.0
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{HostPattern, NamePattern};

    fn host(text: &str) -> HostPattern {
        HostPattern::try_from(text.to_owned()).expect(text)
    }

    fn check_host(pattern: &str, admits: &[&str], refuses: &[&str]) {
        let pattern = host(pattern);
        let admitted = |text: &str| match text.parse::<IpAddr>() {
            Ok(address) => pattern.admits_address(address),
            Err(_) => pattern.admits_name(text),
        };
        for text in admits {
            assert!(admitted(text), "{pattern} has to admit {text}");
        }
        for text in refuses {
            assert!(!admitted(text), "{pattern} must not admit {text}");
        }
    }

    #[test]
    fn a_name_is_itself_alone() {
        check_host("example.com", &["example.com", "EXAMPLE.com", "example.com."], &["a.example.com", "xexample.com"]);
    }

    #[test]
    fn a_star_is_everything_below_at_any_depth() {
        check_host(
            "*.example.com",
            &["a.example.com", "b.a.Example.com"],
            &["example.com", "xexample.com", ".example.com"],
        );
    }

    #[test]
    fn a_network_is_its_addresses_and_no_names() {
        check_host("192.0.2.0/24", &["192.0.2.1"], &["192.0.3.1", "192.0.2.0.example.com", "::1"]);
        check_host("192.0.2.7/24", &["192.0.2.1"], &[]);
        check_host("2001:db8::/32", &["2001:db8::1"], &["2001:db9::1"]);
        check_host("192.0.2.7", &["192.0.2.7"], &["192.0.2.8"]);
    }

    #[test]
    fn what_means_everything_or_nothing_is_refused() {
        for text in [
            "",
            "*",
            "*.",
            "*.com",
            "a..b",
            "-a.com",
            "a b",
            "https://a.com",
            "a.com:443",
            "0.0.0.0/0",
            "::/0",
            "10.0.0.0/8",
            "é.de",
        ] {
            assert!(HostPattern::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn patterns_are_written_as_they_were_typed() {
        for text in ["example.com", "*.example.com", "192.0.2.0/24", "192.0.2.7", "2001:db8::/32"] {
            assert_eq!(host(text).to_string(), text);
        }
    }

    #[test]
    fn two_patterns_overlap_if_one_host_is_meant_by_both() {
        for (one, two, overlap) in [
            ("a.example.com", "*.example.com", true),
            ("example.com", "*.example.com", false),
            ("*.a.example.com", "*.example.com", true),
            ("*.example.com", "*.example.org", false),
            ("192.0.2.0/24", "192.0.2.7", true),
            ("192.0.2.0/24", "example.com", false),
        ] {
            assert_eq!(host(one).overlaps(&host(two)), overlap, "{one} {two}");
            assert_eq!(host(two).overlaps(&host(one)), overlap, "{two} {one}");
        }
    }

    #[test]
    fn a_star_in_a_name_is_any_letters() {
        for (pattern, name, admits) in [
            ("mit_*", "mit_sync", true),
            ("mit_*", "mit_", true),
            ("mit_*", "summit_sync", false),
            ("Metzler IT*", "metzler it gmbh", true),
            ("*_sync", "mit_sync", true),
            ("*_sync", "mit_sync_x", false),
            ("a*b*abc", "aXbYabc", true),
            ("abc*bcd", "abcd", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
        ] {
            let pattern = NamePattern::try_from(pattern.to_owned()).expect(pattern);
            assert_eq!(pattern.admits(name), admits, "{pattern:?} {name}");
        }
        for text in ["", "*", "a*", "**"] {
            assert!(NamePattern::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
