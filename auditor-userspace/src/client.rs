//! Asking a running daemon, over its local socket.

use std::io;
use std::path::Path;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::CONTENT_LENGTH;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

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
    /// The answer could not be written down here.
    Written(io::Error),
}

impl std::fmt::Display for AskError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotRunning(source) => write!(f, "the daemon does not answer ({source}): is `auditor run` running?"),
            Self::Denied(why) => write!(f, "the daemon refuses: {why}"),
            Self::Refused(why) => f.write_str(why),
            Self::Written(source) => write!(f, "the answer cannot be written down: {source}"),
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

/// Wants something to be made and sent; gives each piece of it to `each`, with the length of the whole. It is an error if
/// less comes than was announced.
pub fn download(
    socket: &Path,
    path: &str,
    body: &Value,
    mut each: impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> Result<(), AskError> {
    runtime()?.block_on(async {
        let (mut response, _connection) = request(socket, path, Some(body)).await?;
        if !response.status().is_success() {
            return Err(refused(response).await?);
        }
        let whole = response.headers().get(CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse().ok());
        let whole: u64 = whole.ok_or_else(|| AskError::Answer("it does not say how long it is".into()))?;
        let mut came = 0;
        while let Some(frame) = response.frame().await {
            let cut = |_| AskError::Answer(format!("it ended after {came} of {whole} bytes: try again"));
            let Some(chunk) = frame.map_err(cut)?.into_data().ok() else { continue };
            came += chunk.len() as u64;
            each(whole, &chunk).map_err(AskError::Written)?;
        }
        if came == whole {
            Ok(())
        } else {
            Err(AskError::Answer(format!("it ended after {came} of {whole} bytes: try again")))
        }
    })
}

fn runtime() -> Result<Runtime, AskError> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|source| AskError::Answer(format!("no runtime: {source}")))
}

/// Why there is no answer: the daemon's own sentence.
async fn refused(mut response: Response<Incoming>) -> Result<AskError, AskError> {
    let status = response.status();
    let mut why = Vec::new();
    while let Some(frame) = response.frame().await {
        let frame = frame.map_err(|source| AskError::Answer(source.to_string()))?;
        why.extend_from_slice(frame.data_ref().map(Bytes::as_ref).unwrap_or_default());
    }
    let why = String::from_utf8_lossy(&why).trim().to_owned();
    Ok(match status {
        StatusCode::FORBIDDEN => AskError::Denied(why),
        // The daemon's own sentence says what is wrong, and what to do.
        status if status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE => AskError::Refused(why),
        status => AskError::Answer(format!("{status}: {why}")),
    })
}

fn send(socket: &Path, path: &str, body: Option<&Value>, each: impl FnMut(Value) -> bool) -> Result<(), AskError> {
    runtime()?.block_on(ask(socket, path, body, each))
}

/// Asks; gives the head of the answer, and the connection that it comes over.
async fn request(
    socket: &Path,
    path: &str,
    body: Option<&Value>,
) -> Result<(Response<Incoming>, JoinHandle<hyper::Result<()>>), AskError> {
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
    Ok((sender.send_request(request).await.map_err(answer)?, connection))
}

async fn ask(
    socket: &Path,
    path: &str,
    body: Option<&Value>,
    mut each: impl FnMut(Value) -> bool,
) -> Result<(), AskError> {
    let (mut response, connection) = request(socket, path, body).await?;
    if !response.status().is_success() {
        return Err(refused(response).await?);
    }
    let mut rest = Vec::new();
    while let Some(frame) = response.frame().await {
        let frame = frame.map_err(|source| AskError::Answer(source.to_string()))?;
        let Some(chunk) = frame.into_data().ok() else { continue };
        rest.extend_from_slice(&chunk);
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            if !each(parse(&line)?) {
                connection.abort();
                return Ok(());
            }
        }
    }
    if !rest.is_empty() {
        each(parse(&rest)?);
    }
    Ok(())
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
