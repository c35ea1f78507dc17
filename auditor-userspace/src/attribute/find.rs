//! Finding the processes that are audited, by looking at the system: at the start, and now and then afterwards.

use std::collections::HashSet;
use std::path::Path;

use super::lineage::Lineage;
use super::proc::{Processes, Seen};
use super::{discover, instance};
use crate::config::Scope;
use crate::config::file::InstanceRule;

/// A process to be audited, and the instance it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What `/proc` says.
    pub seen: Seen,
    /// Which Odoo.
    pub instance: String,
}

/// Knows what is in scope, and what was looked at already.
#[derive(Debug)]
pub struct Finder {
    scope: Scope,
    rules: Vec<InstanceRule>,
    /// Processes that are out of scope for good. What a process is changes only by `exec`, which the kernel tells.
    passed: HashSet<u32>,
}

impl Finder {
    /// A finder for this scope.
    #[must_use]
    pub fn new(scope: Scope, rules: Vec<InstanceRule>) -> Self {
        Self { scope, rules, passed: HashSet::new() }
    }

    /// Whether this process is in scope by itself, whoever its parent is.
    #[must_use]
    pub fn is_root(&self, seen: &Seen) -> bool {
        match &self.scope {
            Scope::Odoo => discover::is_odoo(&seen.arguments),
            Scope::Process(pid) => seen.tgid == *pid,
            Scope::Cgroup(path) => in_cgroup(&seen.cgroups, path),
        }
    }

    /// Which instance a process begins that is in scope by itself: by the host's rules, or by what it is. What is no Odoo is named after the scope: its command
    /// line is nobody's business.
    #[must_use]
    pub fn instance(&self, root: &Seen) -> String {
        if let Some(rule) = self.rules.iter().find(|rule| rule.fits(root)) {
            return rule.name.clone();
        }
        if discover::is_odoo(&root.arguments) { instance::name(root) } else { self.scope.to_string() }
    }

    /// Processes in scope that are not audited yet, parents before their children.
    pub fn look(&mut self, processes: &impl Processes, lineage: &Lineage) -> Vec<Found> {
        let all: HashSet<u32> = processes.all().into_iter().collect();
        self.passed.retain(|tgid| all.contains(tgid));
        let news = all.iter().filter(|tgid| lineage.get(**tgid).is_none() && !self.passed.contains(*tgid));
        // One that has ended was told as such, and does nothing any more.
        let mut unknown: Vec<Seen> = news.filter_map(|&tgid| processes.seen(tgid)).filter(|it| !it.ended).collect();
        unknown.sort_by_key(|seen| (seen.start_ns, seen.tgid));
        let mut found: Vec<Found> = Vec::new();
        for seen in unknown {
            let of_parent = lineage
                .get(seen.parent)
                .map(|parent| parent.instance.clone())
                .or_else(|| found.iter().find(|it| it.seen.tgid == seen.parent).map(|it| it.instance.clone()));
            match of_parent {
                Some(instance) => found.push(Found { seen, instance }),
                None if self.is_root(&seen) => found.push(Found { instance: self.instance(&seen), seen }),
                None => self.pass(&seen),
            }
        }
        found
    }

    /// A process out of scope: it is not looked at again, until it becomes another program.
    fn pass(&mut self, seen: &Seen) {
        // A process may be moved into a cgroup at any time, so there nothing is for good.
        if !matches!(self.scope, Scope::Cgroup(_)) {
            self.passed.insert(seen.tgid);
        }
    }
}

/// Whether one of the lines of `/proc/PID/cgroup` names this cgroup or one below it.
fn in_cgroup(cgroups: &str, path: &Path) -> bool {
    cgroups.lines().filter_map(|line| line.strip_prefix("0::")).any(|own| Path::new(own).starts_with(path))
}

#[cfg(test)]
mod tests {
    use super::{Finder, Found};
    use crate::attribute::lineage::Lineage;
    use crate::attribute::proc::{Processes, Seen};
    use crate::config::Scope;
    use crate::config::file::InstanceRule;

    struct Table(Vec<Seen>);

    impl Processes for Table {
        fn all(&self) -> Vec<u32> {
            self.0.iter().map(|seen| seen.tgid).collect()
        }
        fn seen(&self, tgid: u32) -> Option<Seen> {
            self.0.iter().find(|seen| seen.tgid == tgid).cloned()
        }
    }

    fn process(tgid: u32, parent: u32, line: &str, cgroup: &str) -> Seen {
        Seen {
            tgid,
            parent,
            start_ns: u64::from(tgid),
            arguments: line.split(' ').map(str::to_owned).collect(),
            cgroups: format!("1:cpu:/\n0::{cgroup}\n"),
            ..Seen::default()
        }
    }

    fn machine() -> Table {
        Table(vec![
            process(9, 5, "curl http://x", "/odoo"),
            process(1, 0, "init", "/"),
            process(4, 1, "odoo -c x", "/odoo"),
            process(5, 4, "odoo -c x", "/odoo"),
            process(6, 1, "vim odoo.conf", "/odoo/shell"),
            process(7, 6, "sh", "/"),
        ])
    }

    fn check(scope: Scope, finds: &[u32]) {
        let found = Finder::new(scope, Vec::new()).look(&machine(), &Lineage::default());
        assert_eq!(found.iter().map(|it| it.seen.tgid).collect::<Vec<_>>(), finds);
    }

    #[test]
    fn an_odoo_is_found_with_its_children_parents_first() {
        check(Scope::Odoo, &[4, 5, 9]);
    }

    #[test]
    fn a_process_is_found_with_its_children() {
        check(Scope::Process(6), &[6, 7]);
        check(Scope::Process(99), &[]);
    }

    #[test]
    fn a_cgroup_is_everything_in_it_and_below_and_their_children() {
        check(Scope::Cgroup("/odoo".into()), &[4, 5, 6, 7, 9]);
        check(Scope::Cgroup("/od".into()), &[]);
    }

    #[test]
    fn what_has_ended_is_not_found() {
        let mut machine = machine();
        machine.0.iter_mut().filter(|it| it.tgid == 5).for_each(|it| it.ended = true);
        let found = Finder::new(Scope::Odoo, Vec::new()).look(&machine, &Lineage::default());
        assert_eq!(found.iter().map(|it| it.seen.tgid).collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn the_hosts_rule_names_an_instance_before_all_else() {
        let rule = InstanceRule { name: "shop".into(), config: Some("x".into()), ..InstanceRule::default() };
        let found = Finder::new(Scope::Odoo, vec![rule]).look(&machine(), &Lineage::default());
        assert!(found.iter().all(|it| it.instance == "shop"), "{found:?}");
    }

    #[test]
    fn what_is_audited_already_is_not_found_again_but_its_new_children_are() {
        let mut lineage = Lineage::default();
        lineage.found(&process(4, 1, "odoo -c x", "/odoo"), 4, 0, "named".into());
        let found = Finder::new(Scope::Odoo, Vec::new()).look(&machine(), &lineage);
        let children: Vec<(u32, &str)> =
            found.iter().map(|Found { seen, instance }| (seen.tgid, &**instance)).collect();
        assert_eq!(children, [(5, "named"), (9, "named")]);
    }
}
