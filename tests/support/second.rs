//! The second verifier: the one in Python, in one process for a whole test, held against the first.

use std::io::{BufRead as _, BufReader, Cursor, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use auditor_common::checkpoint::SignedCheckpoint;
use auditor_common::note::{VerifierKey, hex};
use auditor_common::tar::Archive;
use auditor_common::verify::{Expect, Finding, Question, Trust, Verdict, exit, verify_export};
use serde_json::{Value, json};

use crate::bundle::Bundle;
use crate::checkout;

/// What somebody who verifies brings along.
#[derive(Clone, Debug)]
pub struct Brought {
    /// The key that is known by another way.
    pub key: VerifierKey,
    /// The nonce that was given.
    pub nonce: Option<Vec<u8>>,
    /// The checkpoint that was seen last, as a note.
    pub last_seen: Option<String>,
}

impl Brought {
    /// Nothing but a key.
    #[must_use]
    pub fn key(key: &VerifierKey) -> Self {
        Self { key: key.clone(), nonce: None, last_seen: None }
    }

    fn expect(&self) -> Expect {
        let seen = |note: &String| SignedCheckpoint::parse(note.as_bytes()).expect("a checkpoint").checkpoint;
        Expect {
            trust: Trust { pinned: Some(self.key.clone()) },
            nonce: self.nonce.clone(),
            last_seen: self.last_seen.as_ref().map(seen),
        }
    }
}

/// What a verifier says, as far as two of them must agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The exit code.
    pub exit: u8,
    /// The standing of each of the six questions; none if it came to none of them.
    pub standings: Vec<String>,
}

/// What both said, and in which words.
#[derive(Clone, Debug)]
pub struct Heard {
    /// What they agree on.
    pub said: Said,
    /// The sentence of the first, in Rust.
    pub rust: String,
    /// The sentence of the second, in Python.
    pub python: String,
    /// The record that both name.
    pub records: (Option<u64>, Option<u64>),
}

/// Both verifiers.
#[derive(Debug)]
pub struct Both {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Drop for Both {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Both {
    /// Starts the second one; the error says why there is none.
    pub fn start() -> Result<Self, String> {
        for (program, argument) in [("python3", "--version"), ("openssl", "version")] {
            let found = Command::new(program).arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).status();
            found.map_err(|error| format!("{program} does not start: {error}"))?;
        }
        let mut child = Command::new("python3")
            .args(["-B", "tests/core/judge.py"])
            .current_dir(checkout())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("python3 does not start: {error}"))?;
        let (input, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        Ok(Self { child, input, output: BufReader::new(output) })
    }

    fn ask(&mut self, mut request: Value, brought: &Brought, content: &[u8]) -> Value {
        request["key"] = json!(brought.key.to_string());
        request["nonce"] = json!(brought.nonce.as_deref().map(hex));
        request["last_seen"] = json!(brought.last_seen);
        writeln!(self.input, "{request}").expect("the second verifier");
        self.input.write_all(content).and_then(|()| self.input.flush()).expect("the second verifier");
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect("the second verifier");
        let answer: Value = serde_json::from_str(&answer).expect("an answer of the second verifier");
        assert!(answer["panic"].is_null(), "the second verifier raised:\n{}", answer["panic"].as_str().unwrap_or(""));
        answer
    }

    /// What the second one says about files.
    pub fn python(&mut self, bundle: &Bundle, brought: &Brought) -> Value {
        let files: Vec<_> = bundle.0.iter().map(|(path, content)| (path, content.len())).collect();
        let content: Vec<u8> = bundle.0.values().flatten().copied().collect();
        self.ask(json!({ "files": files }), brought, &content)
    }

    /// What both say about files; the error is what they do not agree on.
    pub fn files(&mut self, bundle: &Bundle, brought: &Brought) -> Result<Heard, String> {
        let first = verify_export(&mut bundle.clone(), &brought.expect(), &mut |_| {});
        let first = first.map_err(|error| error.to_string())?;
        heard(&first, &self.python(bundle, brought))
    }

    /// What both say about an archive.
    pub fn archive(&mut self, bytes: &[u8], brought: &Brought) -> Result<Heard, String> {
        let second = self.ask(json!({ "archive": bytes.len() }), brought, bytes);
        match Archive::open(Cursor::new(bytes)).map_err(|error| error.to_string())? {
            Ok(mut archive) => {
                let first = verify_export(&mut archive, &brought.expect(), &mut |_| {});
                heard(&first.map_err(|error| error.to_string())?, &second)
            }
            Err(rust) => {
                let said = Said { exit: exit::TAMPERED, standings: vec![] };
                agreed(said, rust, None, &second)
            }
        }
    }
}

fn heard(first: &Verdict, second: &Value) -> Result<Heard, String> {
    let standings = Question::ALL.map(|question| first.answer(question).standing.word().to_owned()).to_vec();
    let record = match &first.finding {
        Some(Finding::Violated { record, .. }) => *record,
        _ => None,
    };
    agreed(Said { exit: first.exit(), standings }, first.to_text(), record, second)
}

fn agreed(said: Said, rust: String, record: Option<u64>, second: &Value) -> Result<Heard, String> {
    let standing = |question: Question| second["answers"][question.word()]["standing"].as_str().map(str::to_owned);
    let standings = Question::ALL.iter().filter_map(|question| standing(*question)).collect();
    let exit = second["exit"].as_u64().and_then(|exit| u8::try_from(exit).ok());
    let python = format!("{second}");
    if exit.map(|exit| Said { exit, standings }) == Some(said.clone()) {
        Ok(Heard { said, rust, python, records: (record, second["finding"]["record"].as_u64()) })
    } else {
        Err(format!("they do not agree. Rust:\n{rust}\nPython:\n{python}"))
    }
}
