//! `auditor`: the daemon and the command line, one thin binary over the library.

fn main() {}
