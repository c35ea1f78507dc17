//! Harm done to exports, with fixed seeds: the same seed does the same harm.

use crate::bundle::{Bundle, Thief};

/// The shortest of all random generators will do: what matters is that the seeds are fixed.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A sequence of its own for each seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// The next number below this one, or 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end.max(1)
    }

    fn of<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Changes bytes somewhere: flipped, cut, lengthened, moved, repeated, or a number among them made another one.
pub fn harm(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.is_empty() {
        bytes.push(random.below(256) as u8);
        return;
    }
    let at = random.below(bytes.len());
    let len = 1 + random.below(64.min(bytes.len() - at));
    match random.below(12) {
        0..=2 => bytes[at] ^= 1 << random.below(8),
        3 => bytes.truncate(at),
        4 => drop(bytes.drain(at..at + len)),
        5 => bytes.extend(std::iter::repeat_n(random.below(256) as u8, len)),
        6 => {
            let copy = bytes[at..at + len].to_vec();
            bytes.splice(at..at, copy);
        }
        // Hashes, entries and lines are of such lengths: two of them change places.
        7 => {
            let len = *random.of(&[32, 162, 44, 1]);
            let last = (bytes.len() / len).saturating_sub(1);
            let (one, other) = (random.below(last) * len, random.below(last) * len);
            (0..len.min(bytes.len())).for_each(|by| bytes.swap(one + by, other + by));
        }
        8 => {
            let huge = [[0xFF; 4], [0x7F, 0xFF, 0xFF, 0xFF], [0x00, 0x10, 0x00, 0x01], [0xFF, 0xFF, 0xFF, 0xFD]];
            let at = if random.below(2) == 0 { 0 } else { at };
            bytes.iter_mut().skip(at).zip(*random.of(&huge)).for_each(|(byte, new)| *byte = new);
        }
        9 => {
            if let Some(digit) = bytes.iter().skip(at).position(u8::is_ascii_digit) {
                bytes[at + digit] = b'0' + random.below(10) as u8;
            }
        }
        10 => drop(bytes.splice(at..at, *random.of(&[*b"\n\n", *b"\r\n", *b"\0\0", *b"  "]))),
        _ => bytes[at] = random.below(256) as u8,
    }
}

/// Names that a file must not have, and names that belong to something else.
const NAMES: &[&str] = &[
    "../node",
    "/etc/passwd",
    "tile/entries/../0/000",
    "tile/0/000.p/0",
    "tile/0/000.p/256",
    "tile/8/000",
    "tile/1/000.p/1",
    "tile/7/x999/999",
    "tile/entries/x018/x446/x744/x073/x709/x551/615",
    "tile/entries/x999/x999/x999/x999/x999/x999/x999/999",
    "bodies/001.p/7",
    "bodies/999",
    "own/000",
    "proofs/18446744073709551616.tlog-proof",
    "proofs/18446744073709551615.tlog-proof",
    "checkpoints/007",
    "checkpoints/5",
    "proof.html",
    "left",
    "right",
    "table",
    "streams",
    "readme",
    "a\nb",
    "ä",
];

/// Does something to the files of an export; the list is left as it is.
pub fn harm_files(bundle: &mut Bundle, random: &mut Random) {
    let paths: Vec<String> = bundle.0.keys().filter(|path| *path != "EXPORT").cloned().collect();
    let (path, other) = (random.of(&paths).clone(), random.of(&paths).clone());
    match random.below(10) {
        0..=5 => harm(bundle.file_mut(&path), random),
        6 => drop(bundle.0.remove(&path)),
        7 => {
            let (one, two) = (bundle.0[&path].clone(), bundle.0[&other].clone());
            bundle.0.insert(path, two);
            bundle.0.insert(other, one);
        }
        8 => {
            let content = if random.below(2) == 0 { vec![] } else { bundle.0[&other].clone() };
            bundle.0.insert((*random.of(NAMES)).to_owned(), content);
        }
        _ => {
            let content = bundle.0[&path].clone();
            bundle.0.remove(&path);
            bundle.0.insert(other, content);
        }
    }
}

/// Another number, near it or far from it.
fn other_number(number: u64, random: &mut Random) -> u64 {
    match random.below(8) {
        0 => number.wrapping_add(1),
        1 => number.wrapping_sub(1),
        2 => number.wrapping_mul(2),
        3 => number / 2,
        4 => number ^ 2,
        5 => number.wrapping_add(256),
        6 => number.wrapping_sub(256),
        _ => *random.of(&[0, 1, u64::MAX, 1 << 62, 256]),
    }
}

/// Says something else in the list than is true, and signs it.
pub fn harm_list(bundle: &mut Bundle, thief: &Thief, random: &mut Random) {
    let mut note = bundle.signed().export;
    match random.below(8) {
        0 => note.first = other_number(note.first, random),
        1 => note.last = other_number(note.last, random),
        2 => note.size = other_number(note.size, random),
        3 => note.min_index = other_number(note.min_index, random),
        4 => note.id[random.below(16)] ^= 1,
        5 => note.nonce = if note.nonce.is_some() { None } else { Some(vec![1]) },
        6 => note.filter = if note.filter.is_some() { None } else { Some([7; 32]) },
        _ => {
            let at = random.below(note.files.len());
            note.files[at].len = other_number(note.files[at].len, random);
        }
    }
    thief.sign(bundle, note);
}
