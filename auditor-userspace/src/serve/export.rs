//! A part of the ledger, handed out: sealed that it is, read twice, streamed.
//!
//! The signed list stands first in the archive and is known last. So everything is read and hashed once for the list, and
//! read again on its way out: nothing waits on a disk, and a ledger of any size takes the same memory.

use std::io::{self, BufWriter};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use auditor_common::body::Actor;
use auditor_common::export::SignedExport;
use axum::body::{Body as HttpBody, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::orders::{Order, Outcome};
use super::peer::Sight;
use super::refusal::Refusal;
use super::socket::{Peer, Window, parse};
use super::{Records, apart};
use crate::clock;
use crate::export::{self, Counted, ExportError, NONCE_MAX, Output as _, Published, Request, Stream, nonce};
use crate::store::{Announced, Reader};

/// So much is handed over at once, bytes.
const CHUNK: usize = 256 << 10;
/// Who takes nothing for so long is not waited for any more.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is begun again because a key was followed by another meanwhile.
const ATTEMPTS: u32 = 3;

/// What exports are made of.
#[derive(Clone, Debug)]
pub struct Exports {
    state: PathBuf,
    reader: Reader,
    /// The host's, and those of all instances, apart: no instance keeps the host from its own.
    room: [Arc<Semaphore>; 2],
}

impl Exports {
    /// Exports of the ledger in this state folder.
    #[must_use]
    pub fn new(state: PathBuf, reader: Reader) -> Self {
        Self { state, reader, room: [Arc::new(Semaphore::new(2)), Arc::new(Semaphore::new(1))] }
    }
}

/// The body of `POST /v1/export`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Asked {
    /// CLOCK_REALTIME nanoseconds.
    from_ns: Option<u64>,
    /// CLOCK_REALTIME nanoseconds.
    to_ns: Option<u64>,
    /// Only this instance's; an Odoo gets its own in any case.
    instance: Option<String>,
    /// In hex.
    nonce: Option<String>,
    /// With a page for people.
    html: bool,
}

/// Hands out a part of the ledger as an archive.
pub(super) async fn export<R: Records>(
    State(window): State<Window<R>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let (sight, asked): (Sight, Asked) = (window.sight(peer), parse(body)?);
    let instance = sight.choose(asked.instance).ok_or_else(Refusal::not_yours)?;
    let (actor, name, room) = match &sight {
        Sight::Instance(own) => (Actor::Instance { tgid: peer.tgid().unwrap_or(0) }, format!("instance {own}"), 1),
        _ => (Actor::Host { uid: peer.uid }, format!("user {}", peer.uid), 0),
    };
    let nonce = asked.nonce.map(|text| nonce(&text).ok_or_else(bad_nonce)).transpose()?;
    if asked.from_ns.zip(asked.to_ns).is_some_and(|(from, to)| from > to) {
        return Err(Refusal::bad("it would end before it begins: \"from_ns\" is later than \"to_ns\""));
    }
    let permit = Arc::clone(&window.exports.room[room]).try_acquire_owned().map_err(|_| {
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, "another export is being made: ask again when it is done")
    })?;
    let (from_wall_ns, to_wall_ns, html) = (asked.from_ns, asked.to_ns, asked.html);
    let request = Arc::new(Request { from_wall_ns, to_wall_ns, instance, nonce, html });
    for _ in 0..ATTEMPTS {
        let made = make(&window, &request, actor, &name).await?;
        if made.is_whole() {
            return Ok(made.stream(request, permit));
        }
    }
    Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "keys were changed while it was made: ask again"))
}

fn bad_nonce() -> Refusal {
    Refusal::bad(format!("\"nonce\" is hexadecimal, of at most {NONCE_MAX} bytes: `openssl rand -hex 16` makes one"))
}

/// An export whose list is signed: to be read once more, on its way out.
struct Made {
    keys: Published,
    reader: Reader,
    announced: Announced,
    time: u64,
    list: String,
    epoch: u32,
    len: u64,
}

/// Has it sealed that an export is made, reads everything for the list, and has that signed.
async fn make<R: Records>(
    window: &Window<R>,
    request: &Arc<Request>,
    actor: Actor,
    name: &str,
) -> Result<Made, Refusal> {
    let Exports { state, reader, .. } = window.exports.clone();
    let (mut own, about, name) = (reader.clone(), Arc::clone(request), name.to_owned());
    let record = apart(move || Ok(export::record(&mut own, &about, &name))).await??;
    let done = window.desk.carry_out(Order::Announce { export: record, actor }).await?;
    let Outcome::Announced(announced) = done.outcome else { return Err(Refusal::absent("it was not announced")) };
    let (own, about, time) = (reader.clone(), Arc::clone(request), clock::now().wall_ns / 1_000_000_000);
    let announced = *announced;
    let written = apart(move || {
        let keys = Published::read(&state, announced.checkpoint.origin.incarnation())?;
        let mut counted = Counted::default();
        let note = export::write(&keys, own, &about, &announced, time, &mut counted, &mut |_, _| {});
        Ok((note, keys, counted, announced))
    });
    let (note, keys, counted, announced) = written.await?;
    let done = window.desk.carry_out(Order::Sign(note?.text())).await?;
    let Outcome::Signed(list) = done.outcome else { return Err(Refusal::absent("it was not signed")) };
    let signed = SignedExport::parse(list.as_bytes()).map_err(anyhow::Error::from)?;
    let len = counted.archive_len(&list);
    Ok(Made { keys, reader, announced, time, epoch: signed.epoch, list, len })
}

impl Made {
    /// Whether the key that signed the list is among those that go with it.
    fn is_whole(&self) -> bool {
        self.keys.newest_epoch() == Some(self.epoch)
    }

    /// Reads it again, and sends it.
    fn stream(self, request: Arc<Request>, permit: OwnedSemaphorePermit) -> Response {
        let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(2);
        let len = self.len;
        let id = auditor_common::note::hex(&self.announced.export.id);
        tokio::task::spawn_blocking(move || {
            let chunks = Chunks { sender: sender.clone(), runtime: Handle::current() };
            if let Err(error) = self.write(&request, chunks) {
                tracing::warn!("an export was not sent to its end: {error}");
                // What is cut off here does not have the length that was announced, so nobody takes it for whole.
                drop(sender.try_send(Err(io::Error::other(error.to_string()))));
            }
            drop(permit);
        });
        let name = format!("attachment; filename=\"{id}.nalx\"");
        let headers = [
            (header::CONTENT_TYPE, "application/x-tar".to_owned()),
            (header::CONTENT_LENGTH, len.to_string()),
            (header::CONTENT_DISPOSITION, name),
        ];
        (headers, HttpBody::from_stream(ReceiverStream::new(receiver))).into_response()
    }

    fn write(self, request: &Request, chunks: Chunks) -> Result<(), ExportError> {
        let Self { keys, reader, announced, time, list, .. } = self;
        let mut stream = Stream::begin(BufWriter::with_capacity(CHUNK, chunks), &list)?;
        export::write(&keys, reader, request, &announced, time, &mut stream, &mut |_, _| {})?;
        stream.finish(&list)
    }
}

/// Hands chunks to whoever reads them, and waits for them to be read, but not for ever.
struct Chunks {
    sender: mpsc::Sender<io::Result<Bytes>>,
    runtime: Handle,
}

impl io::Write for Chunks {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        let send = self.sender.send(Ok(Bytes::copy_from_slice(content)));
        match self.runtime.block_on(async { tokio::time::timeout(PATIENCE, send).await }) {
            Ok(Ok(())) => Ok(content.len()),
            Ok(Err(_)) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the one who asked is gone")),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the one who asked takes nothing any more")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl From<ExportError> for Refusal {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Nothing(why) => Self::absent(why),
            ExportError::TooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
            error => anyhow::Error::from(error).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::nonce;

    fn check(text: &str, expected: Option<&[u8]>) {
        assert_eq!(nonce(text).as_deref(), expected, "{text}");
    }

    #[test]
    fn a_nonce_is_hexadecimal() {
        check("00fF10", Some(&[0, 255, 16]));
        for text in ["", "0", "0g", "+1", " 1", "é1", &"00".repeat(65)] {
            check(text, None);
        }
    }
}
