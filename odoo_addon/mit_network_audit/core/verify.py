# Part of Network Audit. License LGPL-3.
"""Reads and verifies the ledger with nothing but Python's standard library and the ``openssl`` command.

Written from ``FORMAT.md`` and not from the Rust, so that two people's readings of one format can be held against each
other. Every parser is strict: it takes exactly what the format allows, and raises `Refused` for anything else.
"""

import base64
import binascii
import hashlib
import struct
import subprocess
import tempfile

MAX_NOTE = 64 * 1024
MAX_SIGNATURES = 64
MAX_BODY = 1 << 20
SCHEMA = 1
NO_RECORD = 2**64 - 1


class Refused(Exception):
    """The bytes are not what the format allows."""


class Forged(Refused):
    """A signature that is there is wrong."""


def sha256(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


# Entry and row

TYPES = {
    1: 'GENESIS',
    2: 'EVENT',
    3: 'SEAL',
    4: 'LOSS',
    5: 'ROTATE',
    6: 'PRUNE',
    7: 'POLICY',
    8: 'CLOCK',
    9: 'RUN',
    11: 'EXPORT',
    13: 'RECOVER',
}
GENESIS, EVENT, SEAL, LOSS, ROTATE, PRUNE, POLICY, CLOCK, RUN, EXPORT, RECOVER = TYPES
ENTRY = struct.Struct('>4sBBHQQQIIIIQQ16s16s32s32s')
FIELDS = (
    'magic type flags schema seq wall_ns boot_ns run epoch class body_len stream_prev stream_n stream_tag log_tag prev '
    'body_commit'
).split()
ENTRY_LEN = 160
SALT_LEN = 16
FLAGS = 3


def parse_entry(data):
    """The fields of an entry, as a dictionary."""
    if len(data) != ENTRY_LEN:
        raise Refused('an entry has 160 bytes')
    entry = dict(zip(FIELDS, ENTRY.unpack(data), strict=True))
    if entry.pop('magic') != b'NAL1':
        raise Refused('the row does not begin with NAL1')
    if entry['type'] not in TYPES:
        raise Refused(f'the entry has the unknown type {entry["type"]}')
    if entry['flags'] & ~FLAGS:
        raise Refused('the entry has unknown flags')
    return entry


def parse_row(row):
    """Entry, salt and body of a row."""
    if len(row) < ENTRY_LEN + SALT_LEN:
        raise Refused(f'the row has only {len(row)} bytes')
    entry = parse_entry(row[:ENTRY_LEN])
    salt, body = row[ENTRY_LEN : ENTRY_LEN + SALT_LEN], row[ENTRY_LEN + SALT_LEN :]
    if len(body) != entry['body_len'] or len(body) > MAX_BODY:
        raise Refused(f'the body has {len(body)} bytes where the entry says {entry["body_len"]}')
    return entry, salt, body


def commit(salt, body):
    return sha256(b'nal/v1/body\0', salt, body)


def log_tag(origin, root):
    return sha256(b'nal/v1/log\0', origin.encode(), b'\0', root)[:16]


def genesis_prev(tag):
    return sha256(b'nal/v1/genesis\0', tag)


# Tree


def leaf_hash(entry):
    return sha256(b'\0', entry)


def node_hash(left, right):
    return sha256(b'\1', left, right)


class CompactRange:
    """The right edge of a tree: roots of perfect subtrees, largest first."""

    def __init__(self, size=0, hashes=()):
        self.size, self.hashes = size, list(hashes)
        if len(self.hashes) != size.bit_count() or any(len(node) != 32 for node in self.hashes):
            raise Refused('the compact range does not fit its size')

    def append(self, leaf):
        size = self.size
        while size & 1:
            leaf = node_hash(self.hashes.pop(), leaf)
            size >>= 1
        self.hashes.append(leaf)
        self.size += 1

    def root(self):
        if not self.hashes:
            return sha256()
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_hash(left, root)
        return root


def root_from_inclusion(index, size, leaf, proof):
    """The root that an inclusion proof leads to (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        raise Refused('the proof is about a place outside of its tree')
    last, root = size - 1, leaf
    for sibling in proof:
        if last == 0 or len(sibling) != 32:
            raise Refused('the proof has more or fewer hashes than its place needs')
        if index & 1 or index == last:
            root = node_hash(sibling, root)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        index, last = index >> 1, last >> 1
    if last:
        raise Refused('the proof has more or fewer hashes than its place needs')
    return root


# Deterministic CBOR


class Cbor:
    """Takes values off bytes, in the one form that each has."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if count > len(self.data) - self.at:
            raise Refused('the body is cut')
        self.at += count
        return self.data[self.at - count : self.at]

    def head(self, major):
        """The argument of a head of this major type."""
        first = self.take(1)[0]
        if first >> 5 != major:
            raise Refused('another kind of value than the schema has there')
        short = first & 31
        if short < 24:
            return short
        if short > 27:
            raise Refused('not in the one form that deterministic CBOR has')
        length = 1 << (short - 24)
        argument = int.from_bytes(self.take(length), 'big')
        if argument < (24, 0x100, 0x10000, 0x100000000)[short - 24]:
            raise Refused('not in the one form that deterministic CBOR has')
        return argument

    def null(self):
        if self.data[self.at : self.at + 1] != b'\xf6':
            return False
        self.at += 1
        return True


def uint(low=0, high=2**64 - 1):
    def read(cbor):
        number = cbor.head(0)
        if not low <= number <= high:
            raise Refused('a value that the schema does not allow')
        return number

    return read


def boolean(cbor):
    byte = cbor.take(1)
    if byte not in (b'\xf4', b'\xf5'):
        raise Refused('a value that the schema does not allow')
    return byte == b'\xf5'


def text(cbor):
    try:
        return bytes(cbor.take(cbor.head(3))).decode()
    except UnicodeDecodeError as error:
        raise Refused('text that is not UTF-8') from error


def octets(length=None):
    def read(cbor):
        value = bytes(cbor.take(cbor.head(2)))
        if length not in (None, len(value)):
            raise Refused('a value that the schema does not allow')
        return value

    return read


MAPPED = bytes(10) + b'\xff\xff'


def address(cbor):
    value = octets()(cbor)
    if len(value) != 4 and (len(value) != 16 or value.startswith(MAPPED)):
        raise Refused('a value that the schema does not allow')
    return value


def null(cbor):
    if not cbor.null():
        raise Refused('a value that the schema does not allow')


def maybe(read):
    return lambda cbor: None if cbor.null() else read(cbor)


def array(read):
    return lambda cbor: [read(cbor) for _ in range(cbor.head(4))]


def exactly(*reads):
    def read(cbor):
        if cbor.head(4) != len(reads):
            raise Refused('more or fewer elements than the schema has')
        return [read(cbor) for read in reads]

    return read


def table(**keys):
    """A map with exactly these keys: `name=(key, reader)`, in the order of the keys."""

    def read(cbor):
        if cbor.head(5) != len(keys):
            raise Refused('more or fewer keys than the schema has')
        found = {}
        for name, (key, value) in keys.items():
            if cbor.head(0) != key:
                raise Refused(f'another key where {key} must be')
            found[name] = value(cbor)
        return found

    read.keys = {name: key for name, (key, _) in keys.items()}
    return read


# Bodies

u64, u32, u16, u8 = uint(), uint(high=2**32 - 1), uint(high=2**16 - 1), uint(high=255)
digest = octets(32)
lost = array(exactly(u64, u64))
actor = exactly(uint(1, 2), u32)

process = table(
    tgid=(1, u32),
    tid=(2, u32),
    start_ns=(3, u64),
    comm=(4, maybe(text)),
    executable=(5, maybe(text)),
    arguments=(6, maybe(u32)),
    cgroup=(7, u64),
    parent=(8, maybe(u32)),
)
attribution = table(
    label=(1, uint(high=3)),
    module=(2, maybe(text)),
    chain=(3, array(text)),
    site=(4, maybe(text)),
    origin=(5, maybe(text)),
    database=(6, maybe(text)),
    reason=(7, text),
    contradictions=(8, array(u8)),
)
hook = table(name=(1, text), tag=(2, octets()), active=(3, boolean))
sample = {'boot_ns': (1, u64), 'cpu': (2, maybe(u32)), 'kseq': (3, maybe(u64))}


def traffic(end):
    return table(
        **sample,
        flow=(4, u64),
        end=(5, end),
        error=(6, maybe(u32)),
        sent=(7, maybe(u64)),
        received=(8, maybe(u64)),
        duration_ns=(9, u64),
        handshake_ns=(10, maybe(u64)),
    )


BODIES = {
    (GENESIS, 0): table(version=(1, text), root=(2, digest), log=(3, digest)),
    (EVENT, 1): table(
        **sample,
        inbound=(4, boolean),
        protocol=(5, u16),
        remote_address=(6, address),
        remote_port=(7, u16),
        local=(8, maybe(exactly(address, u16))),
        cookie=(10, u64),
        process=(11, process),
        attribution=(12, attribution),
        opened_before=(13, boolean),
        netns=(14, u32),
        instance=(15, text),
    ),
    (EVENT, 2): traffic(uint(1, 6)),
    (EVENT, 3): traffic(null),
    (EVENT, 4): table(
        **sample,
        flow=(4, maybe(u64)),
        cookie=(5, u64),
        channel=(6, text),
        method=(7, maybe(text)),
        attribution=(8, attribution),
        process=(9, process),
        instance=(10, text),
    ),
    (EVENT, 5): table(
        **sample,
        change=(4, uint(1, 4)),
        process=(5, process),
        code=(6, maybe(u32)),
        attribution=(7, attribution),
        instance=(8, text),
    ),
    (SEAL, 0): table(
        previous_checkpoint=(1, digest),
        previous_size=(2, u64),
        min_index=(3, u64),
        captured=(4, u64),
        lost=(5, lost),
        cpus=(6, array(exactly(u32, u64, u64, lost))),
        hooks=(7, array(hook)),
        clock=(8, exactly(boolean, u64)),
        streams=(9, digest),
        witnessed=(10, array(exactly(text, u64))),
        binary=(11, digest),
        config=(12, digest),
        end_of_epoch=(13, boolean),
    ),
    (LOSS, 0): table(
        gap=(1, u64),
        count=(2, maybe(u64)),
        from_wall_ns=(3, maybe(u64)),
        until_wall_ns=(4, maybe(u64)),
        detail=(5, text),
    ),
    (LOSS, 1): table(
        instance=(1, text),
        from_wall_ns=(2, u64),
        until_wall_ns=(3, u64),
        flows=(4, u64),
        calls=(5, u64),
        sent=(6, u64),
        received=(7, u64),
    ),
    (RUN, 1): table(
        version=(1, text),
        kernel=(2, text),
        boot_id=(3, octets(16)),
        binary=(4, digest),
        config=(5, digest),
        scope=(6, text),
        previous=(7, text),
        hooks=(8, array(hook)),
    ),
    (RUN, 2): table(reason=(1, text)),
    (RUN, 3): table(record=(1, u64), actor=(2, text), note=(3, text)),
    (RUN, 4): table(size=(1, u64), exit=(2, u8), summary=(3, text)),
    (RUN, 5): table(
        protocol=(1, u16), remote_address=(2, address), remote_port=(3, u16), flows=(4, u64), configured=(5, boolean)
    ),
    (ROTATE, 0): table(epoch=(1, u32), key=(2, digest), reason=(3, text)),
    (PRUNE, 0): table(
        min_index=(1, u64),
        root=(2, digest),
        range=(3, array(digest)),
        removed=(4, u64),
        oldest_wall_ns=(5, u64),
        newest_wall_ns=(6, u64),
        policy=(7, u64),
        archive=(8, maybe(digest)),
        actor=(9, text),
        streams=(10, array(exactly(octets(16), u64, u64))),
    ),
    (POLICY, 0): table(keep_ns=(1, u64), max_bytes=(2, u64), min_ns=(3, u64), actor=(4, text)),
    (POLICY, 1): table(
        number=(1, u64),
        step=(2, uint(1, 6)),
        instance=(3, text),
        actor=(4, actor),
        setting=(5, text),
        value=(6, text),
        effect=(7, uint(0, 2)),
        reason=(8, text),
    ),
    (POLICY, 2): table(
        instance=(1, text), reason=(2, text), subject=(3, text), text=(4, text), before_seq=(5, u64), actor=(6, actor)
    ),
    (POLICY, 3): table(
        record=(1, u64),
        wall_ns=(2, u64),
        entry_type=(3, uint(1, 13)),
        entry_class=(4, u32),
        instance=(5, text),
        content=(6, octets()),
    ),
    (CLOCK, 0): table(before_wall_ns=(1, u64), after_wall_ns=(2, u64)),
    (EXPORT, 0): table(
        id=(1, octets(16)),
        nonce=(2, maybe(octets())),
        first=(3, u64),
        last=(4, u64),
        filter=(5, maybe(digest)),
        actor=(6, text),
    ),
    (RECOVER, 0): table(
        origin=(1, text),
        found_size=(2, maybe(u64)),
        found_root=(3, maybe(digest)),
        known=(4, maybe(text)),
        missing=(5, maybe(u64)),
        cause=(6, text),
    ),
}


def parse_body(kind, cls, data):
    """The body of an entry of this type and class, as a dictionary of the format's names."""
    read = BODIES.get((kind, cls))
    if read is None:
        raise Refused(f'{TYPES.get(kind, kind)} has no class {cls} in this version')
    cbor = Cbor(data)
    body = read(cbor)
    if cbor.at != len(data):
        raise Refused('bytes after the end of the body')
    return body


# Signed notes


def unbase64(encoded):
    """Base64 in its one form."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused('not base64') from error
    if base64.b64encode(data).decode() != encoded:
        raise Refused('base64 that is not in its one form')
    return data


def number(decimal):
    if not (decimal.isascii() and decimal.isdigit()) or str(int(decimal)) != decimal or int(decimal) >= 2**64:
        raise Refused('a number that is not in its one form')
    return int(decimal)


def is_name(name):
    return 0 < len(name) <= 255 and all('!' <= char <= '~' and char != '+' for char in name)


PART = frozenset('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_')


def is_node(name):
    parts = name.split('/')
    return len(parts) == 3 and all(part and PART.issuperset(part) for part in parts) and not name.startswith('nal/v1/')


def parse_origin(origin):
    """Node and incarnation."""
    node, _, incarnation = origin.rpartition('/')
    plain = incarnation.isascii() and incarnation.isdigit() and len(incarnation) <= 10
    good = plain and 0 < int(incarnation) < 2**32 and f'{int(incarnation):04}' == incarnation
    if not good or not is_node(node) or len(node) + 11 > 200:
        raise Refused('not an origin')
    return node, int(incarnation)


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

    def __init__(self, data):
        if len(data) > MAX_NOTE:
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


def parse_checkpoint(data):
    """Origin, size, root, epoch and the note itself."""
    note = Note(data)
    origin, size, root = note.lines(3)
    parse_origin(origin)
    root = unbase64(root)
    if len(root) != 32:
        raise Refused('not a root')
    names = [name for name, _, _ in note.signatures]
    prefix = origin + '/e'
    if len(names) != 2 or names[0] != origin or not names[1].startswith(prefix):
        raise Refused('the checkpoint is not signed under the names of this ledger')
    epoch = number(names[1][len(prefix) :])
    if epoch >= 2**32:
        raise Refused('the epoch is too large')
    return {'origin': origin, 'size': number(size), 'root': root, 'epoch': epoch, 'note': note}


def parse_epoch(data):
    """Origin, epoch, start, root, key, not_before and the note itself."""
    note = Note(data)
    kind, origin, epoch, start, root, key, not_before = note.lines(7)
    if kind != 'nal/v1/epoch':
        raise Refused('this is no epoch note')
    parse_origin(origin)
    key = Key.parse(key)
    epoch, root = number(epoch), unbase64(root)
    if epoch >= 2**32 or len(root) != 32 or key.name != f'{origin}/e{epoch}':
        raise Refused('the epoch note does not fit together')
    if len(note.signatures) != 2 or note.signatures[1][0] != origin:
        raise Refused('the epoch note has not exactly two signatures, the second the log\'s')
    return {
        'origin': origin,
        'epoch': epoch,
        'start': number(start),
        'root': root,
        'key': key,
        'not_before': number(not_before),
        'note': note,
    }


def parse_epochs(data):
    """Several epoch notes, one after the other."""
    head = b'nal/v1/epoch\n'
    notes = []
    while data:
        if not data.startswith(head):
            raise Refused('this is no epoch note')
        end = data.find(b'\n' + head, len(head) - 1) + 1 or len(data)
        notes.append(parse_epoch(data[:end]))
        data = data[end:]
    return notes


def parse_node(data):
    """Node, the log's key, and the note itself."""
    note = Note(data)
    kind, node, log = note.lines(3)
    if kind != 'nal/v1/node' or not is_node(node):
        raise Refused('this is no node note')
    log = Key.parse(log)
    note.signed_by(node + '/root')
    if log.name != node:
        raise Refused('the log\'s key has another name')
    return {'node': node, 'log': log, 'note': note}


# Ed25519, by openssl. What it lets pass and a strict verifier does not is refused here.

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
# The ordinates of the eight points of small order.
SMALL = {
    0,
    1,
    P - 1,
    2707385501144840649318225287225658788936804267575313519463743609750303021,
    55188659117513257062467267217118295137698188065244968500265048394206261417927,
}
SPKI = bytes.fromhex('302a300506032b6570032100')


def is_small_order(point):
    return (int.from_bytes(point, 'little') & ~(1 << 255)) % P in SMALL


def verify_signature(public, message, signature):
    """Is this the signature of the message? Starts `openssl` once for each."""
    if len(signature) != 64:
        return False
    point, scalar = signature[:32], int.from_bytes(signature[32:], 'little')
    canonical = (int.from_bytes(point, 'little') & ~(1 << 255)) < P and scalar < L
    if not canonical or is_small_order(public) or is_small_order(point):
        return False
    with tempfile.NamedTemporaryFile() as key, tempfile.NamedTemporaryFile() as text, tempfile.NamedTemporaryFile() as sig:
        for file, content in ((key, SPKI + public), (text, message), (sig, signature)):
            file.write(content)
            file.flush()
        command = ['openssl', 'pkeyutl', '-verify', '-rawin', '-pubin', '-keyform', 'DER', '-inkey', key.name]
        command += ['-in', text.name, '-sigfile', sig.name]
        result = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    if result.returncode not in (0, 1):
        raise OSError(f'openssl cannot verify: {result.stderr.decode(errors="replace").strip()}')
    return result.returncode == 0
