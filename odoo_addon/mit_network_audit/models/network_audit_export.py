# Part of Network Audit. License LGPL-3.
import os
import re
from datetime import timedelta

from odoo import _, api, fields, models
from odoo.exceptions import ValidationError

from ..access import require
from ..core import client
from ..core.frames import OWN

PERIOD_DAYS = 7
NONCE_BYTES = 16
# What the daemon takes: hexadecimal, in whole bytes.
_NONCE = re.compile(r'([0-9a-fA-F]{2}){1,64}')
FILE = 'network-audit'


class NetworkAuditExport(models.TransientModel):
    """A part of the ledger to take along, and how it is verified where nobody trusts this Odoo."""

    _name = 'network.audit.export'
    _description = 'Export Signed Proof'
    _rec_name = 'since'

    since = fields.Datetime(
        'From',
        required=True,
        default=lambda self: fields.Datetime.now() - timedelta(days=PERIOD_DAYS),
    )
    until = fields.Datetime('To', required=True, default=lambda self: fields.Datetime.now())
    nonce = fields.Char(
        default=lambda self: os.urandom(NONCE_BYTES).hex(),
        help='Hexadecimal. Whoever asks for the proof gives it, and knows by it that the proof was'
        ' made for them, and not before.',
    )
    root_key = fields.Char(readonly=True, default=lambda self: self._root_key())
    command = fields.Char('How it is verified', compute='_compute_command')

    @api.model
    def _root_key(self):
        try:
            return client.ask('/v1/status')['root_key']
        except (client.NoAnswer, KeyError):
            return False

    @api.depends('since', 'until', 'nonce', 'root_key')
    def _compute_command(self):
        for wizard in self:
            nonce = f' --nonce {wizard.nonce}' if wizard.nonce else ''
            key = wizard.root_key or 'KEY'
            wizard.command = f"auditor-verify --key '{key}'{nonce} {wizard._file_name()}"

    @api.constrains('since', 'until', 'nonce')
    def _check_question(self):
        for wizard in self:
            if wizard.since > wizard.until:
                raise ValidationError(_('The period ends before it begins.'))
            if wizard.nonce and not _NONCE.fullmatch(wizard.nonce):
                raise ValidationError(
                    _('The nonce is hexadecimal, in whole bytes: "openssl rand -hex 16" makes one.')
                )

    def _file_name(self):
        # A form that is being filled in may have no period yet.
        days = [f'-{moment:%Y%m%d}' for moment in (self.since, self.until) if moment]
        return f'{FILE}{"".join(days)}.nalx'

    def _question(self):
        """What the daemon is asked for: this Odoo's own part of the period."""
        question = {'from_ns': _nanoseconds(self.since), 'to_ns': _nanoseconds(self.until)}
        return {**question, 'nonce': self.nonce} if self.nonce else question

    def action_download(self):
        """Saves the file on the computer of whoever asks."""
        self.ensure_one()
        require(self.env)
        return {
            'type': 'ir.actions.act_url',
            'url': f'/network_audit/export/{self.id}',
            'target': 'self',
        }

    @api.model
    def action_open(self):
        """The form, to be filled in."""
        require(self.env)
        return self.env['ir.actions.act_window']._for_xml_id(f'{OWN}.network_audit_export_action')


def _nanoseconds(moment):
    return int((moment - fields.Datetime.to_datetime('1970-01-01')).total_seconds()) * 10**9
