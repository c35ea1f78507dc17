//! What is to be said at the end: the six answers.

use super::{Answer, Finding, Question, Released, Scope, Standing, Verdict, Verifier};
use crate::origin::Origin;

impl Verifier {
    /// What is to be said at the end of the rows.
    #[must_use]
    pub fn finish(mut self) -> Verdict {
        if self.finding.is_none() {
            let outcome = self.at_the_end();
            let _ = self.keep(outcome);
        }
        let size = self.sealed.size();
        let root = self.sealed.newest.as_ref().map_or_else(crate::merkle::empty, |signed| signed.checkpoint.root);
        let head = self.head.answer(&self.evidence, self.finding.is_none());
        let mut answers =
            [self.authenticity(), self.integrity(), head, self.tail(), self.time(), self.coverage.answer()];
        match &self.finding {
            Some(Finding::Violated { question, sentence, .. }) => {
                for answer in answers.iter_mut().filter(|answer| answer.standing != Standing::Violated) {
                    *answer = Answer::new(Standing::NotProven, "the verification ended before its time");
                }
                answers[*question as usize] = Answer::new(Standing::Violated, sentence.clone());
            }
            Some(Finding::Unknown { sentence }) => {
                for answer in &mut answers {
                    *answer = Answer::new(Standing::NotProven, sentence.clone());
                }
            }
            None => {}
        }
        let records = self.tree.size() - self.start;
        // Where it ended before its time, the seal of what was read may be further on.
        let unsealed = match self.finding {
            Some(_) => 0,
            None => self.tree.size().saturating_sub(size.max(self.start)),
        };
        let origin = self.identity.origin.to_string();
        let mut required = super::REQUIRED;
        required[Question::Authenticity as usize] = self.identity.pinned;
        // An end that nobody asked for need not be proven.
        let asked = !matches!(self.evidence.released, Released::NotKept) || self.evidence.tail.is_some();
        required[Question::Tail as usize] = asked;
        let finding = self.finding.take();
        let sealed_wall_ns = self.sealed.wall_ns;
        let (gaps, gap_count) = self.coverage.gaps();
        Verdict { origin, answers, finding, records, size, root, sealed_wall_ns, unsealed, gaps, gap_count, required }
    }

    fn at_the_end(&mut self) -> Result<(), Finding> {
        self.seal_has_its_checkpoint()?;
        self.links.hold()?;
        let Some(newest) = self.sealed.newest.as_ref().map(|signed| signed.checkpoint.clone()) else {
            return Err(Finding::integrity(self.start, "there is no checkpoint"));
        };
        // Where the next ledger declares that this one was cut, that is what is to be said of its end. An export may be
        // signed, and so have the notes, of epochs that began after its checkpoint.
        if self.evidence.declared.is_none()
            && matches!(self.evidence.scope, Scope::Store)
            && let Some(next) = self.identity.epochs.get(self.epochs.reached + 1)
            && next.start > self.next().max(newest.size)
        {
            let sentence = format!("epoch {} begins at record {}, which is missing", next.epoch, next.start);
            return Err(tail(Some(self.next()), sentence));
        }
        if let Released::Newest(released) = &self.evidence.released {
            let same_ledger = released.checkpoint.origin == newest.origin;
            let signed = self.signatures(released, &|sentence| tail(None, format!("the head file: {sentence}")));
            if same_ledger {
                signed?;
            }
            if same_ledger && released.checkpoint.size > newest.size {
                let missing = released.checkpoint.size - newest.size;
                let sentence = format!(
                    "{missing} signed records are missing after record {}: cut, or lost by the disk; we cannot tell",
                    newest.size - 1
                );
                return Err(tail(Some(newest.size), sentence));
            }
        }
        match self.newer.take() {
            Some(sentence) => Err(Finding::Unknown { sentence }),
            None => Ok(()),
        }
    }

    fn authenticity(&self) -> Answer {
        if self.identity.pinned {
            let sentence = format!(
                "{} checkpoints, each signed by the log's key and its epoch's, down from the pinned key",
                self.sealed.checkpoints
            );
            return Answer::new(Standing::Proven, sentence);
        }
        let sentence = format!(
            "no key was pinned: it is signed by the keys that lie beside it, of the root {}",
            self.identity.root
        );
        Answer::new(Standing::NotProven, sentence)
    }

    fn integrity(&self) -> Answer {
        let seen = self.tree.size() - self.start - self.foreign;
        let withheld = match self.withheld {
            0 => String::new(),
            count => format!(", {count} of them without their body"),
        };
        let others = match self.foreign {
            0 => String::new(),
            count => format!("; {count} others by their leaf hash only"),
        };
        let sentence = format!("{seen} records{withheld}: every link, leaf and body fits what was signed{others}");
        Answer::new(Standing::Proven, sentence)
    }

    fn tail(&self) -> Answer {
        if let Some(recover) = &self.evidence.declared {
            return Answer::new(Standing::Violated, format!("the next ledger declares: {}", recover.cause));
        }
        if let Some(tail) = &self.evidence.tail {
            return tail.clone();
        }
        let size = self.sealed.size();
        let only_begun = "it has its first seal, and no head file yet says that there is more";
        match &self.evidence.released {
            Released::NotKept => {
                Answer::new(Standing::NotProven, format!("complete up to size {size}; later is unproven"))
            }
            // The head file is written after the first seal: a crash between the two is no cut.
            Released::Missing if self.only_begun() => Answer::new(Standing::NotProven, only_begun),
            Released::Newest(released) if self.only_begun() && self.follows(&released.checkpoint.origin) => {
                Answer::new(Standing::NotProven, only_begun)
            }
            Released::Missing => Answer::new(Standing::Violated, "the head file is missing"),
            Released::Damaged => Answer::new(Standing::Violated, "the head file cannot be read"),
            Released::Newest(_) if self.sealed.released_met => {
                Answer::new(Standing::Proven, format!("complete up to size {size}, and not behind what was released"))
            }
            Released::Newest(_) if self.finding.is_some() => {
                // It may be further on, where nobody looked.
                Answer::new(Standing::NotProven, "the verification ended before its time")
            }
            Released::Newest(released) => Answer::new(
                Standing::Violated,
                format!("there is no checkpoint of size {}, which was released", released.checkpoint.size),
            ),
        }
    }

    /// There is nothing but the first seal.
    fn only_begun(&self) -> bool {
        self.start == 0 && self.sealed.checkpoints == 1
    }

    /// Is this ledger the next one after that?
    fn follows(&self, before: &Origin) -> bool {
        let ours = &self.identity.origin;
        ours.node() == before.node() && ours.incarnation() == before.incarnation() + 1
    }

    fn time(&self) -> Answer {
        let steps = match self.epochs.clock_steps {
            0 => "they are in order".to_owned(),
            steps => format!("they are in order, with {steps} declared steps of the clock"),
        };
        Answer::new(Standing::NotProven, format!("times are the host's own word, no witness confirms them; {steps}"))
    }
}

fn tail(record: Option<u64>, sentence: String) -> Finding {
    Finding::violated(Question::Tail, record, sentence)
}
