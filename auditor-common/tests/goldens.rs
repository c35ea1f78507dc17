//! The bytes of the ledger as text, read by Rust and Python alike: `tests/vectors/*.txt`, lines `name | hex | json`.
//!
//! `UPDATE_VECTORS=1` writes them anew; a person reads the difference.
#![cfg(feature = "user")]

use std::fmt::Write as _;
use std::path::Path;

use auditor_common::body::*;
use auditor_common::checkpoint::{Checkpoint, SignedCheckpoint};
use auditor_common::endpoint::Endpoint;
use auditor_common::epoch::{EpochNote, SignedEpoch, SignedNode};
use auditor_common::merkle::{self, CompactRange};
use auditor_common::note::{Note, SignatureLine, VerifierKey, hex};
use auditor_common::origin::Origin;
use auditor_common::record::{Entry, EntryType, NO_RECORD, Row, commit, genesis_prev, to_row};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Map, Value, json};

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "odd: {text}");
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// Compares with the golden file of this name, or writes it.
fn golden(name: &str, head: &str, lines: &[(String, Vec<u8>, Value)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join(name);
    let mut text = format!("# {head}\n");
    for (name, bytes, json) in lines {
        let _ = writeln!(text, "{name} | {} | {json}", hex(bytes));
    }
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    for (ours, theirs) in text.lines().zip(kept.lines()) {
        assert_eq!(ours, theirs, "{name}");
    }
    assert_eq!(text.lines().count(), kept.lines().count(), "{name}");
}

/// RFC 8032 section 7.1, tests 1, 2 and 3: the root's, the log's and the epoch's key.
const SEEDS: [&str; 3] = [
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
];
const NODE: &str = "audit.example/cluster-a/node-7";

fn key(which: usize) -> SigningKey {
    SigningKey::from_bytes(&unhex(SEEDS[which]).try_into().unwrap())
}

fn vkey(which: usize, name: &str) -> VerifierKey {
    VerifierKey::new(name, key(which).verifying_key().as_bytes()).unwrap()
}

fn origin() -> Origin {
    Origin::new(NODE, 1).unwrap()
}

fn entry_json(row: &[u8]) -> Value {
    let row = Row::parse(row).unwrap();
    let entry = row.entry;
    json!({
        "type": entry.kind as u8,
        "flags": entry.flags,
        "schema": entry.schema,
        "seq": entry.seq,
        "wall_ns": entry.wall_ns,
        "boot_ns": entry.boot_ns,
        "run": entry.run,
        "epoch": entry.epoch,
        "class": entry.class,
        "body_len": entry.body_len,
        "stream_prev": entry.stream_prev,
        "stream_n": entry.stream_n,
        "stream_tag": hex(&entry.stream_tag),
        "log_tag": hex(&entry.log_tag),
        "prev": hex(&entry.prev),
        "body_commit": hex(&entry.body_commit),
        "salt": hex(row.salt),
        "body": hex(row.body),
        "leaf": hex(&row.leaf()),
    })
}

/// The three records of the known-answer vector. Their bodies are stand-ins: a verifier reads them below the schema.
fn known_rows() -> Vec<Vec<u8>> {
    let log_tag = origin().tag(key(0).verifying_key().as_bytes());
    let records = [
        (EntryType::Genesis, 0, "a0", 0x00, [0; 16]),
        (EntryType::Event, 7, "a10102", 0x11, [0xaa; 16]),
        (EntryType::Seal, 0, "a0", 0x22, [0; 16]),
    ];
    let mut prev = genesis_prev(&log_tag);
    let mut rows = Vec::new();
    for (seq, (kind, class, body, salt, stream_tag)) in records.into_iter().enumerate() {
        let (seq, body, salt) = (seq as u64, unhex(body), [salt; 16]);
        let entry = Entry {
            kind,
            flags: 0,
            schema: 1,
            seq,
            wall_ns: 1_767_225_600 * 1_000_000_000 + seq,
            boot_ns: 1000 + seq,
            run: 1,
            epoch: 0,
            class,
            body_len: body.len() as u32,
            stream_prev: NO_RECORD,
            stream_n: 0,
            stream_tag,
            log_tag,
            prev,
            body_commit: commit(&salt, &body),
        };
        prev = entry.leaf();
        rows.push(to_row(&entry, &salt, &body));
    }
    rows
}

fn known_checkpoint() -> SignedCheckpoint {
    let mut range = CompactRange::new();
    for row in known_rows() {
        range.append(Row::parse(&row).unwrap().leaf());
    }
    let checkpoint = Checkpoint { origin: origin(), size: 3, root: range.root() };
    let sign = |which: usize| key(which).sign(checkpoint.text().as_bytes()).to_bytes();
    let (log, epoch) = (vkey(1, &origin().to_string()), vkey(2, &origin().epoch_name(0)));
    SignedCheckpoint::new(checkpoint.clone(), 0, (&log, &sign(1)), (&epoch, &sign(2)))
}

#[test]
fn the_known_answers_come_out() {
    let rows = known_rows();
    let leaves: Vec<String> = rows.iter().map(|row| hex(&Row::parse(row).unwrap().leaf())).collect();
    let tag = origin().tag(key(0).verifying_key().as_bytes());
    assert_eq!(hex(&tag), "f5496eb5329466ccc20693660c37865f");
    assert_eq!(hex(&genesis_prev(&tag)), "e6442a224e6e93b956dbd1423c60a008ade82be84525a5faa46bbb78eaac2c26");
    assert_eq!(
        hex(&rows[1][..160]),
        "4e414c3102000001000000000000000118867251edfa000100000000000003e900000001000000000000000700000003\
         ffffffffffffffff0000000000000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaf5496eb5329466ccc20693660c37865f\
         cd6ea68c5b2b39d6269b93a543136b113fcc5cb5d77a0d1b91badc0fdcb95febe80fd091353a44a0be7f058a7762dd918c88550e4928\
         2126609812269a603e1c"
    );
    assert_eq!(
        leaves,
        [
            "cd6ea68c5b2b39d6269b93a543136b113fcc5cb5d77a0d1b91badc0fdcb95feb",
            "ee3c5056a3a142a8933879a9064a25ed1303d663a10a9df0897ad109307f746a",
            "5377d43a33d0f58e0273128b2a2f54b4d070dfdec7b948e221d749477d7140a9",
        ]
    );
    let signed = known_checkpoint();
    assert_eq!(hex(&signed.checkpoint.root), "28f9159bf11b8b65dc7378c6eb8022d1902a696d318b417265dfc2935067e34f");
    let (log, epoch) = (vkey(1, &origin().to_string()), vkey(2, &origin().epoch_name(0)));
    assert_eq!(
        log.to_string(),
        "audit.example/cluster-a/node-7/0001+b452b5e4+AT1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM"
    );
    assert_eq!(
        epoch.to_string(),
        "audit.example/cluster-a/node-7/0001/e0+b1032d22+AfxRzY5iGKGjjaR+0AIw8FgIFu0TujMDrF3rkRVIkIAl"
    );
    let expected = "\
— audit.example/cluster-a/node-7/0001 tFK15GZXWfohB00fnoY8ruZrnYdkIndwRKgpi8uICBUQMqbtbr5CBFFSLpvDMxMlXFM1eDSBIrdXhdYtr80pApD7eAE=
— audit.example/cluster-a/node-7/0001/e0 sQMtIqCsdAZf+ae9CNZEaeyz5pbdHRHzEg0C8pxYaVzTh5UODMJBmXqHPz4W88RnA+y73N0Ln5hWKPMpt4i2xgtXAgc=
";
    assert_eq!(signed.to_string(), format!("{}\n{expected}", signed.checkpoint.text()));
    assert_eq!(signed.verify(&log, &epoch).map(|checkpoint| checkpoint.size), Ok(3));
}

#[test]
fn entries_have_their_golden_bytes() {
    let mut lines: Vec<(String, Vec<u8>, Value)> = known_rows()
        .into_iter()
        .enumerate()
        .map(|(seq, row)| (format!("known answer {seq}"), row.clone(), entry_json(&row)))
        .collect();
    let body = Body::Loss(loss()).encode();
    let entry = Entry {
        kind: EntryType::Loss,
        flags: 3,
        schema: SCHEMA,
        seq: 0x0102_0304_0506_0708,
        wall_ns: 0x1112_1314_1516_1718,
        boot_ns: 0x2122_2324_2526_2728,
        run: 0x3132_3334,
        epoch: 0x4142_4344,
        class: 0,
        body_len: body.len() as u32,
        stream_prev: 0x5152_5354_5556_5758,
        stream_n: 0x6162_6364_6566_6768,
        stream_tag: std::array::from_fn(|i| 0x70 + i as u8),
        log_tag: std::array::from_fn(|i| 0x80 + i as u8),
        prev: std::array::from_fn(|i| 0x90 + i as u8),
        body_commit: commit(&[0x55; 16], &body),
    };
    let row = to_row(&entry, &[0x55; 16], &body);
    lines.push(("every field another".to_owned(), row.clone(), entry_json(&row)));
    for (name, row, _) in &lines {
        let parsed = Row::parse(row).unwrap();
        assert!(parsed.fits(), "{name}");
        assert_eq!(parsed.entry.to_bytes(), *parsed.entry_bytes, "{name}");
        assert_eq!(parsed.entry.leaf(), parsed.leaf(), "{name}");
    }
    golden("entries.txt", "name | row: entry, salt, body | fields and leaf hash", &lines);
}

fn process() -> Process {
    Process {
        tgid: 4242,
        tid: 4250,
        start_ns: 123_456_789_012,
        comm: Some("odoo".to_owned()),
        executable: Some("/usr/bin/python3.11".to_owned()),
        arguments: Some(7),
        cgroup: 8241,
        parent: Some(4000),
    }
}

fn attribution() -> Attribution {
    Attribution {
        label: Label::Matched,
        module: Some("payment_vendor".to_owned()),
        chain: vec!["payment_vendor".to_owned(), "sale".to_owned()],
        site: Some("models/payment.py:93 _send".to_owned()),
        origin: Some("route /payment/<id>".to_owned()),
        database: Some("prod".to_owned()),
        reason: "cookie".to_owned(),
        contradictions: vec![1, 200],
    }
}

fn sample() -> Sample {
    Sample { boot_ns: 9_000_000_000_000, cpu: Some(3), kseq: Some(70_000) }
}

fn loss() -> Loss {
    Loss {
        gap: 4,
        count: None,
        from_wall_ns: Some(1_767_225_600_000_000_000),
        until_wall_ns: Some(1_767_225_660_000_000_000),
        detail: "the daemon ended without saying so – nobody was looking".to_owned(),
    }
}

fn hooks() -> Vec<Hook> {
    vec![
        Hook { name: "connect4".to_owned(), tag: vec![1, 2, 3, 4, 5, 6, 7, 8], active: true },
        Hook { name: "sock_send_length".to_owned(), tag: vec![], active: false },
    ]
}

fn flow_opened() -> FlowOpened {
    FlowOpened {
        sample: sample(),
        inbound: false,
        protocol: 6,
        remote: Endpoint::v4([192, 0, 2, 7], 443),
        local: Some(Endpoint::v4([127, 0, 0, 1], 50_000)),
        cookie: 0x1_0000_0001,
        process: process(),
        attribution: attribution(),
        opened_before: false,
        netns: 4_026_531_840,
        instance: "systemd odoo.service".to_owned(),
        names: Vec::new(),
    }
}

fn guard(what: Guarded) -> Guard {
    Guard {
        sample: sample(),
        what,
        family: Some(10),
        protocol: Some(58),
        cookie: Some(0x1_0000_0001),
        netns: Some(4_026_531_840),
        opened_before: what == Guarded::RawSocket,
        target: None,
        process: process(),
        attribution: attribution(),
        instance: "odoo".to_owned(),
    }
}

fn names() -> Vec<Named> {
    let named = |name: &str, source| Named { name: name.to_owned(), source };
    vec![named("www.example.com", NameSource::Dns), named("www.example.com", NameSource::Sni)]
}

fn traffic(end: Option<FlowEnd>) -> FlowTraffic {
    FlowTraffic {
        sample: sample(),
        flow: 17,
        end,
        error: end.map(|_| 104),
        sent: Some(70_000),
        received: None,
        duration_ns: 5_000_000_000,
        handshake_ns: Some(250_000),
        names: Vec::new(),
    }
}

fn bodies() -> Vec<(&'static str, Body)> {
    let nobody = Attribution { reason: "no-claim".to_owned(), ..Attribution::default() };
    let no_sample = Sample { boot_ns: 23, cpu: None, kseq: None };
    let call = Call {
        sample: no_sample,
        flow: Some(17),
        cookie: 9,
        channel: "http".to_owned(),
        method: Some("POST".to_owned()),
        attribution: attribution(),
        process: process(),
        instance: "odoo".to_owned(),
    };
    let cpu = |cpu, last_kseq| CpuMark { cpu, last_kseq, received: 900, lost: vec![(1, 99), (2, 1)] };
    let seal = Seal {
        previous_checkpoint: [0x11; 32],
        previous_size: 100,
        min_index: 0,
        captured: 1800,
        lost: vec![(1, 198), (2, 2), (7, 3)],
        cpus: vec![cpu(0, 1000), cpu(1, 4_294_967_296)],
        hooks: hooks(),
        clock: (true, 500_000),
        streams: merkle::empty(),
        witnessed: vec![],
        binary: [0x22; 32],
        config: [0x33; 32],
        end_of_epoch: false,
    };
    let recover = Recover {
        origin: "audit.example/cluster-a/node-7/0001".to_owned(),
        found_size: Some(100),
        found_root: Some([0x44; 32]),
        known: Some("a signed note\n".to_owned()),
        missing: Some(3),
        cause: "3 signed records are missing: cut, or lost by the disk".to_owned(),
    };
    let prune = Prune {
        min_index: 512,
        root: [0x55; 32],
        range: vec![[0x66; 32]],
        removed: 512,
        oldest_wall_ns: 1,
        newest_wall_ns: 2,
        policy: 3,
        archive: None,
        actor: "schedule".to_owned(),
        streams: vec![StreamEnd { tag: [0x77; 16], last_n: 6, last_seq: 500 }],
    };
    let decision = PolicyRecord {
        number: 3,
        step: Step::Waiting,
        instance: "odoo".to_owned(),
        actor: Actor::Instance { tgid: 4242 },
        setting: "retention_days".to_owned(),
        value: "30".to_owned(),
        effect: Effect::Loosens,
        reason: "it loosens the recording: the host has to accept it".to_owned(),
    };
    let export = Export { id: [0x88; 16], nonce: None, first: 0, last: 99, filter: None, actor: "root (0)".to_owned() };
    let start = RunStart {
        version: "0.1.0".to_owned(),
        kernel: "6.1.0-38-amd64".to_owned(),
        boot_id: [0x99; 16],
        binary: [0x22; 32],
        config: [0x33; 32],
        scope: "odoo".to_owned(),
        previous: "interrupted".to_owned(),
        hooks: hooks(),
    };
    vec![
        ("genesis", Body::Genesis { version: "0.1.0".to_owned(), root: [1; 32], log: [2; 32] }),
        ("flow opened", Body::FlowOpened(flow_opened())),
        (
            "flow opened, IPv6, inbound, nobody says",
            Body::FlowOpened(FlowOpened {
                inbound: true,
                remote: Endpoint::v6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], 0),
                local: None,
                process: Process { comm: None, executable: None, arguments: None, parent: None, ..process() },
                attribution: nobody,
                opened_before: true,
                ..flow_opened()
            }),
        ),
        ("flow ended", Body::FlowTraffic(traffic(Some(FlowEnd::Error)))),
        ("flow interim", Body::FlowTraffic(traffic(None))),
        ("flow opened to a name", Body::FlowOpened(FlowOpened { names: names(), ..flow_opened() })),
        ("flow that has got a name", Body::FlowTraffic(FlowTraffic { names: names(), ..traffic(None) })),
        ("call", Body::Call(call.clone())),
        ("call on no known flow", Body::Call(Call { flow: None, method: None, ..call })),
        (
            "process",
            Body::Process(ProcessRecord {
                sample: sample(),
                change: ProcessChange::Exited,
                process: process(),
                code: Some(256),
                attribution: attribution(),
                instance: "odoo".to_owned(),
            }),
        ),
        ("guard, a raw socket", Body::Guard(guard(Guarded::RawSocket))),
        (
            "guard, another process",
            Body::Guard(Guard {
                family: None,
                protocol: None,
                cookie: None,
                netns: None,
                target: Some(Process { executable: None, arguments: None, ..process() }),
                ..guard(Guarded::Ptrace)
            }),
        ),
        ("seal", Body::Seal(seal.clone())),
        ("seal, the first", Body::Seal(Seal { cpus: vec![], hooks: vec![], lost: vec![], end_of_epoch: true, ..seal })),
        ("loss", Body::Loss(loss())),
        (
            "loss by policy",
            Body::Unrecorded(Unrecorded {
                instance: "odoo".to_owned(),
                from_wall_ns: 1,
                until_wall_ns: 60_000_000_001,
                flows: 12,
                calls: 30,
                sent: 517,
                received: 4096,
            }),
        ),
        ("run start", Body::RunStart(start)),
        ("run stop", Body::RunStop(RunStop { reason: "signal".to_owned() })),
        ("ack", Body::Ack(Ack { record: 1, actor: "root (0)".to_owned(), note: "disk replaced".to_owned() })),
        ("check", Body::Checked(Checked { size: 100, exit: 0, summary: "all proven".to_owned() })),
        (
            "egress",
            Body::Egress(Egress {
                protocol: 17,
                remote: Endpoint::v4([192, 0, 2, 7], 53),
                flows: 2,
                configured: false,
            }),
        ),
        ("rotate", Body::Rotate(Rotate { epoch: 1, key: [0xaa; 32], reason: "hour".to_owned() })),
        (
            "policy",
            Body::Policy(Policy {
                keep_ns: 15_552_000_000_000_000,
                max_bytes: 20 << 30,
                min_ns: 2_592_000_000_000_000,
                actor: "default".to_owned(),
            }),
        ),
        ("policy decision", Body::Decision(decision.clone())),
        (
            "policy restated",
            Body::Restated(Restated::of(7, 1_767_225_600_000_000_000, &Body::Decision(decision.clone()))),
        ),
        (
            "policy decision of the host",
            Body::Decision(PolicyRecord { step: Step::Accepted, actor: Actor::Host { uid: 0 }, ..decision }),
        ),
        (
            "policy ack",
            Body::Acknowledged(AckRecord {
                instance: "odoo".to_owned(),
                reason: "watched_hosts".to_owned(),
                subject: "MIT".to_owned(),
                text: "a test of ours".to_owned(),
                before_seq: 1000,
                actor: Actor::Instance { tgid: 4242 },
            }),
        ),
        ("prune", Body::Prune(prune.clone())),
        ("prune with an archive", Body::Prune(Prune { archive: Some([0xbb; 32]), streams: vec![], ..prune })),
        ("clock", Body::Clock(ClockStep { before_wall_ns: 2, after_wall_ns: 1 })),
        ("export", Body::Export(export.clone())),
        (
            "export with nonce and filter",
            Body::Export(Export { nonce: Some(vec![1, 2]), filter: Some([0xcc; 32]), ..export }),
        ),
        ("recover", Body::Recover(recover.clone())),
        (
            "recover, nothing known",
            Body::Recover(Recover { found_size: None, found_root: None, known: None, missing: None, ..recover }),
        ),
    ]
}

/// CBOR as JSON: keys become strings, byte strings `h'…'`.
fn cbor_json(input: &mut minicbor::Decoder<'_>) -> Value {
    use minicbor::data::Type;
    match input.datatype().unwrap() {
        Type::Map => {
            let count = input.map().unwrap().unwrap();
            let mut map = Map::new();
            for _ in 0..count {
                let key = input.u64().unwrap().to_string();
                map.insert(key, cbor_json(input));
            }
            Value::Object(map)
        }
        Type::Array => {
            let count = input.array().unwrap().unwrap();
            (0..count).map(|_| cbor_json(input)).collect()
        }
        Type::Bytes => json!(format!("h'{}'", hex(input.bytes().unwrap()))),
        Type::String => json!(input.str().unwrap()),
        Type::Bool => json!(input.bool().unwrap()),
        Type::Null => input.null().map(|()| Value::Null).unwrap(),
        _ => json!(input.u64().unwrap()),
    }
}

#[test]
fn bodies_have_their_golden_bytes() {
    let lines: Vec<_> = bodies()
        .into_iter()
        .map(|(name, body)| {
            let bytes = body.encode();
            let (kind, class) = (body.entry_type(), body.class());
            assert_eq!(Body::decode(kind, class, &bytes).as_ref(), Ok(&body), "{name}");
            let content = cbor_json(&mut minicbor::Decoder::new(&bytes));
            (name.to_owned(), bytes, json!({"type": kind as u8, "class": class, "body": content}))
        })
        .collect();
    for (kind, class, name, _) in schema::BODIES {
        let has_one = lines.iter().any(|(_, _, json)| json["type"] == *kind as u8 && json["class"] == *class);
        assert!(has_one, "no golden of {name}");
    }
    golden("bodies.txt", "name | body | entry type, class, and the body as JSON (byte strings as h'…')", &lines);
}

#[test]
fn notes_have_their_golden_bytes() {
    let signed = known_checkpoint();
    let checkpoint = json!({
        "kind": "checkpoint",
        "origin": signed.checkpoint.origin.to_string(),
        "size": signed.checkpoint.size,
        "root": hex(&signed.checkpoint.root),
        "epoch": signed.epoch,
        "keys": [vkey(1, &origin().to_string()).to_string(), vkey(2, &origin().epoch_name(0)).to_string()],
    });
    let first = EpochNote {
        origin: origin(),
        epoch: 0,
        start: 0,
        root: merkle::empty(),
        key: vkey(2, &origin().epoch_name(0)),
        not_before: 1_767_225_600,
    };
    let (root, log) = (vkey(0, &origin().root_name()), vkey(1, &origin().to_string()));
    let sign = |text: &str, keys: &[(usize, &VerifierKey)]| Note {
        text: text.to_owned(),
        signatures: keys
            .iter()
            .map(|(which, name)| SignatureLine::new(name, &key(*which).sign(text.as_bytes()).to_bytes()))
            .collect(),
    };
    let epoch_note = sign(&first.text(), &[(0, &root), (1, &log)]).to_string();
    let parsed = SignedEpoch::parse(epoch_note.as_bytes()).unwrap();
    assert_eq!(parsed.verify(&root, &log), Ok(&first));
    assert_eq!(parsed.to_string(), epoch_note);
    let epoch = json!({
        "kind": "epoch",
        "origin": origin().to_string(),
        "epoch": 0,
        "start": 0,
        "root": hex(&merkle::empty()),
        "key": first.key.to_string(),
        "not_before": first.not_before,
        "keys": [root.to_string(), log.to_string()],
    });
    let node_key = vkey(1, NODE);
    let node_note = sign(&SignedNode::text(NODE, &node_key), &[(0, &root)]).to_string();
    let parsed = SignedNode::parse(node_note.as_bytes()).unwrap();
    assert_eq!(parsed.verify(&root), Ok(&node_key));
    let node = json!({"kind": "node", "node": NODE, "log": node_key.to_string(), "keys": [root.to_string()]});
    let lines = [
        ("checkpoint, known answer".to_owned(), signed.to_string().into_bytes(), checkpoint),
        ("epoch 0".to_owned(), epoch_note.into_bytes(), epoch),
        ("node".to_owned(), node_note.into_bytes(), node),
    ];
    golden("notes.txt", "name | note | what it says, and the keys that signed it in their order", &lines);
}

/// What every reader refuses: how it is to be read, and the bytes.
fn refused() -> Vec<(String, Vec<u8>, Value)> {
    let mut lines = Vec::new();
    let mut add = |name: &str, kind: &str, bytes: Vec<u8>| lines.push((name.to_owned(), bytes, json!({"as": kind})));
    let row = known_rows().remove(1);
    let with = |at: usize, byte: u8| {
        let mut row = row.clone();
        row[at] = byte;
        row
    };
    add("row of another magic", "row", with(0, b'n'));
    add("row of type 0", "row", with(4, 0));
    add("row of the reserved type 10", "row", with(4, 10));
    add("row of the reserved type 12", "row", with(4, 12));
    add("row of the reserved type 14", "row", with(4, 14));
    add("row of type 15", "row", with(4, 15));
    add("row with an unknown flag", "row", with(5, 4));
    add("row with a longer body than it says", "row", with(47, 2));
    add("row with a shorter body than it says", "row", with(47, 4));
    add("row cut in its salt", "row", row[..170].to_vec());
    add("row cut in its entry", "row", row[..159].to_vec());
    add("empty row", "row", vec![]);

    let note = known_checkpoint().to_string();
    let text = known_checkpoint().checkpoint.text();
    let (_, lines_of_note) = note.split_once("\n\n").unwrap();
    let (log, epoch) = lines_of_note.split_once('\n').unwrap();
    let epoch = epoch.trim_end();
    add("checkpoint with CRLF", "checkpoint", note.replace('\n', "\r\n").into_bytes());
    add("checkpoint with a tab", "checkpoint", note.replacen("3\n", "3\t\n", 1).into_bytes());
    add("checkpoint without its last newline", "checkpoint", note.trim_end().as_bytes().to_vec());
    add("checkpoint with two blank lines", "checkpoint", note.replacen("\n\n", "\n\n\n", 1).into_bytes());
    add("checkpoint without a signature", "checkpoint", format!("{text}\n").into_bytes());
    add("checkpoint with one signature", "checkpoint", format!("{text}\n{log}\n").into_bytes());
    add("checkpoint with three signatures", "checkpoint", format!("{note}{log}\n").into_bytes());
    add(
        "checkpoint with its signatures in another order",
        "checkpoint",
        format!("{text}\n{epoch}\n{log}\n").into_bytes(),
    );
    add("checkpoint with a size that begins with zero", "checkpoint", note.replacen("\n3\n", "\n03\n", 1).into_bytes());
    add("checkpoint with a negative size", "checkpoint", note.replacen("\n3\n", "\n-3\n", 1).into_bytes());
    add(
        "checkpoint with a size beyond 64 bits",
        "checkpoint",
        note.replacen("\n3\n", "\n18446744073709551616\n", 1).into_bytes(),
    );
    add("checkpoint with another line", "checkpoint", note.replacen("\n\n", "\nmore\n\n", 1).into_bytes());
    add("checkpoint with a short root", "checkpoint", note.replacen("KPkV", "", 1).into_bytes());
    add("checkpoint with loose base64", "checkpoint", note.replacen("408=\n", "409=\n", 1).into_bytes());
    add("checkpoint with a hyphen for the dash", "checkpoint", note.replace('—', "-").into_bytes());
    add("checkpoint with two spaces", "checkpoint", note.replacen("0001 ", "0001  ", 1).into_bytes());
    add(
        "checkpoint of a reserved origin",
        "checkpoint",
        note.replace("audit.example/cluster-a/node-7", "nal/v1/epoch").into_bytes(),
    );
    add("checkpoint of an origin without incarnation", "checkpoint", note.replace("/0001", "").into_bytes());
    add("checkpoint with a byte that is not UTF-8", "checkpoint", [note.as_bytes(), &[0xff, b'\n']].concat());
    add("checkpoint presented as an epoch note", "epoch", note.clone().into_bytes());
    add("checkpoint presented as a node note", "node", note.into_bytes());
    for (name, _, value) in lines.clone() {
        assert!(value["as"] == "row" || name.starts_with("checkpoint"));
    }

    let good = Body::Loss(loss()).encode();
    let mut body = |name: &str, bytes: Vec<u8>| {
        lines.push((name.to_owned(), bytes, json!({"as": "body", "type": EntryType::Loss as u8, "class": 0})));
    };
    body("body that is empty", vec![]);
    body("body that is cut", good[..good.len() - 1].to_vec());
    body("body with a byte after it", [good.as_slice(), &[0]].concat());
    body("body without its last key", {
        let mut bytes = Body::Loss(Loss { detail: String::new(), ..loss() }).encode();
        bytes.truncate(bytes.len() - 2);
        bytes[0] = 0xa4;
        bytes
    });
    body("body with a key more", [&[0xa6], &good[1..], &[6, 0]].concat());
    body("body with another key", {
        let mut bytes = good.clone();
        bytes[1] = 9;
        bytes
    });
    body("body with a number in two bytes that fits one", [&good[..2], &[0x18, 4], &good[3..]].concat());
    body("body with a head in two bytes that fits one", [&[0xb8, 5], &good[1..]].concat());
    body("body of indefinite length", [&[0xbf], &good[1..], &[0xff]].concat());
    body("body with text where a number must be", [&good[..2], &[0x61, b'4'], &good[3..]].concat());
    body("body with undefined for null", [&good[..4], &[0xf7], &good[5..]].concat());
    body("body with a float", [&good[..2], &[0xf9, 0x44, 0], &good[3..]].concat());
    body("body with a tag", [&good[..2], &[0xc1, 4], &good[3..]].concat());
    body("body with text that is not UTF-8", {
        let mut bytes = Body::Loss(Loss { detail: "x".to_owned(), ..loss() }).encode();
        *bytes.last_mut().unwrap() = 0xff;
        bytes
    });
    body("body that is an array", vec![0x80]);
    let opened = Body::FlowOpened(flow_opened()).encode();
    let kind = json!({"as": "body", "type": 2, "class": 1});
    let mapped = {
        let at = opened.windows(5).position(|bytes| bytes == [0x44, 192, 0, 2, 7]).unwrap();
        let long = [&[0x50], auditor_common::endpoint::MAPPED.as_slice(), &[192, 0, 2, 7]].concat();
        [&opened[..at], &long, &opened[at + 5..]].concat()
    };
    lines.push(("body with an IPv4 address in mapped form".to_owned(), mapped, kind.clone()));
    let unlabelled = {
        let at = opened.windows(4).position(|bytes| bytes == [12, 0xa8, 1, 3]).unwrap();
        [&opened[..at + 3], &[4], &opened[at + 4..]].concat()
    };
    lines.push(("body with an unknown label".to_owned(), unlabelled, kind));
    let ended = Body::FlowTraffic(traffic(Some(FlowEnd::Closed))).encode();
    let interim = Body::FlowTraffic(traffic(None)).encode();
    lines.push(("interim body that says how it ended".to_owned(), ended, json!({"as": "body", "type": 2, "class": 3})));
    lines.push((
        "ended body that does not say how".to_owned(),
        interim.clone(),
        json!({"as": "body", "type": 2, "class": 2}),
    ));
    let mut nameless = interim;
    nameless[0] += 1;
    nameless.extend([11, 0x80]);
    lines.push(("body with a list of no names".to_owned(), nameless, json!({"as": "body", "type": 2, "class": 3})));
    let mut named = Body::FlowTraffic(FlowTraffic { names: names(), ..traffic(None) }).encode();
    *named.last_mut().unwrap() = 4;
    lines.push((
        "body with a name of an unknown source".to_owned(),
        named,
        json!({"as": "body", "type": 2, "class": 3}),
    ));
    lines.push(("body of an unknown class".to_owned(), good, json!({"as": "body", "type": 2, "class": 6})));
    lines
}

#[test]
fn what_must_be_refused_is_refused() {
    let lines = refused();
    for (name, bytes, how) in &lines {
        let accepted = match how["as"].as_str().unwrap() {
            "row" => Row::parse(bytes).is_ok(),
            "checkpoint" => SignedCheckpoint::parse(bytes).is_ok(),
            "epoch" => SignedEpoch::parse(bytes).is_ok(),
            "node" => SignedNode::parse(bytes).is_ok(),
            _ => {
                let kind = EntryType::from_number(how["type"].as_u64().unwrap() as u8).unwrap();
                Body::decode(kind, how["class"].as_u64().unwrap() as u32, bytes).is_ok()
            }
        };
        assert!(!accepted, "{name}");
    }
    golden("refused.txt", "name | bytes | how they are to be read, and are refused", &lines);
}

#[test]
fn every_prefix_and_every_flipped_bit_of_a_body_is_another_body_or_none() {
    for (name, body) in bodies() {
        let (kind, class, bytes) = (body.entry_type(), body.class(), body.encode());
        for len in 0..bytes.len() {
            assert!(Body::decode(kind, class, &bytes[..len]).is_err(), "{name}, {len} bytes");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(other) = Body::decode(kind, class, &flipped) {
                assert_eq!(other.encode(), flipped, "{name}, bit {bit}");
            }
        }
    }
}
