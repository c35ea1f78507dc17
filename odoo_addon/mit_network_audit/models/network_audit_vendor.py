# Part of Network Audit. License LGPL-3.
from odoo import api, fields, models

from ..core.frames import OWN
from .network_audit_listing import names, words


class NetworkAuditVendor(models.TransientModel):
    """A vendor whose hosts and modules are watched, or a draft of one."""

    _name = 'network.audit.vendor'
    _inherit = 'network.audit.listing'
    _description = 'Watched Vendor'
    _order = 'name, id'

    name = fields.Char(required=True)
    hosts = fields.Char(help='Names, *.name for all below it, addresses, networks')
    modules = fields.Char(help='Technical names; a star stands for anything')
    authors = fields.Char(help='As manifests name them, with commas; a star stands for anything')
    purposes = fields.Char('What it says that it does')

    @api.model
    def _path(self):
        return '/v1/catalogue', 'vendors'

    @api.model
    def _action(self):
        return f'{OWN}.network_audit_vendor_action'

    @api.model
    def _values(self, item):
        return {
            'name': item['name'],
            **{
                column: ', '.join(item[column])
                for column in ('hosts', 'modules', 'authors', 'purposes')
            },
        }

    def _request(self):
        return 'watch', {
            'name': self.name,
            'hosts': words(self.hosts),
            'modules': words(self.modules),
            'authors': names(self.authors),
            'purposes': names(self.purposes),
        }

    def action_unwatch(self):
        """Asks that these vendors are watched no more."""
        for vendor in self.filtered(lambda it: it.state != 'draft'):
            self.env['network.audit.policy']._ask('unwatch', vendor.name)
        return self.action_open()
