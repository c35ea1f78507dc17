//! `FORMAT.md` against the code: every table of offsets, keys and numbers in it is compared with what the code has.
#![cfg(feature = "user")]

use std::mem::{offset_of, size_of};

use auditor_common::body::schema::{ATTRIBUTION, BODIES, Field, HOOK, Kind, PROCESS};
use auditor_common::endpoint::Endpoint;
use auditor_common::event::{
    self, Closed, Connect, Established, Exec, Exit, Fork, Guard, Header, PacketHead, SocketKey,
};
use auditor_common::gap::Gap;
use auditor_common::hint::{self, channel, header};
use auditor_common::record::{self, EntryType, at};

const TEXT: &str = include_str!("../FORMAT.md");

/// The cells of the table under the heading that begins with these words, without its head.
fn table(heading: &str) -> Vec<Vec<String>> {
    let start = TEXT.find(&format!("\n### {heading}")).unwrap_or_else(|| panic!("no section \"{heading}\""));
    let rows: Vec<Vec<String>> = TEXT[start + 1..]
        .lines()
        .skip(1)
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect())
        .collect();
    rows[2..].to_vec()
}

/// The offsets, lengths and names of a structure's table.
fn fields(heading: &str) -> Vec<(usize, usize, String)> {
    table(heading).iter().map(|row| (row[0].parse().unwrap(), row[1].parse().unwrap(), row[2].clone())).collect()
}

fn check(heading: &str, size: usize, expected: &[(usize, &str)]) {
    assert!(heading.contains(&format!("({size} bytes)")), "{heading}: {size} bytes");
    let found = fields(heading);
    let ends = expected.iter().skip(1).map(|(offset, _)| *offset).chain([size]);
    let expected: Vec<_> =
        expected.iter().zip(ends).map(|((offset, name), end)| (*offset, end - offset, (*name).to_owned())).collect();
    assert_eq!(found, expected, "{heading}");
}

macro_rules! structure {
    ($heading:literal, $type:ty, $($field:ident),+) => {
        check($heading, size_of::<$type>(), &[$((offset_of!($type, $field), stringify!($field))),+])
    };
}

#[test]
fn events_lie_where_the_format_says() {
    structure!(
        "Header (48 bytes)",
        Header,
        kind,
        layout,
        flags,
        cpu,
        kseq,
        boot_ns,
        process_start_ns,
        cgroup,
        tgid,
        tid
    );
    structure!("SocketKey (16 bytes)", SocketKey, cookie, generation, netns);
    structure!("Endpoint (24 bytes)", Endpoint, address, port, _pad);
    structure!(
        "Connect (112 bytes)",
        Connect,
        header,
        key,
        remote,
        protocol,
        family,
        _pad,
        previous_sent,
        previous_received
    );
    structure!("Established (120 bytes)", Established, header, key, local, remote, protocol, family, _pad);
    structure!("Closed (88 bytes)", Closed, header, key, sent, received, error, state_before, protocol);
    structure!("Fork (64 bytes)", Fork, header, child_start_ns, child_tgid, parent_ns_tid);
    structure!("Exec (192 bytes)", Exec, header, comm, filename, arguments, _pad);
    structure!("Exit (56 bytes)", Exit, header, code, _pad);
    structure!("Guard (88 bytes)", Guard, header, key, target_start_ns, target_tgid, what, family, protocol, _pad);
    structure!("PacketHead (2144 bytes)", PacketHead, header, key, remote, protocol, length, _pad, bytes);
}

#[test]
fn events_have_the_numbers_of_the_format() {
    use event::{flag, kind};
    assert_eq!(event::LAYOUT, 1);
    for (number, name, structure) in [
        (kind::CONNECT, "CONNECT", "Connect"),
        (kind::DATAGRAM, "DATAGRAM", "Connect"),
        (kind::ESTABLISHED, "ESTABLISHED", "Established"),
        (kind::CLOSED, "CLOSED", "Closed"),
        (kind::RELEASED, "RELEASED", "Closed"),
        (kind::FIRST_USE, "FIRST_USE", "Established"),
        (kind::LISTEN, "LISTEN", "Established"),
        (kind::FORK, "FORK", "Fork"),
        (kind::EXEC, "EXEC", "Exec"),
        (kind::EXIT, "EXIT", "Exit"),
        (kind::GUARD, "GUARD", "Guard"),
        (kind::ANSWER, "ANSWER", "PacketHead"),
        (kind::HELLO, "HELLO", "PacketHead"),
    ] {
        let heading = TEXT.lines().find(|line| line.starts_with(&format!("### {structure} ("))).unwrap();
        assert!(heading.contains(&format!("{number} {name}")), "{heading}: {number} {name}");
    }
    for (bit, name) in [
        (flag::INTERRUPT, "INTERRUPT"),
        (flag::INBOUND, "INBOUND"),
        (flag::OPENED_BEFORE, "OPENED_BEFORE"),
        (flag::MEASURED, "MEASURED"),
    ] {
        assert!(TEXT.contains(&format!("{bit} {name}")), "{bit} {name}");
    }
    assert_eq!(flag::CANDIDATE, 8);
}

#[test]
fn hints_lie_where_the_format_says() {
    let expected = [
        (header::MAGIC_AT, "MAGIC"),
        (header::VERSION_AT, "VERSION"),
        (header::PID_AT, "PID"),
        (header::BOOT_ID_AT, "BOOT_ID"),
        (header::HEAD_AT, "HEAD"),
        (header::DROPPED_AT, "DROPPED"),
        (header::FAILURES_AT, "FAILURES"),
        (header::HEARTBEAT_AT, "HEARTBEAT"),
        (header::STRINGS_USED_AT, "STRINGS_USED"),
        (header::STRINGS_DROPPED_AT, "STRINGS_DROPPED"),
    ];
    let found: Vec<_> = fields("Hint header").into_iter().map(|(offset, _, name)| (offset, name)).collect();
    assert_eq!(found, expected.map(|(offset, name)| (offset, name.to_owned())));
    let (offset, len, _) = fields("Hint header").pop().unwrap();
    assert_eq!(offset + len, header::LEN);

    let entry = fields("Hint entry (64 bytes)");
    let mut next = 0;
    for (offset, len, name) in &entry {
        assert_eq!(*offset, next, "{name}");
        next += len;
    }
    assert_eq!(next, hint::ENTRY_LEN);
    for (place, len) in [
        (0, hint::HEADER_LEN),
        (hint::HEADER_LEN, hint::ENTRIES * hint::ENTRY_LEN),
        (hint::STRINGS_OFFSET, hint::STRINGS_LEN),
    ] {
        assert!(TEXT.contains(&format!("| {place} | {len} |")), "{place} {len}");
    }
    assert!(TEXT.contains(&format!("of {} bytes: a header page", hint::FILE_LEN)));
    let names: Vec<String> = channel::NAMES.iter().enumerate().map(|(i, name)| format!("{i} {name}")).collect();
    assert!(TEXT.replace('\n', " ").contains(&names.join(", ")));
}

#[test]
fn the_entry_lies_where_the_format_says() {
    check(
        "Entry (160 bytes)",
        record::ENTRY_LEN,
        &[
            (at::MAGIC, "magic"),
            (at::TYPE, "type"),
            (at::FLAGS, "flags"),
            (at::SCHEMA, "schema"),
            (at::SEQ, "seq"),
            (at::WALL_NS, "wall_ns"),
            (at::BOOT_NS, "boot_ns"),
            (at::RUN, "run"),
            (at::EPOCH, "epoch"),
            (at::CLASS, "class"),
            (at::BODY_LEN, "body_len"),
            (at::STREAM_PREV, "stream_prev"),
            (at::STREAM_N, "stream_n"),
            (at::STREAM_TAG, "stream_tag"),
            (at::LOG_TAG, "log_tag"),
            (at::PREV, "prev"),
            (at::BODY_COMMIT, "body_commit"),
        ],
    );
    assert!(TEXT.contains(&format!("at most {}", record::MAX_BODY)));
}

/// A value as `FORMAT.md` writes it.
fn words(kind: Kind) -> String {
    match kind {
        Kind::Uint(u64::MAX) => "uint".to_owned(),
        Kind::Uint(max) => format!("uint ≤ {max}"),
        Kind::Between(min, max) => format!("uint {min} to {max}"),
        Kind::Null => "null".to_owned(),
        Kind::Bool => "bool".to_owned(),
        Kind::Text => "text".to_owned(),
        Kind::Bytes(len) => format!("bytes {len}"),
        Kind::AnyBytes => "bytes".to_owned(),
        Kind::Address => "address".to_owned(),
        Kind::Map(fields) => {
            let maps = [("process", PROCESS), ("attribution", ATTRIBUTION), ("hook", HOOK)];
            let name = maps.iter().find(|(_, map)| std::ptr::eq(*map, fields)).unwrap().0;
            format!("map {name}")
        }
        Kind::Array(kind) => format!("array of {}", words(*kind)),
        Kind::Tuple(kinds) => {
            format!("array [{}]", kinds.iter().map(|kind| words(*kind)).collect::<Vec<_>>().join(", "))
        }
        Kind::Maybe(kind) => format!("{} or null", words(*kind)),
        Kind::Several(kind) => format!("array of {}; or absent", words(*kind)),
    }
}

fn check_keys(heading: &str, expected: &[Field]) {
    let found: Vec<_> = table(heading).iter().map(|row| (row[0].clone(), row[1].clone(), row[2].clone())).collect();
    let expected: Vec<_> =
        expected.iter().map(|field| (field.key.to_string(), field.name.to_owned(), words(field.kind))).collect();
    assert_eq!(found, expected, "{heading}");
}

#[test]
fn bodies_have_the_keys_that_the_format_says() {
    for (name, fields) in [("process", PROCESS), ("attribution", ATTRIBUTION), ("hook", HOOK)] {
        check_keys(&format!("map {name}"), fields);
    }
    for (kind, class, name, fields) in BODIES {
        check_keys(&format!("{name} (type {}, class {class})", *kind as u8), fields);
    }
    // And there is no table of a body that does not exist.
    let bodies = TEXT.lines().filter(|line| line.starts_with("### ") && line.contains("(type ")).count();
    assert_eq!(bodies, BODIES.len());
    for kind in EntryType::ALL {
        assert!(TEXT.contains(&format!("### {}", kind.name())), "{}", kind.name());
    }
}

#[test]
fn gaps_have_the_numbers_that_the_format_says() {
    let found: Vec<_> = table("Gaps").iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let expected: Vec<_> = Gap::ALL.iter().map(|gap| ((*gap as u8).to_string(), gap.word().to_owned())).collect();
    assert_eq!(found, expected);
}
