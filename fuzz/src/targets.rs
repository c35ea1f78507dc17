//! What is fed with bytes. Nothing may panic; and whatever a parser accepts, it must write again to the same bytes.

use std::fs::File;
use std::io::{Cursor, Write as _};
use std::os::fd::{FromRawFd as _, OwnedFd};

use auditor_common::body::{Body, schema};
use auditor_common::checkpoint::SignedCheckpoint;
use auditor_common::endpoint::Endpoint;
use auditor_common::epoch::{SignedEpoch, SignedNode, parse_epochs};
use auditor_common::event::{HEAD_MAX, Header, PacketHead, SocketKey};
use auditor_common::export::{SignedExport, is_path};
use auditor_common::hint;
use auditor_common::note::{Note, VerifierKey};
use auditor_common::origin::Origin;
use auditor_common::proof::ProofFile;
use auditor_common::record::{ENTRY_LEN, EntryType, Row, hash_rows, to_row};
use auditor_common::tar::Archive;
use auditor_common::verify::{Expect, verify_export};
use auditor_userspace::attribute::hint::{RingReader, decode};
use auditor_userspace::catalogue::{Catalogue, Word};
use auditor_userspace::chain::Edge;
use auditor_userspace::config::file::File as ConfigFile;
use auditor_userspace::flow::{TCP, UDP};
use auditor_userspace::kernel_btf::KernelBtf;
use auditor_userspace::name::{answer, hello};
use auditor_userspace::policy::change::Change;
use auditor_userspace::store::parse_head;

use crate::http;

/// Something that is fed with bytes.
pub type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("archive", archive),
    ("body", body),
    ("btf", btf),
    ("bundle", bundle),
    ("catalogue", catalogue),
    ("checkpoint", checkpoint),
    ("config", config),
    ("edge", edge),
    ("epoch", epoch),
    ("export", export),
    ("head", head),
    ("hints", hints),
    ("http", http::question),
    ("key", key),
    ("names", names),
    ("note", note),
    ("policy", policy),
    ("proof", proof),
    ("row", row),
    ("sample", sample),
];

fn again(bytes: &[u8], written: &str) {
    assert_eq!(bytes, written.as_bytes(), "what is accepted is written again to the same bytes");
}

fn note(bytes: &[u8]) {
    if let Ok(note) = Note::parse(bytes) {
        again(bytes, &note.to_string());
    }
}

fn checkpoint(bytes: &[u8]) {
    if let Ok(signed) = SignedCheckpoint::parse(bytes) {
        again(bytes, &signed.to_string());
    }
}

fn epoch(bytes: &[u8]) {
    if let Ok(signed) = SignedEpoch::parse(bytes) {
        again(bytes, &signed.to_string());
    }
    if let Ok(signed) = parse_epochs(bytes) {
        again(bytes, &signed.iter().map(ToString::to_string).collect::<String>());
    }
    let _ = SignedNode::parse(bytes);
}

fn export(bytes: &[u8]) {
    if let Ok(signed) = SignedExport::parse(bytes) {
        again(bytes, &signed.to_string());
    }
    if let Ok(path) = std::str::from_utf8(bytes) {
        assert!(!is_path(path) || !path.contains(".."));
    }
}

fn proof(bytes: &[u8]) {
    if let Ok(file) = ProofFile::parse(bytes) {
        again(bytes, &file.to_string());
        let _ = file.check();
    }
}

fn key(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(key) = VerifierKey::parse(text) {
        again(bytes, &key.to_string());
    }
    if let Some(origin) = Origin::parse(text) {
        again(bytes, &origin.to_string());
    }
}

fn row(bytes: &[u8]) {
    let _ = hash_rows(&[bytes]);
    if let Ok(row) = Row::parse(bytes) {
        assert_eq!(to_row(&row.entry, row.salt, row.body), bytes);
        let _ = (row.leaf(), row.fits());
        let _ = Body::decode(row.entry.kind, row.entry.class, row.body);
        let _ = schema::check(row.entry.kind, row.entry.class, row.body);
    }
}

/// Type and class, then the body.
fn body(bytes: &[u8]) {
    let Some(([kind, class], bytes)) = bytes.split_first_chunk::<2>() else { return };
    let Some(kind) = EntryType::from_number(*kind) else { return };
    let class = u32::from(*class);
    let decoded = Body::decode(kind, class, bytes);
    let checked = schema::check(kind, class, bytes);
    let _ = schema::sample(class, bytes);
    if let Ok(body) = decoded {
        assert_eq!(body.encode(), bytes, "what is accepted is written again to the same bytes");
        assert_eq!(checked, Ok(()), "what is read fits its table");
    }
}

fn edge(bytes: &[u8]) {
    if let Some(edge) = Edge::parse(bytes) {
        assert_eq!(edge.to_bytes(), bytes);
        let _ = (edge.range.root(), edge.streams.root());
    }
}

fn head(bytes: &[u8]) {
    // The check sums are beyond any fuzzer: they are set, so that what is behind them is reached.
    let mut slots = vec![0; 8192];
    let len = bytes.len().min(slots.len());
    slots[..len].copy_from_slice(&bytes[..len]);
    for slot in slots.chunks_mut(4096) {
        let crc = crc32fast::hash(&slot[..4092]);
        slot[4092..].copy_from_slice(&crc.to_be_bytes());
    }
    let _ = parse_head(&slots);
    let _ = parse_head(bytes);
}

/// A tile of entries and the rest of an export, as an archive.
fn bundle(bytes: &[u8]) {
    let rows: Vec<&[u8]> = bytes.chunks_exact(2 + ENTRY_LEN).map(|entry| &entry[2..]).collect();
    let _ = hash_rows(&rows);
    if let Ok(Ok(mut archive)) = Archive::open(Cursor::new(bytes)) {
        let _ = verify_export(&mut archive, &Expect::default(), &mut |_| {});
    }
}

fn archive(bytes: &[u8]) {
    let _ = Archive::open(Cursor::new(bytes));
    let (blocks, _) = bytes.as_chunks::<512>();
    for block in blocks {
        let _ = auditor_common::tar::parse(block);
    }
}

fn sample(bytes: &[u8]) {
    let _ = auditor_userspace::decode::decode(bytes);
}

/// How a packet's content begins: whatever name is found in it is one, in its one form.
fn names(bytes: &[u8]) {
    let length = bytes.len().min(HEAD_MAX);
    let mut content = [0; HEAD_MAX];
    content[..length].copy_from_slice(&bytes[..length]);
    let (header, key, remote) = (Header::default(), SocketKey::default(), Endpoint::default());
    for protocol in [UDP, TCP] {
        let length = length as u16;
        let head = PacketHead { header, key, remote, protocol, length, _pad: 0, bytes: content };
        let answer = answer::read(&head);
        assert!(answer.iter().all(|it| !it.addresses.is_empty() && it.addresses.len() <= 32));
        for name in answer.map(|it| it.name).into_iter().chain(hello::read(&head)) {
            let plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
            assert!((1..=253).contains(&name.len()) && name.bytes().all(plain) && !name.ends_with('.'), "{name:?}");
        }
    }
}

/// The beginnings of a ring's three parts, 4 KiB each, in a file that lives in memory.
fn hints(bytes: &[u8]) {
    let (entries, _) = bytes.as_chunks::<{ hint::ENTRY_LEN }>();
    for entry in entries {
        let _ = decode(entry);
    }
    // SAFETY: the name is a string that ends with zero; the call takes no other pointers.
    let fd = unsafe { libc::memfd_create(c"hints".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    assert!(fd >= 0, "a file in memory");
    // SAFETY: the descriptor is new, and nobody else's.
    let mut file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    file.set_len(hint::FILE_LEN as u64).expect("a length");
    for (part, at) in bytes.chunks(4096).zip([0, hint::HEADER_LEN, hint::STRINGS_OFFSET]) {
        std::os::unix::fs::FileExt::write_all_at(&file, part, at as u64).expect("room");
    }
    file.flush().expect("room");
    if let Ok(mut ring) = RingReader::open(file.into()) {
        let _ = ring.read_new();
        let _ = ring.read_new();
        let _ = ring.silence_ns(0);
    }
}

fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(file) = ConfigFile::parse(text) {
        let _ = file.terms();
    }
}

fn catalogue(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut catalogue = Catalogue::built_in();
    for word in [Word::Host, Word::Instance] {
        let _ = catalogue.extend(text, word);
    }
    let _ = catalogue.vendor_of_host(Some("api.example.com"), std::net::Ipv4Addr::LOCALHOST.into());
}

/// A setting, a line feed, and its value.
fn policy(bytes: &[u8]) {
    let Some((setting, value)) = std::str::from_utf8(bytes).ok().and_then(|text| text.split_once('\n')) else { return };
    let _ = Change::read(setting, value);
}

fn btf(bytes: &[u8]) {
    let Ok(btf) = KernelBtf::parse(bytes.to_vec()) else { return };
    let _ = btf.offsets();
    let _ = (btf.offset("sock", "sk_err"), btf.size("upid"), btf.has_tracepoint("sock_send_length"));
}
