//! Who is watched: processes by (tgid, start time), put in by user space, by a fork of one that is watched, or on
//! probation by an exec.

use crate::kernel;
use auditor_common::{
    event::flag,
    gap::Gap,
    maps::{Audited, Owner, audited},
};
use aya_ebpf::{
    btf_maps::HashMap,
    helpers::{bpf_get_current_pid_tgid, generated::bpf_get_current_cgroup_id},
    macros::btf_map,
};

#[btf_map]
static AUDITED: HashMap<u32, Audited, 16384> = HashMap::new();

/// `/proc` gives start times in hundredths of a second (USER_HZ).
const PROC_STEP_NS: u64 = 10_000_000;

/// The running process, if it is watched.
pub struct Current {
    pub owner: Owner,
    /// [`flag::CANDIDATE`] or nothing.
    pub flags: u16,
}

impl Current {
    /// What events say about it.
    #[inline(always)]
    pub fn of(watched: &Watched) -> Self {
        // SAFETY: an entry of our own map; a concurrent removal leaves the memory in place until this program ends.
        let (process_start_ns, flags) = unsafe { ((*watched.entry).start_ns, (*watched.entry).flags) };
        // SAFETY: reads a number.
        let cgroup = unsafe { bpf_get_current_cgroup_id() };
        let owner = Owner { process_start_ns, cgroup, tgid: watched.tgid(), tid: watched.pid_tgid as u32 };
        Self { owner, flags: event_flags(flags) }
    }
}

/// That the running process is watched, before anything else about it is asked.
pub struct Watched {
    entry: *mut Audited,
    pid_tgid: u64,
}

impl Watched {
    #[inline(always)]
    fn tgid(&self) -> u32 {
        (self.pid_tgid >> 32) as u32
    }
}

/// Everyone else on the host pays for this one look-up, and for nothing more.
#[inline(always)]
pub fn watched() -> Option<Watched> {
    let pid_tgid = bpf_get_current_pid_tgid();
    let entry = AUDITED.get_ptr_mut((pid_tgid >> 32) as u32)?;
    let watched = Watched { entry, pid_tgid };
    // SAFETY: as in `Current::of`.
    if unsafe { (*entry).flags } & audited::UNVERIFIED != 0 && !verified(watched.tgid(), entry) {
        return None;
    }
    Some(watched)
}

/// The running process, if it is watched.
#[inline(always)]
pub fn current() -> Option<Current> {
    Some(Current::of(&watched()?))
}

/// User space found the process in `/proc`. It may have ended since, and its number may be another's now: the start
/// time decides.
#[inline(never)]
fn verified(tgid: u32, entry: *mut Audited) -> bool {
    let exact = kernel::current_process_start_ns();
    // SAFETY: as in `Current::of`.
    unsafe {
        if exact / PROC_STEP_NS != (*entry).start_ns / PROC_STEP_NS {
            let _ = AUDITED.remove(tgid);
            return false;
        }
        (*entry).start_ns = exact;
        (*entry).flags &= !audited::UNVERIFIED;
    }
    true
}

#[inline(always)]
fn event_flags(flags: u32) -> u16 {
    if flags & audited::CANDIDATE != 0 { flag::CANDIDATE } else { 0 }
}

/// Flags for an event about a socket of this process, which need not be the running one, and may have ended.
#[inline(always)]
pub fn flags_of(owner: &Owner) -> u16 {
    let Some(entry) = AUDITED.get_ptr(owner.tgid) else { return 0 };
    // SAFETY: as in `Current::of`.
    let Audited { start_ns, flags, .. } = unsafe { *entry };
    if start_ns == owner.process_start_ns { event_flags(flags) } else { 0 }
}

/// From now on the process is watched.
#[inline(always)]
pub fn watch(tgid: u32, start_ns: u64, candidate: bool) {
    let flags = if candidate { audited::CANDIDATE } else { 0 };
    if AUDITED.insert(tgid, Audited { start_ns, flags, _pad: 0 }, 0).is_err() {
        crate::emit::dropped(Gap::ProcessTableFull);
    }
}

/// The process ended. `true` for one caller only, however many threads end at the same time.
#[inline(always)]
pub fn unwatch(tgid: u32) -> bool {
    AUDITED.remove(tgid).is_ok()
}
