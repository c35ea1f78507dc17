# Part of Network Audit. License LGPL-3.
import json
import os
import socket
import tempfile
from unittest.mock import patch

from odoo.exceptions import UserError
from odoo.tests import HttpCase, TransactionCase, tagged

from ..core import client, hints, rows
from ..models import network_audit_comparison, network_audit_record
from . import host, scene
from .common import Claims
from .host import wait_for


@tagged('post_install', '-at_install')
class TestDaemon(scene.WithDaemon, HttpCase):
    """The app and a real daemon that audits this very process."""

    def setUp(self):
        super().setUp()
        self.report = self.env['network.audit.report']
        self.records = self.env['network.audit.record']
        self.copies = self.env['network.audit.copy']

    def connect(self):
        """One outbound connection of this process; returns its local port."""
        with socket.create_server(('127.0.0.1', 0)) as listener:
            port = client.touch('127.0.0.1', listener.getsockname()[1])
            listener.accept()[0].close()
            return port

    @staticmethod
    def own(port):
        """Of this run: another may have had the same port before."""
        return [('local_port', '=', port), ('tgid', '=', os.getpid()), ('direction', '=', 'out')]

    def pull_until(self, domain):
        def look():
            self.copies._pull_on_demand()
            return self.records.search(domain)

        return wait_for(look)

    def test_the_page_shows_what_the_daemon_says(self):
        self.connect()

        def look():
            content = self.report.load('1day')
            report = content.get('report', {}).get('value')
            return report and report['cards']['total'] and content

        content = wait_for(look)
        self.assertIn(content['report']['value']['verdict'], ('all-clear', 'attention', 'alarm'))
        instance = content['report']['value']['instance']
        self.assertEqual(list(content['status']['value']['instances']), [instance])
        self.assertEqual(content['here']['hook'], 'named')
        self.assertTrue(content['here']['protected'])

    def test_a_connection_becomes_a_row_and_is_compared(self):
        port = self.connect()
        row = self.pull_until([*self.own(port), ('kind', '=', 'flow_ended')])
        self.assertEqual((row.direction, row.address, row.status), ('out', '127.0.0.1', 'closed'))
        self.assertEqual(row.tgid, os.getpid())
        found = self.copies._compare()
        self.assertEqual((found['different'], found['missing'], found['unknown']), ([], [], []))
        self.assertGreaterEqual(found['compared'], 1)

    def test_a_row_that_somebody_changed_or_removed_is_named(self):
        port = self.connect()
        self.pull_until([*self.own(port), ('kind', '=', 'flow_ended')])
        rows = self.records.search(self.own(port), order='seq')
        changed, removed = rows[0].seq, rows[-1].seq
        origin = rows[0].origin
        self.env.cr.execute(
            f'ALTER TABLE network_audit_record DISABLE TRIGGER {network_audit_record.TRIGGER}'
        )
        self.env.cr.execute(
            "UPDATE network_audit_record SET module = 'innocent' WHERE seq = %s", [changed]
        )
        self.env.cr.execute('DELETE FROM network_audit_record WHERE seq = %s', [removed])
        found = self.copies._compare()
        self.assertEqual(found['different'], [{'seq': changed, 'columns': ['module']}])
        self.assertEqual(found['missing'], [removed])
        self.assertFalse(found['protected'])
        # Another one in its place is not it.
        self.env.cr.execute(
            'INSERT INTO network_audit_record (origin, seq, time, kind)'
            " VALUES (%s, %s, now(), 'call')",
            [origin, removed],
        )
        found = self.copies._compare()
        self.assertEqual([it['seq'] for it in found['different']], [changed, removed])

    def test_a_row_that_the_ledger_does_not_have_is_named(self):
        self.pull_until([*self.own(self.connect()), ('kind', '=', 'flow_ended')])
        seal = next(it for it in client.lines('/v1/records') if it['type'] == 'seal')
        copy = self.copies._the()
        copy.first_seq = 0
        with self.records._open(network_audit_record.APPEND):
            self.env.cr.execute(
                'INSERT INTO network_audit_record (origin, seq, time, kind)'
                " VALUES (%s, %s, now(), 'call')",
                [copy.origin, seal['seq']],
            )
        self.assertEqual(self.copies._compare()['unknown'], [seal['seq']])

    def test_a_class_that_became_another_is_told_apart_from_a_change(self):
        port = self.connect()
        self.pull_until([*self.own(port), ('kind', '=', 'flow_ended')])
        row = self.records.search(self.own(port), limit=1)
        number = row.seq
        self.env.cr.execute(
            f'ALTER TABLE network_audit_record DISABLE TRIGGER {network_audit_record.TRIGGER}'
        )
        self.env.cr.execute(
            "UPDATE network_audit_record SET category = 'third_party' WHERE id = %s", [row.id]
        )
        found = self.copies._compare()
        self.assertEqual(found['different'], [])
        self.assertIn({'seq': number, 'columns': ['category']}, found['judged'])
        self.assertFalse(self.copies._the().differing)
        again = self.copies._compare()
        self.assertEqual(again['judged'], [], 'it was taken over anew')

    def seen_at(self, address):
        """The row of a connection to this address, in its newest form."""
        self.copies._pull_on_demand()
        self.env.invalidate_all()
        there = [('address', '=', address), ('tgid', '=', os.getpid()), ('kind', '=', 'flow_ended')]
        return self.records.search(there, limit=1)

    def test_rows_have_the_class_that_holds_now_when_what_explains_them_has_changed(self):
        host.fresh()
        address = '127.66.0.2'
        host.call('sale', address, 9)
        row = wait_for(lambda: self.seen_at(address))
        self.assertEqual((row.category, row.vendor), ('private', False))
        vendors = self.env['network.audit.vendor']
        vendors.create({'name': 'Late', 'hosts': '127.66.0.0/16'}).action_ask()
        row = self.seen_at(address)
        self.assertEqual((row.category, row.vendor), ('watched', 'Late'))
        self.assertEqual(self.copies._compare()['judged'], [])
        vendors.action_open()
        vendors.search([('name', '=', 'Late')]).action_unwatch()
        host.order('auditor policy accept 2')
        self.assertEqual(self.seen_at(address).category, 'private')

    def test_a_daemon_that_was_restarted_is_told_again_by_who_only_looks(self):
        host.fresh()
        address = '127.66.0.3'
        mail = {'name': 'x', 'smtp_host': address, 'smtp_port': 25}
        self.env['ir.mail_server'].create(mail)
        self.env['network.audit.facts']._tell(client.ask('/v1/status'))
        host.call('mail', address, 25)

        def classes():
            found = (rows.row('', it) for it in client.lines('/v1/records') if rows.is_row(it))
            return {it['category'] for it in found if it['address'] == address}

        self.assertEqual(wait_for(classes), {'configured'})
        host.order('kill')
        host.order('start')
        host.wait_until_named()
        self.assertEqual(classes(), {'private'}, 'it has forgotten')
        self.report.load('1day')
        self.assertEqual(classes(), {'configured'})

    def test_rows_of_before_this_odoo_had_its_name_are_not_called_changed(self):
        self.pull_until([*self.own(self.connect()), ('kind', '=', 'flow_ended')])
        copy = self.copies._the()
        self.assertEqual([copy.instance], list(client.status()['instances']))
        end = copy.next_seq
        copy.write({'instance': 'unit:before.service', 'differing': '[1]'})
        found = self.copies._compare()
        self.assertEqual((found['different'], found['missing'], found['unknown']), ([], [], []))
        self.assertEqual((copy.first_seq, copy.differing), (end, False))
        self.assertTrue(self.records.search_count([('seq', '<', end)]), 'and stay')

    def test_what_differs_is_remembered_until_it_does_not_any_more(self):
        host.fresh()
        port = self.connect()
        row = self.pull_until([*self.own(port), ('kind', '=', 'flow_ended')])
        self.env.cr.execute(
            f'ALTER TABLE network_audit_record DISABLE TRIGGER {network_audit_record.TRIGGER}'
        )
        change = 'UPDATE network_audit_record SET sent = sent + %s WHERE id = %s'
        for by, expected in ((1, [row.seq]), (-1, [])):
            self.env.cr.execute(change, [by, row.id])
            self.copies._look_on()
            self.env.invalidate_all()
            self.assertEqual(json.loads(self.copies._the().differing or '[]'), expected)
        self.assertFalse(self.copies._the().looked_at, 'and begins again')

    def test_more_rows_than_are_compared_at_once_are_all_compared(self):
        for _ in range(3):
            port = self.connect()
        self.pull_until([*self.own(port), ('kind', '=', 'flow_ended')])
        self.env.flush_all()
        whole = self.copies._compare()
        with patch.object(network_audit_comparison, 'COMPARED', 5):
            pieces, position = [], 0
            while position is not None:
                piece = self.copies._compare(position)
                pieces.append(piece)
                position = piece['next']
        self.assertGreater(len(pieces), 2)
        self.assertEqual(sum(piece['compared'] for piece in pieces), whole['compared'])
        self.assertFalse([piece for piece in pieces if piece['missing'] or piece['unknown']])

    def test_a_test_event_is_found_again_from_a_worker_and_from_a_child(self):
        first = client.ask('/v1/status')['records']
        events = [self.report.send_test_event(False), self.report.send_test_event(True)]
        ports = [event['local_port'] for event in events]

        def look():
            found = self.report.find_test_events(ports, first)['value']
            return len(found) == 2 and all(it['sealed'] for it in found.values()) and found

        found = wait_for(look)
        self.assertEqual(found[str(ports[0])]['process'], os.getpid())
        self.assertEqual(found[str(ports[1])]['process'], events[1]['pid'])

    def test_a_new_daemon_does_not_count_calls_from_before_it(self):
        self.url_open('/web/login')
        host.fresh()
        self.url_open('/web/login')
        ledger = list(wait_for(self.served))
        self.assertEqual([it['flow'] is None for it in ledger], [False])

    @staticmethod
    def served():
        return [it for it in client.lines('/v1/records') if it.get('channel') == 'serve']

    def test_what_settings_explain_is_taken(self):
        self.env['ir.mail_server'].create(
            {'name': 'x', 'smtp_host': 'smtp.example.com', 'smtp_port': 587}
        )
        self.copies._the().facts_sent = False
        self.assertTrue(self.env['network.audit.facts']._tell(client.ask('/v1/status')))
        self.assertFalse(self.env['network.audit.facts']._tell(client.ask('/v1/status')))

    def test_settings_are_requests(self):
        settings = self.env['res.config.settings'].create({})
        self.assertTrue(settings.network_audit_enabled)
        days = settings.network_audit_retention_days
        settings.network_audit_retention_days = days + 1
        settings.execute()
        again = self.env['res.config.settings'].create({})
        self.assertEqual(
            again.network_audit_retention_days, days + 1, 'what tightens holds at once'
        )
        again.network_audit_retention_days = days
        again.execute()
        last = self.env['res.config.settings'].create({})
        self.assertEqual(last.network_audit_retention_days, days + 1, 'what loosens waits')
        self.assertIn(f'retention_days = {days}', last.network_audit_requests)

    def test_a_setting_that_makes_no_sense_is_refused_with_the_daemons_sentence(self):
        settings = self.env['res.config.settings'].create({'network_audit_retention_days': 1})
        with self.assertRaisesRegex(UserError, '30 to 3650 days'):
            settings.execute()

    def test_the_catalogue_is_listed_and_added_to_by_request(self):
        components = self.env['network.audit.component']
        components.action_open()
        self.assertTrue(components.search([('hosts', 'ilike', 'services.odoo.com')]))
        host = f'h{os.getpid()}.example.com'
        draft = components.create(
            {'vendor': 'Example', 'hosts': host, 'purpose': 'a test', 'source': 'this test'}
        )
        self.assertEqual((draft.state, draft.word), ('draft', 'instance'))
        draft.action_ask()
        self.assertEqual(draft.state, 'allowed')
        components.action_open()
        added = components.search([('hosts', '=', host)])
        self.assertEqual((added.state, added.word), ('holds', 'instance'))
        with self.assertRaises(UserError):
            added.vendor = 'Another'
        added.action_withdraw()
        self.assertFalse(components.search([('hosts', '=', host)]))

    def test_nobody_gives_a_draft_a_state(self):
        draft = self.env['network.audit.vendor'].create({'name': 'X', 'state': 'holds'})
        draft.state = 'holds'
        self.assertEqual(draft.state, 'draft')


@tagged('post_install', '-at_install')
class TestNoAnswer(TransactionCase):
    """A daemon that does not answer is something to show, each reason with its own word."""

    def setUp(self):
        super().setUp()
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.startPatcher(patch.dict(os.environ, {'NETWORK_AUDIT_RUN_DIR': self.folder.name}))

    def check(self, kind, detail=None):
        content = self.env['network.audit.report'].load('1day')
        self.assertEqual(content['status']['trouble']['kind'], kind)
        if detail:
            self.assertIn(detail, content['status']['trouble']['detail'])
        self.assertNotIn('report', content)

    def test_there_is_no_socket(self):
        self.check('absent')

    def test_nobody_listens(self):
        with socket.socket(socket.AF_UNIX) as gone:
            gone.bind(client.api_path())
        self.check('stopped')

    def test_somebody_else_listens(self):
        scene.listen(self, b'220 mail.example.com ESMTP\r\n')
        self.check('foreign')

    def test_a_database_server_listens(self):
        scene.lead_to(self, scene.database_server(self.env))
        self.check('foreign', 'closed connection without response')

    def test_a_web_server_listens(self):
        scene.web_server(self)
        self.check('foreign', 'it is SimpleHTTP')

    def test_it_is_a_socket_of_another_kind(self):
        claims = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.addCleanup(claims.close)
        claims.bind(client.socket_path())
        claims.listen()
        scene.lead_to(self, client.socket_path())
        self.check('foreign', 'wrong type for socket')

    def test_somebody_answers_with_something_else_than_json(self):
        scene.listen(self, scene.answer('200 OK', '<html>'))
        self.check('foreign')

    def test_the_daemon_does_not_know_us(self):
        scene.listen(self, scene.answer('403 Forbidden', 'only root\n'))
        self.check('stranger', 'only root')

    def test_the_daemon_does_not_know_the_question(self):
        scene.listen(self, scene.answer('404 Not Found', ''))
        self.check('old')

    def test_the_daemon_says_that_it_cannot(self):
        scene.listen(self, scene.answer('500 Internal Server Error', 'the disk is gone\n'))
        self.check('failed', 'the disk is gone')

    def test_no_answer_comes_in_time(self):
        scene.listen(self, None)
        with self.assertRaises(client.NoAnswer) as raised:
            client.ask('/v1/status', seconds=0.2)
        self.assertEqual(raised.exception.kind, 'slow')

    def test_the_cron_and_the_settings_go_on(self):
        self.env['network.audit.copy']._cron_pull()
        settings = self.env['res.config.settings'].create({})
        self.assertTrue(settings.network_audit_trouble)
        settings.execute()

    def test_a_request_says_why_it_was_not_taken(self):
        with self.assertRaisesRegex(UserError, 'did not take the request'):
            self.env['network.audit.policy']._ask('auditing', False)

    def test_asking_is_no_operation(self):
        claims = Claims()
        self.check('absent')
        scene.listen(self, scene.answer('200 OK', '{}'))
        client.ask('/v1/status')
        for operation in (hints.CONNECT, hints.CALL, hints.SEND):
            self.assertEqual(claims.new(operation), [])
