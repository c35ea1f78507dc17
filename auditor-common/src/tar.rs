//! The one form of tar that an export has: ustar, regular files, no owner, no time, names in order.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};

use crate::verify::Files;

/// No archive has more files.
pub const MAX_MEMBERS: usize = 1 << 20;
/// Length of a header, and of the blocks that content is padded to.
pub const BLOCK: usize = 512;
/// What follows the last file.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];
/// No name is longer.
pub const MAX_NAME: usize = 100;
/// No file is longer: eleven octal digits.
pub const MAX_LEN: u64 = (1 << 33) - 1;

/// The header of a file; `None` if name or length do not fit into one.
#[must_use]
pub fn header(name: &str, len: u64) -> Option<[u8; BLOCK]> {
    if name.is_empty() || name.len() > MAX_NAME || name.contains('\0') || len > MAX_LEN {
        return None;
    }
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{len:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Some(block)
}

/// Name and length of a file, if this is exactly the header that it would have.
#[must_use]
pub fn parse(block: &[u8; BLOCK]) -> Option<(String, u64)> {
    let end = block[..MAX_NAME].iter().position(|byte| *byte == 0).unwrap_or(MAX_NAME);
    let name = std::str::from_utf8(&block[..end]).ok()?;
    let digits = std::str::from_utf8(&block[124..135]).ok()?;
    let len = u64::from_str_radix(digits, 8).ok()?;
    (header(name, len)? == *block).then(|| (name.to_owned(), len))
}

/// How many bytes of padding follow content of this length.
#[must_use]
pub const fn padding(len: u64) -> usize {
    (BLOCK - (len % BLOCK as u64) as usize) % BLOCK
}

/// An archive: in the one form that it has, or refused.
#[derive(Debug)]
pub struct Archive<R> {
    file: R,
    members: BTreeMap<String, (u64, u64)>,
}

impl<R: Read + Seek> Archive<R> {
    /// Reads the headers of an archive. The inner error is a sentence that says what is wrong with it.
    pub fn open(mut file: R) -> io::Result<Result<Self, String>> {
        let total = file.seek(SeekFrom::End(0))?;
        let mut members = BTreeMap::new();
        let mut at = 0;
        let mut before = String::new();
        loop {
            let mut block = [0; BLOCK];
            if total - at < END.len() as u64 || members.len() == MAX_MEMBERS {
                return Ok(Err("the archive is cut off, or has more files than any has".to_owned()));
            }
            file.seek(SeekFrom::Start(at))?;
            file.read_exact(&mut block)?;
            if block == [0; BLOCK] {
                break;
            }
            let Some((name, len)) = parse(&block) else {
                return Ok(Err(format!("the archive is malformed at byte {at}")));
            };
            let begin = at + BLOCK as u64;
            at = begin + len + padding(len) as u64;
            if at > total || (name <= before && !before.is_empty()) {
                return Ok(Err(format!("the archive is cut off at {name}, or its files are not in order")));
            }
            let mut gap = vec![0; padding(len)];
            file.seek(SeekFrom::Start(begin + len))?;
            file.read_exact(&mut gap)?;
            if gap.iter().any(|byte| *byte != 0) {
                return Ok(Err(format!("there is something hidden behind {name}")));
            }
            before.clone_from(&name);
            members.insert(name, (begin, len));
        }
        let mut end = Vec::new();
        file.seek(SeekFrom::Start(at))?;
        Read::by_ref(&mut file).take(END.len() as u64 + 1).read_to_end(&mut end)?;
        if end != END {
            return Ok(Err("there is something after the end of the archive".to_owned()));
        }
        Ok(Ok(Self { file, members }))
    }
}

impl<R: Read + Seek> Files for Archive<R> {
    fn list(&mut self) -> io::Result<Vec<(String, u64)>> {
        Ok(self.members.iter().map(|(path, (_, len))| (path.clone(), *len)).collect())
    }

    fn read(&mut self, path: &str, len: u64) -> io::Result<Vec<u8>> {
        let (begin, _) = *self.members.get(path).ok_or(io::ErrorKind::NotFound)?;
        self.file.seek(SeekFrom::Start(begin))?;
        let mut content = Vec::new();
        Read::by_ref(&mut self.file).take(len).read_to_end(&mut content)?;
        Ok(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written_and_in_no_other_form() {
        let block = header("tile/entries/x001/234.p/7", 12_345).unwrap();
        assert_eq!(parse(&block), Some(("tile/entries/x001/234.p/7".to_owned(), 12_345)));
        for at in 0..BLOCK {
            let mut changed = block;
            changed[at] ^= 0x01;
            assert_eq!(parse(&changed), None, "byte {at}");
        }
        assert_eq!(header("", 0), None);
        assert_eq!(header(&"x".repeat(101), 0), None);
        assert_eq!(header("x", 1 << 33), None);
        assert_eq!((padding(0), padding(1), padding(512)), (0, 511, 0));
    }
}
