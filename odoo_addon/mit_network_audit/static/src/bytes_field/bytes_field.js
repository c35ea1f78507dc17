/** @odoo-module **/
import { registry } from "@web/core/registry";
import { _t } from "@web/core/l10n/translation";
import { standardFieldProps } from "@web/views/fields/standard_field_props";
import { Component } from "@odoo/owl";

import { bytes } from "../trust_report/format";

/** A number of bytes, with a unit. */
export class BytesField extends Component {
    static template = "network_audit.BytesField";
    static props = { ...standardFieldProps };

    get text() {
        return bytes(this.props.record.data[this.props.name]);
    }
}

registry.category("fields").add("network_audit_bytes", {
    component: BytesField,
    displayName: _t("Bytes"),
    supportedTypes: ["integer"],
});
// For the sums below a list.
registry.category("formatters").add("network_audit_bytes", (value) => bytes(value));
