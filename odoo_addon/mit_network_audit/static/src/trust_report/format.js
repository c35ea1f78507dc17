/** @odoo-module **/
import { formatDateTime } from "@web/core/l10n/dates";
import { localization } from "@web/core/l10n/localization";
import { _t } from "@web/core/l10n/translation";

const { DateTime } = luxon;

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** Digits in the user's groups. */
export function count(number) {
    const digits = String(Math.trunc(number || 0));
    return digits.replace(/\B(?=(\d{3})+(?!\d))/g, localization.thousandsSep || " ");
}

/** Bytes with three digits at most; "not measured" is not zero. */
export function bytes(amount, unmeasured = 0) {
    if (!amount && unmeasured) {
        return _t("not measured");
    }
    let unit = 0;
    let value = amount || 0;
    while (value >= 1000 && unit + 1 < UNITS.length) {
        value /= 1024;
        unit += 1;
    }
    const digits = unit === 0 || value >= 100 ? 0 : 1;
    const text = value.toFixed(digits).replace(".", localization.decimalPoint || ".");
    return `${text} ${UNITS[unit]}`;
}

/** A moment of the daemon's (RFC 3339, UTC) as a date of the user's. */
export function parse(moment) {
    return moment ? DateTime.fromISO(moment) : null;
}

export function date(moment) {
    return moment ? formatDateTime(parse(moment)) : "";
}

/** Hours and minutes, with the day where it is another one. */
export function clock(moment) {
    const at = parse(moment);
    if (!at) {
        return "";
    }
    return at.hasSame(DateTime.now(), "day") ? at.toFormat("HH:mm") : formatDateTime(at);
}

/** How long ago, in the user's words. */
export function ago(moment) {
    return moment ? parse(moment).toRelative() || "" : "";
}

/** A part of a whole, in whole percents; more than nothing is not shown as nothing. */
export function percent(part, whole) {
    if (!whole || !part) {
        return "0 %";
    }
    const value = (100 * part) / whole;
    return value < 1 ? "< 1 %" : `${Math.round(value)} %`;
}
