//! Where an export goes: an archive, whose signed list is its first member and is known last. So everything is read twice:
//! once for the list and the length, once for whoever asked.

use std::io;
use std::path::Path;

use auditor_common::tar::{BLOCK, END, header, padding};

use super::ExportError;

/// Takes files in the order of their paths, and at last the signed list.
pub trait Output {
    /// Takes a file.
    fn file(&mut self, path: &str, content: &[u8]) -> Result<(), ExportError>;

    /// Takes the signed list, and is complete.
    fn finish(&mut self, list: &str) -> Result<(), ExportError>;

    /// Whether the files have yet to be listed. Where they are written for the second time the list is there, and nothing is
    /// hashed for it.
    fn is_to_be_listed(&self) -> bool {
        true
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> ExportError {
    let path = path.to_owned();
    move |source| ExportError::Output { path, source }
}

fn member(out: &mut impl io::Write, path: &str, content: &[u8]) -> io::Result<()> {
    let header =
        header(path, content.len() as u64).ok_or_else(|| io::Error::other("a name too long for an archive"))?;
    out.write_all(&header)?;
    out.write_all(content)?;
    out.write_all(&END[..padding(content.len() as u64)])
}

/// Counts what an archive of these files would have, and keeps nothing.
#[derive(Debug, Default)]
pub struct Counted {
    len: u64,
}

impl Counted {
    /// How long the archive is with this list, bytes.
    #[must_use]
    pub fn archive_len(&self, list: &str) -> u64 {
        self.len + member_len(list.len()) + END.len() as u64
    }
}

fn member_len(content: usize) -> u64 {
    (BLOCK + content + padding(content as u64)) as u64
}

impl Output for Counted {
    fn file(&mut self, _: &str, content: &[u8]) -> Result<(), ExportError> {
        self.len += member_len(content.len());
        Ok(())
    }

    fn finish(&mut self, _: &str) -> Result<(), ExportError> {
        Ok(())
    }
}

/// An archive whose list is known beforehand, written straight to somebody.
#[derive(Debug)]
pub struct Stream<W> {
    to: W,
}

impl<W: io::Write> Stream<W> {
    /// Begins with the list.
    pub fn begin(mut to: W, list: &str) -> Result<Self, ExportError> {
        member(&mut to, "EXPORT", list.as_bytes()).map_err(failed(Path::new("the export")))?;
        Ok(Self { to })
    }
}

impl<W: io::Write> Output for Stream<W> {
    fn file(&mut self, path: &str, content: &[u8]) -> Result<(), ExportError> {
        member(&mut self.to, path, content).map_err(failed(Path::new("the export")))
    }

    fn is_to_be_listed(&self) -> bool {
        false
    }

    fn finish(&mut self, _: &str) -> Result<(), ExportError> {
        self.to.write_all(&END).and_then(|()| self.to.flush()).map_err(failed(Path::new("the export")))
    }
}
