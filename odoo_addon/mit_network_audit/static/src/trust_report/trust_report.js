/** @odoo-module **/
import { loadBundle } from "@web/core/assets";
import { registry } from "@web/core/registry";
import { useService } from "@web/core/utils/hooks";
import { _t } from "@web/core/l10n/translation";
import { Layout } from "@web/search/layout";
import { Component, onWillStart, useState } from "@odoo/owl";

import { AcknowledgeDialog } from "./acknowledge/acknowledge_dialog";
import { Banner } from "./banner/banner";
import { Cards } from "./cards/cards";
import { Chips } from "./chips/chips";
import { CopyState } from "./copy_state/copy_state";
import { Destinations } from "./destinations/destinations";
import { Distribution } from "./distribution/distribution";
import { ago } from "./format";
import { Hero } from "./hero/hero";
import { LedgerDialog, isOfLedger } from "./ledger/ledger_dialog";
import { Modules } from "./modules/modules";
import { Period } from "./period/period";
import { usePolling } from "./polling";
import { TestEventDialog } from "./test_event/test_event_dialog";
import { Timeline } from "./timeline/timeline";
import { VerifyDialog } from "./verify/verify_dialog";
import { Volume } from "./volume/volume";

/**
 * The landing page: what the daemon says, drawn. Nothing is concluded here.
 */
export class TrustReport extends Component {
    static template = "network_audit.TrustReport";
    static components = {
        Banner,
        Cards,
        Chips,
        CopyState,
        Destinations,
        Distribution,
        Hero,
        Layout,
        Modules,
        Period,
        Timeline,
        Volume,
    };
    static props = ["*"];

    setup() {
        this.trustReport = useService("network_audit.trust_report");
        this.action = useService("action");
        this.dialog = useService("dialog");
        this.notification = useService("notification");
        this.display = { controlPanel: {} };
        this.state = useState({
            period: "1day",
            content: null,
            loadedAt: null,
            isOdooAway: false,
            verified: null,
        });
        // What draws is fetched while the daemon is asked.
        onWillStart(() => Promise.all([this.load(), loadBundle("web.chartjs_lib")]));
        usePolling(() => this.load());
    }

    /** The answer to the newest question counts: an older one may come later. */
    async load() {
        const period = this.state.period;
        let content = null;
        try {
            content = await this.trustReport.load(period);
        } catch (error) {
            // Its class is exported from another place in each series.
            if (error.constructor.name !== "ConnectionLostError") {
                throw error;
            }
            this.state.isOdooAway = true;
            return;
        }
        if (period === this.state.period) {
            Object.assign(this.state, { content, loadedAt: new Date(), isOdooAway: false });
        }
    }

    get content() {
        return this.state.content;
    }

    get status() {
        return this.content && this.content.status.value;
    }

    get report() {
        return this.content && this.content.report && this.content.report.value;
    }

    get loadedAgo() {
        return this.state.loadedAt ? ago(this.state.loadedAt.toISOString()) : "";
    }

    async refresh() {
        await this.load();
    }

    async setPeriod(period) {
        this.state.period = period;
        await this.load();
    }

    verify() {
        this.dialog.add(VerifyDialog, {
            done: (verified) => {
                this.state.verified = verified;
                return this.load();
            },
        });
    }

    /** The daemon that answers now is the right one, though it has another key. */
    async follow() {
        await this.trustReport.follow();
        await this.load();
    }

    async exportProof() {
        await this.action.doAction(await this.trustReport.openExport());
    }

    sendTestEvent() {
        this.dialog.add(TestEventDialog, {
            records: this.status.records,
            processes: this.processes,
        });
    }

    get processes() {
        const instances = Object.values((this.status && this.status.instances) || {});
        return instances.length === 1 ? instances[0] : { processes: 0, named: 0 };
    }

    /** The records behind something: rows of the log, or the ledger's own entries. */
    async show(filter) {
        if (isOfLedger(filter)) {
            this.dialog.add(LedgerDialog, { filter });
            return;
        }
        await this.action.doAction(await this.trustReport.openLog(filter));
    }

    acknowledge(reason) {
        this.dialog.add(AcknowledgeDialog, {
            reason,
            done: async (answer) => {
                if (answer.trouble) {
                    this.notification.add(answer.trouble.detail || answer.trouble.kind, {
                        type: "danger",
                        title: _t("It was not acknowledged"),
                    });
                }
                await this.load();
            },
        });
    }
}

registry.category("actions").add("network_audit.trust_report", TrustReport);
