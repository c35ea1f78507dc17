//! `proof.html`: a page that a person can read, and that verifies what it carries in the browser.
//!
//! It carries the other files of the export, but for the specification and the list of files (which lists the page
//! itself): every one of them is signed, or leads to a root that is.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use auditor_common::export::is_path;
use auditor_common::note::base64;
use auditor_common::verify::MAX_FILE;

use super::{ExportError, Output};

/// Its path in the export.
pub const PATH: &str = "proof.html";

const TEMPLATE: &str = include_str!("../../data/proof.html");
/// In the order in which they need each other.
const SCRIPTS: &[&str] = &[
    include_str!("../../data/proof/forms.js"),
    include_str!("../../data/proof/notes.js"),
    include_str!("../../data/proof/tree.js"),
    include_str!("../../data/proof/records.js"),
    include_str!("../../data/proof/verify.js"),
    include_str!("../../data/proof/page.js"),
];
/// What the page has no use for, or cannot carry.
const LEFT_OUT: &[&str] = &["SPEC.md", PATH];

/// Files of an export that wait for their page: it comes before some of them, and carries them all.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    files: BTreeMap<String, Vec<u8>>,
    len: u64,
}

impl Output for Waiting {
    fn file(&mut self, path: &str, content: &[u8]) -> Result<(), ExportError> {
        self.len += content.len() as u64;
        self.files.insert(path.to_owned(), content.to_vec());
        if self.len > MAX_FILE { Err(too_large()) } else { Ok(()) }
    }

    fn finish(&mut self, list: &str) -> Result<(), ExportError> {
        self.file("EXPORT", list.as_bytes())
    }
}

impl Waiting {
    /// Hands on what waited, and the page among it. Returns the page's content, to be listed.
    pub(super) fn hand_on(mut self, output: &mut dyn Output) -> Result<Vec<u8>, ExportError> {
        let page = page(&self.files)?.into_bytes();
        self.files.insert(PATH.to_owned(), page.clone());
        for (path, content) in &self.files {
            output.file(path, content)?;
        }
        Ok(page)
    }
}

fn too_large() -> ExportError {
    ExportError::TooLarge { path: PATH.to_owned() }
}

/// The page for these files of an export, by path. It is refused if it would be larger than a verifier takes: an export
/// for people is one of a day or of an instance, and not of a year.
pub fn page(files: &BTreeMap<String, Vec<u8>>) -> Result<String, ExportError> {
    let mut carried = String::from("{");
    // Neither a path that an export can have nor base64 has anything in it that JSON or HTML would have to escape.
    for (path, content) in files.iter().filter(|(path, _)| is_path(path) && !LEFT_OUT.contains(&path.as_str())) {
        let comma = if carried.len() > 1 { "," } else { "" };
        let _ = write!(carried, "{comma}\n\"{path}\":\"{}\"", base64(content));
    }
    carried.push_str("\n}");
    let page = TEMPLATE.replacen("{{scripts}}", &SCRIPTS.concat(), 1).replacen("{{files}}", &carried, 1);
    if page.len() as u64 > MAX_FILE { Err(too_large()) } else { Ok(page) }
}
