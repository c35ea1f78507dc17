//! The process that reads, and the one that waits for it.
//!
//! The child says on its standard output, a line each, what it is about to read (`segment PATH`), how far it is
//! (`records N`), and at last what it found (`report JSON`) or why it could not look (`error SENTENCE`). A child that
//! ends without either was ended by the segment that it named last: that segment cannot be read.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::report::of_a_crash;
use super::{Progress, Report, Request, VerifyError, verify};

/// A child that says nothing new for so long is turning in circles on a damaged page.
const STUCK: Duration = Duration::from_secs(300);
/// A page that is damaged may ask for any amount of memory: this is as much as there is. Reading takes a tenth of it.
const MEMORY: u64 = 1 << 30;
/// How a child ends that has been stuck.
const STUCK_CODE: i32 = 86;

/// What the reading process does: reads, and says what it finds. Returns its exit code.
#[must_use]
pub fn child(request: &Request) -> u8 {
    let told = confine();
    let say = |line: String| {
        told.fetch_add(1, Ordering::Relaxed);
        let mut out = std::io::stdout().lock();
        // A parent that is gone wants no answer.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    };
    let outcome = verify(request, &mut |progress| match progress {
        Progress::Segment { path, .. } => say(format!("segment {}", path.display())),
        Progress::Records(count) => say(format!("records {count}")),
    });
    match outcome {
        Ok(report) => {
            say(format!("report {}", report.to_json()));
            report.exit()
        }
        Err(error) => {
            say(format!("error {error}"));
            auditor_common::verify::exit::IO
        }
    }
}

/// Gives this process bounds of memory and of time: it is about to read files that may be damaged. Whoever counts the number
/// up is at work.
#[must_use]
pub fn confine() -> Arc<AtomicU64> {
    limit_memory();
    let told = Arc::new(AtomicU64::new(0));
    watch(Arc::clone(&told));
    told
}

fn limit_memory() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // Without these limits it works as well, and a damaged file may cost more.
    let _ = setrlimit(Resource::As, Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) });
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

fn watch(told: Arc<AtomicU64>) {
    let watching = move || {
        let mut before = told.load(Ordering::Relaxed);
        loop {
            std::thread::sleep(STUCK);
            let now = told.load(Ordering::Relaxed);
            if now == before {
                std::process::exit(STUCK_CODE);
            }
            before = now;
        }
    };
    // A child without a watch is as good, until the file is damaged in one special way.
    let _ = std::thread::Builder::new().name("watch".to_owned()).spawn(watching);
}

/// The command of a reading process: this very program, even if its file has been replaced meanwhile, on a state folder.
#[must_use]
pub fn again(state: &Path, task: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg("--state-dir").arg(state).arg(task);
    command
}

/// The command of the process that reads for a verification.
#[must_use]
pub fn reader(state: &Path) -> Command {
    again(state, "read-ledger")
}

/// Starts the reading process with this command and waits for what it finds.
pub fn in_child(mut command: Command, progress: &mut dyn FnMut(Progress)) -> Result<Report, VerifyError> {
    let failed = |detail: String| VerifyError::Child { detail };
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // What a panic prints is for us, not for people.
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let Some(output) = child.stdout.take() else { return Err(failed("it has no output".to_owned())) };
    let mut segment = None;
    let mut outcome = None;
    // Even a child that went mad has no endless lines for us.
    for line in BufReader::new(output.take(256 << 20)).lines() {
        let Ok(line) = line else { break };
        match line.split_once(' ') {
            Some(("segment", path)) => {
                segment = Some(path.to_owned());
                progress(Progress::Segment { path: path.into(), first: 0 });
            }
            Some(("records", count)) => progress(Progress::Records(count.parse().unwrap_or(0))),
            Some(("report", json)) => {
                outcome = serde_json::from_str(json).ok().as_ref().and_then(Report::from_json).map(Ok);
            }
            Some(("error", sentence)) => outcome = Some(Err(VerifyError::Said(sentence.to_owned()))),
            _ => {}
        }
    }
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    outcome.unwrap_or_else(|| Ok(of_a_crash(segment.as_deref(), &end(status))))
}

/// How a reading process ended that said nothing, in words.
#[must_use]
pub fn end(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("was ended by signal {signal}"),
        (None, Some(STUCK_CODE)) => "turned in circles".to_owned(),
        (None, Some(101)) => "stopped at a damaged page".to_owned(),
        (None, code) => format!("ended with code {}", code.unwrap_or(-1)),
    }
}
