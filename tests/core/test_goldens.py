"""The goldens that Rust wrote, read by the Python that was written from FORMAT.md."""

import json
import pathlib
import re
import shutil
import unittest

from support import core

bodies, entries, forms, signing, notes, tree = (
    core('verify.' + name) for name in ('body', 'entry', 'forms', 'note', 'notes', 'tree')
)
REPOSITORY = pathlib.Path(__file__).parents[2]
VECTORS = REPOSITORY / 'tests' / 'vectors'
FORMAT = REPOSITORY / 'auditor-common' / 'FORMAT.md'


def golden(name):
    for line in (VECTORS / name).read_text().splitlines():
        if not line.startswith('#'):
            title, data, content = line.split(' | ', 2)
            yield title, bytes.fromhex(data), json.loads(content)


def plain(value):
    """A body as the goldens write it: bytes as h'…'."""
    if isinstance(value, bytes):
        return f"h'{value.hex()}'"
    if isinstance(value, list):
        return [plain(element) for element in value]
    if isinstance(value, dict):
        return {key: plain(element) for key, element in value.items()}
    return value


def by_key(read, value):
    """A body with the format's keys for its names, as far down as tables go."""
    if isinstance(value, dict):
        return {str(read.keys[name]): by_key(TABLES.get(name), element) for name, element in value.items()}
    if isinstance(value, list):
        return [by_key(read, element) for element in value]
    return value


TABLES = {'process': bodies.process, 'target': bodies.process, 'attribution': bodies.attribution, 'hooks': bodies.hook}


class Goldens(unittest.TestCase):
    def test_entries_are_what_they_say(self):
        for name, row, expected in golden('entries.txt'):
            with self.subTest(name):
                entry, salt, body = entries.parse_row(row)
                found = {key: value.hex() if isinstance(value, bytes) else value for key, value in entry.items()}
                found |= {'salt': salt.hex(), 'body': body.hex(), 'leaf': tree.leaf_hash(row[:160]).hex()}
                self.assertEqual(found, expected)
                self.assertEqual(entries.commit(salt, body), entry['body_commit'])

    def test_the_known_answers_come_out(self):
        rows = [row for name, row, _ in golden('entries.txt') if name.startswith('known answer')]
        checkpoint = next(data for name, data, _ in golden('notes.txt') if name.startswith('checkpoint'))
        root_key = bytes.fromhex('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a')
        tag = entries.log_tag('audit.example/cluster-a/node-7/0001', root_key)
        self.assertEqual(tag.hex(), 'f5496eb5329466ccc20693660c37865f')
        prev, edge = entries.genesis_prev(tag), tree.CompactRange()
        for row in rows:
            self.assertEqual(entries.parse_row(row)[0]['prev'], prev)
            prev = tree.leaf_hash(row[:160])
            edge.append(prev)
        self.assertEqual(edge.root().hex(), '28f9159bf11b8b65dc7378c6eb8022d1902a696d318b417265dfc2935067e34f')
        self.assertEqual(edge.root(), notes.parse_checkpoint(checkpoint)['root'])

    def test_bodies_are_what_they_say(self):
        for name, data, expected in golden('bodies.txt'):
            with self.subTest(name):
                kind, cls = expected['type'], expected['class']
                body = bodies.parse_body(kind, cls, data)
                self.assertEqual(by_key(bodies.BODIES[kind, cls], plain(body)), expected['body'])
        seen = {(content['type'], content['class']) for _, _, content in golden('bodies.txt')}
        self.assertEqual(seen, set(bodies.BODIES))

    @unittest.skipUnless(shutil.which('openssl'), 'openssl is not installed')
    def test_notes_are_signed_by_whom_they_say(self):
        parsers = {'checkpoint': notes.parse_checkpoint, 'epoch': notes.parse_epoch, 'node': notes.parse_node}
        for name, data, expected in golden('notes.txt'):
            with self.subTest(name):
                found = parsers[expected.pop('kind')](data)
                note, keys = found.pop('note'), [signing.Key.parse(key) for key in expected.pop('keys')]
                found = {
                    key: value.hex() if isinstance(value, bytes) else str(value) if isinstance(value, signing.Key) else value
                    for key, value in found.items()
                }
                self.assertEqual(found, expected)
                for key in keys:
                    note.verify(key)
                    with self.assertRaises(forms.Refused):
                        note.verify(key.renamed('another'))
                note.text = note.text.replace('1', '2', 1)
                for key in keys:
                    with self.assertRaises(forms.Forged):
                        note.verify(key)

    def test_what_must_be_refused_is_refused(self):
        parsers = {
            'row': entries.parse_row,
            'checkpoint': notes.parse_checkpoint,
            'epoch': notes.parse_epoch,
            'node': notes.parse_node,
        }
        for name, data, how in golden('refused.txt'):
            with self.subTest(name), self.assertRaises(forms.Refused):
                if how['as'] == 'body':
                    bodies.parse_body(how['type'], how['class'], data)
                else:
                    parsers[how['as']](data)


class Format(unittest.TestCase):
    """FORMAT.md says the same: its tables against ours."""

    def setUp(self):
        self.text = FORMAT.read_text()

    def table(self, heading):
        section = self.text.split(f'\n### {heading}', 1)[1]
        lines = [line for line in section.split('\n## ')[0].split('\n### ')[0].splitlines() if line.startswith('|')]
        return [[cell.strip() for cell in line.strip('|').split(' | ')] for line in lines[2:]]

    def check(self, heading, read):
        found = [(int(key), name) for key, name, *_ in self.table(heading)]
        self.assertEqual(found, [(key, name) for name, key in read.keys.items()], heading)

    def test_bodies_have_the_keys_of_the_format(self):
        for name, read in (('process', bodies.process), ('attribution', bodies.attribution), ('hook', bodies.hook)):
            self.check(f'map {name}', read)
        headings = re.findall(r'^### (.* \(type (\d+), class (\d+)\))$', self.text, re.MULTILINE)
        self.assertEqual({(int(kind), int(cls)) for _, kind, cls in headings}, set(bodies.BODIES))
        for heading, kind, cls in headings:
            self.check(heading, bodies.BODIES[int(kind), int(cls)])

    def test_the_entry_has_the_fields_of_the_format(self):
        at = 0
        for (offset, length, name, _), ours in zip(self.table('Entry (160 bytes)'), entries.FIELDS, strict=True):
            self.assertEqual((int(offset), name), (at, ours))
            at += int(length)
        self.assertEqual(at, entries.ENTRY.size)


if __name__ == '__main__':
    unittest.main()
