/** @odoo-module **/
import { _t } from "@web/core/l10n/translation";
import { Component } from "@odoo/owl";

/** How far back the report goes. The values are the daemon's own words for a span. */
export class Period extends Component {
    static template = "network_audit.Period";
    static props = { value: String, change: Function };

    get periods() {
        return [
            { value: "1h", name: _t("Last hour") },
            { value: "1day", name: _t("Last 24 hours") },
            { value: "7days", name: _t("Last 7 days") },
            { value: "30days", name: _t("Last 30 days") },
        ];
    }
}
