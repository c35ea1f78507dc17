//! What an Odoo asks for, and who decides.

use auditor_tests as support;
use serde_json::{Value, json};
use support::{Puppet, require, wait_for};

use crate::{group, of, reason, server};

#[test]
fn what_an_odoo_asks_for_is_sealed_and_the_host_decides_what_loosens() {
    require!(support::a_daemon());
    let group = group();
    let mut daemon = of(&group);
    let mut odoo = Puppet::start(&group, &daemon, "asking.conf");
    let tighter = odoo.post("/v1/policy", &json!({"setting": "strict_redaction", "value": true}));
    assert_eq!(tighter["decision"]["step"], "at_once", "{tighter}");
    let looser = odoo.post("/v1/policy", &json!({"setting": "retention_days", "value": 40}));
    assert_eq!((&looser["decision"]["step"], &looser["sealed"]), (&json!("waiting"), &json!(true)), "{looser}");
    assert!(daemon.get("/v1/status")["sealed"].as_u64() > looser["seq"].as_u64(), "it is under a checkpoint");
    let policy = odoo.get("/v1/policy");
    assert_eq!((&policy["policy"]["retention_days"], &policy["waiting"][0]["number"]), (&json!(180), &json!(2)));
    assert_eq!(odoo.post_text("/v1/policy/decide", r#"{"number": 2, "accept": true}"#).0, 403, "it is not the host");
    let listed = daemon.auditor(&["policy", "list"]);
    let text = String::from_utf8_lossy(&listed.stdout);
    assert!(text.contains("retention_days 40") && text.contains("asking.conf"), "{text}");
    let accepted = daemon.auditor(&["policy", "accept", "2"]);
    assert!(accepted.status.success(), "{}", String::from_utf8_lossy(&accepted.stderr));
    assert_eq!(odoo.get("/v1/policy")["policy"]["retention_days"], 40);
    let report = odoo.get("/v1/report");
    assert_eq!(report["verdict"], "attention", "{report:#}");
    assert_eq!(reason(&report, "loosened").expect("a reason")["subject"], "retention_days");
    let again = daemon.auditor(&["policy", "accept", "2"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("no request 2 waits"));
    // What was decided is in the ledger, and nowhere else: it holds after a restart.
    assert!(daemon.stop().success());
    daemon.start_again();
    let policy = wait_for("the records to be read", || {
        let policy = daemon.get(&format!("/v1/policy?instance={}", odoo.instance().replace(' ', "%20")));
        (policy["decisions"].as_array()?.len() == 3).then_some(policy)
    });
    assert_eq!(policy["policy"]["retention_days"], 40, "{policy:#}");
    assert_eq!(policy["policy"]["strict_redaction"], true, "{policy:#}");
    let verified = daemon.auditor(&["verify"]);
    let text = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(matches!(verified.status.code(), Some(0 | 4)), "{text}");
}

#[test]
fn what_is_switched_off_is_counted_and_not_recorded() {
    require!(support::a_daemon());
    let group = group();
    let daemon = of(&group);
    let mut odoo = Puppet::start(&group, &daemon, "private.conf");
    let port = server();
    let done = odoo.post("/v1/policy", &json!({"setting": "auditing", "value": false}));
    assert_eq!(done["decision"]["step"], "allowed", "{done}");
    let own = odoo.tell(&json!(["connect", "127.0.0.1", port]));
    odoo.tell(&json!(["connect", "127.0.0.1", port]));
    let on = odoo.post("/v1/policy", &json!({"setting": "auditing", "value": true}));
    let recorded = odoo.tell(&json!(["connect", "127.0.0.1", port]));
    let flow = |own: &Value| {
        let own = own.clone();
        move |event: &Value| event["class"] == "flow_opened" && event["local"]["port"] == own
    };
    daemon.wait_for_event("the flow after it was switched on", flow(&recorded));
    assert!(!daemon.events().iter().any(flow(&own)), "it was switched off");
    let counted = daemon.wait_for_event("what was counted", |event| event["class"] == "unrecorded");
    assert_eq!((&counted["flows"], &counted["instance"]), (&json!(2), &json!(odoo.instance())), "{counted}");
    assert!(counted["seq"].as_u64() < on["seq"].as_u64(), "it is declared before what ends it");
    // The sums follow the records a moment later.
    let report = wait_for("the count in the report", || {
        Some(odoo.get("/v1/report")).filter(|report| report["cards"]["unrecorded"] == 2)
    });
    assert_eq!(report["verdict"], "attention", "{report:#}");
}
