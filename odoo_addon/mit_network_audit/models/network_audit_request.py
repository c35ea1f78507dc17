# Part of Network Audit. License LGPL-3.
import json

from odoo import api, fields, models

from ..big_integer import BigInteger
from ..core.frames import OWN


class NetworkAuditRequest(models.TransientModel):
    """What was asked for, and what became of it: the newest decisions, as they were sealed."""

    _name = 'network.audit.request'
    _inherit = 'network.audit.listing'
    _description = 'Request to the Daemon'
    _rec_name = 'number'
    _order = 'seq desc, id'

    number = fields.Integer()
    step = fields.Selection(
        [
            ('at_once', 'Took effect at once'),
            ('allowed', 'Took effect, the floor allows it'),
            ('waiting', 'Waits for the host'),
            ('refused', 'Refused by the floor'),
            ('accepted', 'Accepted by the host'),
            ('denied', 'Denied by the host'),
        ]
    )
    setting = fields.Char()
    value = fields.Char()
    effect = fields.Selection(
        [('none', 'Changes nothing'), ('tightens', 'Tightens'), ('loosens', 'Loosens')]
    )
    reason = fields.Char()
    time = fields.Datetime('Sealed')
    seq = BigInteger('Record')

    @api.model
    def _path(self):
        return '/v1/policy', 'decisions'

    @api.model
    def _action(self):
        return f'{OWN}.network_audit_request_action'

    @api.model
    def _values(self, item):
        return {
            'word': item['actor']['who'],
            'value': json.dumps(item['value']),
            'time': f'{item["time"][:10]} {item["time"][11:19]}',
            **{
                name: item[name]
                for name in ('number', 'step', 'setting', 'effect', 'reason', 'seq')
            },
        }
