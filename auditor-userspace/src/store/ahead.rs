//! A file that is read page after page, a stretch at a time.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, PoisonError};

/// Bytes that are read at once where pages follow each other: few calls, and still in the processor's own cache.
const STRETCH: usize = 64 << 10;

/// What was read and not yet asked for.
#[derive(Debug, Default)]
struct Window {
    begin: u64,
    bytes: Vec<u8>,
    /// Where the last read ended that was none of a stretch.
    apart: u64,
}

impl Window {
    fn get(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let begin = usize::try_from(offset.checked_sub(self.begin)?).ok()?;
        self.bytes.get(begin..begin.checked_add(len)?)
    }

    /// Whether somebody who reads here goes on with what was read.
    fn leads_to(&self, offset: u64) -> bool {
        offset == self.apart || offset == self.begin + self.bytes.len() as u64
    }

    /// Reads a stretch, shorter where the file ends or cannot be read: whoever wants to have those bytes is told then.
    fn fill(&mut self, file: &File, offset: u64) {
        self.begin = offset;
        self.bytes.resize(STRETCH, 0);
        let mut filled = 0;
        while filled < STRETCH {
            match file.read_at(&mut self.bytes[filled..], offset + filled as u64) {
                Ok(more) if more > 0 => filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        self.bytes.truncate(filled);
    }
}

/// A file whose bytes, once they are there, do not change.
#[derive(Debug)]
pub(super) struct Ahead {
    file: File,
    window: Mutex<Window>,
}

impl Ahead {
    pub(super) fn new(file: File) -> Self {
        Self { file, window: Mutex::default() }
    }

    /// Reads these bytes, all of them.
    pub(super) fn read(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if out.len() < STRETCH && window.get(offset, out.len()).is_none() && window.leads_to(offset) {
            window.fill(&self.file, offset);
        }
        if let Some(bytes) = window.get(offset, out.len()) {
            out.copy_from_slice(bytes);
            return Ok(());
        }
        window.apart = offset + out.len() as u64;
        self.file.read_exact_at(out, offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn whatever_is_read_is_what_the_file_has() {
        let bytes: Vec<u8> = (0..300_000_u32).map(|number| (number % 251) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let ahead = Ahead::new(file);
        let in_a_row = (0..73).map(|page| (page * 4096, 4096));
        let with_steps_aside = (0..73).flat_map(|page| [(page * 4096, 4096), (200_000 - page * 13, 77)]);
        let long = [(0, 100_000), (100_000, 100_000), (299_999, 1), (300_000, 0)];
        for (offset, len) in in_a_row.chain(with_steps_aside).chain(long) {
            let mut out = vec![0; len];
            ahead.read(&mut out, offset as u64).unwrap();
            assert_eq!(out, bytes[offset..offset + len], "{len} bytes at {offset}");
        }
    }

    #[test]
    fn beyond_the_end_there_is_nothing() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 5000]).unwrap();
        let ahead = Ahead::new(file);
        for (offset, len, there) in [(0, 4096, true), (4096, 904, true), (4096, 905, false), (5000, 1, false)] {
            let read = ahead.read(&mut vec![0; len], offset);
            assert_eq!(read.is_ok(), there, "{len} bytes at {offset}: {read:?}");
        }
    }
}
