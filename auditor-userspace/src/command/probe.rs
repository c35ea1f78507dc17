//! `auditor probe`: what loads here, and why the rest did not.

use std::path::PathBuf;

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::json;

use crate::command::exit;
use crate::probe::{HookStatus, Options, Probe};
use crate::serve::wire::hex;

/// Loads every program, looks, and takes them away again: nobody is audited.
pub(super) fn print(object: Option<PathBuf>, as_json: bool) -> anyhow::Result<u8> {
    let coverage = Probe::load(&Options { object, ..Options::default() })?.coverage();
    if as_json {
        for hook in &coverage {
            println!("{}", line(hook));
        }
    } else {
        println!("{}", table(&coverage));
    }
    if coverage.iter().all(|hook| hook.is_active() || !hook.is_required()) {
        return Ok(exit::FINE);
    }
    eprintln!(
        "auditor: a required hook did not load: what it sees is missing from every record, and every seal says so"
    );
    Ok(exit::GAPS)
}

fn table(coverage: &[HookStatus]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["HOOK", "SINCE", "", "STATE"]);
    for hook in coverage {
        let needed = if hook.is_required() { "required" } else { "optional" };
        let state = hook
            .reason()
            .map_or_else(|| format!("active, program {}", hex(&hook.tag())), |why| format!("not here: {why}"));
        table.add_row([hook.name, hook.since, needed, &state]);
    }
    table
}

fn line(hook: &HookStatus) -> serde_json::Value {
    json!({
        "hook": hook.name,
        "since": hook.since,
        "required": hook.is_required(),
        "active": hook.is_active(),
        "tag": hex(&hook.tag()),
        "reason": hook.reason(),
    })
}
