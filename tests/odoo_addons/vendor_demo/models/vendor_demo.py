import os
import uuid

from odoo import api, fields, models
from odoo.exceptions import UserError

from .. import channels, markers


class VendorDemo(models.Model):
    _name = 'vendor.demo'
    _description = 'A call of the demonstration vendor'
    _order = 'id desc'

    channel = fields.Selection(
        [(name, name) for name in channels.CHANNELS], default='requests', required=True
    )
    operation = fields.Char(help='What the other end has in its log.', readonly=True)

    def action_press(self):
        """The button: goes out now, by the chosen channel."""
        for record in self:
            record.operation = self.run_channel(record.channel)
        return True

    @api.model
    def run_channel(self, channel, operation_id=None):
        """Goes out by `channel`; returns the operation that the other end has in its log."""
        operation = operation_id or f'{channel}-{uuid.uuid4().hex[:12]}'
        if channel not in channels.CHANNELS:
            raise UserError(self.env._('There is no channel %(name)s.', name=channel))
        channels.CHANNELS[channel](self.env, operation)
        return operation

    @api.model
    def plant_markers(self, seed):
        """Goes out by every channel with secrets in all places; returns them."""
        return markers.plant(self.env, seed)

    @api.model
    def _cron_call(self):
        """The scheduled call; tests say by parameter what it is."""
        parameter = self.env['ir.config_parameter'].sudo().get_param
        by_channels = parameter('vendor_demo.cron_channel', os.environ.get('VENDOR_DEMO_CRON'))
        for channel in (by_channels or 'requests').split(','):
            operation = parameter('vendor_demo.cron_operation')
            self.run_channel(channel, operation or by_channels and f'cron-{channel}')
