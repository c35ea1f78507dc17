# Part of Network Audit. License LGPL-3.
import json

from odoo import api, fields, models

from ..core import client

# From a field here to a setting of the daemon.
_SETTINGS = {
    'network_audit_enabled': 'auditing',
    'network_audit_strict_redaction': 'strict_redaction',
    'network_audit_retention_days': 'retention_days',
}
_ALL = (*_SETTINGS.values(), 'disabled_channels')


class ResConfigSettings(models.TransientModel):
    _inherit = 'res.config.settings'

    network_audit_enabled = fields.Boolean('Network auditing enabled')
    network_audit_strict_redaction = fields.Boolean('Strict redaction')
    network_audit_retention_days = fields.Integer('Retention')
    network_audit_disabled_channels = fields.Char('Disabled channels')
    network_audit_trouble = fields.Char(readonly=True)
    network_audit_requests = fields.Text(readonly=True)
    network_audit_loaded = fields.Text(readonly=True, help='What held when the page was opened')

    @api.model
    def get_values(self):
        values = super().get_values()
        try:
            answer = self.env['network.audit.policy']._current()
        except client.NoAnswer as error:
            values['network_audit_trouble'] = error.detail or error.kind
            return values
        policy = answer['policy']
        values.update({field: policy[setting] for field, setting in _SETTINGS.items()})
        values.update(
            network_audit_disabled_channels=', '.join(policy['disabled_channels']),
            network_audit_requests=_written(answer['waiting']),
            network_audit_loaded=json.dumps({name: policy[name] for name in _ALL}),
        )
        return values

    def set_values(self):
        super().set_values()
        if not self.network_audit_loaded:
            return  # The daemon did not answer: there was nothing to change.
        loaded = json.loads(self.network_audit_loaded)
        channels = (self.network_audit_disabled_channels or '').replace(',', ' ').split()
        wanted = {setting: self[field] for field, setting in _SETTINGS.items()}
        wanted['disabled_channels'] = sorted(channels)
        for setting, value in wanted.items():
            if value != loaded[setting]:
                self.env['network.audit.policy']._ask(setting, value)


def _written(waiting):
    """The requests that wait for the host, a line for each."""
    return '\n'.join(
        f'{it["number"]}: {it["setting"]} = {it["value"]} ({it["reason"]})' for it in waiting
    )
