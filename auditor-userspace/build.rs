//! Takes the kernel half into the binary. A checkout without one still builds, and running says what is missing.

use std::{env, fs, path::PathBuf};

fn main() {
    let built = env::var_os("NETWORK_AUDIT_EBPF_OBJECT").map_or_else(
        || {
            PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"))
                .join("../target/ebpf/auditor-ebpf.o")
        },
        PathBuf::from,
    );
    let embedded = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("auditor-ebpf.o");
    println!("cargo::rerun-if-env-changed=NETWORK_AUDIT_EBPF_OBJECT");
    println!("cargo::rerun-if-changed={}", built.display());
    let object = fs::read(&built).unwrap_or_else(|error| {
        println!("cargo::warning=no kernel half ({}: {error}): run `cargo xtask build-ebpf`", built.display());
        Vec::new()
    });
    fs::write(&embedded, object).expect("the output folder can be written");
}
