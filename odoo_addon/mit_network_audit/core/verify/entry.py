# Part of Network Audit. License LGPL-3.
"""Entries and rows."""

import struct

from .forms import Refused, sha256

MAX_BODY = 1 << 20
SCHEMA = 1
NO_RECORD = 2**64 - 1

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
