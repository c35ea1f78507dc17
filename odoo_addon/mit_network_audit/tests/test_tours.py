# Part of Network Audit. License LGPL-3.
import os
import socket
import tempfile
from unittest.mock import patch

from odoo.tests import HttpCase, tagged

from ..core import client
from ..core.frames import OWN
from ..models import network_audit_record
from . import scene


class Tours(HttpCase):
    def tour(self, name):
        action = self.env.ref(f'{OWN}.network_audit_report_action')
        url = f'/web#action={action.id}'
        self.start_tour(url, f'network_audit_{name}', login='admin', timeout=120)


@tagged('post_install', '-at_install')
class TestTours(Tours):
    """The page in a real browser, with a real daemon behind it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        scene.require_daemon()

    def test_from_the_banner_to_a_proof(self):
        self.tour('trust_report')

    def test_a_row_that_was_changed_in_sql_is_named(self):
        copies, records = self.env['network.audit.copy'], self.env['network.audit.record']
        copies._pull_on_demand()
        row = records.search([('origin', '=', copies._the().origin)], limit=1)
        self.assertTrue(row)
        self.env.cr.execute(
            f'ALTER TABLE network_audit_record DISABLE TRIGGER {network_audit_record.TRIGGER}'
        )
        self.env.cr.execute(
            "UPDATE network_audit_record SET module = 'innocent' WHERE id = %s", [row.id]
        )
        self.env.invalidate_all()
        self.tour('tampered')

    def test_a_watched_vendors_host_is_an_alarm_until_it_is_acknowledged(self):
        vendors = self.env['network.audit.vendor']
        vendors.action_open()
        if not vendors.search([('name', '=', 'Tour')]):
            vendors.create({'name': 'Tour', 'hosts': '127.77.0.0/16'}).action_ask()
        with socket.socket() as sock:
            # Nobody listens there: what counts is where it wanted to go.
            sock.connect_ex(('127.77.0.1', 9))
        self.tour('alarm')

    def test_auditing_that_is_switched_off_is_told(self):
        policy = self.env['network.audit.policy']
        policy._ask('auditing', False)
        self.addCleanup(policy._ask, 'auditing', True)
        self.tour('banner_auditing_off')


@tagged('post_install', '-at_install')
class TestBanners(Tours):
    """The page where the daemon does not answer: each reason is caused, and told."""

    def setUp(self):
        super().setUp()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.startPatcher(patch.dict(os.environ, {'NETWORK_AUDIT_RUN_DIR': folder.name}))

    def test_there_is_no_daemon(self):
        self.tour('banner_absent')

    def test_the_daemon_does_not_run(self):
        with socket.socket(socket.AF_UNIX) as gone:
            gone.bind(client.api_path())
        self.tour('banner_stopped')

    def test_another_program_answers(self):
        scene.listen(self, b'220 mail.example.com ESMTP\r\n')
        self.tour('banner_foreign')

    def test_the_daemon_does_not_audit_this_odoo(self):
        scene.listen(self, scene.answer('403 Forbidden', 'only root\n'))
        self.tour('banner_stranger')

    def test_the_daemon_is_too_old(self):
        scene.listen(self, scene.answer('404 Not Found', ''))
        self.tour('banner_old')
