//! The window of a real daemon's library: a question over its socket, to each route.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use auditor_userspace::catalogue::Catalogue;
use auditor_userspace::chain::Now;
use auditor_userspace::policy::Policies;
use auditor_userspace::report::basis::Host;
use auditor_userspace::serve::books::{Books, Shelf};
use auditor_userspace::serve::export::Exports;
use auditor_userspace::serve::orders::{self, Refused};
use auditor_userspace::serve::peer::Instances;
use auditor_userspace::serve::proof::Prover;
use auditor_userspace::serve::records::Ledger;
use auditor_userspace::serve::socket::{Window, serve};
use auditor_userspace::serve::status::Status;
use auditor_userspace::store::{OpenOptions, Store};
use tokio::sync::watch;

/// A method and a path, a line feed, and the body.
pub fn question(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (line, body) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    // Records as they come have no end.
    if line.windows(10).any(|part| part == b"/v1/events") {
        return;
    }
    let mut stream = UnixStream::connect(socket()).expect("the window");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let head = format!(" HTTP/1.1\r\nhost: auditor\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    // A server that has seen enough may hang up before it was told all.
    let _ = stream.write_all(&[line, head.as_bytes(), body].concat());
    let mut answer = Vec::new();
    let _ = stream.take(1 << 20).read_to_end(&mut answer);
}

fn socket() -> &'static PathBuf {
    static SOCKET: OnceLock<PathBuf> = OnceLock::new();
    SOCKET.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder").keep();
        let state = folder.join("state");
        let now = Now { wall_ns: 1_767_225_600_000_000_000, boot_ns: 1_000_000_000 };
        let mut options = OpenOptions::new("0.1.0", now);
        options.limits.reserve_bytes = 4096;
        let (store, _) = Store::open(&state, &options).expect("a store");
        let path = folder.join("auditor.sock");
        let listener = UnixListener::bind(&path).expect("a socket");
        let (desk, orders) = orders::desk();
        // Nothing is recorded here, and whoever asks for it is told so.
        std::thread::spawn(move || orders.into_iter().for_each(|order| order.answer(Err(Refused::NotYet))));
        let (told, committed) = watch::channel(store.acknowledged());
        let books = Books::new(Catalogue::built_in(), Policies::default(), Host::default());
        let window = Window {
            records: Ledger::from(store.reader()),
            committed,
            status: Arc::new(RwLock::new(Status::default())),
            instances: Instances::default(),
            books: Shelf::new(books),
            desk,
            exports: Exports::new(state.clone(), store.reader()),
            prover: Prover::new(state),
            own_uid: 0,
        };
        serve(listener, window).expect("a window");
        // Both are there as long as the program runs.
        std::mem::forget((store, told));
        path
    })
}
