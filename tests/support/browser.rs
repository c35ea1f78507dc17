//! A person at an Odoo: a session of its own, by an ordinary HTTP client that keeps cookies.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

/// One person's browser.
#[derive(Debug)]
pub struct Browser {
    folder: TempDir,
    address: String,
    database: String,
}

impl Browser {
    /// A browser that was never here.
    #[must_use]
    pub fn new(address: &str, database: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder, address: address.to_owned(), database: database.to_owned() }
    }

    /// Logs the administrator in.
    pub fn log_in(&self) {
        let who = json!({"db": self.database, "login": "admin", "password": "admin"});
        assert!(self.ask("/web/session/authenticate", &who)["uid"].is_u64(), "the administrator cannot log in");
    }

    /// Status and body of a page.
    #[must_use]
    pub fn get(&self, path: &str) -> (u16, Vec<u8>) {
        self.send(path, &[])
    }

    /// What a JSON route answers.
    #[must_use]
    pub fn ask(&self, path: &str, parameters: &Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "call", "params": parameters}).to_string();
        let (status, answer) = self.send(path, &["-H", "Content-Type: application/json", "--data-binary", &body]);
        let text = String::from_utf8_lossy(&answer);
        let mut answer: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: {status}: {text}"));
        assert!(answer.get("error").is_none(), "{path}: {}", answer["error"]["data"]["debug"]);
        answer["result"].take()
    }

    /// Calls a method as the one who is logged in.
    #[must_use]
    pub fn call(&self, model: &str, method: &str, arguments: &Value, keywords: &Value) -> Value {
        let what = json!({"model": model, "method": method, "args": arguments, "kwargs": keywords});
        self.ask(&format!("/web/dataset/call_kw/{model}/{method}"), &what)
    }

    /// Status and answer of whatever is sent.
    #[must_use]
    pub fn send(&self, path: &str, more: &[&str]) -> (u16, Vec<u8>) {
        let (jar, body) = (self.folder.path().join("jar"), self.folder.path().join("body"));
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "300", "--write-out", "%{http_code}", "-o"]).arg(&body);
        curl.arg("-b").arg(&jar).arg("-c").arg(&jar);
        let output = curl.args(more).arg(format!("{}{path}", self.address)).output().expect("curl");
        let status = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
        (status.parse().expect("a status"), fs::read(&body).unwrap_or_default())
    }
}
