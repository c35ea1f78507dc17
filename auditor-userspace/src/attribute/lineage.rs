//! Who is whose child: the audited processes, and what each inherits.

use std::collections::HashMap;

use auditor_common::body::{Attribution, Process};
use auditor_common::event::Header;

use super::claims::same_process;
use super::proc::Seen;

/// How far back ancestors are remembered.
const ANCESTORS_MAX: usize = 32;

/// A process's identity: a number is used again, a number with its start is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// In the host's numbering.
    pub tgid: u32,
    /// CLOCK_BOOTTIME nanoseconds.
    pub start_ns: u64,
}

impl From<&Header> for Identity {
    fn from(header: &Header) -> Self {
        Self { tgid: header.tgid, start_ns: header.process_start_ns }
    }
}

/// An audited process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub identity: Identity,
    /// Parent, where it is known.
    pub parent: Option<u32>,
    /// The kernel's short name.
    pub comm: Option<String>,
    /// Path of the program.
    pub executable: Option<String>,
    /// How many arguments it was started with.
    pub arguments: Option<u32>,
    /// Cgroup, as the kernel numbers it; 0 if it was not told yet.
    pub cgroup: u64,
    /// Whose spawn began this branch of the tree, if somebody said.
    pub spawn: Option<Attribution>,
    /// Which Odoo.
    pub instance: String,
    /// Whether user space has confirmed that it is in scope.
    pub confirmed: bool,
    /// From when on the kernel tells all that it does, CLOCK_BOOTTIME nanoseconds.
    pub since_ns: u64,
    /// The audited processes that it comes from, whose sockets it may have inherited: its parent last.
    pub ancestors: Vec<Identity>,
}

impl Member {
    /// As a record shows it, for the thread `tid`.
    #[must_use]
    pub fn process(&self, tid: u32, cgroup: u64) -> Process {
        Process {
            tgid: self.identity.tgid,
            tid,
            start_ns: self.identity.start_ns,
            comm: self.comm.clone(),
            executable: self.executable.clone(),
            arguments: self.arguments,
            cgroup: if cgroup == 0 { self.cgroup } else { cgroup },
            parent: self.parent,
        }
    }
}

/// What a process became by an `exec`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// The kernel's short name.
    pub comm: String,
    /// Path of the program.
    pub executable: Option<String>,
    /// How many arguments it was started with.
    pub arguments: Option<u32>,
    /// When, CLOCK_BOOTTIME nanoseconds.
    pub since_ns: u64,
}

/// The tree of audited processes.
#[derive(Debug, Default)]
pub struct Lineage {
    members: HashMap<u32, Member>,
}

impl Lineage {
    /// How many are audited.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// All of them, in no order.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// The audited process with this number.
    #[must_use]
    pub fn get(&self, tgid: u32) -> Option<&Member> {
        self.members.get(&tgid)
    }

    /// The audited process with this number, to be changed.
    pub fn get_mut(&mut self, tgid: u32) -> Option<&mut Member> {
        self.members.get_mut(&tgid)
    }

    /// Whether one of the two comes from the other, or is it: a socket may be inherited.
    #[must_use]
    pub fn are_kin(&self, member: &Member, other: Identity) -> bool {
        let comes_from = |member: &Member, from| member.ancestors.iter().any(|&it| same_process(it, from));
        same_process(member.identity, other)
            || comes_from(member, other)
            || self.get(other.tgid).is_some_and(|it| comes_from(it, member.identity))
    }

    /// A process found by looking at the system, not by an event that began it. `start_ns` is the kernel's own where it
    /// is known; from `since_ns` on the kernel tells all that it does.
    pub fn found(&mut self, seen: &Seen, start_ns: u64, since_ns: u64, instance: String) -> &Member {
        let ancestors = self.get(seen.parent).map(Self::line_of).unwrap_or_default();
        let member = Member {
            identity: Identity { tgid: seen.tgid, start_ns },
            parent: Some(seen.parent),
            comm: Some(seen.comm.clone()),
            executable: seen.executable.clone(),
            arguments: u32::try_from(seen.arguments.len()).ok(),
            cgroup: 0,
            spawn: None,
            instance,
            confirmed: true,
            since_ns,
            ancestors,
        };
        self.members.insert(seen.tgid, member);
        &self.members[&seen.tgid]
    }

    /// The ancestors of a child of this process.
    fn line_of(parent: &Member) -> Vec<Identity> {
        let mut line = parent.ancestors.clone();
        if line.len() == ANCESTORS_MAX {
            line.remove(0);
        }
        line.push(parent.identity);
        line
    }

    /// An audited process has a child, which is what its parent is, until it becomes another program. `spawn` is the
    /// claim about this very fork; without one the child keeps what its parent has.
    pub fn forked(&mut self, parent: u32, child: Identity, cgroup: u64, spawn: Option<Attribution>) -> Option<&Member> {
        let from = self.members.get(&parent)?;
        // A lie about a spawn is told once, with the fork: what the child does by itself is no further lie.
        let spawn = spawn.map(|spawn| Attribution { contradictions: Vec::new(), ..spawn });
        let member = Member {
            identity: child,
            parent: Some(parent),
            cgroup,
            spawn: spawn.or_else(|| from.spawn.clone()),
            ancestors: Self::line_of(from),
            ..from.clone()
        };
        self.members.insert(child.tgid, member);
        self.members.get(&child.tgid)
    }

    /// A process became another program; `begun` is the instance that it begins, if it begins one.
    pub fn executed(&mut self, tgid: u32, program: Program, begun: Option<String>) -> Option<&Member> {
        let member = self.members.get_mut(&tgid)?;
        member.comm = Some(program.comm);
        member.executable = program.executable;
        member.arguments = program.arguments;
        // Found in the middle of its work, it may have been using sockets that the kernel had not told of. The new
        // program has none that it used unseen.
        member.since_ns = member.since_ns.min(program.since_ns);
        if let Some(instance) = begun {
            member.instance = instance;
        }
        Some(member)
    }

    /// It ended.
    pub fn exited(&mut self, tgid: u32) -> Option<Member> {
        self.members.remove(&tgid)
    }
}

#[cfg(test)]
mod tests {
    use auditor_common::body::{Attribution, Label};

    use super::{Identity, Lineage, Program};
    use crate::attribute::proc::Seen;

    fn spawn(module: &str) -> Attribution {
        Attribution { label: Label::Matched, module: Some(module.into()), ..Attribution::default() }
    }

    fn program(comm: &str, since_ns: u64) -> Program {
        Program { comm: comm.into(), since_ns, ..Program::default() }
    }

    fn odoo() -> Lineage {
        let mut lineage = Lineage::default();
        lineage.found(&Seen { tgid: 1, comm: "odoo".into(), ..Seen::default() }, 10, 0, "i".into());
        lineage
    }

    fn module(lineage: &Lineage, tgid: u32) -> Option<&str> {
        lineage.get(tgid)?.spawn.as_ref()?.module.as_deref()
    }

    #[test]
    fn a_child_keeps_the_module_of_its_spawn_through_any_depth() {
        let mut lineage = odoo();
        lineage.forked(1, Identity { tgid: 2, start_ns: 20 }, 0, Some(spawn("a")));
        lineage.forked(2, Identity { tgid: 3, start_ns: 30 }, 0, None);
        lineage.executed(3, program("curl", 31), None);
        lineage.forked(3, Identity { tgid: 4, start_ns: 40 }, 0, None);
        assert_eq!(module(&lineage, 4), Some("a"));
        assert_eq!(module(&lineage, 1), None);
    }

    #[test]
    fn a_start_script_that_becomes_an_odoo_is_that_odoo_from_then_on() {
        let mut lineage = odoo();
        assert_eq!(lineage.executed(1, program("odoo", 11), None).map(|it| &*it.instance), Some("i"));
        let begun = Some("shop".to_owned());
        assert_eq!(lineage.executed(1, program("odoo", 12), begun).map(|it| &*it.instance), Some("shop"));
    }

    #[test]
    fn a_new_program_is_seen_whole_from_its_first_moment() {
        let mut lineage = Lineage::default();
        lineage.found(&Seen { tgid: 1, ..Seen::default() }, 10, 10_000, "i".into());
        let since = |lineage: &Lineage| lineage.get(1).map(|member| member.since_ns);
        assert_eq!(since(&lineage), Some(10_000));
        lineage.executed(1, program("odoo", 500), None);
        assert_eq!(since(&lineage), Some(500));
        lineage.executed(1, program("odoo", 600), None);
        assert_eq!(since(&lineage), Some(500), "what was seen whole before stays so");
    }

    #[test]
    fn a_spawn_of_its_own_beats_what_was_inherited() {
        let mut lineage = odoo();
        lineage.forked(1, Identity { tgid: 2, start_ns: 20 }, 0, Some(spawn("a")));
        lineage.forked(2, Identity { tgid: 3, start_ns: 30 }, 0, Some(spawn("b")));
        assert_eq!(module(&lineage, 3), Some("b"));
    }

    #[test]
    fn kin_may_share_a_socket_and_siblings_may_not() {
        let mut lineage = odoo();
        let who = |tgid: u32| Identity { tgid, start_ns: u64::from(tgid) * 1_000_000_000 };
        let root = Identity { tgid: 1, start_ns: 10 };
        for (parent, child) in [(1, 2), (2, 3), (1, 4)] {
            lineage.forked(parent, who(child), 0, None);
        }
        lineage.exited(2);
        let grandchild = lineage.get(3).expect("a grandchild").clone();
        for (other, kin) in [(who(3), true), (who(2), true), (root, true), (who(4), false), (who(5), false)] {
            assert_eq!(lineage.are_kin(&grandchild, other), kin, "{other:?}");
        }
        assert!(lineage.are_kin(lineage.get(1).expect("the root"), who(3)));
    }

    #[test]
    fn the_child_of_a_stranger_is_a_stranger() {
        let mut lineage = odoo();
        assert!(lineage.forked(9, Identity { tgid: 2, start_ns: 20 }, 0, Some(spawn("a"))).is_none());
        assert_eq!(lineage.len(), 1);
    }
}
