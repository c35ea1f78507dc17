//! An export: which files it has, and the note that lists and signs them.

use crate::merkle::Hash;
use crate::note::{self, Note, NoteError, SignatureLine, VerifierKey};
use crate::origin::Origin;
use crate::tar::MAX_NAME;

/// First line of the note.
pub const EXPORT: &str = "nal/v1/export";
/// First line of the file `streams`.
pub const STREAM: &str = "nal/v1/stream";
/// The note lists every file, so it may be long.
pub const MAX_EXPORT: usize = 8 << 20;
/// Entries in a bundle, hashes in a tile.
pub const TILE: u64 = 256;
/// Instead of a body's length: it is not handed out.
pub const WITHHELD: u32 = 0xFFFF_FFFF;
/// Instead of a body's length: it was erased, and the ledger says so.
pub const ERASED: u32 = 0xFFFF_FFFE;
/// Instead of a body's length: it is kept no longer.
pub const EXPIRED: u32 = 0xFFFF_FFFD;

/// SHA-256 of the filter that leaves one instance: what EXPORT names.
#[must_use]
pub fn filter(instance: &str) -> Hash {
    crate::merkle::sha256(&[b"nal/v1/filter\0".as_slice(), instance.as_bytes()].concat())
}

/// One file of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedFile {
    /// SHA-256 of its content.
    pub hash: Hash,
    /// Length of its content.
    pub len: u64,
    /// Its path.
    pub path: String,
}

/// The signed text of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportNote {
    /// Whose ledger it is from.
    pub origin: Origin,
    /// Random: that of the EXPORT record.
    pub id: [u8; 16],
    /// When it was made, seconds since 1970.
    pub time: u64,
    /// What the one who asked wants to find again.
    pub nonce: Option<Vec<u8>>,
    /// First record.
    pub first: u64,
    /// Last record: a SEAL.
    pub last: u64,
    /// Size of the tree of the file `checkpoint`.
    pub size: u64,
    /// First record that the ledger has kept.
    pub min_index: u64,
    /// See [`filter`].
    pub filter: Option<Hash>,
    /// SHA-256 of the released verifier in Python: it comes from the release, not from here.
    pub verifier: Hash,
    /// Every other file, in the order of the paths.
    pub files: Vec<ListedFile>,
}

impl ExportNote {
    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        use std::fmt::Write as _;
        let Self { origin, id, time, nonce, first, last, size, min_index, filter, verifier, files } = self;
        let or_none = |bytes: Option<&[u8]>| bytes.map_or_else(|| "-".to_owned(), note::hex);
        let mut text = format!("{EXPORT}\n{origin}\n{}\n{time}\n{}\n", note::hex(id), or_none(nonce.as_deref()));
        let _ = writeln!(text, "{first} {last} {size} {min_index}");
        let _ = writeln!(text, "{}", or_none(filter.as_ref().map(Hash::as_slice)));
        let _ = writeln!(text, "{}", note::hex(verifier));
        for file in files {
            let _ = writeln!(text, "{} {} {}", note::hex(&file.hash), file.len, file.path);
        }
        text
    }

    /// Reads the text; writing it again gives the same bytes, or it is refused.
    pub fn parse_text(text: &str) -> Result<Self, NoteError> {
        let bad = NoteError::BadText;
        let mut lines = text.strip_suffix('\n').ok_or(bad("no newline at the end"))?.split('\n');
        let mut next = || lines.next().ok_or(bad("too few lines"));
        if next()? != EXPORT {
            return Err(bad("this is no export"));
        }
        let origin = Origin::parse(next()?).ok_or(bad("the second line is no origin"))?;
        let id = note::unhex(next()?).and_then(|id| id.try_into().ok()).ok_or(bad("the third line is no id"))?;
        let time = note::decimal(next()?).ok_or(bad("the fourth line is no time"))?;
        let nonce = maybe_hex(next()?).map_err(|()| bad("the fifth line is no nonce"))?;
        let numbers: Option<Vec<u64>> = next()?.split(' ').map(note::decimal).collect();
        let Some(&[first, last, size, min_index]) = numbers.as_deref() else {
            return Err(bad("the sixth line has not four numbers"));
        };
        let filter = match maybe_hex(next()?).map_err(|()| bad("the seventh line is no filter"))? {
            Some(hash) => Some(hash.try_into().map_err(|_| bad("the seventh line is no filter"))?),
            None => None,
        };
        let verifier = note::unhex(next()?).and_then(|hash| hash.try_into().ok());
        let verifier = verifier.ok_or(bad("the eighth line is no hash"))?;
        let files: Option<Vec<ListedFile>> = lines.map(listed).collect();
        let files = files.ok_or(bad("a line lists no file"))?;
        let this = Self { origin, id, time, nonce, first, last, size, min_index, filter, verifier, files };
        let ordered = this.files.is_sorted_by(|one, other| one.path < other.path);
        let in_range = first <= last && last < size && min_index <= first;
        if !ordered || !in_range {
            return Err(bad("files or numbers are not in order"));
        }
        if this.text() == text { Ok(this) } else { Err(bad("not in its one form")) }
    }
}

fn maybe_hex(text: &str) -> Result<Option<Vec<u8>>, ()> {
    match text {
        "-" => Ok(None),
        text => note::unhex(text).filter(|bytes| !bytes.is_empty()).map(Some).ok_or(()),
    }
}

fn listed(line: &str) -> Option<ListedFile> {
    let mut parts = line.splitn(3, ' ');
    let hash = note::unhex(parts.next()?)?.try_into().ok()?;
    let (len, path) = (note::decimal(parts.next()?)?, parts.next()?);
    is_path(path).then(|| ListedFile { hash, len, path: path.to_owned() })
}

/// The note of an export as it was found, with signatures that nobody has checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedExport {
    /// What is signed.
    pub export: ExportNote,
    /// The epoch whose key signed it.
    pub epoch: u32,
    note: Note,
}

impl SignedExport {
    /// Reads a note with exactly two signature lines: an epoch's key, and the log's.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        let note = Note::parse_up_to(bytes, MAX_EXPORT)?;
        let export = ExportNote::parse_text(&note.text)?;
        let origin = export.origin.to_string();
        let [epoch, log] = note.signatures.as_slice() else {
            return Err(NoteError::BadText("not exactly two signatures"));
        };
        let number = epoch.name.strip_prefix(&format!("{origin}/e")).and_then(note::decimal);
        match number.and_then(|number| u32::try_from(number).ok()) {
            Some(epoch) if log.name == origin => Ok(Self { export, epoch, note }),
            _ => Err(NoteError::BadText("not signed under the names of this ledger")),
        }
    }

    /// Puts a text and its two signatures together.
    #[must_use]
    pub fn new(export: ExportNote, epoch: u32, by_epoch: SignatureLine, by_log: SignatureLine) -> Self {
        let note = Note { text: export.text(), signatures: vec![by_epoch, by_log] };
        Self { export, epoch, note }
    }

    /// Checks both signatures.
    pub fn verify(&self, log: &VerifierKey, epoch: &VerifierKey) -> Result<&ExportNote, NoteError> {
        self.note.verify(log)?;
        self.note.verify(epoch)?;
        Ok(&self.export)
    }
}

impl std::fmt::Display for SignedExport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.note.fmt(f)
    }
}

/// Is this a path that an export can have? `EXPORT` itself is not listed.
#[must_use]
pub fn is_path(path: &str) -> bool {
    const FIXED: [&str; 11] = [
        "SPEC.md",
        "checkpoint",
        "epochs",
        "keys/log.vkey",
        "keys/root.vkey",
        "left",
        "node",
        "proof.html",
        "right",
        "streams",
        "table",
    ];
    if path.len() > MAX_NAME {
        return false;
    }
    let numbered = |prefix: &str, suffix: &str| {
        path.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(suffix)).is_some_and(|n| note::decimal(n).is_some())
    };
    let tiled = |prefix: &str, partial: bool| {
        path.strip_prefix(prefix).and_then(parse_tile_path).is_some_and(|(_, width)| partial || width.is_none())
    };
    let level = || {
        let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let level = note::decimal(level).filter(|level| *level < 8)?;
        parse_tile_path(rest).map(|_| level)
    };
    FIXED.contains(&path)
        || numbered("checkpoints/", "")
        || numbered("proofs/", ".tlog-proof")
        || tiled("tile/entries/", true)
        || tiled("bodies/", false)
        || tiled("own/", false)
        || level().is_some()
}

/// The number of a tile as C2SP writes it: `x001/x234/067`, and `.p/W` for one that holds only `W` of 256.
#[must_use]
pub fn tile_path(n: u64, width: u64) -> String {
    let mut path = format!("{:03}", n % 1000);
    let mut rest = n / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    if width < TILE { format!("{path}.p/{width}") } else { path }
}

fn parse_tile_path(path: &str) -> Option<(u64, Option<u64>)> {
    let (number, width) = match path.split_once(".p/") {
        Some((number, width)) => (number, Some(note::decimal(width).filter(|width| (1..TILE).contains(width))?)),
        None => (path, None),
    };
    let mut n = 0_u64;
    for part in number.split('/') {
        let digits = part.strip_prefix('x').unwrap_or(part);
        let value: u64 =
            digits.parse().ok().filter(|_| digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit()))?;
        n = n.checked_mul(1000)?.checked_add(value)?;
    }
    (tile_path(n, width.unwrap_or(TILE)) == path).then_some((n, width))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_numbered_as_c2sp_does() {
        assert_eq!(tile_path(5, 256), "005");
        assert_eq!(tile_path(1_234_067, 256), "x001/x234/067");
        assert_eq!(tile_path(273, 112), "273.p/112");
    }

    #[test]
    fn a_path_is_one_that_an_export_has() {
        for good in [
            "SPEC.md",
            "tile/entries/x001/234.p/7",
            "tile/0/000",
            "tile/3/000.p/1",
            "bodies/999",
            "own/x001/000",
            "proofs/0.tlog-proof",
            "checkpoints/70000",
        ] {
            assert!(is_path(good), "{good}");
        }
        for bad in [
            "EXPORT",
            "",
            "/SPEC.md",
            "../SPEC.md",
            "tile/entries/1",
            "tile/entries/000.p/256",
            "tile/entries/000.p/0",
            "tile/entries/x000/001",
            "tile/8/000",
            "tile/x/000",
            "bodies/000.p/7",
            "proofs/00.tlog-proof",
            "proofs/-1.tlog-proof",
            "checkpoints/",
            "checkpoints/1/2",
            "tile/entries/+01",
            "SPEC.md\n",
        ] {
            assert!(!is_path(bad), "{bad}");
        }
    }
}
