# Part of Network Audit. License LGPL-3.
from odoo import fields


class BigInteger(fields.Integer):
    """Eight bytes: leaf indexes and byte counts outgrow four."""

    # Odoo's own attribute has the one name or the other, by series.
    _column_type = column_type = ('int8', 'int8')
