/** @odoo-module **/
import { registry } from "@web/core/registry";

const REPORT = "network.audit.report";
const EXPORT = "network.audit.export";
const RECORD = "network.audit.record";

/**
 * The only one here that asks the server. Whatever the daemon is asked comes back as
 * `{value}` or `{trouble: {kind, detail}}`.
 */
export const trustReportService = {
    dependencies: ["orm"],
    async: [
        "load",
        "acknowledge",
        "follow",
        "verify",
        "compare",
        "ledger",
        "sendTestEvent",
        "findTestEvents",
        "openLog",
        "openExport",
    ],
    start(env, { orm }) {
        // What is asked again and again is asked without the loading indicator.
        const quietly = orm.silent;
        return {
            load: (period) => quietly.call(REPORT, "load", [period]),
            acknowledge: (reason, subject, text) =>
                orm.call(REPORT, "acknowledge", [reason, subject, text]),
            follow: () => orm.call(REPORT, "follow", []),
            verify: () => quietly.call(REPORT, "verify", []),
            compare: (fromSeq) => quietly.call(REPORT, "compare", [fromSeq]),
            ledger: (query) => orm.call(REPORT, "ledger", [query]),
            sendTestEvent: (fromChild) => quietly.call(REPORT, "send_test_event", [fromChild]),
            findTestEvents: (ports, fromSeq) =>
                quietly.call(REPORT, "find_test_events", [ports, fromSeq]),
            openExport: () => orm.call(EXPORT, "action_open", []),
            openLog: (filter) => orm.call(RECORD, "action_open", [filter]),
        };
    },
};

registry.category("services").add("network_audit.trust_report", trustReportService);
