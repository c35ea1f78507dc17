//! Private keys: files of their own, 0600, in Go's `PRIVATE+KEY+…` form; made, used, and destroyed here.
//!
//! Three kinds. The root key signs once, and is then gone from the host, unless the operator asked for its file. The
//! log's key stays for the life of the node. An epoch's key is erased when the next one has been sealed. What erasing
//! means on flash and on copy-on-write file systems is in `DESIGN.md`: less than one would like.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use auditor_common::epoch::{EpochNote, SignedEpoch, SignedNode};
use auditor_common::merkle;
use auditor_common::note::{Note, NoteError, SignatureLine, VerifierKey, key_id};
use auditor_common::origin::{Origin, root_name};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};

use crate::store::disk::Disk;

/// What went wrong with a key.
#[derive(Debug)]
pub enum KeyError {
    /// A file could not be read or written.
    Io {
        /// What was being done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not hold what it should.
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// There are keys already; making others would cut off what they signed.
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// Not a name for a node.
    BadNode(String),
    /// The system gave no random bytes.
    NoRandomness(String),
}

impl std::fmt::Display for KeyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io { doing, path, source } => write!(f, "cannot {doing} {}: {source}", path.display()),
            Self::Malformed { path, detail } => write!(f, "{} is damaged: {detail}", path.display()),
            Self::Exists { path } => write!(f, "{} exists already: this node has its keys", path.display()),
            Self::BadNode(node) => {
                write!(f, "\"{node}\" is no node name: use <domain>/<cluster>/<node> of letters, digits, '.', '-', '_'")
            }
            Self::NoRandomness(why) => write!(f, "the system gives no random bytes: {why}"),
        }
    }
}

impl std::error::Error for KeyError {}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    let path = path.to_owned();
    move |source| KeyError::Io { doing, path, source }
}

/// Random bytes from the kernel.
pub fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| KeyError::NoRandomness(error.to_string()))?;
    Ok(bytes)
}

/// A private key under the name that its signatures carry.
pub struct Signer {
    secret: SigningKey,
    key: VerifierKey,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.key)
    }
}

impl Signer {
    /// The key with this seed.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let secret = SigningKey::from_bytes(seed);
        let key = VerifierKey::new(name, &secret.verifying_key().to_bytes())?;
        Ok(Self { secret, key })
    }

    /// A new key.
    pub fn generate(name: &str) -> Result<Self, KeyError> {
        Self::from_seed(name, &random()?).map_err(|error| KeyError::NoRandomness(error.to_string()))
    }

    /// The same key under another name.
    pub fn renamed(&self, name: &str) -> Result<Self, NoteError> {
        Self::from_seed(name, self.secret.as_bytes())
    }

    /// Its public half.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.key
    }

    /// Signs a text.
    #[must_use]
    pub fn sign(&self, text: &str) -> [u8; 64] {
        self.secret.sign(text.as_bytes()).to_bytes()
    }

    /// Writes the key to a new file that only its owner may read, durably.
    pub fn save(&self, disk: &dyn Disk, path: &Path) -> Result<(), KeyError> {
        let mut bytes = vec![1_u8];
        bytes.extend_from_slice(self.secret.as_bytes());
        let id = u32::from_be_bytes(self.key.id());
        let line = format!("PRIVATE+KEY+{}+{id:08x}+{}\n", self.key.name(), STANDARD.encode(bytes));
        disk.create(path, line.as_bytes(), 0o600).map_err(io_error("write the key file", path))?;
        sync_folder(disk, path)
    }

    /// Reads a key file.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let text = fs::read_to_string(path).map_err(io_error("read the key file", path))?;
        let malformed = |detail: &str| KeyError::Malformed { path: path.to_owned(), detail: detail.to_owned() };
        let rest = text.trim_end().strip_prefix("PRIVATE+KEY+").ok_or_else(|| malformed("not a private key"))?;
        let mut parts = rest.splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed("not a private key"));
        };
        let bytes = STANDARD.decode(encoded).map_err(|_| malformed("not base64"))?;
        let seed: &[u8; 32] = match bytes.split_first() {
            Some((1, seed)) => seed.try_into().map_err(|_| malformed("not an Ed25519 seed"))?,
            _ => return Err(malformed("not an Ed25519 key")),
        };
        let signer = Self::from_seed(name, seed).map_err(|error| malformed(&error.to_string()))?;
        let expected = u32::from_be_bytes(key_id(name, signer.key.public()));
        if id == format!("{expected:08x}") { Ok(signer) } else { Err(malformed("its id does not fit")) }
    }
}

/// Makes a file's name durable.
fn sync_folder(disk: &dyn Disk, path: &Path) -> Result<(), KeyError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    disk.sync_folder(folder).map_err(io_error("sync the folder of", path))
}

/// Overwrites a key file, makes that durable, and removes it. A file that is not there is no error.
pub fn erase(disk: &dyn Disk, path: &Path) -> Result<(), KeyError> {
    let file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error("erase the key file", path)(error)),
    };
    let len = file.metadata().map_err(io_error("erase the key file", path))?.len();
    disk.write(&file, path, &vec![b'0'; len as usize], 0)
        .and_then(|()| disk.remove(path))
        .map_err(io_error("erase the key file", path))?;
    sync_folder(disk, path)
}

/// Writes a public file so that it is there whole, or not at all.
pub fn publish(disk: &dyn Disk, path: &Path, content: &[u8]) -> Result<(), KeyError> {
    let draft = path.with_extension("draft");
    if draft.exists() {
        disk.remove(&draft).map_err(io_error("clear", &draft))?;
    }
    disk.create(&draft, content, 0o644).map_err(io_error("write", &draft))?;
    disk.rename(&draft, path).map_err(io_error("rename to", path))?;
    sync_folder(disk, path)
}

/// Where the keys of a state folder are.
#[derive(Clone, Debug)]
pub struct KeyPaths {
    state: PathBuf,
}

impl KeyPaths {
    /// The keys under this state folder.
    #[must_use]
    pub fn new(state: &Path) -> Self {
        Self { state: state.to_owned() }
    }

    /// The node note. It is written last: where it is, the node has its keys.
    #[must_use]
    pub fn node(&self) -> PathBuf {
        self.state.join("node")
    }

    /// The root key's public half, for display: it counts for nothing until somebody has pinned it.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.state.join("root.vkey")
    }

    /// Where the root key's private half was written: a path, so that it can be told whether it is still there.
    #[must_use]
    pub fn root_place(&self) -> PathBuf {
        self.state.join("root.place")
    }

    /// Private: the log's key.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.state.join("keys/log")
    }

    /// Private: an epoch's key.
    #[must_use]
    pub fn epoch(&self, incarnation: u32, epoch: u32) -> PathBuf {
        self.state.join(format!("keys/{incarnation:04}-e{epoch}"))
    }

    /// Epoch notes of a ledger that are not in a segment: that of epoch 0, and those of removed segments.
    #[must_use]
    pub fn epochs(&self, incarnation: u32) -> PathBuf {
        self.state.join(format!("{incarnation:04}/epochs"))
    }
}

/// Signs the note of an epoch: with the key before it and with the log's.
#[must_use]
pub fn sign_epoch(note: &EpochNote, before: &Signer, log: &Signer) -> String {
    let text = note.text();
    let signatures = [before, log].map(|signer| SignatureLine::new(signer.verifier(), &signer.sign(&text)));
    Note { text, signatures: signatures.to_vec() }.to_string()
}

/// Makes a node's keys: root, log and epoch 0 of its first ledger. The root key is written to `root_key` if that is
/// given (and read from there if it is there), and exists nowhere when this returns if it is not.
///
/// Returns the root's public half: the one thing that a verifier must have by another way.
pub fn init(
    disk: &dyn Disk,
    state: &Path,
    node: &str,
    root_key: Option<&Path>,
    wall_ns: u64,
) -> Result<VerifierKey, KeyError> {
    let paths = KeyPaths::new(state);
    let origin = Origin::new(node, 1).ok_or_else(|| KeyError::BadNode(node.to_owned()))?;
    if paths.node().exists() {
        return Err(KeyError::Exists { path: paths.node() });
    }
    for folder in [state.join("keys"), state.join("0001")] {
        create_folder(disk, &folder)?;
    }
    // Left over from an attempt that did not come to its end: nothing was ever signed for anybody with these.
    erase(disk, &paths.log())?;
    erase(disk, &paths.epoch(1, 0))?;

    let root = match root_key {
        Some(file) if file.exists() => {
            let signer = Signer::load(file)?;
            signer.renamed(&root_name(node)).map_err(|error| malformed(file, &error))?
        }
        Some(file) => {
            let signer = Signer::generate(&root_name(node))?;
            signer.save(disk, file)?;
            signer
        }
        None => Signer::generate(&root_name(node))?,
    };
    let log = Signer::generate(node)?;
    log.save(disk, &paths.log())?;
    let log_here = log.renamed(&origin.to_string()).map_err(|error| malformed(&paths.log(), &error))?;
    let key = Signer::generate(&origin.epoch_name(0))?;
    key.save(disk, &paths.epoch(1, 0))?;
    let first = EpochNote {
        origin,
        epoch: 0,
        start: 0,
        root: merkle::empty(),
        key: key.verifier().clone(),
        not_before: wall_ns / 1_000_000_000,
    };
    publish(disk, &paths.epochs(1), sign_epoch(&first, &root, &log_here).as_bytes())?;
    publish(disk, &paths.root(), format!("{}\n", root.verifier()).as_bytes())?;
    let text = SignedNode::text(node, log.verifier());
    let signature = SignatureLine::new(root.verifier(), &root.sign(&text));
    publish(disk, &paths.node(), Note { text, signatures: vec![signature] }.to_string().as_bytes())?;
    if let Some(place) = root_key.and_then(|file| fs::canonicalize(file).ok()) {
        publish(disk, &paths.root_place(), place.as_os_str().as_bytes())?;
    }
    // `root` is dropped here, and its secret with it (ed25519-dalek overwrites it).
    Ok(root.verifier().clone())
}

/// Where [`init`] wrote the root key's private half, if it did.
#[must_use]
pub fn root_key_file(state: &Path) -> Option<PathBuf> {
    let place = fs::read(KeyPaths::new(state).root_place()).ok()?;
    Some(PathBuf::from(std::ffi::OsString::from_vec(place)))
}

fn malformed(path: &Path, error: &NoteError) -> KeyError {
    KeyError::Malformed { path: path.to_owned(), detail: error.to_string() }
}

/// Makes a folder that only its owner may enter, with its parents, durably.
pub(crate) fn create_folder(disk: &dyn Disk, path: &Path) -> Result<(), KeyError> {
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    disk.create_folder(path).map_err(io_error("create the folder", path))?;
    missing.into_iter().rev().filter(|folder| !folder.as_os_str().is_empty()).try_for_each(|new| sync_folder(disk, new))
}

/// The keys that a running daemon signs with.
#[derive(Debug)]
pub struct Keys {
    /// Name of the ledger.
    pub origin: Origin,
    /// The root key's public half, as the node's own GENESIS names it.
    pub root: [u8; 32],
    /// The log's key, under the ledger's name.
    pub log: Signer,
    /// The epoch's key.
    pub epoch: Signer,
    /// Which epoch.
    pub number: u32,
}

/// Reads a file that must not be large.
pub(crate) fn read_small(path: &Path, limit: u64) -> Result<Vec<u8>, KeyError> {
    let file = File::open(path).map_err(io_error("read", path))?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(io_error("read", path))?;
    if bytes.len() as u64 > limit {
        return Err(KeyError::Malformed { path: path.to_owned(), detail: format!("longer than {limit} bytes") });
    }
    Ok(bytes)
}

/// The node note of a state folder, with the root key that it claims: its signature fits that key, but nobody has
/// pinned it.
pub fn read_node(state: &Path) -> Result<SignedNode, KeyError> {
    let path = KeyPaths::new(state).node();
    let bytes = read_small(&path, 4096)?;
    SignedNode::parse(&bytes).map_err(|error| malformed(&path, &error))
}

/// The root key's public half as the state folder shows it.
pub fn read_root(state: &Path) -> Result<VerifierKey, KeyError> {
    let path = KeyPaths::new(state).root();
    let bytes = read_small(&path, 4096)?;
    let text = String::from_utf8_lossy(&bytes);
    VerifierKey::parse(text.trim_end()).map_err(|error| malformed(&path, &error))
}

/// The epoch notes that are kept beside the segments of a ledger.
pub fn read_epochs(state: &Path, incarnation: u32) -> Result<Vec<SignedEpoch>, KeyError> {
    let path = KeyPaths::new(state).epochs(incarnation);
    let bytes = read_small(&path, 64 << 20)?;
    auditor_common::epoch::parse_epochs(&bytes).map_err(|error| malformed(&path, &error))
}
