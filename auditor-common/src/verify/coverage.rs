//! What the kernel numbered, against what is recorded and what is declared lost.

use std::collections::BTreeMap;

use super::{Answer, Finding, Question, Standing};
use crate::body::{Body, CpuMark, Loss, Sample, Seal};
use crate::gap::Gap;
use crate::record::{Entry, EntryType};

/// How many gaps are kept as sentences.
const KEPT: usize = 100;

#[derive(Clone, Debug, Default)]
struct Cpu {
    /// The last number that a seal of this run accounts for.
    last: u64,
    /// Numbers of the events since then, each with its class: one sample may stand behind two records of two classes.
    events: Vec<(u64, u32)>,
}

/// The state of the run that is being read.
#[derive(Clone, Debug, Default)]
pub(super) struct Coverage {
    run: u32,
    started: bool,
    /// How the run's own records say that it ended.
    stopped: bool,
    captured: u64,
    cpus: BTreeMap<u32, Cpu>,
    hooks: BTreeMap<String, bool>,
    events: u64,
    withheld: u64,
    gaps: Vec<String>,
    gap_count: u64,
    /// The first record that was read is not the ledger's first: what a run had before it is not known.
    partial: bool,
}

fn violated(seq: u64, sentence: String) -> Finding {
    Finding::violated(Question::Coverage, Some(seq), format!("record {seq}: {sentence}"))
}

impl Coverage {
    pub(super) fn new(partial: bool) -> Self {
        Self { partial, ..Self::default() }
    }

    fn gap(&mut self, sentence: String) {
        self.gap_count += 1;
        if self.gaps.len() < KEPT {
            self.gaps.push(sentence);
        }
    }

    /// A record of an event: only its first keys are looked at.
    pub(super) fn event(&mut self, entry: &Entry, sample: Sample) {
        self.follow_run(entry);
        self.events += 1;
        if let (Some(cpu), Some(kseq)) = (sample.cpu, sample.kseq) {
            self.cpus.entry(cpu).or_default().events.push((kseq, entry.class));
        }
    }

    /// A record of an event whose body is not there: its number is not known.
    pub(super) fn withheld(&mut self, entry: &Entry) {
        self.follow_run(entry);
        self.events += 1;
        self.withheld += 1;
    }

    /// Any other record.
    pub(super) fn other(&mut self, entry: &Entry, body: &Body) -> Result<(), Finding> {
        self.follow_run(entry);
        match body {
            Body::Seal(seal) => return self.seal(entry, seal),
            Body::Loss(loss) => self.loss(entry, loss),
            Body::Unrecorded(it) => self.gap(format!(
                "record {}: {} flows and {} calls of {} were counted and by policy not recorded",
                entry.seq, it.flows, it.calls, it.instance
            )),
            Body::RunStart(start) => {
                if self.started {
                    return Err(violated(entry.seq, format!("run {} begins twice", entry.run)));
                }
                self.started = true;
                self.stopped = false;
                if start.previous != "none" {
                    self.gap(format!("record {}: nobody was looking between two runs", entry.seq));
                }
            }
            Body::RunStop(_) => self.stopped = true,
            Body::Prune(prune) => {
                self.gap(format!("record {}: {} records removed by policy", entry.seq, prune.removed));
            }
            _ => {}
        }
        Ok(())
    }

    /// A new run counts anew. What the one before left unaccounted for is a gap.
    fn follow_run(&mut self, entry: &Entry) {
        if entry.run == self.run {
            return;
        }
        let interrupted = self.started && !self.stopped;
        let unaccounted: usize = self.cpus.values().map(|cpu| cpu.events.len()).sum();
        if interrupted {
            self.gap(format!("record {}: run {} ended without saying so", entry.seq, self.run));
        }
        if unaccounted > 0 {
            self.gap(format!(
                "record {}: {unaccounted} events at the end of run {} are recorded, and their completeness is not known",
                entry.seq, self.run
            ));
        }
        self.partial &= self.run == 0 && entry.kind != EntryType::Genesis;
        self.run = entry.run;
        self.started = false;
        self.stopped = false;
        self.captured = 0;
        self.cpus.clear();
        self.hooks.clear();
    }

    fn loss(&mut self, entry: &Entry, loss: &Loss) {
        if loss.count == Some(0) {
            return;
        }
        let word = Gap::from_number(loss.gap).map_or("unknown", Gap::word);
        let count = loss.count.map_or("an unknown number".to_owned(), |count| count.to_string());
        self.gap(format!("record {}: lost {count} ({word}): {}", entry.seq, loss.detail));
    }

    fn seal(&mut self, entry: &Entry, seal: &Seal) -> Result<(), Finding> {
        for hook in &seal.hooks {
            let before = self.hooks.insert(hook.name.clone(), hook.active);
            if before == Some(true) && !hook.active {
                self.gap(format!("record {}: the hook {} is no longer attached", entry.seq, hook.name));
            }
        }
        // A seal without marks stands before the daemon looked at anything, or after it could no longer: it accounts
        // for nothing.
        if seal.cpus.is_empty() {
            return Ok(());
        }
        for mark in &seal.cpus {
            self.mark(entry.seq, mark)?;
        }
        if let Some((cpu, _)) = self.cpus.iter().find(|(_, cpu)| !cpu.events.is_empty()) {
            return Err(violated(entry.seq, format!("events of processor {cpu} are not accounted for")));
        }
        self.captured = seal.cpus.iter().fold(self.captured, |sum, mark| sum.saturating_add(mark.received));
        if !self.partial && self.captured != seal.captured {
            let found = seal.captured;
            return Err(violated(
                entry.seq,
                format!("the seal says {found} samples since the run began, its seals add up to {}", self.captured),
            ));
        }
        if self.partial {
            self.captured = seal.captured;
            self.partial = false;
        }
        Ok(())
    }

    /// `last − previous last = received + lost`, and each event's number is its own and within.
    fn mark(&mut self, seq: u64, mark: &CpuMark) -> Result<(), Finding> {
        let known = self.cpus.contains_key(&mark.cpu);
        let cpu = self.cpus.entry(mark.cpu).or_default();
        let lost = mark.lost.iter().try_fold(0_u64, |sum, (_, count)| sum.checked_add(*count));
        let explained = lost.and_then(|lost| lost.checked_add(mark.received));
        let numbered = mark.last_kseq.checked_sub(cpu.last);
        let unknown_before = self.partial && (!known || cpu.last == 0);
        if !unknown_before && (numbered.is_none() || numbered != explained) {
            let sentence = format!(
                "processor {} numbered {} to {}, but {} were received or lost",
                mark.cpu,
                cpu.last.saturating_add(1),
                mark.last_kseq,
                explained.map_or("too many".to_owned(), |explained| explained.to_string()),
            );
            return Err(violated(seq, sentence));
        }
        let first =
            if unknown_before { mark.last_kseq.saturating_sub(explained.unwrap_or(u64::MAX)) } else { cpu.last };
        cpu.events.sort_unstable();
        let twice = cpu.events.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].0);
        if let Some(kseq) = twice {
            return Err(violated(seq, format!("sample {kseq} of processor {} is recorded twice", mark.cpu)));
        }
        let outside = cpu.events.iter().find(|(kseq, _)| *kseq <= first || *kseq > mark.last_kseq);
        if let Some((kseq, _)) = outside {
            return Err(violated(seq, format!("sample {kseq} of processor {} is outside of its seal", mark.cpu)));
        }
        cpu.events.clear();
        cpu.last = mark.last_kseq;
        Ok(())
    }

    pub(super) fn answer(&self) -> Answer {
        if self.withheld > 0 {
            let sentence =
                format!("{} events are there without their body: their numbers are not known", self.withheld);
            return Answer::new(Standing::NotProven, sentence);
        }
        match self.gap_count {
            0 => Answer::new(
                Standing::Proven,
                format!("{} events; what the kernel numbered is recorded, and nothing is declared lost", self.events),
            ),
            1 => Answer::new(Standing::NotProven, self.gaps[0].clone()),
            count => Answer::new(Standing::NotProven, format!("{count} gaps, the first: {}", self.gaps[0])),
        }
    }

    pub(super) fn gaps(self) -> (Vec<String>, u64) {
        (self.gaps, self.gap_count)
    }
}
