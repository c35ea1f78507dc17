//! Which Odoo a process belongs to: a name that stays the same over restarts.

use super::proc::Seen;

/// Names the instance that this process begins: the first of pod, container, systemd unit, or user with configuration.
#[must_use]
pub fn name(root: &Seen) -> String {
    let cgroups = root.cgroups.as_str();
    let by_unit = || unit(cgroups).map(|unit| format!("unit:{unit}"));
    pod(cgroups).or_else(|| container(cgroups)).or_else(by_unit).unwrap_or_else(|| by_configuration(root))
}

/// The paths of `/proc/PID/cgroup`, one for each hierarchy.
pub fn cgroups(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.splitn(3, ':').nth(2))
}

fn segments(text: &str) -> impl Iterator<Item = &str> {
    cgroups(text).flat_map(|path| path.split('/'))
}

/// `kubepods-burstable-pod<uid>.slice` (systemd driver) or `pod<uid>` (cgroupfs driver), with the container below it.
fn pod(cgroups: &str) -> Option<String> {
    let uid = segments(cgroups).find_map(|segment| {
        let at = segment.rfind("pod").filter(|&at| at == 0 || segment[..at].ends_with('-'))?;
        let uid = segment[at + 3..].trim_end_matches(".slice").replace('_', "-");
        (uid.len() == 36).then_some(uid)
    })?;
    let container = segments(cgroups).find_map(container_id).map(|id| format!("/{}", &id[..12])).unwrap_or_default();
    Some(format!("pod:{uid}{container}"))
}

fn container(cgroups: &str) -> Option<String> {
    segments(cgroups).find_map(container_id).map(|id| format!("container:{}", &id[..12]))
}

/// The 64 hexadecimal digits that container runtimes give their cgroups, with or without their prefix and `.scope`.
fn container_id(segment: &str) -> Option<&str> {
    let name = segment.trim_end_matches(".scope");
    let id = name.rsplit(['-', ':']).next().unwrap_or(name);
    (id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

/// The systemd unit that these cgroups are of.
#[must_use]
pub fn unit(cgroups: &str) -> Option<&str> {
    segments(cgroups).filter(|segment| segment.ends_with(".service") && !segment.starts_with("user@")).last()
}

/// The value of an option on a command line, in any of the ways to write it.
#[must_use]
pub fn argument<'a>(process: &'a Seen, short: &str, long: &str) -> Option<&'a str> {
    let mut arguments = process.arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == short || argument == long {
            return arguments.next().map(String::as_str);
        }
        if let Some(value) = argument.strip_prefix(long).and_then(|rest| rest.strip_prefix('=')) {
            return Some(value);
        }
    }
    None
}

fn by_configuration(root: &Seen) -> String {
    let what = if let Some(config) = argument(root, "-c", "--config") {
        format!("config:{config}")
    } else if let Some(folder) = argument(root, "-D", "--data-dir") {
        format!("data:{folder}")
    } else {
        format!("program:{}", root.executable.as_deref().unwrap_or(&root.comm))
    };
    format!("uid:{} {what}", root.uid)
}

#[cfg(test)]
mod tests {
    use super::{Seen, name};

    fn check(cgroups: &str, line: &str, named: &str) {
        let arguments = line.split(' ').map(str::to_owned).collect();
        let root = Seen { cgroups: cgroups.into(), arguments, uid: 101, comm: "odoo".into(), ..Seen::default() };
        assert_eq!(name(&root), named);
    }

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_unit_names_the_instance() {
        check("1:name=systemd:/\n0::/system.slice/odoo.service\n", "odoo -c /x", "unit:odoo.service");
    }

    #[test]
    fn a_container_names_the_instance() {
        check(&format!("0::/system.slice/docker-{ID}.scope"), "odoo", "container:0123456789ab");
        check(&format!("5:memory:/docker/{ID}\n0::/"), "odoo", "container:0123456789ab");
    }

    #[test]
    fn a_pod_names_the_instance_before_its_container() {
        let pod = "8c6d3b12-7c1f-4a7b-9f43-1a2b3c4d5e6f";
        let slice = format!("kubepods-burstable-pod{}.slice", pod.replace('-', "_"));
        check(
            &format!("0::/kubepods.slice/{slice}/cri-containerd-{ID}.scope"),
            "odoo",
            &format!("pod:{pod}/0123456789ab"),
        );
        check(&format!("0::/kubepods/besteffort/pod{pod}/{ID}"), "odoo", &format!("pod:{pod}/0123456789ab"));
    }

    #[test]
    fn without_any_of_them_user_and_configuration_do() {
        check("0::/", "odoo -c /etc/odoo.conf", "uid:101 config:/etc/odoo.conf");
        check("0::/", "odoo --config=/etc/odoo.conf", "uid:101 config:/etc/odoo.conf");
        check("0::/", "odoo --data-dir /srv", "uid:101 data:/srv");
        check("0::/user.slice/user-0.slice/user@0.service", "odoo", "uid:101 program:odoo");
    }
}
