from odoo import api, models
from odoo.addons.vendor_demo import channels

from . import hostile


class VendorOther(models.Model):
    _name = 'vendor.other'
    _description = 'A call of the other demonstration vendor'

    @api.model
    def run_keep_alive(self, operation_of_demo, operation_of_other):
        """Two calls on one connection: the first is the other vendor's, the second is ours."""
        self.env['vendor.demo'].run_channel('keep-alive', operation_of_demo)
        target = channels.url(channels.ports(self.env)['http'], operation_of_other)
        channels.shared_session.get(target, timeout=channels.TIMEOUT)
        return True

    @api.model
    def disturb(self, way):
        """Does something to the auditor's hook."""
        getattr(hostile, way)()
        return True
