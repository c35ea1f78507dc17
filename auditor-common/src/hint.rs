//! What the addon claims: a ring of entries and a string table in one shared file (a memfd), one for each process.
//!
//! Written by Python in the audited process (`core/hints.py`), read by the daemon with `pread`. Little-endian. The
//! reader treats every byte as hostile: an entry counts only if its checksum fits, a string only if it is in bounds,
//! and a claim only for the very process that handed the file over.
//!
//! ```text
//! 0        HEADER_LEN                       HEADER_LEN + ENTRIES * ENTRY_LEN              FILE_LEN
//! | header | ENTRIES entries of ENTRY_LEN    | string table of STRINGS_LEN bytes            |
//! ```

/// First bytes of the file.
pub const MAGIC: [u8; 8] = *b"NAHINTS1";
/// The layout that this file describes.
pub const VERSION: u32 = 2;
/// Length of the header: one page.
pub const HEADER_LEN: usize = 4096;
/// Entries in the ring: a power of two.
pub const ENTRIES: usize = 4096;
/// Length of an entry.
pub const ENTRY_LEN: usize = 64;
/// Where the string table begins.
pub const STRINGS_OFFSET: usize = HEADER_LEN + ENTRIES * ENTRY_LEN;
/// Length of the string table.
pub const STRINGS_LEN: usize = 512 * 1024;
/// Length of the whole file.
pub const FILE_LEN: usize = STRINGS_OFFSET + STRINGS_LEN;
/// No string is longer, in bytes of UTF-8.
pub const STRING_MAX: usize = 1024;

/// Where the header's fields are. All are `u64` unless said otherwise.
pub mod header {
    /// [`MAGIC`](super::MAGIC), 8 bytes.
    pub const MAGIC_AT: usize = 0;
    /// [`VERSION`](super::VERSION), `u32`.
    pub const VERSION_AT: usize = 8;
    /// The process's own number, in its own PID namespace, `u32`. Informative: the kernel says who it really is.
    pub const PID_AT: usize = 12;
    /// Boot id, 16 bytes (`/proc/sys/kernel/random/boot_id` without hyphens).
    pub const BOOT_ID_AT: usize = 16;
    /// How many entries were written since the beginning; the newest has this sequence number.
    pub const HEAD_AT: usize = 32;
    /// Claims that could not be written.
    pub const DROPPED_AT: usize = 40;
    /// Exceptions that the hook caught in itself.
    pub const FAILURES_AT: usize = 48;
    /// CLOCK_MONOTONIC nanoseconds at which the hook itself ran last. It is asked to at every request that is served, so
    /// a SERVE entry that is much newer tells of a hook that was silenced.
    pub const HEARTBEAT_AT: usize = 56;
    /// Bytes of the string table that are in use, from its beginning.
    pub const STRINGS_USED_AT: usize = 64;
    /// Strings that did not fit.
    pub const STRINGS_DROPPED_AT: usize = 72;
    /// Bytes of the header that mean something; the rest of the page is zero.
    pub const LEN: usize = 80;
}

/// What an entry claims: values of the byte at 58.
pub mod operation {
    /// `socket.connect`; the key is the socket's cookie, the detail the numeric address.
    pub const CONNECT: u8 = 1;
    /// `socket.sendto` or `socket.sendmsg`; likewise.
    pub const SEND: u8 = 2;
    /// A child process is about to be started; the key is the thread's number as the process itself knows it.
    pub const SPAWN: u8 = 3;
    /// A request head or command is about to be sent (`http.client.send`, `smtplib.send`, …); the key is the cookie,
    /// the detail the method.
    pub const CALL: u8 = 5;
    /// A request was accepted: the key is the cookie of the accepted socket.
    pub const SERVE: u8 = 6;
}

/// Through what a call was made: values of the low five bits of the byte at 59. The highest layer that was seen on the
/// stack above the first module; append-only.
pub mod channel {
    /// A socket, and nothing above it that is known here.
    pub const SOCKET: u8 = 0;
    /// The bits of the byte that hold the channel.
    pub const BITS: u8 = 0x1f;
    /// The channels' names, by their numbers.
    pub const NAMES: [&str; 15] = [
        "socket",
        "requests",
        "httpx",
        "urllib",
        "urllib3",
        "http",
        "smtp",
        "imap",
        "pop3",
        "ftp",
        "tls",
        "websocket",
        "xmlrpc",
        "aiohttp",
        "ldap",
    ];
}

/// What the hook noticed about the code that it names: the high bits of the byte at 59.
pub mod mark {
    /// Native code of an addon may have been the caller: it leaves no frame. The chain ends with `native:` and the name
    /// of each addon that comes into question.
    pub const AMBIGUOUS: u8 = 0x20;
    /// The code came out of no file (`<string>`, `<decorator-gen-3>`).
    pub const GENERATED: u8 = 0x40;
    /// The globals are not those of the module that they name, or the code lies in another module's folder.
    pub const FOREIGN: u8 = 0x80;
}

/// One claim.
///
/// ```text
///  0  u64  sequence number, from 1; the entry lies at (sequence - 1) % ENTRIES
///  8  u64  CLOCK_MONOTONIC, nanoseconds
/// 16  u64  key: socket cookie, or thread number
/// 24  u32  chain: distinct addon modules, nearest first, joined by ",";      (string id)
///          `odoo` or `library:…` if there is none; at its end, `native:…` for each addon that may be meant
/// 28  u32  call site: "file:line function"                                   (string id)
/// 32  u32  origin: "route /x/<id>", "cron 7", "server-action 93", "shell"    (string id)
/// 36  u32  database                                                          (string id)
/// 40  16B  detail: for CONNECT and SEND the address (IPv4 as ::ffff:a.b.c.d, all zero if it was a name);
///          for CALL the method or command, ASCII, NUL-padded, in 0..8, the length of this piece, u64, in 8..16;
///          for SPAWN the number of arguments, u64, in 0..8
/// 56  u16  port, 0 if there is none
/// 58  u8   operation
/// 59  u8   channel and marks
/// 60  u32  [`checksum`] of bytes 0..60
/// ```
///
/// A string id is 0 for "none", else the offset of the string in the table: `u16` length, then UTF-8. The first eight
/// bytes of the table are zero, so that no string has the id 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Sequence number, from 1.
    pub sequence: u64,
    /// CLOCK_MONOTONIC, nanoseconds.
    pub monotonic_ns: u64,
    /// Socket cookie, or thread number.
    pub key: u64,
    /// String id of the module chain.
    pub chain: u32,
    /// String id of the call site.
    pub site: u32,
    /// String id of the origin.
    pub origin: u32,
    /// String id of the database.
    pub database: u32,
    /// See the table above.
    pub detail: [u8; 16],
    /// Port of the address.
    pub port: u16,
    /// One of [`operation`].
    pub operation: u8,
    /// One of [`channel`], and bits of [`mark`].
    pub channel: u8,
}

/// The checksum of an entry: its first sixty bytes as one little-endian number, modulo 2^61 - 1; of that the low 32 bits,
/// inverted, so that zeros are no entry. It tells an entry that is half written; it is no protection against anybody.
///
/// Each eight bytes weigh 8 times what those before them weigh (2^64 is 2^3 modulo 2^61 - 1), so that a writer has most of
/// an entry ready, and neither side needs a table: a table is out of the caches by the next request of an Odoo.
#[must_use]
pub fn checksum(body: &[u8; ENTRY_LEN - 4]) -> u32 {
    const PRIME: u64 = (1 << 61) - 1;
    let mut sum = 0;
    for (place, chunk) in body.chunks(8).enumerate() {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        sum += u128::from(u64::from_le_bytes(word)) << (3 * place);
    }
    // Below 2^86, so that one fold makes it fit.
    let folded = (sum as u64 & PRIME) + (sum >> 61) as u64;
    !((folded % PRIME) as u32)
}

/// First message on `hints.sock`: this, with the memfd as `SCM_RIGHTS`. `MAGIC ‖ VERSION u32 ‖ FILE_LEN u64`.
pub const HELLO_LEN: usize = 20;
