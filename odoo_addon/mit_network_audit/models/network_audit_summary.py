# Part of Network Audit. License LGPL-3.
from odoo import _, api, fields, models
from odoo.exceptions import UserError

from ..access import require
from ..big_integer import BigInteger
from ..core import client
from ..core.frames import OWN
from .network_audit_record import CATEGORIES, DIRECTIONS, LABELS

WINDOW = '7days'
# What the daemon sums by, and the columns that it becomes.
_BY = {
    'hour': 'hour',
    'module': 'module',
    'destination': 'destination',
    'class': 'category',
    'vendor': 'vendor',
    'direction': 'direction',
    'label': 'label',
}
_SUMS = ('operations', 'flows', 'calls', 'sent', 'received', 'unmeasured')


class NetworkAuditSummary(models.TransientModel):
    """The daemon's own sums, for one person: read anew whenever the list is opened."""

    _name = 'network.audit.summary'
    _description = 'Traffic Summary'
    _order = 'hour desc, operations desc, id'
    _rec_name = 'destination'

    hour = fields.Datetime(readonly=True)
    module = fields.Char(readonly=True)
    destination = fields.Char(readonly=True)
    category = fields.Selection(CATEGORIES, 'Class', readonly=True)
    vendor = fields.Char('Watched vendor', readonly=True)
    direction = fields.Selection(DIRECTIONS, readonly=True)
    label = fields.Selection(LABELS, readonly=True)
    operations = BigInteger(readonly=True, help='Calls, and connections that no call names')
    flows = BigInteger('Connections', readonly=True)
    calls = BigInteger(readonly=True)
    sent = BigInteger(readonly=True, help='Payload bytes')
    received = BigInteger(readonly=True, help='Payload bytes')
    unmeasured = BigInteger('Not measured', readonly=True, help='Connections without a measure')

    @api.model
    def action_open(self):
        """Reads the sums anew, and shows them."""
        require(self.env)
        try:
            answer = client.ask('/v1/rollup', {'by': ','.join(_BY), 'window': WINDOW})
        except client.NoAnswer as error:
            raise UserError(
                _(
                    "The sums are the daemon's, and it does not answer: %s",
                    error.detail or error.kind,
                )
            ) from error
        mine = self.sudo().search([('create_uid', '=', self.env.uid)])
        mine.unlink()
        self._fill(answer['lines'])
        return self.env['ir.actions.act_window']._for_xml_id(f'{OWN}.network_audit_summary_action')

    def _fill(self, lines):
        """As many rows as the daemon has lines, in one statement: they may be thousands."""
        names = ['create_uid', 'create_date', *_BY.values(), *_SUMS]
        now = fields.Datetime.now()
        values = [
            (
                self.env.uid,
                now,
                *(_value(by, line.get(by)) for by in _BY),
                *(line[name] for name in _SUMS),
            )
            for line in lines
            if line['operations'] or line['sent'] or line['received']
        ]
        statement = f'INSERT INTO {self._table} ({", ".join(names)}) VALUES %s'
        if values:
            self.env.cr.execute_values(statement, values, page_size=1000)


def _value(by, word):
    return f'{word[:10]} {word[11:19]}' if by == 'hour' and word else word
