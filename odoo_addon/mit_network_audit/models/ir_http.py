# Part of Network Audit. License LGPL-3.
from odoo import models

from ..install import install


class IrHttp(models.AbstractModel):
    _inherit = 'ir.http'

    def _register_hook(self):
        """The second door: platforms where the module is installed, but not in ``--load``."""
        super()._register_hook()
        install()
