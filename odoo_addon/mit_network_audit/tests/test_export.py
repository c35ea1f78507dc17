# Part of Network Audit. License LGPL-3.
import os
import subprocess
import sys
import tempfile

from odoo.exceptions import ValidationError
from odoo.modules.module import get_module_path
from odoo.tests import HttpCase, new_test_user, tagged

from ..core import client
from ..core.frames import OWN
from . import host, scene


@tagged('post_install', '-at_install')
class TestExport(HttpCase):
    """From the form to a file that somebody else verifies."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, group in (
            ('portal', 'base.group_portal'),
            ('internal', 'base.group_user'),
            ('auditor', f'base.group_user,{OWN}.group_audit'),
            ('other', f'base.group_user,{OWN}.group_audit'),
        ):
            login = f'export_{name}'
            new_test_user(cls.env, login, password=login, groups=group)

    def wizard(self, **values):
        user = self.env['res.users'].search([('login', '=', 'export_auditor')])
        return self.env['network.audit.export'].with_user(user).create(values)

    def fetch(self, login, wizard):
        self.authenticate(login, login)
        path = wizard.action_download()['url']
        return self.url_open(path, timeout=60, allow_redirects=False)

    def verify(self, content, key, nonce):
        """By the other verifier, in a process of its own: neither Odoo nor the daemon is asked."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'export.nalx')
            with open(path, 'wb') as file:
                file.write(content)
            command = [sys.executable, '-m', 'verify', '--key', key, '--nonce', nonce, path]
            core = os.path.join(get_module_path(OWN), 'core')
            return subprocess.run(command, cwd=core, capture_output=True, text=True, check=False)

    def test_what_is_downloaded_is_proven_elsewhere_and_for_its_nonce_alone(self):
        scene.require_daemon()
        host.wait_until_named()
        wizard = self.wizard()
        answer = self.fetch('export_auditor', wizard)
        self.assertEqual(answer.status_code, 200, answer.text[:300])
        self.assertIn('.nalx', answer.headers['Content-Disposition'])
        key = client.ask('/v1/status')['root_key']
        found = self.verify(answer.content, key, wizard.nonce)
        self.assertIn(found.returncode, (0, 4), found.stdout + found.stderr)
        another = self.verify(answer.content, key, '00' * 16)
        self.assertNotIn(another.returncode, (0, 4), another.stdout)
        self.assertIn(wizard.nonce, wizard.command)
        self.assertIn(key, wizard.command)

    def test_nobody_else_gets_it(self):
        wizard = self.wizard()
        for login in (None, 'export_portal', 'export_internal', 'export_other'):
            answer = self.fetch(login, wizard)
            self.assertIn(answer.status_code, (303, 403, 404), login)

    def test_a_daemon_that_does_not_answer_is_told_in_a_sentence(self):
        with tempfile.TemporaryDirectory() as folder:
            self.patch(os, 'environ', {**os.environ, 'NETWORK_AUDIT_RUN_DIR': folder})
            answer = self.fetch('export_auditor', self.wizard())
        self.assertEqual(answer.status_code, 503)
        self.assertIn('did not export', answer.text)

    def test_a_question_that_makes_no_sense_is_refused(self):
        for values in (
            {'nonce': 'xyz'},
            {'nonce': 'abc'},
            {'since': '2026-01-02 00:00:00', 'until': '2026-01-01 00:00:00'},
        ):
            with self.assertRaises(ValidationError):
                self.wizard(**values)
