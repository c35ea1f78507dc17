//! The string table of a ring: module chains, call sites, origins, databases.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::rc::Rc;

use auditor_common::hint::{STRING_MAX, STRINGS_LEN, STRINGS_OFFSET};

/// Strings kept in memory for each ring. The table holds fewer than this, unless somebody plays with overlaps.
pub(super) const STRINGS_KEPT_MAX: usize = 8192;
pub(super) const STRINGS_KEPT_BYTES_MAX: usize = 2 * STRINGS_LEN;
/// Modules in one chain.
const CHAIN_MAX: usize = 32;

/// The string table, as far as it was needed: strings never change once they are written.
#[derive(Debug, Default)]
pub(super) struct Strings {
    pub(super) kept: HashMap<u32, Rc<str>>,
    pub(super) kept_bytes: usize,
    chains: HashMap<u32, Rc<[Rc<str>]>>,
}

impl Strings {
    /// The string with this id; `None` if there is none, or if it is not printable UTF-8 within bounds.
    pub(super) fn get(&mut self, file: &File, id: u32) -> Option<Rc<str>> {
        if id == 0 {
            return None;
        }
        if let Some(known) = self.kept.get(&id) {
            return Some(Rc::clone(known));
        }
        let text: Rc<str> = read_string(file, id)?.into();
        if self.kept.len() >= STRINGS_KEPT_MAX || self.kept_bytes + text.len() > STRINGS_KEPT_BYTES_MAX {
            *self = Self::default();
        }
        self.kept_bytes += text.len();
        self.kept.insert(id, Rc::clone(&text));
        Some(text)
    }

    pub(super) fn chain(&mut self, id: u32, text: Option<&str>) -> Rc<[Rc<str>]> {
        let Some(text) = text else { return Rc::new([]) };
        let kept = self.chains.entry(id).or_insert_with(|| {
            text.split(',').filter(|module| !module.is_empty()).take(CHAIN_MAX).map(Rc::from).collect()
        });
        Rc::clone(kept)
    }
}

fn read_string(file: &File, id: u32) -> Option<String> {
    let at = id as usize;
    let room = STRINGS_LEN.checked_sub(at.checked_add(2)?)?;
    let mut length = [0; 2];
    file.read_exact_at(&mut length, (STRINGS_OFFSET + at) as u64).ok()?;
    let length = usize::from(u16::from_le_bytes(length));
    if length > STRING_MAX.min(room) {
        return None;
    }
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, (STRINGS_OFFSET + at + 2) as u64).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}
