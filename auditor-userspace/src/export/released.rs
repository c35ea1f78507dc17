//! Which verifier in Python was released together with this program: the verifier itself comes from the release, and
//! never from what it is to verify.

use std::fmt::Write as _;

use auditor_common::merkle::{Hash, sha256};
use auditor_common::note::hex;

macro_rules! file {
    ($name:literal) => {
        ($name, include_bytes!(concat!("../../../odoo_addon/mit_network_audit/core/verify/", $name)))
    };
}

/// Its files, in the order of their names.
const FILES: &[(&str, &[u8])] = &[
    file!("__init__.py"),
    file!("__main__.py"),
    file!("body.py"),
    file!("cbor.py"),
    file!("command.py"),
    file!("contents.py"),
    file!("coverage.py"),
    file!("ed25519.py"),
    file!("entry.py"),
    file!("epochs.py"),
    file!("export.py"),
    file!("files.py"),
    file!("forms.py"),
    file!("identity.py"),
    file!("listing.py"),
    file!("note.py"),
    file!("notes.py"),
    file!("origin.py"),
    file!("proof.py"),
    file!("records.py"),
    file!("tree.py"),
    file!("verdict.py"),
];

/// SHA-256 of what `sha256sum *.py` prints in the verifier's folder.
pub(super) fn verifier() -> Hash {
    let mut sums = String::new();
    for (name, content) in FILES {
        let _ = writeln!(sums, "{}  {name}", hex(&sha256(content)));
    }
    sha256(sums.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_verifier_is_counted() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../odoo_addon/mit_network_audit/core/verify");
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name.contains(".py")).collect();
        names.sort();
        assert_eq!(names, FILES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }
}
