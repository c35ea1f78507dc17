"""What the kernel notices, as bytes: `tests/vectors/events.txt`, read here and by the daemon's `decode` alike.

    python3 -m unittest discover -s tests     checks
    python3 tests/test_events.py --write      writes the golden: read the difference before you commit it

A line is `name | hex | json`. The json has every field of `auditor-common/src/event.rs` but the padding, or the reason
why a reader refuses the bytes. Integers are the host's; the golden is a little-endian host's.
"""

import ipaddress
import json
import pathlib
import struct
import sys
import unittest

GOLDEN = pathlib.Path(__file__).parent / 'vectors' / 'events.txt'
LAYOUT = 1

HEADER = (
    'kind:B layout:B flags:H cpu:I kseq:Q boot_ns:Q process_start_ns:Q cgroup:Q tgid:I tid:I'.split()
)
KEY = 'cookie:Q generation:I netns:I'.split()
ESTABLISHED = [*HEADER, *KEY, 'local:E', 'remote:E', 'protocol:H', 'family:H', 'pad:I']
CONNECT = [*HEADER, *KEY, 'remote:E', 'protocol:H', 'family:H', 'pad:I', 'previous_sent:Q', 'previous_received:Q']
CLOSED = [*HEADER, *KEY, 'sent:Q', 'received:Q', 'error:I', 'state_before:H', 'protocol:H']
GUARD = [
    *HEADER, *KEY, 'target_start_ns:Q', 'target_tgid:I', 'what:H', 'family:H', 'protocol:H', 'pad:H', 'pad:I'
]
HEAD_MAX = 2048
HEAD = [*HEADER, *KEY, 'remote:E', 'protocol:H', 'length:H', 'pad:I', f'bytes:{HEAD_MAX}P']
KINDS = {
    1: ('connect', CONNECT, 112),
    2: ('datagram', CONNECT, 112),
    3: ('established', ESTABLISHED, 120),
    4: ('closed', CLOSED, 88),
    5: ('released', CLOSED, 88),
    6: ('first use', ESTABLISHED, 120),
    7: ('listen', ESTABLISHED, 120),
    8: ('fork', [*HEADER, 'child_start_ns:Q', 'child_tgid:I', 'parent_ns_tid:I'], 64),
    9: ('exec', [*HEADER, 'comm:16s', 'filename:120s', 'arguments:I', 'pad:I'], 192),
    10: ('exit', [*HEADER, 'code:I', 'pad:I'], 56),
    11: ('guard', GUARD, 88),
    20: ('answer', HEAD, 2144),
    21: ('hello', HEAD, 2144),
}
BY_NAME = {name: number for number, (name, _, _) in KINDS.items()}


class Refused(Exception):
    """The bytes are not an event."""


def decode(sample):
    """The fields of an event, or `Refused`."""
    if len(sample) < 2:
        raise Refused('short')
    if sample[1] != LAYOUT:
        raise Refused('layout')
    if sample[0] not in KINDS:
        raise Refused('kind')
    _, fields, length = KINDS[sample[0]]
    if len(sample) != length:
        raise Refused('short' if len(sample) < length else 'long')
    found, at = {}, 0
    for field in fields:
        name, code = field.split(':')
        if code == 'E':
            address, port, padding = struct.unpack_from('<16sH6s', sample, at)
            value = [address.hex(), port]
            at, bad = at + 24, any(padding)
        elif code.endswith('P'):
            packet = sample[at : at + HEAD_MAX]
            if found['length'] > HEAD_MAX:
                raise Refused('length')
            value, bad = packet[: found['length']].hex(), any(packet[found['length'] :])
            at += HEAD_MAX
        else:
            (value,) = struct.unpack_from('<' + code, sample, at)
            at, bad = at + struct.calcsize(code), name == 'pad' and value
        if bad:
            raise Refused('padding')
        if isinstance(value, bytes):
            value = value.rstrip(b'\0').decode()
        if name != 'pad':
            found[name] = value
    return found


def encode(kind, fields):
    parts = []
    for field in KINDS[kind][1]:
        name, code = field.split(':')
        value = fields.get(name, 0)
        if code == 'E':
            address, port = value
            parts.append(struct.pack('<16sH6x', ipaddress.IPv6Address(address).packed, port))
        elif code.endswith('P'):
            parts.append(value.ljust(HEAD_MAX, b'\0'))
        else:
            parts.append(struct.pack('<' + code, value.encode() if code.endswith('s') else value))
    return b''.join(parts)


def event(kind, **fields):
    """A sample with a head of its own, and with these fields."""
    number = BY_NAME[kind]
    head = {
        'kind': number,
        'layout': LAYOUT,
        'flags': 0,
        'cpu': 1,
        'kseq': 2**32 + number,
        'boot_ns': 9_007_199_254_740_993 + number,
        'process_start_ns': 86_400_000_000_007,
        'cgroup': 4242,
        'tgid': 1234,
        'tid': 1235,
        'cookie': 2**63 + 77,
        'generation': 0,
        'netns': 4026531840,
    }
    return encode(number, head | fields)


V4, V6 = '::ffff:192.0.2.7', '2001:db8::7'
SAMPLES = {
    'connect to IPv4': event('connect', remote=(V4, 443), protocol=6, family=2),
    'connect to IPv6, by a candidate': event('connect', flags=8, remote=(V6, 443), protocol=6, family=10),
    'datagram that replaces another flow': event(
        'datagram',
        flags=16,
        generation=3,
        remote=(V4, 53),
        protocol=17,
        family=10,
        previous_sent=2**40,
        previous_received=7,
    ),
    'established, inbound': event(
        'established', flags=3, local=('::ffff:127.0.0.1', 8069), remote=(V4, 50001), protocol=6, family=2
    ),
    'closed': event('closed', flags=17, sent=1000, received=2345, state_before=9, protocol=6),
    'closed, refused': event('closed', flags=17, error=111, state_before=2, protocol=6),
    'released, not measured': event('released', protocol=17),
    'first use of a socket from before': event(
        'first use', flags=4, local=('::1', 40000), remote=('::1', 5432), protocol=6, family=10
    ),
    'listen': event('listen', local=('::ffff:0.0.0.0', 8069), remote=('::', 0), protocol=6, family=2),
    'fork': event('fork', child_start_ns=86_400_000_001_000, child_tgid=1300, parent_ns_tid=17),
    'exec': event('exec', comm='curl', filename='/usr/bin/curl', arguments=4),
    'exec with all letters': event('exec', comm='a' * 16, filename='/' + 'b' * 119, arguments=1),
    'exit by a signal': event('exit', code=9),
    'a raw socket': event('guard', what=1, family=10, protocol=58),
    'a packet socket that is used': event('guard', flags=4, what=2, family=17),
    'a debugger': event(
        'guard', cookie=0, netns=0, what=4, target_tgid=1300, target_start_ns=86_400_000_001_000
    ),
    'answer of a name server': event(
        'answer', flags=1, remote=('::ffff:127.0.0.53', 53), protocol=17, length=19, bytes=b'\0\1\x81\x80' + b'x' * 15
    ),
    'head of a handshake, cut': event(
        'hello', flags=1, remote=(V6, 443), protocol=6, length=HEAD_MAX, bytes=b'\x16\3\1' + b'y' * (HEAD_MAX - 3)
    ),
}
EXIT = SAMPLES['exit by a signal']
SAMPLES |= {
    'nothing': b'',
    'a kind alone': EXIT[:1],
    'a cut exit': EXIT[:-1],
    'an exit with more': EXIT + b'\0',
    'a kind from the future': b'\xff' + EXIT[1:],
    'no kind': b'\0' + EXIT[1:],
    'a layout from the future': EXIT[:1] + b'\2' + EXIT[2:],
    'an exit with padding': EXIT[:-4] + b'\0\0\0\1',
    'an answer with bytes behind its end': event(
        'answer', remote=(V4, 53), protocol=17, length=1, bytes=b'\0\1'
    ),
    'a handshake that is longer than its place': event(
        'hello', remote=(V4, 443), protocol=6, length=HEAD_MAX + 1, bytes=b'\x16'
    ),
    'a connect with padding in its endpoint': bytes(
        byte ^ (at == 87) for at, byte in enumerate(SAMPLES['connect to IPv4'])
    ),
}


def meaning(sample):
    try:
        return decode(sample)
    except Refused as refused:
        return {'refused': str(refused)}


def text():
    lines = ['# name | hex | json: written by tests/test_events.py, read by Rust and Python']
    lines += [f'{name} | {sample.hex()} | {json.dumps(meaning(sample))}' for name, sample in SAMPLES.items()]
    return '\n'.join(lines) + '\n'


class Golden(unittest.TestCase):
    def test_the_writer_writes_what_the_golden_says(self):
        self.assertEqual(text(), GOLDEN.read_text(encoding='utf-8'))

    def test_every_line_means_what_it_says(self):
        for line in GOLDEN.read_text(encoding='utf-8').splitlines()[1:]:
            name, data, says = line.split(' | ')
            with self.subTest(name):
                self.assertEqual(json.loads(json.dumps(meaning(bytes.fromhex(data)))), json.loads(says))


if __name__ == '__main__':
    if sys.argv[1:] == ['--write']:
        GOLDEN.write_text(text(), encoding='utf-8')
    else:
        unittest.main()
