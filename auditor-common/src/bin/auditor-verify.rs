//! `auditor-verify`: the offline verifier. It reads an export or a proof, and what its caller brings along; it asks
//! nobody, and needs nothing but this crate.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use auditor_common::checkpoint::{Checkpoint, SignedCheckpoint};
use auditor_common::note::{MAX_NOTE, VerifierKey, unhex_any};
use auditor_common::proof::{HEADER, MAX_PROOF_FILE, ProofFile};
use auditor_common::tar::{Archive, MAX_MEMBERS};
use auditor_common::verify::{Expect, Files, Trust, exit, verify_export};

const USAGE: &str = "\
auditor-verify: verifies an export or a proof of Network Audit, offline

usage: auditor-verify --key VKEY [options] EXPORT.nalx    an export, as a file or a folder
       auditor-verify --key VKEY [options] N.tlog-proof   the proof of one record

  --key VKEY         the root's key or the log's, known by another way than from what is verified
  --nonce HEX        the nonce that was given to the one who made the export
  --last-seen FILE   the checkpoint of this ledger that was seen last
  --json             one JSON object

exit: 0 all that was required is proven · 1 could not run · 2 used wrongly · 3 tampered
      4 intact, but with gaps or a part unproven · 5 cannot be verified (unknown key, newer version)";

/// What was typed.
struct Arguments {
    path: PathBuf,
    key: VerifierKey,
    nonce: Option<Vec<u8>>,
    last_seen: Option<Checkpoint>,
    json: bool,
}

fn arguments() -> Result<Arguments, String> {
    let mut given = std::env::args_os().skip(1);
    let (mut path, mut key, mut nonce, mut last_seen, mut json) = (None, None, None, None, false);
    while let Some(argument) = given.next() {
        let mut value = |name: &str| {
            let value = given.next().and_then(|value| value.into_string().ok());
            value.ok_or_else(|| format!("{name} needs a value"))
        };
        match argument.to_str() {
            Some("--key") => {
                key = Some(VerifierKey::parse(&value("--key")?).map_err(|error| format!("--key: {error}"))?);
            }
            Some("--nonce") => {
                let bytes = unhex_any(&value("--nonce")?).filter(|bytes| !bytes.is_empty());
                nonce = Some(bytes.ok_or("--nonce: not hexadecimal")?);
            }
            Some("--last-seen") => last_seen = Some(seen(Path::new(&value("--last-seen")?))?),
            Some("--json") => json = true,
            Some("--help" | "-h") => return Err(String::new()),
            Some(option) if option.starts_with("--") => return Err(format!("there is no option {option}")),
            _ if path.is_none() => path = Some(PathBuf::from(argument)),
            _ => return Err("only one export or proof at a time".to_owned()),
        }
    }
    let path = path.ok_or("which export or proof?")?;
    let key = key.ok_or("--key is needed: what is not held against a known key proves nothing")?;
    Ok(Arguments { path, key, nonce, last_seen, json })
}

fn seen(path: &Path) -> Result<Checkpoint, String> {
    let bytes = at_most(path, MAX_NOTE as u64).map_err(|error| format!("--last-seen: {error}"))?;
    let signed = SignedCheckpoint::parse(&bytes).map_err(|error| format!("--last-seen: {error}"))?;
    Ok(signed.checkpoint)
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(error) if error.is_empty() => {
            println!("{USAGE}");
            return ExitCode::from(exit::PROVEN);
        }
        Err(error) => {
            eprintln!("auditor-verify: {error}\n\n{USAGE}");
            return ExitCode::from(exit::USAGE);
        }
    };
    let outcome =
        is_proof(&arguments.path).and_then(|is_proof| if is_proof { proof(&arguments) } else { export(&arguments) });
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("auditor-verify: {}: {error}", arguments.path.display());
            ExitCode::from(exit::IO)
        }
    }
}

/// Reads a small file: of one that is larger, a byte more than it may have, which whoever reads it refuses.
fn at_most(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// By its name, or by how it begins.
fn is_proof(path: &Path) -> io::Result<bool> {
    if path.is_dir() || path.extension().is_some_and(|extension| extension == "tlog-proof") {
        return Ok(!path.is_dir());
    }
    let mut first = Vec::new();
    File::open(path)?.take(HEADER.len() as u64).read_to_end(&mut first)?;
    Ok(first == HEADER.as_bytes())
}

fn export(arguments: &Arguments) -> io::Result<u8> {
    let expect = Expect {
        trust: Trust { pinned: Some(arguments.key.clone()) },
        nonce: arguments.nonce.clone(),
        last_seen: arguments.last_seen.clone(),
    };
    let verdict = if arguments.path.is_dir() {
        verify_export(&mut Folder(arguments.path.clone()), &expect, &mut |_| {})
    } else {
        let archive = match Archive::open(File::open(&arguments.path)?)? {
            Ok(archive) => archive,
            Err(sentence) => {
                println!("tampered: {sentence}");
                return Ok(exit::TAMPERED);
            }
        };
        verify_export(&mut { archive }, &expect, &mut |_| {})
    };
    let verdict = verdict.map_err(|error| io::Error::other(error.to_string()))?;
    if arguments.json {
        println!("{}", verdict.to_json());
    } else {
        print!("{}", verdict.to_text());
    }
    Ok(verdict.exit())
}

/// One record: where it lies, and that the log's key signed the tree. Whose epoch it was signed in shows an export.
fn proof(arguments: &Arguments) -> io::Result<u8> {
    let bytes = at_most(&arguments.path, MAX_PROOF_FILE as u64)?;
    let say = |word: &str, sentence: &str, code: u8| {
        if arguments.json {
            println!("{{\"exit\":{code},\"summary\":\"{word}\",\"sentence\":{sentence:?}}}");
        } else {
            println!("{word}: {sentence}");
        }
        Ok(code)
    };
    let proof = match ProofFile::parse(&bytes) {
        Ok(proof) => proof,
        Err(error) => return say("tampered", &error.to_string(), exit::TAMPERED),
    };
    let origin = &proof.checkpoint.checkpoint.origin;
    let log = arguments.key.renamed(&origin.to_string()).ok();
    let ours = arguments.key.name() == origin.node() || arguments.key.name() == origin.to_string();
    let Some(log) = log.filter(|_| ours) else {
        return say("cannot be verified", "the key is not that of the proof's log: use the log's key", exit::UNKNOWN);
    };
    match proof.checkpoint.verify_log(&log) {
        Ok(_) => {}
        Err(error @ auditor_common::note::NoteError::Unsigned { .. }) => {
            return say("cannot be verified", &error.to_string(), exit::UNKNOWN);
        }
        Err(error) => return say("tampered", &error.to_string(), exit::TAMPERED),
    }
    match proof.check() {
        Ok(row) => {
            let sentence = format!(
                "record {} ({}) of {origin} is in the tree of size {} that the log signed",
                proof.index,
                row.entry.kind.name(),
                proof.checkpoint.checkpoint.size
            );
            say("proven", &sentence, exit::PROVEN)
        }
        Err(sentence) => say("tampered", &sentence, exit::TAMPERED),
    }
}

/// An export as a folder.
struct Folder(PathBuf);

fn walk(folder: &Path, prefix: &str, found: &mut Vec<(String, u64)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|_| io::Error::other("a name that is not text"))?;
        let path = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let kind = entry.file_type()?;
        if found.len() > MAX_MEMBERS {
            return Ok(());
        }
        if kind.is_dir() {
            walk(&entry.path(), &path, found)?;
        } else if kind.is_file() {
            found.push((path, entry.metadata()?.len()));
        } else {
            return Err(io::Error::other(format!("{path} is neither a file nor a folder")));
        }
    }
    Ok(())
}

impl Files for Folder {
    fn list(&mut self) -> io::Result<Vec<(String, u64)>> {
        let mut found = Vec::new();
        walk(&self.0, "", &mut found)?;
        Ok(found)
    }

    fn read(&mut self, path: &str, len: u64) -> io::Result<Vec<u8>> {
        at_most(&self.0.join(path), len)
    }
}
