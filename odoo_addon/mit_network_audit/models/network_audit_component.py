# Part of Network Audit. License LGPL-3.
from odoo import _, api, fields, models
from odoo.exceptions import UserError

from ..core.frames import OWN
from .network_audit_listing import words

_KINDS = [
    ('odoo', 'Odoo'),
    ('iap', 'In-app purchases'),
    ('licence', 'Licences'),
    ('mail', 'Mail'),
    ('calendar', 'Calendars'),
    ('messaging', 'Messaging'),
    ('maps', 'Maps'),
    ('media', 'Media'),
    ('security', 'Security'),
    ('storage', 'Storage'),
    ('payment', 'Payment'),
    ('printing', 'Printing'),
    ('shipping', 'Shipping'),
    ('tax', 'Tax'),
    ('invoicing', 'Invoicing'),
    ('other', 'Other'),
]


class NetworkAuditComponent(models.TransientModel):
    """A documented destination of the daemon's catalogue, or a draft of one."""

    _name = 'network.audit.component'
    _inherit = 'network.audit.listing'
    _description = 'Egress Component'
    _rec_name = 'purpose'
    _order = 'word desc, vendor, id'

    vendor = fields.Char(required=True)
    hosts = fields.Char(required=True, help='Names, *.name for all below it, addresses, networks')
    ports = fields.Char(help='Without any: all of them')
    tls = fields.Boolean('TLS only', help='Does not explain what is seen to be plain text')
    only = fields.Char('Only for modules', help='Technical names; without any: for every module')
    kind = fields.Selection(_KINDS, required=True, default='other')
    purpose = fields.Char(required=True, help='What it is for, in a sentence')
    source = fields.Char(required=True, help='How this is known')

    @api.model
    def _path(self):
        return '/v1/catalogue', 'entries'

    @api.model
    def _action(self):
        return f'{OWN}.network_audit_component_action'

    @api.model
    def _values(self, item):
        return {
            'vendor': item['vendor'],
            'hosts': ', '.join(item['hosts']),
            'ports': ', '.join(map(str, item['ports'])),
            'tls': item['tls'],
            'only': ', '.join(item['only']),
            'kind': item['kind'],
            'purpose': item['purpose'],
            'source': item['source'],
        }

    def _request(self):
        ports = words(self.ports)
        if not all(port.isdecimal() and 0 < int(port) < 65536 for port in ports):
            raise UserError(_('Ports are numbers from 1 to 65535: %s', self.ports))
        return 'document', {
            'vendor': self.vendor,
            'hosts': words(self.hosts),
            'ports': [int(port) for port in ports],
            'tls': self.tls,
            'only': words(self.only),
            'kind': self.kind,
            'purpose': self.purpose,
            'source': self.source,
        }

    def action_ask(self):
        """Asks for what is new: a list that was exported and comes in again has the rest too."""
        known = self.search([('create_uid', '=', self.env.uid), ('state', '!=', 'draft')])
        held = [row._request() for row in known]
        twice = self.filtered(lambda row: row.state == 'draft' and row._request() in held)
        action = super(NetworkAuditComponent, self - twice).action_ask()
        twice.unlink()
        return action

    @api.model
    def get_import_templates(self):
        """What a file for the import looks like."""
        return [
            {
                'label': _('Import Template for Egress Components'),
                'template': f'/{OWN}/static/csv/egress_components.csv',
            }
        ]

    def action_withdraw(self):
        """Asks that nothing is documented any more that this Odoo documented for the vendor."""
        for vendor in set(self.filtered(lambda it: it.word == 'instance').mapped('vendor')):
            self.env['network.audit.policy']._ask('undocument', vendor)
        return self.action_open()
