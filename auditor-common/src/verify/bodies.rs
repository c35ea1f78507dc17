//! What a row says, and what follows from it for those after.

use super::{Finding, Verifier};
use crate::body::{Body, BodyError, SCHEMA, schema};
use crate::record::{EntryType, Row};

impl Verifier {
    /// The body is one of those that this version knows, and says what may be said at its place.
    pub(super) fn body(&mut self, seq: u64, row: &Row<'_>) -> Result<(), Finding> {
        let entry = &row.entry;
        // A SEAL holds the table as the records before it left it.
        let streams = (entry.kind == EntryType::Seal).then(|| self.streams.clone());
        self.stream(seq, entry)?;
        if entry.schema != SCHEMA {
            // Whether that is a newer version or a changed byte shows at the next signed root.
            self.newer.get_or_insert_with(|| {
                format!("record {seq} has schema {}, this version knows {SCHEMA}", entry.schema)
            });
            return Ok(());
        }
        let unreadable = |error: BodyError| Finding::integrity(seq, format!("record {seq}: {error}"));
        if entry.kind == EntryType::Event {
            let sample = schema::sample(entry.class, row.body).map_err(unreadable)?;
            self.coverage.event(entry, sample);
            return Ok(());
        }
        let body = Body::decode(entry.kind, entry.class, row.body).map_err(unreadable)?;
        match &body {
            Body::Genesis { root, log, .. } => {
                let ours = root == self.identity.root.public() && log == self.identity.log.public();
                if seq != 0 || !ours {
                    let sentence = format!("record {seq}: GENESIS names other keys, or is not the first");
                    return Err(Finding::integrity(seq, sentence));
                }
            }
            _ if seq == 0 => return Err(Finding::integrity(0, "record 0 is not GENESIS")),
            Body::Seal(seal) => {
                if let Some(streams) = &streams {
                    self.table(seq, streams, &seal.streams)?;
                }
                self.sealed.expect(entry, seal);
            }
            Body::Rotate(rotate) => self.epochs.rotate(rotate),
            Body::Clock(step) => self.epochs.clock_step(step),
            Body::Export(export) => self.export = Some(export.clone()),
            Body::Policy(policy) => self.head.policy(seq, policy),
            Body::Prune(prune) => self.head.removal(entry, prune)?,
            _ => {}
        }
        self.coverage.other(entry, &body)
    }
}
