# Part of Network Audit. License LGPL-3.
"""The signed list of an export, and its files held against it."""

import re

from .forms import Refused, number, sha256, unhex
from .note import Note
from .origin import parse_origin
from .tree import TILE
from .verdict import INTEGRITY, Violation

MAX_LIST = 8 << 20


def parse_export(data):
    """The signed list of an export."""
    note = Note(data, MAX_LIST)
    kind, *lines = note.text[:-1].split('\n')
    if kind != 'nal/v1/export' or len(lines) < 7:
        raise Refused('this is no export')
    origin, id, time, nonce, numbers, filter, verifier, *files = lines
    parse_origin(origin)
    numbers = [number(decimal) for decimal in numbers.split(' ')]
    if len(numbers) != 4 or not numbers[3] <= numbers[0] <= numbers[1] < numbers[2]:
        raise Refused('the numbers of the export do not fit together')
    names = [name for name, _, _ in note.signatures]
    prefix = origin + '/e'
    if len(names) != 2 or names[1] != origin or not names[0].startswith(prefix):
        raise Refused('the export is not signed under the names of this ledger')
    found = {'origin': origin, 'id': unhex(id, 16), 'time': number(time), 'note': note}
    found |= dict(zip(('first', 'last', 'size', 'min_index'), numbers, strict=True))
    found |= {'nonce': None if nonce == '-' else unhex(nonce), 'filter': None if filter == '-' else unhex(filter, 32)}
    found |= {'verifier': unhex(verifier, 32), 'epoch': number(names[0][len(prefix) :]), 'files': {}}
    before = b''
    for line in files:
        hash, length, path = (*line.split(' ', 2), '', '')[:3]
        if not is_path(path) or path.encode() <= before:
            raise Refused('a file that no export has, or not in order')
        before = path.encode()
        found['files'][path] = (unhex(hash, 32), number(length))
    return found


def tile_name(index, width=TILE):
    """`x001/x234/067`, and `.p/W` behind it for a tile that holds less than 256."""
    name = f'{index % 1000:03}'
    while index := index // 1000:
        name = f'x{index % 1000:03}/{name}'
    return name if width == TILE else f'{name}.p/{width}'


MAX_LIST = 8 << 20

FIXED = frozenset(
    'SPEC.md checkpoint epochs keys/log.vkey keys/root.vkey left node proof.html right streams table'.split()
)
NUMBERED = re.compile(r'(checkpoints/(0|[1-9]\d*)|proofs/(0|[1-9]\d*)\.tlog-proof)', re.ASCII)
TILED = re.compile(r'(tile/entries|tile/[0-7]|bodies|own)/((?:x\d{3}/)*)(\d{3})(?:\.p/([1-9]\d{0,2}))?', re.ASCII)


def is_path(path):
    """Is this a path of the table of files?"""
    if path in FIXED:
        return True
    if len(path) > 100:
        return False
    if found := NUMBERED.fullmatch(path):
        return int(found[2] or found[3] or 0) < 2**64
    found = TILED.fullmatch(path)
    if not found:
        return False
    index, width = int(found[2].replace('x', '').replace('/', '') + found[3]), int(found[4] or TILE)
    whole = found[1] in ('bodies', 'own') and found[4] is not None
    return not whole and index < 2**64 and path == f'{found[1]}/{tile_name(index, width)}' and width <= TILE


class Listed:
    """The files of an export, each held against the signed list when it is read."""

    def __init__(self, files, listed):
        self.files, self.listed, self.unread = files, listed, set(listed)

    def __contains__(self, path):
        return path in self.listed

    def read(self, path):
        if path not in self.listed:
            raise Violation(INTEGRITY, f'the file {path} is missing')
        hash, length = self.listed[path]
        content = self.files.read(path, length + 1)
        if len(content) != length or sha256(content) != hash:
            raise Violation(INTEGRITY, f'the file {path} is not the one that was signed')
        self.unread.discard(path)
        return content
