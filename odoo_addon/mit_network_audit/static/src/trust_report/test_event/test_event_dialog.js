/** @odoo-module **/
import { browser } from "@web/core/browser/browser";
import { Dialog } from "@web/core/dialog/dialog";
import { _t } from "@web/core/l10n/translation";
import { useService } from "@web/core/utils/hooks";
import { Component, onMounted, onWillUnmount, useState } from "@odoo/owl";

import { labelName } from "../words";

// Asked at once, so that more than one worker answers; again, while that brings up new ones.
const AT_ONCE = 6;
const ROUNDS = 6;
const LOOK_EVERY = 400;
const PATIENCE = 20000;

/**
 * Makes operations that do no harm, and follows them: sent, recorded, sealed.
 */
export class TestEventDialog extends Component {
    static template = "network_audit.TestEventDialog";
    static components = { Dialog };
    static props = { records: Number, processes: Object, close: Function };

    setup() {
        this.trustReport = useService("network_audit.trust_report");
        this.title = _t("Send test event");
        this.labelName = labelName;
        this.state = useState({ events: [], trouble: null, isSending: true, isLate: false });
        this.isThere = true;
        onMounted(() => this.run());
        onWillUnmount(() => {
            this.isThere = false;
        });
    }

    async run() {
        try {
            await this.sendFromEach();
            await this.send(true);
        } finally {
            this.state.isSending = false;
        }
        await this.follow();
    }

    /** From each worker that answers: nobody can choose one. */
    async sendFromEach() {
        let before = -1;
        for (let round = 0; round < ROUNDS && this.state.events.length > before; round++) {
            before = this.state.events.length;
            await Promise.all(Array.from({ length: AT_ONCE }, () => this.send(false)));
        }
    }

    async send(fromChild) {
        const event = await this.trustReport.sendTestEvent(fromChild);
        // One of each worker is enough.
        if (!this.state.events.some((it) => it.pid === event.pid)) {
            this.state.events.push({ ...event, fromChild, found: null });
        }
    }

    async follow() {
        const until = Date.now() + PATIENCE;
        while (this.isThere && !this.isSealed && Date.now() < until) {
            const ports = this.state.events.map((it) => it.local_port);
            const { value, trouble } = await this.trustReport.findTestEvents(
                ports,
                this.props.records
            );
            if (trouble) {
                this.state.trouble = trouble;
                return;
            }
            for (const event of this.state.events) {
                event.found = value[event.local_port] || null;
            }
            await new Promise((resolve) => browser.setTimeout(resolve, LOOK_EVERY));
        }
        this.state.isLate = !this.isSealed;
    }

    get isSealed() {
        const { events } = this.state;
        return events.length > 0 && events.every((it) => it.found && it.found.sealed);
    }
}
