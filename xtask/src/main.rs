//! `cargo xtask`: everything that CI does, runnable by hand.

fn main() {}
