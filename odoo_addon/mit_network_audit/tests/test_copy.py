# Part of Network Audit. License LGPL-3.
from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.tests import TransactionCase, tagged

from ..core import rows
from ..models import network_audit_copy
from . import scene


@tagged('post_install', '-at_install')
class TestCopy(TransactionCase):
    """Whose records these are, and which of them go."""

    def setUp(self):
        super().setUp()
        self.records = self.env['network.audit.record']
        self.records._retire('TRUE', [])
        self.copy = self.env['network.audit.copy']._the()
        self.copy._begin(scene.ORIGIN)
        self.copy.copied_from = False

    def append(self, *found):
        return self.copy._take(list(found))

    def seqs(self):
        return sorted(self.records.search([]).mapped('seq'))

    def test_an_unchanged_identity_keeps_everything(self):
        self.append(scene.opened(1))
        self.copy.next_seq = 2
        self.copy._begin(scene.ORIGIN)
        self.assertEqual((self.seqs(), self.copy.next_seq), ([1], 2))
        self.assertFalse(self.copy.copied_from)

    def test_a_duplicate_starts_afresh_and_says_whose_copy_it_is(self):
        self.append(scene.opened(1))
        self.copy.write({'next_seq': 2, 'database_name': 'production'})
        self.env['ir.config_parameter'].sudo().set_param('database.uuid', 'another')
        self.copy._begin(scene.ORIGIN)
        self.assertEqual((self.seqs(), self.copy.next_seq), ([], 0))
        self.assertEqual(self.copy.copied_from, 'production')

    def test_another_ledger_is_followed_from_its_beginning_and_the_rows_stay(self):
        self.append(scene.opened(1))
        self.copy.next_seq = 2
        self.copy._begin(scene.ORIGIN.replace('0001', '0002'))
        self.assertEqual((self.seqs(), self.copy.next_seq), ([1], 0))
        self.assertFalse(self.copy.copied_from)

    def test_records_of_another_database_are_not_taken_over(self):
        def of(database):
            return {**scene.ATTRIBUTION, 'database': database}

        own, other = of(self.env.cr.dbname), of('another')
        self.append(scene.opened(1, attribution=own), scene.opened(2, attribution=other))
        self.append(scene.opened(3, attribution=of(None)))
        self.assertEqual(self.seqs(), [1, 3])

    def aged(self, seq, days):
        moment = fields.Datetime.now() - timedelta(days=days)
        return scene.opened(seq, time=moment.strftime('%Y-%m-%dT%H:%M:%S.000000Z'))

    def test_what_is_too_old_goes_and_leaves_no_hole(self):
        self.append(self.aged(1, 9), self.aged(2, 8), self.aged(3, 6), self.aged(4, 0))
        self.copy._gc_rows()
        self.assertEqual((self.seqs(), self.copy.first_seq), ([3, 4], 3))

    def test_what_is_too_much_goes(self):
        self.append(*(self.aged(seq, 0) for seq in range(1, 8)))
        with patch.object(network_audit_copy, 'KEPT_ROWS', 3):
            self.copy._gc_rows()
        self.assertEqual((self.seqs(), self.copy.first_seq), ([5, 6, 7], 5))

    def test_rows_of_an_older_ledger_go_when_they_are_old(self):
        old = scene.ORIGIN.replace('0001', '0000')
        self.records._append([rows.row(old, self.aged(1, 8)), rows.row(old, self.aged(2, 1))])
        self.copy._gc_rows()
        self.assertEqual(self.seqs(), [2])
