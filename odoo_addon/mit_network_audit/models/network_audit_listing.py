# Part of Network Audit. License LGPL-3.
from odoo import _, api, fields, models
from odoo.exceptions import UserError

from ..access import ADMINISTRATOR, require
from ..core import client

_STATES = [
    ('draft', 'Not asked for yet'),
    ('holds', 'Holds'),
    ('at_once', 'Holds'),
    ('allowed', 'Holds'),
    ('accepted', 'Holds'),
    ('waiting', 'Waits for the host'),
    ('refused', 'Refused by the host'),
    ('denied', 'Denied by the host'),
]
_WORDS = [
    ('built_in', 'Came with the auditor'),
    ('host', 'The host'),
    ('instance', 'This Odoo'),
]


class NetworkAuditListing(models.AbstractModel):
    """Something that the daemon knows, listed for one person; and drafts of requests to add to it.

    The rows are transient: they are read anew whenever the list is opened.
    """

    _name = 'network.audit.listing'
    _description = 'Network Audit: Listing'

    state = fields.Selection(_STATES, default='draft', readonly=True)
    word = fields.Selection(_WORDS, 'On whose word', default='instance', readonly=True)

    # Who fills in says so by this object, which RPC cannot carry.
    _FILLING = object()

    @api.model
    def _path(self):
        """The question to the daemon, and the part of its answer that is listed."""
        raise NotImplementedError

    @api.model
    def _values(self, item):
        """The columns of one listed item."""
        raise NotImplementedError

    def _request(self):
        """The setting and the value that ask for this row."""
        raise NotImplementedError

    @api.model
    def action_open(self):
        """Reads the list anew, and shows it."""
        require(self.env, ADMINISTRATOR)
        self.search([('create_uid', '=', self.env.uid)]).unlink()
        path, part = self._path()
        try:
            found = client.ask(path)[part]
        except client.NoAnswer as error:
            raise UserError(
                _(
                    "The list is the daemon's, and it does not answer: %s",
                    error.detail or error.kind,
                )
            ) from error
        self.with_context(network_audit_filling=self._FILLING).create(
            [{'state': 'holds', 'word': it.get('word'), **self._values(it)} for it in found]
        )
        return self.env['ir.actions.act_window']._for_xml_id(self._action())

    def action_ask(self):
        """Sends the drafts among these rows as requests; each is sealed."""
        drafts = self.filtered(lambda row: row.state == 'draft')
        if not drafts:
            raise UserError(_('There is nothing new among these rows to ask for.'))
        # All of them have to make sense before the first is sealed: a seal is not rolled back.
        requests = [(row, row._request()) for row in drafts]
        refusals = []
        for row, request in requests:
            try:
                decision = self.env['network.audit.policy']._ask(*request)
            except UserError as error:
                refusals.append(f'{row.display_name}: {error}')
                continue
            row.with_context(network_audit_filling=self._FILLING).state = decision['step']
        if len(refusals) == len(requests):
            raise UserError('\n'.join(refusals))
        return self._told_of(refusals) if refusals else None

    def _told_of(self, refusals):
        """A message that stays, and the list behind it."""
        return {
            'type': 'ir.actions.client',
            'tag': 'display_notification',
            'params': {
                'type': 'warning',
                'sticky': True,
                'title': _('The daemon did not take all of them'),
                'message': '\n'.join(refusals),
                'next': {'type': 'ir.actions.client', 'tag': 'soft_reload'},
            },
        }

    @api.model_create_multi
    def create(self, vals_list):
        if not self._is_filling():
            vals_list = [
                {name: value for name, value in vals.items() if name not in ('state', 'word')}
                for vals in vals_list
            ]
        return super().create(vals_list)

    def write(self, vals):
        if not self._is_filling():
            if any(row.state != 'draft' for row in self):
                raise UserError(
                    _('What the daemon knows is not changed here: ask for another entry.')
                )
            vals = {name: value for name, value in vals.items() if name not in ('state', 'word')}
        return super().write(vals)

    def _is_filling(self):
        return self.env.context.get('network_audit_filling') is self._FILLING


def words(text):
    """The words of a text with commas or spaces between them."""
    return (text or '').replace(',', ' ').split()


def names(text):
    """The names of a text with commas between them."""
    return [name for name in map(str.strip, (text or '').split(',')) if name]
