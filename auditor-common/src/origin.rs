//! Whose ledger it is: `<cluster-domain>/<cluster>/<node>/<incarnation>`, and the tag that binds every entry to it.

use crate::merkle::sha256;
use crate::note::RESERVED;

/// No origin is longer, in bytes: signature lines add a suffix, and names end at 255.
pub const MAX_ORIGIN: usize = 200;

/// The name of one ledger. A rollback makes a new incarnation: an origin never forks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    node: String,
    incarnation: u32,
}

impl Origin {
    /// The first or a later ledger of a node, named `<cluster-domain>/<cluster>/<node>`.
    #[must_use]
    pub fn new(node: &str, incarnation: u32) -> Option<Self> {
        let fits = is_node(node) && incarnation > 0 && node.len() + 11 <= MAX_ORIGIN;
        fits.then(|| Self { node: node.to_owned(), incarnation })
    }

    /// Reads an origin; writing it again gives the same text, or it is refused.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (node, incarnation) = text.rsplit_once('/')?;
        let origin = Self::new(node, incarnation.parse().ok()?)?;
        (origin.to_string() == text).then_some(origin)
    }

    /// `<cluster-domain>/<cluster>/<node>`.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// From 1.
    #[must_use]
    pub fn incarnation(&self) -> u32 {
        self.incarnation
    }

    /// Name of an epoch key: `<origin>/e<epoch>`.
    #[must_use]
    pub fn epoch_name(&self, epoch: u32) -> String {
        format!("{self}/e{epoch}")
    }

    /// Name of the node's root key.
    #[must_use]
    pub fn root_name(&self) -> String {
        root_name(&self.node)
    }

    /// What binds an entry to this ledger and this root key: `SHA-256("nal/v1/log\0" ‖ origin ‖ 0x00 ‖ root key)`, the
    /// first 16 bytes.
    #[must_use]
    pub fn tag(&self, root: &[u8; 32]) -> [u8; 16] {
        let mut input = b"nal/v1/log\0".to_vec();
        input.extend_from_slice(self.to_string().as_bytes());
        input.push(0);
        input.extend_from_slice(root);
        let hash = sha256(&input);
        hash[..16].try_into().unwrap_or_default()
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{:04}", self.node, self.incarnation)
    }
}

/// Name of a node's root key: no incarnation is called so.
#[must_use]
pub fn root_name(node: &str) -> String {
    format!("{node}/root")
}

/// Is this `<cluster-domain>/<cluster>/<node>`, in letters, digits, `.`, `-` and `_`?
#[must_use]
pub fn is_node(node: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
    node.split('/').count() == 3 && node.split('/').all(part) && !node.starts_with(RESERVED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, good: bool) {
        assert_eq!(Origin::parse(text).map(|origin| origin.to_string()), good.then(|| text.to_owned()), "{text}");
    }

    #[test]
    fn an_origin_has_four_parts() {
        check("audit.example/cluster-a/node-7/0001", true);
        check("audit.example/cluster-a/node-7/12345", true);
        check("audit.example/cluster-a/0001", false);
        check("audit.example/a/b/c/0001", false);
        check("audit.example//node-7/0001", false);
    }

    #[test]
    fn an_incarnation_has_one_form() {
        check("a/b/c/1", false);
        check("a/b/c/0000", false);
        check("a/b/c/00001", false);
        check("a/b/c/+001", false);
        check("a/b/c/root", false);
    }

    #[test]
    fn no_origin_is_a_note_of_another_kind() {
        check("nal/v1/epoch/0001", false);
        check("a/b/c c/0001", false);
        check("a/b/c+d/0001", false);
        check("a/b/c\n/0001", false);
    }
}
