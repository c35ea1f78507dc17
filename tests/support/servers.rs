//! The other end of what the demonstration vendors send, and its log, which is the truth.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use xtask::account::Account;

use crate::{checkout, wait_for};

/// Servers on loopback. They are ended when this value is dropped.
#[derive(Debug)]
pub struct Servers {
    _folder: TempDir,
    servers: xtask::servers::Servers,
}

/// One connection (or datagram), as the other end saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// `http`, `smtp`, `tcp`, `udp` or `postgres`.
    pub protocol: String,
    /// The operations that came over it, in their order.
    pub operations: Vec<String>,
    /// The port of the server.
    pub server_port: u16,
    /// The port of the other side: the audited one.
    pub peer_port: u16,
    /// Payload bytes that the server read: what the audited side sent.
    pub received: u64,
    /// Payload bytes that the server wrote.
    pub sent: u64,
    /// How many before it had the same two ends: a port is given out again as soon as it is free.
    pub turn: usize,
}

impl Connection {
    /// Whether a flow has these two ends. Of a datagram socket the kernel tells the remote one only: there a test sends
    /// datagrams of different lengths.
    pub(crate) fn has_ends_of(&self, other: &Self) -> bool {
        let own = |it: &Self| if it.protocol == "udp" { it.received } else { it.peer_port.into() };
        (self.server_port, own(self)) == (other.server_port, own(other))
    }
}

impl Servers {
    /// Starts them on free ports.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("network-audit-").tempdir().expect("a temporary folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("our own folder");
        let account = Account::obtain().expect("an account");
        let servers = xtask::servers::Servers::start(&checkout(), folder.path(), &account).expect("servers");
        Self { _folder: folder, servers }
    }

    /// With real ones of what public addons speak besides, by an interpreter that has them.
    pub fn start_with_real_ones(python: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("network-audit-").tempdir().expect("a temporary folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("our own folder");
        let account = Account::obtain().expect("an account");
        let scripts = ["servers.py", "real_servers.py"];
        let servers = xtask::servers::Servers::start_script(&checkout(), folder.path(), &account, python, &scripts);
        Self { _folder: folder, servers: servers.expect("servers") }
    }

    /// Name to port, as JSON.
    pub fn ports(&self) -> &str {
        &self.servers.ports
    }

    /// The port of one of them.
    pub fn port(&self, name: &str) -> u16 {
        let ports: Value = serde_json::from_str(self.ports()).expect("JSON");
        ports[name].as_u64().and_then(|port| port.try_into().ok()).expect("a port of that name")
    }

    /// All that is in their log.
    pub fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.servers.log).expect("the servers' log");
        // The last line may be half-written yet.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The ended connection that carried an operation; waits for it.
    pub fn connection(&self, operation: &str) -> Connection {
        wait_for(&format!("the operation {operation} at the servers"), || {
            let ended: Vec<Connection> = self.log().iter().filter_map(connection).collect();
            let at = ended.iter().position(|it| it.operations.iter().any(|it| it == operation))?;
            let turn = ended[..at].iter().filter(|it| it.has_ends_of(&ended[at])).count();
            Some(Connection { turn, ..ended[at].clone() })
        })
    }

    /// The ports of both ends of a connection over which an operation has come, and that goes on; and how many before it
    /// had the same.
    pub fn open_connection(&self, operation: &str) -> (u16, u16, usize) {
        wait_for(&format!("the operation {operation} at the servers"), || {
            let log = self.log();
            let at = log.iter().position(|line| line["kind"] == "request" && line["operation"] == operation)?;
            let (server, peer) = (port(&log[at]["server"])?, port(&log[at]["peer"])?);
            let before = log[..at].iter().filter_map(connection);
            Some((server, peer, before.filter(|it| (it.server_port, it.peer_port) == (server, peer)).count()))
        })
    }
}

fn connection(line: &Value) -> Option<Connection> {
    if line["kind"] != "connection" {
        return None;
    }
    let operations = line["operations"].as_array()?.iter().filter_map(|word| word.as_str().map(str::to_owned));
    Some(Connection {
        protocol: line["protocol"].as_str()?.to_owned(),
        operations: operations.collect(),
        server_port: port(&line["server"])?,
        peer_port: port(&line["peer"])?,
        received: line["received"].as_u64()?,
        sent: line["sent"].as_u64()?,
        turn: 0,
    })
}

/// The port of an end, as Python writes it.
fn port(end: &Value) -> Option<u16> {
    end[1].as_u64().and_then(|port| u16::try_from(port).ok())
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = self.servers.child.kill();
        let _ = self.servers.child.wait();
    }
}
