//! Signed notes: a text, a blank line, signature lines (C2SP signed-note), read strictly.
//!
//! Signing itself is the caller's: it hands in the 64 bytes. Verification is `verify_strict` and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};

use crate::merkle::sha256;

/// No note is longer, in bytes.
pub const MAX_NOTE: usize = 64 * 1024;
/// No note has more signature lines.
pub const MAX_SIGNATURES: usize = 64;
/// No key's name is longer, in bytes.
pub const MAX_NAME: usize = 255;
/// First line of every note of ours that is not a checkpoint begins so; no origin does.
pub const RESERVED: &str = "nal/v1/";

/// The algorithm byte of a note's Ed25519 key (C2SP signed-note).
const ED25519: u8 = 1;

/// Why a note, a key or a signature was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoteError {
    /// Longer than its kind may be.
    TooLong,
    /// Not UTF-8, or with a control character.
    NotText,
    /// No blank line, no signature, or no newline at the end.
    NotANote,
    /// A signature line that is not `— name base64`.
    BadSignatureLine,
    /// More than [`MAX_SIGNATURES`] signature lines.
    TooManySignatures,
    /// The text is not what this kind of note has.
    BadText(&'static str),
    /// A verifier key that is not `name+id+key`, or whose id does not fit.
    BadKey,
    /// A key that anybody could sign for (of small order), or that is no point of the curve.
    WeakKey,
    /// The note is signed by other keys than the one that was asked for.
    Unsigned {
        /// Name of the key whose signature is missing.
        name: String,
    },
    /// The signature of this key is wrong.
    BadSignature {
        /// Name of the key.
        name: String,
    },
}

impl std::fmt::Display for NoteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong => write!(f, "the note is too long"),
            Self::NotText => write!(f, "the note is not plain UTF-8 text"),
            Self::NotANote => write!(f, "this is not a signed note"),
            Self::BadSignatureLine => write!(f, "the note has a malformed signature line"),
            Self::TooManySignatures => write!(f, "the note has more than {MAX_SIGNATURES} signatures"),
            Self::BadText(what) => write!(f, "the note's text is wrong: {what}"),
            Self::BadKey => write!(f, "this is not a verifier key"),
            Self::WeakKey => write!(f, "the key is weak: anybody could sign for it"),
            Self::Unsigned { name } => write!(f, "the note is not signed by {name}"),
            Self::BadSignature { name } => write!(f, "the signature by {name} is wrong"),
        }
    }
}

impl std::error::Error for NoteError {}

/// A public key with its name: what a note is verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key: VerifyingKey,
}

impl VerifierKey {
    /// A key under a name. Refuses names that a signature line cannot hold, and weak keys.
    pub fn new(name: &str, public: &[u8; 32]) -> Result<Self, NoteError> {
        if !is_name(name) {
            return Err(NoteError::BadKey);
        }
        let key = VerifyingKey::from_bytes(public).map_err(|_| NoteError::WeakKey)?;
        if key.is_weak() {
            return Err(NoteError::WeakKey);
        }
        Ok(Self { name: name.to_owned(), key })
    }

    /// Reads `name+id+base64(0x01 ‖ key)`; writing it again gives the same text, or it is refused.
    pub fn parse(vkey: &str) -> Result<Self, NoteError> {
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(_id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::BadKey);
        };
        let bytes = STANDARD.decode(key).map_err(|_| NoteError::BadKey)?;
        let Some((&ED25519, public)) = bytes.split_first() else { return Err(NoteError::BadKey) };
        let key = Self::new(name, public.try_into().map_err(|_| NoteError::BadKey)?)?;
        if key.to_string() == vkey { Ok(key) } else { Err(NoteError::BadKey) }
    }

    /// Its name: what stands in signature lines.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// The same key under another name.
    pub fn renamed(&self, name: &str) -> Result<Self, NoteError> {
        Self::new(name, self.public())
    }

    /// The four bytes before the signature in a signature line.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        key_id(&self.name, self.public())
    }

    /// Checks a signature over a text, strictly.
    pub fn verify(&self, text: &str, signature: &[u8; 64]) -> Result<(), NoteError> {
        self.key
            .verify_strict(text.as_bytes(), &Signature::from_bytes(signature))
            .map_err(|_| NoteError::BadSignature { name: self.name.clone() })
    }
}

impl std::fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let id = u32::from_be_bytes(self.id());
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(self.public());
        write!(f, "{}+{id:08x}+{}", self.name, STANDARD.encode(bytes))
    }
}

/// `SHA-256(name ‖ "\n" ‖ 0x01 ‖ key)`, the first four bytes (C2SP signed-note).
#[must_use]
pub fn key_id(name: &str, public: &[u8; 32]) -> [u8; 4] {
    let mut input = name.as_bytes().to_vec();
    input.extend_from_slice(&[b'\n', ED25519]);
    input.extend_from_slice(public);
    let [a, b, c, d, ..] = sha256(&input);
    [a, b, c, d]
}

/// Can this be a key's name? Not empty, not long, no space, no plus, nothing outside of printable ASCII.
#[must_use]
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'+')
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureLine {
    /// Name of the key.
    pub name: String,
    /// Its id.
    pub id: [u8; 4],
    /// What follows the id: 64 bytes for Ed25519.
    pub signature: Vec<u8>,
}

impl SignatureLine {
    /// The line of an Ed25519 key.
    #[must_use]
    pub fn new(key: &VerifierKey, signature: &[u8; 64]) -> Self {
        Self { name: key.name.clone(), id: key.id(), signature: signature.to_vec() }
    }

    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix("— ")?.split_once(' ')?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let (id, signature) = bytes.split_first_chunk::<4>()?;
        (is_name(name) && !signature.is_empty()).then(|| Self {
            name: name.to_owned(),
            id: *id,
            signature: signature.to_vec(),
        })
    }
}

impl std::fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = self.id.to_vec();
        bytes.extend_from_slice(&self.signature);
        write!(f, "— {} {}", self.name, STANDARD.encode(bytes))
    }
}

/// A note whose signatures nobody has checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The signed text, with the newline at its end.
    pub text: String,
    /// The signature lines, in their order.
    pub signatures: Vec<SignatureLine>,
}

impl Note {
    /// Reads a note. Whatever it accepts, [`Note`] writes again to the same bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        Self::parse_up_to(bytes, MAX_NOTE)
    }

    /// The same for a kind of note that may be longer.
    pub(crate) fn parse_up_to(bytes: &[u8], limit: usize) -> Result<Self, NoteError> {
        if bytes.len() > limit {
            return Err(NoteError::TooLong);
        }
        let note = std::str::from_utf8(bytes).map_err(|_| NoteError::NotText)?;
        if note.chars().any(|c| c.is_control() && c != '\n') {
            return Err(NoteError::NotText);
        }
        let split = note.rfind("\n\n").ok_or(NoteError::NotANote)?;
        let (text, lines) = (&note[..=split], &note[split + 2..]);
        let lines = lines.strip_suffix('\n').ok_or(NoteError::NotANote)?;
        let mut signatures = Vec::new();
        for line in lines.split('\n') {
            if signatures.len() == MAX_SIGNATURES {
                return Err(NoteError::TooManySignatures);
            }
            signatures.push(SignatureLine::parse(line).ok_or(NoteError::BadSignatureLine)?);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// Checks that this key signed, strictly.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NoteError> {
        let id = key.id();
        let mut lines = self.signatures.iter().filter(|line| line.name == key.name() && line.id == id);
        let Some(line) = lines.next() else { return Err(NoteError::Unsigned { name: key.name.clone() }) };
        let bad = || NoteError::BadSignature { name: key.name.clone() };
        let signature: &[u8; 64] = line.signature.as_slice().try_into().map_err(|_| bad())?;
        // A second line of the same key is data that nobody looks at.
        if lines.next().is_some() {
            return Err(bad());
        }
        key.verify(&self.text, signature)
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Takes exactly `N` lines off a note's text, which has no more and no fewer.
pub(crate) fn lines<const N: usize>(text: &str) -> Result<[&str; N], NoteError> {
    let text = text.strip_suffix('\n').ok_or(NoteError::BadText("no newline at the end"))?;
    let lines: Vec<&str> = text.split('\n').collect();
    lines.try_into().map_err(|_| NoteError::BadText("another number of lines"))
}

/// A decimal number without sign and without zeros before it.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// A hash in base64, in the one form that it has.
pub(crate) fn hash(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Bytes as they stand in notes: RFC 4648 section 4, with padding.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Bytes in base64, in the one form that they have.
#[must_use]
pub fn unbase64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Bytes in hexadecimal, lower case.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Bytes in hexadecimal, as people write them: in either case.
#[must_use]
pub fn unhex_any(text: &str) -> Option<Vec<u8>> {
    unhex(&text.to_ascii_lowercase())
}

/// Bytes in hexadecimal, in the one form that they have.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}
