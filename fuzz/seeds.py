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
    for target in ('archive', 'bundle'):
        seed(target, 0, bytes(1024))
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
