/** @odoo-module **/
import { loadBundle } from "@web/core/assets";
import { Component, onWillStart, onWillUnmount, useEffect, useRef } from "@odoo/owl";

/**
 * A drawing by Chart.js. It is one picture for a screen reader, named by `label`: whoever uses it
 * shows the figures as text as well.
 */
export class Chart extends Component {
    static template = "network_audit.Chart";
    static props = { config: Function, label: String, version: String };

    setup() {
        this.canvas = useRef("canvas");
        this.chart = null;
        onWillStart(() => loadBundle("web.chartjs_lib"));
        // What is drawn depends on the figures alone: the same ones are not drawn again.
        useEffect(
            () => this.draw(),
            () => [this.props.version]
        );
        onWillUnmount(() => this.chart && this.chart.destroy());
    }

    draw() {
        const style = getComputedStyle(this.canvas.el);
        const color = (name) => style.getPropertyValue(`--network-audit-${name}`).trim();
        const { type, data, options } = this.props.config(color);
        if (this.chart) {
            Object.assign(this.chart, { data, options });
            this.chart.update();
            return;
        }
        this.chart = new window.Chart(this.canvas.el, { type, data, options });
    }
}
