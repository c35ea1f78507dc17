//! Clocks.

use std::time::Instant;

/// Wall clock and processor time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Time {
    pub(super) wall: f64,
    pub(super) cpu: f64,
}

/// So much in a second: of the wall clock, and of the processor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Speed {
    pub(super) wall: f64,
    pub(super) cpu: f64,
}

impl Speed {
    pub(super) fn of(count: f64, time: Time) -> Self {
        Self { wall: count / time.wall, cpu: count / time.cpu }
    }
}

fn cpu_seconds() -> f64 {
    // SAFETY: an all-zero rusage is a valid one, and the call fills in the one it is given.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

pub(super) fn timed<T>(work: impl FnOnce() -> T) -> (T, Time) {
    let (cpu, begin) = (cpu_seconds(), Instant::now());
    let value = work();
    (value, Time { wall: begin.elapsed().as_secs_f64(), cpu: cpu_seconds() - cpu })
}
