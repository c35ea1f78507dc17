/** @odoo-module **/
import { _t } from "@web/core/l10n/translation";
import { Component, useState } from "@odoo/owl";

import { bytes, count, date } from "../format";
import { className } from "../words";

const SHOWN = 8;

/** Where it went: the destinations of one watched vendor, or those of third parties. */
export class Destinations extends Component {
    static template = "network_audit.Destinations";
    static props = { report: Object, vendor: { type: String, optional: true }, show: Function };

    setup() {
        this.state = useState({ showsAll: false });
        Object.assign(this, { bytes, count, date, className });
    }

    get title() {
        const { vendor } = this.props;
        return vendor ? _t("%s-bound destinations", vendor) : _t("Third-party destinations");
    }

    get empty() {
        const { vendor } = this.props;
        return vendor
            ? _t("No operation with hosts of %s, and no unexplained one by its modules.", vendor)
            : _t("Every outbound operation is explained: by the settings, or by the catalogue.");
    }

    get lines() {
        const { vendor, report } = this.props;
        return report.destinations.filter((line) =>
            vendor ? line.vendor === vendor : line.class === "third_party" && !line.vendor
        );
    }

    get shown() {
        return this.state.showsAll ? this.lines : this.lines.slice(0, SHOWN);
    }

    key(line) {
        return [line.destination, line.port, line.protocol, line.direction, line.class].join(" ");
    }

    place(line) {
        const name =
            line.destination.includes(":") && line.port
                ? `[${line.destination}]`
                : line.destination;
        return line.port ? `${name}:${line.port}` : name;
    }

    filter(line) {
        return {
            since: this.props.report.from,
            destination: line.destination,
            direction: line.direction,
        };
    }
}
