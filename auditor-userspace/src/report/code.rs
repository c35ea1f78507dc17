//! The short code over verdict and checkpoint, by which a page and a terminal can be compared.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::reason::{Moment, Reason, Verdict};

/// RFC 4648 base32: no 0, 1, 8 that look like letters.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Letters of a code: 40 bits, enough against a page that hides something, not against a search for collisions.
const LETTERS: usize = 8;
/// This many codes are remembered.
const REMEMBERED: usize = 4096;

/// The code: the first 40 bits of SHA-256 over the checkpoint, whose report it is, the verdict, and every reason that
/// is shown, with its count. Times are not in it: as long as nothing else changes, neither does the code.
#[must_use]
pub fn code(instance: Option<&str>, verdict: Verdict, reasons: &[Reason], checkpoint: Option<&str>) -> String {
    let mut digest = Sha256::new();
    let mut field = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    };
    field(b"network-audit/report/v1");
    field(checkpoint.unwrap_or("").as_bytes());
    field(instance.unwrap_or("").as_bytes());
    field(verdict.word().as_bytes());
    for reason in reasons {
        field(reason.id.as_bytes());
        field(reason.subject.as_bytes());
        field(&reason.count.to_be_bytes());
        field(&[u8::from(reason.acknowledged.is_some())]);
    }
    let digest = digest.finalize();
    let bits = digest[..5].iter().fold(0_u64, |bits, &byte| bits << 8 | u64::from(byte));
    let letters: Vec<char> =
        (0..LETTERS).rev().map(|at| char::from(ALPHABET[(bits >> (5 * at)) as usize & 31])).collect();
    let (head, tail) = letters.split_at(LETTERS / 2);
    format!("{}-{}", head.iter().collect::<String>(), tail.iter().collect::<String>())
}

/// A code that was given out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// The code.
    pub code: String,
    /// Whose report.
    pub instance: Option<String>,
    /// What it said.
    pub verdict: Verdict,
    /// When first.
    pub at: Moment,
    /// The size of the checkpoint.
    pub size: u64,
}

/// The codes that were given out lately: a page and a terminal are never asked at the same moment, and a new checkpoint
/// comes every few seconds.
#[derive(Clone, Debug, Default)]
pub struct Codes(VecDeque<Issued>);

impl Codes {
    /// A code is given out.
    pub fn issue(&mut self, issued: Issued) {
        if self.0.iter().any(|known| known.code == issued.code) {
            return;
        }
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(issued);
    }

    /// What a code stood for; letters may be small, and the hyphen missing.
    #[must_use]
    pub fn find(&self, typed: &str) -> Option<&Issued> {
        let plain = |code: &str| code.replace('-', "").to_ascii_uppercase();
        let typed = plain(typed.trim());
        self.0.iter().rev().find(|issued| plain(&issued.code) == typed)
    }
}
