use super::ProbeError;
use std::{
    fs::{self, File},
    path::PathBuf,
};

/// Atomic operations that give the old value, and socket cookies in tracing programs.
const LEAST: (u32, u32) = (5, 12);
const LEAST_TEXT: &str = "5.12";

/// What loading and attaching need, by bit (`include/uapi/linux/capability.h`).
const CAPABILITIES: [(u32, &str); 3] = [(39, "CAP_BPF"), (38, "CAP_PERFMON"), (12, "CAP_NET_ADMIN")];

pub(super) fn kernel_is_new_enough() -> Result<(), ProbeError> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // A release that does not read like one is given the benefit of the doubt.
    if version(&release).is_some_and(|found| found < LEAST) {
        return Err(ProbeError::KernelTooOld { found: release.trim().to_owned(), needed: LEAST_TEXT });
    }
    Ok(())
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

pub(super) fn capabilities() -> Result<(), ProbeError> {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let missing = missing_capabilities(&status);
    if missing.is_empty() { Ok(()) } else { Err(ProbeError::Permission { missing }) }
}

fn missing_capabilities(status: &str) -> Vec<&'static str> {
    /// Stands for the newer ones, except CAP_NET_ADMIN.
    const SYS_ADMIN: u32 = 21;
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    let has = |bit: u32| effective >> bit & 1 == 1;
    CAPABILITIES
        .into_iter()
        .filter(|&(bit, name)| !(has(bit) || name != "CAP_NET_ADMIN" && has(SYS_ADMIN)))
        .map(|(_, name)| name)
        .collect()
}

pub(super) fn ring_size(bytes: u32) -> Result<(), ProbeError> {
    // SAFETY: asks for a number.
    let page = u32::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    if bytes.is_power_of_two() && bytes >= page { Ok(()) } else { Err(ProbeError::RingSize(bytes)) }
}

/// Which security modules the kernel asks, in their order.
const SECURITY: &str = "/sys/kernel/security/lsm";

/// Whether the kernel asks programs at its security hooks at all: it loads them in any case. The error says what to do.
pub(super) fn asks_programs() -> Result<(), String> {
    let modules = fs::read_to_string(SECURITY)
        .map_err(|error| format!("{SECURITY} cannot be read ({error}): mount securityfs, so that this can be told"))?;
    if is_listed(&modules) {
        return Ok(());
    }
    Err(format!("bpf is none of the security modules of this kernel: boot it with lsm={},bpf", modules.trim()))
}

fn is_listed(modules: &str) -> bool {
    modules.trim().split(',').any(|module| module == "bpf")
}

/// Opens the root of the cgroup2 hierarchy.
pub(super) fn cgroup2() -> Result<File, ProbeError> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let path = mount_of_cgroup2(&mounts)
        .or_else(|| {
            let known = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(PathBuf::from);
            known.into_iter().find(|path| path.join("cgroup.controllers").is_file())
        })
        .ok_or(ProbeError::NoCgroup2)?;
    File::open(&path).map_err(|source| ProbeError::Cgroup2 { path, source })
}

/// Where cgroup2 is mounted, its root before a part of it (`proc_pid_mountinfo(5)`: ID, parent, device, root, mount
/// point, options, optional fields, a hyphen, type).
fn mount_of_cgroup2(mounts: &str) -> Option<PathBuf> {
    let mut found: Vec<(bool, PathBuf)> = mounts
        .lines()
        .filter_map(|line| {
            let (mount, file_system) = line.split_once(" - ")?;
            if file_system.split(' ').next() != Some("cgroup2") {
                return None;
            }
            let mut fields = mount.split(' ').skip(3);
            let (root, point) = (fields.next()?, fields.next()?);
            Some((root != "/", PathBuf::from(point.replace("\\040", " "))))
        })
        .collect();
    found.sort();
    found.into_iter().next().map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_not_text() {
        assert_eq!(version("5.9.0-1-amd64"), Some((5, 9)));
        assert_eq!(version("6.18.44-fc"), Some((6, 18)));
        assert_eq!(version("strange"), None);
        assert!(version("5.9").unwrap() < LEAST && version("6.1").unwrap() > LEAST);
    }

    #[test]
    fn what_is_missing_is_named() {
        let check = |mask: &str, missing: &[&str]| {
            assert_eq!(missing_capabilities(&format!("Name:\tx\nCapEff:\t{mask}\n")), missing, "{mask}");
        };
        check("000001ffffffffff", &[]);
        check("0000000000000000", &["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"]);
        check("000000c000001000", &[]);
        check("0000000000200000", &["CAP_NET_ADMIN"]);
        check("not a number", &["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"]);
    }

    #[test]
    fn bpf_is_a_security_module_by_its_whole_name() {
        for (modules, listed) in [("capability,yama,bpf\n", true), ("bpf", true), ("bpfx,yama", false), ("", false)] {
            assert_eq!(is_listed(modules), listed, "{modules}");
        }
    }

    #[test]
    fn the_root_of_the_hierarchy_comes_first() {
        let mounts = "\
            30 1 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
            31 1 0:27 /pod /mnt/a rw shared:1 - cgroup2 cgroup2 rw\n\
            32 1 0:27 / /mnt/with\\040space rw - cgroup2 cgroup2 rw\n";
        assert_eq!(mount_of_cgroup2(mounts), Some(PathBuf::from("/mnt/with space")));
        assert_eq!(mount_of_cgroup2("nonsense"), None);
    }
}
