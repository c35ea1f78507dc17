# Part of Network Audit. License LGPL-3.
"""Who may do what: checked in every method that a client can call."""

from odoo import _
from odoo.exceptions import AccessError

from .core.frames import OWN

READER = f'{OWN}.group_audit'
OFFICER = f'{OWN}.group_officer'
ADMINISTRATOR = 'base.group_system'


def require(env, group=READER):
    """Raises if the user of this environment is not in the group."""
    if not env.user.has_group(group):
        raise AccessError(_('The network audit is shown to the members of its groups only.'))
