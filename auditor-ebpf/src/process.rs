//! What becomes of the processes that are watched, and who may be one.

use crate::{
    audited,
    emit::{self, Head, Wake},
    kernel::{self, Program, Task},
};
use auditor_common::{
    event::{Exec, Exit, Fork, flag, kind},
    maps::{Owner, candidates},
};
use aya_ebpf::helpers::{bpf_get_current_comm, bpf_get_current_pid_tgid, generated::bpf_get_current_cgroup_id};

/// A task has a child: a process of its own, or a thread, which is none.
#[inline(always)]
pub fn forked(child: Task) {
    let Some(current) = audited::current() else { return };
    let child_tgid = child.tgid();
    if child_tgid == current.owner.tgid {
        return;
    }
    let child_start_ns = child.start_ns();
    audited::watch(child_tgid, child_start_ns, current.flags & flag::CANDIDATE != 0);
    let head = Head { kind: kind::FORK, flags: current.flags, boot_ns: kernel::boot_ns(), owner: &current.owner };
    let parent_ns_tid = kernel::current_ns_tid();
    emit::event(&head, Wake::Now, |header| Fork { header, child_start_ns, child_tgid, parent_ns_tid });
}

/// A process became another program. Of those that are not watched, one with a likely name is from here on, so that
/// nothing it does is missed while user space makes up its mind.
#[inline(always)]
pub fn executed(task: Task, program: Program) {
    let comm = bpf_get_current_comm().unwrap_or_default();
    if let Some(current) = audited::current() {
        tell_exec(&current.owner, current.flags, comm, program);
        return;
    }
    let wanted = kernel::candidates();
    if wanted != candidates::ALL && !(wanted == candidates::LIKELY && is_likely(comm)) {
        return;
    }
    let pid_tgid = bpf_get_current_pid_tgid();
    let tgid = (pid_tgid >> 32) as u32;
    let start_ns = task.leader().start_ns();
    audited::watch(tgid, start_ns, true);
    // SAFETY: reads a number.
    let cgroup = unsafe { bpf_get_current_cgroup_id() };
    let owner = Owner { process_start_ns: start_ns, cgroup, tgid, tid: pid_tgid as u32 };
    tell_exec(&owner, flag::CANDIDATE, comm, program);
}

/// `odoo`, `odoo-bin`, `python3`, …: four letters, compared as one word.
#[inline(always)]
fn is_likely(comm: [u8; 16]) -> bool {
    let word = u32::from_ne_bytes([comm[0], comm[1], comm[2], comm[3]]);
    word == u32::from_ne_bytes(*b"odoo") || word == u32::from_ne_bytes(*b"pyth")
}

#[inline(always)]
fn tell_exec(owner: &Owner, flags: u16, comm: [u8; 16], program: Program) {
    let head = Head { kind: kind::EXEC, flags, boot_ns: kernel::boot_ns(), owner };
    let mut filename = [0; 120];
    program.copy_filename(&mut filename);
    let arguments = program.arguments();
    emit::event(&head, Wake::Now, |header| Exec { header, comm, filename, arguments, _pad: 0 });
}

/// A thread ends. The process does with its last one.
#[inline(always)]
pub fn exited(task: Task) {
    let Some(current) = audited::current() else { return };
    if task.live_threads() != 0 || !audited::unwatch(current.owner.tgid) {
        return;
    }
    let head = Head { kind: kind::EXIT, flags: current.flags, boot_ns: kernel::boot_ns(), owner: &current.owner };
    emit::event(&head, Wake::Now, |header| Exit { header, code: task.wait_status(), _pad: 0 });
}
