/** @odoo-module **/
import { registry } from "@web/core/registry";
import { _t } from "@web/core/l10n/translation";
import { Component } from "@odoo/owl";

import { count } from "../format";

/**
 * From a report to cards: `{id, title, value, note, filter, color}`. Another module may add one.
 */
export const cardRegistry = registry.category("network_audit.cards");

cardRegistry.add(
    "total",
    ({ cards }) => [
        {
            id: "total",
            title: _t("Total events"),
            value: cards.total,
            note: _t("operations, in and out"),
            filter: {},
            color: "primary",
        },
    ],
    { sequence: 10 }
);

cardRegistry.add(
    "bound",
    ({ cards }) =>
        cards.bound.map(({ vendor, operations }) => ({
            id: `bound_${vendor}`,
            title: _t("%s-bound events", vendor),
            value: operations,
            note: _t("with its hosts, or unexplained ones by its modules"),
            filter: { vendor },
            color: operations ? "danger" : "success",
        })),
    { sequence: 20 }
);

cardRegistry.add(
    "third_party",
    ({ cards }) => [
        {
            id: "third_party",
            title: _t("Third-party events"),
            value: cards.third_party,
            note: _t("outbound, explained by nothing"),
            filter: { class: "third_party", direction: "out" },
            color: cards.third_party ? "warning" : "success",
        },
    ],
    { sequence: 30 }
);

cardRegistry.add(
    "kernel_only",
    ({ cards }) => [
        {
            id: "kernel_only",
            title: _t("Seen only by the kernel"),
            value: cards.kernel_only,
            note: _t("outbound, and no claim names them"),
            filter: { label: "absent", direction: "out" },
            color: "info",
        },
    ],
    { sequence: 40 }
);

/** The figures at a glance; each leads to its records. */
export class Cards extends Component {
    static template = "network_audit.Cards";
    static props = { report: Object, show: Function };

    setup() {
        this.count = count;
    }

    get cards() {
        const since = this.props.report.from;
        return cardRegistry
            .getAll()
            .flatMap((cardsOf) => cardsOf(this.props.report))
            .map((card) => ({ ...card, filter: { since, ...card.filter } }));
    }
}
