//! The attacks that the design names, by their numbers, each a script: whoever holds the export, or even the keys of today,
//! does it; both verifiers refuse it, and say why. (11, 27 and 31 take a witness: see DESIGN.md.)

use std::path::Path;

use auditor_common::body::{Body, Loss};
use auditor_common::checkpoint::SignedCheckpoint;
use auditor_common::note::{VerifierKey, key_id, unhex_any};
use auditor_common::record::Entry;
use auditor_common::stream::CONTROL;
use auditor_common::verify::{Question, exit};
use auditor_tests::bundle::{Bundle, Thief};
use auditor_tests::forge::{Forge, malleated};
use auditor_tests::ledger::{Ledger, at, options};
use auditor_tests::second::{Both, Brought};
use auditor_userspace::export::{self, Request};
use auditor_userspace::key::Signer;
use auditor_userspace::store::{Limits, Store, StoreError, StoreTree};

const ORIGIN: &str = "audit.example/cluster-a/node-7/0001";

/// A ledger of three epochs and two instances, an export of it, and the keys that lie on its host now.
struct Scene {
    dir: tempfile::TempDir,
    ledger: Ledger,
    thief: Thief,
    bundle: Bundle,
    brought: Brought,
}

impl Scene {
    fn new(request: &Request) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut options = options(0);
        options.limits = Limits { epoch_ns: 8_000_000_000, reserve_bytes: 1 << 20, ..Limits::default() };
        let mut ledger = Ledger::open(dir.path(), &options).unwrap();
        for _ in 0..20 {
            flows(&mut ledger);
        }
        let mut bundle = Bundle::of(dir.path(), &mut ledger, request);
        let thief = Thief::of(dir.path(), 1, bundle.signed().epoch);
        *bundle.file_mut("SPEC.md") = b"see the release\n".to_vec();
        thief.relist(&mut bundle);
        let brought = Brought::key(&ledger.opened.root);
        Self { dir, ledger, thief, bundle, brought }
    }

    fn text(&mut self, path: &str, edit: impl FnOnce(String) -> String) {
        let text = String::from_utf8(self.bundle.0[path].clone()).unwrap();
        self.bundle.0.insert(path.to_owned(), edit(text).into_bytes());
        self.thief.relist(&mut self.bundle);
    }

    fn file(&mut self, path: &str, edit: impl FnOnce(&mut Vec<u8>)) {
        edit(self.bundle.file_mut(path));
        self.thief.relist(&mut self.bundle);
    }

    /// Rows changed by whoever has only the export: nothing is hashed again, but the list is signed.
    fn rows(&mut self, edit: impl FnOnce(&mut Forge)) {
        let mut forge = Forge::of(&self.bundle);
        edit(&mut forge);
        let checkpoint = self.bundle.0["checkpoint"].clone();
        forge.write(&mut self.bundle, &self.thief);
        let size = SignedCheckpoint::parse(&checkpoint).unwrap().checkpoint.size;
        self.bundle.0.insert("checkpoint".to_owned(), checkpoint);
        let mut note = self.bundle.signed().export;
        (note.size, note.last) = (size, size - 1);
        self.thief.sign(&mut self.bundle, note);
        self.thief.relist(&mut self.bundle);
    }

    /// Rows changed by whoever has the keys of today, who hashes and signs all that he can again.
    fn forged(&mut self, edit: impl FnOnce(&mut Forge) -> usize) {
        let mut forge = Forge::of(&self.bundle);
        let from = edit(&mut forge);
        forge.rehash(from);
        forge.write(&mut self.bundle, &self.thief);
    }

    /// A record of the epoch whose keys lie on the host.
    fn recent(&self) -> usize {
        let forge = Forge::of(&self.bundle);
        forge.rows.iter().position(|(entry, ..)| entry.epoch == self.thief.number).unwrap() + 5
    }

    fn export(&mut self, request: &Request) -> Bundle {
        Bundle::of(self.dir.path(), &mut self.ledger, request)
    }
}

fn flows(ledger: &mut Ledger) {
    ledger.second(&[("alpha", 5), ("beta", 2)]);
}

fn second(second: u64) -> u64 {
    at(second).wall_ns
}

fn slice() -> Request {
    Request { from_wall_ns: Some(second(17)), ..Request::default() }
}

fn excerpt() -> Request {
    Request { instance: Some("alpha".to_owned()), ..Request::default() }
}

/// What must be said: the code, the question that is violated if it is tampering, and words of the one sentence and of the
/// other.
struct Answer {
    code: u8,
    question: Option<Question>,
    words: (&'static str, &'static str),
}

const fn tampered(question: Question, words: &'static str) -> Answer {
    said(question, words, words)
}

const fn said(question: Question, rust: &'static str, python: &'static str) -> Answer {
    Answer { code: exit::TAMPERED, question: Some(question), words: (rust, python) }
}

/// An export of this kind is good, and not after the attack.
fn check(request: &Request, answer: &Answer, attack: impl FnOnce(&mut Scene)) {
    let mut both = match Both::start() {
        Ok(both) => both,
        Err(reason) => return auditor_tests::skip(&reason),
    };
    let mut scene = Scene::new(request);
    let heard = both.files(&scene.bundle, &scene.brought).unwrap();
    assert!(matches!(heard.said.exit, exit::PROVEN | exit::GAPS), "before the attack: {}", heard.rust);
    attack(&mut scene);
    let heard = both.files(&scene.bundle, &scene.brought).unwrap_or_else(|error| panic!("{error}"));
    let said = format!("Rust:\n{}\nPython:\n{}", heard.rust, heard.python);
    assert_eq!(heard.said.exit, answer.code, "{said}");
    if let Some(question) = answer.question {
        assert_eq!(heard.said.standings[question as usize], "violated", "{said}");
    }
    assert!(heard.rust.contains(answer.words.0), "no \"{}\" in {said}", answer.words.0);
    assert!(heard.python.contains(answer.words.1), "no \"{}\" in {said}", answer.words.1);
}

fn whole() -> Request {
    Request::default()
}

use Question::{Authenticity, Coverage, Head, Integrity, Tail, Time};

#[test]
fn attack_01_a_byte_of_body_salt_or_entry_is_changed() {
    let sealed = tampered(Integrity, "its body is not the one that was sealed");
    check(&whole(), &sealed, |it| it.rows(|forge| forge.rows[50].2[9] ^= 1));
    check(&whole(), &sealed, |it| it.rows(|forge| forge.rows[50].1[3] ^= 1));
    let changed = said(Integrity, "record 50 was changed", "record 51: the link to the record before it is wrong");
    check(&whole(), &changed, |it| it.rows(|forge| forge.rows[50].0.flags ^= 2));
}

#[test]
fn attack_02_a_row_is_deleted_or_inserted_and_the_others_renumbered() {
    let answer = said(Integrity, "was changed", "the link to the record before it is wrong");
    let renumber = |forge: &mut Forge| {
        for (seq, (entry, ..)) in forge.rows.iter_mut().enumerate() {
            entry.seq = seq as u64;
        }
    };
    check(&whole(), &answer, |it| {
        it.rows(|forge| {
            forge.rows.remove(50);
            let again = forge.rows[60].clone();
            forge.rows.push(again);
            renumber(forge);
        });
    });
    check(&whole(), &answer, |it| {
        it.rows(|forge| {
            let more = forge.rows[50].clone();
            forge.rows.insert(50, more);
            forge.rows.pop();
            renumber(forge);
        });
    });
}

#[test]
fn attack_03_two_rows_are_swapped() {
    check(&whole(), &tampered(Integrity, "is in truth record 51"), |it| it.rows(|forge| forge.rows.swap(50, 51)));
}

#[test]
fn attack_04_an_old_epoch_is_hashed_again_with_the_keys_of_today() {
    let answer = said(Integrity, "are not those that were sealed", "has another root than the records");
    check(&whole(), &answer, |it| {
        it.forged(|forge| {
            let seq = forge.of_type("EVENT")[0];
            let Body::FlowOpened(mut flow) = forge.body(seq) else { panic!("not a flow") };
            flow.attribution.module = Some("innocent".to_owned());
            forge.put(seq, &Body::FlowOpened(flow));
            seq
        });
    });
}

#[test]
fn attack_05_an_old_epoch_is_signed_again_with_the_key_of_today() {
    let end_of = |bundle: &Bundle| {
        let size = bundle.0.keys().filter_map(|path| path.strip_prefix("checkpoints/")?.parse::<usize>().ok()).min();
        size.unwrap()
    };
    // Under the old key's name, and under its own.
    for (name, answer) in [
        (Some(0), Answer { code: exit::UNKNOWN, question: None, words: ("is not signed by", "is not signed by") }),
        (None, tampered(Integrity, "is signed in epoch")),
    ] {
        check(&whole(), &answer, |it| {
            let (size, forge) = (end_of(&it.bundle), Forge::of(&it.bundle));
            let signed = forge.checkpoint(size, &it.thief, name.unwrap_or(it.thief.number));
            it.file(&format!("checkpoints/{size}"), |file| *file = signed.to_string().into_bytes());
        });
    }
}

#[test]
fn attack_06_a_whole_epoch_is_dropped() {
    check(&whole(), &tampered(Authenticity, "the note of epoch 1 is missing"), |it| {
        it.text("epochs", |text| {
            let notes: Vec<_> = text.split_inclusive("nal/v1/epoch\n").collect();
            [notes[0], notes[1], &notes[3..].concat()].concat()
        });
    });
}

#[test]
fn attack_07_the_tail_is_cut_to_an_older_checkpoint() {
    // The auditor has seen a later one, or has given a nonce that the older export cannot have.
    check(&whole(), &tampered(Tail, "that were seen before are missing"), |it| {
        flows(&mut it.ledger);
        let later = it.export(&whole());
        it.brought.last_seen = Some(String::from_utf8(later.0["checkpoint"].clone()).unwrap());
    });
    let nonce = said(Tail, "was made for another nonce", "has not the nonce that was given");
    check(&whole(), &nonce, |it| it.brought.nonce = Some(vec![42; 16]));
    // Whoever has the keys writes the nonce into the list; the tree has it not.
    check(&whole(), &tampered(Tail, "no record says that this export was made"), |it| {
        let mut note = it.bundle.signed().export;
        note.nonce = Some(vec![42; 16]);
        it.brought.nonce = Some(vec![42; 16]);
        it.thief.sign(&mut it.bundle, note);
    });
}

#[test]
fn attack_08_the_tail_is_cut_inside_of_a_batch() {
    check(&whole(), &tampered(Integrity, "the last one, is not a SEAL"), |it| {
        it.forged(|forge| {
            let announced = forge.rows.pop().map(|_| forge.rows.len() - 1).unwrap();
            assert_eq!(forge.rows[announced].0.kind.name(), "EXPORT");
            announced
        });
    });
}

#[test]
fn attack_09_the_head_is_cut_and_called_retention() {
    check(&slice(), &tampered(Head, "and no record says that they were removed"), |it| {
        let mut note = it.bundle.signed().export;
        note.min_index = note.first;
        it.thief.sign(&mut it.bundle, note);
        it.bundle.0.remove("proofs/0.tlog-proof");
        it.thief.relist(&mut it.bundle);
    });
}

#[test]
fn attack_10_two_adjacent_checkpoints_are_deleted() {
    let answer = said(Integrity, "is missing", "is missing");
    check(&whole(), &answer, |it| {
        it.bundle.0.retain(|path, _| !path.starts_with("checkpoints/"));
        it.thief.relist(&mut it.bundle);
    });
}

#[test]
fn attack_12_two_auditors_are_shown_two_ledgers() {
    check(&whole(), &tampered(Tail, "forked"), |it| {
        let shown = String::from_utf8(it.bundle.0["checkpoint"].clone()).unwrap();
        it.brought.last_seen = Some(shown);
        let recent = it.recent();
        it.forged(|forge| {
            forge.rows[recent].0.flags ^= 2;
            recent + 1
        });
    });
    // The one that was seen is of a size in the middle.
    for request in [whole(), excerpt()] {
        check(&request, &tampered(Tail, "forked"), |it| {
            let signed = SignedCheckpoint::parse(&it.bundle.0["checkpoint"]).unwrap();
            let checkpoint = auditor_common::checkpoint::Checkpoint { size: 100, root: [7; 32], ..signed.checkpoint };
            let (log, epoch) = (&it.thief.log, &it.thief.epoch);
            let (by_log, by_epoch) = (log.sign(&checkpoint.text()), epoch.sign(&checkpoint.text()));
            let signed = SignedCheckpoint::new(
                checkpoint,
                it.thief.number,
                (log.verifier(), &by_log),
                (epoch.verifier(), &by_epoch),
            );
            it.brought.last_seen = Some(signed.to_string());
        });
    }
}

#[test]
fn attack_13_the_keys_inside_of_the_export_are_others() {
    let words = "it is signed by another key than the one that was pinned";
    let answer = Answer { code: exit::UNKNOWN, question: None, words: (words, words) };
    check(&whole(), &answer, |it| it.bundle = Scene::new(&whole()).bundle);
    check(&whole(), &answer, |it| {
        let theirs = Scene::new(&whole());
        it.file("keys/root.vkey", |file| *file = theirs.bundle.0["keys/root.vkey"].clone());
        it.file("node", |file| *file = theirs.bundle.0["node"].clone());
    });
}

#[test]
fn attack_14_a_genuine_proof_is_of_another_record() {
    let proof = |it: &mut Scene, seq: u64| {
        let signed = SignedCheckpoint::parse(&it.bundle.0["checkpoint"]).unwrap();
        let mut reader = it.ledger.store.reader();
        let mut tree = StoreTree::new(reader.clone()).unwrap();
        export::prove(&mut reader, &mut tree, seq, &signed).unwrap()
    };
    check(&slice(), &tampered(Integrity, "proves something else than its name says"), |it| {
        let other = proof(it, 1).to_string();
        it.file("proofs/0.tlog-proof", |file| *file = other.into_bytes());
    });
    let holds = said(Integrity, "the proof of record 0 holds record 1", "is not the one that it says it is");
    check(&slice(), &holds, |it| {
        let (mut genuine, other) = (proof(it, 0), proof(it, 1));
        genuine.row = other.row;
        it.file("proofs/0.tlog-proof", |file| *file = genuine.to_string().into_bytes());
    });
}

#[test]
fn attack_15_a_tile_or_a_sibling_is_forged() {
    for (path, at) in [("tile/0/000", 40), ("tile/1/000.p/1", 0)] {
        let answer = tampered(Integrity, "has other hashes than the entries");
        check(&whole(), &answer, |it| it.file(path, |file| file[at] ^= 1));
    }
    // Of a stretch that begins later nobody could tell whether they are true: they are not taken.
    let answer = said(Integrity, "belongs to nothing in this export", "belongs to nothing in this export");
    check(&slice(), &answer, |it| {
        it.bundle.0.insert("tile/1/000.p/1".to_owned(), vec![7; 32]);
        it.thief.relist(&mut it.bundle);
    });
    let foreign = |it: &mut Scene| {
        // A leaf of somebody else, of which there is no row.
        it.file("tile/0/000", |file| file[32 * 40 + 1] ^= 1);
    };
    let request = Request { instance: Some("beta".to_owned()), ..Request::default() };
    check(&request, &said(Integrity, "record", "record"), foreign);
    let hash = |file: &mut Vec<u8>| file[0] ^= 1;
    check(&slice(), &said(Integrity, "are not those that were sealed", "the tree that was signed"), |it| {
        it.file("left", hash);
    });
}

#[test]
fn attack_16_there_is_something_beside_the_proof() {
    check(&whole(), &said(Integrity, "a file that none has", "is not one that was signed"), |it| {
        it.bundle.0.insert("readme".to_owned(), b"all is well".to_vec());
    });
    check(&whole(), &said(Integrity, "belongs to nothing", "belongs to nothing"), |it| {
        it.bundle.0.insert("bodies/077".to_owned(), b"all is well".to_vec());
        it.thief.relist(&mut it.bundle);
    });
    check(&whole(), &said(Integrity, "there is more in", "have another number of records"), |it| {
        let last = it.bundle.0.keys().rfind(|path| path.starts_with("bodies/")).unwrap().clone();
        it.file(&last, |file| file.extend([0xFF, 0xFF, 0xFF, 0xFF]));
    });
}

#[test]
fn attack_17_a_filter_hides_records() {
    let hide = |which: fn(&[usize]) -> usize| {
        move |it: &mut Scene| {
            let mut at = Vec::new();
            let file = it.bundle.0["own/000"].clone();
            let mut from = 0;
            while from < file.len() {
                at.push(from);
                let len = u32::from_be_bytes(file[from + 161..from + 165].try_into().unwrap());
                from += 165 + 16 + len as usize;
            }
            let events: Vec<usize> = at.iter().copied().filter(|from| file[from + 1 + 4] == 2).collect();
            let hidden = which(&events);
            let end = at.iter().copied().find(|from| *from > hidden).unwrap_or(file.len());
            it.file("own/000", |file| drop(file.drain(hidden..end)));
        }
    };
    let answer =
        said(Integrity, "does not follow the one before it in its stream", "does not follow the one before it");
    check(&excerpt(), &answer, hide(|events| events[3]));
    // The last ones of the instance, after which no other of it comes: where its stream ends the last SEAL knows.
    let short = Request { to_wall_ns: Some(second(0)), ..excerpt() };
    let missing = tampered(Integrity, "there are records of the stream that are not here");
    check(&short, &missing, hide(|events| *events.last().unwrap()));
}

#[test]
fn attack_18_the_clock_is_set_back_or_forward_and_back() {
    let shift = |back: i64| {
        move |it: &mut Scene| {
            let recent = it.recent();
            it.forged(|forge| {
                for (entry, ..) in &mut forge.rows[recent..recent + 3] {
                    entry.wall_ns = entry.wall_ns.wrapping_add_signed(back * 1_000_000_000);
                }
                recent
            });
        }
    };
    check(&whole(), &tampered(Time, "the wall clock goes back, and no record says that it was set"), shift(-5));
    check(&whole(), &tampered(Time, "the wall clock jumps, and no record says that it was set"), shift(5));
    // All of an epoch, long before it began: its note says when it did.
    check(&whole(), &tampered(Time, "the wall clock goes back"), |it| {
        let recent = it.recent() - 5;
        it.forged(|forge| {
            forge.rows[recent..].iter_mut().for_each(|(entry, ..)| entry.wall_ns -= 3_600_000_000_000);
            recent
        });
    });
}

#[test]
fn attack_19_another_nodes_records_are_replayed() {
    check(&whole(), &tampered(Integrity, "belongs to another ledger"), |it| {
        let theirs = Forge::of(&Scene::new(&whole()).bundle);
        it.rows(|forge| forge.rows.splice(0..100, theirs.rows[0..100].to_vec()).for_each(drop));
    });
}

#[test]
fn attack_20_a_node_is_passed_as_a_leaf() {
    // The preimage of an inner node has 65 bytes; an entry has 160, and another first byte when it is hashed.
    let answer = said(Integrity, "only 64 bytes", "only 64 bytes");
    check(&slice(), &answer, |it| {
        let signed = SignedCheckpoint::parse(&it.bundle.0["checkpoint"]).unwrap();
        let mut reader = it.ledger.store.reader();
        let mut tree = StoreTree::new(reader.clone()).unwrap();
        let mut proof = export::prove(&mut reader, &mut tree, 0, &signed).unwrap();
        let leaf = Entry::parse(proof.row[..160].try_into().unwrap()).unwrap().leaf();
        proof.row = [leaf, proof.hashes.remove(0)].concat();
        it.file("proofs/0.tlog-proof", |file| *file = proof.to_string().into_bytes());
    });
}

#[test]
fn attack_21_an_odd_leaf_is_counted_twice() {
    let answer = said(Integrity, "are not those that were sealed", "are not those of the tree that was signed");
    check(&whole(), &answer, |it| {
        // The same root, of a tree that is said to have one leaf more: the last one again.
        let forge = Forge::of(&it.bundle);
        let size = forge.rows.len() as u64;
        let checkpoint = SignedCheckpoint::parse(&it.bundle.0["checkpoint"]).unwrap().checkpoint;
        let more = auditor_common::checkpoint::Checkpoint { size: size + 1, ..checkpoint };
        let (log, epoch) = (&it.thief.log, &it.thief.epoch);
        let (by_log, by_epoch) = (log.sign(&more.text()), epoch.sign(&more.text()));
        let signed =
            SignedCheckpoint::new(more, it.thief.number, (log.verifier(), &by_log), (epoch.verifier(), &by_epoch));
        it.bundle.0.insert("checkpoint".to_owned(), signed.to_string().into_bytes());
        it.bundle.0.insert("right".to_owned(), forge.rows.last().unwrap().0.leaf().to_vec());
        it.bundle.0.retain(|path, _| !path.starts_with("tile/") || path.contains("entries"));
        let mut note = it.bundle.signed().export;
        note.size = size + 1;
        it.thief.sign(&mut it.bundle, note);
        it.thief.relist(&mut it.bundle);
    });
}

#[test]
fn attack_22_a_key_is_weak_or_a_signature_malleable() {
    assert!(VerifierKey::new("a/b/c/root", &[0; 32]).is_err() && VerifierKey::new("a/b/c/root", &[1; 32]).is_ok());
    let weak = said(Integrity, "the key is weak", "the key is weak");
    // Orders 4 and 8. The id is right.
    let of_order_8 = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
    for point in [vec![0; 32], unhex_any(of_order_8).unwrap()] {
        check(&whole(), &weak, |it| {
            let name = "audit.example/cluster-a/node-7/root";
            let id = auditor_common::note::hex(&key_id(name, point.as_slice().try_into().unwrap()));
            let key = auditor_common::note::base64(&[[1].as_slice(), &point].concat());
            it.file("keys/root.vkey", |file| *file = format!("{name}+{id}+{key}\n").into_bytes());
        });
    }
    // S + L instead of S: the same equation holds.
    let wrong = said(Integrity, "is wrong", "is wrong");
    check(&whole(), &wrong, |it| {
        it.text("checkpoint", |text| {
            let line = text.lines().find(|line| line.starts_with(&format!("— {ORIGIN} "))).unwrap();
            let encoded = line.rsplit_once(' ').unwrap().1;
            let data = malleated(&auditor_common::note::unbase64(encoded).unwrap());
            text.replace(encoded, &auditor_common::note::base64(&data))
        });
    });
}

#[test]
fn attack_23_a_note_has_two_empty_lines_or_control_bytes() {
    let bad = said(Integrity, "the checkpoint: ", "checkpoint: ");
    check(&whole(), &bad, |it| it.text("checkpoint", |text| text.replacen("\n\n", "\n\n\n", 1)));
    check(&whole(), &bad, |it| it.text("checkpoint", |text| text.replace('\n', "\r\n")));
    check(&whole(), &bad, |it| it.text("checkpoint", |text| text.replacen('\n', "\u{85}\n", 1)));
    check(&whole(), &bad, |it| it.text("checkpoint", |text| text.replacen("— ", "- ", 1)));
    check(&whole(), &bad, |it| {
        it.text("checkpoint", |text| format!("{text}— {} AAAAAAAA\n", "x".repeat(256)));
    });
}

#[test]
fn attack_24_an_epoch_note_is_shown_as_a_checkpoint() {
    check(&whole(), &said(Integrity, "the checkpoint: ", "checkpoint: "), |it| {
        let epochs = String::from_utf8(it.bundle.0["epochs"].clone()).unwrap();
        let first = format!("nal/v1/epoch\n{}", epochs.split("nal/v1/epoch\n").nth(1).unwrap());
        it.text("checkpoint", |_| first);
    });
}

#[test]
fn attack_25_a_hook_is_detached_or_the_daemon_stopped_for_a_while() {
    let gap = |words| Answer { code: exit::GAPS, question: None, words: (words, words) };
    check(&whole(), &gap("the hook connect4 is no longer attached"), |it| {
        let mut input = it.ledger.input();
        input.hooks[0].active = false;
        it.ledger.store.seal(input, it.ledger.now).unwrap();
        it.ledger.note_sealed();
        it.bundle = it.export(&whole());
    });
    check(&whole(), &gap("nobody was looking between two runs"), |it| {
        let dir = it.dir.path().to_owned();
        let scene = std::mem::replace(it, Scene::new(&whole()));
        scene.ledger.stop().unwrap();
        it.ledger = Ledger::open(&dir, &options(60)).unwrap();
        it.brought = scene.brought;
        it.bundle = Bundle::of(&dir, &mut it.ledger, &whole());
        it.dir = scene.dir;
    });
}

#[test]
fn attack_26_the_ring_is_flooded() {
    let lost = |it: &mut Scene, declared: Option<u64>| {
        let loss = Loss {
            gap: 1,
            count: Some(500),
            from_wall_ns: None,
            until_wall_ns: None,
            detail: "the ring was full".to_owned(),
        };
        it.ledger.append(&Body::Loss(loss)).unwrap();
        if let Some(declared) = declared {
            let mut input = it.ledger.input();
            input.cpus[0].last_kseq += 500;
            input.cpus[0].lost = vec![(1, declared)];
            it.ledger.store.seal(input, it.ledger.now).unwrap();
        }
        it.bundle = it.export(&whole());
    };
    let gap = Answer { code: exit::GAPS, question: None, words: ("ring-full", "ring-full") };
    check(&whole(), &gap, |it| lost(it, None));
    let hidden = said(Coverage, "were received or lost", "numbered other samples than it accounts for");
    check(&whole(), &hidden, |it| lost(it, Some(3)));
}

#[test]
fn attack_28_a_bit_flips() {
    // The list knows the file; under a list that was signed over it, the very record is named.
    check(&whole(), &said(Integrity, "is not the one in the list", "is not the one that was signed"), |it| {
        it.bundle.file_mut("bodies/000")[700] ^= 8;
    });
    check(&whole(), &tampered(Integrity, "record 77: its body is not the one that was sealed"), |it| {
        it.rows(|forge| forge.rows[77].2[0] ^= 8);
    });
}

#[test]
fn attack_29_the_store_fell_back_behind_what_it_had_released() {
    let seen = said(Tail, "the checkpoint that was seen before is of", "the checkpoint that was seen before is of");
    check(&whole(), &seen, restored);
}

/// The segment of a moment before is put back under a head file that knows better: the next start begins another ledger.
fn restored(it: &mut Scene) {
    let dir = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(dir.path(), &options(0)).unwrap();
    flows(&mut ledger);
    let old = auditor_tests::ledger::contents(&dir.path().join("0001"));
    flows(&mut ledger);
    let seen = ledger.store.reader().checkpoint().unwrap().unwrap().to_string();
    let root = ledger.opened.root.clone();
    drop(ledger);
    for (path, content) in old {
        std::fs::write(path, content).unwrap();
    }
    let mut next = Ledger::open(dir.path(), &options(50)).unwrap();
    assert_eq!(next.opened.recovered.as_ref().and_then(|recover| recover.missing), Some(15));
    it.bundle = Bundle::of(dir.path(), &mut next, &whole());
    it.brought = Brought { last_seen: Some(seen), ..Brought::key(&root) };
}

#[test]
fn attack_30_two_writers_fork_the_chain() {
    check(&whole(), &tampered(Tail, "forked"), |it| {
        // A second one on the same folder is refused.
        let second = Store::open(it.dir.path(), &options(30));
        assert!(matches!(second, Err(StoreError::Busy { .. })), "{second:?}");
        // On a copy of it, two ledgers of one name come to be: whoever has seen the one does not believe the other.
        let copied = tempfile::tempdir().unwrap();
        auditor_tests::ledger::copy(it.dir.path(), copied.path());
        let mut other = Ledger::open(copied.path(), &options(30)).unwrap();
        let theirs = Bundle::of(copied.path(), &mut other, &whole());
        it.brought.last_seen = Some(String::from_utf8(theirs.0["checkpoint"].clone()).unwrap());
        it.ledger.wait(5);
        while SignedCheckpoint::parse(&it.bundle.0["checkpoint"]).unwrap().checkpoint.size
            < SignedCheckpoint::parse(&theirs.0["checkpoint"]).unwrap().checkpoint.size
        {
            flows(&mut it.ledger);
            it.bundle = it.export(&whole());
        }
    });
}

#[test]
fn attack_32_a_length_is_huge() {
    let mut both = match Both::start() {
        Ok(both) => both,
        Err(reason) => return auditor_tests::skip(&reason),
    };
    let scene = Scene::new(&whole());
    let cut = |length: u64| {
        let mut archive = auditor_common::tar::header("EXPORT", length).unwrap().to_vec();
        archive.extend([0; 4096]);
        archive
    };
    for archive in [cut((1 << 33) - 1), cut(1 << 24), cut(9 << 20)] {
        let heard = both.archive(&archive, &scene.brought).unwrap();
        assert_eq!(heard.said.exit, exit::TAMPERED, "{}", heard.rust);
        assert!(heard.rust.contains("cut off") && heard.python.contains("cut off"), "{} {}", heard.rust, heard.python);
    }
    for length in [16 << 20 | 1, u64::MAX] {
        let answer = said(Integrity, "the list says", "has not the length that was signed");
        check(&whole(), &answer, |it| {
            let mut note = it.bundle.signed().export;
            note.files[0].len = length;
            it.thief.sign(&mut it.bundle, note);
        });
    }
    check(&whole(), &said(Integrity, "is malformed in its file", "bodies/000: "), |it| {
        it.file("bodies/000", |file| file[..4].copy_from_slice(&[0x7F; 4]));
    });
}

/// Numbers of the attacks that a file of tests makes.
fn made_in(source: &str) -> Vec<usize> {
    let names = source.lines().filter_map(|line| line.strip_prefix("fn attack_")?.get(..2)?.parse().ok());
    names.collect()
}

#[test]
fn the_table_of_attacks_is_that_of_the_scripts() {
    let design = std::fs::read_to_string(auditor_tests::checkout().join("auditor-userspace/DESIGN.md")).unwrap();
    let table = design.split("## Attacks").nth(1).expect("the table of attacks");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.strip_prefix("| ").is_some_and(|line| line.starts_with(|it: char| it.is_ascii_digit())))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let numbered: Vec<String> = (1..=32).map(|number: usize| number.to_string()).collect();
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), numbered);
    let of = |wanted: &str| -> Vec<usize> {
        rows.iter().filter(|row| row[3].contains(wanted)).map(|row| row[0].parse().unwrap()).collect()
    };
    assert_eq!(of("needs a witness"), [11, 27, 31]);
    assert_eq!(of("export"), made_in(include_str!("attacks.rs")));
    assert_eq!(of("store"), made_in(include_str!("attacks_on_store.rs")));
    assert_eq!(of("export").len(), 29);
}

/// What stands for the signature of the stream in an entry: nobody moves a record of the ledger's own out of sight.
#[test]
fn a_record_of_the_ledgers_own_cannot_be_hidden_in_another_stream() {
    check(&whole(), &said(Integrity, "does not follow", "it is in a stream that it cannot be in"), |it| {
        let recent = it.recent();
        it.forged(|forge| {
            let seal = *forge.of_type("SEAL").iter().find(|seq| **seq > recent).unwrap();
            assert_eq!(forge.rows[seal].0.stream_tag, CONTROL);
            forge.rows[seal].0.stream_tag = [7; 16];
            seal
        });
    });
}

/// The keys of today sign whatever they are asked to: this holds for what they cannot take back.
#[test]
fn the_thief_has_the_keys_that_he_is_said_to_have() {
    let scene = Scene::new(&whole());
    let paths = auditor_userspace::key::KeyPaths::new(scene.dir.path());
    let (log, epoch) =
        (Signer::load(&paths.log()).unwrap(), Signer::load(&paths.epoch(1, scene.thief.number)).unwrap());
    assert_eq!(epoch.verifier(), scene.thief.epoch.verifier());
    assert_eq!(log.verifier().public(), scene.thief.log.verifier().public());
    for erased in 0..scene.thief.number {
        assert!(!Path::new(&paths.epoch(1, erased)).exists(), "the key of epoch {erased} is still there");
    }
}
