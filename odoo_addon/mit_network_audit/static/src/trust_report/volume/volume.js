/** @odoo-module **/
import { localization } from "@web/core/l10n/localization";
import { _t } from "@web/core/l10n/translation";
import { Component } from "@odoo/owl";

import { Chart } from "../chart/chart";
import { bytes } from "../format";
import { CLASSES, className } from "../words";

/** How much was transferred: payload bytes by class, as bars. */
export class Volume extends Component {
    static template = "network_audit.Volume";
    static components = { Chart };
    static props = { shares: Array };

    setup() {
        this.bytes = bytes;
        this.config = (color) => ({
            type: "bar",
            data: {
                labels: this.bars.map((bar) => bar.title),
                datasets: [
                    this.dataset(_t("Sent"), "sent", color),
                    this.dataset(_t("Received"), "received", color),
                ],
            },
            options: {
                animation: false,
                indexAxis: "y",
                maintainAspectRatio: false,
                plugins: {
                    legend: { display: false },
                    tooltip: {
                        callbacks: {
                            label: ({ dataset, raw }) => `${dataset.label}: ${bytes(raw)}`,
                        },
                    },
                },
                scales: {
                    x: {
                        beginAtZero: true,
                        reverse: localization.direction === "rtl",
                        grid: { color: color("grid") },
                        ticks: {
                            color: color("ink"),
                            maxTicksLimit: 5,
                            maxRotation: 0,
                            callback: (value) => bytes(value),
                        },
                    },
                    y: {
                        position: localization.direction === "rtl" ? "right" : "left",
                        grid: { display: false },
                        ticks: { color: color("ink") },
                    },
                },
            },
        });
    }

    dataset(label, name, color) {
        return {
            label,
            data: this.bars.map((bar) => bar[name]),
            backgroundColor: color(name),
            maxBarThickness: 18,
        };
    }

    get bars() {
        return CLASSES.map((name) => {
            const own = this.props.shares.filter((it) => (it.class || "unknown") === name);
            const sum = (column) => own.reduce((all, it) => all + it[column], 0);
            return {
                name,
                title: className(name),
                sent: sum("sent"),
                received: sum("received"),
                unmeasured: sum("unmeasured"),
            };
        }).filter((bar) => bar.sent || bar.received || bar.unmeasured);
    }

    get totals() {
        const sum = (column) => this.bars.reduce((all, bar) => all + bar[column], 0);
        return { sent: sum("sent"), received: sum("received"), unmeasured: sum("unmeasured") };
    }

    get version() {
        return JSON.stringify(this.bars);
    }

    get label() {
        const parts = this.bars.map((bar) =>
            _t(
                "%s: sent %s, received %s",
                bar.title,
                bytes(bar.sent, bar.unmeasured),
                bytes(bar.received, bar.unmeasured)
            )
        );
        return _t("Volume, bytes transferred. %s", parts.join("; "));
    }
}
