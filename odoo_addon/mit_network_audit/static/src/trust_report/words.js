/** @odoo-module **/
import { _t } from "@web/core/l10n/translation";

/** The destination classes, in the order in which they are drawn. */
export const CLASSES = [
    "watched",
    "third_party",
    "private",
    "documented",
    "configured",
    "own",
    "unknown",
];

export function className(name) {
    return {
        own: _t("Own"),
        configured: _t("Configured"),
        documented: _t("Documented"),
        watched: _t("Watched"),
        private: _t("Private network"),
        third_party: _t("Third party"),
        unknown: _t("No connection seen"),
    }[name || "unknown"];
}

export function verdictName(verdict) {
    return {
        "all-clear": _t("All-clear"),
        attention: _t("Attention"),
        alarm: _t("Alarm"),
    }[verdict];
}

export function severityName(severity) {
    return { note: _t("Note"), attention: _t("Attention"), alarm: _t("Alarm") }[severity];
}

/** What a span of the timeline stands for. */
export function gapName(what) {
    return {
        stopped: _t("The daemon was stopped, as declared"),
        interrupted: _t("Nobody recorded, and nobody had said so"),
        switched_off: _t("Auditing was switched off"),
        hook_off: _t("A hook was off the kernel"),
        lost: _t("Something was lost"),
    }[what];
}

export function labelName(label) {
    return {
        matched: _t("matched"),
        self_reported: _t("self-reported"),
        inferred: _t("inferred"),
        absent: _t("seen only by the kernel"),
    }[label];
}
