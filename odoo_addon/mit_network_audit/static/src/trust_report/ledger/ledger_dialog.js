/** @odoo-module **/
import { Dialog } from "@web/core/dialog/dialog";
import { _t } from "@web/core/l10n/translation";
import { useService } from "@web/core/utils/hooks";
import { Component, onWillStart, useState } from "@odoo/owl";

import { date } from "../format";

// What every record has, and is shown apart.
const HEAD = ["seq", "time", "type", "class", "sealed", "run", "epoch", "leaf"];

/** Whether a filter is about the ledger's own entries, which are no rows of the Audit Log. */
export function isOfLedger(filter) {
    return Boolean(filter.type) && filter.type !== "event";
}

/** Entries of the ledger as they are: what was lost, asked for, started, stopped. */
export class LedgerDialog extends Component {
    static template = "network_audit.LedgerDialog";
    static components = { Dialog };
    static props = { filter: Object, close: Function };

    setup() {
        this.trustReport = useService("network_audit.trust_report");
        this.state = useState({ records: [], trouble: null });
        this.title = _t("Entries of the ledger");
        this.date = date;
        onWillStart(async () => {
            const { value, trouble } = await this.trustReport.ledger(this.props.filter);
            Object.assign(this.state, { records: value || [], trouble: trouble || null });
        });
    }

    /** The content of an entry, name by name. */
    details(record) {
        return Object.entries(record)
            .filter(([name, value]) => !HEAD.includes(name) && value !== null && value !== "")
            .map(([name, value]) => ({
                name: name.replaceAll("_", " "),
                value: typeof value === "object" ? JSON.stringify(value) : String(value),
            }));
    }
}
