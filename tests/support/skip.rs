//! Tests that cannot run here: they say so, and they are counted.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::thread;

use auditor_userspace::kernel_btf::{KernelBtf, VMLINUX};
use auditor_userspace::probe::{HookStatus, Probe, Tells};

use crate::kernel_probe::alone;

/// Where skips are noted for whoever counts tests; a line each: the test, a tab, the reason.
const NOTES: &str = "NETWORK_AUDIT_SKIPS";

/// Ends the test as skipped unless the prerequisite is there.
///
/// ```text
/// require!(support::a_daemon());
/// ```
#[macro_export]
macro_rules! require {
    ($prerequisite:expr) => {
        if let Err(reason) = $prerequisite {
            $crate::skip(&reason);
            return;
        }
    };
}

/// Notes that the running test is skipped. The test has to return after it.
pub fn skip(reason: &str) {
    println!("SKIPPED: because {reason}");
    let Some(path) = std::env::var_os(NOTES) else { return };
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let mut file = OpenOptions::new().append(true).create(true).open(&path).expect("the file of skips");
    // One write a line: tests run side by side.
    file.write_all(format!("{test}\t{reason}\n").as_bytes()).expect("the file of skips");
}

/// Root, which most real things need.
pub fn root() -> Result<(), String> {
    if xtask::process::is_root() { Ok(()) } else { Err("it needs root".to_owned()) }
}

/// A daemon that can load its kernel programs.
pub fn a_daemon() -> Result<(), String> {
    root()?;
    xtask::cgroup::root().map_err(|error| format!("{error:#}"))?;
    let types = "/sys/kernel/btf/vmlinux";
    if std::fs::exists(types).unwrap_or(false) { Ok(()) } else { Err(format!("the kernel has no {types}")) }
}

/// A daemon whose kernel says how much each call moved: without it, datagrams have no bytes, and what was open before, or
/// came in, has no user.
pub fn lengths_of_calls() -> Result<(), String> {
    a_daemon()?;
    let types = KernelBtf::read(VMLINUX.as_ref()).map_err(|error| error.to_string())?;
    if types.has_tracepoint("sock_send_length") {
        Ok(())
    } else {
        Err("this kernel does not say how much a call moved (Linux 6.3 does)".to_owned())
    }
}

/// A daemon whose kernel asks programs at its security hooks.
pub fn security_hooks() -> Result<(), String> {
    a_daemon()?;
    let probe = Probe::load(&alone()).map_err(|error| error.to_string())?;
    let why = |hook: &HookStatus| Some(format!("{} is not to be had here: {}", hook.name, hook.reason()?));
    let missing = probe.coverage().iter().filter(|hook| hook.tells == Tells::Guards).find_map(why);
    missing.map_or(Ok(()), Err)
}

/// An Odoo to audit, with a daemon to do it.
pub fn an_odoo() -> Result<(), String> {
    a_daemon()?;
    xtask::odoo::Installation::find().map(drop).map_err(|error| format!("{error:#}"))
}
