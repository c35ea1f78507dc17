//! What no ordinary Odoo does, in this machine's kernel; and what looks like it, and is not told of.

use auditor_common::event::Guard;
use auditor_tests::kernel_probe::Watched;
use auditor_tests::{a_daemon, lengths_of_calls, require, security_hooks};
use auditor_userspace::decode::Event;

const SCENARIOS: &str = env!("CARGO_BIN_EXE_kernel-scenarios");

fn guards(watched: &Watched) -> Vec<&Guard> {
    watched.events.iter().filter_map(|event| if let Event::Guard(it) = event { Some(it) } else { None }).collect()
}

/// Plays a scenario, and says what was guarded in it.
fn play(scenario: &str) -> (Watched, Vec<String>) {
    let mut watched = Watched::start(SCENARIOS, &[scenario]);
    watched.finish();
    if watched.facts.contains_key("victim") {
        watched.name_processes(&["victim"]);
    }
    let guarded = watched.story().into_iter().filter(|line| line.contains("guarded")).collect();
    (watched, guarded)
}

/// What was guarded, all of it.
#[track_caller]
fn check(scenario: &str, told: &[&str]) -> Watched {
    let (watched, guarded) = play(scenario);
    assert_eq!(guarded, told, "{scenario}: {:#?}", watched.story());
    watched
}

#[test]
fn a_raw_socket_is_told_when_it_is_made() {
    require!(a_daemon());
    let told = [
        "child guarded: raw_socket of family 2 for protocol 1",
        "child guarded: raw_socket of family 10 for protocol 58",
    ];
    let watched = check("raw", &told);
    let cookies: Vec<u64> = guards(&watched).iter().map(|guard| guard.key.cookie).collect();
    assert_eq!(cookies, [watched.fact("four"), watched.fact("six")]);
    assert!(guards(&watched).iter().all(|guard| guard.key.netns != 0 && guard.header.tgid == watched.tgid()));
}

#[test]
fn a_raw_socket_from_before_is_told_at_its_first_use() {
    require!(lengths_of_calls());
    check("raw-before", &["child guarded: raw_socket of family 2 for protocol 1, opened before"]);
}

#[test]
fn a_packet_socket_is_told_once_by_its_first_use_at_the_latest() {
    require!(lengths_of_calls());
    for scenario in ["packet-sends", "packet-reads"] {
        let watched = check(scenario, &["child guarded: packet_socket of family 17"]);
        assert_eq!(guards(&watched)[0].key.cookie, watched.fact("cookie"), "{scenario}");
        assert_ne!(guards(&watched)[0].key.netns, 0);
    }
}

#[test]
fn a_packet_socket_is_told_when_it_is_made() {
    require!(security_hooks());
    let watched = check("packet-made", &["child guarded: packet_socket of family 17"]);
    assert_eq!(guards(&watched)[0].key.cookie, watched.fact("cookie"));
}

#[test]
fn a_descriptor_that_is_taken_out_of_another_process_is_told_each_time() {
    require!(security_hooks());
    let stolen = "child guarded: stolen_descriptor of victim";
    let watched = check("steals", &[stolen, stolen]);
    assert!(guards(&watched)[0].target_start_ns > guards(&watched)[0].header.process_start_ns, "it was born later");
}

#[test]
fn a_debugger_is_told_when_it_attaches() {
    require!(security_hooks());
    check("traces", &["child guarded: ptrace of victim"]);
}

#[test]
fn reading_anothers_memory_is_told_once_for_a_while() {
    require!(security_hooks());
    check("reads-memory", &["child guarded: ptrace of victim"]);
}

#[test]
fn what_ordinary_programs_do_is_not_told() {
    require!(a_daemon());
    for scenario in ["pings", "netlink", "looks"] {
        check(scenario, &[]);
    }
}
