use std::net::IpAddr;

use auditor_common::body::NameSource;
use auditor_common::endpoint::Endpoint;
use auditor_common::event::{HEAD_MAX, Header, PacketHead, SocketKey};
use domain::base::iana::{Class, Rcode, Rtype};
use domain::base::{Message, MessageBuilder, Name, Ttl};
use domain::rdata::{A, Aaaa, Cname};

use super::{ADDRESSES_MAX, AT_ONCE_NS, Answer, HOLDS_MIN_NS, NAMES_MAX, Names, OF_FLOW_MAX, answer, hello};
use crate::flow::{TCP, UDP};

const SECOND: u64 = 1_000_000_000;

fn packet(protocol: u16, content: &[u8]) -> PacketHead {
    let length = content.len().min(HEAD_MAX);
    let mut bytes = [0; HEAD_MAX];
    bytes[..length].copy_from_slice(&content[..length]);
    let remote = Endpoint::v4([127, 0, 0, 53], 53);
    let length = u16::try_from(length).expect("it is bounded");
    PacketHead { header: Header::default(), key: SocketKey::default(), remote, protocol, length, _pad: 0, bytes }
}

fn name(text: &str) -> Name<Vec<u8>> {
    text.parse().expect("a name")
}

/// An answer to a question for `asked`, with these records: `OWNER a 192.0.2.1`, `OWNER aaaa ::1`, `OWNER cname OTHER`.
fn answered(asked: &str, kind: Rtype, code: Rcode, records: &[&str]) -> Vec<u8> {
    let mut question = MessageBuilder::new_vec().question();
    question.push((name(asked), kind)).expect("there is room");
    let question = question.into_message();
    let mut answer = MessageBuilder::new_vec().start_answer(&question, code).expect("there is room");
    for record in records {
        let [owner, kind, value] = record.split(' ').collect::<Vec<_>>()[..] else { panic!("{record}") };
        let head = (name(owner), Class::IN, Ttl::from_secs(30));
        match kind {
            "a" => answer.push((head.0, head.1, head.2, A::new(value.parse().expect("an address")))),
            "aaaa" => answer.push((head.0, head.1, head.2, Aaaa::new(value.parse().expect("an address")))),
            _ => answer.push((head.0, head.1, head.2, Cname::new(name(value)))),
        }
        .expect("there is room");
    }
    answer.finish()
}

fn check(content: &[u8], expected: Option<(&str, &[&str])>) {
    let expected = expected.map(|(name, addresses)| Answer {
        name: name.to_owned(),
        addresses: addresses.iter().map(|it| (it.parse().expect("an address"), 30)).collect(),
    });
    assert_eq!(answer::read(&packet(UDP, content)), expected);
    let length = u16::try_from(content.len()).expect("it is short");
    assert_eq!(answer::read(&packet(TCP, &[&length.to_be_bytes()[..], content].concat())), expected, "over TCP");
}

#[test]
fn an_answer_gives_the_name_that_was_asked_for_and_its_addresses() {
    let v4 = answered("ERP.Example.com", Rtype::A, Rcode::NOERROR, &["erp.example.com a 192.0.2.1"]);
    check(&v4, Some(("erp.example.com", &["192.0.2.1"])));
    let both = ["a.example.com a 192.0.2.1", "a.example.com a 192.0.2.2"];
    check(
        &answered("a.example.com", Rtype::A, Rcode::NOERROR, &both),
        Some(("a.example.com", &["192.0.2.1", "192.0.2.2"])),
    );
    let v6 = answered("a.example.com", Rtype::AAAA, Rcode::NOERROR, &["a.example.com aaaa 2001:db8::1"]);
    check(&v6, Some(("a.example.com", &["2001:db8::1"])));
}

#[test]
fn a_chain_of_other_names_ends_at_the_name_that_was_asked_for() {
    let chain =
        ["www.example.com cname secret.cdn.example", "secret.cdn.example cname x.example", "x.example a 192.0.2.9"];
    check(&answered("www.example.com", Rtype::A, Rcode::NOERROR, &chain), Some(("www.example.com", &["192.0.2.9"])));
    let mut round = vec!["a.example cname b.example"; 40];
    round.push("b.example a 192.0.2.9");
    check(&answered("a.example", Rtype::A, Rcode::NOERROR, &round), None);
}

#[test]
fn what_was_not_asked_for_is_no_answer() {
    let stray = answered("a.example", Rtype::A, Rcode::NOERROR, &["b.example a 192.0.2.1"]);
    check(&stray, None);
    check(&answered("a.example", Rtype::A, Rcode::NXDOMAIN, &["a.example a 192.0.2.1"]), None);
    check(&answered("a.example", Rtype::MX, Rcode::NOERROR, &["a.example a 192.0.2.1"]), None);
    check(&answered("a.example", Rtype::A, Rcode::NOERROR, &[]), None);
    let mut question = MessageBuilder::new_vec().question();
    question.push((name("a.example"), Rtype::A)).expect("there is room");
    check(&question.into_message().into_octets(), None);
    check(b"", None);
    check(&[0xff; 60], None);
}

#[test]
fn a_name_that_is_no_hosts_is_not_taken() {
    for asked in ["a b.example", "a\\000.example", "\\195\\164.example", "192.0.2.1"] {
        let record = format!("{asked} a 192.0.2.1");
        let records = if asked.contains(' ') { vec![] } else { vec![record.as_str()] };
        assert_eq!(answer::read(&packet(UDP, &answered(asked, Rtype::A, Rcode::NOERROR, &records))), None, "{asked}");
    }
}

#[test]
fn an_answer_that_is_cut_is_read_up_to_its_end() {
    let records: Vec<String> = (0..4).map(|last| format!("a.example a 192.0.2.{last}")).collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    let whole = answered("a.example", Rtype::A, Rcode::NOERROR, &records);
    for length in 0..whole.len() {
        let read = answer::read(&packet(UDP, &whole[..length])).map_or(0, |it| it.addresses.len());
        let lengths: usize = Message::from_octets(&whole[..]).expect("a message").as_slice().len();
        let behind = lengths - length;
        // Each of the four records is as long as the others: two bytes of name, ten of head, four of address.
        let gone = behind.div_ceil(whole_record(&whole));
        assert_eq!(read, 4_usize.saturating_sub(gone), "{length} of {lengths}");
    }
}

/// How long one record of the answer above is: its owner is not compressed.
fn whole_record(whole: &[u8]) -> usize {
    (whole.len() - 12 - name("a.example").as_slice().len() - 4) / 4
}

/// A ClientHello with these extensions, in records of at most `most` bytes.
fn greeted(extensions: &[(u16, Vec<u8>)], most: usize) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(2);
    body.extend([9; 2]);
    body.extend([0, 2, 0x13, 1, 1, 0]);
    let mut tail = Vec::new();
    for (kind, content) in extensions {
        tail.extend(kind.to_be_bytes());
        tail.extend(u16::try_from(content.len()).expect("it is short").to_be_bytes());
        tail.extend(content);
    }
    body.extend(u16::try_from(tail.len()).expect("it is short").to_be_bytes());
    body.extend(tail);
    let length = u32::try_from(body.len()).expect("it is short").to_be_bytes();
    let handshake = [&[1], &length[1..], &body].concat();
    let record = |piece: &[u8]| {
        let length = u16::try_from(piece.len()).expect("it is short").to_be_bytes();
        [&[22, 3, 1], &length[..], piece].concat()
    };
    handshake.chunks(most).flat_map(record).collect()
}

fn names(text: &[u8]) -> (u16, Vec<u8>) {
    let length = u16::try_from(text.len()).expect("it is short");
    (0, [&(length + 3).to_be_bytes()[..], &[0], &length.to_be_bytes(), text].concat())
}

#[test]
fn the_servers_name_is_found_wherever_it_stands() {
    let key = || (51, vec![5; 1216]);
    let check = |content: &[u8], expected: Option<&str>| {
        assert_eq!(hello::read(&packet(TCP, content)).as_deref(), expected);
    };
    check(&greeted(&[names(b"Erp.Example.COM")], 16_384), Some("erp.example.com"));
    check(&greeted(&[key(), (16, vec![]), names(b"erp.example.com")], 16_384), Some("erp.example.com"));
    check(&greeted(&[key(), names(b"erp.example.com")], 100), Some("erp.example.com"));
    // Behind what is copied there may be more of it.
    check(&greeted(&[names(b"erp.example.com"), key(), key()], 16_384), Some("erp.example.com"));
    check(&greeted(&[key(), key(), names(b"erp.example.com")], 16_384), None);
    check(&greeted(&[key()], 16_384), None);
    check(&greeted(&[names(b"192.0.2.1")], 16_384), None);
    check(&greeted(&[names(b"a b.example")], 16_384), None);
    check(&greeted(&[names(b"public.example"), (0xfe0d, vec![0; 40])], 16_384), None);
    check(&greeted(&[names(&[b'a'; 300])], 16_384), None);
    check(b"", None);
}

#[test]
fn no_cut_of_a_greeting_gives_another_name() {
    let whole = greeted(&[(43, vec![2, 3, 4]), names(b"erp.example.com"), (10, vec![0, 2, 0, 29])], 16_384);
    for length in 0..whole.len() {
        let read = hello::read(&packet(TCP, &whole[..length]));
        assert!(read.is_none() || read.as_deref() == Some("erp.example.com"), "{length}");
    }
}

const REMOTE: Endpoint = Endpoint::v4([192, 0, 2, 1], 443);

fn at(boot_ns: u64, tid: u32) -> Header {
    Header { boot_ns, tgid: 7, tid, ..Header::default() }
}

fn says(name: &str) -> Answer {
    Answer { name: name.to_owned(), addresses: vec![(IpAddr::from([192, 0, 2, 1]), 60)] }
}

/// What a flow to the address is called that begins at this second.
fn called(names: &Names, second: u64, tid: u32) -> Vec<String> {
    names.of("a", &at(second * SECOND, tid), &REMOTE).into_iter().map(|it| it.name).collect()
}

#[test]
fn an_address_is_called_what_was_asked_for_before() {
    let mut names = Names::default();
    names.answered("a", &at(10 * SECOND, 1), &says("one.example"), NameSource::Dns);
    assert_eq!(called(&names, 9, 1), [""; 0], "it was not answered yet");
    assert_eq!(called(&names, 10, 1), ["one.example"]);
    assert_eq!(names.of("b", &at(10 * SECOND, 1), &REMOTE), [], "another instance's look-up says nothing");
    assert_eq!(names.of("a", &at(10 * SECOND, 1), &Endpoint::v4([192, 0, 2, 2], 443)), []);
    let end = 10 + HOLDS_MIN_NS / SECOND;
    assert_eq!(called(&names, end - 1, 2), ["one.example"]);
    assert_eq!(called(&names, end, 2), [""; 0], "it does not hold for ever");
}

#[test]
fn what_this_thread_asked_for_just_now_is_the_name_and_otherwise_all_are() {
    let mut names = Names::default();
    names.answered("a", &at(SECOND, 1), &says("one.example"), NameSource::Dns);
    names.answered("a", &at(2 * SECOND, 2), &says("two.example"), NameSource::Claim);
    assert_eq!(called(&names, 2, 1), ["one.example"]);
    assert_eq!(called(&names, 2, 2), ["two.example"]);
    assert_eq!(called(&names, 3, 3), ["two.example", "one.example"]);
    assert_eq!(called(&names, 2 + AT_ONCE_NS / SECOND, 1), ["two.example", "one.example"]);
    let sources: Vec<NameSource> = names.of("a", &at(3 * SECOND, 3), &REMOTE).iter().map(|it| it.source).collect();
    assert_eq!(sources, [NameSource::Claim, NameSource::Dns]);
    names.forget("a");
    assert_eq!(called(&names, 2, 1), [""; 0]);
}

#[test]
fn names_have_bounds() {
    let mut names = Names::default();
    for number in 0..2 * NAMES_MAX as u64 {
        names.answered("a", &at(SECOND + number, 1), &says(&format!("n{number}.example")), NameSource::Dns);
    }
    assert_eq!(called(&names, 2, 9).len(), OF_FLOW_MAX);
    for number in 0..=ADDRESSES_MAX as u32 {
        let address = IpAddr::from((u32::from(std::net::Ipv4Addr::new(10, 0, 0, 0)) + number).to_be_bytes());
        let answer = Answer { name: "many.example".into(), addresses: vec![(address, u32::MAX)] };
        names.answered("a", &at(SECOND, 1), &answer, NameSource::Dns);
    }
    assert_eq!(called(&names, 2, 9), [""; 0], "the address that came first went first");
}
