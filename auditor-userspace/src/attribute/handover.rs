//! How the rings of hints come to us: a socket on which a process hands over the file that it writes to.
//!
//! A peer sends one message, `MAGIC ‖ VERSION ‖ FILE_LEN` with a memfd beside it, and is known by what the kernel says
//! of it, never by what it says of itself. Nothing is ever sent to it. Everything here returns at once.

use std::fs;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use auditor_common::hint::{FILE_LEN, HELLO_LEN, MAGIC, VERSION};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketAddrUnix, SocketFlags, SocketType,
    accept_with, bind, connect, listen, recvmsg, socket_with,
};

use super::claims::{ClaimStore, same_process};
use super::hint::{NotARing, RingReader};
use super::lineage::Identity;
use super::proc::Processes;
use crate::clock::Now;

/// Connections of one user: an Odoo has one for each of its processes.
pub const CONNECTIONS_PER_UID_MAX: usize = 512;
/// Connections in all. Each has two descriptors.
pub const CONNECTIONS_MAX: usize = 4096;
/// Connections that the kernel may keep waiting for us.
const BACKLOG: i32 = 512;
/// Taken in one go, so that a flood of connections does not keep us from the kernel's events.
const ACCEPTED_AT_ONCE_MAX: usize = 256;
/// A peer says its hello together with its connect; one that does not is sent away.
const HELLO_WITHIN_NS: u64 = 2_000_000_000;

/// Why a peer was sent away.
#[derive(Debug)]
pub enum Refusal {
    /// Its user has too many connections, or all users have.
    TooMany,
    /// The kernel does not say who it is: it lives in a PID namespace that is not below ours, or is gone.
    Unknown,
    /// It did not say its hello.
    Silent,
    /// Its first message is no hello of a version that we know.
    Hello,
    /// What it handed over is no ring.
    Ring(NotARing),
    /// Its connection failed.
    Io(io::Error),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooMany => write!(f, "too many connections"),
            Self::Unknown => write!(f, "the kernel does not say who it is; the auditor needs the host's PID namespace"),
            Self::Silent => write!(f, "it handed over nothing"),
            Self::Hello => write!(f, "its first message is not a hello of layout {VERSION}"),
            Self::Ring(why) => why.fmt(f),
            Self::Io(error) => write!(f, "its connection failed: {error}"),
        }
    }
}

/// What came of the pending connections.
#[derive(Debug, Default)]
pub struct Accepted {
    /// Processes that have handed over a ring.
    pub begun: Vec<Identity>,
    /// Peers that were sent away: user, process, reason.
    pub refused: Vec<(u32, u32, Refusal)>,
}

/// What one process's ring did not bring, all since the last reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Whose ring.
    pub who: Identity,
    /// Claims that were overwritten before they were read.
    pub overrun: u64,
    /// Claims that the process could not write, as it says.
    pub dropped: u64,
    /// Exceptions of the hook, as the process says.
    pub failures: u64,
    /// Entries that are not what the layout says, or a ring that cannot be read any more.
    pub malformed: u64,
}

impl Missing {
    /// What the process itself did wrong, all together; some of it is its own word.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.dropped.saturating_add(self.failures).saturating_add(self.malformed)
    }

    /// The same in words.
    #[must_use]
    pub fn why(&self) -> String {
        let reasons = [
            (self.dropped, "could not be written"),
            (self.failures, "failures of the hook, as it says itself"),
            (self.malformed, "not what the layout says"),
        ];
        let words = reasons.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        words.collect::<Vec<_>>().join(", ")
    }
}

#[derive(Debug)]
struct Waiting {
    connection: OwnedFd,
    uid: u32,
    who: Identity,
    since_ns: u64,
}

#[derive(Debug)]
struct Peer {
    connection: OwnedFd,
    uid: u32,
    who: Identity,
    ring: RingReader,
    /// The newest connection that it has accepted and used, by the kernel's word (CLOCK_MONOTONIC nanoseconds).
    accepted_ns: u64,
}

/// The socket, and who has handed over a ring.
#[derive(Debug)]
pub struct Handover {
    listener: OwnedFd,
    path: PathBuf,
    waiting: Vec<Waiting>,
    peers: Vec<Peer>,
    /// Rings whose process has handed over another one, to be read once more.
    replaced: Vec<(Identity, RingReader)>,
}

impl Handover {
    /// Listens at `path`, for everybody: who may say what is decided by who it is.
    ///
    /// A socket file that nobody listens at any more is replaced; one that is alive is `AddrInUse`.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let address = SocketAddrUnix::new(path)?;
        if path.exists() {
            let probe = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
            match connect(&probe, &address) {
                Ok(()) | Err(rustix::io::Errno::AGAIN) => return Err(io::ErrorKind::AddrInUse.into()),
                Err(_) => fs::remove_file(path)?,
            }
        }
        let listener = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        bind(&listener, &address)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o666))?;
        listen(&listener, BACKLOG)?;
        Ok(Self { listener, path: path.to_owned(), waiting: Vec::new(), peers: Vec::new(), replaced: Vec::new() })
    }

    /// How many processes have handed over a ring.
    #[must_use]
    pub fn rings(&self) -> usize {
        self.peers.len()
    }

    /// Takes whoever is waiting at the door. Called before the rings are read, so that a ring whose process has just
    /// come is read with its first claim in it.
    pub fn accept_pending(&mut self, claims: &mut ClaimStore, processes: &impl Processes, now: &Now) -> Accepted {
        let mut accepted = Accepted::default();
        // Asked first: an accept makes a socket before it finds out that nobody is waiting, forty times a second.
        let most = if self.is_knocked_at() { ACCEPTED_AT_ONCE_MAX } else { 0 };
        for _ in 0..most {
            // An error here is "nobody is waiting", or one that waiting cures (no descriptor is free).
            let Ok(connection) = accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) else {
                break;
            };
            self.admit(connection, processes, now, &mut accepted);
        }
        for waiting in std::mem::take(&mut self.waiting) {
            self.hear(waiting, claims, now, &mut accepted);
        }
        accepted
    }

    fn is_knocked_at(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        // If that cannot be told, accepting tells.
        !poll(&mut [PollFd::new(&self.listener, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready == 0)
    }

    fn admit(&mut self, connection: OwnedFd, processes: &impl Processes, now: &Now, accepted: &mut Accepted) {
        let Ok((uid, tgid)) = credentials(connection.as_fd()) else {
            return;
        };
        let of_uid = self.peers.iter().filter(|peer| peer.uid == uid).count()
            + self.waiting.iter().filter(|waiting| waiting.uid == uid).count();
        if of_uid >= CONNECTIONS_PER_UID_MAX || self.peers.len() + self.waiting.len() >= CONNECTIONS_MAX {
            accepted.refused.push((uid, tgid, Refusal::TooMany));
            return;
        }
        let Some(seen) = processes.seen(tgid).filter(|_| tgid != 0) else {
            accepted.refused.push((uid, tgid, Refusal::Unknown));
            return;
        };
        let who = Identity { tgid, start_ns: seen.start_ns };
        // A process speaks with one voice: what it opened before and did not use is closed.
        self.waiting.retain(|waiting| waiting.who != who);
        self.waiting.push(Waiting { connection, uid, who, since_ns: now.mono_ns });
    }

    fn hear(&mut self, waiting: Waiting, claims: &mut ClaimStore, now: &Now, accepted: &mut Accepted) {
        let (uid, who) = (waiting.uid, waiting.who);
        let ring = match receive(waiting.connection.as_fd()) {
            Ok(None) if now.mono_ns.saturating_sub(waiting.since_ns) < HELLO_WITHIN_NS => {
                self.waiting.push(waiting);
                return;
            }
            Ok(None) => Err(Refusal::Silent),
            Ok(Some(memfd)) => RingReader::open(memfd).map_err(Refusal::Ring),
            Err(refusal) => Err(refusal),
        };
        match ring {
            Ok(ring) => {
                claims.begin(who);
                self.replace(who);
                self.peers.push(Peer { connection: waiting.connection, uid, who, ring, accepted_ns: 0 });
                accepted.begun.push(who);
            }
            Err(refusal) => accepted.refused.push((uid, who.tgid, refusal)),
        }
    }

    fn replace(&mut self, who: Identity) {
        if let Some(at) = self.peers.iter().position(|peer| peer.who == who) {
            let old = self.peers.swap_remove(at);
            self.replaced.push((who, old.ring));
        }
    }

    /// Reads every ring. A peer that has hung up is read for the last time; its claims stay until they are forgotten.
    pub fn read_new(&mut self, claims: &mut ClaimStore, now: &Now) -> Vec<Missing> {
        let mut missing = Vec::new();
        for (who, mut ring) in self.replaced.drain(..) {
            let _ = read(who, &mut ring, claims, now, &mut missing);
        }
        self.peers.retain_mut(|peer| {
            // Asked before reading: what was written before the end is read.
            let alive = is_alive(peer.connection.as_fd());
            read(peer.who, &mut peer.ring, claims, now, &mut missing) && alive
        });
        missing
    }

    /// By the kernel's word this process uses a connection that came at this time (CLOCK_MONOTONIC): it has accepted it
    /// since.
    pub fn accepted(&mut self, who: Identity, mono_ns: u64) {
        for peer in self.peers.iter_mut().filter(|peer| same_process(peer.who, who)) {
            peer.accepted_ns = peer.accepted_ns.max(mono_ns);
        }
    }

    /// Processes whose hook was silent for longer than this while they accepted connections or served requests.
    pub fn silent(&self, longer_than_ns: u64) -> impl Iterator<Item = Identity> {
        let is_silent = move |peer: &&Peer| peer.ring.silence_ns(peer.accepted_ns) > longer_than_ns;
        self.peers.iter().filter(is_silent).map(|peer| peer.who)
    }

    /// A process has ended, and its ring was read since.
    pub fn forget(&mut self, who: Identity) {
        self.peers.retain(|peer| !same_process(peer.who, who));
    }
}

impl AsFd for Handover {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        // Best effort: the next daemon replaces a file that nobody listens at.
        let _ = fs::remove_file(&self.path);
    }
}

/// False if the ring cannot be read any more.
fn read(who: Identity, ring: &mut RingReader, claims: &mut ClaimStore, now: &Now, missing: &mut Vec<Missing>) -> bool {
    let Ok(batch) = ring.read_new() else {
        missing.push(Missing { who, overrun: 0, dropped: 0, failures: 0, malformed: 1 });
        return false;
    };
    if !batch.is_whole() {
        missing.push(Missing {
            who,
            overrun: batch.overrun,
            dropped: batch.dropped,
            failures: batch.failures,
            malformed: batch.malformed,
        });
    }
    for claim in batch.claims {
        let boot_ns = now.boot_from_mono(claim.monotonic_ns);
        claims.put(who, claim, boot_ns);
    }
    true
}

/// User and process of the peer, as it was when it connected; the process is 0 if it has no number among ours.
fn credentials(connection: BorrowedFd<'_>) -> io::Result<(u32, u32)> {
    let mut found = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the descriptor is open, and the kernel writes at most `length` bytes to a live, exclusive `ucred`, of
    // which every bit pattern is a value. (rustix has a type for which a process 0 is none.)
    let failed = unsafe {
        libc::getsockopt(
            connection.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &raw mut length,
        )
    } != 0;
    if failed { Err(io::Error::last_os_error()) } else { Ok((found.uid, found.pid.cast_unsigned())) }
}

/// The memfd of a hello; `None` if there is no message yet.
fn receive(connection: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Refusal> {
    let mut hello = [0; HELLO_LEN + 1];
    // Room for one descriptor: the kernel closes what does not fit.
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = match recvmsg(connection, &mut [IoSliceMut::new(&mut hello)], &mut ancillary, flags) {
        Err(rustix::io::Errno::AGAIN) => return Ok(None),
        Err(error) => return Err(Refusal::Io(error.into())),
        Ok(received) => received,
    };
    let memfd = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut rights) => rights.next(),
        _ => None,
    });
    let expected = [&MAGIC[..], &VERSION.to_le_bytes(), &(FILE_LEN as u64).to_le_bytes()].concat();
    match memfd {
        _ if received.bytes == 0 => Err(Refusal::Silent),
        Some(memfd) if hello[..received.bytes] == expected[..] => Ok(Some(memfd)),
        _ => Err(Refusal::Hello),
    }
}

/// Whether the other end is still open. What a peer says after its hello is thrown away.
fn is_alive(connection: BorrowedFd<'_>) -> bool {
    let mut byte = [0; 1];
    match rustix::net::recv(connection, &mut byte, RecvFlags::DONTWAIT) {
        Ok((received, _)) => received > 0,
        Err(error) => error == rustix::io::Errno::AGAIN,
    }
}

#[cfg(test)]
mod tests;
