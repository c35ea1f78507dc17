"""Makes the seeds out of the goldens: python3 fuzz/seeds.py"""

import json
from pathlib import Path

HERE = Path(__file__).parent
VECTORS = HERE.parent / 'tests' / 'vectors'


def lines(name):
    for number, line in enumerate((VECTORS / name).read_text().splitlines()):
        if not line.startswith('#'):
            title, content, rest = (part.strip() for part in line.split('|', 2))
            yield number, title, bytes.fromhex(content), rest


def seed(target, name, content):
    folder = HERE / 'seeds' / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / str(name)).write_bytes(content)


# What the daemon looks for in a kernel's types: structure and path of the field.
FIELDS = {
    'sock': '__sk_common.skc_family __sk_common.skc_state __sk_common.skc_daddr __sk_common.skc_rcv_saddr '
    '__sk_common.skc_v6_daddr __sk_common.skc_v6_rcv_saddr __sk_common.skc_dport __sk_common.skc_num '
    '__sk_common.skc_net.net __sk_common.skc_cookie __sk_common.skc_flags sk_protocol sk_type sk_err sk_socket',
    'socket': 'sk',
    'net': 'ns.inum',
    'tcp_sock': 'bytes_sent bytes_retrans bytes_received',
    'bpf_sock_addr_kern': 'sk',
    'task_struct': 'pid tgid group_leader start_boottime signal exit_code thread_pid',
    'linux_binprm': 'filename argc',
    'signal_struct': 'live flags group_exit_code',
    'pid': 'level numbers',
    'upid': 'nr',
}
INT, PTR, ARRAY, STRUCT, UNION, ENUM, TYPEDEF, CONST, FUNC_PROTO, VAR, DATASEC, DECL_TAG, ENUM64 = (
    1, 2, 3, 4, 5, 6, 8, 10, 13, 14, 15, 17, 19,
)


class Btf:
    """A description of types, as the kernel's Documentation/bpf/btf.rst has it."""

    def __init__(self):
        self.strings, self.words, self.types = b'\0', [], 0

    def name(self, text):
        if not text:
            return 0
        self.strings += text.encode() + b'\0'
        return len(self.strings) - len(text) - 1

    def type(self, name, kind, size, *words, members=0):
        self.words += [self.name(name), kind << 24 | members, size, *words]
        self.types += 1
        return self.types

    def structure(self, name, fields, kind=STRUCT):
        words = []
        for place, (field, of) in enumerate(fields):
            words += [self.name(field), of, 32 * place]
        return self.type(name, kind, 4 * len(fields), *words, members=len(fields))

    def nested(self, name, paths):
        """A structure of these paths; every other inner one is anonymous or behind a modifier."""
        tree = {}
        for path in paths:
            head, _, rest = path.partition('.')
            tree.setdefault(head, []).extend([rest] if rest else [])
        fields = []
        for field, inner in tree.items():
            of = self.type('', CONST, self.nested(f'{name}_{field}', inner)) if inner else 1
            fields.append((field, of))
        return self.structure(name, [(None, self.structure('', fields, UNION))] if len(fields) == 1 else fields)

    def bytes(self):
        types = b''.join(word.to_bytes(4, 'little') for word in self.words)
        head = [24, 0, len(types), len(types), len(self.strings)]
        return b'\x9f\xeb\x01\0' + b''.join(word.to_bytes(4, 'little') for word in head) + types + self.strings


def kernel_types(tracepoints):
    btf = Btf()
    btf.type('int', INT, 4, 32)
    for name, paths in FIELDS.items():
        btf.nested(name, paths.split())
    btf.type('', PTR, 1)
    btf.type('', ARRAY, 0, 1, 1, 4)
    btf.type('e', ENUM, 4, btf.name('one'), 1, members=1)
    btf.type('e64', ENUM64, 8, btf.name('two'), 2, 0, members=1)
    btf.type('', FUNC_PROTO, 1, btf.name('argument'), 1, members=1)
    btf.type('v', VAR, 1, 0)
    btf.type('.data', DATASEC, 4, 1, 0, 4, members=1)
    btf.type('tag', DECL_TAG, 1, 0)
    for name in tracepoints:
        btf.type(f'btf_trace_{name}', TYPEDEF, 1)
    return btf.bytes()


def main():
    for number, title, content, _ in lines('notes.txt'):
        seed('note', number, content)
        seed('checkpoint', number, content)
        seed('epoch', number, content)
    for number, _, content, _ in lines('entries.txt'):
        seed('row', number, content)
    for number, _, content, rest in lines('bodies.txt'):
        golden = json.loads(rest)
        seed('body', number, bytes([golden['type'], golden['class']]) + content)
    for number, _, content, _ in lines('events.txt'):
        seed('sample', number, content)
    ring = b''
    for number, title, content, _ in lines('hints.txt'):
        if title.startswith('entry'):
            seed('hints', number, content)
        elif title.startswith('ring'):
            ring += content[:4096].ljust(4096, b'\0')
    seed('hints', 'ring', ring)
    for number, text in enumerate(['client_addresses = "cut"\n', '[floor]\nauditing = true\n']):
        seed('config', number, text.encode())
    seed('catalogue', 0, (HERE.parent / 'auditor-userspace/data/catalogue.toml').read_bytes()[:4000])
    for number, text in enumerate(['auditing\nfalse', 'retention_days\n30', 'client_addresses\ncut']):
        seed('policy', number, text.encode())
    # Where there is no golden yet, the beginning that a parser looks for.
    # (Whole exports, lists and proofs are made by a test: tests/seeds.rs.)
    for target in ('archive', 'bundle'):
        seed(target, 0, bytes(1024))
    seed('btf', 'kernel', kernel_types(['sock_send_length', 'sock_recv_length']))
    seed('btf', 'structure', kernel_types([]))
    seed('btf', 0, bytes.fromhex('9feb010018000000') + bytes(16))
    seed('edge', 0, bytes(40))
    seed('export', 0, b'nal/v1/export\naudit.example/cluster-a/node-7/0001\n')
    seed('export', 1, b'tile/entries/x001/234.p/7')
    seed('head', 0, b'NALHEAD1' + bytes(7) + b'\x01' + bytes(8176))
    seed('key', 0, b'audit.example/cluster-a/node-7/0001+b452b5e4+AT1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM')
    seed('key', 1, b'audit.example/cluster-a/node-7/0001')
    seed('proof', 0, b'c2sp.org/tlog-proof@v1\nextra AAAA\nindex 1\n')
    owner = b'\3www\7example\0'
    head = bytes.fromhex('0007 8180 0001 0002 0000 0000')
    chain = bytes.fromhex('c00c 0005 0001 0000001e 000a') + b'\3cdn\4test\0' + b'\3cdn\4test\0'
    answer = head + owner + b'\0\1\0\1' + chain + bytes.fromhex('0001 0001 0000001e 0004 c0000201')
    seed('names', 0, answer)
    seed('names', 1, len(answer).to_bytes(2, 'big') + answer)
    name = b'\0\0\0\x12\0\x10\0\0\x0dwww.test.test'
    body = b'\3\3' + bytes(32) + b'\0' + b'\0\2\x13\1' + b'\1\0' + len(name).to_bytes(2, 'big') + name
    hello = b'\1' + len(body).to_bytes(3, 'big') + body
    seed('names', 2, b'\x16\3\1' + len(hello).to_bytes(2, 'big') + hello)
    questions = [
        'GET /v1/records?limit=2', 'GET /v1/report?window=1h', 'GET /v1/status', 'GET /v1/code?code=AAAA',
        'GET /v1/policy?instance=a', 'GET /v1/catalogue',
        'POST /v1/policy\n{"instance":"a","setting":"auditing","value":false}',
        'POST /v1/policy/decide\n{"number":1,"accept":true}', 'POST /v1/ack\n{"reason":"losses"}',
        'POST /v1/export\n{}', 'POST /v1/ledger/retain\n{}', 'POST /v1/ledger/rotate\n{}',
    ]
    for number, text in enumerate(questions):
        seed('http', number, text.encode())


if __name__ == '__main__':
    main()
