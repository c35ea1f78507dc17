# Part of Network Audit. License LGPL-3.
"""An export on its way to its verdict."""

import hashlib

from .body import parse_body
from .contents import bodies, bundle, own, parse_streams, parse_table, vkey_line
from .ed25519 import SIGNATURES
from .entry import EXPORT, GENESIS, SCHEMA, SEAL
from .files import MAX_FILE
from .forms import Refused, hash_list, sha256
from .identity import Identity, judged
from .listing import MAX_LIST, Listed, parse_export, tile_name
from .note import MAX_NOTE
from .notes import parse_checkpoint, parse_epochs, parse_node
from .proof import parse_proof, proven_row
from .records import OWN_STREAM, Records, check_genesis
from .tree import TILE, CompactRange, leaf_hash, subtree
from .verdict import (
    AUTHENTICITY,
    COVERAGE,
    HEAD,
    INTEGRITY,
    NOT_PROVEN,
    PROVEN,
    TAIL,
    TIME,
    VIOLATED,
    Unknown,
    Verdict,
    Violation,
)


class ExportCheck:
    """An export on its way to its verdict."""

    def __init__(self, files, pinned, nonce, last_seen):
        self.files, self.pinned, self.nonce, self.last_seen = files, pinned, nonce, last_seen
        self.verdict = Verdict()
        self.records, self.proofs, self.ends, self.above = None, {}, 0, {}

    def run(self):
        verdict = self.verdict
        verdict.required[AUTHENTICITY] = self.pinned is not None
        verdict.required[TAIL] = self.nonce is not None
        try:
            self._list()
            self._keys()
            self._checkpoint()
            self._nonce()
            self._records()
            self._tree()
            self._end()
            self._answers()
        except (Violation, Unknown) as finding:
            verdict.end(finding)
        except Refused as error:
            verdict.end(Violation(INTEGRITY, str(error)))
        return verdict

    def _list(self):
        lengths = self.files.lengths
        if 'EXPORT' not in lengths:
            raise Violation(INTEGRITY, 'the export has no file EXPORT')
        try:
            export = parse_export(self.files.read('EXPORT', MAX_LIST + 1))
        except Refused as error:
            raise Violation(INTEGRITY, f'EXPORT: {error}') from error
        self.export, self.verdict.origin = export, export['origin']
        for path, (_, length) in export['files'].items():
            if path not in lengths:
                raise Violation(INTEGRITY, f'the file {path} is missing')
            if lengths[path] != length or length > MAX_FILE:
                raise Violation(INTEGRITY, f'the file {path} has not the length that was signed')
        extra = sorted(lengths.keys() - export['files'].keys() - {'EXPORT'})
        if extra:
            raise Violation(INTEGRITY, f'the file {extra[0]} is not one that was signed')
        self.listed = Listed(self.files, export['files'])

    def _parsed(self, path, parse):
        """A file, read and parsed; what is wrong with it names it."""
        content = self.listed.read(path)
        try:
            return parse(content)
        except Refused as error:
            raise Violation(INTEGRITY, f'{path}: {error}') from error

    def _keys(self):
        export = self.export
        root = self._parsed('keys/root.vkey', vkey_line)
        log = self._parsed('keys/log.vkey', vkey_line)
        node, notes = self._parsed('node', parse_node), self._parsed('epochs', parse_epochs)
        SIGNATURES.ahead(self._signatures(root, node, notes))
        self.identity = identity = Identity(export['origin'], self.pinned, root, node, notes)
        if log != node['log']:
            raise Violation(AUTHENTICITY, 'keys/log.vkey is not the key that the node note names')
        if export['epoch'] >= len(identity.epochs):
            raise Violation(INTEGRITY, f'there is no note of epoch {export["epoch"]}')
        for key in (identity.log, identity.epochs[export['epoch']]['key']):
            judged('EXPORT', export['note'].verify, key)

    def _signatures(self, root, node, notes):
        """Every signature that will be asked about: they are verified several at a time."""
        keys = {key.name: key for key in [root] + [note['key'] for note in notes]}
        for origin in {note['origin'] for note in notes}:
            keys[origin] = node['log'].renamed(origin)
        signed = [node, self.export, *notes]
        for path in self.listed.listed:
            if path.startswith('checkpoint'):
                try:
                    signed.append(parse_checkpoint(self.files.read(path, MAX_NOTE)))
                except Refused:
                    continue
        for note in (found['note'] for found in signed):
            for name, id, signature in note.signatures:
                if name in keys and keys[name].id == id:
                    yield keys[name].public, note.text.encode(), signature

    def _checkpoint(self):
        export = self.export
        self.checkpoint = checkpoint = self._parsed('checkpoint', parse_checkpoint)
        if (checkpoint['origin'], checkpoint['size']) != (export['origin'], export['size']):
            raise Violation(INTEGRITY, 'the checkpoint is not the one that EXPORT is about')
        if export['epoch'] < checkpoint['epoch']:
            raise Violation(AUTHENTICITY, 'EXPORT is signed in an epoch before that of its checkpoint')
        self._seen_before()
        for path in export['files']:
            if path.startswith('proofs/'):
                self._proof(path)

    def _seen_before(self):
        checkpoint, seen = self.checkpoint, self.last_seen
        if not seen:
            return
        if seen['origin'] != checkpoint['origin']:
            raise Violation(TAIL, f'the checkpoint that was seen before is of the ledger {seen["origin"]}')
        if seen['size'] > checkpoint['size']:
            missing = seen['size'] - checkpoint['size']
            raise Violation(TAIL, f'{missing} records that were seen before are missing: the ledger was rolled back')
        if seen['size'] == checkpoint['size'] and seen['root'] != checkpoint['root']:
            raise Violation(TAIL, 'the ledger was forked: it had another root when it had the same size')

    def _proof(self, path):
        proof, export = self._parsed(path, parse_proof), self.export
        seq = proof['index']
        try:
            if proof['note'] != self.listed.read('checkpoint') or path != f'proofs/{seq}.tlog-proof':
                raise Refused('it proves something else than its name says')
            entry, body = proven_row(proof)
            inside = export['first'] <= seq <= export['last']
            if entry['log_tag'] != self.identity.log_tag or entry['stream_tag'] != OWN_STREAM or inside:
                raise Refused('it is about a record that needs no proof here')
            if entry['schema'] != SCHEMA:
                raise Unknown(f'record {seq} has schema {entry["schema"]}, this version knows {SCHEMA}')
            body = parse_body(entry['type'], entry['class'], body)
        except Refused as error:
            raise Violation(INTEGRITY, f'{path}: {error}') from error
        if (entry['type'] == GENESIS) != (seq == 0):
            raise Violation(INTEGRITY, f'{path}: GENESIS is record 0, and nothing else is')
        if entry['type'] == GENESIS:
            check_genesis(body, self.identity)
        self.proofs[seq] = (entry, body)

    def _nonce(self):
        if self.nonce is not None and self.nonce != self.export['nonce']:
            raise Violation(TAIL, 'it has not the nonce that was given: it is not the answer to the question')

    def _stream(self):
        """Whose records an excerpt has: the tag of the stream, and where it ended at SEALs."""
        export = self.export
        if export['filter'] is None:
            return None, {}
        instance, key, seals = self._parsed('streams', parse_streams)
        if sha256(b'nal/v1/filter\0', instance) != export['filter']:
            raise Violation(INTEGRITY, 'the file streams is about another instance than EXPORT')
        if export['last'] not in seals:
            raise Violation(INTEGRITY, 'the file streams does not say where the stream ends')
        return sha256(b'nal/v1/stream\0', key, instance)[:16], seals

    def _records(self):
        first, last = self.export['first'], self.export['last']
        of, seals = self._stream()
        edge = self._parsed('left', lambda data: CompactRange(first, hash_list(data))) if first else CompactRange()
        streams = self._parsed('table', parse_table) if first and of is None else {}
        if first % TILE:
            raise Violation(INTEGRITY, 'it does not begin at the edge of a tile')
        self.records = records = Records(self.identity, first, edge, streams, of, seals)
        records.last_seen, records.checkpoint_of = self.last_seen, self._end_of_epoch
        self._outside(lambda seq: seq < first)
        records.compare_with_what_was_seen()
        tile = self._excerpt_tile if of else self._stretch_tile
        for index in range(first // TILE, last // TILE + 1):
            tile(index, min(TILE, last + 1 - index * TILE))
        self._outside(lambda seq: seq > last)

    def _outside(self, where):
        for seq, (entry, body) in sorted(self.proofs.items()):
            if where(seq):
                self.records.outside(seq, entry, body)

    def _end_of_epoch(self, size):
        self.ends += 1
        return self._parsed(f'checkpoints/{size}', parse_checkpoint)

    def _stretch_tile(self, index, width):
        name, records = f'tile/entries/{tile_name(index, width)}', self.records
        entries = self._parsed(name, bundle)
        contents = self._parsed(f'bodies/{tile_name(index)}', bodies)
        leaves = [hashlib.sha256(b'\0' + entry).digest() for entry in entries]
        take = records.take
        for entry, leaf, (salt, body) in zip(entries[:width], leaves, contents, strict=False):
            take(entry, leaf, salt, body)
        if len(entries) != width or len(contents) != width:
            raise Violation(INTEGRITY, f'{name}, or its bodies, have another number of records')
        if not self.export['first']:
            self._hash_tiles(index, leaves)

    def _excerpt_tile(self, index, width):
        name, begin = f'tile/0/{tile_name(index, width)}', index * TILE
        leaves = self._parsed(name, hash_list)
        mine = self._parsed(f'own/{tile_name(index)}', own) if f'own/{tile_name(index)}' in self.listed else {}
        if len(leaves) != width:
            raise Violation(INTEGRITY, f'{name} has another number of hashes')
        for place, leaf in enumerate(leaves):
            if place not in mine:
                self.records.skip(leaf)
                continue
            entry, salt, body = mine.pop(place)
            if leaf_hash(entry) != leaf:
                sentence = f'record {begin + place} is not the leaf that {name} has'
                raise Violation(INTEGRITY, sentence, begin + place)
            self.records.take(entry, leaf, salt, body)
        if mine:
            raise Violation(INTEGRITY, f'there is more in own/{tile_name(index)} than records of its tile')

    def _hash_tiles(self, index, leaves):
        """The hash tile of these leaves, if it is there, and then what it adds to the tiles above it."""
        last, level, hashes = self.export['last'] + 1, 0, leaves
        if f'tile/0/{tile_name(index, len(leaves))}' not in self.listed:
            return
        self._hash_tile(0, index, leaves)
        while len(hashes) == TILE and level < 7:
            node, level = subtree(hashes), level + 1
            index, place = divmod(index, TILE)
            width = min((last >> 8 * level) - index * TILE, TILE)
            hashes = self.above.setdefault(level, [])
            hashes.append(node)
            if len(hashes) == width:
                self._hash_tile(level, index, hashes)
                self.above[level] = []
            if place + 1 < TILE:
                break

    def _hash_tile(self, level, index, hashes):
        name = f'tile/{level}/{tile_name(index, len(hashes))}'
        if self._parsed(name, hash_list) != hashes:
            raise Violation(INTEGRITY, f'{name} has other hashes than the entries')

    def _tree(self):
        export, records = self.export, self.records
        edge = records.whole_edge()
        right = self._parsed('right', hash_list) if export['last'] + 1 < export['size'] else []
        for node in right:
            at, level = edge.size, 0
            while at < export['size'] and not at >> level & 1 and at + (2 << level) <= export['size']:
                level += 1
            if at >= export['size']:
                raise Violation(INTEGRITY, 'right has more hashes than there are records')
            edge.append(node, level)
        if edge.size != export['size'] or edge.root() != self.checkpoint['root']:
            raise Violation(INTEGRITY, 'the records are not those of the tree that was signed')
        self.identity.check_signatures(self.checkpoint, 'the checkpoint')
        if export['last'] + 1 < export['size']:
            entry, _ = self.proofs.get(export['size'] - 1, ({'type': None}, None))
            if entry['type'] != SEAL:
                raise Violation(INTEGRITY, 'no proof shows that the last record of the tree is a SEAL')

    def _end(self):
        export, records = self.export, self.records
        announced = [records.export] if records.export else []
        announced += [body for entry, body in self.proofs.values() if entry['type'] == EXPORT]
        ours = (export['id'], export['nonce'], export['filter'])
        if not any((body['id'], body['nonce'], body['filter']) == ours for body in announced):
            raise Violation(TAIL, 'no record says that this export was made')
        if not records.ends_with_a_seal():
            raise Violation(INTEGRITY, f'record {export["last"]}, the last one, is not a SEAL', export['last'])
        for path in ('SPEC.md', 'proof.html'):
            if path in self.listed:
                self.listed.read(path)
        if self.listed.unread:
            raise Violation(INTEGRITY, f'the file {min(self.listed.unread)} belongs to nothing in this export')
        if records.newer:
            raise Unknown(records.newer)

    def _answers(self):
        verdict, export, coverage = self.verdict, self.export, self.records.coverage
        verdict.records, verdict.size = export['last'] + 1 - export['first'], export['size']
        verdict.root, verdict.sealed_wall_ns = self.checkpoint['root'], self._sealed_at()
        verdict.say(AUTHENTICITY, *self._authenticity())
        verdict.say(INTEGRITY, PROVEN, self._integrity())
        verdict.say(HEAD, *self._head())
        if self.nonce is None:
            verdict.say(TAIL, NOT_PROVEN, f'complete up to size {export["size"]}; later is unproven')
        else:
            verdict.say(TAIL, PROVEN, f'complete up to size {export["size"]}, where the nonce that was given is')
        steps = f', with {count} declared steps of the clock' if (count := self.records.clock_steps) else ''
        sentence = f'times are the host\'s own word, no witness confirms them; they are in order{steps}'
        verdict.say(TIME, NOT_PROVEN, sentence)
        verdict.say(COVERAGE, *coverage.answer())
        verdict.gaps = coverage.gaps

    def _authenticity(self):
        if self.pinned is None:
            root = self.identity.root
            return NOT_PROVEN, f'no key was pinned: it is signed by the keys that lie beside it, of the root {root}'
        count = self.ends + 1
        return PROVEN, f'{count} checkpoints, each signed by the log\'s key and its epoch\'s, down from the pinned key'

    def _integrity(self):
        records = self.records
        without = f', {count} of them without their body' if (count := records.coverage.withheld) else ''
        others = f'; {records.foreign} others by their leaf hash only' if records.foreign else ''
        return f'{records.present} records{without}: every link, leaf and body fits what was signed{others}'

    def _sealed_at(self):
        seal = self.proofs.get(self.export['size'] - 1)
        return seal[0]['wall_ns'] if seal else self.records.seal[2]

    def _head(self):
        export, records, first = self.export, self.records, self.export['first']
        if first == 0:
            return PROVEN, 'it begins with its first record'
        if first != export['min_index']:
            return NOT_PROVEN, f'a slice from record {first} on: what comes before was not asked for'
        prune = records.prune
        if not prune:
            return VIOLATED, f'the records before {first} are missing, and no record says that they were removed'
        edge, streams = records.begun_with
        same = (prune['root'], prune['range']) == (edge.root(), edge.hashes)
        if export['filter'] is None:
            same = same and prune['streams'] == [[tag, *last] for tag, last in sorted(streams.items())]
        if prune['min_index'] == first and not same:
            return VIOLATED, f'it begins with record {first}, and not as PRUNE says'
        return PROVEN, f'it begins with record {first}: what was before was removed by policy'



def verify_export(files, pinned, nonce=None, last_seen=None):
    """The verdict about an export: `files` has their `lengths` and can `read` them."""
    return ExportCheck(files, pinned, nonce, last_seen).run()
