# Part of Network Audit. License LGPL-3.
import base64
import contextlib
import csv
import io
import os
from unittest.mock import patch

from odoo.exceptions import UserError
from odoo.tests import TransactionCase, tagged
from odoo.tools import mute_logger
from odoo.tools.misc import file_open

from ..core.frames import OWN
from . import scene

COLUMNS = ['vendor', 'hosts', 'ports', 'tls', 'only', 'kind', 'purpose', 'source']


class CatalogueCase(TransactionCase):
    def setUp(self):
        super().setUp()
        self.components = self.env['network.audit.component']

    def load(self, *lines):
        return self.components.load(COLUMNS, [list(line) for line in lines])

    @staticmethod
    def through_a_file(lines):
        """As a spreadsheet has them: everything is text."""
        text = io.StringIO()
        csv.writer(text).writerows(lines)
        return list(csv.reader(io.StringIO(text.getvalue())))

    def drafts(self):
        return self.components.search([('state', '=', 'draft')], order='id')

    @staticmethod
    def line(hosts, ports='', tls='', only='', kind='other'):
        return ['Example GmbH', hosts, ports, tls, only, kind, 'a test', 'this test']


@tagged('post_install', '-at_install')
class TestCatalogueFiles(CatalogueCase):
    """A list comes in from a file, and goes out into one."""

    def check(self, line, **expected):
        found = self.load(line)
        self.assertTrue(found['ids'], found['messages'])
        setting, value = self.components.browse(found['ids'])._request()
        self.assertEqual(setting, 'document')
        self.assertEqual({name: value[name] for name in expected}, expected)

    def test_names_wildcards_and_networks_come_in(self):
        self.check(
            self.line('api.example.com, *.example.net,192.0.2.0/24 2001:db8::/32'),
            hosts=['api.example.com', '*.example.net', '192.0.2.0/24', '2001:db8::/32'],
            ports=[],
            tls=False,
            only=[],
        )

    def test_ports_modules_and_encryption_come_in(self):
        self.check(
            self.line('api.example.com', '443, 8443', 'True', 'example_sync example_*', 'shipping'),
            ports=[443, 8443],
            tls=True,
            only=['example_sync', 'example_*'],
            kind='shipping',
        )

    def test_the_kind_can_be_named_as_the_list_shows_it(self):
        self.check(self.line('api.example.com', kind='In-app purchases'), kind='iap')

    def test_a_line_without_what_is_needed_is_refused(self):
        for at in (0, 1, 6, 7):
            line = self.line('api.example.com')
            line[at] = ''
            with mute_logger('odoo.sql_db'):
                found = self.load(line)
            self.assertFalse(found['ids'], COLUMNS[at])
            self.assertEqual([it['type'] for it in found['messages']], ['error'], COLUMNS[at])

    def test_nothing_that_comes_in_holds_by_itself(self):
        found = self.components.load(
            [*COLUMNS, 'state', 'word'], [[*self.line('api.example.com'), 'holds', 'built_in']]
        )
        row = self.components.browse(found['ids'])
        self.assertEqual((row.state, row.word), ('draft', 'instance'))

    def test_what_goes_out_comes_in_again(self):
        self.load(self.line('*.example.net, 192.0.2.0/24', '443', 'True', 'example_sync', 'mail'))
        before = [row._request() for row in self.drafts()]
        exported = self.drafts().export_data(COLUMNS)['datas']
        self.drafts().unlink()
        self.load(*self.through_a_file(exported))
        self.assertEqual([row._request() for row in self.drafts()], before)

    def test_the_example_file_comes_in(self):
        (template,) = self.components.get_import_templates()
        with file_open(template['template'].lstrip('/')) as file:
            head, *lines = csv.reader(file)
        self.assertEqual(head, COLUMNS)
        found = self.load(*lines)
        self.assertEqual((len(found['ids']), found['messages']), (len(lines), []))
        for row in self.components.browse(found['ids']):
            row._request()

    def test_odoos_own_import_page_takes_the_example_file(self):
        if 'base_import.import' not in self.env:
            self.skipTest('SKIPPED: because base_import is not installed')
        with file_open(f'{OWN}/static/csv/egress_components.csv', 'rb') as file:
            content = file.read()
        page = self.env['base_import.import'].create(
            {'res_model': self.components._name, 'file': content, 'file_type': 'text/csv'}
        )
        options = {'quoting': '"', 'separator': ',', 'has_headers': True}
        preview = page.parse_preview(options)
        self.assertEqual(preview['headers'], COLUMNS, base64.b64encode(content))
        found = page.execute_import(COLUMNS, COLUMNS, options)
        self.assertEqual((len(found['ids']), found['messages']), (2, []))

    def test_ports_that_are_none_are_refused_before_anything_is_sealed(self):
        self.load(self.line('a.example.com', '443'), self.line('b.example.com', '70000'))
        with (
            patch.object(type(self.env['network.audit.policy']), '_ask') as ask,
            self.assertRaisesRegex(UserError, '1 to 65535'),
        ):
            self.drafts().action_ask()
        ask.assert_not_called()


@tagged('post_install', '-at_install')
class TestCatalogueRequests(scene.WithDaemon, CatalogueCase):
    """Lists, and a real daemon."""

    def setUp(self):
        super().setUp()
        self.components.action_open()
        self.host = f'h{os.getpid()}.example.com'

    def tearDown(self):
        # What is sealed outlives the test's transaction.
        with contextlib.suppress(UserError):
            self.env['network.audit.policy']._ask('undocument', 'Example GmbH')
        super().tearDown()

    def test_wildcards_and_networks_are_taken(self):
        self.load(self.line(f'{self.host}, *.{self.host}, 198.51.100.0/24', '443'))
        self.drafts().action_ask()
        self.components.action_open()
        row = self.components.search([('hosts', 'like', self.host)])
        self.assertEqual(row.hosts, f'{self.host}, *.{self.host}, 198.51.100.0/24')
        self.assertEqual((row.ports, row.state, row.word), ('443', 'holds', 'instance'))

    def test_what_the_daemon_refuses_is_said_and_the_rest_is_taken(self):
        self.load(self.line(self.host), self.line('*.com'), self.line('10.0.0.0/8'))
        told = self.drafts().action_ask()
        for host in ('*.com', '10.0.0.0/8'):
            self.assertIn(f'"{host}" is too wide', told['params']['message'])
        self.assertEqual(self.drafts().mapped('hosts'), ['*.com', '10.0.0.0/8'])
        self.components.action_open()
        self.assertTrue(self.components.search([('hosts', '=', self.host)]))

    def test_a_list_that_comes_back_asks_for_what_is_new_alone(self):
        exported = self.components.search([]).export_data(COLUMNS)['datas']
        self.assertGreater(len(exported), 80)
        self.load(*self.through_a_file(exported), self.line(self.host))
        before = len(self.env['network.audit.policy']._current()['decisions'])
        self.drafts().action_ask()
        after = self.env['network.audit.policy']._current()['decisions']
        self.assertEqual(len(after) - before, 1)
        self.assertFalse(self.drafts())
