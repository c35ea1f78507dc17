//! What no ordinary Odoo does, and what looks like it and is ordinary.

use std::fs::{self, File};
use std::io;
use std::net::{ToSocketAddrs as _, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::thread;
use std::time::Duration;

use super::{cookie, fact, fork, pause, wait};

pub(super) fn scenario(name: &str) {
    match name {
        "raw" => raw(),
        "raw-before" => raw_before(),
        "packet-sends" => packet_sends(),
        "packet-reads" => packet_reads(),
        "packet-made" => packet_made(),
        "pings" => pings(),
        "netlink" => netlink(),
        "steals" => steals(),
        "traces" => traces(),
        "reads-memory" => reads_memory(),
        "looks" => looks(),
        unknown => panic!("no scenario {unknown}"),
    }
}

fn socket(family: i32, kind: i32, protocol: i32) -> OwnedFd {
    // SAFETY: makes a descriptor, which is owned at once.
    unsafe {
        let socket = libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol);
        assert!(socket >= 0, "a socket: {}", io::Error::last_os_error());
        OwnedFd::from_raw_fd(socket)
    }
}

fn raw() {
    pause();
    let four = socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP);
    fact("four", cookie(&four));
    let six = socket(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6);
    fact("six", cookie(&six));
}

/// An echo request, with its checksum.
const ECHO: [u8; 8] = [8, 0, 0xf7, 0xff, 0, 0, 0, 0];

fn raw_before() {
    let socket = socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP);
    pause();
    let loopback = super::sockaddr("127.0.0.1:0".parse().expect("an address"));
    for _ in 0..2 {
        send_to(&socket, &ECHO, &loopback);
    }
}

fn send_to<T>(socket: &impl AsRawFd, bytes: &[u8], address: &T) {
    // SAFETY: bytes and an address, each with its length.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            0,
            (&raw const *address).cast(),
            size_of::<T>() as u32,
        )
    };
    assert_eq!(sent, bytes.len() as isize, "{}", io::Error::last_os_error());
}

/// A network namespace of our own, whose only interface is a loopback that is up; gives its number.
fn own_network() -> i32 {
    // SAFETY: a process without threads of its own.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "a network namespace");
    let any = socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
    // SAFETY: all zero is a value of it.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = libc::IFF_UP as i16;
    // SAFETY: a name and flags, as this request has them.
    assert_eq!(unsafe { libc::ioctl(any.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) }, 0, "loopback");
    1
}

fn link(interface: i32, protocol: i32) -> libc::sockaddr_ll {
    libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: (protocol as u16).to_be(),
        sll_ifindex: interface,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 6,
        sll_addr: [0; 8],
    }
}

fn packet_sends() {
    let interface = own_network();
    pause();
    let socket = socket(libc::AF_PACKET, libc::SOCK_DGRAM, 0);
    for _ in 0..3 {
        send_to(&socket, &[0; 40], &link(interface, libc::ETH_P_IP));
    }
    fact("cookie", cookie(&socket));
}

fn packet_reads() {
    let interface = own_network();
    let socket = socket(libc::AF_PACKET, libc::SOCK_RAW, i32::from((libc::ETH_P_ALL as u16).to_be()));
    let address = link(interface, libc::ETH_P_ALL);
    // SAFETY: an address and its length.
    let bound =
        unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size_of::<libc::sockaddr_ll>() as u32) };
    assert_eq!(bound, 0, "{}", io::Error::last_os_error());
    let traffic = UdpSocket::bind("127.0.0.1:0").expect("a port");
    traffic.send_to(b"x", traffic.local_addr().expect("its own")).expect("it is there");
    pause();
    let mut frame = [0_u8; 200];
    // SAFETY: a place for the frame, and its length.
    let read = unsafe { libc::recv(socket.as_raw_fd(), frame.as_mut_ptr().cast(), frame.len(), 0) };
    assert!(read > 0, "{}", io::Error::last_os_error());
    fact("cookie", cookie(&socket));
}

fn packet_made() {
    own_network();
    pause();
    fact("cookie", cookie(&socket(libc::AF_PACKET, libc::SOCK_RAW, 0)));
}

/// As an ordinary `ping` does it: a datagram socket of ICMP, which everybody may have whom the administrator lets.
fn pings() {
    own_network();
    fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647").expect("a namespace of our own");
    pause();
    let loopback = super::sockaddr("127.0.0.1:0".parse().expect("an address"));
    let socket = socket(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP);
    send_to(&socket, &ECHO, &loopback);
    drop(socket);
    self::socket(libc::AF_INET6, libc::SOCK_DGRAM, libc::IPPROTO_ICMPV6);
}

/// As glibc does it to look up a name; and other families that a program may have.
fn netlink() {
    pause();
    let netlink = socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE);
    drop(netlink);
    // Whether anybody knows the name here is another matter.
    drop("localhost:80".to_socket_addrs());
    for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET] {
        socket(libc::AF_UNIX, kind, 0);
    }
}

/// A child that has a socket, and waits to be ended; gives its number, and the socket's descriptor in it.
fn victim() -> (i32, i32) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let child = fork(|| thread::sleep(Duration::from_secs(60)));
    fact("victim", child);
    (child, socket.as_raw_fd())
}

fn end(child: i32) {
    // SAFETY: signals our own child.
    assert_eq!(unsafe { libc::kill(child, libc::SIGKILL) }, 0);
    wait(child);
}

fn steals() {
    let (child, descriptor) = victim();
    pause();
    // SAFETY: makes descriptors, which are owned at once.
    unsafe {
        let process = libc::syscall(libc::SYS_pidfd_open, child, 0) as i32;
        assert!(process >= 0, "{}", io::Error::last_os_error());
        let process = OwnedFd::from_raw_fd(process);
        for _ in 0..2 {
            let stolen = libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), descriptor, 0) as i32;
            assert!(stolen >= 0, "{}", io::Error::last_os_error());
            drop(OwnedFd::from_raw_fd(stolen));
        }
    }
    end(child);
}

fn traces() {
    let (child, _) = victim();
    pause();
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: traces our own child, without a word about its memory.
    let answer = unsafe { libc::ptrace(libc::PTRACE_SEIZE, child, nothing, nothing) };
    assert_eq!(answer, 0, "{}", io::Error::last_os_error());
    end(child);
}

fn reads_memory() {
    let here = 42_u64;
    let (child, _) = victim();
    pause();
    let mut there = 0_u64;
    let at = |place: *const u64| libc::iovec { iov_base: place.cast_mut().cast(), iov_len: 8 };
    let (local, remote) = (at(&raw const there), at(&raw const here));
    // SAFETY: eight bytes here, and eight bytes in a child that has the same memory.
    let read = unsafe { libc::process_vm_readv(child, &raw const local, 1, &raw const remote, 1, 0) };
    assert_eq!(read, 8, "{}", io::Error::last_os_error());
    let memory = File::open(format!("/proc/{child}/mem")).expect("our own child's");
    let mut bytes = [0; 8];
    memory.read_exact_at(&mut bytes, (&raw const here).addr() as u64).expect("its memory");
    there = u64::from_ne_bytes(bytes);
    assert_eq!(there, 42);
    end(child);
}

/// What every list of processes looks at, and a program its own memory.
fn looks() {
    let (child, _) = victim();
    pause();
    for file in ["status", "stat", "maps", "environ", "io", "cmdline"] {
        fs::read(format!("/proc/{child}/{file}")).expect("our own child's");
    }
    fs::read_link(format!("/proc/{child}/exe")).expect("our own child's");
    assert!(fs::read_dir(format!("/proc/{child}/fd")).expect("our own child's").count() > 0);
    File::open("/proc/self/mem").expect("our own");
    end(child);
}
