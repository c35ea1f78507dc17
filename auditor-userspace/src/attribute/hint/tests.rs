use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;

use auditor_common::hint::{ENTRIES, ENTRY_LEN, FILE_LEN, HEADER_LEN, MAGIC, STRINGS_OFFSET, VERSION, header};
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use serde_json::json;

use super::strings::{STRINGS_KEPT_BYTES_MAX, STRINGS_KEPT_MAX};
use super::{Batch, Claim, HOLE_READS_MAX, NotARing, RingReader, checksum, decode};

fn memfd(length: u64) -> OwnedFd {
    let fd = memfd_create("network-audit-hints", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).expect("a memfd");
    ftruncate(&fd, length).expect("room for a ring");
    fd
}

/// The writing side, as honest or hostile as a test wants it.
struct Writer(File);

impl Writer {
    fn new() -> Self {
        let ring = Self(memfd(FILE_LEN as u64).into());
        ring.put(header::MAGIC_AT, &MAGIC);
        ring.put(header::VERSION_AT, &VERSION.to_le_bytes());
        ring
    }

    fn reader(&self) -> RingReader {
        RingReader::open(self.0.try_clone().expect("another descriptor").into()).expect("a ring")
    }

    fn put(&self, at: usize, bytes: &[u8]) {
        self.0.write_all_at(bytes, at as u64).expect("a write within the ring");
    }

    fn head(&self, head: u64) {
        self.put(header::HEAD_AT, &head.to_le_bytes());
    }

    fn string(&self, id: usize, bytes: &[u8]) {
        self.put(STRINGS_OFFSET + id, &(bytes.len() as u16).to_le_bytes());
        self.put(STRINGS_OFFSET + id + 2, bytes);
    }

    /// An entry whose key is its number.
    fn entry(&self, sequence: u64, operation: u8, chain: u32) {
        self.put(HEADER_LEN + ((sequence - 1) as usize % ENTRIES) * ENTRY_LEN, &entry(sequence, operation, chain));
    }

    /// Honest entries up to this one.
    fn up_to(&self, from: u64, to: u64) {
        for sequence in from..=to {
            self.entry(sequence, 1, 0);
        }
        self.head(to);
    }
}

fn entry(sequence: u64, operation: u8, chain: u32) -> [u8; ENTRY_LEN] {
    let mut raw = [0; ENTRY_LEN];
    raw[..8].copy_from_slice(&sequence.to_le_bytes());
    raw[16..24].copy_from_slice(&sequence.to_le_bytes());
    raw[24..28].copy_from_slice(&chain.to_le_bytes());
    raw[58] = operation;
    sum_up(&mut raw);
    raw
}

/// Gives an entry the checksum that it should have.
fn sum_up(raw: &mut [u8; ENTRY_LEN]) {
    let checksum = checksum(raw.first_chunk().expect("sixty bytes"));
    raw[60..].copy_from_slice(&checksum.to_le_bytes());
}

fn keys(batch: &Batch) -> Vec<u64> {
    batch.claims.iter().map(|claim| claim.key).collect()
}

#[test]
fn each_claim_is_read_once() {
    let ring = Writer::new();
    let mut reader = ring.reader();
    ring.up_to(1, 3);
    assert_eq!(keys(&reader.read_new().unwrap()), [1, 2, 3]);
    assert_eq!(reader.read_new().unwrap(), Batch::default());
    ring.up_to(4, 5);
    assert_eq!(keys(&reader.read_new().unwrap()), [4, 5]);
}

#[test]
fn what_lies_in_a_ring_at_its_handover_is_read() {
    let ring = Writer::new();
    ring.up_to(1, 5000);
    let batch = ring.reader().read_new().unwrap();
    assert_eq!((batch.claims.len(), batch.claims[0].key, batch.overrun), (ENTRIES, 5000 - 4095, 0));
}

#[test]
fn going_round_the_end_loses_nothing() {
    let ring = Writer::new();
    let mut reader = ring.reader();
    for to in (1000..20_000).step_by(1000) {
        ring.up_to(to - 999, to);
        let batch = reader.read_new().unwrap();
        assert_eq!(keys(&batch), (to - 999..=to).collect::<Vec<_>>());
        assert!(batch.is_whole());
    }
}

#[test]
fn what_was_overwritten_is_counted() {
    let ring = Writer::new();
    let mut reader = ring.reader();
    ring.up_to(1, 6000);
    let batch = reader.read_new().unwrap();
    assert_eq!((batch.claims.len(), batch.overrun), (4096, 6000 - 4096));
}

#[test]
fn an_entry_that_is_overwritten_while_it_is_read_is_counted() {
    let ring = Writer::new();
    let mut reader = ring.reader();
    ring.up_to(1, 3);
    ring.entry(2 + ENTRIES as u64, 1, 0);
    let batch = reader.read_new().unwrap();
    assert_eq!((keys(&batch), batch.overrun), (vec![1, 3], 1));
}

#[test]
fn an_entry_that_is_late_is_read_when_it_is_whole() {
    let ring = Writer::new();
    let mut reader = ring.reader();
    ring.entry(1, 1, 0);
    ring.entry(3, 1, 0);
    ring.head(3);
    assert_eq!(keys(&reader.read_new().unwrap()), [1, 3]);
    ring.entry(2, 1, 0);
    let batch = reader.read_new().unwrap();
    assert_eq!(keys(&batch), [2]);
    assert!(batch.is_whole());
}

#[test]
fn an_entry_that_never_becomes_whole_is_malformed_once() {
    let ring = Writer::new();
    let mut reader = ring.reader();
    ring.head(1);
    let malformed: u64 = (0..HOLE_READS_MAX + 10).map(|_| reader.read_new().unwrap().malformed).sum();
    assert_eq!(malformed, 1);
}

#[test]
fn the_writers_own_counters_are_told_as_differences() {
    let ring = Writer::new();
    let mut reader = ring.reader();
    ring.put(header::DROPPED_AT, &3u64.to_le_bytes());
    ring.put(header::STRINGS_DROPPED_AT, &2u64.to_le_bytes());
    ring.put(header::FAILURES_AT, &7u64.to_le_bytes());
    let batch = reader.read_new().unwrap();
    assert_eq!((batch.dropped, batch.failures), (5, 7));
    assert!(reader.read_new().unwrap().is_whole());
}

#[test]
fn a_count_that_nobody_can_have_counted_is_malformed() {
    for at in [header::DROPPED_AT, header::FAILURES_AT] {
        let ring = Writer::new();
        let mut reader = ring.reader();
        ring.put(at, &(u64::MAX / 2).to_le_bytes());
        assert_eq!(reader.read_new().unwrap(), Batch { malformed: 1, ..Batch::default() });
        assert!(reader.read_new().unwrap().is_whole());
    }
}

#[test]
fn a_hook_that_is_silent_while_requests_are_served_is_noticed() {
    let ring = Writer::new();
    let mut reader = ring.reader();
    ring.put(header::HEARTBEAT_AT, &1_000u64.to_le_bytes());
    for (sequence, operation, monotonic_ns, silence_ns) in [(1, 6, 900, 0), (2, 6, 5_000, 4_000), (3, 1, 9_000, 4_000)]
    {
        let mut raw = entry(sequence, operation, 0);
        raw[8..16].copy_from_slice(&u64::to_le_bytes(monotonic_ns));
        sum_up(&mut raw);
        ring.put(HEADER_LEN + (sequence - 1) as usize * ENTRY_LEN, &raw);
        ring.head(sequence);
        assert_eq!(reader.read_new().unwrap().claims.len(), 1);
        assert_eq!(reader.silence_ns(0), silence_ns);
    }
    for (accepted_ns, silence_ns) in [(900, 4_000), (6_000, 5_000)] {
        assert_eq!(reader.silence_ns(accepted_ns), silence_ns, "the kernel's word counts as well");
    }
}

#[test]
fn a_head_that_leaps_or_goes_back_is_malformed_and_read_on_from_there() {
    for (before, after) in [(10, u64::MAX), (10, 1 << 50), (10, 3)] {
        let ring = Writer::new();
        let mut reader = ring.reader();
        ring.up_to(1, before);
        reader.read_new().unwrap();
        ring.head(after);
        assert_eq!(reader.read_new().unwrap(), Batch { malformed: 1, ..Batch::default() }, "{after}");
        assert_eq!(reader.read_new().unwrap(), Batch::default());
    }
}

#[test]
fn an_unknown_operation_is_malformed() {
    let ring = Writer::new();
    for operation in [0, 7, 255] {
        let mut reader = ring.reader();
        ring.entry(1, operation, 0);
        ring.head(1);
        assert_eq!(reader.read_new().unwrap(), Batch { malformed: 1, ..Batch::default() });
        ring.head(0);
    }
}

fn chain(id: u32, write: impl Fn(&Writer)) -> (Vec<String>, u64) {
    let ring = Writer::new();
    write(&ring);
    let mut reader = ring.reader();
    ring.entry(1, 1, id);
    ring.head(1);
    let batch = reader.read_new().unwrap();
    (batch.claims[0].chain.iter().map(ToString::to_string).collect(), batch.malformed)
}

#[test]
fn a_chain_is_its_modules() {
    let modules = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(chain(8, |ring| ring.string(8, b"vendor,mail,web")), (modules("vendor mail web"), 0));
    assert_eq!(chain(8, |ring| ring.string(8, b",,vendor,")), (modules("vendor"), 0));
    assert_eq!(chain(0, |_| ()), (vec![], 0));
}

#[test]
fn a_string_out_of_bounds_or_not_printable_is_none() {
    let last = (FILE_LEN - STRINGS_OFFSET) as u32;
    for id in [last - 1, last, last + 1, u32::MAX - 1, u32::MAX] {
        assert_eq!(chain(id, |_| ()), (vec![], 1), "{id}");
    }
    assert_eq!(chain(last - 3, |ring| ring.put(FILE_LEN - 3, &[2, 0, b'x'])), (vec![], 1));
    assert_eq!(chain(8, |ring| ring.put(STRINGS_OFFSET + 8, &[0xff; 2])), (vec![], 1));
    for bytes in [&b"a\x1b[31m"[..], b"a\nb", b"\xff\xfe", b"\xc3"] {
        assert_eq!(chain(8, |ring| ring.string(8, bytes)), (vec![], 1), "{bytes:?}");
    }
}

/// Numerical Recipes' generator: enough to fill a ring with nonsense, the same each time.
fn noise(seed: u64) -> impl Iterator<Item = u8> {
    std::iter::successors(Some(seed), |state| {
        Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
    })
    .map(|state| (state >> 56) as u8)
}

#[test]
fn a_ring_of_noise_yields_nothing_and_ends() {
    for seed in 0..8 {
        let ring = Writer::new();
        let bytes: Vec<u8> = noise(seed).take(FILE_LEN).collect();
        ring.put(16, &bytes[16..]);
        let mut reader = ring.reader();
        for head in [1, 4096, 10_000, 1 << 30, u64::MAX] {
            ring.head(head);
            assert_eq!(reader.read_new().unwrap().claims, []);
        }
    }
}

#[test]
fn whole_entries_with_strings_of_noise_stay_within_bounds() {
    let ring = Writer::new();
    let bytes: Vec<u8> = noise(1).take(FILE_LEN - STRINGS_OFFSET).collect();
    ring.put(STRINGS_OFFSET, &bytes);
    let mut reader = ring.reader();
    for sequence in 1..=40_000u64 {
        ring.entry(sequence, 1, (sequence * 13) as u32);
        if sequence % 4000 == 0 {
            ring.head(sequence);
            assert_eq!(reader.read_new().unwrap().claims.len(), 4000);
            assert!(reader.strings.kept.len() <= STRINGS_KEPT_MAX);
            assert!(reader.strings.kept_bytes <= STRINGS_KEPT_BYTES_MAX);
        }
    }
}

#[test]
fn a_ring_that_is_cut_off_under_the_reader_is_an_error() {
    let ring = Writer::new();
    let mut reader = ring.reader();
    ring.up_to(1, 10);
    ring.0.set_len(100).unwrap();
    assert!(reader.read_new().is_err());
}

#[test]
fn what_is_no_ring_is_refused_by_name() {
    let open = |fd: OwnedFd| RingReader::open(fd).expect_err("this is no ring");
    assert!(matches!(open(memfd(100)), NotARing::Size(100)));
    assert!(matches!(open(memfd(FILE_LEN as u64)), NotARing::Magic));
    let newer = Writer::new();
    newer.put(header::VERSION_AT, &9u32.to_le_bytes());
    assert!(matches!(open(newer.0.into()), NotARing::Version(9)));
    assert!(matches!(open(File::open("/dev/zero").unwrap().into()), NotARing::NoMemfd));
    let (pipe, _other_end) = std::io::pipe().unwrap();
    assert!(matches!(open(pipe.into()), NotARing::NoMemfd));
}

/// The lines of the golden: name, bytes, meaning.
fn golden() -> Vec<(String, Vec<u8>, serde_json::Value)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/hints.txt");
    let text = std::fs::read_to_string(path).expect("the golden file");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let [name, hex, json] = line.split(" | ").collect::<Vec<_>>()[..] else { panic!("no golden: {line}") };
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
            let bytes = (0..hex.len()).step_by(2).map(byte).collect();
            (name.to_owned(), bytes, serde_json::from_str(json).expect("JSON"))
        })
        .collect()
}

#[test]
fn entries_are_read_as_the_golden_says() {
    let golden = golden();
    let entries: Vec<_> = golden.iter().filter(|(name, ..)| name.starts_with("entry ")).collect();
    assert!(entries.len() >= 12, "the golden file has only {} entries", entries.len());
    for (name, bytes, expected) in entries {
        let found = decode(bytes.as_slice().try_into().expect("64 bytes")).map(|entry| {
            json!({
                "sequence": entry.sequence, "monotonic_ns": entry.monotonic_ns, "key": entry.key,
                "chain": entry.chain, "site": entry.site, "origin": entry.origin, "database": entry.database,
                "detail": entry.detail.map(|byte| format!("{byte:02x}")).concat(), "port": entry.port,
                "operation": entry.operation, "channel": entry.channel,
            })
        });
        assert_eq!(found.unwrap_or_default(), *expected, "{name}");
    }
}

#[test]
fn a_ring_in_use_is_read_as_the_golden_says() {
    let ring = Writer::new();
    let mut expected = Vec::new();
    for (name, bytes, meaning) in golden() {
        match name.as_str() {
            "ring header" => ring.put(0, &bytes),
            "ring entries" => ring.put(HEADER_LEN, &bytes),
            "ring strings" => {
                ring.put(STRINGS_OFFSET, &bytes);
                expected = meaning.as_array().expect("claims").clone();
            }
            _ => {}
        }
    }
    let batch = ring.reader().read_new().unwrap();
    assert!(batch.is_whole() && !expected.is_empty());
    assert_eq!(batch.claims.iter().map(as_json).collect::<Vec<_>>(), expected);
}

fn as_json(claim: &Claim) -> serde_json::Value {
    json!({
        "operation": format!("{:?}", claim.operation).to_lowercase(),
        "key": claim.key, "chain": claim.chain.iter().map(|module| &**module).collect::<Vec<_>>(),
        "site": claim.site.as_deref(), "origin": claim.origin.as_deref(), "database": claim.database.as_deref(),
        "method": claim.method(), "arguments": claim.arguments(), "piece_len": claim.piece_len(),
        "channel": claim.channel(), "ambiguous": claim.marks.ambiguous, "generated": claim.marks.generated, "foreign": claim.marks.foreign,
        "remote": claim.remote().map(|remote| format!("{:?}:{}", remote.octets(), remote.port)),
    })
}
