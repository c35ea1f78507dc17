/** @odoo-module **/
import { Dialog } from "@web/core/dialog/dialog";
import { _t } from "@web/core/l10n/translation";
import { useService } from "@web/core/utils/hooks";
import { Component, onMounted, onWillUnmount, useState } from "@odoo/owl";

import { count } from "../format";

// As the command line has them.
const PROVEN = 0;
const WITH_GAPS = 4;
const NAMED = 20;

/**
 * Proves the ledger, and compares this database's copy with it: both now, both from the beginning.
 */
export class VerifyDialog extends Component {
    static template = "network_audit.VerifyDialog";
    static components = { Dialog };
    static props = { done: Function, close: Function };

    setup() {
        this.trustReport = useService("network_audit.trust_report");
        this.title = _t("Verify chain");
        this.count = count;
        this.state = useState({
            ledger: null,
            trouble: null,
            compared: 0,
            position: 0,
            start: null,
            end: 0,
            different: [],
            missing: [],
            unknown: [],
            judged: [],
            isProtected: true,
            isOver: false,
        });
        this.isThere = true;
        onMounted(() => this.run());
        onWillUnmount(() => {
            this.isThere = false;
        });
    }

    async run() {
        const { value, trouble } = await this.trustReport.verify();
        Object.assign(this.state, { ledger: value || null, trouble: trouble || null });
        // The rows are compared with what the daemon has, whatever can be proven about that.
        await this.compare();
        this.state.isOver = true;
        this.props.done({
            isGood: this.isGood,
            sentence: this.sentence,
            at: new Date().toISOString(),
        });
    }

    async compare() {
        let next = 0;
        while (next !== null && this.isThere) {
            const { value, trouble } = await this.trustReport.compare(next);
            if (trouble) {
                this.state.trouble = this.state.trouble || trouble;
                return;
            }
            this.take(value);
            next = value.next;
        }
    }

    take(piece) {
        const state = this.state;
        state.start = state.start === null ? piece.from : state.start;
        state.compared += piece.compared;
        state.end = piece.end;
        state.position = piece.next === null ? piece.end : piece.next;
        state.isProtected = piece.protected;
        for (const name of ["different", "missing", "unknown", "judged"]) {
            state[name].push(...piece[name]);
        }
    }

    get progress() {
        const { start, end, position } = this.state;
        const span = end - (start || 0);
        return span > 0
            ? Math.round((100 * (position - start)) / span)
            : this.state.isOver
              ? 100
              : 0;
    }

    get isLedgerGood() {
        const { ledger } = this.state;
        return Boolean(ledger) && [PROVEN, WITH_GAPS].includes(ledger.exit);
    }

    get isCopyGood() {
        const { different, missing, unknown } = this.state;
        return !different.length && !missing.length && !unknown.length;
    }

    get isGood() {
        return !this.state.trouble && this.isLedgerGood && this.isCopyGood;
    }

    /** The result in one line. */
    get sentence() {
        const { trouble, ledger, compared } = this.state;
        const first = this.firstBad;
        if (first !== null) {
            return _t(
                "The Audit Log is not what the ledger says: record %s is the first that differs.",
                first
            );
        }
        if (trouble) {
            return _t("Not verified: %s", trouble.detail || trouble.kind);
        }
        const summary = ledger.ledgers.map((it) => it.summary.replace(/\.$/, "")).join("; ");
        return _t(
            "%s. The %s rows of the Audit Log are what the ledger says.",
            summary,
            count(compared)
        );
    }

    get firstBad() {
        const { different, missing, unknown } = this.state;
        const seqs = [...different.map((it) => it.seq), ...missing, ...unknown];
        return seqs.length ? Math.min(...seqs) : null;
    }

    /** Each record that is not as it has to be, with what is wrong about it. */
    get faults() {
        const { different, missing, unknown } = this.state;
        return [
            ...different.map((it) => ({
                seq: it.seq,
                text: _t("differs in: %s", it.columns.join(", ")),
            })),
            ...missing.map((seq) => ({ seq, text: _t("is in the ledger and not here") })),
            ...unknown.map((seq) => ({ seq, text: _t("is here and not in the ledger") })),
        ]
            .sort((one, two) => one.seq - two.seq)
            .slice(0, NAMED);
    }

    /** Rows whose class was another one when they were taken over. */
    get judged() {
        const seqs = this.state.judged.map((it) => it.seq);
        return seqs.length > NAMED ? `${seqs.slice(0, NAMED).join(", ")} …` : seqs.join(", ");
    }

    get answers() {
        return (this.state.ledger ? this.state.ledger.ledgers : []).flatMap((ledger) =>
            Object.entries(ledger.answers || {}).map(([question, answer]) => ({
                key: `${ledger.origin} ${question}`,
                question,
                ...answer,
            }))
        );
    }
}
