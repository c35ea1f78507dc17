/** @odoo-module **/
import { registry } from "@web/core/registry";

const tours = registry.category("web_tour.tours");

/** Only waits: in one of the series a step without `run` clicks. */
const see = (content, trigger) => ({ content, trigger, run: () => {} });
const click = (content, trigger) => ({ content, trigger, run: "click" });

function add(name, steps) {
    tours.add(`network_audit_${name}`, { test: true, url: "/odoo", steps: () => steps });
}

// From the banner to a sealed event, to the proof, to the rows behind a figure.
add("trust_report", [
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
    see("modules", ".o_network_audit_modules"),
    see("a timeline", ".o_network_audit_timeline_plot .o_network_audit_column"),
    click("make operations", ".o_network_audit_test"),
    see("the child's is sealed", ".o_network_audit_test_event[data-sealed=yes]:contains(child)"),
    see("all of them are", ".modal .alert-success"),
    click("close", ".modal-footer .btn-primary"),
    see("it is closed", "body:not(:has(.modal))"),
    click("prove it", ".o_network_audit_verify"),
    see("it is proven", ".o_network_audit_verified[data-good=yes]"),
    click("close", ".modal-footer .btn-primary"),
    see("the chip says so", ".o_network_audit_chip[data-chip=chained]:contains(verified)"),
    click("the rows behind the figure", ".o_network_audit_card[data-card=total]"),
    see("are in the log", ".o_list_view .o_data_row"),
    click("one of them", ".o_list_view .o_data_row:first .o_data_cell[name=destination]"),
    see("is a forensic record", ".o_form_view .o_field_widget[name=leaf]"),
]);

// What each state of the capture that is not "active" tells whoever looks.
for (const state of ["absent", "stopped", "foreign", "stranger", "old", "auditing_off"]) {
    add(`banner_${state}`, [
        see("the banner names the state", `.o_network_audit_banner[data-state=${state}]`),
        see("and what to do", `.o_network_audit_banner[data-state=${state}] li`),
    ]);
}

// A watched vendor's host that nothing explains, and somebody who says why that is in order.
add("alarm", [
    see("the verdict is alarm", ".o_network_audit_hero[data-verdict=alarm]"),
    see("and says why", ".o_network_audit_reason[data-reason=watched_hosts]:contains(Tour)"),
    see("the card counts it", ".o_network_audit_card[data-card=bound_Tour]"),
    see(
        "the panel names the destination",
        ".o_network_audit_destinations[data-vendor=Tour] tr[data-destination='127.77.0.1']"
    ),
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

// A row that somebody changed in SQL.
add("tampered", [
    click("prove it", ".o_network_audit_verify"),
    see("it is not proven", ".o_network_audit_verified[data-good=no]"),
    see("the row is named", ".o_network_audit_faults li:contains(module)"),
]);
