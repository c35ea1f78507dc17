/** @odoo-module **/
import { Dialog } from "@web/core/dialog/dialog";
import { _t } from "@web/core/l10n/translation";
import { Component } from "@odoo/owl";

/** Says that the daemon cannot export, and what can be had instead. */
export class ExportDialog extends Component {
    static template = "network_audit.ExportDialog";
    static components = { Dialog };
    static props = { version: String, code: String, close: Function };

    setup() {
        this.title = _t("Export signed proof");
    }
}
