# Part of Network Audit. License LGPL-3.
"""Keys, and signed notes."""

import base64

from .ed25519 import is_small_order, verify_signature
from .forms import Forged, Refused, sha256, unbase64

MAX_NOTE = 64 * 1024
MAX_SIGNATURES = 64


def is_name(name):
    return 0 < len(name) <= 255 and all('!' <= char <= '~' and char != '+' for char in name)


class Key:
    """A public key under a name."""

    def __init__(self, name, public):
        if not is_name(name) or len(public) != 32:
            raise Refused('not a verifier key')
        if is_small_order(public):
            raise Refused('the key is weak: anybody could sign for it')
        self.name, self.public = name, public

    @classmethod
    def parse(cls, vkey):
        name, _, rest = vkey.partition('+')
        data = unbase64(rest.partition('+')[2])
        if data[:1] != b'\1':
            raise Refused('not an Ed25519 key')
        key = cls(name, data[1:])
        if str(key) != vkey:
            raise Refused('a key whose id does not fit')
        return key

    @property
    def id(self):
        return sha256(self.name.encode(), b'\n\1', self.public)[:4]

    def __str__(self):
        return f'{self.name}+{self.id.hex()}+{base64.b64encode(bytes([1]) + self.public).decode()}'

    def __eq__(self, other):
        return (self.name, self.public) == (other.name, other.public)

    def __hash__(self):
        return hash((self.name, self.public))

    def renamed(self, name):
        return Key(name, self.public)


class Note:
    """A text with signature lines that nobody has checked yet."""

    def __init__(self, data, most=MAX_NOTE):
        if len(data) > most:
            raise Refused('the note is too long')
        try:
            note = bytes(data).decode()
        except UnicodeDecodeError as error:
            raise Refused('the note is not plain UTF-8 text') from error
        if any(char != '\n' and (char < ' ' or '\x7f' <= char <= '\x9f') for char in note):
            raise Refused('the note is not plain UTF-8 text')
        split = note.rfind('\n\n')
        if split < 0 or not note.endswith('\n') or split + 2 >= len(note):
            raise Refused('this is not a signed note')
        self.text = note[: split + 1]
        lines = note[split + 2 : -1].split('\n')
        if len(lines) > MAX_SIGNATURES:
            raise Refused('the note has too many signatures')
        self.signatures = [self._signature(line) for line in lines]

    @staticmethod
    def _signature(line):
        dash, _, rest = line.partition(' ')
        name, _, encoded = rest.partition(' ')
        data = unbase64(encoded)
        if dash != '—' or not is_name(name) or len(data) < 5:
            raise Refused('the note has a malformed signature line')
        return name, data[:4], data[4:]

    def lines(self, count):
        lines = self.text[:-1].split('\n')
        if len(lines) != count:
            raise Refused('the note has another number of lines')
        return lines

    def signed_by(self, *names):
        if [name for name, _, _ in self.signatures] != list(names):
            raise Refused('the note is not signed under the names that it must be')

    def verify(self, key):
        """Checks that this key signed."""
        found = [signature for name, id, signature in self.signatures if (name, id) == (key.name, key.id)]
        if not found:
            raise Refused(f'the note is not signed by {key.name}')
        if len(found) > 1 or not verify_signature(key.public, self.text.encode(), found[0]):
            raise Forged(f'the signature by {key.name} is wrong')
