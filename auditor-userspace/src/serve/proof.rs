//! Proving the whole ledger, now: in a process of its own, one at a time.

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc};

use super::answer::lines;
use super::peer::Sight;
use super::refusal::Refusal;
use super::socket::{Peer, Window, json as answer};
use super::{Records, apart};
use crate::verify::{Progress, in_child, reader};

/// Whoever verifies, and where the ledger is.
#[derive(Clone, Debug)]
pub struct Prover {
    state: PathBuf,
    busy: Arc<Mutex<()>>,
}

impl Prover {
    /// For the ledgers in this state folder.
    #[must_use]
    pub fn new(state: PathBuf) -> Self {
        Self { state, busy: Arc::default() }
    }

    /// Reading all of it takes a core and memory: others wait until it is their turn.
    async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.busy).lock_owned().await
    }

    /// Reads everything; what was found, as `auditor verify -o json` prints it.
    fn prove(&self, progress: &mut dyn FnMut(Progress)) -> anyhow::Result<Value> {
        let report = in_child(reader(&self.state), progress)?;
        Ok(serde_json::from_str(&report.to_json())?)
    }
}

/// Proves it, and answers with what was found.
pub(super) async fn verify<R: Records>(
    State(window): State<Window<R>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Result<Response, Refusal> {
    if window.sight(peer) == Sight::Nothing {
        return Err(Refusal::not_yours());
    }
    let turn = window.prover.turn().await;
    let found = apart(move || {
        let found = window.prover.prove(&mut |_| {});
        drop(turn);
        found
    });
    Ok(answer(&found.await?))
}

/// Proves it, and says how far it is: `{"records": N}` again and again, and at last `{"report": …}` or `{"error": …}`.
pub(super) async fn watch<R: Records>(
    State(window): State<Window<R>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Result<Response, Refusal> {
    if window.sight(peer) == Sight::Nothing {
        return Err(Refusal::not_yours());
    }
    let (sender, receiver) = mpsc::channel::<Bytes>(4);
    tokio::spawn(async move {
        let turn = window.prover.turn().await;
        tokio::task::spawn_blocking(move || {
            let say = |value: Value| drop(sender.blocking_send(Bytes::from(format!("{value}\n"))));
            let found = window.prover.prove(&mut |progress| {
                if let Progress::Records(count) = progress {
                    say(json!({"records": count}));
                }
            });
            say(match found {
                Ok(report) => json!({"report": report}),
                Err(error) => json!({"error": format!("{error:#}")}),
            });
            drop(turn);
        });
    });
    Ok(lines(receiver))
}
