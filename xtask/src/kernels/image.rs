//! What a booted kernel finds: the tests with their libraries, and a first process that runs them.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use xtask::process;

use super::Programs;

/// Stands before each line of the file of skips, on the console.
pub(super) const SKIPPED: &str = "SKIP-NOTE ";

/// Said when everything has run.
pub(super) const THE_END: &str = "THE-END";

const BUSYBOX: &str = "/bin/busybox";

/// Mounts what the tests look at; nothing but the console leaves the machine.
const INIT: &str = r"#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs devtmpfs /dev; mount -t tmpfs tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup; mount -t securityfs securityfs /sys/kernel/security
ip link set lo up
ulimit -l unlimited
export NETWORK_AUDIT_SKIPS=/tmp/skips RUST_BACKTRACE=0
touch /tmp/skips
for test in /tests/*; do $test --test-threads=1 FILTER; done
sed 's/^/SKIP-NOTE /' /tmp/skips
echo THE-END
poweroff -f
";

/// Packs it below `home`; gives the image.
pub(super) fn make(home: &Path, programs: &Programs, filter: Option<&str>) -> Result<PathBuf> {
    let root = home.join("root");
    if root.is_dir() {
        fs::remove_dir_all(&root)?;
    }
    for folder in ["bin", "proc", "sys", "dev", "tmp", "tests"] {
        fs::create_dir_all(root.join(folder))?;
    }
    put(Path::new(BUSYBOX), &root, Path::new(BUSYBOX))?;
    for test in &programs.tests {
        put(test, &root, &Path::new("/tests").join(test.file_name().context("a test has no name")?))?;
    }
    // The tests were told these paths when they were compiled.
    for program in &programs.started {
        put(program, &root, program)?;
    }
    for library in libraries(programs.tests.iter().chain(&programs.started))? {
        put(&library, &root, &library)?;
    }
    fs::write(root.join("init"), INIT.replace("FILTER", filter.unwrap_or_default()))?;
    fs::set_permissions(root.join("init"), fs::Permissions::from_mode(0o755))?;
    pack(&root, &home.join("image"))
}

/// What the dynamic loader would load, and the loader itself.
fn libraries<'a>(programs: impl Iterator<Item = &'a PathBuf>) -> Result<Vec<PathBuf>> {
    let told = process::output(Command::new("ldd").args(programs))?;
    let mut paths: Vec<PathBuf> =
        told.split_whitespace().filter(|word| word.starts_with("/lib")).map(PathBuf::from).collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}

fn put(file: &Path, root: &Path, place: &Path) -> Result<()> {
    let target = root.join(place.strip_prefix("/").unwrap_or(place));
    fs::create_dir_all(target.parent().context("a file has no folder")?)?;
    fs::copy(file, &target).with_context(|| format!("{} cannot be copied", file.display()))?;
    Ok(())
}

/// As the kernel reads it: a cpio archive of the newer style.
fn pack(root: &Path, image: &Path) -> Result<PathBuf> {
    let mut names = Command::new("find").arg(".").current_dir(root).stdout(Stdio::piped()).spawn()?;
    let listed = names.stdout.take().context("find has no output")?;
    let mut cpio = Command::new(BUSYBOX);
    cpio.args(["cpio", "-o", "-H", "newc"]).current_dir(root).stdin(listed).stderr(Stdio::null());
    let packed = cpio.stdout(File::create(image)?).status()?;
    if !names.wait()?.success() || !packed.success() {
        bail!("{} cannot be packed", root.display());
    }
    Ok(image.to_owned())
}
