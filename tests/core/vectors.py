"""Writes `tests/vectors/hints.txt`, the golden that addon and daemon read alike.

    python3 tests/core/vectors.py          prints what differs
    python3 tests/core/vectors.py --write  writes it: read the difference before you commit it

A line is `name | hex | json`. An `entry` is one entry of the ring, its json `null` where a reader
must refuse it; the three lines of the `ring` are the parts of a file in use, and the json of the
last is what its reader has to find.
"""

import json
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / 'odoo_addon' / 'mit_network_audit'))

import peer
from core import hints, redaction

GOLDEN = pathlib.Path(__file__).parents[1] / 'vectors' / 'hints.txt'
BOOT_ID = bytes(range(16))
V4 = redaction.numeric('192.0.2.7')
V6 = redaction.numeric('2001:db8::7')
NAME = redaction.numeric('example.com')


REQUESTS, SMTP = hints.CHANNELS.index('requests'), hints.CHANNELS.index('smtp')


def call(method, length):
    return method.ljust(8, b'\0') + length.to_bytes(8, 'little')


def count(arguments):
    return arguments.to_bytes(16, 'little')


# name, sequence, monotonic_ns, key, (chain, site, origin, database), detail, port, operation,
# channel
ENTRIES = [
    ('connect to IPv4', 1, 1_000, 77, (8, 30, 60, 80), V4, 443, hints.CONNECT, REQUESTS),
    (
        'connect to IPv6',
        2,
        2_000,
        78,
        (8, 30, 60, 80),
        V6,
        443,
        hints.CONNECT,
        REQUESTS | hints.GENERATED,
    ),
    (
        'connect to a name',
        3,
        3_000,
        79,
        (8, 30, 0, 0),
        NAME,
        443,
        hints.CONNECT,
        SMTP | hints.FOREIGN,
    ),
    ('send', 4, 4_000, 80, (8, 30, 60, 80), V4, 53, hints.SEND, 0),
    ('spawn', 5, 5_000, 4242, (8, 30, 60, 80), count(9), 0, hints.SPAWN, 0),
    ('of a reserved operation', 6, 6_000, 4242, (8, 30, 60, 80), bytes(16), 0, 4, 0),
    ('call', 7, 7_000, 77, (8, 30, 60, 80), call(b'POST', 1234), 0, hints.CALL, REQUESTS),
    ('serve', 8, 8_000, 99, (8, 30, 60, 80), bytes(16), 0, hints.SERVE, 0),
    (
        'largest numbers',
        2**64 - 1,
        2**64 - 1,
        2**64 - 1,
        (2**32 - 1,) * 4,
        b'\xff' * 16,
        65535,
        255,
        255,
    ),
]

CHAIN, SITE = 'vendor_demo,mail,web', 'vendor_demo/models/x.py:12 press'
# The same claims as a writer makes them: operation, key, chain, site, origin, database, detail,
# port, channel.
CLAIMS = [
    (hints.CONNECT, 77, CHAIN, SITE, 'route /x/<int:id>', 'd1', V4, 443, REQUESTS),
    (
        hints.CONNECT,
        78,
        CHAIN,
        SITE,
        'route /x/<int:id>',
        'd1',
        V6,
        443,
        REQUESTS | hints.GENERATED,
    ),
    (hints.CONNECT, 79, 'odoo', None, None, None, NAME, 443, SMTP | hints.FOREIGN),
    (hints.SEND, 80, CHAIN, SITE, 'cron 7', 'd1', V4, 53, 0),
    (
        hints.SPAWN,
        4242,
        'vendor_demo',
        'vendor_demo/é.py:3 f',
        'server-action 93',
        'd2',
        count(9),
        0,
        0,
    ),
    (
        hints.SPAWN,
        4243,
        'library:requests,native:vendor',
        None,
        'shell',
        None,
        count(1),
        0,
        hints.AMBIGUOUS,
    ),
    (
        hints.CALL,
        77,
        'vendor_other,web',
        SITE,
        'route /x/<int:id>',
        'd1',
        call(b'POST', 1234),
        0,
        REQUESTS,
    ),
    (hints.SERVE, 99, 'vendor_demo', SITE, 'route /x/<int:id>', 'd1', bytes(16), 0, 31),
]
NAMES = {1: 'connect', 2: 'send', 3: 'spawn', 5: 'call', 6: 'serve'}


def entry(sequence, time, key, ids, detail, port, operation, channel):
    body = struct.pack('<QQQ4I16sHBB', sequence, time, key, *ids, detail, port, operation, channel)
    return body + struct.pack('<I', peer.checksum(body))


def entry_lines():
    for name, sequence, time, number, *rest in ENTRIES:
        raw = entry(sequence, time, number, *rest)
        yield f'entry {name}', raw, as_json(raw)
    whole = entry(1, 1, 1, (8, 0, 0, 0), bytes(16), 0, hints.CONNECT, 0)
    yield 'entry all zero', bytes(64), None
    yield 'entry with a flipped bit in its key', whole[:16] + b'\0' + whole[17:], None
    yield 'entry with a flipped bit in its checksum', whole[:63] + bytes([whole[63] ^ 1]), None


def as_json(raw):
    sequence, time, number, *strings, detail, port, operation, channel = struct.unpack(
        '<QQQ4I16sHBB', raw[:60]
    )
    return {
        'sequence': sequence,
        'monotonic_ns': time,
        'key': number,
        **dict(zip(('chain', 'site', 'origin', 'database'), strings)),
        'detail': detail.hex(),
        'port': port,
        'operation': operation,
        'channel': channel,
    }


def ring_lines():
    memory = bytearray(hints.FILE_LEN)
    hints.HEAD.pack_into(memory, 0, hints.MAGIC, hints.VERSION, 4711, BOOT_ID)
    hints.STRINGS.pack_into(memory, hints.STRINGS_USED_AT, hints.STRINGS_BEGIN, 0)
    write, *_ = hints.writing(memory)
    intern = hints.interning(memory)
    for number, claim in enumerate(CLAIMS, 1):
        operation, about, *texts, detail, port, channel = claim
        ids = hints.IDS.pack(*[intern(text) if text else 0 for text in texts])
        write(number * 1_000, operation, about, (ids, channel), detail, port)
    used = int.from_bytes(memory[hints.STRINGS_USED_AT : hints.STRINGS_USED_AT + 8], 'little')
    entries = memory[hints.HEADER_LEN : hints.HEADER_LEN + len(CLAIMS) * hints.ENTRY_LEN]
    yield (
        'ring header',
        bytes(memory[:80]),
        {'pid': 4711, 'boot_id': BOOT_ID.hex(), 'head': len(CLAIMS)},
    )
    yield 'ring entries', bytes(entries), None
    strings = memory[hints.STRINGS_OFFSET : hints.STRINGS_OFFSET + used]
    yield 'ring strings', bytes(strings), [found(*claim) for claim in CLAIMS]


def found(operation, number, chain, site, origin, database, detail, port, channel):
    address = None
    if operation in (hints.CONNECT, hints.SEND) and any(detail):
        octets = detail[12:] if detail[:12] == bytes(10) + b'\xff\xff' else detail
        address = f'{list(octets)}:{port}'
    return {
        'operation': NAMES[operation],
        'key': number,
        'chain': chain.split(','),
        'site': site,
        'origin': origin,
        'database': database,
        'method': detail[:8].rstrip(b'\0').decode() if operation == hints.CALL else None,
        'remote': address,
        # A channel of a newer addon is at least a socket.
        'channel': dict(enumerate(hints.CHANNELS)).get(channel & 31, 'socket'),
        'ambiguous': bool(channel & hints.AMBIGUOUS),
        'generated': bool(channel & hints.GENERATED),
        'foreign': bool(channel & hints.FOREIGN),
        'arguments': int.from_bytes(detail[:8], 'little') if operation == hints.SPAWN else 0,
        'piece_len': int.from_bytes(detail[8:], 'little') if operation == hints.CALL else 0,
    }


def text():
    lines = ['# name | hex | json: written by tests/core/vectors.py, read by Rust and Python']
    lines += [
        f'hello | {hints.HELLO.hex()} | {json.dumps({"version": hints.VERSION, "length": hints.FILE_LEN})}'
    ]
    for name, raw, meaning in (*entry_lines(), *ring_lines()):
        lines.append(f'{name} | {raw.hex()} | {json.dumps(meaning, ensure_ascii=False)}')
    return '\n'.join(lines) + '\n'


def main():
    new, old = text(), GOLDEN.read_text() if GOLDEN.exists() else ''
    for line in sorted(set(new.splitlines()) ^ set(old.splitlines())):
        print('+' if line in new else '-', line[:160])
    if '--write' in sys.argv:
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(new)
    sys.exit(0 if new == old or '--write' in sys.argv else 1)


if __name__ == '__main__':
    main()
