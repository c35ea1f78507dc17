//! SHA-256 of many messages, four at a time.
//!
//! The processor's SHA-256 instructions wait for each other within one message, and not between messages: of four that
//! are hashed in turns each block takes half the time (39 ns and 20 ns on an EPYC of 2023). Where there are no such
//! instructions, messages are hashed one after the other by the crate `sha2`, which also decides what is right: the
//! tests hold every length against it.

use sha2::block_api::compress256;

use crate::merkle::Hash;

/// Messages that are hashed in turns: more need more registers than there are.
const LANES: usize = 4;
const BLOCK: usize = 64;

type State = [u32; 8];
type Block = [u8; BLOCK];

/// The state that SHA-256 begins with: FIPS 180-4, section 5.3.3.
const INITIAL: State =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// What follows the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The bit that is set, zeros and the length have yet to come.
    Ahead,
    /// Only the length has.
    Length,
    /// The block before was the last one.
    Passed,
}

/// Where a block is put together. Room for two, so that nearly all that is copied there has a length that the compiler
/// knows: a few moves, and no call.
type Edge = [u8; 2 * BLOCK];

/// A few bytes and what follows them, block by block. The content is hashed where it lies, without being copied, but
/// for the blocks at its two ends.
///
/// Invariant: the prefix is shorter than a block.
#[derive(Clone, Debug)]
struct Message<'a> {
    prefix: &'a [u8],
    rest: &'a [u8],
    /// The end of the content, if that is not shorter than a block.
    last: Option<&'a Block>,
    bits: u64,
    end: End,
}

impl<'a> Message<'a> {
    fn new(prefix: &'a [u8], content: &'a [u8]) -> Self {
        let bits = (prefix.len() + content.len()) as u64 * 8;
        Self { prefix, rest: content, last: content.last_chunk(), bits, end: End::Ahead }
    }

    /// The next block; of a message that has ended a block that means nothing.
    #[inline]
    fn block<'b>(&mut self, edge: &'b mut Edge) -> &'b Block
    where
        'a: 'b,
    {
        let begin = self.prefix.len();
        if let Some(block) = self.rest.first_chunk::<BLOCK>() {
            self.rest = &self.rest[BLOCK - begin..];
            if begin == 0 {
                return block;
            }
            edge[..begin].copy_from_slice(self.prefix);
            edge[begin..begin + BLOCK].copy_from_slice(block);
            self.prefix = &[];
            return block_at(edge, 0);
        }
        // The block begins here in the edge, and what is left of the message ends there.
        let (from, end) = match self.last {
            Some(last) if begin == 0 => {
                edge[..BLOCK].copy_from_slice(last);
                (BLOCK - self.rest.len(), BLOCK)
            }
            _ => {
                let end = begin + self.rest.len();
                edge[..begin].copy_from_slice(self.prefix);
                edge[begin..end].copy_from_slice(self.rest);
                (0, end)
            }
        };
        if end - from >= BLOCK {
            self.rest = &self.rest[BLOCK - begin..];
            self.prefix = &[];
            return block_at(edge, from);
        }
        edge[end..end + BLOCK].fill(0);
        if self.end == End::Ahead {
            edge[end] = 0x80;
        }
        (self.prefix, self.rest, self.last) = (&[], &[], None);
        if end - from < BLOCK - 8 {
            edge[from + BLOCK - 8..from + BLOCK].copy_from_slice(&self.bits.to_be_bytes());
            self.end = End::Passed;
        } else {
            self.end = End::Length;
        }
        block_at(edge, from)
    }

    fn finish(mut self, mut state: State) -> Hash {
        let edge = &mut [0; 2 * BLOCK];
        while self.end != End::Passed {
            compress256(&mut state, &[*self.block(edge)]);
            // One call for all that lie side by side.
            let (whole, rest) = self.rest.as_chunks();
            compress256(&mut state, whole);
            self.rest = rest;
        }
        digest(&state)
    }
}

/// Invariant: it begins in the first half of the edge.
fn block_at(edge: &Edge, from: usize) -> &Block {
    edge[from..].first_chunk().expect("room for two blocks")
}

fn digest(state: &State) -> Hash {
    let mut hash = [0; 32];
    for (out, word) in hash.as_chunks_mut().0.iter_mut().zip(state) {
        *out = word.to_be_bytes();
    }
    hash
}

/// SHA-256 of a few bytes, fewer than a block, and what follows them.
pub(crate) fn hash(prefix: &[u8], content: &[u8]) -> Hash {
    Message::new(prefix, content).finish(INITIAL)
}

/// The same of many, each a prefix and a content; `give` gets the place of each among them and its hash, in any order.
pub(crate) fn hash_each<'a>(
    messages: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    mut give: impl FnMut(usize, Hash),
) {
    let mut messages = messages.into_iter().map(|(prefix, content)| Message::new(prefix, content)).enumerate().fuse();
    let few = messages.size_hint().1.is_some_and(|most| most < LANES);
    let Some(four) = four().filter(|_| !few) else {
        return messages.for_each(|(place, message)| give(place, message.finish(INITIAL)));
    };
    // In the end there are fewer messages than lanes: the others hash an empty one, for nobody.
    let mut next = || messages.next().map_or((None, Message::new(&[], &[])), |(place, message)| (Some(place), message));
    let mut lanes: [_; LANES] = std::array::from_fn(|_| next());
    let mut states = [INITIAL; LANES];
    let mut edges = [[0; 2 * BLOCK]; LANES];
    while lanes.iter().any(|(place, _)| place.is_some()) {
        let ([a, b, c, d], [edge_a, edge_b, edge_c, edge_d]) = (&mut lanes, &mut edges);
        four(&mut states, [a.1.block(edge_a), b.1.block(edge_b), c.1.block(edge_c), d.1.block(edge_d)]);
        for (lane, state) in lanes.iter_mut().zip(&mut states) {
            if lane.1.end == End::Passed {
                if let Some(place) = lane.0 {
                    give(place, digest(state));
                }
                (*lane, *state) = (next(), INITIAL);
            }
        }
    }
}

/// The hash of each, in their order.
pub(crate) fn hashes<'a>(messages: impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])>) -> Vec<Hash> {
    let mut hashes = vec![[0; 32]; messages.len()];
    hash_each(messages, |place, hash| hashes[place] = hash);
    hashes
}

/// Hashes a block of each of four messages.
type Four = fn(&mut [State; LANES], [&Block; LANES]);

/// How this processor hashes four blocks in turns, if it can.
fn four() -> Option<Four> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1") {
        return Some(x86::four);
    }
    None
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_blend_epi16, _mm_loadu_si128, _mm_set_epi64x, _mm_setzero_si128,
        _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32,
        _mm_storeu_si128,
    };

    use super::{Block, LANES, State};

    /// FIPS 180-4, section 4.2.2.
    #[rustfmt::skip]
    static CONSTANTS: [[u32; 4]; 16] = [
        [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5], [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
        [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3], [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
        [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc], [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
        [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7], [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
        [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13], [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
        [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3], [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
        [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5], [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
        [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208], [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
    ];

    pub(super) fn four(states: &mut [State; LANES], blocks: [&Block; LANES]) {
        // SAFETY: this function is given out by `super::four` alone, which has found these features in the processor.
        unsafe { compress(states, blocks) }
    }

    /// The rounds in Intel's order of the words ("ABEF" and "CDGH"), as in the crate `sha2`, of four messages in turns.
    ///
    /// Loops and not closures: only what is inside of this function is compiled for these instructions, and stays in
    /// registers.
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn compress(states: &mut [State; LANES], blocks: [&Block; LANES]) {
        let big_endian = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
        let mut abef = [_mm_setzero_si128(); LANES];
        let mut cdgh = abef;
        let mut words = [abef; 4];
        for lane in 0..LANES {
            let (state, block): (*const __m128i, *const __m128i) =
                (states[lane].as_ptr().cast(), blocks[lane].as_ptr().cast());
            // SAFETY: a state has 32 bytes and a block 64, and these reads ask for no alignment.
            let (abcd, efgh) = unsafe { (_mm_loadu_si128(state), _mm_loadu_si128(state.add(1))) };
            let (badc, efgh) = (_mm_shuffle_epi32(abcd, 0xb1), _mm_shuffle_epi32(efgh, 0x1b));
            (abef[lane], cdgh[lane]) = (_mm_alignr_epi8(badc, efgh, 8), _mm_blend_epi16(efgh, badc, 0xf0));
            for (at, word) in words[lane].iter_mut().enumerate() {
                // SAFETY: as above.
                let little_endian = unsafe { _mm_loadu_si128(block.add(at)) };
                *word = _mm_shuffle_epi8(little_endian, big_endian);
            }
        }
        let before = (abef, cdgh);
        for round in 0..16 {
            // SAFETY: there are 16 bytes, and this read asks for no alignment.
            let constants = unsafe { _mm_loadu_si128(CONSTANTS[round].as_ptr().cast()) };
            for lane in 0..LANES {
                let words = &mut words[lane];
                if round >= 4 {
                    let (a, b, c, d) =
                        (words[round % 4], words[(round + 1) % 4], words[(round + 2) % 4], words[(round + 3) % 4]);
                    let sum = _mm_add_epi32(_mm_sha256msg1_epu32(a, b), _mm_alignr_epi8(d, c, 4));
                    words[round % 4] = _mm_sha256msg2_epu32(sum, d);
                }
                let input = _mm_add_epi32(words[round % 4], constants);
                cdgh[lane] = _mm_sha256rnds2_epu32(cdgh[lane], abef[lane], input);
                abef[lane] = _mm_sha256rnds2_epu32(abef[lane], cdgh[lane], _mm_shuffle_epi32(input, 0x0e));
            }
        }
        for lane in 0..LANES {
            let (abef, cdgh) = (_mm_add_epi32(abef[lane], before.0[lane]), _mm_add_epi32(cdgh[lane], before.1[lane]));
            let (feba, dchg) = (_mm_shuffle_epi32(abef, 0x1b), _mm_shuffle_epi32(cdgh, 0xb1));
            let state: *mut __m128i = states[lane].as_mut_ptr().cast();
            // SAFETY: a state has 32 bytes, and these writes ask for no alignment.
            unsafe {
                _mm_storeu_si128(state, _mm_blend_epi16(feba, dchg, 0xf0));
                _mm_storeu_si128(state.add(1), _mm_alignr_epi8(dchg, feba, 8));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::sha256;

    fn bytes(count: usize) -> Vec<u8> {
        (0..count).map(|number| (number * 7 + number / 256) as u8).collect()
    }

    #[test]
    fn hashing_where_the_bytes_lie_is_sha_256() {
        let bytes = bytes(400);
        for prefix in [0, 1, 12, 28, 63] {
            for len in 0..bytes.len() - prefix {
                let (head, content) = bytes[..prefix + len].split_at(prefix);
                assert_eq!(hash(head, content), sha256(&bytes[..prefix + len]), "{prefix} and {len}");
            }
        }
    }

    #[test]
    fn each_of_many_messages_has_its_sha_256_whatever_is_hashed_beside_it() {
        let bytes = bytes(1000);
        for count in 0..40 {
            let messages: Vec<(&[u8], &[u8])> =
                (0..count).map(|n| bytes[n..n + n * 37 % 290 + n % 64].split_at(n % 64)).collect();
            let mut found = vec![None; count];
            hash_each(messages.iter().copied(), |place, hash| {
                assert_eq!(found[place].replace(hash), None, "given twice");
            });
            let right: Vec<_> =
                messages.iter().map(|(head, content)| Some(sha256(&[*head, *content].concat()))).collect();
            assert_eq!(found, right);
        }
    }

    #[test]
    fn this_processors_way_is_that_of_the_crate() {
        let Some(four) = four() else {
            println!("skipped, because this processor has no instructions for SHA-256");
            return;
        };
        let bytes = bytes(64 * 64);
        let (blocks, _) = bytes.as_chunks::<64>();
        let mut states = [INITIAL; LANES];
        let mut right = states;
        for (at, four_blocks) in blocks.as_chunks::<4>().0.iter().enumerate() {
            four(&mut states, four_blocks.each_ref());
            for (state, block) in right.iter_mut().zip(four_blocks) {
                compress256(state, &[*block]);
            }
            assert_eq!(states, right, "block {at}");
        }
    }
}
