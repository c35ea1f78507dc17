//! A disk that can fail and lose its power.
//!
//! What lies in the folder is what every process sees, as long as the machine runs. Beside it, here, is what would be
//! there after a power cut: of each file the content of its last sync and the writes since, of each folder the names of
//! its last sync and the changes since. [`SimulatedDisk::after_a_cut`] makes a folder out of that.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use auditor_userspace::store::disk::{Disk, Files};
use fastrand::Rng;
use redb::{BackendError, StorageBackend};
use tempfile::TempDir;

/// What a disk writes whole, or not at all.
const SECTOR: usize = 512;

/// A temporary folder in memory, where there is such: what is simulated here needs no disk below it.
pub fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary folder")
}

/// What of the writes that no sync has covered is there after a power cut.
#[derive(Clone, Debug)]
pub enum Survives {
    /// Nothing.
    Nothing,
    /// Some sectors, some names, some length of each file.
    Some(Rng),
    /// All of it: it was persisted anyway.
    Everything,
}

/// What happens at one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error, and nothing is done.
    Error,
    /// It is done, and an error all the same.
    ErrorAfter,
    /// There is no room for it.
    Full,
    /// The power goes while it is done: whatever it wrote is as uncertain as what was written before it. Nothing works
    /// from then on.
    Cut,
}

/// What was done to the disk, in the order in which it was done: verb and file name.
pub type Step = String;

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Len(u64),
}

/// A file: what is durable of it, and what was done to it since.
#[derive(Clone, Debug, Default)]
struct Node {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Folder,
    File(usize),
}

#[derive(Clone, Debug)]
enum NameChange {
    Add(PathBuf, Entry),
    Remove(PathBuf),
    Move(PathBuf, PathBuf, Entry),
}

#[derive(Debug, Default)]
struct State {
    nodes: Vec<Node>,
    /// As the processes see it.
    names: BTreeMap<PathBuf, Entry>,
    durable: BTreeMap<PathBuf, Entry>,
    pending: Vec<(PathBuf, NameChange)>,
    steps: Vec<Step>,
    fault: Option<(usize, Fault)>,
    dead: bool,
}

/// A disk below one folder. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct SimulatedDisk {
    root: PathBuf,
    state: Arc<Mutex<State>>,
}

impl SimulatedDisk {
    /// The disk that holds this folder, with what is in it durable.
    pub fn over(root: &Path) -> Self {
        let mut state = State::default();
        take_up(root, &mut state);
        state.durable = state.names.clone();
        Self { root: root.to_owned(), state: Arc::new(Mutex::new(state)) }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Operation number `at`, counted from the ones that have been, meets this fault.
    pub fn fail(&self, at: usize, fault: Fault) {
        let mut state = self.lock();
        let done = state.steps.len();
        state.fault = Some((done + at, fault));
    }

    /// The power goes now.
    pub fn cut(&self) {
        self.lock().dead = true;
    }

    /// Has the fault been met?
    pub fn has_failed(&self) -> bool {
        let state = self.lock();
        state.fault.is_some_and(|(at, _)| state.steps.len() > at)
    }

    /// Which operation the fault is for.
    pub fn failed_at(&self) -> usize {
        self.lock().fault.map_or(usize::MAX, |(at, _)| at)
    }

    /// What was done so far.
    pub fn steps(&self) -> Vec<Step> {
        self.lock().steps.clone()
    }

    /// Makes the folder that is there after the power was cut now.
    pub fn after_a_cut(&self, into: &Path, mut survives: Survives) {
        let state = self.lock();
        let mut names = state.durable.clone();
        for (_, change) in &state.pending {
            let is_there = match &mut survives {
                Survives::Nothing => false,
                Survives::Some(rng) => rng.bool(),
                Survives::Everything => true,
            };
            if is_there {
                apply(&mut names, change);
            }
        }
        fs::create_dir_all(into).expect("a folder");
        // A folder stands before what is in it.
        for (path, entry) in names {
            let target = into.join(path.strip_prefix(&self.root).expect("a path on this disk"));
            match entry {
                Entry::Folder if target.parent().is_some_and(Path::exists) => fs::create_dir(target).expect("a folder"),
                Entry::File(node) if target.parent().is_some_and(Path::exists) => {
                    fs::write(target, content(&state.nodes[node], &mut survives)).expect("a file");
                }
                // Its folder has not become durable.
                Entry::Folder | Entry::File(_) => {}
            }
        }
    }

    /// The name that a file has now.
    fn name_of(&self, node: usize) -> Option<PathBuf> {
        let is_it = |entry: &Entry| *entry == Entry::File(node);
        self.lock().names.iter().find(|(_, entry)| is_it(entry)).map(|(name, _)| name.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does an operation, unless it is to fail. `seen` changes what the processes see, `remembered` what is known about
    /// durability: its argument says whether the operation came to its end.
    fn operate<T>(
        &self,
        verb: &str,
        path: &Path,
        seen: impl FnOnce() -> io::Result<T>,
        remembered: impl FnOnce(&mut State, bool),
    ) -> io::Result<T> {
        let mut state = self.lock();
        if state.dead {
            return Err(io::Error::other("there is no power"));
        }
        let at = state.steps.len();
        let fault = state.fault.filter(|(when, _)| *when == at).map(|(_, fault)| fault);
        let mut step = verb.to_owned();
        let _ = write!(step, " {}", path.strip_prefix(&self.root).unwrap_or(path).display());
        state.steps.push(step);
        match fault {
            Some(Fault::Error) => return Err(io::Error::other("a test has this fail")),
            Some(Fault::Full) => return Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::Cut) => {
                state.dead = true;
                remembered(&mut state, false);
                return Err(io::Error::other("the power goes"));
            }
            Some(Fault::ErrorAfter) | None => {}
        }
        let value = seen()?;
        remembered(&mut state, true);
        if fault.is_some() { Err(io::Error::other("a test has this fail, although it is done")) } else { Ok(value) }
    }
}

fn take_up(folder: &Path, state: &mut State) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            state.names.insert(path.clone(), Entry::Folder);
            take_up(&path, state);
        } else {
            let node = state.add(fs::read(&path).expect("a file"));
            state.names.insert(path, Entry::File(node));
        }
    }
}

fn apply(names: &mut BTreeMap<PathBuf, Entry>, change: &NameChange) {
    match change {
        NameChange::Add(path, entry) => {
            names.insert(path.clone(), *entry);
        }
        NameChange::Remove(path) => names.retain(|name, _| !name.starts_with(path)),
        NameChange::Move(from, to, entry) => {
            names.remove(from);
            names.insert(to.clone(), *entry);
        }
    }
}

impl State {
    fn add(&mut self, durable: Vec<u8>) -> usize {
        self.nodes.push(Node { durable, pending: vec![] });
        self.nodes.len() - 1
    }

    fn change_name(&mut self, path: &Path, change: NameChange) {
        apply(&mut self.names, &change);
        self.pending.push((path.parent().expect("a folder").to_owned(), change));
    }

    /// The file of this name; one that is not known has just been made.
    fn node(&mut self, path: &Path) -> usize {
        if let Some(Entry::File(node)) = self.names.get(path) {
            return *node;
        }
        let node = self.add(vec![]);
        self.change_name(path, NameChange::Add(path.to_owned(), Entry::File(node)));
        node
    }

    fn sync(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        let mut content = std::mem::take(&mut node.durable);
        for change in std::mem::take(&mut node.pending) {
            change.apply(&mut content);
        }
        node.durable = content;
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Len(len) => content.resize(*len as usize, 0),
            Self::Write(at, bytes) => {
                let end = *at as usize + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*at as usize..end].copy_from_slice(bytes);
            }
        }
    }
}

/// What is in a file after a cut.
fn content(node: &Node, survives: &mut Survives) -> Vec<u8> {
    let mut seen = node.durable.clone();
    let rng = match survives {
        Survives::Nothing => return seen,
        Survives::Everything => {
            node.pending.iter().for_each(|change| change.apply(&mut seen));
            return seen;
        }
        Survives::Some(rng) => rng,
    };
    let mut there = node.durable.clone();
    let (mut shortest, mut longest) = (seen.len(), seen.len());
    // Of some cuts nearly all is there, of others nearly nothing.
    let share = [0.03, 0.3, 0.5, 0.7, 0.97][rng.usize(..5)];
    for change in &node.pending {
        change.apply(&mut seen);
        (shortest, longest) = (shortest.min(seen.len()), longest.max(seen.len()));
        let Change::Write(at, bytes) = change else { continue };
        let (first, last) = (*at as usize / SECTOR, (*at as usize + bytes.len()).div_ceil(SECTOR));
        for sector in (first..last).filter(|_| rng.f64() < share) {
            let end = ((sector + 1) * SECTOR).min(seen.len());
            if there.len() < end {
                there.resize(end, 0);
            }
            there[sector * SECTOR..end].copy_from_slice(&seen[sector * SECTOR..end]);
        }
    }
    there.resize(rng.usize(shortest..=longest), 0);
    there
}

impl Disk for SimulatedDisk {
    fn segment(&self, path: &Path, new: bool) -> io::Result<Box<dyn StorageBackend>> {
        let file = if new {
            self.operate(
                "create",
                path,
                || OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path),
                |state, _| {
                    state.node(path);
                },
            )?
        } else {
            OpenOptions::new().read(true).write(true).open(path)?
        };
        let node = self.lock().node(path);
        Ok(Box::new(Segment { disk: self.clone(), node, file }))
    }

    fn write(&self, file: &File, path: &Path, content: &[u8], at: u64) -> io::Result<()> {
        self.operate(
            "write",
            path,
            || file.write_all_at(content, at),
            |state, done| {
                let node = state.node(path);
                state.nodes[node].pending.push(Change::Write(at, content.to_owned()));
                if done {
                    state.sync(node);
                }
            },
        )
    }

    fn create(&self, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
        let seen = || OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?.write_all_at(content, 0);
        self.operate("create", path, seen, |state, done| {
            let node = state.node(path);
            state.nodes[node].pending.push(Change::Write(0, content.to_owned()));
            if done {
                state.sync(node);
            }
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operate(
            "rename",
            to,
            || fs::rename(from, to),
            |state, _| {
                let entry = Entry::File(state.node(from));
                state.change_name(to, NameChange::Move(from.to_owned(), to.to_owned(), entry));
            },
        )
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let remembered = |state: &mut State, _| state.change_name(path, NameChange::Remove(path.to_owned()));
        self.operate("remove", path, || fs::remove_file(path), remembered)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        if path.exists() {
            return Ok(());
        }
        self.operate(
            "create",
            path,
            || Files.create_folder(path),
            |state, _| {
                let inside = path.ancestors().take_while(|folder| *folder != self.root);
                let missing: Vec<&Path> = inside.filter(|folder| !state.names.contains_key(*folder)).collect();
                for folder in missing.into_iter().rev() {
                    state.change_name(folder, NameChange::Add(folder.to_owned(), Entry::Folder));
                }
            },
        )
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let remembered = |state: &mut State, _| state.change_name(path, NameChange::Remove(path.to_owned()));
        self.operate("remove", path, || fs::remove_dir_all(path), remembered)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.operate(
            "sync",
            path,
            || Ok(()),
            |state, done| {
                if !done {
                    return;
                }
                let durable = &mut state.durable;
                state.pending.retain(|(folder, change)| {
                    if folder == path {
                        apply(durable, change);
                    }
                    folder != path
                });
            },
        )
    }
}

/// A segment file on such a disk.
#[derive(Debug)]
struct Segment {
    disk: SimulatedDisk,
    node: usize,
    file: File,
}

impl Segment {
    fn operate(&self, verb: &str, seen: impl FnOnce() -> io::Result<()>, change: Option<Change>) -> io::Result<()> {
        let path = self.disk.name_of(self.node).unwrap_or_default();
        self.disk.operate(verb, &path, seen, |state, done| match change {
            Some(change) => state.nodes[self.node].pending.push(change),
            None if done => state.sync(self.node),
            None => {}
        })
    }
}

impl StorageBackend for Segment {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.operate("write", || self.file.set_len(len), Some(Change::Len(len)))
    }

    fn write(&self, offset: u64, content: &[u8]) -> io::Result<()> {
        let change = Change::Write(offset, content.to_owned());
        self.operate("write", || self.file.write_all_at(content, offset), Some(change))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.operate("sync", || Ok(()), None)
    }

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn try_lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }

    fn lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn lock_shared_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn unlock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<(), BackendError> {
        Ok(())
    }

    fn query_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(false)
    }
}
