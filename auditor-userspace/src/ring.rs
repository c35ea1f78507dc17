//! Bytes out of the kernel: the reading end of the BPF ring buffer.

use aya::maps::{MapData, RingBuf};
use std::{
    io,
    os::fd::{AsRawFd as _, RawFd},
    time::Duration,
};

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

    /// Sleeps until there is a batch, an event about a process, or the time is over. `Ok(true)`: there is something.
    ///
    /// Events about sockets alone do not wake the reader until there are many: it has to look now and then, say every
    /// 100 ms.
    pub fn wait(&self, at_most: Duration) -> io::Result<bool> {
        let mut poll = libc::pollfd { fd: self.ring.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let milliseconds = i32::try_from(at_most.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: one `pollfd`, alive for the call, with a descriptor that `self` holds.
        match unsafe { libc::poll(&raw mut poll, 1, milliseconds) } {
            -1 => match io::Error::last_os_error() {
                // A signal is a reason to look.
                error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
                error => Err(error),
            },
            ready => Ok(ready > 0),
        }
    }

    /// For a poll of several descriptors: readable when [`Ring::wait`] would return.
    pub fn descriptor(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}
