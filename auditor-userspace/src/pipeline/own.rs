//! The daemon's own traffic: watched as an audited process's is, counted, and none of an instance's. None is wanted.

use std::collections::{BTreeMap, HashSet};

use auditor_common::body::{Body, Egress};
use auditor_common::endpoint::Endpoint;
use auditor_common::event::flag;

use super::Pipeline;
use crate::clock::Now;
use crate::decode::Event;

/// The daemon's processes, and where they went since it was recorded last.
#[derive(Debug, Default)]
pub(super) struct Own {
    processes: HashSet<u32>,
    went: BTreeMap<(u16, [u8; 16], u16), u64>,
}

impl Own {
    /// Whether a process is the daemon's.
    pub(super) fn has(&self, tgid: u32) -> bool {
        self.processes.contains(&tgid)
    }

    /// Takes an event, if it is about one of the daemon's processes.
    pub(super) fn observe(&mut self, event: &Event) -> bool {
        if !self.has(event.header().tgid) {
            return false;
        }
        match event {
            Event::Connect(it) | Event::Datagram(it) => self.goes(it.protocol, &it.remote),
            Event::FirstUse(it) if it.header.flags & flag::INBOUND == 0 => self.goes(it.protocol, &it.remote),
            Event::Fork(it) => {
                self.processes.insert(it.child_tgid);
            }
            Event::Exit(it) => {
                self.processes.remove(&it.header.tgid);
            }
            _ => {}
        }
        true
    }

    fn goes(&mut self, protocol: u16, remote: &Endpoint) {
        *self.went.entry((protocol, remote.address, remote.port)).or_default() += 1;
    }
}

impl Pipeline {
    /// From now on the kernel half tells of this process's own sockets as well.
    pub(super) fn watch_ourselves(&mut self) -> anyhow::Result<()> {
        let tgid = std::process::id();
        let start_ns = self.exact_starts()?.get(&tgid).copied();
        let Some(start_ns) = start_ns else { return Ok(()) };
        self.own.processes.insert(tgid);
        Ok(self.parts.probe.audit(tgid, start_ns)?)
    }

    /// Records where the daemon itself went.
    pub(super) fn record_egress(&mut self, now: Now) -> anyhow::Result<()> {
        for ((protocol, address, port), flows) in std::mem::take(&mut self.own.went) {
            let remote = Endpoint::v6(address, port);
            tracing::error!(flows, "the daemon itself went to {}", crate::serve::wire::socket_address(&remote));
            self.append(Body::Egress(Egress { protocol, remote, flows, configured: false }), now)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use auditor_common::endpoint::Endpoint;
    use auditor_common::event::{Connect, Exit, Fork, Header};

    use super::Own;
    use crate::decode::Event;

    fn header(tgid: u32) -> Header {
        Header { tgid, ..Header::default() }
    }

    fn connect(tgid: u32) -> Event {
        let remote = Endpoint::v4([192, 0, 2, 1], 443);
        Event::Connect(Connect { header: header(tgid), protocol: 6, remote, ..Connect::default() })
    }

    #[test]
    fn the_daemon_and_its_children_are_counted_and_nobody_else_is() {
        let mut own = Own::default();
        own.processes.insert(7);
        assert!(own.observe(&connect(7)) && !own.observe(&connect(8)));
        assert!(own.observe(&Event::Fork(Fork { header: header(7), child_tgid: 8, ..Fork::default() })));
        assert!(own.observe(&connect(8)));
        assert_eq!(own.went.values().copied().collect::<Vec<_>>(), [2]);
        assert!(own.observe(&Event::Exit(Exit { header: header(8), ..Exit::default() })));
        assert!(!own.observe(&connect(8)), "the number is another's now");
    }
}
