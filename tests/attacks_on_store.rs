//! The attacks that the design names, by their numbers, made on the files of a store: `auditor verify`, the program itself,
//! refuses each and says why. What verification does not look at, because it can be computed, `auditor check` looks at.
//! The same attacks on an export are in `attacks.rs`; the table of all of them is in DESIGN.md.

use std::fs;
use std::path::Path;
use std::process::Command;

use auditor_common::body::{Body, Loss};
use auditor_common::checkpoint::{Checkpoint, SignedCheckpoint};
use auditor_common::note::{VerifierKey, base64, hex, key_id, unbase64};
use auditor_common::proof::ProofFile;
use auditor_common::stream::CONTROL;
use auditor_common::verify::{Question, exit};
use auditor_tests::bundle::Thief;
use auditor_tests::forge::{Forge, malleated};
use auditor_tests::ledger::{Ledger, copy, options};
use auditor_tests::robber::{Robber, segment};
use auditor_tests::{auditor, verifier};
use auditor_userspace::store::Limits;
use auditor_userspace::store::schema::{STREAMS, TILES};
use auditor_userspace::verify::Report;

use Question::{Authenticity, Coverage, Head, Integrity, Tail, Time};

const ORIGIN: &str = "audit.example/cluster-a/node-7/0001";

/// A ledger of three epochs and two instances, closed, and the keys that lie on its host.
struct Scene {
    dir: tempfile::TempDir,
    root: VerifierKey,
    thief: Thief,
}

impl Scene {
    fn open(dir: &Path, second: u64) -> Ledger {
        let mut options = options(second);
        options.limits = Limits { epoch_ns: 8_000_000_000, reserve_bytes: 1 << 20, ..Limits::default() };
        Ledger::open(dir, &options).unwrap()
    }

    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Self::open(dir.path(), 0);
        for _ in 0..20 {
            ledger.second(&[("alpha", 5), ("beta", 2)]);
        }
        let root = ledger.opened.root.clone();
        drop(ledger);
        let thief = Thief::of(dir.path(), 1, 2);
        Self { dir, root, thief }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn robber(&self) -> Robber {
        Robber::on(self.path())
    }

    /// Rows changed by somebody without keys.
    fn rows(&self, edit: impl FnOnce(&mut Forge)) {
        let robber = self.robber();
        let mut forge = robber.rows();
        edit(&mut forge);
        robber.write(&forge);
    }

    /// Rows changed by somebody with the keys of today, who hashes and signs again what he can, the head file too.
    fn forged(&self, edit: impl FnOnce(&mut Forge) -> usize) {
        let robber = self.robber();
        let mut forge = robber.rows();
        let from = edit(&mut forge);
        robber.sign_again(&mut forge, from, &self.thief);
        self.release(&robber.checkpoint(forge.rows.len() as u64));
    }

    /// Writes this into the head file, as its newest checkpoint.
    fn release(&self, note: &str) {
        let mut slot = vec![0; 4096];
        slot[..8].copy_from_slice(b"NALHEAD1");
        slot[8..16].copy_from_slice(&1000_u64.to_be_bytes());
        slot[16..20].copy_from_slice(&(note.len() as u32).to_be_bytes());
        slot[20..20 + note.len()].copy_from_slice(note.as_bytes());
        let crc = crc32fast::hash(&slot[..4092]);
        slot[4092..].copy_from_slice(&crc.to_be_bytes());
        fs::write(self.path().join("head"), [slot.as_slice(), &[0; 4096]].concat()).unwrap();
    }

    /// A record of the epoch whose keys lie on the host.
    fn recent(&self) -> usize {
        let forge = self.robber().rows();
        forge.rows.iter().position(|(entry, ..)| entry.epoch == self.thief.number).unwrap() + 5
    }

    /// The note of a checkpoint changed.
    fn checkpoint(&self, edit: impl FnOnce(String) -> String) {
        let robber = self.robber();
        let size = robber.checkpoints()[3];
        robber.put_checkpoint(size, &edit(robber.checkpoint(size)));
    }

    fn auditor(&self, arguments: &[&str]) -> (u8, String) {
        let output = Command::new(auditor()).arg("--state-dir").arg(self.path()).args(arguments).output().unwrap();
        said(output)
    }

    fn verify(&self) -> (u8, Report) {
        let root = self.root.to_string();
        let (code, text) = self.auditor(&["verify", "--root-key", &root, "--json"]);
        let report = serde_json::from_str(&text).ok().as_ref().and_then(Report::from_json);
        (code, report.unwrap_or_else(|| panic!("exit {code}: {text}")))
    }
}

fn said(output: std::process::Output) -> (u8, String) {
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap() as u8, String::from_utf8(text).unwrap())
}

/// A store of this kind is good, and not after the attack: this code, this question violated, these words.
fn check(code: u8, question: Option<Question>, words: &str, attack: impl FnOnce(&Scene)) {
    let scene = Scene::new();
    let (before, report) = scene.verify();
    assert_eq!(before, exit::PROVEN, "before the attack: {}", report.to_text());
    attack(&scene);
    let (after, report) = scene.verify();
    let text = report.to_text();
    assert_eq!((after, report.exit()), (code, code), "{text}");
    if let Some(question) = question {
        assert_eq!(report.verdicts[0].answer(question).standing.word(), "violated", "{text}");
    }
    assert!(text.contains(words), "no \"{words}\" in {text}");
}

fn tampered(question: Question, words: &str, attack: impl FnOnce(&Scene)) {
    check(exit::TAMPERED, Some(question), words, attack);
}

/// This is nothing to `auditor verify`, which does not rely on it; `auditor check` finds it.
fn check_finds(words: &str, attack: impl FnOnce(&Scene)) {
    let scene = Scene::new();
    assert_eq!(scene.auditor(&["check"]).0, exit::PROVEN);
    attack(&scene);
    let (code, report) = scene.verify();
    assert_eq!(code, exit::PROVEN, "{}", report.to_text());
    let (code, text) = scene.auditor(&["check"]);
    assert!(code == exit::TAMPERED && text.contains(words), "no \"{words}\" in exit {code}: {text}");
}

#[test]
fn attack_01_a_byte_of_body_salt_or_entry_is_changed() {
    let sealed = "its body is not the one that was sealed";
    tampered(Integrity, sealed, |it| it.rows(|forge| forge.rows[50].2[9] ^= 1));
    tampered(Integrity, sealed, |it| it.rows(|forge| forge.rows[50].1[3] ^= 1));
    tampered(Integrity, "record 50 was changed", |it| it.rows(|forge| forge.rows[50].0.flags ^= 2));
}

#[test]
fn attack_02_a_row_is_deleted_or_inserted_and_the_others_renumbered() {
    let renumber = |forge: &mut Forge| {
        for (seq, (entry, ..)) in forge.rows.iter_mut().enumerate() {
            entry.seq = seq as u64;
        }
    };
    tampered(Integrity, "was changed", |it| {
        it.rows(|forge| {
            forge.rows.remove(50);
            renumber(forge);
        });
    });
    tampered(Integrity, "was changed", |it| {
        it.rows(|forge| {
            forge.rows.insert(50, forge.rows[50].clone());
            renumber(forge);
        });
    });
}

#[test]
fn attack_03_two_rows_are_swapped() {
    tampered(Integrity, "is in truth record 51", |it| it.rows(|forge| forge.rows.swap(50, 51)));
}

/// Changes whose call the first flow of these was.
fn another_module(forge: &mut Forge, from: usize) -> usize {
    let seq = forge.of_type("EVENT").into_iter().find(|seq| *seq >= from).unwrap();
    let Body::FlowOpened(mut flow) = forge.body(seq) else { return another_module(forge, seq + 1) };
    flow.attribution.module = Some("innocent".to_owned());
    forge.put(seq, &Body::FlowOpened(flow));
    seq
}

#[test]
fn attack_04_an_old_epoch_is_hashed_again_with_the_keys_of_today() {
    tampered(Integrity, "is signed in epoch", |it| it.forged(|forge| another_module(forge, 20)));
    // He leaves what he cannot sign as it was.
    tampered(Integrity, "are not those that were sealed", |it| {
        it.rows(|forge| {
            let from = another_module(forge, 20);
            forge.rehash(from);
        });
    });
}

/// What needs a witness, or somebody who has seen the ledger since: the epoch of today is in the hands of whoever has its
/// keys. (So the forger of these tests does his work well.)
#[test]
fn what_the_keys_of_today_were_made_for_they_sign() {
    let scene = Scene::new();
    let recent = scene.recent();
    let released = || fs::read(scene.path().join("head")).unwrap();
    let before = released();
    scene.forged(|forge| another_module(forge, recent));
    assert_ne!(before, released());
    let (code, report) = scene.verify();
    assert_eq!(code, exit::PROVEN, "{}", report.to_text());
    assert!(report.to_text().contains("no witness confirms them"), "{}", report.to_text());
}

#[test]
fn attack_05_an_old_epoch_is_signed_again_with_the_key_of_today() {
    let again = |number: fn(&Thief) -> u32| {
        move |it: &Scene| {
            let robber = it.robber();
            let size = robber.checkpoints()[3];
            let note = robber.rows().checkpoint(size as usize, &it.thief, number(&it.thief));
            robber.put_checkpoint(size, &note.to_string());
        }
    };
    // Under the old key's name, and under its own.
    check(exit::UNKNOWN, None, "is not signed by", again(|_| 0));
    tampered(Integrity, "is signed in epoch", again(|thief| thief.number));
}

#[test]
fn attack_06_a_whole_epoch_is_dropped() {
    tampered(Authenticity, "the note of epoch 1 is missing", |it| {
        let robber = it.robber();
        let rows = robber.rows();
        let of_epoch = |seq: u64| rows.rows[seq as usize].0.epoch == 1;
        robber.retain(|seq| !of_epoch(seq), |size| !of_epoch(size - 1));
        robber.forget_epoch(1);
        let path = it.path().join("0001/epochs");
        let text = fs::read_to_string(&path).unwrap();
        let notes: Vec<_> = text.split_inclusive("nal/v1/epoch\n").collect();
        fs::write(path, [notes[0], notes[1], &notes[3..].concat()].concat()).unwrap();
    });
}

#[test]
fn attack_07_the_tail_is_cut_to_an_older_checkpoint() {
    tampered(Tail, "signed records are missing after record", |it| {
        let robber = it.robber();
        let sizes = robber.checkpoints();
        robber.cut(sizes[sizes.len() - 4]);
    });
}

#[test]
fn attack_08_the_tail_is_cut_inside_of_a_batch() {
    tampered(Tail, "signed records are missing after record", |it| {
        let robber = it.robber();
        robber.cut(robber.size() - 5);
    });
    // What was signed of it stays: there are no records under it.
    tampered(Tail, "are missing, which a checkpoint covers", |it| {
        let robber = it.robber();
        let size = robber.size();
        robber.retain(|seq| seq < size - 5, |_| true);
    });
    // And with the keys, under a checkpoint of his own.
    tampered(Integrity, "is not a SEAL", |it| {
        let robber = it.robber();
        let mut forge = robber.rows();
        forge.rows.truncate(forge.rows.len() - 5);
        let note = forge.checkpoint(forge.rows.len(), &it.thief, it.thief.number).to_string();
        robber.cut(forge.rows.len() as u64);
        robber.put_checkpoint(forge.rows.len() as u64, &note);
        it.release(&note);
    });
}

#[test]
fn attack_09_the_head_is_cut_and_called_retention() {
    let words = "and no record says that they were removed";
    tampered(Head, words, |it| {
        // Another segment begins, and the one before it goes.
        let mut options = options(100);
        options.limits.segment_ns = 1_000_000_000;
        options.limits.reserve_bytes = 1 << 20;
        let mut ledger = Ledger::open(it.path(), &options).unwrap();
        for _ in 0..3 {
            ledger.wait(5);
            ledger.second(&[("alpha", 5)]);
        }
        ledger.stop().unwrap();
        assert!(fs::read_dir(it.path().join("0001")).unwrap().count() > 2);
        fs::remove_file(segment(it.path())).unwrap();
    });
}

#[test]
fn attack_10_two_adjacent_checkpoints_are_deleted() {
    tampered(Integrity, "is missing", |it| {
        let robber = it.robber();
        let gone = &robber.checkpoints()[2..4];
        robber.retain(|_| true, |size| !gone.contains(&size));
    });
}

#[test]
fn attack_12_two_auditors_are_shown_two_ledgers() {
    // What was released to somebody stands in the head file; the rows are another history of the same length.
    tampered(Tail, "forked", |it| {
        let head = fs::read(it.path().join("head")).unwrap();
        let recent = it.recent();
        it.forged(|forge| another_module(forge, recent));
        fs::write(it.path().join("head"), head).unwrap();
    });
}

#[test]
fn attack_13_the_keys_beside_the_store_are_others() {
    let words = "it is signed by another key than the one that was pinned";
    check(exit::UNKNOWN, None, words, |it| {
        let theirs = Scene::new();
        for name in ["node", "root.vkey", "0001/epochs"] {
            fs::copy(theirs.path().join(name), it.path().join(name)).unwrap();
        }
    });
    check(exit::UNKNOWN, None, words, |it| {
        fs::remove_dir_all(it.path().join("0001")).unwrap();
        copy(Scene::new().path(), it.path());
    });
}

fn prove(scene: &Scene, seq: u64) -> ProofFile {
    let path = scene.path().join(format!("{seq}.tlog-proof"));
    let _ = fs::remove_file(&path);
    let (code, text) = scene.auditor(&["prove", &seq.to_string(), "-o", &path.display().to_string()]);
    assert_eq!(code, 0, "{text}");
    ProofFile::parse(&fs::read(path).unwrap()).unwrap()
}

fn judged(scene: &Scene, proof: &ProofFile) -> (u8, String) {
    let path = scene.path().join("judged.tlog-proof");
    fs::write(&path, proof.to_string()).unwrap();
    said(Command::new(verifier()).arg("--key").arg(scene.thief_log()).arg(path).output().unwrap())
}

impl Scene {
    /// The log's key, under the node's name: a proof has no chain of keys, so this is what is pinned for it.
    fn thief_log(&self) -> String {
        fs::read_to_string(self.path().join("node")).unwrap().lines().nth(2).unwrap().to_owned()
    }
}

#[test]
fn attack_14_a_genuine_proof_is_of_another_record() {
    let scene = Scene::new();
    let (genuine, other) = (prove(&scene, 40), prove(&scene, 41));
    let (code, text) = judged(&scene, &genuine);
    assert!(matches!(code, exit::PROVEN | exit::GAPS), "{code}: {text}");
    for forged in [
        ProofFile { row: other.row.clone(), ..genuine.clone() },
        ProofFile { index: 41, ..genuine.clone() },
        ProofFile { hashes: other.hashes, ..genuine },
    ] {
        let (code, text) = judged(&scene, &forged);
        assert_eq!(code, exit::TAMPERED, "{text}");
    }
    tampered(Integrity, "is in truth record 41", |it| {
        let robber = it.robber();
        robber.put(40, &robber.row(41));
    });
}

fn forge_tile(scene: &Scene) {
    let robber = scene.robber();
    let txn = robber.db.begin_write().unwrap();
    txn.open_table(TILES).unwrap().insert(1 << 56, &[7; 32]).unwrap();
    txn.commit().unwrap();
}

#[test]
fn attack_15_a_tile_or_a_sibling_is_forged() {
    check_finds("has another root than its records give", forge_tile);
    // A proof that was made from it proves nothing, to whoever made it and to whoever gets it.
    let scene = Scene::new();
    let mut proof = prove(&scene, 40);
    for at in 0..proof.hashes.len() {
        proof.hashes[at][0] ^= 1;
        assert_eq!(judged(&scene, &proof).0, exit::TAMPERED, "hash {at}");
        proof.hashes[at][0] ^= 1;
    }
}

#[test]
fn attack_16_there_is_something_beside_what_was_signed() {
    tampered(Integrity, "the body has", |it| {
        let robber = it.robber();
        robber.put(50, &[robber.row(50), vec![0]].concat());
    });
    tampered(Integrity, "in truth record 50", |it| {
        let robber = it.robber();
        robber.put(robber.size(), &robber.row(50));
    });
    tampered(Tail, "are missing, which a checkpoint covers", |it| {
        let robber = it.robber();
        let size = robber.size() + 9;
        let forge = robber.rows();
        let checkpoint =
            Checkpoint { size, ..SignedCheckpoint::parse(robber.checkpoint(size - 9).as_bytes()).unwrap().checkpoint };
        assert_eq!(forge.rows.len() as u64, size - 9);
        robber.put_checkpoint(size, &signed(&it.thief, checkpoint).to_string());
    });
}

fn signed(thief: &Thief, checkpoint: Checkpoint) -> SignedCheckpoint {
    let text = checkpoint.text();
    let (by_log, by_epoch) = (thief.log.sign(&text), thief.epoch.sign(&text));
    let (log, epoch) = ((thief.log.verifier(), &by_log), (thief.epoch.verifier(), &by_epoch));
    SignedCheckpoint::new(checkpoint, thief.number, log, epoch)
}

#[test]
fn attack_17_an_index_hides_records() {
    // The key of an instance's stream, by which its records are found: made another one, and taken away.
    let streams = |edit: fn(&redb::WriteTransaction)| {
        move |it: &Scene| {
            let txn = it.robber().db.begin_write().unwrap();
            edit(&txn);
            txn.commit().unwrap();
        }
    };
    check_finds(
        "the key of the stream of beta is not that of its records",
        streams(|txn| {
            txn.open_table(STREAMS).unwrap().insert("beta", &[7; 16]).unwrap();
        }),
    );
    check_finds(
        "the key of the stream of beta is missing",
        streams(|txn| {
            txn.open_table(STREAMS).unwrap().remove("beta").unwrap();
        }),
    );
    // A record moved into another stream, with the keys of today.
    tampered(Integrity, "does not follow", |it| {
        let recent = it.recent();
        it.forged(|forge| {
            let seq = forge.of_type("EVENT").into_iter().find(|seq| *seq > recent).unwrap();
            assert_ne!(forge.rows[seq].0.stream_tag, CONTROL);
            forge.rows[seq].0.stream_tag = [7; 16];
            seq
        });
    });
}

#[test]
fn attack_18_the_clock_is_set_back_or_forward_and_back() {
    let shift = |seconds: i64| {
        move |it: &Scene| {
            let recent = it.recent();
            it.forged(|forge| {
                for (entry, ..) in &mut forge.rows[recent..recent + 3] {
                    entry.wall_ns = entry.wall_ns.wrapping_add_signed(seconds * 1_000_000_000);
                }
                recent
            });
        }
    };
    tampered(Time, "the wall clock goes back, and no record says that it was set", shift(-5));
    tampered(Time, "the wall clock jumps, and no record says that it was set", shift(5));
}

#[test]
fn attack_19_another_nodes_records_are_replayed() {
    tampered(Integrity, "belongs to another ledger", |it| {
        let theirs = Scene::new().robber().rows();
        it.rows(|forge| forge.rows.splice(0..100, theirs.rows[0..100].to_vec()).for_each(drop));
    });
    let words = "there are two notes of epoch 1, which say different things";
    tampered(Authenticity, words, |it| {
        fs::copy(segment(Scene::new().path()), segment(it.path())).unwrap();
    });
}

#[test]
fn attack_20_a_node_is_passed_as_a_leaf() {
    tampered(Integrity, "only 64 bytes", |it| {
        let robber = it.robber();
        let rows = robber.rows();
        let node = [rows.rows[50].0.leaf(), rows.rows[51].0.leaf()].concat();
        robber.put(50, &node);
        robber.delete(51);
    });
}

#[test]
fn attack_21_an_odd_leaf_is_counted_twice() {
    tampered(Integrity, "in truth record", |it| {
        // The same root, of a tree that is said to have one leaf more: the last one again.
        let robber = it.robber();
        let size = robber.size();
        let checkpoint = SignedCheckpoint::parse(robber.checkpoint(size).as_bytes()).unwrap().checkpoint;
        let note = signed(&it.thief, Checkpoint { size: size + 1, ..checkpoint }).to_string();
        robber.put(size, &robber.row(size - 1));
        robber.put_checkpoint(size + 1, &note);
        it.release(&note);
    });
}

#[test]
fn attack_22_a_key_is_weak_or_a_signature_malleable() {
    // Order 4: the ordinate is 0. Its id is right.
    let name = "audit.example/cluster-a/node-7/root";
    let weak = format!("{name}+{}+{}", hex(&key_id(name, &[0; 32])), base64(&[[1].as_slice(), &[0; 32]].concat()));
    check(exit::UNKNOWN, None, "the key is weak", |it| {
        fs::write(it.path().join("root.vkey"), format!("{weak}\n")).unwrap();
    });
    let (code, text) = Scene::new().auditor(&["verify", "--root-key", &weak]);
    assert!(code != exit::PROVEN && text.contains("the key is weak"), "{code}: {text}");
    // S + L instead of S: the same equation holds.
    tampered(Integrity, "is wrong", |it| {
        it.checkpoint(|text| {
            let line = text.lines().find(|line| line.starts_with(&format!("— {ORIGIN} "))).unwrap();
            let encoded = line.rsplit_once(' ').unwrap().1;
            text.replace(encoded, &base64(&malleated(&unbase64(encoded).unwrap())))
        });
    });
}

#[test]
fn attack_23_a_note_has_two_empty_lines_or_control_bytes() {
    let edits: [fn(String) -> String; 5] = [
        |text| text.replacen("\n\n", "\n\n\n", 1),
        |text| text.replace('\n', "\r\n"),
        |text| text.replacen('\n', "\u{85}\n", 1),
        |text| text.replacen("— ", "- ", 1),
        |text| format!("{text}— {} AAAAAAAA\n", "x".repeat(256)),
    ];
    for edit in edits {
        tampered(Integrity, "checkpoint of size 49: the note", |it| it.checkpoint(edit));
    }
}

#[test]
fn attack_24_an_epoch_note_is_shown_as_a_checkpoint() {
    let first = |it: &Scene| {
        let epochs = fs::read_to_string(it.path().join("0001/epochs")).unwrap();
        format!("nal/v1/epoch\n{}", epochs.split("nal/v1/epoch\n").nth(1).unwrap())
    };
    tampered(Integrity, "checkpoint of size 49: the note", |it| it.checkpoint(|_| first(it)));
    // In the head file it is no checkpoint either.
    tampered(Tail, "cannot be read", |it| {
        it.release(&first(it));
        let slot = fs::read(it.path().join("head")).unwrap()[..4096].to_vec();
        fs::write(it.path().join("head"), [slot.as_slice(), &slot].concat()).unwrap();
    });
}

#[test]
fn attack_25_a_hook_is_detached_or_the_daemon_stopped_for_a_while() {
    check(exit::GAPS, None, "the hook connect4 is no longer attached", |it| {
        let mut ledger = Scene::open(it.path(), 21);
        ledger.seal().unwrap();
        let mut input = ledger.input();
        input.hooks[0].active = false;
        ledger.store.seal(input, ledger.now).unwrap();
    });
    check(exit::GAPS, None, "nobody was looking between two runs", |it| {
        Scene::open(it.path(), 60).stop().unwrap();
    });
}

#[test]
fn attack_26_the_ring_is_flooded() {
    let lost = |sealed: Option<u64>| {
        move |it: &Scene| {
            let mut ledger = Scene::open(it.path(), 21);
            let detail = "the ring was full".to_owned();
            let loss = Loss { gap: 1, count: Some(500), from_wall_ns: None, until_wall_ns: None, detail };
            ledger.append(&Body::Loss(loss)).unwrap();
            let mut input = ledger.input();
            if let Some(sealed) = sealed {
                input.cpus[0].last_kseq += 500;
                input.cpus[0].lost = vec![(1, sealed)];
            }
            ledger.store.seal(input, ledger.now).unwrap();
        }
    };
    check(exit::GAPS, None, "ring-full", lost(Some(500)));
    tampered(Coverage, "were received or lost", lost(Some(3)));
}

#[test]
fn attack_28_a_bit_flips() {
    tampered(Integrity, "record 77: its body is not the one that was sealed", |it| {
        // In the file itself, below redb, which does not look at its check sums when it reads.
        let body = it.robber().rows().rows[77].2.clone();
        let mut bytes = fs::read(segment(it.path())).unwrap();
        let places: Vec<_> = (0..bytes.len() - body.len()).filter(|at| bytes[*at..].starts_with(&body)).collect();
        assert!(!places.is_empty());
        for place in places {
            bytes[place + 9] ^= 8;
        }
        fs::write(segment(it.path()), bytes).unwrap();
    });
}

#[test]
fn attack_29_the_store_fell_back_behind_what_it_had_released() {
    let restored = |it: &Scene| {
        let old = fs::read(segment(it.path())).unwrap();
        Scene::open(it.path(), 21).stop().unwrap();
        fs::write(segment(it.path()), old).unwrap();
    };
    tampered(Tail, "which is missing", restored);
    // The next start says so, and the ledger that was cut stays violated.
    tampered(Tail, "the next ledger declares: ", |it| {
        restored(it);
        let next = Scene::open(it.path(), 60);
        assert!(next.opened.recovered.is_some());
        next.stop().unwrap();
    });
}

#[test]
fn attack_30_two_writers_fork_the_chain() {
    tampered(Tail, "forked", |it| {
        let other = tempfile::tempdir().unwrap();
        copy(it.path(), other.path());
        // Both go on for as long, and the rows of the one come to lie beside the head file of the other.
        for (dir, instance) in [(it.path(), "alpha"), (other.path(), "beta")] {
            let mut ledger = Scene::open(dir, 21);
            ledger.second(&[(instance, 3)]);
            ledger.stop().unwrap();
        }
        for name in ["0001/epochs", "0001/seg-00000000000000000000.redb"] {
            fs::copy(other.path().join(name), it.path().join(name)).unwrap();
        }
    });
}

#[test]
fn attack_32_a_length_is_huge() {
    tampered(Integrity, "record 50: ", |it| {
        let robber = it.robber();
        let mut row = robber.row(50);
        row[44..48].copy_from_slice(&[0xFF; 4]);
        robber.put(50, &row);
    });
    // A file of a terabyte, most of it nothing: it costs neither room nor time, and says what it said before.
    let scene = Scene::new();
    fs::OpenOptions::new().write(true).open(segment(scene.path())).unwrap().set_len(1 << 40).unwrap();
    let (code, report) = scene.verify();
    assert_eq!(code, exit::PROVEN, "{}", report.to_text());
}
