//! What only the recording thread can do, asked for by others: it is sealed before anybody is told that it is done.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use auditor_common::body::{Ack, AckRecord, Actor, Body, Checked, Export};
use tokio::sync::oneshot;

use crate::policy::change::Change;
use crate::policy::{AskError, Policies};
use crate::store::{Announced, CheckpointInfo, Removal, Removed};

/// So many may wait at once.
const WAITING: usize = 64;

/// Something to be done.
#[derive(Clone, Debug)]
pub enum Order {
    /// Somebody wants an instance to be recorded otherwise.
    Ask {
        /// Which Odoo.
        instance: String,
        /// Who.
        actor: Actor,
        /// What.
        change: Change,
    },
    /// The host's answer to a request that waits.
    Decide {
        /// Number of the request.
        number: u64,
        /// The answer.
        accept: bool,
        /// Who.
        actor: Actor,
    },
    /// A reason of the verdict is acknowledged. Whatever is recorded from here on is not covered, even if the record says
    /// so.
    Acknowledge(AckRecord),
    /// The operator's answer to a declared loss.
    Answer(Ack),
    /// The daemon has verified its own ledger.
    Checked(Checked),
    /// What the policy of retention lets go is to be removed, or only named.
    Retain {
        /// Only named.
        dry_run: bool,
        /// Who wants it.
        actor: String,
    },
    /// The next epoch is to begin, with a key of its own.
    Rotate,
    /// A part of the ledger is about to be handed out.
    Announce {
        /// What the record says of it.
        export: Export,
        /// Who wants it.
        actor: Actor,
    },
    /// The list of files of an announced export is to be signed.
    Sign(String),
    /// What the records say about policy: nothing can be asked for before that is known.
    Begin(Box<Policies>),
}

/// It is done, and sealed.
#[derive(Clone, Debug)]
pub struct Done {
    /// Leaf index of the record.
    pub seq: u64,
    /// When it was appended, CLOCK_REALTIME nanoseconds.
    pub wall_ns: u64,
    /// What was done.
    pub outcome: Outcome,
}

/// What was done.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// This was recorded.
    Recorded(Box<Body>),
    /// This would be removed; nothing is.
    Removable(Option<Removal>),
    /// This was removed.
    Removed(Option<Removed>),
    /// Another key signs; this is the checkpoint that the one before signed last.
    Rotated(CheckpointInfo),
    /// The export is announced.
    Announced(Box<Announced>),
    /// The list with its signatures.
    Signed(String),
}

/// Why it was not done. None of these is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Policy says no.
    Policy(AskError),
    /// The records are still being read.
    NotYet,
    /// Too many wait.
    Busy,
    /// The recording is ending.
    Stopping,
    /// The ledger is not in the state for it: a sentence.
    Not(String),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Policy(error) => error.fmt(f),
            Self::NotYet => f.write_str("the daemon has just begun and still reads its records: ask again in a moment"),
            Self::Busy => f.write_str("too many requests wait: ask again in a moment"),
            Self::Not(why) => f.write_str(why),
            Self::Stopping => f.write_str("the daemon is stopping: ask again when it runs"),
        }
    }
}

impl std::error::Error for Refused {}

impl From<AskError> for Refused {
    fn from(error: AskError) -> Self {
        Self::Policy(error)
    }
}

/// Something to be done, and who waits for it.
#[derive(Debug)]
pub struct Ordered {
    /// What.
    pub order: Order,
    reply: Option<oneshot::Sender<Result<Done, Refused>>>,
}

impl Ordered {
    /// Tells whoever waits what became of it.
    pub fn answer(self, outcome: Result<Done, Refused>) {
        // Whoever does not wait any more need not be told.
        drop(self.reply.map(|reply| reply.send(outcome)));
    }
}

/// Where orders are given.
#[derive(Clone, Debug)]
pub struct Desk(SyncSender<Ordered>);

/// A desk, and the end of it at which the recording thread sits.
#[must_use]
pub fn desk() -> (Desk, Receiver<Ordered>) {
    let (sender, receiver) = sync_channel(WAITING);
    (Desk(sender), receiver)
}

impl Desk {
    /// Has something done, and waits until it is sealed.
    pub async fn carry_out(&self, order: Order) -> Result<Done, Refused> {
        let (reply, outcome) = oneshot::channel();
        self.0.try_send(Ordered { order, reply: Some(reply) }).map_err(|_| Refused::Busy)?;
        outcome.await.unwrap_or(Err(Refused::Stopping))
    }

    /// Has the result of the daemon's own verification sealed. `false`: the recording has ended.
    #[must_use]
    pub fn checked(&self, checked: Checked) -> bool {
        self.0.send(Ordered { order: Order::Checked(checked), reply: None }).is_ok()
    }

    /// Says what the records say about policy.
    pub fn begin(&self, policies: Policies) {
        // A recording that has ended needs no policy.
        drop(self.0.send(Ordered { order: Order::Begin(Box::new(policies)), reply: None }));
    }
}
