//! A compiler that can build for BPF.

use super::{TARGET, output};
use crate::process;
use anyhow::{Context as _, Result, anyhow, ensure};
use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Debian's compiler for the web and for BPF. It has the machine's rustup to itself: neither touches the other.
const DEBIAN: [&str; 2] = ["rustc-web", "libstd-rust-web-dev-bpf"];

/// Where a `core` for BPF comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Core {
    /// The compiler ships it.
    Prebuilt,
    /// cargo builds it from the library's sources.
    FromSource,
}

/// A compiler that can build for BPF.
#[derive(Debug)]
pub(super) struct Toolchain {
    pub(super) rustc: PathBuf,
    pub(super) cargo: PathBuf,
    pub(super) release: String,
    /// Version of its LLVM, `22.1.8`.
    pub(super) llvm: String,
    pub(super) sysroot: PathBuf,
    pub(super) core: Core,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let core = match self.core {
            Core::Prebuilt => "its own core",
            Core::FromSource => "core from source",
        };
        write!(f, "rustc {} ({}, LLVM {}, {core})", self.release, self.rustc.display(), self.llvm)
    }
}

/// The first compiler here that can do it: `$EBPF_RUSTC` alone if that is set, else one with a prebuilt `core`, else
/// one with sources.
pub(super) fn find() -> Result<Toolchain> {
    let (usable, unusable): (Vec<_>, Vec<_>) =
        candidates().into_iter().map(|rustc| probe(&rustc)).partition(Result::is_ok);
    let mut usable: Vec<Toolchain> = usable.into_iter().flatten().collect();
    usable.sort_by_key(|toolchain| toolchain.core == Core::FromSource);
    usable.into_iter().next().ok_or_else(|| {
        let reasons: Vec<String> =
            unusable.iter().filter_map(|result| result.as_ref().err()).map(ToString::to_string).collect();
        anyhow!(
            "no compiler here can build for BPF ({}); install one: `apt-get install --no-install-recommends {}` on \
             Debian, or `rustup toolchain install nightly --component rust-src`",
            reasons.join("; "),
            DEBIAN.join(" "),
        )
    })
}

fn candidates() -> Vec<PathBuf> {
    if let Some(rustc) = env::var_os("EBPF_RUSTC") {
        return vec![rustc.into()];
    }
    let mut candidates = vec![PathBuf::from("/usr/bin/rustc")];
    for name in ["nightly", "stable"] {
        // Asks no network and installs nothing.
        let which = output(Command::new("rustup").args(["which", "--toolchain", name, "rustc"]));
        candidates.extend(which.map(PathBuf::from));
    }
    candidates
}

/// The error is the reason why this compiler cannot do it.
fn probe(rustc: &Path) -> Result<Toolchain> {
    let shown = rustc.display();
    let ask = |arguments: &[&str]| {
        output(Command::new(rustc).args(arguments).env_remove("RUSTUP_TOOLCHAIN"))
            .with_context(|| format!("{shown} does not run"))
    };
    let version = ask(&["-vV"])?;
    let field =
        |name: &str| version.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
    let sysroot = PathBuf::from(ask(&["--print", "sysroot"])?);
    let libraries = sysroot.join("lib/rustlib");
    let core = if has_core(&libraries.join(TARGET).join("lib")) {
        Core::Prebuilt
    } else if libraries.join("src/rust/library/core/Cargo.toml").is_file() {
        Core::FromSource
    } else {
        return Err(anyhow!("{shown} has neither a core for BPF nor its source"));
    };
    // The compiler's own cargo where there is one, else the cargo that runs this.
    let own = rustc.with_file_name("cargo");
    let cargo = if own.is_file() { own } else { env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from) };
    Ok(Toolchain {
        rustc: rustc.into(),
        cargo,
        release: field("release:"),
        llvm: field("LLVM version:"),
        sysroot,
        core,
    })
}

fn has_core(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
}

/// Whether [`install`] is worth a try: Debian or one of its children, as root.
pub(super) fn can_install() -> bool {
    process::is_root() && Path::new("/etc/debian_version").is_file() && env::var_os("EBPF_RUSTC").is_none()
}

/// Installs Debian's compiler for BPF.
pub(super) fn install() -> Result<()> {
    eprintln!("installing {} for the kernel half", DEBIAN.join(" and "));
    // An index that is there may do; one that is missing or old is fetched.
    if apt(&[]).is_err() {
        let status = Command::new("apt-get").args(["-qq", "update"]).status().context("cannot run apt-get")?;
        ensure!(status.success(), "apt-get update failed; its messages are above");
        apt(&["-o", "Dpkg::Use-Pty=0"]).context("apt-get install failed; its messages are above")?;
    }
    Ok(())
}

fn apt(more: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command.args(["-qq", "-y", "--no-install-recommends"]).args(more).arg("install").args(DEBIAN);
    let status = command.env("DEBIAN_FRONTEND", "noninteractive").stdout(std::io::stderr()).status()?;
    ensure!(status.success(), "it exited with {status}");
    Ok(())
}

/// Takes the DWARF out; BTF stays. A fifth of the size is left. Where no tool for it is found the object is used as it
/// is: it loads all the same.
pub(super) fn strip(object: &Path) {
    let mut tools = Vec::new();
    for rustc in candidates() {
        let Some(sysroot) = output(Command::new(rustc).args(["--print", "sysroot"])) else { continue };
        let libraries = Path::new(&sysroot).join("lib");
        for host in fs::read_dir(libraries.join("rustlib")).into_iter().flatten().flatten() {
            tools.push((host.path().join("bin/rust-objcopy"), libraries.clone()));
        }
    }
    tools.push((PathBuf::from("llvm-objcopy"), PathBuf::new()));
    for (tool, libraries) in tools {
        // Run by its path, a toolchain's objcopy does not find the toolchain's libLLVM by itself.
        let command = Command::new(tool).env("LD_LIBRARY_PATH", libraries).arg("--strip-debug").arg(object).output();
        if command.is_ok_and(|output| output.status.success()) {
            return;
        }
    }
}
