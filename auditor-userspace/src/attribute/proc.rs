//! What `/proc` says about a process: the one door to it for attribution.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What is known about a running process without its help.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Process, in the host's numbering.
    pub tgid: u32,
    /// Its parent.
    pub parent: u32,
    /// CLOCK_BOOTTIME nanoseconds, as coarse as a clock tick (10 ms): `/proc/PID/stat`, field 22.
    pub start_ns: u64,
    /// The kernel's short name.
    pub comm: String,
    /// Command line, argument by argument.
    pub arguments: Vec<String>,
    /// Path of the program, if it may be read.
    pub executable: Option<String>,
    /// User, as the host numbers them.
    pub uid: u32,
    /// The lines of `/proc/PID/cgroup`.
    pub cgroups: String,
    /// It has ended, and its parent has not asked how.
    pub ended: bool,
}

/// A source of knowledge about processes.
pub trait Processes {
    /// Every process there is.
    fn all(&self) -> Vec<u32>;
    /// One of them; `None` if it is gone.
    fn seen(&self, tgid: u32) -> Option<Seen>;
}

/// A thread of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thread {
    /// As the process itself numbers it.
    pub ns_tid: u32,
    /// How many PID namespaces deep it lives.
    pub depth: usize,
}

impl Thread {
    /// Whether this is what a claim names.
    #[must_use]
    pub fn is(self, key: u64) -> bool {
        u64::from(self.ns_tid) == key
    }
}

/// The running system's `/proc`.
#[derive(Clone, Debug)]
pub struct Proc {
    root: PathBuf,
    tick_ns: u64,
}

impl Default for Proc {
    fn default() -> Self {
        // SAFETY: sysconf has no preconditions.
        let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
        Self { root: PathBuf::from("/proc"), tick_ns: 1_000_000_000 / u64::try_from(ticks).unwrap_or(100).max(1) }
    }
}

impl Processes for Proc {
    fn all(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir(&self.root) else { return Vec::new() };
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    }

    fn seen(&self, tgid: u32) -> Option<Seen> {
        let folder = self.root.join(tgid.to_string());
        let stat = parse_stat(&fs::read_to_string(folder.join("stat")).ok()?)?;
        let command = fs::read(folder.join("cmdline")).ok()?;
        Some(Seen {
            tgid,
            parent: stat.parent,
            start_ns: stat.start_ticks.saturating_mul(self.tick_ns),
            comm: stat.comm,
            arguments: arguments(&command),
            executable: executable(&folder),
            uid: fs::metadata(&folder).ok()?.uid(),
            cgroups: fs::read_to_string(folder.join("cgroup")).unwrap_or_default(),
            ended: stat.ended,
        })
    }
}

impl Proc {
    /// The threads of a process; none if it is gone.
    #[must_use]
    pub fn threads(&self, tgid: u32) -> Vec<Thread> {
        let Ok(entries) = fs::read_dir(self.root.join(tgid.to_string()).join("task")) else { return Vec::new() };
        let statuses = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path().join("status")).ok());
        statuses.filter_map(|status| thread(&status)).collect()
    }
}

/// `NSpid` of `proc_pid_status(5)`: the thread's numbers, from the outermost namespace that we see to its own.
fn thread(status: &str) -> Option<Thread> {
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    let ns_tid = numbers.split_ascii_whitespace().next_back()?.parse().ok()?;
    Some(Thread { ns_tid, depth: numbers.split_ascii_whitespace().count() })
}

fn executable(folder: &Path) -> Option<String> {
    fs::read_link(folder.join("exe")).ok().map(|path| path.to_string_lossy().into_owned())
}

fn arguments(command: &[u8]) -> Vec<String> {
    let command = command.strip_suffix(&[0]).unwrap_or(command);
    if command.is_empty() {
        return Vec::new();
    }
    command.split(|&byte| byte == 0).map(|argument| String::from_utf8_lossy(argument).into_owned()).collect()
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    comm: String,
    parent: u32,
    start_ticks: u64,
    ended: bool,
}

/// `proc_pid_stat(5)`: the name is in parentheses and may hold anything, so the last one ends it.
fn parse_stat(text: &str) -> Option<Stat> {
    let (head, tail) = text.rsplit_once(')')?;
    let (_, comm) = head.split_once('(')?;
    let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
    Some(Stat {
        comm: comm.to_owned(),
        parent: fields.get(1)?.parse().ok()?,
        start_ticks: fields.get(19)?.parse().ok()?,
        ended: matches!(*fields.first()?, "Z" | "X"),
    })
}

#[cfg(test)]
mod tests {
    use super::{Proc, Processes as _, Stat, Thread, arguments, parse_stat, thread};

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let text = "7 (a) b ( c) S 3 7 7 0 -1 1 0 0 0 0 0 0 0 0 20 0 1 0 12345 0 0\n";
        let stat = Stat { comm: "a) b ( c".into(), parent: 3, start_ticks: 12345, ended: false };
        assert_eq!(parse_stat(text), Some(stat));
        assert!(parse_stat(&text.replace(" S ", " Z ")).is_some_and(|it| it.ended));
    }

    #[test]
    fn a_cut_line_is_nothing() {
        for text in ["", "7", "7 (x", "7 (x)", "7 (x) S 3", "7 (x) S y 7 7 0 -1 1 0 0 0 0 0 0 0 0 20 0 1 0 z 0 0"] {
            assert_eq!(parse_stat(text), None, "{text}");
        }
    }

    #[test]
    fn a_command_line_is_split_at_its_nuls() {
        assert_eq!(arguments(b""), Vec::<String>::new());
        assert_eq!(arguments(b"a\0\0b c\0"), ["a", "", "b c"]);
    }

    #[test]
    fn a_thread_is_known_by_its_own_number() {
        for (text, found) in [
            ("Name:\tx\nNSpid:\t700\t7\nNSpgid:\t1\n", Some(Thread { ns_tid: 7, depth: 2 })),
            ("NSpid:\t700\n", Some(Thread { ns_tid: 700, depth: 1 })),
            ("NSpid:\n", None),
            ("NSpid:\tx\n", None),
            ("", None),
        ] {
            assert_eq!(thread(text), found, "{text}");
        }
        assert!(Proc::default().threads(std::process::id()).iter().all(|it| it.depth > 0));
    }

    #[test]
    fn this_very_process_is_seen() {
        let me = Proc::default().seen(std::process::id()).expect("this process runs");
        assert!(me.start_ns > 0 && !me.arguments.is_empty() && me.executable.is_some(), "{me:?}");
    }
}
