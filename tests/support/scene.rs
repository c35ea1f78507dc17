//! Everything at once, on its own: servers, a daemon that watches one control group, and an Odoo in that group.

use serde_json::{Value, json};

use crate::{Connection, Daemon, Group, Odoo, Scope, Servers, Start, wait_for};

/// A whole installation. The order of the fields is the order in which they end.
#[derive(Debug)]
pub struct Scene {
    /// The Odoo.
    pub odoo: Odoo,
    /// The daemon that watches it.
    pub daemon: Daemon,
    /// The other end of what it sends.
    pub servers: Servers,
    /// Its control group.
    pub group: Group,
}

impl Scene {
    /// The daemon first, then a prefork Odoo without cron workers.
    pub fn new() -> Self {
        Self::with(2, 0)
    }

    /// With so many workers and cron workers.
    pub fn with(workers: u32, crons: u32) -> Self {
        Self::start(|start| Start { workers, crons, ..start })
    }

    /// With an Odoo that is started as one says.
    pub fn start(vary: impl FnOnce(Start<'_>) -> Start<'_>) -> Self {
        Self::start_with(Servers::start(), vary)
    }

    /// The same, with these servers as the other end.
    pub fn start_with(servers: Servers, vary: impl FnOnce(Start<'_>) -> Start<'_>) -> Self {
        let group = Group::new().expect("a control group");
        let daemon = Daemon::start(Scope::Group(group.path().to_path_buf()));
        let odoo = Odoo::start(vary(Start::new(&group, &daemon.run_folder(), &servers)));
        Self { odoo, daemon, servers, group }
    }

    /// Presses the demonstration's button, and gives what the other end saw once that connection has ended.
    pub fn press(&self, channel: &str) -> Connection {
        self.servers.connection(&self.begin(channel))
    }

    /// Presses the button, and gives the operation.
    pub fn begin(&self, channel: &str) -> String {
        let (status, body) = self.odoo.rpc().get(&format!("/vendor_demo/press?channel={channel}"));
        assert_eq!(status, 200, "the button {channel}: {body}");
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        answer["operation"].as_str().expect("an operation").to_owned()
    }

    /// The `flow_ended` record of a connection, which the record of its beginning is a part of (`opened`).
    pub fn flow(&self, seen: &Connection) -> Value {
        wait_for(&format!("the flow of {seen:?}; there are:\n{}", self.flows()), || {
            let ended = self.daemon.events().into_iter().filter(|record| record["class"] == "flow_ended");
            ended.filter(|record| is_of(record, seen)).nth(seen.turn)
        })
    }

    /// The flows so far, a line each, for the text of a failed test.
    fn flows(&self) -> String {
        let flows = self.daemon.events().into_iter().filter(|record| record["class"] == "flow_ended");
        let lines = flows.map(|record| {
            let opened = &record["opened"];
            json!([record["seq"], opened["local"], opened["remote"], opened["attribution"]["module"]]).to_string()
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

impl Default for Scene {
    fn default() -> Self {
        Self::new()
    }
}

/// By both ports; see [`Connection::has_ends_of`].
fn is_of(record: &Value, seen: &Connection) -> bool {
    let opened = &record["opened"];
    opened["remote"]["port"] == seen.server_port
        && opened["direction"] == "out"
        && if seen.protocol == "udp" {
            record["sent"] == seen.received
        } else {
            opened["local"]["port"] == seen.peer_port
        }
}
