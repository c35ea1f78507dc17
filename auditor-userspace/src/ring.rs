//! Bytes out of the kernel: the reading end of the BPF ring buffer.

use aya::maps::{MapData, RingBuf};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::{io, time::Duration};

/// The reading end. There is one for a probe.
pub struct Ring {
    ring: RingBuf<MapData>,
}

impl Ring {
    pub(crate) fn new(ring: RingBuf<MapData>) -> Self {
        Self { ring }
    }

    /// Hands over every sample that is there, at most `limit`; gives how many. A sample's bytes are the kernel's memory
    /// and are given back when `each` returns.
    pub fn drain(&mut self, limit: usize, mut each: impl FnMut(&[u8])) -> usize {
        let mut samples = 0;
        while samples < limit {
            let Some(sample) = self.ring.next() else { break };
            each(&sample);
            samples += 1;
        }
        samples
    }

    /// Sleeps until there is a batch, an event about a process, or the time is over.
    ///
    /// Events about sockets alone do not wake the reader until there are many: it has to look now and then, say every
    /// 100 ms.
    pub fn wait(&self, at_most: Duration) -> io::Result<()> {
        // A time that no clock can count to is no limit.
        let at_most = Timespec::try_from(at_most).ok();
        match poll(&mut [PollFd::new(&self.ring, PollFlags::IN)], at_most.as_ref()) {
            // A signal is a reason to look.
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
