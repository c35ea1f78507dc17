//! The only way to user space: the only reserve and submit, the numbers of what is sent, the counts of what could not be.

use crate::{atomic, kernel};
use auditor_common::{
    event::{Header, LAYOUT},
    gap::Gap,
    maps::{Counters, Owner},
};
use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    btf_maps::PerCpuArray,
    helpers::generated::bpf_get_smp_processor_id,
    macros::{btf_map, map},
    maps::RingBuf,
};
use core::mem::MaybeUninit;

/// Replaced by the loader's choice.
const RING_BYTES: u32 = 8 << 20;

#[map]
static RING: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

#[btf_map]
static COUNTERS: PerCpuArray<Counters, 1> = PerCpuArray::new();

/// When user space is told that there is something to read.
#[derive(Clone, Copy, PartialEq)]
pub enum Wake {
    /// At once: it has to look at `/proc` before the process is gone.
    Now,
    /// When there is a batch; it looks by itself now and then.
    Batch,
}

/// What every event says first.
pub struct Head<'a> {
    pub kind: u8,
    pub flags: u16,
    pub boot_ns: u64,
    pub owner: &'a Owner,
}

/// Numbers an event and sends it.
#[inline(always)]
pub fn event<T: 'static>(head: &Head, wake: Wake, make: impl FnOnce(Header) -> T) {
    in_place(head, wake, |place: &mut MaybeUninit<T>, header| {
        place.write(make(header));
    });
}

/// The same for an event that has no room on the stack: `fill` writes every byte of its place.
///
/// Invariant: the number is taken before the place in the ring. What finds no place leaves a hole in the numbers of its
/// processor, and is counted. A program that was interrupted between the two sends its number after the next one.
#[inline(always)]
pub fn in_place<T: 'static>(head: &Head, wake: Wake, fill: impl FnOnce(&mut MaybeUninit<T>, Header)) {
    let Some(counters) = COUNTERS.get_ptr_mut(0) else { return };
    // SAFETY: an element of our own per-CPU array, 8-byte aligned; interrupts of this processor count here as well.
    let number = unsafe { atomic::fetch_add(&raw mut (*counters).last_kseq, 1) } + 1;
    let Some(mut entry) = RING.reserve::<T>(0) else {
        dropped(Gap::RingFull);
        return;
    };
    let header = Header {
        kind: head.kind,
        layout: LAYOUT,
        flags: head.flags,
        // SAFETY: reads a number.
        cpu: unsafe { bpf_get_smp_processor_id() },
        kseq: number,
        boot_ns: head.boot_ns,
        process_start_ns: head.owner.process_start_ns,
        cgroup: head.owner.cgroup,
        tgid: head.owner.tgid,
        tid: head.owner.tid,
    };
    fill(&mut entry, header);
    entry.submit(u64::from(wakeup(wake)));
}

/// Waking is the dearest part of an event, so it is done where the ring reaches a level, not above it: whoever reads
/// then takes all there is, and whoever is not waiting needs no call.
#[inline(always)]
fn wakeup(wake: Wake) -> u32 {
    /// More than one event, so that no crossing of the level goes unnoticed.
    const WINDOW: u64 = 4096;
    if wake == Wake::Now {
        return BPF_RB_FORCE_WAKEUP;
    }
    let above = RING.query(u64::from(BPF_RB_AVAIL_DATA)).wrapping_sub(kernel::wake_bytes());
    if above < WINDOW { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP }
}

/// Counts what could not be told.
#[inline(always)]
pub fn dropped(gap: Gap) {
    let Some(counters) = COUNTERS.get_ptr_mut(0) else { return };
    // SAFETY: as above; every gap that the kernel half knows has a place in `dropped`.
    unsafe { atomic::add(&raw mut (*counters).dropped[gap as usize], 1) };
}
