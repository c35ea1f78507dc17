//! `auditor probe`: what loads here, and why the rest did not.

use std::path::PathBuf;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::json;

use crate::command::exit;
use crate::probe::{HookState, HookStatus, Options, Probe};
use crate::serve::wire::hex;

/// Loads every program, looks, and takes them away again: nobody is audited.
pub(super) fn print(object: Option<PathBuf>, as_json: bool) -> anyhow::Result<u8> {
    let coverage = Probe::load(&Options { object, ..Options::default() })?.coverage();
    if as_json {
        for hook in &coverage.hooks {
            println!("{}", line(hook));
        }
    } else {
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header(["HOOK", "SINCE", "", "STATE"]);
        for hook in &coverage.hooks {
            let needed = if hook.required { "required" } else { "optional" };
            table.add_row([hook.name, hook.since, needed, &state(&hook.state)]);
        }
        println!("{table}");
        let bytes = if coverage.measures_datagrams() { "measured" } else { "not measured (Linux 6.3 can)" };
        println!("\nbytes of datagrams: {bytes}");
    }
    if coverage.is_complete() {
        return Ok(exit::FINE);
    }
    eprintln!("auditor: a required hook did not load: what it sees is missing from every record, and every seal says so");
    Ok(exit::GAPS)
}

fn state(state: &HookState) -> String {
    match state {
        HookState::Active { tag } => format!("active, program {}", hex(tag)),
        HookState::Unavailable { reason } => format!("not here: {reason}"),
        HookState::Detached => "detached".into(),
    }
}

fn line(hook: &HookStatus) -> serde_json::Value {
    let (active, tag, reason) = match &hook.state {
        HookState::Active { tag } => (true, Some(hex(tag)), None),
        HookState::Unavailable { reason } => (false, None, Some(reason.clone())),
        HookState::Detached => (false, None, Some("detached".to_owned())),
    };
    json!({"hook": hook.name, "since": hook.since, "required": hook.required, "active": active, "tag": tag, "reason": reason})
}
