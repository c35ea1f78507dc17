# Part of Network Audit. License LGPL-3.
import os

from odoo import _, api, models
from odoo.exceptions import UserError
from odoo.release import version_info
from odoo.tools import config

from .. import install
from ..access import ADMINISTRATOR, require
from ..core import client
from ..core.frames import OWN

# A verification of a whole ledger takes its time.
VERIFY_SECONDS = 600
TEXT_MAX = 500
# RPC is a module since 19, and a list that does not name it drops it.
LOAD = f'--load=base,{"rpc," if version_info[0] >= 19 else ""}web,{OWN}'


class NetworkAuditReport(models.AbstractModel):
    """The Trust Report's window on the daemon: what it says is passed on, and nothing is concluded.

    Every answer is either `{'value': …}` or `{'trouble': {'kind', 'detail'}}`: a daemon that does
    not answer is something to show, and no error.
    """

    _name = 'network.audit.report'
    _description = 'Network Audit: Trust Report'

    @api.model
    def load(self, window='1day'):
        """Everything that the page shows."""
        require(self.env)
        copy = self.env['network.audit.copy'].sudo()._the()
        try:
            status = client.status()
            self.env['network.audit.facts'].sudo()._tell_again(status)
        except client.NoAnswer as error:
            return {'status': _trouble(error), 'here': self._here(copy)}
        return {
            'status': {'value': status},
            'here': {**self._here(copy), 'is_other': copy._is_of_another_ledger(status)},
            'report': _asked('/v1/report', {'window': window}),
            'policy': _asked('/v1/policy'),
        }

    @api.model
    def follow(self):
        """Follows the daemon that answers now, though another key signs there than before."""
        require(self.env, ADMINISTRATOR)
        self.env['network.audit.copy'].sudo()._the().root_key = False
        self.env['network.audit.copy'].sudo()._pull_on_demand()

    def _here(self, copy):
        """What this Odoo knows of itself."""
        loaded = config['server_wide_modules'] or ()
        loaded = loaded.split(',') if isinstance(loaded, str) else loaded
        return {
            'hook': install.state(),
            'server_wide': OWN in loaded,
            'pid': os.getpid(),
            'database': self.env.cr.dbname,
            'copied_from': copy.copied_from or None,
            'followed_key': copy.root_key or None,
            'differences': copy._differences(),
            'run_dir': client.run_dir(),
            'load': LOAD,
            **self.env['network.audit.record']._measured(),
            'is_administrator': self.env.user.has_group('base.group_system'),
        }

    # ------------------------------------------------------------------ doing something

    @api.model
    def acknowledge(self, reason, subject, text):
        """Asks the daemon to seal that somebody has seen a reason."""
        require(self.env)
        text = (text or '').strip()[:TEXT_MAX]
        if not text:
            raise UserError(_('Say in a few words why this is in order.'))
        who = self.env.user.login
        return _asked(
            '/v1/ack', body={'reason': reason, 'subject': subject, 'text': f'{text} ({who})'}
        )

    @api.model
    def verify(self):
        """Asks the daemon to prove its whole ledger, now."""
        require(self.env)
        return _asked('/v1/verify', body={}, seconds=VERIFY_SECONDS)

    @api.model
    def compare(self, from_seq=None):
        """Compares the next piece of the Audit Log with the ledger; says what differs."""
        require(self.env)
        try:
            return {'value': self.env['network.audit.copy'].sudo()._compare(from_seq)}
        except client.NoAnswer as error:
            return _trouble(error)

    @api.model
    def ledger(self, query):
        """Records that are no rows of the Audit Log: policies, losses, runs, seals."""
        require(self.env)
        try:
            return {'value': list(client.lines('/v1/records', {**query, 'limit': 200}))}
        except client.NoAnswer as error:
            return _trouble(error)

    # ------------------------------------------------------------------ the test event

    @api.model
    def send_test_event(self, from_child=False):
        """Connects from this worker, or from a child of it, to this Odoo's own port."""
        require(self.env)
        host, port = config['http_interface'] or '127.0.0.1', int(config['http_port'])
        if host in ('0.0.0.0', '::'):
            host = '127.0.0.1'
        try:
            if from_child:
                pid, local_port = client.touch_from_child(host, port)
            else:
                pid, local_port = os.getpid(), client.touch(host, port)
        except OSError as error:
            raise UserError(
                _(
                    'Odoo could not connect to its own port %(port)s: %(error)s',
                    port=port,
                    error=error,
                )
            ) from error
        return {'pid': pid, 'local_port': local_port, 'worker': os.getpid()}

    @api.model
    def find_test_events(self, local_ports, from_seq):
        """Which connections with these local ports are in the ledger, and which are sealed."""
        require(self.env)
        try:
            return {'value': _found(set(local_ports), from_seq)}
        except client.NoAnswer as error:
            return _trouble(error)

    # ------------------------------------------------------------------ the verdict

    @api.model
    def _note_verdict(self):
        """Remembers the verdict, and tells the audit group where it has changed."""
        try:
            verdict = client.ask('/v1/report')['verdict']
        except (client.NoAnswer, KeyError, TypeError):
            return
        copy = self.env['network.audit.copy']._the()
        if copy.differing:
            verdict = _('%s, and the Audit Log differs from the ledger', verdict)
        before, copy.verdict = copy.verdict, verdict
        if before and before != verdict:
            self._tell_of(before, verdict)

    def _tell_of(self, before, verdict):
        """An activity for each auditor, where the discuss app is installed; nothing elsewhere."""
        if 'mail.activity' not in self.env:
            return
        users = self.env['res.users'].sudo().search([('share', '=', False)])
        for user in users.filtered(lambda user: user.has_group(f'{OWN}.group_audit')):
            user.partner_id.activity_schedule(
                'mail.mail_activity_data_todo',
                summary=_(
                    'Network Audit: %(before)s became %(verdict)s', before=before, verdict=verdict
                ),
                user_id=user.id,
            )


def _asked(path, query=None, body=None, seconds=client.ANSWER_SECONDS):
    try:
        return {'value': client.ask(path, query, body, seconds)}
    except client.NoAnswer as error:
        return _trouble(error)


def _trouble(error):
    return {'trouble': {'kind': error.kind, 'detail': error.detail}}


def _found(local_ports, from_seq):
    """By local port: the numbers of the records, and whether the newest checkpoint covers them."""
    found = {}
    for record in client.lines('/v1/records', {'from': from_seq, 'limit': 5_000}):
        flow = record.get('opened') or record
        local = (flow.get('local') or {}).get('port')
        if local in local_ports and flow.get('direction') == 'out':
            it = found.setdefault(str(local), {'seqs': [], 'sealed': True, 'label': None})
            it['seqs'].append(record['seq'])
            it['sealed'] = it['sealed'] and record['sealed']
            it['label'] = flow['attribution']['label']
            it['process'] = flow['process']['tgid']
    return found
