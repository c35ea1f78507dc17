//! What being looked at costs: the same calls without the programs, with them for everyone else, and for an audited
//! process. Ratios only, out of rounds that interleave all three: absolute times say more about the machine.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use auditor_userspace::probe::{Options, Probe};

use crate::bench::median;
use crate::kernel_probe::alone;

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What is done, and by whom.
    pub what: &'static str,
    /// What it costs.
    pub measured: Cost,
    /// What it must not exceed.
    pub floor: Cost,
    /// What it should not exceed.
    pub goal: Cost,
    /// How it compares.
    pub met: Met,
}

/// A cost, with its unit.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub enum Cost {
    /// Times as long as without the programs.
    Times(f64),
    /// Nanoseconds more than without the programs.
    Nanoseconds(f64),
}

/// How a measured cost compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// Not above the goal.
    Goal,
    /// Above the goal, not above the floor.
    Floor,
    /// Above the floor.
    Missed,
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Times(ratio) => write!(f, "×{ratio:.2}"),
            Self::Nanoseconds(more) => write!(f, "{more:.0} ns"),
        }
    }
}

impl std::fmt::Display for Met {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Goal => "goal met",
            Self::Floor => "floor met",
            Self::Missed => "MISSED",
        })
    }
}

/// Nanoseconds a call, of each kind of call.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    udp_connect: f64,
    tcp_cycle: f64,
    other_call: f64,
    repeat_send: f64,
    repeat_send_to: f64,
    exchange: f64,
}

/// One round: everything once in each way.
struct Round {
    without: Times,
    /// Without once more: how far two equal measurements are apart.
    again: Times,
    everyone_else: Times,
    audited: Times,
}

/// How many BPF programs others have loaded. The kernel's own part of a hook is paid once for all programs, so beside
/// others we look cheaper than we are.
pub fn other_programs() -> usize {
    const BPF_PROG_GET_NEXT_ID: i32 = 11;
    // `union bpf_attr`: the last identifier, the next one, and flags.
    let mut ids = [0_u32; 3];
    let next = || {
        // SAFETY: the three words of the request, alive for the call.
        let answer = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_GET_NEXT_ID, ids.as_mut_ptr(), 12) };
        ids[0] = ids[1];
        (answer == 0).then_some(())
    };
    std::iter::from_fn(next).count()
}

/// A way of being looked at, and a kind of call.
type Way = fn(&Round) -> Times;
type Call = fn(&Times) -> f64;

/// Measures, in so many rounds (two seconds each, roughly). Needs what [`crate::a_daemon`] needs.
pub fn cost_table(rounds: usize) -> Vec<Row> {
    let rounds: Vec<Round> = (0..rounds.max(1)).map(|_| round()).collect();
    let ratio = |way: Way, call: Call| median(rounds.iter().map(|round| call(&way(round)) / call(&round.without)));
    let times =
        |what, way, call, floor, goal| row(what, Cost::Times(ratio(way, call)), Cost::Times(floor), Cost::Times(goal));
    let more = |what, way: Way, call: Call, floor, goal| {
        let more = median(rounds.iter().map(|round| call(&way(round)) - call(&round.without)));
        row(what, Cost::Nanoseconds(more), Cost::Nanoseconds(floor), Cost::Nanoseconds(goal))
    };
    let (audited, everyone_else, again): (Way, Way, Way) = (|it| it.audited, |it| it.everyone_else, |it| it.again);
    let (udp, tcp, other): (Call, Call, Call) = (|it| it.udp_connect, |it| it.tcp_cycle, |it| it.other_call);
    // ×1.00 cannot be told from what two equal measurements differ by.
    let still = 1.0 + (ratio(again, other) - 1.0).abs().max(0.01);
    vec![
        times("UDP connect() of an audited process, one event", audited, udp, 2.0, 1.5),
        times("UDP connect() of everyone else on the host", everyone_else, udp, 1.3, 1.1),
        times("TCP connect+accept+close on loopback, audited", audited, tcp, 1.25, 1.10),
        times("the same, everyone else", everyone_else, tcp, 1.05, 1.02),
        times("a system call that no hook is about", audited, other, still, still),
        more("another send() on a connected datagram socket", audited, |it| it.repeat_send, 300.0, 200.0),
        more("another sendto() to the same destination", audited, |it| it.repeat_send_to, 300.0, 200.0),
        // On loopback a packet passes the programs twice: when it leaves, and when it arrives.
        more("a UDP packet on loopback, everyone else", everyone_else, |it| it.repeat_send, 150.0, 100.0),
        more("a TCP segment on loopback, audited", audited, |it| it.exchange, 300.0, 200.0),
        more("the same, everyone else", everyone_else, |it| it.exchange, 150.0, 100.0),
    ]
}

fn row(what: &'static str, measured: Cost, floor: Cost, goal: Cost) -> Row {
    let met = if measured <= goal {
        Met::Goal
    } else if measured <= floor {
        Met::Floor
    } else {
        Met::Missed
    };
    Row { what, measured, floor, goal, met }
}

fn round() -> Round {
    // A process with threads pays more for each descriptor that it uses: there are always two.
    let (done, waiting) = mpsc::channel::<()>();
    let idle = thread::spawn(move || waiting.recv().is_err());
    let without = calls();
    let mut probe = Probe::load(&Options { ring_bytes: 64 << 20, ..alone() }).unwrap_or_else(|error| panic!("{error}"));
    let mut ring = probe.take_ring().expect("the first reader");
    let everyone_else = calls();
    let listed = probe.processes().expect("the kernel lists processes");
    let own = listed.iter().find(|listed| listed.tgid == process::id()).expect("we are listed");
    probe.audit(own.tgid, own.start_ns).expect("there is room");
    let over = Arc::new(AtomicBool::new(false));
    let reader = thread::spawn({
        let over = Arc::clone(&over);
        move || {
            let mut samples = 0;
            while !over.load(Ordering::Relaxed) {
                ring.wait(Duration::from_millis(25)).expect("the ring is there");
                samples += ring.drain(usize::MAX, |sample| assert!(!sample.is_empty()));
            }
            samples
        }
    });
    let audited = calls();
    over.store(true, Ordering::Relaxed);
    assert!(reader.join().expect("no panic") > 0, "the audited process was seen");
    let lost: u64 = probe.marks().expect("the counters").values().map(|mark| mark.dropped).sum();
    assert_eq!(lost, 0, "a full ring is cheaper than one that is read");
    drop(probe);
    let again = calls();
    drop(done);
    assert!(idle.join().expect("no panic"));
    Round { without, again, everyone_else, audited }
}

fn calls() -> Times {
    // To a port that is bound and never read: the datagrams end in a full queue, not in errors.
    let sink = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let to = sink.local_addr().expect("it has one");
    Times {
        udp_connect: udp_connect(),
        tcp_cycle: tcp_cycle(),
        other_call: other_call(),
        repeat_send: repeat_send(to),
        repeat_send_to: repeat_send_to(to),
        exchange: exchange(),
    }
}

/// Nanoseconds of this thread's processor that one call takes: the best of several tries, since whatever else goes on
/// in the machine only ever adds.
fn timed(count: u32, mut call: impl FnMut()) -> f64 {
    const TRIES: u32 = 10;
    let tries = (0..TRIES).map(|_| {
        let begun = thread_ns();
        for _ in 0..count / TRIES {
            call();
        }
        (thread_ns() - begun) as f64 / f64::from(count / TRIES)
    });
    tries.fold(f64::INFINITY, f64::min)
}

/// Nanoseconds that this thread has had a processor, interrupts of its own doing included.
fn thread_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a place for the time.
    let answer = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(answer, 0);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

fn udp_connect() -> f64 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    timed(20_000, || socket.connect(loopback()).expect("an address"))
}

/// Without a farewell, so that no port stays in TIME_WAIT.
fn tcp_cycle() -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has one");
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    timed(3_000, || {
        let client = TcpStream::connect(address).expect("we listen");
        let server = listener.accept().expect("we connected");
        // SAFETY: a `linger` and its length.
        unsafe {
            libc::setsockopt(
                client.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_LINGER,
                (&raw const linger).cast(),
                size_of_val(&linger) as u32,
            );
        }
        drop((client, server));
    })
}

fn other_call() -> f64 {
    timed(200_000, || {
        // SAFETY: asks for a number.
        unsafe { libc::syscall(libc::SYS_getppid) };
    })
}

fn repeat_send(to: SocketAddr) -> f64 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.connect(to).expect("an address");
    timed(20_000, || {
        socket.send(b"one more").expect("it is connected");
    })
}

fn repeat_send_to(to: SocketAddr) -> f64 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    timed(20_000, || {
        socket.send_to(b"one more", to).expect("an address");
    })
}

/// A write of 200 bytes over an open connection, and the read of it.
fn exchange() -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut client = TcpStream::connect(listener.local_addr().expect("it has one")).expect("we listen");
    let (mut server, _) = listener.accept().expect("we connected");
    client.set_nodelay(true).expect("an option");
    let mut bytes = [7; 200];
    timed(20_000, || {
        client.write_all(&bytes).expect("it is read");
        server.read_exact(&mut bytes).expect("it was written");
    })
}
