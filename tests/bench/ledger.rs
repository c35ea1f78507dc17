//! `bench-ledger [ROUNDS]`: what the ledger costs, against redb with the same rows and SHA-256 of the same bytes, in
//! rounds that interleave the two. Ratios are medians of the rounds: the machine's neighbours change, both sides alike.
//!
//! `bench-ledger verify STATE` verifies a state folder and says how much memory that took: a process of its own.

use std::fs::{self, File};
use std::hint::black_box;
use std::ops::Bound;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use auditor_common::body::{Attribution, Body, CpuMark, FlowOpened, Policy, Sample};
use auditor_common::checkpoint::SignedCheckpoint;
use auditor_common::merkle::verify_inclusion;
use auditor_common::record::{ENTRY_LEN, Row as StoredRow};
use auditor_tests::bench::{Row, print};
use auditor_tests::ledger::{copy, flow_ended, flow_opened, options};
use auditor_userspace::chain::Now;
use auditor_userspace::export;
use auditor_userspace::key::Signer;
use auditor_userspace::store::{OpenOptions, SealInput, Store, StoreTree, list_segments};
use auditor_userspace::verify::{Request, verify_on};
use redb::{Database, Durability, TableDefinition};
use sha2::{Digest as _, Sha256};

const ROWS: TableDefinition<u64, &[u8]> = TableDefinition::new("rows");
/// Records that are verified and exported.
const RECORDS: u64 = 1_000_000;
/// A seal is made as often as the daemon makes one: every second, or when so many records are unsealed.
const UNSEALED: u64 = 16_384;
const MIB: f64 = (1 << 20) as f64;

/// Wall clock and processor time.
#[derive(Clone, Copy, Debug, Default)]
struct Time {
    wall: f64,
    cpu: f64,
}

fn cpu_seconds() -> f64 {
    // SAFETY: an all-zero rusage is a valid one, and the call fills in the one it is given.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Time) {
    let (cpu, begin) = (cpu_seconds(), Instant::now());
    let value = work();
    (value, Time { wall: begin.elapsed().as_secs_f64(), cpu: cpu_seconds() - cpu })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What the daemon records most: flows that begin and end.
fn bodies(count: u64) -> Vec<Body> {
    (0..count)
        .map(|number| {
            let sample = Sample { boot_ns: 0, cpu: None, kseq: None };
            if number % 2 == 0 {
                let opened = flow_opened(sample);
                let attribution = Attribution { contradictions: vec![], ..opened.attribution };
                return Body::FlowOpened(FlowOpened { attribution, ..opened });
            }
            Body::FlowTraffic(flow_ended(sample, 0))
        })
        .collect()
}

/// The store, driven as the daemon drives it.
struct Full {
    /// What the kernel numbered on each of two processors: until now, and until the last seal.
    kseq: [[u64; 2]; 2],
    store: Store,
    now: Now,
    sealed_at: Instant,
    state: PathBuf,
}

impl Full {
    fn open(state: &Path, options: &OpenOptions) -> Self {
        let (store, _) = Store::open(state, options).expect("a store");
        Self { kseq: [[0; 2]; 2], store, now: options.now, sealed_at: Instant::now(), state: state.to_owned() }
    }

    fn append(&mut self, bodies: &mut [Body], batch: usize) {
        for part in bodies.chunks_mut(batch) {
            self.now.wall_ns += 1_000_000;
            self.now.boot_ns += 1_000_000;
            let mut flow = 0;
            for body in part {
                let cpu = (flow % 2) as usize;
                self.kseq[0][cpu] += 1;
                let sample = Sample { boot_ns: self.now.boot_ns, cpu: Some(cpu as u32), kseq: Some(self.kseq[0][cpu]) };
                match body {
                    Body::FlowOpened(opened) => opened.sample = sample,
                    Body::FlowTraffic(traffic) => (traffic.flow, traffic.sample) = (flow, sample),
                    _ => {}
                }
                flow = self.store.append(body, self.now).expect("an append");
            }
            if self.sealed_at.elapsed() >= Duration::from_secs(1)
                || self.store.unsealed() + self.store.pending() as u64 >= UNSEALED
            {
                self.seal();
            } else {
                self.store.commit().expect("a commit");
            }
        }
    }

    fn seal(&mut self) {
        let input = self.input();
        self.store.seal(input, self.now).expect("a seal");
        self.sealed_at = Instant::now();
    }

    /// What a seal says now.
    fn input(&mut self) -> SealInput {
        let [last, before] = self.kseq;
        let mark = |cpu: usize| CpuMark {
            cpu: cpu as u32,
            last_kseq: last[cpu],
            received: last[cpu] - before[cpu],
            lost: vec![],
        };
        self.kseq[1] = last;
        SealInput {
            captured: last.iter().sum(),
            cpus: vec![mark(0), mark(1)],
            clock: (true, 1000),
            binary: [1; 32],
            config: [2; 32],
            ..SealInput::default()
        }
    }
}

/// redb and nothing else.
struct Raw {
    db: Database,
    next: u64,
}

impl Raw {
    fn append(&mut self, rows: &[Vec<u8>], batch: usize) {
        for part in rows.chunks(batch) {
            let mut txn = self.db.begin_write().expect("a transaction");
            txn.set_durability(Durability::Immediate).expect("durability");
            {
                let mut table = txn.open_table(ROWS).expect("a table");
                let mut end = table.upper_bound_mut(Bound::<u64>::Unbounded).expect("its end");
                for row in part {
                    end.insert_before(self.next, row.as_slice()).expect("a row");
                    self.next += 1;
                }
                end.close().expect("the rows");
            }
            txn.commit().expect("a commit");
        }
    }
}

/// What was measured of one batch size in one round: rows, the store's time, redb's time.
type Pair = (usize, Time, Time);

fn appending(folder: &Path, rounds: usize) -> Vec<Row> {
    let mut how = options(0);
    how.limits.segment_bytes = u64::MAX;
    let mut full = Full::open(&folder.join("append"), &how);
    let mut raw = Raw { db: Database::create(folder.join("raw.redb")).expect("a database"), next: 0 };
    let mut pairs: Vec<(usize, Vec<Pair>)> = vec![(1, vec![]), (128, vec![]), (1024, vec![]), (8192, vec![])];
    for round in 0..rounds {
        for (batch, measured) in &mut pairs {
            let count = match *batch {
                1 => 400,
                128 => 12_800,
                1024 => 51_200,
                _ => 98_304,
            };
            let mut bodies = bodies(count);
            let rows: Vec<Vec<u8>> =
                bodies.iter().map(|body| vec![0x5a; ENTRY_LEN + 16 + body.encode().len()]).collect();
            // Whoever comes first has the worse caches: they take turns.
            let (ours, theirs) = if round % 2 == 0 {
                let ours = timed(|| full.append(&mut bodies, *batch)).1;
                (ours, timed(|| raw.append(&rows, *batch)).1)
            } else {
                let theirs = timed(|| raw.append(&rows, *batch)).1;
                (timed(|| full.append(&mut bodies, *batch)).1, theirs)
            };
            measured.push((rows.len(), ours, theirs));
        }
    }
    let of = |batch: usize| &pairs.iter().find(|(size, _)| *size == batch).expect("a batch").1;
    let ratio = |batch, time: fn(&Time) -> f64| {
        median(of(batch).iter().map(|(_, ours, theirs)| time(theirs) / time(ours)).collect())
    };
    let speed =
        |batch, side: fn(&Pair) -> Time| median(of(batch).iter().map(|pair| pair.0 as f64 / side(pair).wall).collect());
    let wall = |time: &Time| time.wall;
    for batch in [1, 128, 1024, 8192] {
        let (ours, theirs) = (speed(batch, |pair| pair.1), speed(batch, |pair| pair.2));
        println!("batch {batch:>5}: {ours:>9.0} records/s, redb alone {theirs:>9.0} rows/s");
    }
    let best = [1024, 8192].into_iter().map(|batch| speed(batch, |pair| pair.1)).fold(0.0, f64::max);
    vec![
        row("append against redb, batch 128", ratio(128, wall), "of redb", 0.75, 0.90),
        row("append against redb, batch 1,024", ratio(1024, wall), "of redb", 0.70, 0.85),
        row("append against redb, batch 8,192", ratio(8192, wall), "of redb", 0.70, 0.90),
        row("the same for a CPU-second, batch 1,024", ratio(1024, |time| time.cpu), "of redb", 0.55, 0.65),
        row("durable records", best / 1e3, "k/s", 100.0, 180.0),
        row("single durable records", speed(1, |pair| pair.1), "/s", 1500.0, 3000.0),
    ]
}

fn row(what: &'static str, measured: f64, unit: &'static str, floor: f64, goal: f64) -> Row {
    Row { what, measured, unit, floor, goal }
}

/// A ledger of a million records.
fn million(folder: &Path) -> Full {
    let mut full = Full::open(&folder.join("million"), &options(0));
    while full.store.acknowledged() < RECORDS {
        let mut bodies = bodies(UNSEALED);
        full.append(&mut bodies, 8192);
    }
    full.seal();
    full
}

fn verify_once(state: &Path, threads: usize) -> f64 {
    let request = Request { state: state.to_owned(), pinned: None, incarnation: None };
    let (report, time) = timed(|| verify_on(threads, &request, &mut |_| {}).expect("a verification"));
    let verdict = &report.verdicts[0];
    assert!(verdict.finding.is_none(), "{}", report.to_text());
    verdict.records as f64 / time.wall
}

/// The digests that a verifier cannot do without, by the crate sha2 alone, of rows in memory: leaf, body, and as many
/// nodes as there are leaves.
fn hash(rows: &[Vec<u8>]) -> f64 {
    let (leaf, body, node) = ([0_u8; 1], *b"nal/v1/body\0", [1_u8; 65]);
    let ((), time) = timed(|| {
        for row in rows {
            let (entry, rest) = row.split_at(ENTRY_LEN);
            black_box(Sha256::new().chain_update(leaf).chain_update(entry).finalize());
            black_box(Sha256::new().chain_update(body).chain_update(rest).finalize());
            black_box(Sha256::digest(black_box(node)));
        }
    });
    rows.len() as f64 / time.wall
}

fn bulk() -> f64 {
    let bytes = vec![7_u8; 64 << 20];
    let (digest, time) = timed(|| Sha256::digest(&bytes));
    black_box(digest);
    bytes.len() as f64 / time.wall
}

fn verifying(full: &Full, rounds: usize) -> Vec<Row> {
    let links = full.store.reader().links(0..200_000).expect("rows");
    let rows: Vec<Vec<u8>> = links.into_iter().map(|link| link.row).collect();
    let bytes = rows.iter().map(Vec::len).sum::<usize>() as f64 / rows.len() as f64;
    let (mut one, mut ratio, mut bulk_ratio, mut two) = (vec![], vec![], vec![], vec![]);
    for _ in 0..rounds {
        let pure = hash(&rows);
        let single = verify_once(&full.state, 1);
        let double = verify_once(&full.state, 2);
        one.push(single / 1e6);
        ratio.push(single / f64::midpoint(pure, hash(&rows)));
        bulk_ratio.push(single * bytes / bulk());
        two.push(double / single);
    }
    let own = std::env::current_exe().expect("this program");
    let output = Command::new(own).arg("verify").arg(&full.state).output().expect("a child");
    let memory: f64 = String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number");
    vec![
        row("verify, one thread", median(one), "M/s", 1.0, 1.3),
        row("verify against hashing the same", median(ratio), "of SHA-256", 0.80, 0.90),
        row("its bytes against bulk SHA-256", median(bulk_ratio), "of SHA-256", 0.25, 0.33),
        row("verify, two threads against one", median(two), "times", 1.5, 1.8),
        row("peak memory of verify", memory, "MiB", 64.0, 16.0),
    ]
}

/// The peak of this process's memory, MiB.
fn peak_memory() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a field");
    line.split_ascii_whitespace().next().expect("a number").parse::<f64>().expect("a number") / 1024.0
}

fn exporting(folder: &Path, full: &mut Full) -> Vec<Row> {
    let path = folder.join("whole.nalx");
    let ((), time) = timed(|| {
        let request = export::Request::default();
        let mut reader = full.store.reader();
        let record = export::record(&mut reader, &request, "root (0)").expect("an export");
        let input = full.input();
        let announced = full.store.announce_export(record, input, full.now).expect("an export");
        let mut output = export::Archive::create(&path).expect("a file");
        let seconds = full.now.wall_ns / 1_000_000_000;
        let incarnation = announced.checkpoint.origin.incarnation();
        let keys = export::Published::read(&full.state, incarnation).expect("the public keys");
        let note = export::write(&keys, reader, &request, &announced, seconds, &mut output, &mut |_, _| {});
        let signed = full.store.sign_export(&note.expect("an export").text()).expect("a signature");
        export::Output::finish(&mut output, &signed).expect("a file");
    });
    let records = full.store.acknowledged() as f64;
    vec![row("export of a million records", time.wall * 1e6 / records, "s", 3.0, 1.5)]
}

fn proving(full: &Full) -> Vec<Row> {
    let mut reader = full.store.reader();
    let signed: SignedCheckpoint = reader.checkpoint().expect("a store").expect("a checkpoint");
    let size = signed.checkpoint.size;
    let (mut built, mut checked, mut len) = (vec![], vec![], 0);
    for number in 0..200_u64 {
        let seq = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % size;
        let (proof, time) = timed(|| {
            let mut tree = StoreTree::new(reader.clone()).expect("a tree");
            export::prove(&mut reader, &mut tree, seq, &signed).expect("a proof")
        });
        built.push(time.wall * 1e3);
        len = proof.to_string().len() + (30 - proof.hashes.len()) * 45;
        let (fits, time) = timed(|| {
            let row = StoredRow::parse(&proof.row).expect("a row");
            row.fits() && verify_inclusion(seq, size, &row.leaf(), &proof.hashes, &signed.checkpoint.root).is_ok()
        });
        assert!(fits);
        checked.push(time.wall * 1e6);
    }
    vec![
        row("one inclusion proof is built in", median(built), "ms", 1.0, 0.1),
        row("and checked in", median(checked), "µs", 20.0, 10.0),
        row("its file, at 10^9 records", len as f64, "bytes", 2048.0, 1536.0),
    ]
}

/// Takes what the kernel has kept of a file out of its memory.
fn forget(path: &Path) {
    let file = File::open(path).expect("a file");
    file.sync_all().expect("a file");
    // SAFETY: the descriptor is open; the call takes no pointers.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
}

fn crashing(folder: &Path) -> Vec<Row> {
    let live = folder.join("live");
    let mut how = options(0);
    how.limits.segment_bytes = u64::MAX;
    let mut full = Full::open(&live, &how);
    let segment = live.join("0001/seg-00000000000000000000.redb");
    while fs::metadata(&segment).expect("a segment").len() < 256 << 20 {
        let mut bodies = bodies(UNSEALED);
        full.append(&mut bodies, 8192);
    }
    // As it is at this moment, not closed: what a crash leaves behind.
    let crashed = folder.join("crashed");
    copy(&live, &crashed);
    drop(full);
    fs::remove_dir_all(&live).expect("our own folder");
    let segment = crashed.join("0001/seg-00000000000000000000.redb");
    let bytes = fs::metadata(&segment).expect("a segment").len() as f64;
    forget(&segment);
    let second = 1_000_000_000;
    let mut how = options(100_000);
    how.policy = Policy { keep_ns: 3600 * second, max_bytes: u64::MAX, min_ns: 0, actor: "a test".to_owned() };
    let (full, opened) = timed(|| Full::open(&crashed, &how));
    drop(full);
    // It is large enough now: the first seal begins another.
    how.limits.segment_bytes = 1;
    let mut full = Full::open(&crashed, &how);
    assert_eq!(list_segments(&crashed.join("0001")).expect("a folder").len(), 2);
    full.now.wall_ns += 7200 * second;
    full.now.boot_ns += 7200 * second;
    let input = full.input();
    let (removed, pruned) = timed(|| full.store.retain("schedule", input, full.now).expect("a store"));
    assert_eq!(removed.map(|removed| removed.min_index > 0), Some(true));
    vec![
        row("opening a segment of 256 MiB after a crash", opened.wall * 256.0 * MIB / bytes, "s", 2.0, 1.0),
        row("removing a segment of 256 MiB", pruned.wall * 1e3, "ms", 50.0, 5.0),
    ]
}

fn small_things(full: &Full) -> Vec<Row> {
    let signer = Signer::generate("audit.example/bench").expect("a key");
    let text = "a checkpoint is about this long: an origin, a size, and a root in base64\n";
    let ((), time) = timed(|| {
        (0..2000).for_each(|_| {
            black_box(signer.sign(text));
        });
    });
    let share = time.cpu / 2000.0 * 2.0 * 20.0 * 100.0;
    let links = full.store.reader().links(1000..2000).expect("rows");
    let fixed: usize =
        links.iter().map(|link| 8 + link.row.len() - StoredRow::parse(&link.row).expect("a row").body.len()).sum();
    vec![
        row("signing, at 20 checkpoints a second", share, "% of a core", 1.0, 0.2),
        row("a record without its body", fixed as f64 / links.len() as f64, "bytes", 192.0, 184.0),
    ]
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [word, state] = words.as_slice()
        && word == "verify"
    {
        verify_once(Path::new(state), 1);
        println!("{}", peak_memory());
        return ExitCode::SUCCESS;
    }
    let rounds = words.first().and_then(|rounds| rounds.parse().ok()).unwrap_or(5);
    // Beside what is built: on a disk, and not in memory.
    let built = xtask::paths::built().expect("a target folder");
    let folder = tempfile::tempdir_in(built).expect("a temporary folder");
    let mut rows = appending(folder.path(), rounds);
    let mut full = million(folder.path());
    rows.extend(verifying(&full, rounds));
    rows.extend(exporting(folder.path(), &mut full));
    rows.extend(proving(&full));
    rows.extend(small_things(&full));
    drop(full);
    rows.extend(crashing(folder.path()));
    if print(&rows) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
