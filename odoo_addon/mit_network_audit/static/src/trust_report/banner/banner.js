/** @odoo-module **/
import { _t } from "@web/core/l10n/translation";
import { Component } from "@odoo/owl";

import { clock } from "../format";
import { remedies } from "./remedies";

/**
 * Whether the capture is active; where it is not, what is known to cause that, and what to do.
 */
export class Banner extends Component {
    static template = "network_audit.Banner";
    static props = { content: Object, isOdooAway: Boolean, follow: Function };

    get status() {
        return this.props.content.status.value;
    }

    get report() {
        const report = this.props.content.report;
        return report && report.value;
    }

    get instances() {
        return Object.entries((this.status && this.status.instances) || {});
    }

    get isWholeHost() {
        return Boolean(this.report) && this.report.instance === null;
    }

    get activeHooks() {
        return this.status.hooks.filter((hook) => hook.active).length;
    }

    get isSwitchedOff() {
        return Boolean(this.report) && this.report.reasons.some((it) => it.id === "auditing_off");
    }

    /** What is wrong, the gravest first; nothing, if nothing is. */
    get state() {
        const { content, isOdooAway } = this.props;
        const trouble = content.status.trouble || (content.report && content.report.trouble);
        const [, own] = this.instances[0] || [];
        if (isOdooAway) {
            return "odoo_away";
        }
        if (trouble) {
            return trouble.kind;
        }
        if (content.here.is_other) {
            return "other_ledger";
        }
        if (this.isSwitchedOff) {
            return "auditing_off";
        }
        if (!this.activeHooks) {
            return "no_hooks";
        }
        if (content.here.hook === "switched_off") {
            return "hook_off";
        }
        if (content.here.hook !== "named") {
            return "hook_failed";
        }
        if (this.isWholeHost || this.instances.length !== 1) {
            return "whole_host";
        }
        if (own.named === 0) {
            return "nobody_named";
        }
        return "active";
    }

    get view() {
        const state = this.state;
        if (state === "active") {
            return { level: "success", icon: "fa-shield", title: this.activeTitle, remedies: [] };
        }
        return remedies(state, this.props.content);
    }

    /** "Forensic capture: active · kernel · 6 of 6 workers named · since 09:12" */
    get activeTitle() {
        const { hooks, since } = this.status;
        const [, own] = this.instances[0];
        const missing = hooks.length - this.activeHooks;
        const parts = [
            _t("Forensic capture: active"),
            missing ? _t("kernel, %s of %s hooks", this.activeHooks, hooks.length) : _t("kernel"),
            _t("%s of %s workers named", own.named, own.workers),
            _t("since %s", clock(since)),
        ];
        return parts.join(" · ");
    }

    /** Whom this Odoo believes is for its administrator to say. */
    get canFollow() {
        return this.state === "other_ledger" && this.props.content.here.is_administrator;
    }

    get missingHooks() {
        return this.status ? this.status.hooks.filter((hook) => !hook.active) : [];
    }
}
