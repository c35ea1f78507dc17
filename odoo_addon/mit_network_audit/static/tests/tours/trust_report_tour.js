/** @odoo-module **/
import { registry } from "@web/core/registry";

const tours = registry.category("web_tour.tours");

/** Only waits: in one of the series a step without `run` clicks. */
const see = (content, trigger) => ({ content, trigger, run: () => {} });
const click = (content, trigger) => ({ content, trigger, run: "click" });

function add(name, steps) {
    tours.add(`network_audit_${name}`, { test: true, steps: () => steps });
}

const VERIFY = [
    click("prove it", ".o_network_audit_verify"),
    see("it is proven", ".o_network_audit_verified[data-good=yes]"),
];
const TEST_EVENT = [
    click("make operations", ".o_network_audit_test"),
    see("the child's is sealed", ".o_network_audit_test_event[data-sealed=yes]:contains(child)"),
    see("all of them are", ".modal .alert-success"),
];
const CLOSE = [
    click("close", ".modal-footer .btn-primary"),
    see("it is closed", "body:not(:has(.modal))"),
];
/** The page is whole: every panel has something to show. */
const WHOLE = [
    see("the capture is active", ".o_network_audit_banner[data-state=active]"),
    see("there is a verdict", ".o_network_audit_hero[data-verdict]"),
    see("and its code", ".o_network_audit_hero .o_network_audit_code"),
    see(
        "four things are measured",
        ".o_network_audit_chip[data-chip=self_egress][data-state=good]"
    ),
    see("the log is protected", ".o_network_audit_chip[data-chip=append_only][data-state=good]"),
    see("no bodies", ".o_network_audit_chip[data-chip=bodies][data-state=good]"),
    see(
        "operations are counted",
        ".o_network_audit_card[data-card=total] .o_network_audit_value:not(:contains(/^0$/))"
    ),
    see("a donut", ".o_network_audit_distribution canvas"),
    see("bars", ".o_network_audit_volume canvas"),
    see("a panel for the watched vendor", ".o_network_audit_destinations[data-vendor=MIT]"),
    see("and one for the others", ".o_network_audit_destinations[data-vendor='']"),
    see("modules", ".o_network_audit_modules tr[data-module=sale]"),
    see("a timeline", ".o_network_audit_timeline_plot .o_network_audit_column"),
];

add("test_event", TEST_EVENT);
add("verify", VERIFY);
add("export", [
    click("take it along", ".o_network_audit_export"),
    see("and how it is verified", ".modal .o_field_widget[name=command]:contains(auditor-verify)"),
    see("a nonce is proposed", ".modal .o_field_widget[name=nonce] input:value(/^[0-9a-f]{32}$/)"),
]);

// From the banner to a sealed event, to the proof, to the rows behind a figure.
add("trust_report", [
    ...WHOLE,
    ...TEST_EVENT,
    ...CLOSE,
    ...VERIFY,
    ...CLOSE,
    see("the chip says so", ".o_network_audit_chip[data-chip=chained]:contains(verified)"),
    click("the rows behind the figure", ".o_network_audit_card[data-card=total]"),
    see("are in the log", ".o_list_view .o_data_row"),
    click("one of them", ".o_list_view .o_data_row:first .o_data_cell[name=destination]"),
    see("is a forensic record", ".o_form_view .o_field_widget[name=leaf]"),
]);

add("all_clear", [
    ...WHOLE,
    see("nothing is to be looked at", ".o_network_audit_hero[data-verdict=all-clear]"),
]);

/** A verdict, and the reason that is the cause of it. */
function judged(name, verdict, reason, ...more) {
    add(name, [
        see("the verdict", `.o_network_audit_hero[data-verdict=${verdict}]`),
        see("and why", `.o_network_audit_reason[data-reason=${reason}]`),
        ...more,
    ]);
}

judged("attention", "attention", "interrupted");
judged("loosened", "attention", "loosened");
judged("capture_off", "alarm", "capture_off");
judged("contradiction", "alarm", "contradiction");
judged(
    "alarm",
    "alarm",
    "watched_hosts",
    see("it says whose", ".o_network_audit_reason[data-reason=watched_hosts]:contains(Tour)"),
    see("the card counts it", ".o_network_audit_card[data-card=bound_Tour]"),
    see(
        "the panel names destination and module",
        ".o_network_audit_destinations[data-vendor=Tour] tr[data-destination='127.77.0.1']:contains(sale_connector)"
    )
);
judged(
    "vendors_module",
    "alarm",
    "watched_modules",
    see(
        "the panel names the destination",
        ".o_network_audit_destinations[data-vendor=Tour] tr[data-destination='127.88.0.1']"
    ),
    see(
        "the module is marked",
        ".o_network_audit_modules tr[data-module=tour_vendor] .text-bg-danger"
    )
);

// What each state of the capture that is not "active" tells whoever looks.
for (const state of [
    "absent",
    "stopped",
    "denied",
    "slow",
    "failed",
    "foreign",
    "other_ledger",
    "stranger",
    "old",
    "auditing_off",
    "whole_host",
    "nobody_named",
]) {
    add(`banner_${state}`, [
        see("the banner names the state", `.o_network_audit_banner[data-state=${state}]`),
        see("and what to do", `.o_network_audit_banner[data-state=${state}] li`),
    ]);
}

add("follow", [
    see("another daemon answers", ".o_network_audit_banner[data-state=other_ledger]"),
    click("it is the right one", ".o_network_audit_follow"),
    see("it is followed", ".o_network_audit_banner:not([data-state=other_ledger])"),
]);

// Somebody who says why it is in order.
add("acknowledge", [
    see("the verdict is alarm", ".o_network_audit_hero[data-verdict=alarm]"),
    click(
        "it is in order",
        ".o_network_audit_reason[data-reason=watched_hosts]:contains(Tour) .o_network_audit_acknowledge"
    ),
    { content: "because", trigger: ".modal textarea", run: "edit a tour was here" },
    click("seal that", ".modal-footer .btn-primary:enabled"),
    see(
        "the reason stays, acknowledged",
        ".o_network_audit_reason[data-reason=watched_hosts]:contains(a tour was here)"
    ),
    see("the verdict is no alarm any more", ".o_network_audit_hero:not([data-verdict=alarm])"),
]);

// A row that somebody changed in SQL, or might have: seen by who only looks.
const COPY = ".o_network_audit_copy";
add("unprotected", [see("the rows are unprotected", `${COPY}[data-copy=unprotected]`)]);
add("differs", [
    see("the rows differ", `${COPY}[data-copy=differs]:contains("1 row")`),
    see("and the daemon's verdict is its own", ".o_network_audit_hero[data-verdict]"),
]);

add("tampered", [
    click("prove it", ".o_network_audit_verify"),
    see("it is not proven", ".o_network_audit_verified[data-good=no]"),
    see("the row is named", ".o_network_audit_faults li:contains(module)"),
    ...CLOSE,
    see("and it stays so", `${COPY}[data-copy=differs]:contains("1 row")`),
    click("its number is known", `${COPY} button:contains(first)`),
    see("the row is shown", ".o_list_view .o_data_row:contains(innocent)"),
]);

add("log", [see("rows", ".o_list_view .o_data_row:contains(stock)")]);
add("pivot", [
    click("as a pivot", ".o_switch_view.o_pivot"),
    see("sums", ".o_pivot table:contains(stock)"),
]);
add("summary", [see("sums", ".o_pivot table:contains(stock)")]);
add("graph", [click("as a graph", ".o_switch_view.o_graph"), see("bars", ".o_graph_view canvas")]);
add("settings", [
    see("the switch", ".app_settings_block [name=network_audit_enabled] input:checked"),
]);
add("requests", [
    see(
        "what waits for the host",
        ".app_settings_block [name=network_audit_requests]:contains(retention_days)"
    ),
]);
add("component", [see("documented hosts", ".o_list_view .o_data_row:contains(services.odoo.com)")]);
add("vendor", [see("watched vendors", ".o_list_view .o_data_row:contains(Tour)")]);
add("request", [see("what was asked for", ".o_list_view .o_data_row:contains(watch)")]);
