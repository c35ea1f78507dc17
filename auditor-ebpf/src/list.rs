//! Which processes there are, with their exact start: `/proc` says it in hundredths of a second only.

use crate::kernel::Task;
use aya_ebpf::{bindings::seq_file, helpers::generated::bpf_seq_write};

/// The head of every iterator's context, `struct bpf_iter_meta` [1].
///
/// [1]: https://github.com/torvalds/linux/blob/v6.12/include/linux/bpf.h
#[repr(C)]
struct Meta {
    seq: *mut seq_file,
    session_id: u64,
    seq_num: u64,
}

/// `struct bpf_iter__task` [1].
///
/// [1]: https://github.com/torvalds/linux/blob/v6.12/kernel/bpf/task_iter.c
#[repr(C)]
pub struct IterTask {
    meta: *const Meta,
    task: *const u8,
}

/// `{ start u64, tgid u32, zero u32 }` of a process; nothing of a thread. A null task ends the list.
#[inline(always)]
pub fn process(ctx: &IterTask) {
    if ctx.task.is_null() {
        return;
    }
    let task = Task::new(ctx.task);
    let tgid = task.tgid();
    if task.tid() != tgid {
        return;
    }
    let record = [task.start_ns(), u64::from(tgid)];
    // SAFETY: the kernel's sequence file, and sixteen bytes of our stack. A full buffer makes the kernel call again.
    unsafe { bpf_seq_write((*ctx.meta).seq, record.as_ptr().cast(), 16) };
}
