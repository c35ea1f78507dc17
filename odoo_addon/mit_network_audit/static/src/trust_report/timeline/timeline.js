/** @odoo-module **/
import { _t } from "@web/core/l10n/translation";
import { Component } from "@odoo/owl";

import { bytes, clock, count, date, parse } from "../format";
import { gapName } from "../words";

const HOUR = 3600 * 1000;
// More columns than this cannot be told apart.
const COLUMNS = 96;
// A span is never thinner than this, percent of the width: it would not be seen.
const THINNEST = 0.6;

/** When it happened, hour by hour, and when the recording was not whole. */
export class Timeline extends Component {
    static template = "network_audit.Timeline";
    static props = { report: Object, show: Function };

    setup() {
        Object.assign(this, { clock, date, gapName });
    }

    get from() {
        return parse(this.props.report.from).toMillis();
    }

    get until() {
        return parse(this.props.report.until).toMillis();
    }

    /** Columns of whole hours, each as many as are needed to have few of them. */
    get columns() {
        const hours = Math.max(1, Math.ceil((this.until - this.from) / HOUR));
        const width = Math.ceil(hours / COLUMNS);
        const columns = Array.from({ length: Math.ceil(hours / width) }, (_, index) => ({
            start: this.from + index * width * HOUR,
            operations: 0,
            transferred: 0,
        }));
        for (const hour of this.props.report.hours) {
            const index = Math.floor((parse(hour.start).toMillis() - this.from) / HOUR / width);
            const column = columns[index];
            if (column) {
                column.operations += hour.operations;
                column.transferred += hour.sent + hour.received;
            }
        }
        const most = Math.max(1, ...columns.map((column) => column.operations));
        return columns.map((column) => ({
            ...column,
            height: column.operations ? Math.max(2, (100 * column.operations) / most) : 0,
            title: `${this.time(column.start)}: ${_t("%s operations", count(column.operations))}, ${bytes(column.transferred)}`,
        }));
    }

    time(millis) {
        return clock(new Date(millis).toISOString());
    }

    get gaps() {
        const span = Math.max(1, this.until - this.from);
        return this.props.report.gaps.map((gap, index) => {
            const from = Math.max(this.from, parse(gap.from).toMillis());
            const until = gap.until ? parse(gap.until).toMillis() : this.until;
            const start = (100 * (from - this.from)) / span;
            const width = Math.max(THINNEST, (100 * (until - from)) / span);
            return {
                ...gap,
                index,
                style: `inset-inline-start: ${Math.min(start, 100 - THINNEST)}%; width: ${Math.min(width, 100 - start)}%`,
                title: `${gapName(gap.what)}${gap.detail ? ` (${gap.detail})` : ""}`,
            };
        });
    }

    get label() {
        const operations = this.props.report.hours.reduce((all, hour) => all + hour.operations, 0);
        return _t(
            "%s operations over this period; %s times when the recording was not whole",
            count(operations),
            this.props.report.gaps.length
        );
    }
}
