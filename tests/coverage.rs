//! What the probe says about itself. Apart from the other tests of the kernel half, since one of these cuts a link of its
//! own process.

use std::fs;
use std::sync::Mutex;
use std::thread;

use auditor_tests::kernel_probe::alone;
use auditor_tests::{a_daemon, require};
use auditor_userspace::probe::{HookState, Options, Probe, ProbeError, Tells};

/// Who has links in this process: one of the tests looks for any.
static LINKS: Mutex<()> = Mutex::new(());

#[test]
fn every_required_hook_is_active_and_a_cut_one_is_not() {
    require!(a_daemon());
    let _alone = LINKS.lock();
    let probe = Probe::load(&alone()).unwrap_or_else(|error| panic!("{error}"));
    let coverage = probe.coverage();
    assert_eq!(coverage.len(), 16);
    // Those that see packets are not required, but every kernel that is tested takes them.
    for hook in coverage.iter().filter(|hook| hook.is_required() || hook.tells == Tells::Names) {
        assert!(hook.is_active(), "{hook:?}");
        assert_eq!(hook.tag().len(), 8);
    }
    cut_a_cgroup_link();
    let detached = probe.coverage().into_iter().filter(|hook| hook.state == HookState::Detached).count();
    assert_eq!(detached, 1);
}

/// Cuts one of this process's links to a cgroup, as any administrator's tool can (`bpftool link detach`).
fn cut_a_cgroup_link() {
    const BPF_LINK_DETACH: i32 = 34;
    let is_cgroup = |text: &str| text.contains("link_type:\tcgroup\n");
    let descriptor = fs::read_dir("/proc/self/fdinfo")
        .expect("our descriptors")
        .flatten()
        .find(|entry| fs::read_to_string(entry.path()).is_ok_and(|text| is_cgroup(&text)))
        .and_then(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .expect("a link to a cgroup");
    // SAFETY: the descriptor of a link, in the first field of `union bpf_attr`.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, BPF_LINK_DETACH, &raw const descriptor, 4) };
    assert_eq!(answer, 0, "{}", std::io::Error::last_os_error());
}

/// What a thread with only these capabilities says; they belong to a thread, and this one gives up the others.
fn with_capabilities<T: Send>(mask: u64, what: impl FnOnce() -> T + Send) -> T {
    let (low, high) = (mask as u32, (mask >> 32) as u32);
    let header: [u32; 2] = [0x2008_0522, 0];
    let masks: [u32; 6] = [low, low, 0, high, high, 0];
    let limited = || {
        // SAFETY: `capset` of the third version: a header, and two times three masks.
        assert_eq!(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), masks.as_ptr()) }, 0);
        what()
    };
    thread::scope(|scope| scope.spawn(limited).join().expect("no panic"))
}

#[test]
fn without_capabilities_the_missing_ones_are_named() {
    require!(a_daemon());
    let error = with_capabilities(0, || Probe::load(&alone()).map(drop)).expect_err("nothing may be loaded");
    assert!(matches!(error, ProbeError::Permission { .. }), "{error:?}");
    let said = "CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN missing: run as root, or give the service these capabilities";
    assert_eq!(error.to_string(), said);
}

fn names(probe: &Probe) -> Vec<&'static str> {
    probe.coverage().iter().filter(|hook| hook.is_active()).map(|hook| hook.name).collect()
}

/// The hooks that can be had here.
fn active() -> Vec<&'static str> {
    let probe = Probe::load(&alone()).unwrap_or_else(|error| panic!("{error}"));
    assert!(probe.coverage().iter().all(|hook| hook.is_active() || !hook.is_required()), "{:?}", probe.coverage());
    names(&probe)
}

#[test]
fn three_capabilities_are_enough() {
    require!(a_daemon());
    let _alone = LINKS.lock();
    let by_root = active();
    let (bpf, perfmon, net_admin) = (1 << 39, 1 << 38, 1 << 12);
    with_capabilities(bpf | perfmon | net_admin, || {
        let mut probe = Probe::load(&alone()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(names(&probe), by_root, "root has no more");
        let own = std::process::id();
        assert!(probe.processes().expect("the list").iter().any(|listed| listed.tgid == own));
        probe.audit(own, 1).expect("the table of processes");
        assert!(probe.marks().expect("the counters").values().all(|mark| mark.kseq == 0));
        assert!(probe.socket(1).is_none());
    });
}

#[test]
fn what_cannot_be_is_refused_in_a_sentence() {
    require!(a_daemon());
    let said = |options: &Options| Probe::load(options).map(drop).expect_err("refused").to_string();
    assert_eq!(
        said(&Options { ring_bytes: 5000, ..alone() }),
        "a ring of 5000 bytes is not possible; take a power of two that is at least the page size"
    );
    let missing = said(&Options { object: Some("/nowhere/object.o".into()), ..alone() });
    assert_eq!(missing, "cannot read the eBPF object /nowhere/object.o: No such file or directory (os error 2)");
    let foreign = said(&Options { object: Some("/proc/self/exe".into()), ..alone() });
    assert!(foreign.starts_with("the kernel refused the programs' tables: "), "{foreign}");
}
