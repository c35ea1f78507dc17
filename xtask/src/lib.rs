//! What `cargo xtask` and the tests share: the set-up of the machine, a real Odoo, and how the daemon is confined.

pub mod account;
pub mod addon;
pub mod background;
pub mod cgroup;
pub mod ebpf;
pub mod lint;
pub mod node;
pub mod odoo;
pub mod packages;
pub mod paths;
pub mod process;
pub mod programs;
pub mod python;
pub mod servers;
pub mod service;
pub mod suite_apt;
pub mod tally;
pub mod tidy;
