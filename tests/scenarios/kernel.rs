//! Traffic for tests of the kernel half: one process that does one thing, and says what it did.
//!
//! `kernel-scenarios NAME [ARGUMENT…]`. A scenario prints `fact VALUE` lines. Where it pauses it prints `ready`, and
//! goes on at the next line of its input; so a test can look at it, and have it audited, before it acts.

mod guards;

use std::{
    env,
    io::{Read as _, Write as _, stdin, stdout},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsRawFd, FromRawFd as _, OwnedFd},
    process::{Command, exit},
    thread,
    time::Duration,
};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let address = |at: usize| -> SocketAddr { arguments[at].parse().expect("an address") };
    let number = |at: usize| -> u32 { arguments[at].parse().expect("a number") };
    match arguments[0].as_str() {
        "tcp" => tcp(address(1)),
        "tcp-refused" => tcp_refused(address(1)),
        "tcp-unroutable" => tcp_unroutable(),
        "tcp-twice" => tcp_twice(address(1), address(2)),
        "tcp-fast-open" => tcp_fast_open(address(1)),
        "tcp-greets" => tcp_greets(address(1)),
        "tcp-before" => tcp_before(address(1)),
        "tcp-burst" => tcp_burst(number(1)),
        "serve" => serve(false),
        "listen" => listen(),
        "serve-before" => serve(true),
        "udp-ask" => udp_ask(address(1)),
        "udp-connected" => udp_connected(address(1)),
        "udp-to-two" => udp_to_two(address(1), address(2)),
        "udp-server" => udp_server(),
        "udp-peek" => udp_peek(address(1)),
        "udp-silence" => udp_silence(address(1)),
        "udp-before" => udp_before(address(1)),
        "udp-hold" => udp_hold(address(1)),
        "udp-burst" => udp_burst(number(1), address(2)),
        "udp-sockets" => udp_sockets(number(1), address(2)),
        "family" => family(),
        "leader-ends-first" => leader_ends_first(),
        "pid-namespace" => pid_namespace(),
        "exit" => exit(number(1) as i32),
        "sleep" => thread::sleep(Duration::from_secs(60)),
        "steps" => steps(address(1)),
        other => guards::scenario(other),
    }
}

fn fact(name: &str, value: impl std::fmt::Display) {
    println!("{name} {value}");
}

/// Waits for the test.
fn pause() {
    println!("ready");
    stdout().flush().expect("the test reads");
    // The test says one word at a time, so no child inherits what its parent has read too much.
    let mut word = String::new();
    stdin().read_line(&mut word).expect("text");
    assert_eq!(word, "go\n", "the test says go");
}

fn cookie(socket: &impl AsRawFd) -> u64 {
    let (mut cookie, mut length) = (0_u64, 8);
    // SAFETY: eight bytes for the answer, and their length.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    assert_eq!(answer, 0);
    cookie
}

fn any_udp(peer: SocketAddr) -> UdpSocket {
    UdpSocket::bind(if peer.is_ipv4() { "127.0.0.1:0" } else { "[::]:0" }).expect("a socket")
}

/// A thousand bytes out, all that comes back in.
fn talk(mut stream: &TcpStream) {
    stream.write_all(&[7; 1000]).expect("the peer reads");
    stream.shutdown(std::net::Shutdown::Write).expect("it is connected");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the peer writes");
    fact("received", answer.len());
}

fn tcp(peer: SocketAddr) {
    pause();
    let stream = TcpStream::connect(peer).expect("a server");
    fact("cookie", cookie(&stream));
    fact("port", stream.local_addr().expect("it has one").port());
    talk(&stream);
}

/// Twice what looks like a TLS ClientHello of 600 bytes, with other things before, between and behind.
fn tcp_greets(peer: SocketAddr) {
    pause();
    let mut stream = TcpStream::connect(peer).expect("a server");
    stream.set_nodelay(true).expect("an option");
    fact("cookie", cookie(&stream));
    fact("port", stream.local_addr().expect("it has one").port());
    let mut hello = vec![7; 605];
    hello[..6].copy_from_slice(&[0x16, 3, 1, 2, 0x58, 1]);
    for piece in [&b"STARTTLS"[..], &hello, &[0x16, 3, 1], &hello, &[7]] {
        stream.write_all(piece).expect("the peer reads");
    }
    stream.shutdown(std::net::Shutdown::Write).expect("it is connected");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the peer writes");
    fact("received", answer.len());
}

fn tcp_refused(peer: SocketAddr) {
    pause();
    fact("errno", TcpStream::connect(peer).expect_err("nobody listens").raw_os_error().unwrap_or(0));
}

fn tcp_unroutable() {
    // SAFETY: a process without threads of its own.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "a network namespace");
    pause();
    let error = TcpStream::connect("192.0.2.1:80").expect_err("there is no way out of an empty namespace");
    fact("errno", error.raw_os_error().unwrap_or(0));
}

fn raw_socket(kind: i32) -> OwnedFd {
    // SAFETY: makes a descriptor, which is owned at once.
    unsafe {
        let socket = libc::socket(libc::AF_INET, kind, 0);
        assert!(socket >= 0, "a socket");
        OwnedFd::from_raw_fd(socket)
    }
}

fn sockaddr(address: SocketAddr) -> libc::sockaddr_in {
    let SocketAddr::V4(address) = address else { panic!("an IPv4 address") };
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
        sin_zero: [0; 8],
    }
}

fn raw_connect(socket: &impl AsRawFd, address: SocketAddr) -> i32 {
    let address = sockaddr(address);
    // SAFETY: a `sockaddr_in` and its length.
    unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), size_of_val(&address) as u32) }
}

fn tcp_twice(refused: SocketAddr, peer: SocketAddr) {
    pause();
    let socket = raw_socket(libc::SOCK_STREAM);
    assert_eq!(raw_connect(&socket, refused), -1, "nobody listens");
    assert_eq!(raw_connect(&socket, peer), 0, "a server");
    talk(&TcpStream::from(socket));
}

fn tcp_fast_open(peer: SocketAddr) {
    pause();
    let socket = raw_socket(libc::SOCK_STREAM);
    let (address, bytes) = (sockaddr(peer), [1_u8; 10]);
    // SAFETY: ten bytes, a `sockaddr_in`, and their lengths.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            libc::MSG_FASTOPEN,
            (&raw const address).cast(),
            size_of_val(&address) as u32,
        )
    };
    assert_eq!(sent, 10);
    talk(&TcpStream::from(socket));
}

fn tcp_before(peer: SocketAddr) {
    let stream = TcpStream::connect(peer).expect("a server");
    fact("cookie", cookie(&stream));
    fact("port", stream.local_addr().expect("it has one").port());
    pause();
    talk(&stream);
}

/// Connect, accept, and close without a farewell, so that no port stays in TIME_WAIT.
fn tcp_burst(cycles: u32) {
    pause();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has one");
    for _ in 0..cycles {
        let client = TcpStream::connect(address).expect("we listen");
        let (server, _) = listener.accept().expect("we connected");
        linger_zero(&client);
        drop(client);
        drop(server);
    }
    fact("made", cycles);
}

fn linger_zero(socket: &impl AsRawFd) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    // SAFETY: a `linger` and its length.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of_val(&linger) as u32,
        )
    };
    assert_eq!(answer, 0);
}

/// A child serves one connection, as Odoo's workers do: the parent listens, the child accepts.
fn serve(listens_before: bool) {
    if !listens_before {
        pause();
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    fact("listener", listener.local_addr().expect("it has one").port());
    if listens_before {
        pause();
    }
    let worker = fork(|| {
        let (mut stream, peer) = listener.accept().expect("the test connects");
        fact("peer", peer.port());
        fact("cookie", cookie(&stream));
        let mut question = Vec::new();
        stream.read_to_end(&mut question).expect("the test writes");
        stream.write_all(&[9; 2345]).expect("the test reads");
        fact("received", question.len());
    });
    fact("worker", worker);
    pause();
    assert_eq!(wait(worker), 0);
}

/// Listens, and accepts nothing; and then listens no more.
fn listen() {
    pause();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    fact("listener", listener.local_addr().expect("it has one").port());
    pause();
    drop(listener);
    pause();
}

/// Runs `child` in a child process, which ends then.
fn fork(child: impl FnOnce()) -> i32 {
    stdout().flush().expect("the test reads");
    // SAFETY: this process has no other threads.
    match unsafe { libc::fork() } {
        0 => {
            child();
            exit(0)
        }
        pid => {
            assert!(pid > 0, "a child");
            pid
        }
    }
}

fn wait(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: a place for the status.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    status
}

fn udp_connected(peer: SocketAddr) {
    pause();
    let socket = any_udp(peer);
    socket.connect(peer).expect("an address");
    fact("cookie", cookie(&socket));
    for length in [100, 0, 23] {
        socket.send(&vec![1; length]).expect("the peer is there");
    }
    fact("received", socket.recv(&mut [0; 2000]).expect("the peer answers"));
}

fn udp_ask(peer: SocketAddr) {
    pause();
    let socket = any_udp(peer);
    socket.send_to(&[1; 40], peer).expect("an address");
    fact("received", socket.recv(&mut [0; 2000]).expect("the peer answers"));
}

fn udp_to_two(first: SocketAddr, second: SocketAddr) {
    pause();
    let socket = any_udp(first);
    for (peer, length) in [(first, 10), (first, 11), (second, 5), (first, 7)] {
        socket.send_to(&vec![1; length], peer).expect("an address");
    }
}

fn udp_server() {
    pause();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    fact("server", socket.local_addr().expect("it has one").port());
    pause();
    let (length, peer) = socket.recv_from(&mut [0; 100]).expect("the test sends");
    fact("received", length);
    fact("peer", peer.port());
    socket.send_to(&[2; 9], peer).expect("the test is there");
}

fn udp_peek(peer: SocketAddr) {
    pause();
    let socket = any_udp(peer);
    socket.connect(peer).expect("an address");
    socket.send(b"x").expect("the peer is there");
    assert_eq!(socket.peek(&mut [0; 2000]).expect("the peer answers"), 1500);
    // Cut by the buffer: the rest of a datagram is gone.
    assert_eq!(socket.recv(&mut [0; 40]).expect("it is there still"), 40);
}

fn udp_silence(peer: SocketAddr) {
    pause();
    let socket = any_udp(peer);
    socket.connect(peer).expect("an address");
    let other = any_udp(peer);
    for length in [3, 4] {
        socket.send(&vec![1; length]).expect("the peer is there");
        other.send_to(&vec![1; length], peer).expect("the peer is there");
        thread::sleep(Duration::from_millis(300));
    }
}

fn udp_before(peer: SocketAddr) {
    let connected = any_udp(peer);
    connected.connect(peer).expect("an address");
    let other = any_udp(peer);
    pause();
    connected.send(&[1; 6]).expect("the peer is there");
    other.send_to(&[1; 8], peer).expect("the peer is there");
}

/// Keeps a socket open that has sent twelve bytes.
fn udp_hold(peer: SocketAddr) {
    pause();
    let socket = any_udp(peer);
    socket.send_to(b"before", peer).expect("the peer is there");
    socket.connect(peer).expect("an address");
    socket.send(b"twelve bytes").expect("the peer is there");
    fact("cookie", cookie(&socket));
    pause();
}

fn udp_burst(connects: u32, peer: SocketAddr) {
    pause();
    let socket = raw_socket(libc::SOCK_DGRAM);
    for _ in 0..connects {
        assert_eq!(raw_connect(&socket, peer), 0);
    }
    fact("made", connects);
}

fn udp_sockets(count: u32, peer: SocketAddr) {
    pause();
    let sockets: Vec<UdpSocket> = (0..count).map(|_| any_udp(peer)).collect();
    for socket in &sockets {
        socket.connect(peer).expect("an address");
    }
}

fn own() -> Command {
    Command::new(env::current_exe().expect("a program"))
}

/// A child that becomes another program, one that is killed, and a thread, which is no process.
fn family() {
    pause();
    let mut ends = own().args(["exit", "7"]).spawn().expect("a child");
    fact("ends", ends.id());
    assert_eq!(ends.wait().expect("it ends").code(), Some(7));
    let mut killed = own().arg("sleep").spawn().expect("a child");
    fact("killed", killed.id());
    killed.kill().expect("it runs");
    killed.wait().expect("it ends");
    thread::spawn(|| ()).join().expect("a thread");
}

/// The first thread ends, the process goes on; the last thread ends it.
fn leader_ends_first() {
    pause();
    thread::spawn(|| {
        let state = || std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        while !state().contains("State:\tZ") {
            thread::sleep(Duration::from_millis(1));
        }
        UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.connect("127.0.0.1:9")).expect("an address");
        exit(5);
    });
    // SAFETY: ends this thread alone; what it has is not used again.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

/// A child in a PID namespace of its own, where it is number 1, has a child.
fn pid_namespace() {
    // SAFETY: children to come are in the new namespace.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID) }, 0, "a PID namespace");
    pause();
    let init = fork(|| {
        // SAFETY: asks for a number.
        assert_eq!(unsafe { libc::getpid() }, 1);
        let grandchild = fork(|| ());
        assert_eq!(wait(grandchild), 0);
    });
    fact("init", init);
    assert_eq!(wait(init), 0);
}

/// Does something visible at every step, and has a child do it at the last one.
fn steps(peer: SocketAddr) {
    let act = || any_udp(peer).connect(peer).expect("an address");
    act();
    pause();
    act();
    pause();
    act();
    let child = fork(act);
    fact("child", child);
    assert_eq!(wait(child), 0);
}
