# Part of Network Audit. License LGPL-3.
from odoo import _, api, models
from odoo.exceptions import UserError

from ..access import ADMINISTRATOR, require
from ..core import client

# A settings page that asks a daemon which is not there has to open all the same.
SECONDS = 2


class NetworkAuditPolicy(models.AbstractModel):
    """Requests to the daemon: the suspect does not hold the controls, it asks.

    Every request is sealed with what became of it. What tightens the recording takes effect at
    once; what loosens it takes effect as the host's floor allows.
    """

    _name = 'network.audit.policy'
    _description = 'Network Audit: Requests to the Daemon'

    @api.model
    def _current(self):
        """What holds now, what waits, and what was decided."""
        return client.ask('/v1/policy', seconds=SECONDS)

    @api.model
    def _ask(self, setting, value):
        """Asks for one change; returns the decision, which is sealed already."""
        require(self.env, ADMINISTRATOR)
        try:
            return client.ask('/v1/policy', body={'setting': setting, 'value': value})['decision']
        except client.NoAnswer as error:
            raise UserError(
                _(
                    'The daemon did not take the request (%(setting)s): %(why)s',
                    setting=setting,
                    why=error.detail or error.kind,
                )
            ) from error
