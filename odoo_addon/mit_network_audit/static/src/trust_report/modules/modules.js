/** @odoo-module **/
import { Component, useState } from "@odoo/owl";

import { bytes, count, date } from "../format";

const SHOWN = 10;

/** Which module talks to whom: a claim of the audited process, and what nobody claims. */
export class Modules extends Component {
    static template = "network_audit.Modules";
    static props = { report: Object, show: Function };

    setup() {
        this.state = useState({ showsAll: false });
        Object.assign(this, { bytes, count, date });
    }

    get shown() {
        const { modules } = this.props.report;
        return this.state.showsAll ? modules : modules.slice(0, SHOWN);
    }

    key(line) {
        return `${line.instance} ${line.module || ""} ${line.suspects || ""}`;
    }

    more(line) {
        return line.destinations - line.examples.length;
    }

    filter(line) {
        const since = this.props.report.from;
        return line.module
            ? { since, module: line.module, direction: "out" }
            : { since, label: "absent", direction: "out" };
    }
}
