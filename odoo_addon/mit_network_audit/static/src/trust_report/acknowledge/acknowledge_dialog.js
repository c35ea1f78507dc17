/** @odoo-module **/
import { Dialog } from "@web/core/dialog/dialog";
import { _t } from "@web/core/l10n/translation";
import { useAutofocus, useService } from "@web/core/utils/hooks";
import { Component, useState } from "@odoo/owl";

const LONGEST = 400;

/** Asks for a text, and has it sealed: the reason does not count any more until it recurs. */
export class AcknowledgeDialog extends Component {
    static template = "network_audit.AcknowledgeDialog";
    static components = { Dialog };
    static props = { reason: Object, done: Function, close: Function };

    setup() {
        this.trustReport = useService("network_audit.trust_report");
        this.state = useState({ text: "", isSending: false });
        this.longest = LONGEST;
        this.title = _t("Acknowledge");
        useAutofocus({ refName: "text" });
    }

    get canSend() {
        return Boolean(this.state.text.trim()) && !this.state.isSending;
    }

    async send() {
        this.state.isSending = true;
        const { reason, done, close } = this.props;
        try {
            const answer = await this.trustReport.acknowledge(
                reason.id,
                reason.subject,
                this.state.text
            );
            close();
            await done(answer);
        } finally {
            this.state.isSending = false;
        }
    }
}
