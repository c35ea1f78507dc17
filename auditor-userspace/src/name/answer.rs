//! What a name server answers: which addresses the name has that was asked for.

use std::net::IpAddr;

use auditor_common::event::PacketHead;
use domain::base::iana::{Class, Opcode, Rcode, Rtype};
use domain::base::name::{Label, ToLabelIter as _};
use domain::base::{Message, ParsedName};
use domain::rdata::{A, Aaaa, Cname};

use super::{content, host};
use crate::flow::TCP;

/// So many records of an answer are looked at, and so many addresses are taken.
const RECORDS_MAX: usize = 64;
const ADDRESSES_MAX: usize = 32;
/// A chain of other names is not followed farther than this.
const CHAIN_MAX: usize = 16;

/// What is left of an answer. Nothing else of it leaves this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What was asked for.
    pub name: String,
    /// Its addresses, and for how many seconds they hold.
    pub addresses: Vec<(IpAddr, u32)>,
}

/// Reads an answer. `None`: it is none, or has no addresses; one that is cut is read up to its end.
#[must_use]
pub fn read(event: &PacketHead) -> Option<Answer> {
    let bytes = content(event);
    // Over TCP its length comes first.
    let bytes = if event.protocol == TCP { bytes.get(2..)? } else { bytes };
    let message = Message::from_slice(bytes).ok()?;
    let header = message.header();
    if !header.qr() || header.opcode() != Opcode::QUERY || header.rcode() != Rcode::NOERROR {
        return None;
    }
    let question = message.sole_question().ok()?;
    if question.qclass() != Class::IN || !matches!(question.qtype(), Rtype::A | Rtype::AAAA) {
        return None;
    }
    let name = host(question.qname().iter_labels().map(Label::as_slice))?;
    let addresses = addresses(message, question.into_qname());
    (!addresses.is_empty()).then_some(Answer { name, addresses })
}

/// The addresses of this name, and of those that it stands for.
fn addresses<'a>(message: &'a Message<[u8]>, asked: ParsedName<&'a [u8]>) -> Vec<(IpAddr, u32)> {
    let mut names = vec![asked];
    let mut found = Vec::new();
    let Ok(section) = message.answer() else { return found };
    for record in section.take(RECORDS_MAX).map_while(Result::ok) {
        if record.class() != Class::IN || !names.contains(&record.owner()) {
            continue;
        }
        let holds = record.ttl().as_secs();
        if let Ok(Some(other)) = record.to_record::<Cname<_>>() {
            names.push(*other.data().cname());
        } else if let Ok(Some(v4)) = record.to_record::<A>() {
            found.push((IpAddr::V4(v4.data().addr()), holds));
        } else if let Ok(Some(v6)) = record.to_record::<Aaaa>() {
            found.push((IpAddr::V6(v6.data().addr()), holds));
        }
        if names.len() > CHAIN_MAX || found.len() == ADDRESSES_MAX {
            break;
        }
    }
    found
}
