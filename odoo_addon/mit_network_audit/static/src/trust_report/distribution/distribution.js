/** @odoo-module **/
import { _t } from "@web/core/l10n/translation";
import { Component } from "@odoo/owl";

import { Chart } from "../chart/chart";
import { count, percent } from "../format";
import { CLASSES, className } from "../words";

/** Whom the traffic was with: operations by class, as a donut. */
export class Distribution extends Component {
    static template = "network_audit.Distribution";
    static components = { Chart };
    static props = { shares: Array };

    setup() {
        this.count = count;
        this.config = (color) => ({
            type: "doughnut",
            data: {
                labels: this.slices.map((slice) => slice.title),
                datasets: [
                    {
                        data: this.slices.map((slice) => slice.operations),
                        backgroundColor: this.slices.map((slice) => color(slice.name)),
                        borderColor: color("paper"),
                        borderWidth: 2,
                    },
                ],
            },
            options: {
                animation: false,
                cutout: "65%",
                maintainAspectRatio: false,
                plugins: { legend: { display: false } },
            },
        });
    }

    get total() {
        return this.props.shares.reduce((sum, share) => sum + share.operations, 0);
    }

    get slices() {
        const total = this.total;
        return CLASSES.map((name) => {
            const own = this.props.shares.filter((it) => (it.class || "unknown") === name);
            const sum = (direction) =>
                own
                    .filter((it) => it.direction === direction)
                    .reduce((all, it) => all + it.operations, 0);
            const [out, inbound] = [sum("out"), sum("in")];
            return {
                name,
                title: className(name),
                out,
                inbound,
                operations: out + inbound,
                percent: percent(out + inbound, total),
            };
        }).filter((slice) => slice.operations);
    }

    get version() {
        return JSON.stringify(this.slices);
    }

    get label() {
        const parts = this.slices.map((slice) => `${slice.title} ${slice.percent}`);
        return _t("Traffic distribution: %s", parts.join(", "));
    }
}
