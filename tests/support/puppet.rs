//! What the daemon takes for an Odoo, and that does as a test says: see `scenarios/odoo-bin`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::{Daemon, Group, checkout, wait_for};

/// A running one. It is ended when this value is dropped.
#[derive(Debug)]
pub struct Puppet {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    instance: String,
}

impl Puppet {
    /// Starts one with this configuration file, and waits until the daemon audits it.
    pub fn start(group: &Group, daemon: &Daemon, config: &str) -> Self {
        Self::start_in(group, daemon, config, &[])
    }

    /// The same, by a program that takes the rest of its command line for another one.
    pub fn start_in(group: &Group, daemon: &Daemon, config: &str, starter: &[&str]) -> Self {
        let (interpreter, script) = (interpreter(), checkout().join("tests/scenarios/odoo-bin"));
        let words: Vec<&Path> = starter.iter().map(Path::new).chain([&*interpreter, &*script]).collect();
        let mut command = group.command(words[0]);
        command.args(&words[1..]).args(["-c", config]).env("NETWORK_AUDIT_RUN_DIR", daemon.run_folder());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3");
        let (input, output) = (child.stdin.take().expect("its input"), child.stdout.take().expect("its output"));
        let instance = format!("uid:0 config:{config}");
        wait_for("the daemon to audit it", || {
            daemon.get("/v1/status")["instances"].get(&instance).is_some().then_some(())
        });
        Self { child, input, output: BufReader::new(output), instance }
    }

    /// The name that the daemon gives it.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Says something, and gives the answer.
    pub fn tell(&mut self, what: &Value) -> Value {
        writeln!(self.input, "{what}").and_then(|()| self.input.flush()).expect("it listens");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("text");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{what}: {line:?}: {error}"))
    }

    /// A question to the daemon: the status, and the answer.
    pub fn ask(&mut self, method: &str, path: &str, body: &Value) -> (u64, String) {
        answer(&self.tell(&json!(["ask", method, path, body])))
    }

    /// A question that has to be answered, with JSON.
    pub fn get(&mut self, path: &str) -> Value {
        let (status, text) = self.ask("GET", path, &Value::Null);
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Something that has to be done.
    pub fn post(&mut self, path: &str, body: &Value) -> Value {
        let (status, text) = self.ask("POST", path, body);
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Bytes that a question should not have.
    pub fn post_text(&mut self, path: &str, text: &str) -> (u64, String) {
        answer(&self.tell(&json!(["post", path, text])))
    }
}

/// The system's own: what stands first on a path may be a script that starts one.
fn interpreter() -> PathBuf {
    xtask::python::interpreters().into_iter().next().map_or_else(|| PathBuf::from("python3"), |(_, path)| path)
}

fn answer(value: &Value) -> (u64, String) {
    (value[0].as_u64().expect("a status"), value[1].as_str().expect("an answer").to_owned())
}

impl Drop for Puppet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
