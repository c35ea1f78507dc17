//! `auditor retain`.

use serde_json::{Value, json};

use crate::client;
use crate::command::exit;
use crate::config::Places;
use crate::report::text::bytes;

/// Has the daemon remove what the policy lets go, or only say what that is.
pub(super) fn run(places: &Places, dry_run: bool) -> anyhow::Result<u8> {
    let done = client::post(&places.api_socket(), "/v1/ledger/retain", &json!({"dry_run": dry_run}))?;
    println!("{}", sentence(&done["removed"], dry_run));
    Ok(exit::FINE)
}

fn sentence(removed: &Value, dry_run: bool) -> String {
    if removed.is_null() {
        return "nothing is old enough to go: `auditor status` says what is kept, and for how long".to_owned();
    }
    let (records, first) = (&removed["records"], &removed["min_index"]);
    let room = bytes(removed["bytes"].as_u64().unwrap_or(0));
    let time = |name: &str| removed[name].as_str().and_then(|time| time.get(..19)).unwrap_or("?").to_owned();
    if dry_run {
        let (oldest, newest) = (time("oldest"), time("newest"));
        format!(
            "{records} records would go ({oldest}Z to {newest}Z, {room}); what is kept would begin with record {first}"
        )
    } else {
        let record = &removed["record"];
        format!(
            "{records} records are gone ({room}), sealed as record {record}; what is kept begins with record {first}"
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::sentence;

    #[test]
    fn it_says_what_goes_and_what_went() {
        let removed = json!({"records": 512, "min_index": 512, "bytes": 2048, "record": 900, "oldest": "2026-01-01T00:00:00.000000Z", "newest": "2026-01-02T00:00:00.000000Z"});
        assert!(sentence(&removed, true).starts_with("512 records would go (2026-01-01T00:00:00Z to"));
        assert!(sentence(&removed, false).contains("sealed as record 900"));
        assert!(sentence(&Value::Null, false).starts_with("nothing is old enough"));
    }
}
