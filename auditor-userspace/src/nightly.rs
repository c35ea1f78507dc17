//! The daemon verifies its own ledger: once in 24 hours, in a process of its own that lets everybody else go first.
//!
//! Without it nobody would notice for months that a file has rotted. What it finds is sealed, and is in the verdict.

use std::thread::JoinHandle;
use std::time::Duration;

use auditor_common::body::Checked;
use auditor_common::verify::exit;

use crate::clock::{self, DAY_NS, HOUR_NS};
use crate::config::Places;
use crate::verify::{Report, in_child, reader, worst};

/// How often the clock is looked at.
const LOOK: Duration = Duration::from_secs(30);
/// How often before the records have been read.
const LOOK_AT_START: Duration = Duration::from_millis(250);

/// `IOPRIO_WHO_PROCESS` and `IOPRIO_CLASS_IDLE`, `include/uapi/linux/ioprio.h`.
const WHO_PROCESS: libc::c_int = 1;
const CLASS_IDLE: libc::c_int = 3 << 13;

/// The option by which the reading process is told to let others go first.
pub const GENTLY: &str = "--gently";

/// When the next verification is due after one at `last` (CLOCK_REALTIME nanoseconds): at the next full hour that is this
/// one of the day, in UTC; at once if there was none.
#[must_use]
pub fn due(hour: u8, last: Option<u64>) -> u64 {
    let Some(last) = last else { return 0 };
    let at = u64::from(hour) * HOUR_NS;
    let today = last / DAY_NS * DAY_NS + at;
    if today > last { today } else { today + DAY_NS }
}

/// What the thread has to know of the daemon.
pub trait Daemon: Send + 'static {
    /// When the newest verification was sealed, if there was one; `None` while that is not known.
    fn last(&self) -> Option<Option<u64>>;

    /// Takes the result of one. `false` if there is nobody any more to take it.
    fn take(&self, checked: Checked) -> bool;
}

/// Verifies the ledger when it is due, on a thread of its own, until the recording ends.
pub fn keep(places: Places, hour: u8, daemon: impl Daemon) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("nightly".into()).spawn(move || {
        let mut not_before = 0;
        loop {
            let now = clock::now().wall_ns;
            match daemon.last() {
                None => std::thread::sleep(LOOK_AT_START),
                // A clock that was set back makes nobody wait for years.
                Some(last) if now >= due(hour, last.map(|last| last.min(now))).max(not_before) => {
                    if !daemon.take(verify(&places)) {
                        return;
                    }
                    // One that could not run is tried again.
                    not_before = now.saturating_add(HOUR_NS);
                }
                Some(_) => {
                    not_before = not_before.min(now.saturating_add(HOUR_NS));
                    std::thread::sleep(LOOK);
                }
            }
        }
    })
}

/// Verifies the ledger in a process of its own.
#[must_use]
pub fn verify(places: &Places) -> Checked {
    let mut command = reader(&places.state);
    command.arg(GENTLY);
    match in_child(command, &mut |_| {}) {
        Ok(report) => of(&report),
        Err(error) => {
            tracing::error!("the ledger could not be verified: {error}");
            Checked { size: 0, exit: exit::IO, summary: error.to_string() }
        }
    }
}

/// A report as it is sealed: the worst of the verdicts, and how far the newest ledger reaches.
fn of(report: &Report) -> Checked {
    let code = report.exit();
    let telling = report.verdicts.iter().rev().find(|verdict| worst([verdict.exit(), code]) == verdict.exit());
    let summary = telling.map(auditor_common::verify::Verdict::summary).unwrap_or_default();
    if matches!(code, exit::PROVEN | exit::GAPS) {
        tracing::info!("verified: {summary}");
    } else {
        tracing::error!("verified: {summary}");
    }
    Checked { size: report.verdicts.last().map_or(0, |verdict| verdict.size), exit: code, summary }
}

/// From now on this process lets all others go first, at the processor and at the disk.
pub fn yield_to_others() {
    // Without it the same is found, and the machine is a little busier.
    let _ = rustix::process::setpriority_process(None, 19);
    // SAFETY: the call takes three numbers and no pointer.
    let _ = unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, CLASS_IDLE) };
}

#[cfg(test)]
mod tests {
    use auditor_common::verify::{Finding, Question, REQUIRED, Verdict, exit};

    use super::{DAY_NS, HOUR_NS, due, of};
    use crate::verify::Report;

    fn check(last_hour: Option<u64>, expected_hour: u64) {
        assert_eq!(due(3, last_hour.map(|hour| 10 * DAY_NS + hour * HOUR_NS)), expected_hour, "{last_hour:?}");
    }

    #[test]
    fn it_is_due_at_its_hour_and_at_once_where_there_was_none() {
        check(None, 0);
        check(Some(0), 10 * DAY_NS + 3 * HOUR_NS);
        check(Some(3), 11 * DAY_NS + 3 * HOUR_NS);
        check(Some(14), 11 * DAY_NS + 3 * HOUR_NS);
    }

    #[test]
    fn it_is_never_later_than_a_day() {
        for minutes in 0..24 * 60 {
            let last = 10 * DAY_NS + minutes * HOUR_NS / 60;
            assert!((last + 1..=last + DAY_NS).contains(&due(23, Some(last))), "{minutes}");
        }
    }

    #[test]
    fn of_several_ledgers_the_worst_is_told() {
        let violated = |sentence: &str| {
            let finding = Finding::Violated { question: Question::Tail, record: None, sentence: sentence.to_owned() };
            Verdict::unread(sentence, finding, "", REQUIRED)
        };
        let unknown =
            Verdict { size: 7, ..Verdict::unread("b", Finding::Unknown { sentence: "new".into() }, "", REQUIRED) };
        let checked = of(&Report::new(vec![violated("cut"), unknown]));
        assert_eq!((checked.exit, checked.size, checked.summary.as_str()), (exit::TAMPERED, 7, "tampered: cut"));
    }
}
