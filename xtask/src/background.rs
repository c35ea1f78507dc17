//! Processes that stay when the program that started them ends: noted in a file, so that a later run can end them.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::process;

/// One noted process.
#[derive(Clone, Debug)]
pub struct Background {
    note: PathBuf,
}

impl Background {
    /// The process that is, or will be, noted in this file.
    pub fn noted_in(note: &Path) -> Self {
        Self { note: note.to_path_buf() }
    }

    /// Starts a command in a process group of its own (Ctrl-C is not for it), its output appended to `log`.
    pub fn start(&self, command: &mut Command, log: &Path) -> Result<Child> {
        let file = fs::OpenOptions::new().append(true).create(true).open(log);
        let file = file.with_context(|| format!("{} cannot be written", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
        let child = command.spawn().with_context(|| format!("{} does not start", process::line(command)))?;
        self.note(child.id())?;
        Ok(child)
    }

    /// Notes a process that runs already.
    pub fn note(&self, pid: u32) -> Result<()> {
        let start = start_ticks(pid).with_context(|| format!("process {pid} has ended already"))?;
        fs::write(&self.note, format!("{pid} {start}\n"))
            .with_context(|| format!("{} cannot be written", self.note.display()))
    }

    /// The process, if it is still there. A number that was given to another process since does not count.
    pub fn pid(&self) -> Option<u32> {
        let text = fs::read_to_string(&self.note).ok()?;
        let (pid, start) = text.trim().split_once(' ')?;
        let pid = pid.parse().ok()?;
        (start_ticks(pid)? == start && process::is_alive(pid)).then_some(pid)
    }

    /// Asks it to end and waits; kills it when patience is at an end. True if it was there.
    pub fn end(&self, patience: Duration) -> bool {
        let was_there = self.pid().is_some_and(|pid| process::end(pid, patience));
        let _ = fs::remove_file(&self.note);
        was_there
    }
}

/// When the process started, in ticks since the machine did: field 22 of its `stat`.
fn start_ticks(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_again_by_its_start() {
        let folder = std::env::temp_dir().join(format!("network-audit-background-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let background = Background::noted_in(&folder.join("pid"));
        let mut child = background.start(Command::new("sleep").arg("60"), &folder.join("log")).expect("sleep");
        assert_eq!(background.pid(), Some(child.id()));
        fs::write(folder.join("pid"), format!("{} 1\n", child.id())).expect("a note");
        assert_eq!(background.pid(), None, "another process of that number");
        background.note(child.id()).expect("a note");
        let waiting = std::thread::spawn(move || child.wait());
        assert!(background.end(Duration::from_secs(30)));
        waiting.join().expect("a thread").expect("a child");
        assert_eq!(background.pid(), None);
        fs::remove_dir_all(folder).expect("our own folder");
    }
}
