//! What the tests stand on: real daemons, real Odoos, real sockets.
//!
//! Everything here panics instead of returning an error: a test that cannot go on shows where. What a machine may lack
//! is asked for at the start of a test, by [`require!`], and such a test says why it was skipped.

pub mod bench;
mod browser;
pub mod bundle;
mod daemon;
pub mod forge;
pub mod kernel_cost;
pub mod kernel_probe;
pub mod ledger;
pub mod look;
pub mod mutate;
mod odoo;
pub mod power;
pub mod published;
mod puppet;
pub mod robber;
mod rpc;
mod scene;
pub mod second;
mod servers;
pub mod shipped;
mod skip;
pub mod soak;
pub mod watcher;
pub mod witness;

pub use browser::Browser;
pub use daemon::{Daemon, Scope, auditor, verifier};
pub use odoo::{Door, Odoo, Start};
pub use puppet::Puppet;
pub use rpc::Rpc;
pub use scene::Scene;
pub use servers::{Connection, Servers};
pub use skip::{a_daemon, an_odoo, lengths_of_calls, root, security_hooks, skip};
pub use xtask::cgroup::Group;

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it. Nothing is asserted about how fast it was.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The checkout that the tests were built in.
pub fn checkout() -> PathBuf {
    xtask::paths::checkout().expect("a checkout")
}

/// Where cgroup2 is mounted.
pub fn cgroup2_root() -> PathBuf {
    xtask::cgroup::root().expect("cgroup2")
}

/// Asks until there is an answer; panics with `what` when patience is at an end.
pub fn wait_for<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = answer() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {} s in vain for {what}", PATIENCE.as_secs());
        thread::sleep(Duration::from_millis(40));
    }
}
