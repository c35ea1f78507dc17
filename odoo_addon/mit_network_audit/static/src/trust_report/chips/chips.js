/** @odoo-module **/
import { _t } from "@web/core/l10n/translation";
import { Component } from "@odoo/owl";

import { ago, clock, count } from "../format";

const LOOKS = {
    good: { icon: "fa-check", color: "success" },
    bad: { icon: "fa-times", color: "danger" },
    open: { icon: "fa-circle-o", color: "secondary" },
};

/** What this page may be trusted for: each measured, and it says by what and when. */
export class Chips extends Component {
    static template = "network_audit.Chips";
    static props = { content: Object, verified: { optional: true }, verify: Function };

    get here() {
        return this.props.content.here;
    }

    get status() {
        return this.props.content.status.value;
    }

    get chips() {
        return [this.appendOnly, this.chained, this.bodies, this.selfEgress].map((chip) => ({
            ...chip,
            look: LOOKS[chip.state],
        }));
    }

    get appendOnly() {
        return {
            id: "append_only",
            state: this.here.protected ? "good" : "bad",
            title: this.here.protected ? _t("Append-only log") : _t("The log can be changed"),
            detail: this.here.protected
                ? _t(
                      "Looked up now: the database refuses to change or delete a row of the Audit Log."
                  )
                : _t(
                      "Looked up now: the trigger that refuses changes is not there. Verify compares every row with the ledger."
                  ),
        };
    }

    get chained() {
        const { sealed, records, sealed_at: at } = this.status;
        const { verified } = this.props;
        if (verified) {
            return {
                id: "chained",
                state: verified.isGood ? "good" : "bad",
                title: verified.isGood ? _t("Hash-chained, verified") : _t("Verification failed"),
                detail: _t("%s Verified %s.", verified.sentence, ago(verified.at)),
            };
        }
        return {
            id: "chained",
            state: sealed ? "good" : "open",
            title: sealed ? _t("Hash-chained") : _t("Nothing is sealed yet"),
            detail: sealed
                ? _t(
                      "%s of %s records are under a signed checkpoint, the last one of %s. Verify chain proves it.",
                      count(sealed),
                      count(records),
                      clock(at)
                  )
                : _t("The first seal comes within seconds of the first record."),
        };
    }

    get bodies() {
        const { columns, unknown_columns: unknown } = this.here;
        return {
            id: "bodies",
            state: unknown.length ? "bad" : "good",
            title: unknown.length ? _t("The log has columns of its own") : _t("Bodies OFF"),
            detail: unknown.length
                ? _t("Looked up now: columns that are not this app's: %s", unknown.join(", "))
                : _t(
                      "Looked up now: %s columns, none of them for contents, paths, queries or values.",
                      columns
                  ),
        };
    }

    get selfEgress() {
        const own = this.props.content.report.value.cards.self_egress;
        return {
            id: "self_egress",
            state: own ? "bad" : "good",
            title: _t("Self-egress %s", count(own)),
            detail: _t(
                "Connections of the auditor itself in this period, seen by the kernel; none are wanted."
            ),
        };
    }
}
