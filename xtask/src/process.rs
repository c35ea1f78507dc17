//! Running other programs, and saying which one failed and why.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// One line for each step, on standard error: standard output is for data.
pub fn say(who: &str, what: &str) {
    eprintln!("{who}: {what}");
}

/// Whether this program may do what only root may.
pub fn is_root() -> bool {
    // SAFETY: geteuid takes nothing, touches no memory and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Runs it with our own input and output.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{} does not start", line(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", line(command));
    }
    Ok(())
}

/// Runs it and gives what it printed, trimmed; its errors are part of the reason when it fails.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{} does not start", line(command)))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed ({}): {}", line(command), output.status, tail(&errors, 12));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs it with all it prints in `log`; the end of the log is part of the reason when it fails.
pub fn logged(command: &mut Command, log: &Path) -> Result<()> {
    let file = File::create(log).with_context(|| format!("{} cannot be written", log.display()))?;
    let errors = file.try_clone().context("a file handle cannot be duplicated")?;
    let status = command
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(errors)
        .status()
        .with_context(|| format!("{} does not start", line(command)))?;
    if !status.success() {
        let text = fs::read_to_string(log).unwrap_or_default();
        bail!("{} failed ({status}); the end of {}:\n{}", line(command), log.display(), tail(&text, 20));
    }
    Ok(())
}

/// A command as one would type it.
pub fn line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| word.to_string_lossy().into_owned()));
    let text = words.join(" ");
    match text.char_indices().nth(160) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Asks a process to end, and waits for it; after `patience` it is killed. True if it was there.
pub fn end(pid: u32, patience: Duration) -> bool {
    if !signal(pid, libc::SIGTERM) {
        return false;
    }
    let deadline = Instant::now() + patience;
    while is_alive(pid) {
        if Instant::now() > deadline {
            signal(pid, libc::SIGKILL);
            break;
        }
        thread::sleep(Duration::from_millis(30));
    }
    true
}

/// Sends a signal; false if there is no such process, or it is not ours.
pub fn signal(pid: u32, number: i32) -> bool {
    // SAFETY: kill only takes numbers; a pid of 0 or 1, which would reach others, is refused here.
    pid > 1 && unsafe { libc::kill(pid as i32, number) == 0 }
}

/// Whether a process is there and is not only waiting to be reaped.
pub fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X'])))
}

/// The last lines of a text.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.trim_end().lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
