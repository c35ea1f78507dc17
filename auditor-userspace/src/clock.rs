//! The only reading of clocks: everything else is told the time.

use std::io;

/// An hour in nanoseconds.
pub const HOUR_NS: u64 = 3_600_000_000_000;
/// A day in nanoseconds.
pub const DAY_NS: u64 = 24 * HOUR_NS;

/// One moment, on the three clocks that evidence needs. All in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// CLOCK_REALTIME, since 1970.
    pub wall_ns: u64,
    /// CLOCK_BOOTTIME: the clock of the kernel's events, which goes on while the machine sleeps.
    pub boot_ns: u64,
    /// CLOCK_MONOTONIC: the clock of the addon's claims.
    pub mono_ns: u64,
}

impl Now {
    /// The boot clock's value for a moment on the monotonic clock. The two differ by the time spent in sleep, so this
    /// is exact for everything since the last resume.
    #[must_use]
    pub const fn boot_from_mono(&self, mono_ns: u64) -> u64 {
        mono_ns.saturating_add(self.boot_ns.saturating_sub(self.mono_ns))
    }

    /// The monotonic clock's value for a moment on the boot clock: the other way round.
    #[must_use]
    pub const fn mono_from_boot(&self, boot_ns: u64) -> u64 {
        boot_ns.saturating_sub(self.boot_ns.saturating_sub(self.mono_ns))
    }

    /// The wall clock's value for a moment on the boot clock.
    #[must_use]
    pub const fn wall_from_boot(&self, boot_ns: u64) -> u64 {
        if boot_ns <= self.boot_ns {
            self.wall_ns.saturating_sub(self.boot_ns - boot_ns)
        } else {
            self.wall_ns.saturating_add(boot_ns - self.boot_ns)
        }
    }
}

impl From<Now> for crate::chain::Now {
    fn from(now: Now) -> Self {
        Self { wall_ns: now.wall_ns, boot_ns: now.boot_ns }
    }
}

/// Whether the wall clock is disciplined, and how wrong it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockState {
    /// The kernel says that something keeps it right.
    pub synchronised: bool,
    /// Largest error, nanoseconds.
    pub max_error_ns: u64,
}

/// Reads the three clocks.
#[must_use]
pub fn now() -> Now {
    Now {
        wall_ns: read(libc::CLOCK_REALTIME),
        boot_ns: read(libc::CLOCK_BOOTTIME),
        mono_ns: read(libc::CLOCK_MONOTONIC),
    }
}

/// Asks the kernel about the wall clock (`adjtimex(2)`), without changing it.
pub fn state() -> io::Result<ClockState> {
    // SAFETY: `timex` is plain integers, for which all zero is a value; `modes` 0 asks and changes nothing.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live, exclusive `timex`.
    let status = unsafe { libc::adjtimex(&raw mut timex) };
    if status < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(ClockState {
        synchronised: status != libc::TIME_ERROR,
        max_error_ns: u64::try_from(timex.maxerror).unwrap_or(0).saturating_mul(1_000),
    })
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live, exclusive `timespec`; the clocks named here exist on every Linux this runs on.
    let failed = unsafe { libc::clock_gettime(clock, &raw mut time) } != 0;
    assert!(!failed, "clock_gettime({clock}) failed: this kernel has no such clock");
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::Now;

    const NOW: Now = Now { wall_ns: 1_000, boot_ns: 500, mono_ns: 400 };

    #[test]
    fn a_claim_is_moved_to_the_clock_of_the_kernel() {
        assert_eq!(NOW.boot_from_mono(350), 450);
    }

    #[test]
    fn an_event_gets_the_wall_time_at_which_it_happened() {
        assert_eq!(NOW.wall_from_boot(450), 950);
        assert_eq!(NOW.wall_from_boot(501), 1_001);
    }
}
