//! Real sockets, and this very process as the peer.

use std::fs::File;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use auditor_common::hint::{FILE_LEN, HEADER_LEN, MAGIC, VERSION, header};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    connect, sendmsg, socket_with,
};

use super::{HELLO_WITHIN_NS, Handover, Refusal};
use crate::attribute::Claims as _;
use crate::attribute::claims::ClaimStore;
use crate::attribute::hint::NotARing;
use crate::attribute::proc::{Proc, Processes, Seen};
use crate::clock::Now;

const NOW: Now = Now { wall_ns: 0, boot_ns: 5_000, mono_ns: 1_000 };

/// A daemon in a folder of its own.
struct Daemon {
    folder: tempfile::TempDir,
    handover: Handover,
    claims: ClaimStore,
}

impl Daemon {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let handover = Handover::bind(&folder.path().join("hints.sock")).expect("a socket");
        Self { folder, handover, claims: ClaimStore::default() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("hints.sock")
    }

    fn accept(&mut self) -> super::Accepted {
        self.handover.accept_pending(&mut self.claims, &Proc::default(), &NOW)
    }

    /// The one refusal that came of the pending connections.
    fn refusal(&mut self) -> Refusal {
        let mut accepted = self.accept();
        assert!(accepted.begun.is_empty() && accepted.refused.len() == 1, "{accepted:?}");
        let (uid, tgid, refusal) = accepted.refused.remove(0);
        let own_uid = std::fs::metadata("/proc/self").expect("this process").uid();
        assert_eq!((uid, tgid), (own_uid, std::process::id()));
        refusal
    }

    fn connect(&self) -> OwnedFd {
        dial(&self.path()).expect("a connection")
    }
}

fn dial(path: &Path) -> io::Result<OwnedFd> {
    let connection = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    connect(&connection, &SocketAddrUnix::new(path)?)?;
    Ok(connection)
}

fn hello() -> Vec<u8> {
    [&MAGIC[..], &VERSION.to_le_bytes(), &(FILE_LEN as u64).to_le_bytes()].concat()
}

fn send(connection: &OwnedFd, message: &[u8], files: &[&File]) {
    let rights: Vec<_> = files.iter().map(|file| file.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !rights.is_empty() {
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&rights)));
    }
    sendmsg(connection, &[IoSlice::new(message)], &mut ancillary, SendFlags::empty()).expect("a message");
}

fn ring() -> File {
    let fd = memfd_create("network-audit-hints", MemfdFlags::CLOEXEC).expect("a memfd");
    ftruncate(&fd, FILE_LEN as u64).expect("room");
    let file = File::from(fd);
    file.write_all_at(&MAGIC, header::MAGIC_AT as u64).expect("a write");
    file.write_all_at(&VERSION.to_le_bytes(), header::VERSION_AT as u64).expect("a write");
    file
}

/// One more claim, for this cookie.
fn claim(ring: &File, sequence: u64, cookie: u64) {
    let mut raw = [0; 64];
    raw[..8].copy_from_slice(&sequence.to_le_bytes());
    raw[8..16].copy_from_slice(&900u64.to_le_bytes());
    raw[16..24].copy_from_slice(&cookie.to_le_bytes());
    raw[58] = auditor_common::hint::operation::CONNECT;
    let checksum = auditor_common::hint::checksum(raw.first_chunk().expect("sixty bytes"));
    raw[60..].copy_from_slice(&checksum.to_le_bytes());
    ring.write_all_at(&raw, HEADER_LEN as u64 + (sequence - 1) * 64).expect("a write");
    ring.write_all_at(&sequence.to_le_bytes(), header::HEAD_AT as u64).expect("a write");
}

#[test]
fn a_ring_is_read_from_its_handover_to_its_end() {
    let mut daemon = Daemon::new();
    let (connection, ring) = (daemon.connect(), ring());
    send(&connection, &hello(), &[&ring]);
    claim(&ring, 1, 77);
    let begun = daemon.accept().begun;
    assert_eq!((begun.len(), begun[0].tgid), (1, std::process::id()));
    let who = begun[0];
    assert!(daemon.claims.has_ring(who) && daemon.claims.for_socket(who, 77, u64::MAX).is_none());
    assert_eq!(daemon.handover.read_new(&mut daemon.claims, &NOW), []);
    // 900 on the monotonic clock is 4,900 on the boot clock, which is 4,000 ahead.
    assert!(daemon.claims.for_socket(who, 77, 4_900).is_some() && daemon.claims.for_socket(who, 77, 4_899).is_none());
    claim(&ring, 2, 78);
    drop(connection);
    daemon.handover.read_new(&mut daemon.claims, &NOW);
    assert!(daemon.claims.for_socket(who, 78, u64::MAX).is_some(), "what was written before the end is read");
    assert_eq!(daemon.handover.rings(), 0);
    assert!(daemon.claims.has_ring(who), "claims stay until the process is forgotten");
}

#[test]
fn a_second_ring_of_a_process_replaces_its_first_and_loses_nothing_of_it() {
    let mut daemon = Daemon::new();
    let (first, second) = (ring(), ring());
    let connections: Vec<_> = [&first, &second]
        .into_iter()
        .map(|ring| {
            let connection = daemon.connect();
            send(&connection, &hello(), &[ring]);
            daemon.accept();
            connection
        })
        .collect();
    claim(&first, 1, 77);
    claim(&second, 1, 78);
    daemon.handover.read_new(&mut daemon.claims, &NOW);
    let who = crate::attribute::lineage::Identity {
        tgid: std::process::id(),
        start_ns: Proc::default().seen(std::process::id()).expect("this process").start_ns,
    };
    assert!(daemon.claims.for_socket(who, 77, u64::MAX).is_some());
    assert!(daemon.claims.for_socket(who, 78, u64::MAX).is_some());
    assert_eq!((daemon.handover.rings(), connections.len()), (1, 2));
}

#[test]
fn a_hello_that_is_none_is_refused() {
    let mut daemon = Daemon::new();
    let older: Vec<u8> = [&MAGIC[..], &0u32.to_le_bytes(), &(FILE_LEN as u64).to_le_bytes()].concat();
    for message in [&b"x"[..], &hello()[..19], &[hello(), vec![0]].concat(), &older] {
        let connection = daemon.connect();
        send(&connection, message, &[&ring()]);
        assert!(matches!(daemon.refusal(), Refusal::Hello), "{message:?}");
    }
    let connection = daemon.connect();
    send(&connection, &hello(), &[]);
    assert!(matches!(daemon.refusal(), Refusal::Hello), "a hello without a file");
}

#[test]
fn a_file_that_is_no_ring_is_refused() {
    let mut daemon = Daemon::new();
    let connection = daemon.connect();
    send(&connection, &hello(), &[&File::open("/dev/null").expect("a device")]);
    assert!(matches!(daemon.refusal(), Refusal::Ring(NotARing::NoMemfd)));
    assert_eq!(daemon.handover.rings(), 0);
}

#[test]
fn a_peer_that_leaves_or_says_nothing_is_sent_away() {
    let mut daemon = Daemon::new();
    drop(daemon.connect());
    assert!(matches!(daemon.refusal(), Refusal::Silent));
    let _silent = daemon.connect();
    assert!(daemon.accept().refused.is_empty());
    let later = Now { mono_ns: NOW.mono_ns + HELLO_WITHIN_NS, ..NOW };
    let accepted = daemon.handover.accept_pending(&mut daemon.claims, &Proc::default(), &later);
    assert!(matches!(accepted.refused[..], [(_, _, Refusal::Silent)]));
}

#[test]
fn a_peer_without_a_process_is_refused() {
    struct Nobody;
    impl Processes for Nobody {
        fn all(&self) -> Vec<u32> {
            Vec::new()
        }
        fn seen(&self, _: u32) -> Option<Seen> {
            None
        }
    }
    let mut daemon = Daemon::new();
    let _connection = daemon.connect();
    let accepted = daemon.handover.accept_pending(&mut daemon.claims, &Nobody, &NOW);
    assert!(matches!(accepted.refused[..], [(_, _, Refusal::Unknown)]));
}

#[test]
fn of_more_than_one_file_the_others_are_closed() {
    let mut daemon = Daemon::new();
    let open = || {
        let descriptors = std::fs::read_dir("/proc/self/fd").expect("descriptors").flatten();
        let targets = descriptors.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        targets.filter(|target| target.to_string_lossy().contains("one-too-many")).count()
    };
    let extra = File::from(memfd_create("one-too-many", MemfdFlags::CLOEXEC).expect("a memfd"));
    for files in [[&ring(), &extra], [&extra, &ring()]] {
        let connection = daemon.connect();
        send(&connection, &hello(), &files);
        daemon.accept();
        assert_eq!(open(), 1);
    }
}

#[test]
fn everybody_may_connect() {
    let daemon = Daemon::new();
    let mode = std::fs::metadata(daemon.path()).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
}

#[test]
fn a_socket_file_that_is_dead_is_replaced_and_one_that_lives_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hints.sock");
    let first = Handover::bind(&path).expect("a socket");
    assert_eq!(Handover::bind(&path).expect_err("it is taken").kind(), io::ErrorKind::AddrInUse);
    drop(first);
    assert!(!path.exists());
    // As after a crash: the file is there, and nobody listens.
    let listener =
        socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).expect("a socket");
    rustix::net::bind(&listener, &SocketAddrUnix::new(&path).expect("a path")).expect("a file");
    drop(listener);
    Handover::bind(&path).expect("the dead file is replaced");
}
