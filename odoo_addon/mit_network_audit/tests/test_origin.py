# Part of Network Audit. License LGPL-3.
import socket
import sys
import types
from unittest.mock import patch

from odoo.tests import TransactionCase, tagged

from odoo.addons.base.models import ir_cron

from ..core import hints
from ..install import install
from .common import Claims, recorder


@tagged('post_install', '-at_install')
class TestOrigin(TransactionCase):
    """What the running code serves, and where that is carried."""

    def describe(self, *_args, **_kwargs):
        self.found = recorder().describe(sys._getframe(1))
        return False

    def test_installing_again_changes_nothing(self):
        first = recorder()
        install()
        self.env['ir.http']._register_hook()
        self.assertIs(recorder(), first)
        claims = Claims()
        with socket.socket() as sock:
            sock.connect_ex(('127.0.0.1', 9))
        self.assertEqual(len(claims.new(hints.CONNECT)), 1, 'one hook, one claim')

    def test_a_cron_is_named(self):
        cron = self.env['ir.cron'].create(
            {
                'name': 'x',
                'model_id': self.env.ref('base.model_res_partner').id,
                'state': 'code',
                'code': 'model.search_count([])',
                'interval_type': 'days',
            }
        )
        with (
            patch.object(type(self.env['ir.actions.server']), 'run', self.describe),
            self.enter_registry_test_mode(),
        ):
            cron.method_direct_trigger()
        self.assertEqual(self.found.name, f'cron {cron.id}')
        self.describe()
        self.assertNotEqual(self.found.name, f'cron {cron.id}', 'it ends with the cron')

    def test_stored_code_is_named_by_its_record(self):
        action = self.env['ir.actions.server'].create(
            {
                'name': 'x',
                'model_id': self.env.ref('base.model_res_partner').id,
                'state': 'code',
                'code': 'model.search_count([])',
            }
        )
        with patch.object(type(self.env['res.partner']), 'search_count', self.describe):
            action.run()
        self.assertEqual(self.found.name, f'server-action {action.id}')

    def test_a_callback_after_the_commit_is_its_adders(self):
        # A function of the base module, as far as its frames say.
        add = types.FunctionType((lambda add, function: add(function)).__code__, vars(ir_cron))
        add(self.env.cr.postcommit.add, self.describe)
        self.describe()
        self.assertNotIn('base', self.found.chain)
        with patch.object(type(self.env.cr.postcommit), 'clear', lambda callbacks: None):
            self.env.cr.postcommit.run()
        self.assertEqual((self.found.chain, self.found.module), (('base',), 'base'))
        self.assertEqual(self.found.file, add.__code__.co_filename)
