/** @odoo-module **/
import { _t } from "@web/core/l10n/translation";
import { Component } from "@odoo/owl";

import { ago, count } from "../format";

/**
 * What is wrong with this database's own rows. It stands above the daemon's verdict, which is about
 * the ledger and does not change by it: one look has to be enough to see both.
 */
export class CopyState extends Component {
    static template = "network_audit.CopyState";
    static props = { here: Object, verify: Function, show: Function };

    get differences() {
        return this.props.here.differences;
    }

    /** `differs`, `unprotected`, or nothing where nothing is wrong. */
    get state() {
        if (this.differences.count) {
            return "differs";
        }
        return this.props.here.protected ? null : "unprotected";
    }

    get title() {
        const { count: rows, is_more: isMore } = this.differences;
        if (this.state === "unprotected") {
            return _t("Odoo's copy is not protected");
        }
        if (isMore) {
            return _t("Odoo's copy differs: at least %s rows", count(rows));
        }
        return rows === 1
            ? _t("Odoo's copy differs: 1 row")
            : _t("Odoo's copy differs: %s rows", count(rows));
    }

    get sentence() {
        if (this.state === "unprotected") {
            return _t(
                "The trigger that refuses changes of the Audit Log is not there: somebody has taken it away. So far no row was found that differs."
            );
        }
        return _t(
            "Rows of the Audit Log in this database are not what the ledger says; record %s is the first.",
            this.differences.first
        );
    }

    get consequence() {
        return this.state === "differs"
            ? _t(
                  "Somebody changed, added or removed them here. The ledger on the host, and the verdict below, are not touched by that."
              )
            : "";
    }

    get compared() {
        const { compared_at: at } = this.differences;
        return at ? _t("Compared %s.", ago(`${at.replace(" ", "T")}Z`)) : "";
    }

    showFirst() {
        const { first } = this.differences;
        return this.props.show({ from_seq: first, to_seq: first });
    }
}
