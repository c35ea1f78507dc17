//! Who is asking, by the kernel's word.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

/// The audited processes, as far as the window needs to know them: process number to start (CLOCK_BOOTTIME nanoseconds)
/// and instance.
pub type Instances = Arc<RwLock<HashMap<u32, (u64, String)>>>;

/// `/proc` gives starts in ticks of 10 ms.
const TICK_NS: u64 = 10_000_000;

/// What somebody may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Everything: root, and the user the daemon runs as.
    All,
    /// The records of one instance: an audited process.
    Instance(String),
    /// That the daemon is there.
    Nothing,
}

impl Sight {
    /// Decides by user and process of the peer (`SO_PEERCRED`), both in the daemon's own numbering. The process is given
    /// with its start, as it was when the connection was made: a number alone may be another's by now.
    #[must_use]
    pub fn of(uid: u32, who: Option<(u32, u64)>, own_uid: u32, instances: &HashMap<u32, (u64, String)>) -> Self {
        // An audited process sees its instance even if it runs as root: root it is only in its own container, perhaps.
        let known = who.and_then(|(pid, start_ns)| {
            let (exact_ns, instance) = instances.get(&pid)?;
            (start_ns / TICK_NS == exact_ns / TICK_NS).then_some(instance)
        });
        if let Some(instance) = known {
            return Self::Instance(instance.clone());
        }
        if uid == 0 || uid == own_uid { Self::All } else { Self::Nothing }
    }

    /// Whose figures these are: root may choose one instance, or have all of them (`Some(None)`); an Odoo has its own.
    /// `None`: not for this peer.
    #[must_use]
    pub fn choose(&self, asked: Option<String>) -> Option<Option<String>> {
        match self {
            Self::All => Some(asked),
            Self::Instance(own) if asked.as_ref().is_none_or(|asked| asked == own) => Some(Some(own.clone())),
            Self::Instance(_) | Self::Nothing => None,
        }
    }

    /// Whether a record of this instance may be seen; records of no instance (seals, runs, losses) may be by anybody
    /// who may see anything.
    #[must_use]
    pub fn includes(&self, instance: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::Instance(own) => instance.is_none_or(|instance| instance == own),
            Self::Nothing => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::Sight;

    fn check(uid: u32, pid: u32, sees: Sight) {
        check_started(uid, pid, 70_000_001, sees);
    }

    fn check_started(uid: u32, pid: u32, start_ns: u64, sees: Sight) {
        let instances = HashMap::from([(7, (72_345_678, "a".to_owned()))]);
        let found = Sight::of(uid, Some((pid, start_ns)), 101, &instances);
        assert_eq!(found, sees, "uid {uid} pid {pid} start {start_ns}");
    }

    #[test]
    fn root_and_the_daemons_own_user_see_everything() {
        check(0, 1, Sight::All);
        check(101, 1, Sight::All);
    }

    #[test]
    fn an_odoo_sees_its_own_instance_whoever_it_runs_as() {
        check(1000, 7, Sight::Instance("a".into()));
        check(0, 7, Sight::Instance("a".into()));
    }

    #[test]
    fn a_number_that_was_an_odoos_is_a_stranger() {
        check_started(1000, 7, 90_000_000, Sight::Nothing);
        check_started(0, 7, 90_000_000, Sight::All);
    }

    #[test]
    fn a_stranger_sees_nothing() {
        check(1000, 8, Sight::Nothing);
        assert_eq!(Sight::of(1000, None, 101, &HashMap::new()), Sight::Nothing);
    }

    #[test]
    fn a_foreign_instance_is_not_included() {
        let own = Sight::Instance("a".into());
        assert!(own.includes(Some("a")) && own.includes(None) && !own.includes(Some("b")));
        assert!(!Sight::Nothing.includes(None));
    }
}
