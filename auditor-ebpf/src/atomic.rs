//! Atomic operations that give the old value (Linux 5.12). `core` has none for a target without compare-and-swap on
//! every version of its instruction set, hence the instructions themselves.

use core::arch::asm;

macro_rules! operation {
    ($(#[$doc:meta])* $name:ident, $instruction:literal) => {
        $(#[$doc])*
        ///
        /// # Safety
        ///
        /// `place` is an aligned word of a map's element.
        #[inline(always)]
        pub unsafe fn $name(place: *mut u64, value: u64) -> u64 {
            let mut word = value;
            // SAFETY: the caller gives a word that may be written; the verifier checks the same.
            unsafe { asm!($instruction, word = inout(reg) word, place = in(reg) place, options(nostack)) };
            word
        }
    };
}

operation!(
    /// Adds.
    fetch_add,
    "{word} = atomic_fetch_add((u64 *)({place} + 0), {word})"
);
operation!(
    /// Sets bits.
    fetch_or,
    "{word} = atomic_fetch_or((u64 *)({place} + 0), {word})"
);
operation!(
    /// Keeps only these bits.
    fetch_and,
    "{word} = atomic_fetch_and((u64 *)({place} + 0), {word})"
);
operation!(
    /// Puts another value in.
    swap,
    "{word} = xchg_64({place} + 0, {word})"
);

/// Adds, where nobody needs the old value: dearer without.
///
/// # Safety
///
/// `place` is an aligned word of a map's element.
#[inline(always)]
pub unsafe fn add(place: *mut u64, value: u64) {
    // SAFETY: as above.
    unsafe {
        asm!("lock *(u64 *)({place} + 0) += {value}", value = in(reg) value, place = in(reg) place, options(nostack))
    };
}
