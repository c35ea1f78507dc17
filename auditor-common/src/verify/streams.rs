//! The stream of each record, and the tables that SEALs hold the roots of.

use super::{Finding, Scope, Verifier};
use crate::merkle::Hash;
use crate::record::{Entry, EntryType};
use crate::stream::{CONTROL, StreamTable, may_be_an_instances};

impl Verifier {
    /// The entry is in the stream that its type says, and follows there.
    pub(super) fn stream(&mut self, seq: u64, entry: &Entry) -> Result<(), Finding> {
        let own = entry.stream_tag == CONTROL;
        let out_of_place =
            || Finding::integrity(seq, format!("record {seq} does not follow the one before it in its stream"));
        let is_event = entry.kind == EntryType::Event;
        let fits = if own {
            !is_event
        } else {
            // Out of all streams is nothing but traffic.
            may_be_an_instances(entry.kind, entry.class) && (is_event || entry.stream_tag != [0; 16])
        };
        if !fits {
            return Err(out_of_place());
        }
        if let Scope::Excerpt { tag, .. } = &self.evidence.scope {
            if !own && entry.stream_tag != *tag {
                return Err(Finding::integrity(seq, format!("record {seq} is not one of those that were asked for")));
            }
            // Where a stream stood before the stretch begins, its first record in it says.
            if !self.streams.has(&entry.stream_tag) && entry.stream_prev < self.start {
                self.streams.begin_after(entry);
            }
        }
        if self.streams.follow(entry) { Ok(()) } else { Err(out_of_place()) }
    }

    /// Is the table of streams, whose root a SEAL has, that of the records before it?
    pub(super) fn table(&mut self, seq: u64, streams: &StreamTable, root: &Hash) -> Result<(), Finding> {
        let wrong =
            || Finding::integrity(seq, format!("record {seq}: its table of streams is not that of the records"));
        let Scope::Excerpt { tag, ends } = &self.evidence.scope else {
            return if streams.root() == *root { Ok(()) } else { Err(wrong()) };
        };
        let Some(proven) = ends.get(&seq) else { return Ok(()) };
        if proven.end.tag != *tag || !proven.leads_to(root) {
            return Err(wrong());
        }
        // What the table says of the stream is what was seen of it; if nothing was, it ended before the stretch.
        let seen = streams.end(tag);
        let complete = seen.as_ref().map_or(proven.end.last_seq < self.start, |seen| *seen == proven.end);
        if complete {
            self.streams.go_on_from(&proven.end);
            return Ok(());
        }
        Err(Finding::integrity(seq, format!("record {seq}: there are records of the stream that are not here")))
    }
}
