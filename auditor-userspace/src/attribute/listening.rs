//! Where a process was listening before it was audited: `/proc/PID/net/tcp` and its open descriptors.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

/// A port that a process listens at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Listening {
    /// Inode number of its network namespace.
    pub netns: u32,
    /// Host order.
    pub port: u16,
}

/// The TCP ports that this process listens at, as far as we may look: descriptors of another user's process are shown
/// to `CAP_SYS_PTRACE` only.
#[must_use]
pub fn ports(tgid: u32) -> Vec<Listening> {
    let folder = Path::new("/proc").join(tgid.to_string());
    let Some(netns) = namespace(&folder) else { return Vec::new() };
    let own = sockets(&folder);
    let mut ports: Vec<Listening> = ["net/tcp", "net/tcp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(folder.join(table)).ok())
        .flat_map(|table| table.lines().filter_map(listener).collect::<Vec<_>>())
        .filter(|(_, inode)| own.contains(inode))
        .map(|(port, _)| Listening { netns, port })
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn namespace(folder: &Path) -> Option<u32> {
    inode_of(fs::read_link(folder.join("ns/net")).ok()?.to_str()?, "net:[")?.try_into().ok()
}

fn sockets(folder: &Path) -> HashSet<u64> {
    let Ok(descriptors) = fs::read_dir(folder.join("fd")) else { return HashSet::new() };
    descriptors
        .flatten()
        .filter_map(|entry| inode_of(fs::read_link(entry.path()).ok()?.to_str()?, "socket:["))
        .collect()
}

fn inode_of(link: &str, prefix: &str) -> Option<u64> {
    link.strip_prefix(prefix)?.strip_suffix(']')?.parse().ok()
}

/// Port and inode of a line of `/proc/net/tcp`, if it is a listener's: state 0A (`Documentation/networking/proc_net_tcp`).
fn listener(line: &str) -> Option<(u16, u64)> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    if *fields.get(3)? != "0A" {
        return None;
    }
    let port = u16::from_str_radix(fields[1].rsplit(':').next()?, 16).ok()?;
    Some((port, fields.get(9)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{listener, ports};

    #[test]
    fn a_line_is_a_listener_or_nothing() {
        let line =
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000   101   0 4242 1 0 100 0";
        assert_eq!(listener(line), Some((8080, 4242)));
        assert_eq!(listener(&line.replace(" 0A ", " 01 ")), None);
        for cut in ["", "sl local_address rem_address st", "0: 0100007F:1F90 00000000:0000 0A", "0: x 00000000:0000 0A"]
        {
            assert_eq!(listener(cut), None, "{cut}");
        }
    }

    #[test]
    fn this_very_process_listens_where_it_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        assert!(ports(std::process::id()).iter().any(|it| it.port == port));
    }
}
