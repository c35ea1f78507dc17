# Part of Network Audit. License LGPL-3.
import psycopg2

from odoo.exceptions import AccessError, UserError
from odoo.tests import TransactionCase, new_test_user, tagged
from odoo.tools import mute_logger

from ..core import rows
from ..core.frames import OWN
from ..models import network_audit_record
from . import scene


@tagged('post_install', '-at_install')
class TestRecordProtected(TransactionCase):
    """Rows are appended and retired. Nothing else happens to them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.records = cls.env['network.audit.record']
        cls.records._retire('TRUE', [])
        cls.append(scene.opened(1), scene.call(2, 1), scene.ended(3, 1), scene.ended(5, 4))
        cls.row = cls.records.search([('seq', '=', 3)])

    @classmethod
    def append(cls, *found):
        return cls.records._append([rows.row(scene.ORIGIN, record) for record in found])

    def users(self):
        auditor = new_test_user(self.env, 'log_auditor', groups=f'{OWN}.group_audit')
        return [auditor, self.env.ref('base.user_admin'), self.env.user]

    def test_nobody_creates_a_row(self):
        values = {'origin': 'x', 'seq': 7, 'time': '2026-11-24 08:00:00', 'kind': 'call'}
        for user in self.users():
            for records in (self.records.with_user(user), self.records.with_user(user).sudo()):
                with self.assertRaises(UserError):
                    records.create(values)

    def test_nobody_changes_or_deletes_one(self):
        for user in self.users():
            for row in (self.row.with_user(user), self.row.with_user(user).sudo()):
                for refused in (
                    lambda row=row: row.write({'module': 'sale'}),
                    lambda row=row: row.unlink(),
                    lambda row=row: row.copy(),
                ):
                    with self.assertRaises(UserError):
                        refused()

    def test_a_context_from_outside_opens_no_door(self):
        for key in (True, 'append', 1, repr(network_audit_record._DOOR)):
            with self.assertRaises(UserError):
                self.records.with_context(network_audit_door=key).create({'origin': 'x', 'seq': 7})

    def test_sql_is_refused_by_the_table_itself(self):
        for statement in (
            'INSERT INTO network_audit_record (origin, seq, time, kind)'
            " VALUES ('x', 9, now(), 'call')",
            "UPDATE network_audit_record SET module = 'sale'",
            'DELETE FROM network_audit_record',
            'TRUNCATE network_audit_record',
        ):
            with (
                self.assertRaises(psycopg2.errors.InsufficientPrivilege),
                mute_logger('odoo.sql_db'),
                self.env.cr.savepoint(),
            ):
                self.env.cr.execute(statement)

    def test_the_door_is_closed_behind_whoever_went_through(self):
        self.append(scene.opened(20))
        self.test_sql_is_refused_by_the_table_itself()

    def test_a_row_is_there_once(self):
        self.assertEqual(self.append(scene.ended(3, 1), scene.opened(6)), 1)
        self.assertEqual(self.records.search_count([('seq', '=', 3)]), 1)

    def test_a_connection_is_an_operation_if_no_call_names_it(self):
        operations = self.records.search([('operation', '=', True)])
        self.assertEqual(sorted(operations.mapped('seq')), [2, 5])
        self.append(scene.ended(8, 7))
        self.append(scene.call(10, 9))
        self.append(scene.ended(11, 9))
        operations = self.records.search([('operation', '=', True)])
        self.assertEqual(sorted(operations.mapped('seq')), [2, 5, 8, 10])

    def test_a_probe_of_a_look_up_is_no_operation(self):
        tried = {**scene.OPENED, 'protocol': 'udp', 'direction': 'out'}
        unused = {'sent': 0, 'received': 0, 'duration_ns': 12_000}
        self.append(
            scene.ended(20, 19, **unused, opened=tried),
            scene.ended(22, 21, **{**unused, 'duration_ns': 60_000_000}, opened=tried),
            scene.ended(24, 23, **{**unused, 'sent': 1}, opened=tried),
            scene.ended(26, 25, **unused, opened={**tried, 'protocol': 'tcp'}),
        )
        operations = self.records.search([('operation', '=', True), ('seq', '>=', 20)])
        self.assertEqual(sorted(operations.mapped('seq')), [22, 24, 26])

    def test_that_the_trigger_is_there_is_looked_up(self):
        self.assertTrue(self.records._measured()['protected'])
        self.env.cr.execute(
            f'ALTER TABLE network_audit_record DISABLE TRIGGER {network_audit_record.TRIGGER}'
        )
        self.assertFalse(self.records._measured()['protected'])
        self.env.cr.execute(f'DROP TRIGGER {network_audit_record.TRIGGER} ON network_audit_record')
        self.assertFalse(self.records._measured()['protected'])
        self.records.init()
        self.assertTrue(self.records._measured()['protected'])

    def test_a_column_that_is_not_ours_is_noticed(self):
        self.assertEqual(self.records._measured()['unknown_columns'], [])
        self.env.cr.execute('ALTER TABLE network_audit_record ADD COLUMN body text')
        self.assertEqual(self.records._measured()['unknown_columns'], ['body'])

    def test_a_number_beyond_four_bytes_is_kept(self):
        self.append(scene.ended(2**40, 2**40 - 1, sent=2**45))
        row = self.records.search([('seq', '=', 2**40)])
        self.assertEqual((row.seq, row.flow, row.sent), (2**40, 2**40 - 1, 2**45))

    def test_what_the_log_refers_to_may_go(self):
        """No foreign keys: neither users nor modules are held by a row."""
        self.env.cr.execute(
            "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"
            " AND conrelid = 'network_audit_record'::regclass"
        )
        self.assertEqual(self.env.cr.fetchone(), (0,))

    def test_who_is_in_no_group_reads_nothing(self):
        stranger = new_test_user(self.env, 'log_stranger', groups='base.group_user')
        with self.assertRaises(AccessError):
            self.records.with_user(stranger).search([])
