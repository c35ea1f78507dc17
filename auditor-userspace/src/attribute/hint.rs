//! Reads what a process claims: its ring of hints, by `pread` and with no trust in any byte of it.
//!
//! The layout is [`auditor_common::hint`]. The file belongs to the process that is being audited and changes while it
//! is read, so an entry counts only if its checksum fits and its number is the expected one, a string only if it is in
//! bounds and printable, and every total is bounded.

mod strings;

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::rc::Rc;

use auditor_common::endpoint::Endpoint;
use auditor_common::hint::{
    ENTRIES, ENTRY_LEN, Entry, FILE_LEN, HEADER_LEN, MAGIC, VERSION, channel, checksum, header, mark, operation,
};
use strings::Strings;

use super::Claimed;

/// Entries that were announced and not whole yet, of which a ring may owe us this many.
const HOLES_MAX: usize = 16;
/// How often an entry that is not whole is looked at again before it counts as malformed.
const HOLE_READS_MAX: u32 = 1000;
/// A counter that leaps further than this is none.
const LEAP_MAX: u64 = 1 << 40;

/// What is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A `connect()`; the key is the socket's cookie.
    Connect,
    /// A datagram with an address; likewise.
    Send,
    /// A child is about to be started; the key is the thread, as the process numbers it.
    Spawn,
    /// A request head is about to be sent; the key is the cookie.
    Call,
    /// A request was accepted; the key is the cookie of the accepted socket.
    Serve,
}

impl Operation {
    fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            operation::CONNECT => Self::Connect,
            operation::SEND => Self::Send,
            operation::SPAWN => Self::Spawn,
            operation::CALL => Self::Call,
            operation::SERVE => Self::Serve,
            _ => return None,
        })
    }
}

/// One claim, as its process made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What is claimed.
    pub operation: Operation,
    /// Socket cookie, or thread: see [`Operation`].
    pub key: u64,
    /// CLOCK_MONOTONIC nanoseconds, as the process says.
    pub monotonic_ns: u64,
    /// Distinct modules, nearest first; or one name that stands in for them (`odoo`, `library:…`).
    pub chain: Rc<[Rc<str>]>,
    /// `file:line function`.
    pub site: Option<Rc<str>>,
    /// Route template, cron, server action, shell.
    pub origin: Option<Rc<str>>,
    /// Database.
    pub database: Option<Rc<str>>,
    /// What the hook noticed about the code that it names.
    pub marks: Marks,
    detail: [u8; 16],
    port: u16,
    channel: u8,
}

/// What the hook noticed about the code that it names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Native code, which leaves no frame, may have been the caller.
    pub ambiguous: bool,
    /// It came out of no file.
    pub generated: bool,
    /// Its globals are not those of the module that they name, or it lies in another module's folder.
    pub foreign: bool,
}

impl Claim {
    /// A claim that says nothing but what it is about and who it was.
    #[cfg(test)]
    pub(crate) fn of(operation: Operation, key: u64, module: &str) -> Self {
        Self {
            operation,
            key,
            monotonic_ns: 0,
            chain: Rc::new([Rc::from(module)]),
            site: None,
            origin: None,
            database: None,
            marks: Marks::default(),
            detail: [0; 16],
            port: 0,
            channel: channel::SOCKET,
        }
    }

    /// What it says, without what it is about.
    #[must_use]
    pub fn claimed(&self) -> Claimed {
        Claimed {
            chain: self.chain.to_vec(),
            site: self.site.clone(),
            origin: self.origin.clone(),
            database: self.database.clone(),
            address: self.remote(),
            marks: self.marks,
        }
    }

    /// Through what the call was made: the highest layer that was seen.
    #[must_use]
    pub fn channel(&self) -> &'static str {
        // A channel of a newer addon is at least a socket.
        channel::NAMES.get(usize::from(self.channel)).copied().unwrap_or(channel::NAMES[0])
    }

    /// Where to, for [`Operation::Connect`] and [`Operation::Send`]; `None` if it was given as a name, or as the
    /// unspecified address, which the kernel takes for the loopback one.
    #[must_use]
    pub fn remote(&self) -> Option<Endpoint> {
        let endpoint = Endpoint::v6(self.detail, self.port);
        let has_one = matches!(self.operation, Operation::Connect | Operation::Send);
        (has_one && endpoint.octets().iter().any(|&byte| byte != 0)).then_some(endpoint)
    }

    /// The request method, or the command, of an [`Operation::Call`].
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        if self.operation != Operation::Call {
            return None;
        }
        let word = self.detail[..8].split(|&byte| byte == 0).next()?;
        let plain = !word.is_empty() && word.iter().all(u8::is_ascii_uppercase);
        plain.then(|| str::from_utf8(word).ok()).flatten()
    }

    /// How many arguments the child of an [`Operation::Spawn`] gets; 0 if it is not known.
    #[must_use]
    pub fn arguments(&self) -> u64 {
        let [count, _] = halves(&self.detail);
        if self.operation == Operation::Spawn { count } else { 0 }
    }

    /// Length of the piece that began an [`Operation::Call`], in bytes.
    #[must_use]
    pub fn piece_len(&self) -> u64 {
        let [_, length] = halves(&self.detail);
        if self.operation == Operation::Call { length } else { 0 }
    }
}

fn halves(detail: &[u8; 16]) -> [u64; 2] {
    let (halves, _) = detail.as_chunks::<8>();
    [u64::from_le_bytes(halves[0]), u64::from_le_bytes(halves[1])]
}

/// Why a file is not a ring of hints.
#[derive(Debug)]
pub enum NotARing {
    /// It is not a memfd: reading it could block, or read a device.
    NoMemfd,
    /// It has another size than [`FILE_LEN`].
    Size(u64),
    /// It does not begin with [`MAGIC`].
    Magic,
    /// It is written in a layout that this version does not know.
    Version(u32),
    /// It cannot be read.
    Io(io::Error),
}

impl std::fmt::Display for NotARing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoMemfd => write!(f, "the file that was handed over is not a memfd"),
            Self::Size(found) => write!(f, "the ring is {found} bytes long and not {FILE_LEN}"),
            Self::Magic => write!(f, "the ring does not begin with its magic bytes"),
            Self::Version(found) => write!(f, "the ring has layout {found}, this auditor reads {VERSION}"),
            Self::Io(error) => write!(f, "the ring cannot be read: {error}"),
        }
    }
}

impl std::error::Error for NotARing {}

/// What one reading brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// New claims; those of one thread are in its order.
    pub claims: Vec<Claim>,
    /// Claims that were overwritten before they were read.
    pub overrun: u64,
    /// Claims and strings that the process could not write, since the last reading, as it says.
    pub dropped: u64,
    /// Exceptions that the hook caught in itself since the last reading, as it says.
    pub failures: u64,
    /// Entries and strings that are not what the layout says.
    pub malformed: u64,
}

impl Batch {
    /// Whether everything that was claimed is here.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.overrun == 0 && self.dropped == 0 && self.failures == 0 && self.malformed == 0
    }
}

/// The header's counters.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    head: u64,
    dropped: u64,
    failures: u64,
    heartbeat_ns: u64,
}

/// Reads one ring, from where it was handed over.
#[derive(Debug)]
pub struct RingReader {
    file: File,
    /// The newest entry that was read or given up.
    read_to: u64,
    seen: Counters,
    /// Of the newest claim about a request that was served.
    served_ns: u64,
    /// Numbers of entries that were not whole when it was their turn, and how often they were looked at.
    holes: Vec<(u64, u32)>,
    strings: Strings,
    buffer: Vec<u8>,
}

impl RingReader {
    /// A ring that was handed over. What lies in it already is read as well, as far back as it goes.
    pub fn open(fd: OwnedFd) -> Result<Self, NotARing> {
        // Only files that live in memory know seals: nothing else may be read, because it could block.
        rustix::fs::fcntl_get_seals(&fd).map_err(|_| NotARing::NoMemfd)?;
        let file = File::from(fd);
        let metadata = file.metadata().map_err(NotARing::Io)?;
        if !metadata.is_file() {
            return Err(NotARing::NoMemfd);
        }
        if metadata.len() != FILE_LEN as u64 {
            return Err(NotARing::Size(metadata.len()));
        }
        let header = read_header(&file).map_err(NotARing::Io)?;
        if header[header::MAGIC_AT..][..8] != MAGIC {
            return Err(NotARing::Magic);
        }
        let version = u32::from_le_bytes(take(&header, header::VERSION_AT));
        if version != VERSION {
            return Err(NotARing::Version(version));
        }
        let head = counters(&header).head;
        Ok(Self {
            file,
            read_to: head.saturating_sub(ENTRIES as u64),
            seen: Counters::default(),
            served_ns: 0,
            holes: Vec::new(),
            strings: Strings::default(),
            buffer: Vec::new(),
        })
    }

    /// Everything that was claimed since the last reading.
    pub fn read_new(&mut self) -> io::Result<Batch> {
        let mut batch = Batch::default();
        let now = counters(&read_header(&self.file)?);
        for (count, now, seen) in [
            (&mut batch.dropped, now.dropped, self.seen.dropped),
            (&mut batch.failures, now.failures, self.seen.failures),
        ] {
            let since = now.saturating_sub(seen);
            // What no process can have counted is no count: the ledger's sums are not for whoever writes nonsense.
            *count = if since > LEAP_MAX { 0 } else { since };
            batch.malformed += u64::from(since > LEAP_MAX);
        }
        self.seen = now;
        self.fill_holes(&mut batch)?;
        if now.head != self.read_to {
            self.read_span(now.head, &mut batch)?;
        }
        Ok(batch)
    }

    /// For how long the hook has been silent while requests were served, or connections accepted: `accepted_ns` is when
    /// the newest of them came, by the kernel's word (CLOCK_MONOTONIC). The hook says that it is alive when Python makes a
    /// socket, which is how it accepts, and when a request is served, to within half a second; so this is next to
    /// nothing, unless it was silenced.
    #[must_use]
    pub fn silence_ns(&self, accepted_ns: u64) -> u64 {
        self.served_ns.max(accepted_ns).saturating_sub(self.seen.heartbeat_ns)
    }

    fn read_span(&mut self, head: u64, batch: &mut Batch) -> io::Result<()> {
        if head < self.read_to || head - self.read_to > LEAP_MAX {
            // No honest writer goes back or leaps: begin anew at what it says now.
            batch.malformed += 1;
            self.read_to = head;
            self.holes.clear();
            return Ok(());
        }
        let oldest = head.saturating_sub(ENTRIES as u64);
        batch.overrun += oldest.saturating_sub(self.read_to);
        let first = self.read_to.max(oldest) + 1;
        let count = (head - first + 1) as usize;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(count * ENTRY_LEN, 0);
        // The span may go over the end of the ring, and then goes on at its beginning.
        let before_end = count.min(ENTRIES - slot(first));
        let (one, two) = buffer.split_at_mut(before_end * ENTRY_LEN);
        self.file.read_exact_at(one, entry_offset(first))?;
        self.file.read_exact_at(two, HEADER_LEN as u64)?;
        for (raw, sequence) in buffer.as_chunks::<ENTRY_LEN>().0.iter().zip(first..=head) {
            match judge(raw, sequence) {
                Slot::Whole(entry) => self.claim(&entry, batch),
                Slot::Overwritten => batch.overrun += 1,
                Slot::NotYet if self.holes.len() < HOLES_MAX => self.holes.push((sequence, 0)),
                Slot::NotYet => batch.malformed += 1,
            }
        }
        self.buffer = buffer;
        self.read_to = head;
        Ok(())
    }

    /// An entry can be announced by another thread before it is whole: look again.
    fn fill_holes(&mut self, batch: &mut Batch) -> io::Result<()> {
        for (sequence, reads) in std::mem::take(&mut self.holes) {
            let mut raw = [0; ENTRY_LEN];
            self.file.read_exact_at(&mut raw, entry_offset(sequence))?;
            match judge(&raw, sequence) {
                Slot::Whole(entry) => self.claim(&entry, batch),
                Slot::Overwritten => batch.overrun += 1,
                Slot::NotYet if reads < HOLE_READS_MAX => self.holes.push((sequence, reads + 1)),
                Slot::NotYet => batch.malformed += 1,
            }
        }
        Ok(())
    }

    fn claim(&mut self, entry: &Entry, batch: &mut Batch) {
        let Some(operation) = Operation::from_number(entry.operation) else {
            batch.malformed += 1;
            return;
        };
        let strings = &mut self.strings;
        let mut text = |id| {
            let found = strings.get(&self.file, id);
            batch.malformed += u64::from(id != 0 && found.is_none());
            found
        };
        let (site, origin, database) = (text(entry.site), text(entry.origin), text(entry.database));
        let chain = text(entry.chain);
        if operation == Operation::Serve {
            self.served_ns = self.served_ns.max(entry.monotonic_ns);
        }
        batch.claims.push(Claim {
            operation,
            key: entry.key,
            monotonic_ns: entry.monotonic_ns,
            chain: strings.chain(entry.chain, chain.as_deref()),
            site,
            origin,
            database,
            marks: Marks {
                ambiguous: entry.channel & mark::AMBIGUOUS != 0,
                generated: entry.channel & mark::GENERATED != 0,
                foreign: entry.channel & mark::FOREIGN != 0,
            },
            detail: entry.detail,
            port: entry.port,
            channel: entry.channel & channel::BITS,
        });
    }
}

/// What lies where an entry is expected.
#[derive(Debug, PartialEq, Eq)]
enum Slot {
    Whole(Entry),
    /// A later entry lies there: the writer has gone round.
    Overwritten,
    /// An earlier one, or bytes that are no entry.
    NotYet,
}

fn judge(raw: &[u8; ENTRY_LEN], sequence: u64) -> Slot {
    match decode(raw) {
        Some(entry) if entry.sequence == sequence => Slot::Whole(entry),
        Some(entry) if entry.sequence > sequence && slot(entry.sequence) == slot(sequence) => Slot::Overwritten,
        _ => Slot::NotYet,
    }
}

/// An entry, if its checksum fits.
#[must_use]
pub fn decode(raw: &[u8; ENTRY_LEN]) -> Option<Entry> {
    if checksum(&take(raw, 0)) != u32::from_le_bytes(take(raw, 60)) {
        return None;
    }
    Some(Entry {
        sequence: u64::from_le_bytes(take(raw, 0)),
        monotonic_ns: u64::from_le_bytes(take(raw, 8)),
        key: u64::from_le_bytes(take(raw, 16)),
        chain: u32::from_le_bytes(take(raw, 24)),
        site: u32::from_le_bytes(take(raw, 28)),
        origin: u32::from_le_bytes(take(raw, 32)),
        database: u32::from_le_bytes(take(raw, 36)),
        detail: take(raw, 40),
        port: u16::from_le_bytes(take(raw, 56)),
        operation: raw[58],
        channel: raw[59],
    })
}

/// `N` bytes from `at`, which the layout's constants keep in bounds.
fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut taken = [0; N];
    taken.copy_from_slice(&bytes[at..at + N]);
    taken
}

fn read_header(file: &File) -> io::Result<[u8; header::LEN]> {
    let mut raw = [0; header::LEN];
    file.read_exact_at(&mut raw, 0)?;
    Ok(raw)
}

fn counters(header: &[u8; header::LEN]) -> Counters {
    let at = |offset| u64::from_le_bytes(take(header, offset));
    Counters {
        head: at(header::HEAD_AT),
        dropped: at(header::DROPPED_AT).saturating_add(at(header::STRINGS_DROPPED_AT)),
        failures: at(header::FAILURES_AT),
        heartbeat_ns: at(header::HEARTBEAT_AT),
    }
}

fn slot(sequence: u64) -> usize {
    (sequence.wrapping_sub(1) % ENTRIES as u64) as usize
}

fn entry_offset(sequence: u64) -> u64 {
    (HEADER_LEN + slot(sequence) * ENTRY_LEN) as u64
}

#[cfg(test)]
mod tests;
