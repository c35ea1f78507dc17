import json
import os
import pathlib
import re
import struct
import sys
import threading
import unittest

import peer
import vectors
from support import core

hints = core('hints')


class Golden(unittest.TestCase):
    """One golden for the addon and for the daemon."""

    lines = [
        line.split(' | ')
        for line in vectors.GOLDEN.read_text(encoding='utf-8').splitlines()
        if not line.startswith('#')
    ]

    def test_the_writer_writes_what_the_golden_says(self):
        self.assertEqual(vectors.text(), vectors.GOLDEN.read_text(encoding='utf-8'))

    def test_a_ring_in_use_is_read_as_the_golden_says(self):
        fd = os.memfd_create('golden')
        self.addCleanup(os.close, fd)
        os.ftruncate(fd, hints.FILE_LEN)
        parts = {
            name: (bytes.fromhex(data), json.loads(meaning)) for name, data, meaning in self.lines
        }
        for name, at in (
            ('header', 0),
            ('entries', hints.HEADER_LEN),
            ('strings', hints.STRINGS_OFFSET),
        ):
            os.pwrite(fd, parts[f'ring {name}'][0], at)
        claims = peer.Ring(fd).read_new()
        expected = parts['ring strings'][1]
        self.assertEqual(len(claims), len(expected))
        for claim, says in zip(claims, expected):
            for field in ('operation', 'key', 'site', 'origin', 'database'):
                self.assertEqual(claim[field], says[field])
            self.assertEqual(claim['chain'].split(','), says['chain'])

    def test_the_layout_is_that_of_the_rust_side(self):
        source = (pathlib.Path(__file__).parents[2] / 'auditor-common/src/hint.rs').read_text(
            encoding='utf-8'
        )
        for name, value in (
            ('HEADER_LEN', hints.HEADER_LEN),
            ('ENTRIES', hints.ENTRIES),
            ('ENTRY_LEN', hints.ENTRY_LEN),
            ('STRING_MAX', hints.STRING_MAX),
            ('VERSION', hints.VERSION),
            ('HEAD_AT', hints.COUNTERS_AT),
            ('STRINGS_USED_AT', hints.STRINGS_USED_AT),
            ('CONNECT', hints.CONNECT),
            ('SEND', hints.SEND),
            ('SPAWN', hints.SPAWN),
            ('CALL', hints.CALL),
            ('SERVE', hints.SERVE),
        ):
            self.assertRegex(source, rf'pub const {name}: \w+ = {value};')
        names = re.search(r'NAMES: \[&str; \d+\] = \[(.*?)\];', source, re.DOTALL)[1]
        self.assertEqual(tuple(re.findall(r'"(\w+)"', names)), hints.CHANNELS)
        self.assertIn('pub const STRINGS_LEN: usize = 512 * 1024;', source)
        self.assertEqual(hints.STRINGS_LEN, 512 * 1024)


class Ring(unittest.TestCase):
    def setUp(self):
        self.ring = hints.Ring()
        self.addCleanup(self.ring.close)
        self.reader = peer.Ring(self.ring.fd)

    def put(self, number, chain=0):
        ids = hints.IDS.pack(chain, 0, 0, 0)
        self.ring.write(1, hints.CONNECT, number, (ids, 0), bytes(16), 0)

    def test_a_new_ring_says_whose_it_is(self):
        magic, version, pid, boot_id = struct.unpack('<8sII16s', os.pread(self.ring.fd, 32, 0))
        self.assertEqual((magic, version, pid), (b'NAHINTS1', hints.VERSION, os.getpid()))
        with open('/proc/sys/kernel/random/boot_id', encoding='ascii') as source:
            self.assertEqual(boot_id.hex(), source.read().strip().replace('-', ''))
        self.assertEqual(self.reader.counters()['strings_used'], 8)

    def test_it_cannot_be_cut_off(self):
        with self.assertRaises(OSError):
            os.ftruncate(self.ring.fd, 0)

    def test_it_goes_round(self):
        for number in range(1, hints.ENTRIES + 11):
            self.put(number)
        self.reader.next = 11
        keys = [claim['key'] for claim in self.reader.read_new()]
        self.assertEqual(keys, list(range(11, hints.ENTRIES + 11)))
        with self.assertRaises(AssertionError):
            self.reader.entry(10)

    def test_a_text_has_one_place(self):
        first, second = self.ring.intern('vendor,web'), self.ring.intern('vendor')
        self.assertEqual(self.ring.intern('vendor,web'), first)
        self.assertEqual(
            (self.reader.string(first), self.reader.string(second)), ('vendor,web', 'vendor')
        )

    def test_a_long_or_strange_text_is_made_to_fit(self):
        for text, read in (
            ('é' * 600, 'é' * 512),
            ('a\x1b[31m\nb', 'a?[31m?b'),
            ('a\udc80', 'a?'),
            ('', ''),
        ):
            self.assertEqual(self.reader.string(self.ring.intern(text)), read)

    def test_a_full_table_is_counted_and_claims_go_on(self):
        texts = [str(number).rjust(1000, 'x') for number in range(600)]
        ids = [self.ring.intern(text) for text in texts]
        self.assertEqual(ids[-1], 0)
        self.assertEqual(self.reader.counters()['strings_dropped'], ids.count(0))
        self.assertEqual(self.ring.intern(texts[0]), ids[0])
        self.put(1, ids[-1])
        self.assertEqual(self.reader.read_new()[0]['chain'], None)

    def test_failures_are_counted_where_the_daemon_sees_them(self):
        self.put(1)
        self.ring.count_failure()
        self.ring.count_failure()
        self.put(2)
        self.assertEqual(self.reader.counters()['failures'], 2)
        self.assertEqual(len(self.reader.read_new()), 2)

    def test_it_is_its_makers_and_no_childs(self):
        self.assertEqual(self.ring.mine[0], 1)
        pid = os.fork()
        if pid == 0:
            os._exit(self.ring.mine[0])
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertEqual(self.ring.mine[0], 1)

    def test_threads_write_side_by_side(self):
        threads, each = 8, 400
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        self.addCleanup(sys.setswitchinterval, interval)

        def work(thread):
            for number in range(each):
                self.put(thread * each + number, self.ring.intern(f'module-{thread}-{number % 50}'))

        workers = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        claims = self.reader.read_new()
        self.assertEqual(sorted(claim['key'] for claim in claims), list(range(threads * each)))
        for claim in claims:
            thread, number = divmod(claim['key'], each)
            self.assertEqual(claim['chain'], f'module-{thread}-{number % 50}')


if __name__ == '__main__':
    unittest.main()
