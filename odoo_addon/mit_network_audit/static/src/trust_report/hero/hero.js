/** @odoo-module **/
import { _t } from "@web/core/l10n/translation";
import { Component, useState } from "@odoo/owl";

import { count, date } from "../format";
import { severityName, verdictName } from "../words";

const LOOKS = {
    "all-clear": { icon: "fa-check-circle", color: "success" },
    attention: { icon: "fa-exclamation-circle", color: "warning" },
    alarm: { icon: "fa-exclamation-triangle", color: "danger" },
};
const MARKS = {
    alarm: { icon: "fa-exclamation-triangle", color: "danger" },
    attention: { icon: "fa-exclamation-circle", color: "warning" },
    note: { icon: "fa-info-circle", color: "info" },
};
// Notes beyond these are shown on request.
const NOTES_SHOWN = 3;

/** The verdict, and why. */
export class Hero extends Component {
    static template = "network_audit.Hero";
    static props = { report: Object, show: Function, acknowledge: Function };

    setup() {
        this.state = useState({ showsAll: false });
        this.date = date;
    }

    get look() {
        return LOOKS[this.props.report.verdict] || LOOKS.attention;
    }

    get word() {
        return verdictName(this.props.report.verdict);
    }

    get sentence() {
        const { reasons } = this.props.report;
        const counting = reasons.filter((it) => it.severity !== "note" && !it.acknowledged);
        if (counting.length === 0) {
            return _t("Nothing in this period needs to be looked at.");
        }
        if (counting.length === 1) {
            return _t("One reason to look at.");
        }
        return _t("%s reasons to look at, the gravest first.", counting.length);
    }

    get reasons() {
        const { reasons } = this.props.report;
        if (this.state.showsAll) {
            return reasons;
        }
        const grave = reasons.filter((it) => it.severity !== "note");
        const notes = reasons.filter((it) => it.severity === "note");
        return reasons.filter((it) => grave.includes(it) || notes.indexOf(it) < NOTES_SHOWN);
    }

    get hidden() {
        return this.props.report.reasons.length - this.reasons.length;
    }

    key(reason) {
        return `${reason.id} ${reason.subject}`;
    }

    mark(reason) {
        return reason.acknowledged
            ? { icon: "fa-check", color: "secondary" }
            : MARKS[reason.severity];
    }

    severity(reason) {
        return reason.acknowledged ? _t("Acknowledged") : severityName(reason.severity);
    }

    records(reason) {
        return reason.count === 1 ? _t("1 record") : _t("%s records", count(reason.count));
    }

    canAcknowledge(reason) {
        return reason.severity !== "note" && !reason.acknowledged;
    }

    /** A state has no records of its own. */
    hasRecords(reason) {
        return reason.last !== null || Boolean(reason.filter.type);
    }
}
