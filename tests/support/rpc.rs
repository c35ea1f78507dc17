//! Talking to an Odoo as a client would: pages, and model methods over JSON-RPC.

use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;

/// A client of one database of one Odoo.
#[derive(Debug)]
pub struct Rpc {
    agent: Agent,
    address: String,
    database: String,
}

impl Rpc {
    pub(crate) fn new(address: &str, database: &str) -> Self {
        let config = Agent::config_builder().timeout_global(Some(Duration::from_secs(120))).http_status_as_error(false);
        Self { agent: config.build().into(), address: address.to_owned(), database: database.to_owned() }
    }

    /// Status and body of a page.
    pub fn get(&self, path: &str) -> (u16, String) {
        self.try_get(path).unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// The same, where no answer is an answer.
    pub fn try_get(&self, path: &str) -> Result<(u16, String), ureq::Error> {
        let request = self.agent.get(format!("{}{path}", self.address)).header("X-Odoo-Database", &self.database);
        let mut response = request.call()?;
        Ok((response.status().as_u16(), response.body_mut().read_to_string()?))
    }

    /// Calls a method of a model as the administrator.
    pub fn call(&self, model: &str, method: &str, arguments: &Value) -> Value {
        self.call_with(model, method, arguments, &json!({}))
    }

    /// The same, with arguments that have names.
    pub fn call_with(&self, model: &str, method: &str, arguments: &Value, named: &Value) -> Value {
        self.execute(&self.log_in(), model, method, arguments, named)
    }

    /// The administrator's number.
    pub fn log_in(&self) -> Value {
        let uid = self.service("common", "login", &json!([self.database, "admin", "admin"]));
        assert!(uid.is_u64(), "the administrator cannot log in: {uid}");
        uid
    }

    /// Calls a method as the administrator, whose number is known: one request.
    pub fn execute(&self, uid: &Value, model: &str, method: &str, arguments: &Value, named: &Value) -> Value {
        let words = json!([self.database, uid, "admin", model, method, arguments, named]);
        self.service("object", "execute_kw", &words)
    }

    fn service(&self, service: &str, method: &str, arguments: &Value) -> Value {
        let request = json!({
            "jsonrpc": "2.0", "id": 1, "method": "call",
            "params": {"service": service, "method": method, "args": arguments},
        });
        let response = self.agent.post(format!("{}/jsonrpc", self.address)).send_json(&request);
        let mut answer: Value = response.expect("an answer").body_mut().read_json().expect("JSON");
        assert!(answer.get("error").is_none(), "{service}.{method}: {}", answer["error"]["data"]["debug"]);
        answer["result"].take()
    }
}
