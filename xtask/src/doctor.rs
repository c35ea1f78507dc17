//! `xtask doctor`: every prerequisite, found or missing, with the remedy.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use comfy_table::{ContentArrangement, Table, presets};
use xtask::odoo::{Installation, setup};
use xtask::{cgroup, ebpf, packages, paths, process, python};

/// One prerequisite.
struct Check {
    what: &'static str,
    /// What was found, or what is wrong.
    found: Result<String, String>,
    /// What to do if it is missing.
    remedy: &'static str,
    /// Whether something does not work without it, or is only slower to set up.
    needed: bool,
}

impl Check {
    fn needed(what: &'static str, found: Result<String, String>, remedy: &'static str) -> Self {
        Self { what, found, remedy, needed: true }
    }

    fn optional(what: &'static str, found: Result<String, String>, remedy: &'static str) -> Self {
        Self { what, found, remedy, needed: false }
    }
}

/// Prints the table; true if nothing that is needed is missing.
pub(crate) fn run() -> bool {
    let checks: Vec<Check> = [build(), kernel_programs(), kernel(), odoo()].into_iter().flatten().collect();
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["", "prerequisite", "found", "remedy"]);
    for check in &checks {
        let (mark, found, remedy) = match (&check.found, check.needed) {
            (Ok(found), _) => ("ok", found, ""),
            (Err(reason), true) => ("MISSING", reason, check.remedy),
            (Err(reason), false) => ("not yet", reason, check.remedy),
        };
        table.add_row([mark, check.what, found, remedy]);
    }
    println!("{table}");
    checks.iter().all(|check| check.found.is_ok() || !check.needed)
}

fn build() -> Vec<Check> {
    let rust = "install rustup and its stable toolchain";
    vec![
        Check::needed("Rust", first_line("rustc", &["--version"]), rust),
        Check::needed("Cargo", first_line("cargo", &["--version"]), rust),
        Check::needed("C linker", first_line("cc", &["--version"]), "apt-get install gcc libc6-dev"),
        Check::needed("git", first_line("git", &["--version"]), "apt-get install git"),
        Check::optional("apt", first_line("apt-get", &["--version"]), "install by hand what each step names"),
        Check::needed("disk space", disk_space(), "free some, or set NETWORK_AUDIT_CACHE to a larger place"),
    ]
}

/// Set up by the build itself, where that can be done.
fn kernel_programs() -> Vec<Check> {
    let rows = ebpf::prerequisites().into_iter();
    rows.map(|row| Check::optional(row.what, row.found, "cargo xtask build-ebpf")).collect()
}

fn kernel() -> Vec<Check> {
    let root = if process::is_root() { Ok("yes".to_owned()) } else { Err("no".to_owned()) };
    let types = "/sys/kernel/btf/vmlinux";
    let btf = fs::metadata(types).map(|file| format!("{types}, {} KiB", file.len() / 1024));
    let groups = cgroup::root().map(|path| path.display().to_string()).map_err(|error| format!("{error:#}"));
    vec![
        Check::needed("root", root, "run it as root: sudo -E cargo xtask …"),
        Check::needed("kernel", kernel_version(), "a kernel of 5.12 or later"),
        Check::needed(
            "kernel types (BTF)",
            btf.map_err(|error| error.to_string()),
            "a kernel with CONFIG_DEBUG_INFO_BTF=y",
        ),
        Check::needed("cgroup2", groups, "mount -t cgroup2 none /sys/fs/cgroup/unified"),
        Check::needed(
            "capabilities",
            capabilities(),
            "a container needs CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN, CAP_SYS_PTRACE",
        ),
        Check::needed("host's PID namespace", pid_namespace(), "start the container with the host's: --pid=host"),
        Check::needed("setpriv, unshare", tools(&["setpriv", "unshare"]), "apt-get install util-linux"),
    ]
}

fn odoo() -> Vec<Check> {
    let set_up = "cargo xtask odoo setup";
    let missing = packages::missing(setup::PACKAGES);
    let debian = if missing.is_empty() { Ok("all there".to_owned()) } else { Err(missing.join(" ")) };
    let postgres = xtask::odoo::postgres::programs().map(|path| path.display().to_string());
    let pythons: Vec<String> = python::interpreters().keys().map(|minor| format!("3.{minor}")).collect();
    let pythons = if pythons.is_empty() { Err("none of 3.10 to 3.13".to_owned()) } else { Ok(pythons.join(", ")) };
    let system = setup::system_python().map(|path| path.display().to_string());
    let installation = Installation::find().map(|odoo| odoo.home.display().to_string());
    let browser = paths::program(&["chromium", "chromium-browser", "google-chrome"]);
    vec![
        Check::needed("curl", first_line("curl", &["--version"]), "apt-get install curl"),
        Check::needed("Python for tests", pythons, "apt-get install python3"),
        Check::optional(
            "Python for Odoo",
            system.map_err(|error| format!("{error:#}")),
            "apt-get install python3 python3-venv",
        ),
        Check::optional("PostgreSQL's server", postgres.ok_or_else(|| "not found".to_owned()), set_up),
        Check::optional("Debian packages", debian, set_up),
        Check::optional("Odoo 19", installation.map_err(|error| format!("{error:#}")), set_up),
        Check::optional(
            "browser",
            browser.map(|path| path.display().to_string()).ok_or_else(|| "not found".to_owned()),
            "installed when a test asks for it",
        ),
    ]
}

fn first_line(program: &str, arguments: &[&str]) -> Result<String, String> {
    let text = process::output(Command::new(program).args(arguments)).map_err(|_| "not found".to_owned())?;
    Ok(text.lines().next().unwrap_or_default().chars().take(60).collect())
}

fn tools(names: &[&str]) -> Result<String, String> {
    for name in names {
        paths::program(&[name]).ok_or_else(|| format!("{name} is not found"))?;
    }
    Ok("yes".to_owned())
}

fn kernel_version() -> Result<String, String> {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").map_err(|error| error.to_string())?;
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= (5, 12) { Ok(text.trim().to_owned()) } else { Err(format!("{} is too old", text.trim())) }
}

/// The bounding set: what root can have at most, here.
fn capabilities() -> Result<String, String> {
    const WANTED: [(u32, &str); 5] =
        [(39, "BPF"), (38, "PERFMON"), (12, "NET_ADMIN"), (19, "SYS_PTRACE"), (2, "DAC_READ_SEARCH")];
    let status = fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap_or_default();
    let set = u64::from_str_radix(line.trim(), 16).map_err(|error| error.to_string())?;
    let missing: Vec<&str> = WANTED.iter().filter(|(bit, _)| set & (1 << bit) == 0).map(|(_, name)| *name).collect();
    if missing.is_empty() { Ok("all there".to_owned()) } else { Err(missing.join(" ")) }
}

/// The first PID namespace of a machine has a number that never changes (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
fn pid_namespace() -> Result<String, String> {
    let link = fs::read_link("/proc/self/ns/pid").map_err(|error| error.to_string())?;
    let name = link.display().to_string();
    if name == "pid:[4026531836]" { Ok("yes".to_owned()) } else { Err(format!("no ({name})")) }
}

/// Odoo takes 0.9 GB, a build of everything about 3 GB.
fn disk_space() -> Result<String, String> {
    let cache = paths::cache().map_err(|error| format!("{error:#}"))?;
    let place = cache.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
    let mut df = Command::new("df");
    let text =
        process::output(df.args(["--output=avail", "-B", "1M"]).arg(place)).map_err(|error| error.to_string())?;
    let free: u64 = text.lines().next_back().and_then(|line| line.trim().parse().ok()).unwrap_or(0);
    let found = format!("{:.1} GB free at {}", free as f64 / 1000.0, place.display());
    if free >= 4000 { Ok(found) } else { Err(found) }
}
