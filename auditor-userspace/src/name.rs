//! Names of the other end, as the kernel sees them: answers that an instance received, and the server's name in its
//! TLS handshakes.
//!
//! An address has a name for as long as the answer says, within bounds; what is oldest goes. Of a packet nothing is kept
//! but the name that was asked for, or greeted.

pub mod answer; // a name server's answer -> the name that was asked for, and its addresses
pub mod hello; // a ClientHello -> the server's name
pub mod resolvers; // which name servers are the host's choice

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use auditor_common::body::{NameSource, Named};
use auditor_common::endpoint::Endpoint;
use auditor_common::event::{Header, PacketHead};

use crate::destination::address;
use answer::Answer;

/// Addresses of each instance that have names, names of each of them, and instances at once.
const ADDRESSES_MAX: usize = 8192;
const NAMES_MAX: usize = 8;
const INSTANCES_MAX: usize = 1024;
/// So many names of one flow are recorded.
const OF_FLOW_MAX: usize = 4;
/// An answer holds no shorter than this, since programs keep addresses longer than they were told to, and no longer
/// than that, nanoseconds.
const HOLDS_MIN_NS: u64 = 10 * 60 * 1_000_000_000;
const HOLDS_MAX_NS: u64 = 24 * 3600 * 1_000_000_000;
/// A thread that looks a name up goes there within this time, nanoseconds.
const AT_ONCE_NS: u64 = 5_000_000_000;
/// The longest name, bytes (RFC 1035).
const NAME_MAX: usize = 253;

/// That an address has a name.
#[derive(Clone, Debug)]
struct Known {
    name: String,
    source: NameSource,
    /// Which thread asked: process and thread.
    asked: (u32, u32),
    answered_ns: u64,
    until_ns: u64,
}

/// The names of one instance's addresses, each address's newest last; the address that came first going first.
#[derive(Debug, Default)]
struct Addresses {
    names: HashMap<IpAddr, VecDeque<Known>>,
    order: VecDeque<IpAddr>,
}

impl Addresses {
    fn put(&mut self, address: IpAddr, known: Known) {
        let names = self.names.entry(address).or_insert_with(|| {
            self.order.push_back(address);
            VecDeque::new()
        });
        // Another thread's answer stays: that thread may be about to go there.
        names.retain(|it| (&it.name, it.asked) != (&known.name, known.asked) && it.until_ns > known.answered_ns);
        if names.len() == NAMES_MAX {
            names.pop_front();
        }
        names.push_back(known);
        if self.order.len() > ADDRESSES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
    }
}

/// What the instances' addresses are called.
#[derive(Debug, Default)]
pub struct Names {
    instances: HashMap<String, Addresses>,
}

impl Names {
    /// An instance received an answer; `header` is the event's.
    pub fn answered(&mut self, instance: &str, header: &Header, answer: &Answer, source: NameSource) {
        if !self.instances.contains_key(instance) {
            if self.instances.len() == INSTANCES_MAX {
                return;
            }
            self.instances.insert(instance.to_owned(), Addresses::default());
        }
        let Some(addresses) = self.instances.get_mut(instance) else { return };
        for &(address, seconds) in &answer.addresses {
            let holds_ns = (u64::from(seconds) * 1_000_000_000).clamp(HOLDS_MIN_NS, HOLDS_MAX_NS);
            let known = Known {
                name: answer.name.clone(),
                source,
                asked: (header.tgid, header.tid),
                answered_ns: header.boot_ns,
                until_ns: header.boot_ns.saturating_add(holds_ns),
            };
            addresses.put(address.to_canonical(), known);
        }
    }

    /// The names of a flow's other end, by answers that came before it began; the newest first. What this very thread
    /// asked for just now is its name, whatever else the address is called.
    #[must_use]
    pub fn of(&self, instance: &str, header: &Header, remote: &Endpoint) -> Vec<Named> {
        let address = address(remote);
        let Some(names) = self.instances.get(instance).and_then(|it| it.names.get(&address)) else { return Vec::new() };
        let held = |it: &&Known| it.answered_ns <= header.boot_ns && header.boot_ns < it.until_ns;
        let newest = || names.iter().rev().filter(held);
        let own =
            newest().find(|it| it.asked == (header.tgid, header.tid) && header.boot_ns - it.answered_ns <= AT_ONCE_NS);
        let mut found: Vec<Named> = Vec::new();
        for it in own.map_or_else(|| newest().collect(), |own| vec![own]) {
            if found.len() < OF_FLOW_MAX && !found.iter().any(|other| other.name == it.name) {
                found.push(Named { name: it.name.clone(), source: it.source });
            }
        }
        found
    }

    /// An instance is gone.
    pub fn forget(&mut self, instance: &str) {
        self.instances.remove(instance);
    }
}

/// The bytes of a packet that are there.
fn content(event: &PacketHead) -> &[u8] {
    event.bytes.get(..event.length.into()).unwrap_or(&event.bytes)
}

/// A host's name in its one form, out of its labels; `None` if it is none.
fn host<'a>(labels: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    let mut name = String::new();
    for label in labels.filter(|label| !label.is_empty()) {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !label.iter().all(is_plain) {
            return None;
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.extend(label.iter().map(|byte| char::from(byte.to_ascii_lowercase())));
        if name.len() > NAME_MAX {
            return None;
        }
    }
    (!name.is_empty() && name.parse::<IpAddr>().is_err()).then_some(name)
}
