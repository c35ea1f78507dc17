# Part of Network Audit. License LGPL-3.
from odoo.tests import TransactionCase, tagged

from ..core import rows
from ..models.network_audit_record import COLUMNS, _domain
from . import scene


@tagged('post_install', '-at_install')
class TestRows(TransactionCase):
    """A record, as the columns of the log."""

    def check(self, record, **columns):
        row = rows.row(scene.ORIGIN, record)
        self.assertEqual({name: row[name] for name in columns}, columns)

    def test_a_connection_that_ended(self):
        self.check(
            scene.ended(9, 8),
            seq=9,
            flow=8,
            time='2026-11-24 08:00:09',
            moment='2026-11-24T08:00:09.250000Z',
            direction='out',
            channel='tcp',
            destination='192.0.2.7',
            port=443,
            module='vendor_demo',
            chain='vendor_demo < base',
            status='closed',
            measured=True,
            sent=120,
            duration=0.0025,
            tgid=17,
        )

    def test_what_was_not_measured_is_not_zero(self):
        self.check(scene.ended(9, 8, sent=None, received=None), measured=False, sent=None)

    def test_a_call_has_the_place_of_its_connection(self):
        self.check(scene.call(9, 8), channel='requests', method='POST', address='192.0.2.7', flow=8)

    def test_a_served_call_is_inbound_even_if_its_connection_is_unknown(self):
        lone = scene.call(9, None, channel='serve', opened=None)
        self.check(lone, direction='in', channel='serve', address=None, flow=None)

    def test_a_contradiction_is_named(self):
        lie = {**scene.ATTRIBUTION, 'contradictions': ['address', 'port']}
        self.check(scene.opened(9, attribution=lie), contradiction='address < port')

    def test_what_no_ordinary_odoo_does_is_a_row(self):
        about = {'attribution': scene.ATTRIBUTION, 'process': scene.OPENED['process'], 'cookie': 7}
        record = scene.record(9, 'guard', what='raw_socket', protocol='icmp', **about)
        self.assertTrue(rows.is_row(record))
        self.check(
            record,
            kind='guard',
            channel='guard',
            method='raw_socket',
            protocol='icmp',
            cookie='7',
            module='vendor_demo',
            tgid=17,
            address=None,
            direction=None,
        )

    def test_a_reason_about_guards_opens_their_rows(self):
        wanted = [('seq', '>=', 7), ('kind', '=', 'guard'), ('method', '=', 'ptrace')]
        self.assertEqual(_domain({'from_seq': 7, 'guard': 'ptrace'}), wanted)

    def test_entries_of_the_ledger_itself_are_no_rows(self):
        self.assertTrue(rows.is_row(scene.opened(1)))
        for kind in ('seal', 'loss', 'run', 'policy'):
            self.assertFalse(rows.is_row({**scene.opened(1), 'type': kind, 'class': kind}))
        self.assertFalse(rows.is_row(scene.record(1, 'a class from the future')))

    def test_every_column_is_a_field_and_no_field_could_hold_a_content(self):
        stored = {
            name for name, field in self.env['network.audit.record']._fields.items() if field.store
        }
        self.assertEqual(stored, COLUMNS)
        for name in stored:
            for word in (
                'body',
                'payload',
                'content',
                'header',
                'query',
                'path',
                'user',
                'password',
            ):
                self.assertNotIn(word, name)

    def test_a_row_that_was_changed_differs_in_that_column(self):
        record = scene.ended(9, 8)
        stored = rows.row(scene.ORIGIN, record)
        self.assertEqual(rows.differences(stored, record), [])
        for name, value in (('module', 'sale'), ('sent', 0), ('received', None), ('leaf', '00')):
            self.assertEqual(rows.differences({**stored, name: value}, record), [name])
