//! `cargo xtask`: everything that CI does, runnable by hand.

use xtask::ebpf;

fn main() -> anyhow::Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("build-ebpf") => println!("{}", ebpf::build()?.display()),
        Some("setup-ebpf") => ebpf::setup()?,
        Some("doctor") => {
            for row in ebpf::prerequisites() {
                println!("{:<20} {:?}", row.what, row.found);
            }
        }
        _ => anyhow::bail!("usage: cargo xtask build-ebpf|setup-ebpf|doctor"),
    }
    Ok(())
}
