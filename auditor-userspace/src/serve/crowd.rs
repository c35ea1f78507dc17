//! How many connections one user may have at once: a single one cannot keep everybody else out.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream, unix};

/// So many connections may one user have. An Odoo has one for each question that a worker asks at this moment.
pub const PER_USER: usize = 128;

/// What is said to one too many; whoever it is has asked nothing yet.
const TOO_MANY: &str = concat!(
    "HTTP/1.1 503 Service Unavailable\r\nServer: network-audit/",
    env!("CARGO_PKG_VERSION"),
    "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 74\r\nConnection: close\r\n\r\n",
    "this user has too many connections at once: close some, and then try again"
);

/// Connections by user.
type Counts = Arc<Mutex<HashMap<u32, usize>>>;

/// A listener that counts.
pub(super) struct Door {
    listener: UnixListener,
    counts: Counts,
}

impl Door {
    pub(super) fn new(listener: UnixListener) -> Self {
        Self { listener, counts: Counts::default() }
    }

    /// Lets a connection in, if its user has not too many.
    fn admit(&self, stream: UnixStream) -> Option<Guest> {
        let uid = stream.peer_cred().map_or(u32::MAX, |cred| cred.uid());
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(uid).or_default();
        if *count >= PER_USER {
            // Whoever does not read it will see that the connection is closed.
            drop(stream.try_write(TOO_MANY.as_bytes()));
            return None;
        }
        *count += 1;
        Some(Guest { stream, uid, counts: Arc::clone(&self.counts) })
    }
}

impl Listener for Door {
    type Io = Guest;
    type Addr = unix::SocketAddr;

    async fn accept(&mut self) -> (Guest, unix::SocketAddr) {
        loop {
            // axum's own: waits a moment after an error that is not the connection's.
            let (stream, address) = Listener::accept(&mut self.listener).await;
            if let Some(guest) = self.admit(stream) {
                return (guest, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<unix::SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that is counted as long as it lasts.
pub(super) struct Guest {
    stream: UnixStream,
    uid: u32,
    counts: Counts,
}

impl Guest {
    pub(super) fn stream(&self) -> &UnixStream {
        &self.stream
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.uid) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.uid);
            }
        }
    }
}

impl AsyncRead for Guest {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Guest {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::TOO_MANY;

    #[test]
    fn the_answer_to_one_too_many_is_as_long_as_it_says() {
        let (head, body) = TOO_MANY.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.contains(&format!("Server: {}\r\n", super::super::NAME)), "{head}");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
    }
}
