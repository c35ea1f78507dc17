//! The kernel half: which compiler builds it, its linker, the object.
//!
//! A BPF target needs a `core`, which `rustup target add` does not have. Two ways: a compiler that ships a prebuilt one
//! (Debian's `rustc-web` with `libstd-rust-web-dev-bpf`), used as it is; or a nightly with the library's sources
//! (`rust-src`), so that cargo builds `core` itself. The machine's own cargo and rustc stay as they are.

mod linker; // bpf-linker, built once for each LLVM
mod toolchain; // a compiler that can do it

pub use linker::LINKER_VERSION;

use crate::paths;
use anyhow::{Context as _, Result, ensure};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use toolchain::{Core, Toolchain};

const TARGET: &str = "bpfel-unknown-none";

/// The instruction set with atomic operations that give the old value; Linux 5.12 has all of it.
const CPU: &str = "v3";

/// One line of `doctor`.
pub struct Row {
    /// What is needed.
    pub what: &'static str,
    /// What was found, or what to do about it.
    pub found: Result<String, String>,
}

/// What building the kernel half needs, found or missing.
pub fn prerequisites() -> Vec<Row> {
    let toolchain = toolchain::find();
    let linker = match &toolchain {
        Ok(toolchain) => linker::find(toolchain)
            .map(|path| path.display().to_string())
            .ok_or_else(|| format!("bpf-linker {LINKER_VERSION}: `cargo xtask build-ebpf` builds it, once")),
        Err(_) => Err("needs the compiler first".to_owned()),
    };
    let compiler = toolchain.map(|found| found.to_string()).map_err(|error| format!("{error:#}"));
    vec![Row { what: "compiler for BPF", found: compiler }, Row { what: "bpf-linker", found: linker }]
}

/// Installs what is missing, where that can be done without asking: Debian's compiler as root, and bpf-linker.
pub fn setup() -> Result<()> {
    prepared().map(|_| ())
}

/// Builds the object that the daemon carries, and gives its path: `target/ebpf/auditor-ebpf.o`.
pub fn build() -> Result<PathBuf> {
    let (toolchain, linker) = prepared()?;
    let built = compile(&toolchain, &linker)?;
    let object = paths::checkout()?.join("target/ebpf/auditor-ebpf.o");
    fs::create_dir_all(object.parent().context("the object has no folder")?)?;
    let stripped = object.with_extension("o.new");
    fs::copy(&built, &stripped).with_context(|| format!("cannot copy {}", built.display()))?;
    toolchain::strip(&stripped);
    // The daemon's build script looks at the time of the file: only another object is a reason to build again.
    if fs::read(&object).ok() == fs::read(&stripped).ok() {
        fs::remove_file(&stripped)?;
    } else {
        fs::rename(&stripped, &object)?;
    }
    Ok(object)
}

fn prepared() -> Result<(Toolchain, PathBuf)> {
    let toolchain = match toolchain::find() {
        Ok(toolchain) => toolchain,
        Err(_) if toolchain::can_install() => {
            toolchain::install()?;
            toolchain::find()?
        }
        Err(error) => return Err(error),
    };
    let linker = match linker::find(&toolchain) {
        Some(linker) => linker,
        None => linker::install(&toolchain)?,
    };
    Ok((toolchain, linker))
}

fn compile(toolchain: &Toolchain, linker: &Path) -> Result<PathBuf> {
    let target = paths::checkout()?.join("target/ebpf-build");
    let flags = [
        format!("--cfg=bpf_target_arch=\"{}\"", env::consts::ARCH),
        "-Cdebuginfo=2".to_owned(), // BTF is made out of it
        format!("-Ctarget-cpu={CPU}"),
        format!("-Clinker={}", linker.display()),
        "-Clink-arg=--btf".to_owned(),
    ];
    let mut cargo = Command::new(&toolchain.cargo);
    cargo
        .current_dir(paths::checkout()?.join("auditor-ebpf"))
        .args(["build", "--quiet", "--locked", "--release", "--target", TARGET, "--target-dir"])
        .arg(&target)
        .env("RUSTC", &toolchain.rustc)
        // BPF assembly is unstable on every compiler, and a stable cargo needs this for `-Z`.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    for variable in FOREIGN {
        cargo.env_remove(variable);
    }
    if toolchain.core == Core::FromSource {
        cargo.args(["-Z", "build-std=core"]);
    }
    let status = cargo.status().with_context(|| format!("cannot run {}", toolchain.cargo.display()))?;
    ensure!(status.success(), "the kernel half does not build with {toolchain}; its messages are above");
    Ok(target.join(TARGET).join("release/auditor-ebpf"))
}

/// What the outer cargo or the user set for another compiler.
const FOREIGN: [&str; 6] = [
    "RUSTUP_TOOLCHAIN",
    "RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET",
];

/// What a program prints, if it runs and succeeds.
fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
