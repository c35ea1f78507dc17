//! Asking a running daemon, over its local socket.

use std::io;
use std::path::Path;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

/// Why the daemon did not answer.
#[derive(Debug)]
pub enum AskError {
    /// Nobody listens at the socket.
    NotRunning(io::Error),
    /// The socket is there and may not be used.
    Denied(String),
    /// It does not do that: its own sentence.
    Refused(String),
    /// It answered with something else than was asked for.
    Answer(String),
}

impl std::fmt::Display for AskError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotRunning(source) => write!(f, "the daemon does not answer ({source}): is `auditor run` running?"),
            Self::Denied(why) => write!(f, "the daemon refuses: {why}"),
            Self::Refused(why) => f.write_str(why),
            Self::Answer(what) => write!(f, "the daemon's answer makes no sense: {what}"),
        }
    }
}

impl std::error::Error for AskError {}

/// Asks for one JSON object.
pub fn object(socket: &Path, path: &str) -> Result<Value, AskError> {
    let mut found = None;
    lines(socket, path, |value| {
        found = Some(value);
        true
    })?;
    found.ok_or_else(|| AskError::Answer("it is empty".into()))
}

/// Wants something to be done; gives the answer.
pub fn post(socket: &Path, path: &str, body: &Value) -> Result<Value, AskError> {
    let mut found = None;
    send(socket, path, Some(body), |value| {
        found = Some(value);
        true
    })?;
    found.ok_or_else(|| AskError::Answer("it is empty".into()))
}

/// Asks for JSON objects, a line each; `each` says whether to go on.
pub fn lines(socket: &Path, path: &str, each: impl FnMut(Value) -> bool) -> Result<(), AskError> {
    send(socket, path, None, each)
}

fn send(socket: &Path, path: &str, body: Option<&Value>, each: impl FnMut(Value) -> bool) -> Result<(), AskError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| AskError::Answer(format!("no runtime: {source}")))?;
    runtime.block_on(ask(socket, path, body, each))
}

async fn ask(
    socket: &Path,
    path: &str,
    body: Option<&Value>,
    mut each: impl FnMut(Value) -> bool,
) -> Result<(), AskError> {
    let answer = |source: hyper::Error| AskError::Answer(source.to_string());
    let stream = UnixStream::connect(socket).await.map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => {
            AskError::Denied(format!("{} may not be opened by this user", socket.display()))
        }
        _ => AskError::NotRunning(source),
    })?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(answer)?;
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(if body.is_some() { Method::POST } else { Method::GET })
        .uri(path)
        .header("host", "auditor")
        .body(Full::new(Bytes::from(body.map(Value::to_string).unwrap_or_default())))
        .map_err(|source| AskError::Answer(source.to_string()))?;
    let mut response = sender.send_request(request).await.map_err(answer)?;
    let status = response.status();
    let mut rest = Vec::new();
    while let Some(frame) = response.frame().await {
        let Some(chunk) = frame.map_err(answer)?.into_data().ok() else { continue };
        rest.extend_from_slice(&chunk);
        if !status.is_success() {
            continue;
        }
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            if !each(parse(&line)?) {
                connection.abort();
                return Ok(());
            }
        }
    }
    if status.is_success() {
        if !rest.is_empty() {
            each(parse(&rest)?);
        }
        return Ok(());
    }
    let why = String::from_utf8_lossy(&rest).trim().to_owned();
    Err(match status {
        StatusCode::FORBIDDEN => AskError::Denied(why),
        // The daemon's own sentence says what is wrong, and what to do.
        status if status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE => AskError::Refused(why),
        status => AskError::Answer(format!("{status}: {why}")),
    })
}

fn parse(line: &[u8]) -> Result<Value, AskError> {
    serde_json::from_slice(line).map_err(|source| AskError::Answer(source.to_string()))
}

/// A path with a query.
#[must_use]
pub fn path(path: &str, query: &[(&str, &str)]) -> String {
    let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", percent(value))).collect();
    format!("{path}?{}", query.join("&"))
}

/// Everything but letters, digits and `-._~` is written as its bytes (RFC 3986 section 2.1).
fn percent(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
