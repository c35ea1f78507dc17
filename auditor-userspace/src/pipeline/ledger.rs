//! What others want of the ledger itself: the result of a verification sealed, another key, a part handed out.

use auditor_common::body::Body;

use super::Pipeline;
use crate::clock::Now;
use crate::serve::orders::{Done, Order, Outcome, Refused};

impl Pipeline {
    /// Carries out an order that is about the ledger; `None` if it is about something else.
    pub(super) fn ledger_order(&mut self, order: &Order, now: Now) -> anyhow::Result<Option<Result<Done, Refused>>> {
        Ok(Some(match order {
            Order::Checked(checked) => Ok(self.record(Body::Checked(checked.clone()), now)?),
            _ => return Ok(None),
        }))
    }

    /// Appends a record that somebody waits for.
    pub(super) fn record(&mut self, body: Body, now: Now) -> anyhow::Result<Done> {
        let seq = self.append(body.clone(), now)?;
        Ok(Done { seq, wall_ns: now.wall_ns, outcome: Outcome::Recorded(Box::new(body)) })
    }
}
