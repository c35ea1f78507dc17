//! The files of `deploy/`: sound, the same rights in each, and enough to record with.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::process::Command;

use auditor_tests as support;
use serde_json::json;
use support::{Daemon, Group, Puppet, Scope, checkout, require};
use xtask::{paths, process, service::Unit};

/// The words of a YAML list, a line each, from the line after its name on.
fn listed(file: &str, name: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(checkout().join("deploy").join(file)).expect("a file of deploy/");
    let lines = text.lines().map(str::trim).skip_while(|line| *line != name).skip(1);
    let words = lines.filter(|line| !line.starts_with('#')).map_while(|line| line.strip_prefix("- "));
    words.map(str::to_lowercase).collect()
}

fn capabilities() -> BTreeSet<String> {
    Unit::of(&checkout()).expect("the unit").capabilities.into_iter().collect()
}

#[test]
fn a_container_has_the_capabilities_of_the_unit_and_no_more() {
    assert_eq!(capabilities().len(), 5);
    assert_eq!(listed("compose.yaml", "cap_add:"), capabilities());
    assert_eq!(listed("compose.yaml", "cap_drop:"), BTreeSet::from(["all".to_owned()]));
    assert_eq!(listed("daemonset.yaml", "add:"), capabilities());
}

#[test]
fn the_unit_is_what_systemd_expects() {
    let systemd = paths::program(&["systemd-analyze"]).ok_or("there is no systemd-analyze");
    require!(systemd.clone().map(drop).map_err(str::to_owned));
    let unit = fs::read_to_string(checkout().join("deploy/network-audit.service")).expect("the unit");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("network-audit.service");
    // The program that is named is not installed here; another one stands for it.
    fs::write(&path, unit.replace("/usr/bin/auditor", "/bin/true")).expect("a copy");
    let mut verify = Command::new(systemd.expect("it is there"));
    let output = verify.args(["verify", "--man=no"]).arg(&path).output().expect("systemd-analyze");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.is_empty(), "{text}");
}

/// What a runtime does for the `DaemonSet`: a control group and mounts of its own, a root file system that is read-only
/// but for two folders, root with five capabilities. `pid: host` is what there is without doing anything.
const RUNTIME: &str = "mount --make-rprivate / && mount --bind $1 $1 && mount --bind $2 $2 && mount -o remount,bind,ro / \
    && capabilities=$3 && shift 3 \
    && exec setpriv --bounding-set $capabilities --inh-caps=-all --no-new-privs -- \"$@\"";

#[test]
fn what_the_daemonset_grants_is_enough_to_record_with() {
    require!(support::a_daemon());
    let mut daemon = Daemon::prepare(Scope::Odoo);
    let (container, pod) = (Group::new().expect("a group"), Group::new().expect("a group"));
    let granted = listed("daemonset.yaml", "add:").iter().fold("-all".to_owned(), |all, name| format!("{all},+{name}"));
    let mut runtime = container.command("unshare");
    runtime.args(["--mount", "--cgroup", "--", "sh", "-ec", RUNTIME, "sh"]);
    runtime.arg(daemon.state()).arg(daemon.run_folder()).arg(granted);
    daemon.start_in(runtime);

    let mut odoo = Puppet::start(&pod, &daemon, "/srv/daemonset.conf");
    odoo.tell(&json!(["hook"]));
    let server = TcpListener::bind("127.0.0.1:0").expect("a server");
    let port = server.local_addr().expect("a port").port();
    let own = odoo.tell(&json!(["connect", "127.0.0.1", port, "sale"]));
    let flow = daemon.wait_for_event("the flow", |it| {
        it["class"] == "flow_ended" && it["opened"]["remote"]["port"] == port && it["opened"]["local"]["port"] == own
    });
    assert_eq!(flow["sent"], 1, "{flow:#}");
    let attribution = &flow["opened"]["attribution"];
    assert_eq!((&attribution["label"], &attribution["module"]), (&json!("matched"), &json!("sale")), "{flow:#}");
    let (status, report) = odoo.ask("GET", "/v1/report", &json!(null));
    assert_eq!(status, 200, "who asks is known by the process at the other end: {report}");
    let verified = daemon.auditor(&["verify"]);
    assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stdout));
    assert!(process::is_alive(daemon.pid()));
}
