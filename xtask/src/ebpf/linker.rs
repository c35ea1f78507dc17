//! bpf-linker: built once for each LLVM, outside of the checkout.

use super::toolchain::Toolchain;
use crate::paths;
use anyhow::{Context as _, Result, ensure};
use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

/// The version that is built.
pub const LINKER_VERSION: &str = "0.13.0";

/// LLVM versions that it can be built for.
const KNOWN_LLVM: [u32; 3] = [21, 22, 23];

/// `$BPF_LINKER`, or the one that [`install`] built. Not any other: a linker with another LLVM than the compiler's
/// cannot read what the compiler writes.
pub(super) fn find(toolchain: &Toolchain) -> Option<PathBuf> {
    if let Some(linker) = env::var_os("BPF_LINKER") {
        return Some(linker.into());
    }
    Some(folder(toolchain).ok()?.join("bin/bpf-linker")).filter(|linker| linker.is_file())
}

fn folder(toolchain: &Toolchain) -> Result<PathBuf> {
    Ok(paths::cache()?.join(format!("bpf-linker-{LINKER_VERSION}-llvm-{}", toolchain.llvm)))
}

/// Builds it, linked to the very libLLVM of the compiler: then it reads exactly what the compiler writes, and no
/// package with LLVM's headers is needed.
pub(super) fn install(toolchain: &Toolchain) -> Result<PathBuf> {
    let folder = folder(toolchain)?;
    let major = toolchain.llvm.split('.').next().and_then(|major| major.parse::<u32>().ok());
    let major = major.filter(|major| KNOWN_LLVM.contains(major)).with_context(|| {
        format!("bpf-linker {LINKER_VERSION} knows LLVM {KNOWN_LLVM:?}, and {toolchain} has another; set EBPF_RUSTC to one that fits")
    })?;
    eprintln!(
        "building bpf-linker {LINKER_VERSION} for LLVM {} into {}: once, about a minute",
        toolchain.llvm,
        folder.display()
    );
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    if let Some(library) = llvm_library(toolchain) {
        linked_prefix(&folder, &library)?;
        cargo.env("LLVM_PREFIX", &folder);
    } // else its build script looks for llvm-config on the PATH
    let status = cargo
        .args(["install", "bpf-linker", "--quiet", "--locked", "--version", LINKER_VERSION, "--no-default-features"])
        .args(["--features", &format!("llvm-{major}"), "--root"])
        .arg(&folder)
        .arg("--target-dir")
        .arg(folder.join("build"))
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
        .env("CARGO_PROFILE_RELEASE_STRIP", "true")
        .env_remove("RUSTFLAGS")
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "bpf-linker does not build; cargo's messages are above");
    let _ = fs::remove_dir_all(folder.join("build"));
    Ok(folder.join("bin/bpf-linker"))
}

/// `lib/libLLVM.so` for the link, and the file's own name, its soname, for the run.
fn linked_prefix(folder: &Path, library: &Path) -> Result<()> {
    let lib = folder.join("lib");
    fs::create_dir_all(&lib).with_context(|| format!("cannot make {}", lib.display()))?;
    let own = library.file_name().context("libLLVM has no name")?.to_os_string();
    for name in [OsString::from("libLLVM.so"), own] {
        let link = lib.join(name);
        let _ = fs::remove_file(&link);
        symlink(library, &link).with_context(|| format!("cannot make the link {}", link.display()))?;
    }
    Ok(())
}

/// The libLLVM that the compiler itself uses: in its own `lib`, or in a folder below for the machine's architecture.
fn llvm_library(toolchain: &Toolchain) -> Option<PathBuf> {
    let series = toolchain.llvm.split('.').take(2).collect::<Vec<_>>().join(".");
    let prefix = format!("libLLVM.so.{series}");
    let lib = toolchain.sysroot.join("lib");
    let below = fs::read_dir(&lib).into_iter().flatten().flatten().map(|entry| entry.path());
    let below = below.filter(|path| path.is_dir() && path.to_string_lossy().contains("-linux-"));
    let folders: Vec<PathBuf> = [lib.clone(), toolchain.sysroot.join("lib64")].into_iter().chain(below).collect();
    folders.iter().find_map(|folder| {
        let files = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
        files.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix))).min()
    })
}
