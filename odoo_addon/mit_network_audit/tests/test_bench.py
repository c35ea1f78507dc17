# Part of Network Audit. License LGPL-3.
import logging
import os
import time

from odoo.tests import TransactionCase, tagged

from ..core import rows
from ..models import network_audit_record
from . import scene

_logger = logging.getLogger(__name__)

ROWS = int(os.environ.get('NETWORK_AUDIT_BENCH_ROWS', 1_000_000))
# Seconds, and records a second.
REPORT, LIST, TAKEN = 1.0, 2.0, 200
GROUPS = ('module', 'destination', 'category', 'direction', 'channel', 'label', 'time:day')
OPERATIONS = [('operation', '=', True)]


@tagged('-standard', 'network_audit_bench')
class TestBench(TransactionCase):
    """What it costs with as many rows as are kept: asked for by its tag alone."""

    def setUp(self):
        super().setUp()
        self.records = self.env['network.audit.record']
        self.found = []

    def measure(self, what, work, most):
        self.env.invalidate_all()
        begun = time.perf_counter()
        work()
        seconds = time.perf_counter() - begun
        self.found.append((what, seconds, most))
        _logger.info('bench: %s: %.3f s (at most %s s)', what, seconds, most)

    def fill(self):
        with self.records._open(network_audit_record.APPEND):
            self.env.cr.execute(
                """
                INSERT INTO network_audit_record
                    (origin, seq, leaf, time, moment, kind, direction, channel, protocol, address,
                     port, destination, category, module, label, status, measured, sent, received,
                     flow, tgid, instance, operation)
                SELECT 'bench', n, md5(n::text) || md5(n::text), now() - n * interval '0.6 second',
                       '', CASE n %% 2 WHEN 0 THEN 'flow_opened' ELSE 'flow_ended' END,
                       CASE n %% 5 WHEN 0 THEN 'in' ELSE 'out' END, 'tcp', 'tcp',
                       '192.0.2.' || n %% 250, 443, '192.0.2.' || n %% 250,
                       CASE n %% 4 WHEN 0 THEN 'own' WHEN 1 THEN 'configured'
                            WHEN 2 THEN 'third_party' ELSE 'documented' END,
                       'module_' || n %% 40, CASE n %% 9 WHEN 0 THEN 'absent' ELSE 'matched' END,
                       'closed', true, n %% 5000, n %% 90000, n, 17, 'bench', n %% 2 = 1
                  FROM generate_series(1, %s) AS n
                """,
                [ROWS],
            )
        self.env.cr.execute('ANALYZE network_audit_record')

    def test_a_log_that_is_full_is_quick_enough(self):
        self.fill()
        fields = ['time', 'destination', 'module', 'sent', 'received']

        def first_page():
            self.records.search_read(OPERATIONS, fields, limit=80)
            self.records.search_count(OPERATIONS, limit=10_001)

        self.measure('the list', first_page, LIST)
        for group in GROUPS:
            self.measure(
                f'by {group}',
                lambda group=group: self.records._read_group(
                    OPERATIONS, [group], ['__count', 'sent:sum', 'received:sum']
                ),
                LIST,
            )
        report = self.env['network.audit.report']
        self.measure('the Trust Report', lambda: report.load('1day'), REPORT)
        count = 5_000
        found = [rows.row('taken', scene.opened(seq)) for seq in range(count)]
        begun = time.perf_counter()
        self.records._append(found)
        rate = count / (time.perf_counter() - begun)
        _logger.info('bench: taken over: %.0f records/s (at least %s)', rate, TAKEN)
        self.assertGreaterEqual(rate, TAKEN)
        self.assertEqual([it for it in self.found if it[1] > it[2]], [])
