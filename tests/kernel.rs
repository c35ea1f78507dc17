//! The kernel half, in this machine's kernel: what one process does, and what is told of it.
//!
//! Each test has a probe of its own, which sees one process and its children. What everyone else does must not show up.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::thread::{self, JoinHandle};

use auditor_common::event::{Closed, HEAD_MAX, PacketHead, flag};
use auditor_common::maps::Owner;
use auditor_tests::kernel_probe::{Balance, Watched, alone};
use auditor_tests::{a_daemon, lengths_of_calls, require};
use auditor_userspace::decode::Event;
use auditor_userspace::probe::{HookStatus, Options, Overflows, Probe};

const SCENARIOS: &str = env!("CARGO_BIN_EXE_kernel-scenarios");

/// A port of loopback at which nobody listens, for as long as the socket lives.
fn refusing() -> (SocketAddr, UdpSocket) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = socket.local_addr().expect("it has one");
    (address, socket)
}

/// Serves one connection: reads it to its end, and answers 2345 bytes. Gives what it read.
fn server(at: &str) -> (SocketAddr, JoinHandle<usize>) {
    let listener = TcpListener::bind(at).expect("a port");
    let address = listener.local_addr().expect("it has one");
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the child connects");
        let mut question = Vec::new();
        stream.read_to_end(&mut question).expect("the child writes");
        stream.write_all(&[1; 2345]).expect("the child reads");
        question.len()
    });
    (address, served)
}

/// Answers the first datagram of at least one byte with 1500 bytes.
fn echo(at: &str) -> SocketAddr {
    let socket = UdpSocket::bind(at).expect("a port");
    let address = socket.local_addr().expect("it has one");
    thread::spawn(move || {
        let mut datagram = [0; 2000];
        let (_, peer) = socket.recv_from(&mut datagram).expect("the child sends");
        socket.send_to(&[3; 1500], peer).expect("the child is there");
        // Whatever else comes is taken, until nobody has the test's process any more.
        while socket.recv(&mut datagram).is_ok() {}
    });
    address
}

fn netns_of(process: &str) -> u32 {
    let inode = fs::metadata(format!("/proc/{process}/ns/net")).expect("a process").ino();
    u32::try_from(inode).expect("namespaces have small numbers")
}

fn closed(watched: &Watched) -> Vec<&Closed> {
    let of = |event| match event {
        &Event::Closed(ref it) | &Event::Released(ref it) => Some(it),
        _ => None,
    };
    watched.events.iter().filter_map(of).collect()
}

/// Everything that is told of one scenario with one peer, whose port is called `peer`.
#[track_caller]
fn check(scenario: &str, peer: SocketAddr, story: &[&str]) -> Watched {
    let mut watched = Watched::start(SCENARIOS, &[scenario, &peer.to_string()]);
    watched.name_port(peer.port(), "peer");
    let balance = watched.finish();
    if watched.facts.contains_key("port") {
        watched.name_ports(&["port"]);
    }
    assert_eq!(watched.story(), story);
    assert_eq!(balance, Balance { received: story.len() as u64, lost: 0 });
    watched
}

#[test]
fn a_connection_is_told_from_the_attempt_to_the_end() {
    require!(a_daemon());
    let (peer, served) = server("127.0.0.1:0");
    let watched = check(
        "tcp",
        peer,
        &[
            "child connects tcp 127.0.0.1:peer #0",
            "child established tcp 127.0.0.1:port with 127.0.0.1:peer",
            "child closed 1000/2345 later",
            "child exits 0x0",
        ],
    );
    assert_eq!((served.join().expect("it served"), watched.fact("received")), (1000, 2345));
    let Event::Connect(connect) = watched.events[0] else { panic!("checked above") };
    assert_eq!(connect.key.cookie, watched.fact("cookie"), "the cookie is the one that the process itself sees");
    assert_eq!(connect.key.netns, netns_of("self"));
    assert_eq!((connect.header.tid, connect.header.flags), (watched.tgid(), 0));
    for event in &watched.events {
        assert_eq!(event.header().process_start_ns, connect.header.process_start_ns, "one process, one start");
    }
    let [_, Event::Established(established), Event::Closed(closed), ..] = &watched.events[..] else {
        panic!("checked above")
    };
    assert_eq!((established.key, closed.key), (connect.key, connect.key));
    assert_eq!(closed.header.flags, flag::INTERRUPT | flag::MEASURED);
    assert!(connect.header.boot_ns < established.header.boot_ns && established.header.boot_ns < closed.header.boot_ns);
}

#[test]
fn a_refused_connection_ends_with_its_error() {
    require!(a_daemon());
    let (peer, _kept) = refusing();
    let told =
        ["child connects tcp 127.0.0.1:peer #0", "child closed 0/0 errno 111 before it came to be", "child exits 0x0"];
    assert_eq!(check("tcp-refused", peer, &told).fact("errno"), 111);
}

#[test]
fn a_connection_without_a_route_ends_before_it_was_tried() {
    require!(a_daemon());
    let mut watched = Watched::start(SCENARIOS, &["tcp-unroutable"]);
    let netns = netns_of(&watched.tgid().to_string());
    watched.finish();
    let told = ["child connects tcp 192.0.2.1:80 #0", "child closed 0/0 before it was tried", "child exits 0x0"];
    assert_eq!(watched.story(), told);
    assert_eq!(watched.fact("errno"), 101);
    assert_ne!(netns, netns_of("self"));
    assert_eq!(closed(&watched)[0].key.netns, netns, "the socket's namespace, not the auditor's");
}

#[test]
fn a_second_connection_on_one_socket_is_another_flow() {
    require!(a_daemon());
    let ((refused, _kept), (peer, served)) = (refusing(), server("127.0.0.1:0"));
    let mut watched = Watched::start(SCENARIOS, &["tcp-twice", &refused.to_string(), &peer.to_string()]);
    watched.name_port(refused.port(), "refused");
    watched.name_port(peer.port(), "peer");
    watched.finish();
    served.join().expect("it served");
    let story = watched.story();
    assert_eq!(story[0], "child connects tcp 127.0.0.1:refused #0");
    assert_eq!(story[1], "child closed 0/0 errno 111 before it came to be");
    assert_eq!(story[2], "child connects tcp 127.0.0.1:peer #1");
    assert_eq!(story[4..], ["child closed 1000/2345 later", "child exits 0x0"]);
    let generations: Vec<u32> = closed(&watched).iter().map(|closed| closed.key.generation).collect();
    assert_eq!(generations, [0, 1]);
}

#[test]
fn ipv6_and_ipv4_in_ipv6_are_told_in_their_own_form() {
    require!(a_daemon());
    let (peer, _served) = server("[::1]:0");
    check(
        "tcp",
        peer,
        &[
            "child connects tcp6 ::1:peer #0",
            "child established tcp ::1:port with ::1:peer",
            "child closed 1000/2345 later",
            "child exits 0x0",
        ],
    );
    let (peer, _served) = server("127.0.0.1:0");
    let mapped = SocketAddr::new("::ffff:127.0.0.1".parse().expect("an address"), peer.port());
    check(
        "tcp",
        mapped,
        &[
            "child connects tcp6 127.0.0.1:peer #0",
            "child established tcp 127.0.0.1:port with 127.0.0.1:peer",
            "child closed 1000/2345 later",
            "child exits 0x0",
        ],
    );
}

#[test]
fn a_connection_that_begins_with_a_send_is_seen() {
    require!(a_daemon());
    let (peer, served) = server("127.0.0.1:0");
    let mut watched = Watched::start(SCENARIOS, &["tcp-fast-open", &peer.to_string()]);
    watched.name_port(peer.port(), "peer");
    watched.finish();
    assert_eq!(served.join().expect("it served"), 1010);
    let story = watched.story();
    assert_eq!(story[0], "child connects tcp 127.0.0.1:peer #0");
    assert_eq!(story[2..], ["child closed 1010/2345 later", "child exits 0x0"]);
}

#[test]
fn datagrams_of_a_connected_socket_are_counted() {
    require!(lengths_of_calls());
    let told = ["child connects udp 127.0.0.1:peer #0", "child released 123/1500", "child exits 0x0"];
    let watched = check("udp-connected", echo("127.0.0.1:0"), &told);
    let Event::Connect(connect) = watched.events[0] else { panic!("checked above") };
    assert_eq!(connect.key.cookie, watched.fact("cookie"));
    assert_eq!(connect.header.flags, flag::MEASURED);
    let told = ["child connects udp6 ::1:peer #0", "child released 123/1500", "child exits 0x0"];
    check("udp-connected", echo("[::1]:0"), &told);
}

/// Whether this kernel takes the programs that see packets.
fn packets() -> Result<(), String> {
    a_daemon()?;
    let probe = Probe::load(&alone()).map_err(|error| error.to_string())?;
    let reason = |hook: HookStatus| hook.reason().map(|why| format!("{} is not active: {why}", hook.name));
    let missing = probe.coverage().into_iter().filter(|hook| hook.name.starts_with("skb_")).find_map(reason);
    missing.map_or(Ok(()), Err)
}

/// What is told of packets, and their bytes.
fn heads(watched: &Watched) -> Vec<&PacketHead> {
    let of = |event| match event {
        &Event::Answer(ref it) | &Event::Hello(ref it) => Some(&**it),
        _ => None,
    };
    watched.events.iter().filter_map(of).collect()
}

#[test]
fn what_a_name_server_answers_is_told_before_it_is_read() {
    require!(lengths_of_calls());
    require!(packets());
    for (at, family) in [("127.77.0.1:53", "udp"), ("[::1]:53", "udp6")] {
        let ip = at.rsplit_once(':').expect("a port").0.trim_matches(['[', ']']);
        let told = [
            &format!("child connects {family} {ip}:peer #0") as &str,
            &format!("child is answered udp {ip}:peer 1500"),
            "child released 123/1500",
            "child exits 0x0",
        ];
        let watched = check("udp-connected", echo(at), &told);
        let head = heads(&watched)[0];
        assert_eq!(head.bytes[..1500], [3; 1500]);
        assert_eq!(head.bytes[1500..], [0; HEAD_MAX - 1500], "nothing of an earlier sample");
        assert_eq!((head.key.cookie, head.header.flags), (watched.fact("cookie"), flag::INTERRUPT));
    }
}

#[test]
fn a_name_server_that_was_not_connected_to_is_named_by_its_packet() {
    require!(lengths_of_calls());
    require!(packets());
    let peer = echo("127.77.0.2:53");
    let told = [
        "child sends udp 127.77.0.2:peer #0",
        "child is answered udp 127.77.0.2:peer 1500",
        "child released 40/1500",
        "child exits 0x0",
    ];
    check("udp-ask", peer, &told);
}

#[test]
fn of_a_long_answer_over_tcp_the_beginning_is_told() {
    require!(packets());
    let (peer, served) = server("127.77.0.3:53");
    let watched = check(
        "tcp",
        peer,
        &[
            "child connects tcp 127.77.0.3:peer #0",
            "child established tcp 127.0.0.1:port with 127.77.0.3:peer",
            "child is answered tcp 127.77.0.3:peer 2048",
            "child closed 1000/2345 later",
            "child exits 0x0",
        ],
    );
    served.join().expect("it served");
    assert_eq!(heads(&watched)[0].bytes, [1; HEAD_MAX]);
}

#[test]
fn how_a_handshake_begins_is_told_once_for_each_connection() {
    require!(packets());
    for (at, family, local) in [("127.0.0.1:0", "tcp", "127.0.0.1"), ("[::1]:0", "tcp6", "::1")] {
        let (peer, served) = server(at);
        let told = [
            &format!("child connects {family} {local}:peer #0") as &str,
            &format!("child established tcp {local}:port with {local}:peer"),
            &format!("child greets tcp {local}:peer 605"),
            "child closed 1222/2345 later",
            "child exits 0x0",
        ];
        let watched = check("tcp-greets", peer, &told);
        assert_eq!(served.join().expect("it served"), 1222);
        let head = heads(&watched)[0];
        assert_eq!((&head.bytes[..6], &head.bytes[6..605]), (&[0x16, 3, 1, 2, 0x58, 1][..], &[7; 599][..]));
        assert_eq!(head.bytes[605..], [0; HEAD_MAX - 605]);
        assert_eq!(head.key.cookie, watched.fact("cookie"));
    }
}

#[test]
fn another_destination_is_another_flow_with_the_bytes_of_the_one_before() {
    require!(lengths_of_calls());
    let mapped = |(address, socket): (SocketAddr, UdpSocket)| {
        (SocketAddr::new("::ffff:127.0.0.1".parse().expect("an address"), address.port()), socket)
    };
    for (family, (first, _one), (second, _other)) in
        [("udp", refusing(), refusing()), ("udp6", mapped(refusing()), mapped(refusing()))]
    {
        let mut watched = Watched::start(SCENARIOS, &["udp-to-two", &first.to_string(), &second.to_string()]);
        watched.name_port(first.port(), "first");
        watched.name_port(second.port(), "second");
        watched.finish();
        let told = [
            format!("child sends {family} 127.0.0.1:first #0"),
            format!("child sends {family} 127.0.0.1:second #1, before 21/0"),
            format!("child sends {family} 127.0.0.1:first #2, before 5/0"),
            "child released 7/0".to_owned(),
            "child exits 0x0".to_owned(),
        ];
        assert_eq!(watched.story(), told);
    }
}

#[test]
fn a_datagram_server_is_inbound() {
    require!(lengths_of_calls());
    let mut watched = Watched::start(SCENARIOS, &["udp-server"]);
    watched.go();
    let client = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let server = SocketAddr::new("127.0.0.1".parse().expect("an address"), watched.fact("server") as u16);
    client.send_to(b"seven!!", server).expect("it is there");
    watched.finish();
    assert_eq!(client.recv(&mut [0; 100]).expect("it answered"), 9);
    watched.name_ports(&["server", "peer"]);
    let told = [
        "child uses udp 127.0.0.1:server with nobody, inbound",
        "child sends udp 127.0.0.1:peer #1, before 0/7, inbound",
        "child released 9/0, inbound",
        "child exits 0x0",
    ];
    assert_eq!(watched.story(), told);
}

#[test]
fn a_look_at_a_datagram_is_not_a_receipt() {
    require!(lengths_of_calls());
    // The peer's 1500 bytes are looked at once, and then taken into a buffer of 40.
    let told = ["child connects udp 127.0.0.1:peer #0", "child released 1/40", "child exits 0x0"];
    check("udp-peek", echo("127.0.0.1:0"), &told);
}

#[test]
fn after_silence_a_datagram_flow_begins_anew() {
    require!(lengths_of_calls());
    let (peer, _kept) = refusing();
    let options = Options { silence_ns: 100_000_000, ..alone() };
    let mut watched = Watched::with(&options, SCENARIOS, &["udp-silence", &peer.to_string()]);
    watched.name_port(peer.port(), "peer");
    watched.finish();
    let told = [
        "child connects udp 127.0.0.1:peer #0",
        "child sends udp 127.0.0.1:peer #0",
        "child sends udp 127.0.0.1:peer #1, before 3/0",
        "child sends udp 127.0.0.1:peer #1, before 3/0",
        "child released 4/0",
        "child released 4/0",
        "child exits 0x0",
    ];
    assert_eq!(watched.story(), told);
}

#[test]
fn what_was_open_before_is_told_at_its_first_use() {
    require!(lengths_of_calls());
    let (peer, _served) = server("127.0.0.1:0");
    let told = [
        "child uses tcp 127.0.0.1:port with 127.0.0.1:peer, opened before",
        "child closed 1000/2345 later",
        "child exits 0x0",
    ];
    check("tcp-before", peer, &told);
    let (peer, _kept) = refusing();
    let mut watched = Watched::start(SCENARIOS, &["udp-before", &peer.to_string()]);
    watched.name_port(peer.port(), "peer");
    watched.finish();
    let story = watched.story();
    assert!(
        story[0].starts_with("child uses udp 127.0.0.1:") && story[0].ends_with("with 127.0.0.1:peer, opened before")
    );
    assert_eq!(story[1], "child sends udp 127.0.0.1:peer #0, opened before");
    let mut ends = story[2..4].to_vec();
    ends.sort();
    assert_eq!(ends, ["child released 6/0", "child released 8/0"]);
}

/// A connection to a scenario that serves: asks 1000 bytes, reads the answer.
fn ask(watched: &mut Watched) {
    let port = watched.fact("listener") as u16;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.write_all(&[5; 1000]).expect("it reads");
    stream.shutdown(std::net::Shutdown::Write).expect("it is connected");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it writes");
    assert_eq!(answer.len(), 2345);
}

#[test]
fn an_inbound_connection_belongs_to_the_worker_that_uses_it() {
    require!(lengths_of_calls());
    let mut watched = Watched::start(SCENARIOS, &["serve"]);
    watched.go();
    ask(&mut watched);
    watched.finish();
    watched.name_ports(&["listener", "peer"]);
    watched.name_processes(&["worker"]);
    let story = watched.story();
    for line in [
        "child listens tcp 127.0.0.1:listener with nobody",
        "child has worker",
        // Nobody has accepted it yet, so it is the listener's.
        "child established tcp 127.0.0.1:listener with 127.0.0.1:peer, inbound",
        "worker uses tcp 127.0.0.1:listener with 127.0.0.1:peer, inbound",
        "worker closed 2345/1000 later, inbound",
        "worker exits 0x0",
        "child exits 0x0",
    ] {
        assert_eq!(story.iter().filter(|told| *told == line).count(), 1, "{line}\nin {story:#?}");
    }
    assert_eq!(story.len(), 7, "{story:#?}");
    assert_eq!(closed(&watched)[0].key.cookie, watched.fact("cookie"));
}

#[test]
fn a_listener_from_before_is_known_when_it_is_told_of() {
    require!(lengths_of_calls());
    for told in [true, false] {
        let mut watched = Watched::start(SCENARIOS, &["serve-before"]);
        if told {
            let owner = Owner { tgid: watched.tgid(), ..Owner::default() };
            watched.probe.listen(netns_of("self"), watched.fact("listener") as u16, owner).expect("there is room");
        }
        watched.go();
        ask(&mut watched);
        watched.finish();
        watched.name_ports(&["listener", "peer"]);
        watched.name_processes(&["worker"]);
        let story = watched.story();
        let arrived = "child established tcp 127.0.0.1:listener with 127.0.0.1:peer, inbound".to_owned();
        let used = "worker uses tcp 127.0.0.1:listener with 127.0.0.1:peer";
        assert_eq!(story.contains(&arrived), told, "{story:#?}");
        // Without a word about the listener, the connection is one that was there: nobody knows who opened it.
        let how = if told { "inbound" } else { "opened before" };
        assert!(story.contains(&format!("{used}, {how}")), "{story:#?}");
        assert_eq!(closed(&watched)[0].received, 1000, "{story:#?}");
    }
}

#[test]
fn what_comes_in_and_is_never_accepted_is_told_and_forgotten() {
    require!(a_daemon());
    let options = Options { sockets: 16, ..alone() };
    let mut watched = Watched::with(&options, SCENARIOS, &["listen"]);
    watched.go();
    for _ in 0..100 {
        let stream = TcpStream::connect(("127.0.0.1", watched.fact("listener") as u16)).expect("it listens");
        reset(stream);
    }
    watched.go();
    watched.finish();
    watched.name_ports(&["listener"]);
    let story = watched.story();
    let count = |what: &str| story.iter().filter(|line| line.starts_with(what)).count();
    assert_eq!(count("child established tcp 127.0.0.1:listener with 127.0.0.1:"), 100);
    assert_eq!(count("child closed 0/0 errno 104 later, inbound"), 100);
    assert_eq!(watched.probe.overflows().expect("the counters"), Overflows::default());
}

/// Closes without a farewell.
fn reset(stream: TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let length = size_of_val(&linger) as u32;
    // SAFETY: a `linger` and its length.
    let answer = unsafe {
        let option = (&raw const linger).cast();
        libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, option, length)
    };
    assert_eq!(answer, 0);
}

#[test]
fn a_port_that_somebody_else_took_over_is_not_ours() {
    require!(a_daemon());
    let mut watched = Watched::start(SCENARIOS, &["listen"]);
    watched.go();
    watched.go();
    let address = ("127.0.0.1", watched.fact("listener") as u16);
    let listener = TcpListener::bind(address).expect("the port is free again");
    let _both = (TcpStream::connect(address).expect("we listen"), listener.accept().expect("we connected"));
    watched.finish();
    watched.name_ports(&["listener"]);
    assert_eq!(watched.story(), ["child listens tcp 127.0.0.1:listener with nobody", "child exits 0x0"]);
}

#[test]
fn children_are_followed_and_threads_are_not_children() {
    require!(a_daemon());
    let mut watched = Watched::start(SCENARIOS, &["family"]);
    watched.finish();
    watched.name_processes(&["ends", "killed"]);
    let told = [
        "child has ends",
        "ends becomes kernel-scenario 3",
        "ends exits 0x700",
        "child has killed",
        "killed becomes kernel-scenario 2",
        "killed exits 0x9",
        "child exits 0x0",
    ];
    assert_eq!(watched.story(), told);
    let starts: BTreeMap<u32, u64> = watched
        .events
        .iter()
        .filter_map(
            |event| if let Event::Fork(fork) = event { Some((fork.child_tgid, fork.child_start_ns)) } else { None },
        )
        .collect();
    for event in watched.events.iter().filter(|event| event.header().tgid != watched.tgid()) {
        let header = event.header();
        assert_eq!(starts.get(&header.tgid), Some(&header.process_start_ns), "an exec does not change who it is");
    }
    let Event::Exec(exec) = watched.events[1] else { panic!("checked above") };
    let filename = String::from_utf8_lossy(&exec.filename);
    let filename = filename.trim_end_matches('\0');
    assert!(SCENARIOS.starts_with(filename) && filename.len() >= SCENARIOS.len().min(119), "{filename}");
}

#[test]
fn a_process_ends_with_its_last_thread() {
    require!(a_daemon());
    let mut watched = Watched::start(SCENARIOS, &["leader-ends-first"]);
    watched.let_go();
    watched.wait_for("child exits");
    let told = ["child connects udp 127.0.0.1:9 #0", "child released 0/0", "child exits 0x500"];
    let mut story = watched.story();
    story.sort();
    assert_eq!(story, {
        let mut sorted = told;
        sorted.sort_unstable();
        sorted
    });
    let Event::Connect(connect) = watched.events[0] else { panic!("the first is the connect") };
    assert_ne!(connect.header.tid, watched.tgid(), "another thread than the first");
}

#[test]
fn a_fork_says_what_the_parent_calls_itself() {
    require!(a_daemon());
    let mut watched = Watched::start(SCENARIOS, &["pid-namespace"]);
    watched.finish();
    let forks: Vec<(u32, u32)> = watched
        .events
        .iter()
        .filter_map(
            |event| if let Event::Fork(fork) = event { Some((fork.header.tid, fork.parent_ns_tid)) } else { None },
        )
        .collect();
    let (outside, init) = (watched.tgid(), watched.fact("init") as u32);
    assert_eq!(forks, [(outside, outside), (init, 1)]);
}

#[test]
fn a_candidate_is_flagged_until_it_is_confirmed() {
    require!(a_daemon());
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("odoo-look-alike");
    fs::copy(SCENARIOS, &program).expect("a copy");
    let (peer, _kept) = refusing();
    let options = Options { candidates: true, ..alone() };
    let program = program.to_str().expect("text");
    let mut watched = Watched::unaudited(&options, program, &["steps", &peer.to_string()]);
    watched.name_port(peer.port(), "peer");
    watched.read_facts();
    watched.wait_for("child released");
    let tgid = watched.tgid();
    let Some(Event::Exec(exec)) = watched.events.iter().find(|event| event.header().tgid == tgid).cloned() else {
        panic!("{:#?}", watched.story())
    };
    assert!(watched.probe.confirm(tgid, exec.header.process_start_ns).expect("the table"));
    watched.go();
    watched.probe.forget(tgid).expect("the table");
    watched.finish();
    watched.name_processes(&["child"]);
    // Other programs of this machine may be candidates as well.
    let mut story = watched.story();
    story.retain(|line| line.starts_with("child"));
    let told = [
        "child becomes odoo-look-alike 3, candidate",
        "child connects udp 127.0.0.1:peer #0, candidate",
        "child released 0/0, candidate",
        "child connects udp 127.0.0.1:peer #0",
        "child released 0/0",
    ];
    assert_eq!(story, told, "and nothing after it was forgotten");
}

#[test]
fn of_a_forgotten_process_nothing_more_is_told() {
    require!(a_daemon());
    let mut watched = Watched::start(SCENARIOS, &["serve"]);
    watched.go();
    let before = ["child listens tcp 127.0.0.1:listener with nobody", "child has worker"];
    watched.balance();
    watched.name_ports(&["listener"]);
    watched.name_processes(&["worker"]);
    assert_eq!(watched.story(), before);
    let tgid = watched.tgid();
    watched.probe.forget(tgid).expect("the table");
    watched.probe.forget(watched.fact("worker") as u32).expect("the table");
    ask(&mut watched);
    watched.finish();
    assert_eq!(watched.story(), before, "its connections are nobody's business any more");
}

#[test]
fn a_candidates_child_is_a_candidate() {
    require!(a_daemon());
    let (peer, _kept) = refusing();
    let options = Options { audit_all_execs: true, ..alone() };
    let mut watched = Watched::unaudited(&options, SCENARIOS, &["steps", &peer.to_string()]);
    watched.name_port(peer.port(), "peer");
    let parent = watched.tgid();
    watched.read_facts();
    watched.go();
    watched.finish();
    let grandchild = watched.fact("child") as u32;
    let of_child: Vec<bool> = watched
        .events
        .iter()
        .filter(|event| event.header().tgid == grandchild)
        .map(|event| event.header().flags & flag::CANDIDATE != 0)
        .collect();
    assert!(of_child.len() >= 2 && of_child.iter().all(|&flagged| flagged), "{of_child:?}");
    let becomes =
        watched.events.iter().filter(|event| matches!(event, Event::Exec(_)) && event.header().tgid == parent);
    assert_eq!(becomes.count(), 1, "an exec of any name makes a candidate");
}

#[test]
fn a_number_that_is_another_process_now_is_not_audited() {
    require!(a_daemon());
    let (peer, _kept) = refusing();
    let mut watched = Watched::unaudited(&alone(), SCENARIOS, &["steps", &peer.to_string()]);
    watched.read_facts();
    let listed = watched.probe.processes().expect("the list");
    let start = listed.iter().find(|process| process.tgid == watched.tgid()).expect("it is there").start_ns;
    // Another start, as of a process that had this number before.
    watched.probe.audit(watched.tgid(), start - 20_000_000).expect("there is room");
    watched.go();
    assert_eq!(watched.balance(), Balance { received: 0, lost: 0 });
    // The same as `/proc` says it.
    watched.probe.audit(watched.tgid(), start / 10_000_000 * 10_000_000).expect("there is room");
    let balance = watched.finish();
    assert!(balance.received > 0);
    assert_eq!(watched.events[0].header().process_start_ns, start, "events say it exactly");
}

/// A burst, and the sum: what arrived and what is counted as lost is what was made.
#[track_caller]
fn burst(ring_bytes: u32, scenario: &[&str], numbered: u64) -> Balance {
    // A table for few sockets: what has ended must make room, however it ended.
    let options = Options { ring_bytes, sockets: 64, ..alone() };
    let mut watched = Watched::with(&options, SCENARIOS, scenario);
    let balance = watched.finish();
    assert_eq!(balance.received + balance.lost, numbered);
    assert_eq!(watched.probe.overflows().expect("the counters"), Overflows::default());
    balance
}

#[test]
fn fifty_thousand_datagram_connects_are_all_accounted_for() {
    require!(a_daemon());
    let scenario = ["udp-burst", "50000", "127.0.0.1:9"];
    let numbered = 50_000 + 2; // released, exits
    assert_eq!(burst(64 << 20, &scenario, numbered).lost, 0);
    assert!(burst(64 << 10, &scenario, numbered).lost > 0, "a full ring becomes a gap");
}

#[test]
fn twenty_thousand_connections_are_all_accounted_for() {
    require!(a_daemon());
    let scenario = ["tcp-burst", "20000"];
    // Each: attempt, established and closed at one end, the same without the attempt at the other. Listens, exits.
    let numbered = 20_000 * 5 + 2;
    assert_eq!(burst(64 << 20, &scenario, numbered).lost, 0);
    assert!(burst(64 << 10, &scenario, numbered).lost > 0, "a full ring becomes a gap");
}

#[test]
fn a_full_table_of_sockets_is_counted() {
    require!(a_daemon());
    let options = Options { sockets: 16, ..alone() };
    let mut watched = Watched::with(&options, SCENARIOS, &["udp-sockets", "50", "127.0.0.1:9"]);
    watched.finish();
    let story = watched.story();
    let count = |what: &str| story.iter().filter(|line| line.starts_with(what)).count() as u64;
    let overflows = watched.probe.overflows().expect("the counters");
    assert_eq!(count("child connects"), 50, "every attempt is told");
    assert!(overflows.sockets > 0);
    assert_eq!(count("child released") + overflows.sockets, 50, "and every end that is not");
}

#[test]
fn a_full_table_of_processes_is_counted() {
    require!(a_daemon());
    let options = Options { processes: 1, ..alone() };
    let mut watched = Watched::with(&options, SCENARIOS, &["family"]);
    watched.finish();
    watched.name_processes(&["ends", "killed"]);
    assert_eq!(watched.story(), ["child has ends", "child has killed", "child exits 0x0"]);
    assert_eq!(watched.probe.overflows().expect("the counters").processes, 2);
}

#[test]
fn the_kernels_table_says_what_a_socket_has_moved() {
    require!(lengths_of_calls());
    let (peer, _kept) = refusing();
    let mut watched = Watched::start(SCENARIOS, &["udp-hold", &peer.to_string()]);
    watched.go();
    watched.balance();
    let known = watched.probe.socket(watched.fact("cookie")).expect("it is open");
    assert_eq!((known.generation, known.sent, known.received), (1, Some(12), Some(0)));
    assert!(known.last_ns >= watched.events.last().expect("two events").header().boot_ns);
    watched.finish();
    assert_eq!(watched.probe.socket(watched.fact("cookie")), None, "it has ended");
}
