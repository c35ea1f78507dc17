"""The other end of `hints.sock` for tests: a real socket that takes rings and reads them.

By hand, against a running Odoo: `python3 tests/core/peer.py /run/dir` prints every claim as a JSON
line.
"""

import array
import json
import os
import select
import socket
import struct
import sys

HEADER_LEN, ENTRIES, ENTRY_LEN = 4096, 4096, 64
STRINGS_OFFSET = HEADER_LEN + ENTRIES * ENTRY_LEN
CHANNELS = (
    *('socket', 'requests', 'httpx', 'urllib', 'urllib3', 'http', 'smtp', 'imap', 'pop3', 'ftp'),
    *('tls', 'websocket', 'xmlrpc', 'aiohttp', 'ldap'),
)
OPERATIONS = {1: 'connect', 2: 'send', 3: 'spawn', 5: 'call', 6: 'serve'}


def checksum(body):
    """Of an entry: its first sixty bytes as a number, modulo a prime; the low bits of that, inverted."""
    return int.from_bytes(body, 'little') % (2**61 - 1) & 0xFFFFFFFF ^ 0xFFFFFFFF


class Ring:
    """Reads a ring by `pread`, from its own knowledge of the layout."""

    def __init__(self, fd, pid=0):
        self.fd = fd
        self.pid = pid
        self.next = 1

    def counters(self):
        names = ('head', 'dropped', 'failures', 'heartbeat', 'strings_used', 'strings_dropped')
        return dict(zip(names, struct.unpack('<6Q', os.pread(self.fd, 48, 32))))

    def string(self, at):
        if at == 0:
            return None
        (length,) = struct.unpack('<H', os.pread(self.fd, 2, STRINGS_OFFSET + at))
        return os.pread(self.fd, length, STRINGS_OFFSET + at + 2).decode()

    def read_new(self):
        """The claims since the last call; it fails on an entry that is not whole."""
        claims = []
        for sequence in range(self.next, self.counters()['head'] + 1):
            claims.append(self.entry(sequence))
            self.next = sequence + 1
        return claims

    def entry(self, sequence):
        raw = os.pread(self.fd, ENTRY_LEN, HEADER_LEN + (sequence - 1) % ENTRIES * ENTRY_LEN)
        found, time, key, chain, site, origin, database, detail, port, operation, channel, check = (
            struct.unpack('<QQQ4I16sHBBI', raw)
        )
        assert found == sequence and check == checksum(raw[:60]), (sequence, raw)
        return {
            'pid': self.pid,
            'sequence': sequence,
            'time': time,
            'operation': OPERATIONS[operation],
            'key': key,
            'chain': self.string(chain),
            'site': self.string(site),
            'origin': self.string(origin),
            'database': self.string(database),
            'detail': detail,
            'port': port,
            'channel': CHANNELS[channel & 31] if channel & 31 < len(CHANNELS) else 'socket',
            'marks': channel & 0xE0,
        }


class Daemon:
    """Listens on `hints.sock` in a folder of its own choice."""

    def __init__(self, run_dir):
        self.path = os.path.join(run_dir, 'hints.sock')
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o666)
        self.listener.listen(128)
        self.listener.setblocking(False)
        self.connections = []
        self.rings = []

    def accept(self, seconds=0):
        """Takes whoever is waiting (for `seconds`, if there is nobody)."""
        select.select([self.listener], [], [], seconds)
        while True:
            try:
                connection, _ = self.listener.accept()
            except BlockingIOError:
                return self.rings
            connection.settimeout(1)
            pid, _, _ = struct.unpack(
                'iII', connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            )
            hello, ancillary, _, _ = connection.recvmsg(64, socket.CMSG_SPACE(4))
            assert hello == struct.pack('<8sIQ', b'NAHINTS1', 2, STRINGS_OFFSET + 512 * 1024), hello
            rights = array.array('i')
            rights.frombytes(ancillary[0][2])
            self.connections.append(connection)
            self.rings.append(Ring(rights[0], pid))

    def close(self):
        """As a daemon that stops: connections end, the socket file goes."""
        for connection in self.connections:
            connection.close()
        for ring in self.rings:
            os.close(ring.fd)
        self.listener.close()
        os.unlink(self.path)


def main():
    daemon = Daemon(sys.argv[1])
    while True:
        daemon.accept(0.05)
        for ring in daemon.rings:
            for claim in ring.read_new():
                print(json.dumps({**claim, 'detail': claim['detail'].hex()}), flush=True)


if __name__ == '__main__':
    main()
