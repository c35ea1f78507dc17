//! Control groups, version 2: where they are mounted, and a group of one's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// Where the cgroup2 hierarchy is mounted; on a machine with both versions it is not at the usual place.
pub fn root() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("/proc/self/mountinfo cannot be read")?;
    mount_of_cgroup2(&mounts).context("cgroup2 is not mounted; mount -t cgroup2 none /sys/fs/cgroup/unified does it")
}

fn mount_of_cgroup2(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        after.starts_with("cgroup2 ").then(|| before.split(' ').nth(4).map(PathBuf::from))?
    })
}

/// A sub-group that is there as long as this value; what still runs in it then is killed.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
}

impl Group {
    /// Makes one, of which no other program knows.
    pub fn new() -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = root()?.join(format!("network-audit-{}-{number}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("{} cannot be made; it takes root", path.display()))?;
        Ok(Self { path })
    }

    /// Its folder in the cgroup file system.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A command that enters the group before it becomes `program`, so that not one system call of it is outside.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]);
        command.arg(self.path.join("cgroup.procs")).arg(program.as_ref());
        command
    }

    /// The processes in it.
    pub fn processes(&self) -> Vec<u32> {
        let text = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Kills all that runs in it, at once.
    pub fn kill(&self) -> Result<()> {
        // Since Linux 5.14.
        if fs::write(self.path.join("cgroup.kill"), "1").is_err() {
            for pid in self.processes() {
                crate::process::signal(pid, libc::SIGKILL);
            }
        }
        for _ in 0..200 {
            if self.processes().is_empty() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(25));
        }
        bail!("processes in {} do not end", self.path.display())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = self.kill();
        for _ in 0..40 {
            // A process that is killed leaves its group a little later than it disappears from the list.
            if fs::remove_dir(&self.path).is_ok() {
                break;
            }
            thread::sleep(Duration::from_millis(25));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroup2_is_found_beside_version_1() {
        let mounts = "30 24 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
                      39 24 0:35 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
        assert_eq!(mount_of_cgroup2(mounts), Some(PathBuf::from("/sys/fs/cgroup/unified")));
    }

    #[test]
    fn a_machine_without_cgroup2() {
        assert_eq!(mount_of_cgroup2("30 24 0:26 / /sys rw - sysfs sysfs rw\n"), None);
    }
}
