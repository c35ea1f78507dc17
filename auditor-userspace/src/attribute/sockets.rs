//! Whose the sockets were that the kernel told us of: what a claim about a socket is checked against.

use std::collections::{HashMap, VecDeque};

use super::lineage::Identity;

/// Sockets remembered, beyond those that carry a flow now; the one that came first goes first.
const KEPT_MAX: usize = 65_536;

/// Sockets by cookie, which is never given twice.
#[derive(Debug, Default)]
pub struct Sockets {
    owners: HashMap<u64, Identity>,
    order: VecDeque<u64>,
}

impl Sockets {
    /// The kernel says that this process uses this socket.
    pub fn saw(&mut self, cookie: u64, owner: Identity) {
        if self.owners.insert(cookie, owner).is_none() {
            self.order.push_back(cookie);
        }
        if self.order.len() > KEPT_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.owners.remove(&oldest);
        }
    }

    /// The process that the kernel saw with this socket last.
    #[must_use]
    pub fn owner(&self, cookie: u64) -> Option<Identity> {
        self.owners.get(&cookie).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{Identity, KEPT_MAX, Sockets};

    #[test]
    fn a_socket_is_its_last_users_until_it_is_forgotten() {
        let mut sockets = Sockets::default();
        let who = |tgid| Identity { tgid, start_ns: 1 };
        for owner in [7, 8] {
            sockets.saw(0, who(owner));
        }
        for cookie in 1..KEPT_MAX as u64 {
            sockets.saw(cookie, who(9));
        }
        assert_eq!((sockets.owner(0), sockets.owner(KEPT_MAX as u64)), (Some(who(8)), None));
        sockets.saw(KEPT_MAX as u64, who(9));
        assert_eq!((sockets.owner(0), sockets.owner(1)), (None, Some(who(9))));
    }
}
