"""The other end of the demonstration: servers on 127.0.0.1, one for each protocol that it speaks.

They keep a log of their own, one JSON object a line, which is the truth that tests compare the
auditor with:

    {"kind": "request", "operation": "…", "protocol": "http", "server": [ip, port], "peer": [ip,
    port]} {"kind": "connection", "operations": ["…"], "protocol": "http", "server": …, "peer": …,
    "received": 166, "sent": 87}

`received` and `sent` are payload bytes as this server's own socket calls counted them. Run it by
hand:

    python3 tests/scenarios/servers.py --log /tmp/truth.jsonl
"""

import argparse
import io
import json
import signal
import socketserver
import ssl
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler

DEFAULT_PORTS = {
    'http': 18180,
    'smtp': 18125,
    'tcp': 18190,
    'udp': 18191,
    'postgres': 18132,
    'imap': 18143,
    'pop3': 18110,
    'tls': 18193,
}
IDLE_SECONDS = 60


class Log:
    """JSON lines, each written whole and at once."""

    def __init__(self, out):
        self._out = out
        self._lock = threading.Lock()

    def write(self, **fields):
        with self._lock:
            self._out.write(json.dumps(fields) + '\n')
            self._out.flush()


class Counted(io.RawIOBase):
    """A connected socket as a stream that counts its bytes."""

    def __init__(self, sock):
        self._sock = sock
        self.received = self.sent = 0

    def readable(self):
        return True

    def writable(self):
        return True

    def readinto(self, buffer):
        count = self._sock.recv_into(buffer)
        self.received += count
        return count

    def write(self, piece):
        self._sock.sendall(piece)
        self.sent += len(piece)
        return len(piece)


class Conversation(socketserver.BaseRequestHandler):
    """One connection: a protocol's words in a subclass, the log here."""

    protocol = ''

    def setup(self):
        self.request.settimeout(IDLE_SECONDS)
        self.counted = self.wfile = Counted(self.request)
        self.rfile = io.BufferedReader(self.counted)
        self.operations = []

    def saw(self, operation):
        self.operations.append(operation)
        self._write('request', operation=operation)

    def finish(self):
        self._write(
            'connection',
            operations=self.operations,
            received=self.counted.received,
            sent=self.counted.sent,
        )

    def _write(self, kind, **fields):
        self.server.log.write(
            kind=kind,
            protocol=self.protocol,
            server=self.server.server_address[:2],
            peer=self.client_address[:2],
            **fields,
        )


class Http(Conversation, BaseHTTPRequestHandler):
    """Answers every request; the operation is `X-Operation`, or the last part of the path."""

    protocol = 'http'
    protocol_version = 'HTTP/1.1'

    def handle(self):
        self.close_connection = False
        while not self.close_connection:
            try:
                self.handle_one_request()
            except OSError:
                return

    def answer(self):
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        self.saw(self.headers.get('X-Operation') or self.path.rpartition('/')[2])
        answer = json.dumps({'read': len(body)}).encode()
        head = [
            'HTTP/1.1 200 OK',
            'Content-Type: application/json',
            f'Content-Length: {len(answer)}',
        ]
        head = '\r\n'.join([*head, '', '']).encode()
        self.wfile.write(head + (b'' if self.command == 'HEAD' else answer))

    do_GET = do_POST = do_PUT = do_HEAD = answer

    def log_message(self, *args):
        """Nothing on stderr: the log says it."""


class Smtp(Conversation):
    """Takes every message; the operation is its `X-Operation` header."""

    protocol = 'smtp'
    ANSWERS = {
        b'EHLO': b'250 demo',
        b'HELO': b'250 demo',
        b'DATA': b'354 go on',
        b'QUIT': b'221 bye',
    }

    def handle(self):
        self.say(b'220 demo')
        while line := self.rfile.readline():
            word = line.strip().upper()[:4]
            self.say(self.ANSWERS.get(word, b'250 ok'))
            if word == b'QUIT':
                return
            if word == b'DATA':
                self.message()

    def message(self):
        while (line := self.rfile.readline()) not in (b'', b'.\r\n'):
            name, _, value = line.decode('latin-1').partition(':')
            if name.lower() == 'x-operation':
                self.saw(value.strip())
        self.say(b'250 taken')

    def say(self, line):
        self.wfile.write(line + b'\r\n')


class Tcp(Conversation):
    """The first line is the operation; the answer is `ok`."""

    protocol = 'tcp'

    def handle(self):
        while line := self.rfile.readline():
            self.saw(line.decode('latin-1').strip())
            self.wfile.write(b'ok\n')


class Tls(Conversation):
    """As `tcp`, within TLS; anonymous, because a demonstration needs no certificate."""

    protocol = 'tls'

    def handle(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers('AECDH-AES256-SHA:@SECLEVEL=0')
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        wrapped = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.exchange(wrapped.do_handshake)
        while line := self.exchange(wrapped.read, 1000):
            self.saw(line.decode('latin-1').strip())
            self.exchange(wrapped.write, b'ok\n')

    def exchange(self, act, *arguments):
        """One step within TLS; the bytes that are counted are those outside of it."""
        while True:
            done, wants = b'', False
            try:
                done = act(*arguments)
            except ssl.SSLWantReadError:
                wants = True
            except ssl.SSLError:
                pass  # the other side has ended it
            if piece := self.outgoing.read():
                self.wfile.write(piece)
            if not wants:
                return done
            if not (piece := self.counted.read(16_384)):
                return b''
            self.incoming.write(piece)


class Postgres(Conversation):
    """Answers a start-up packet with an error; the operation is `application_name`."""

    protocol = 'postgres'
    REFUSALS = (
        80877103,
        80877104,
    )  # SSLRequest, GSSENCRequest: "no", and the client goes on in plain text

    def handle(self):
        while head := self.rfile.read(8):
            if len(head) < 8:
                return
            length, code = struct.unpack('!II', head)
            rest = self.rfile.read(max(0, min(length, 10_000) - 8))
            if code in self.REFUSALS:
                self.wfile.write(b'N')
                continue
            words = rest.decode('latin-1').split('\0')
            self.saw(dict(zip(words[::2], words[1::2])).get('application_name', ''))
            fields = b'SFATAL\0C57P03\0Mthe demonstration has no database\0\0'
            self.wfile.write(b'E' + struct.pack('!I', len(fields) + 4) + fields)
            return


class Imap(Conversation):
    """Lets everybody in, to an empty mailbox; the operation is the user's name."""

    protocol = 'imap'
    DATA = {
        'CAPABILITY': ['CAPABILITY IMAP4rev1'],
        'SELECT': ['FLAGS ()', '0 EXISTS', '0 RECENT', 'OK [UIDVALIDITY 1] demo'],
        'SEARCH': ['SEARCH'],
        'LOGOUT': ['BYE demo'],
    }

    def handle(self):
        self.wfile.write(b'* OK demo\r\n')
        while words := self.rfile.readline().decode('latin-1').split():
            tag, command, *arguments = [*words, '']
            if command == 'LOGIN':
                self.saw(arguments[0].strip('"'))
            lines = [f'* {line}' for line in self.DATA.get(command, ())]
            # In one piece: a client hangs up at the first line of the last answer.
            self.wfile.write('\r\n'.join([*lines, f'{tag} OK done', '']).encode())
            if command == 'LOGOUT':
                return


class Pop3(Conversation):
    """Lets everybody in, to an empty mailbox; the operation is the user's name."""

    protocol = 'pop3'

    def handle(self):
        self.wfile.write(b'+OK demo\r\n')
        while words := self.rfile.readline().decode('latin-1').split():
            command = words[0].upper()
            if command == 'USER':
                self.saw(words[-1])
            is_list = command in ('LIST', 'UIDL') and len(words) == 1
            self.wfile.write(b'+OK 0 0\r\n' + b'.\r\n' * is_list)
            if command == 'QUIT':
                return


class Udp(socketserver.BaseRequestHandler):
    """One datagram, one operation, one answer."""

    def handle(self):
        piece, sock = self.request
        operation = piece.decode('latin-1').strip()
        sock.sendto(b'ok', self.client_address)
        place = {
            'server': self.server.server_address[:2],
            'peer': self.client_address[:2],
            'protocol': 'udp',
        }
        self.server.log.write(kind='request', operation=operation, **place)
        self.server.log.write(
            kind='connection', operations=[operation], received=len(piece), sent=2, **place
        )


class TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        """A peer that resets its connection is part of the scenarios, and no error."""


class UdpServer(socketserver.ThreadingUDPServer):
    allow_reuse_address = True
    daemon_threads = True


KINDS = {
    'http': (TcpServer, Http),
    'smtp': (TcpServer, Smtp),
    'tcp': (TcpServer, Tcp),
    'udp': (UdpServer, Udp),
    'postgres': (TcpServer, Postgres),
    'imap': (TcpServer, Imap),
    'pop3': (TcpServer, Pop3),
    'tls': (TcpServer, Tls),
}


def start(ports, log):
    """Starts the servers of `ports` (name to port, 0 for any); returns the ports they have."""
    bound = {}
    for name, port in ports.items():
        server_class, conversation = KINDS[name]
        server = server_class(('127.0.0.1', port), conversation)
        server.log = log
        threading.Thread(target=server.serve_forever, name=name, daemon=True).start()
        bound[name] = server.server_address[1]
    return bound


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--log', help='file for the JSON lines, appended to (default: standard output)'
    )
    for name, port in DEFAULT_PORTS.items():
        parser.add_argument(
            f'--{name}-port', type=int, help=f'default {port}; any, if another port is chosen'
        )
    arguments = vars(parser.parse_args())
    out = open(arguments['log'], 'a', encoding='utf-8') if arguments['log'] else sys.stdout
    chosen = {name: arguments[f'{name}_port'] for name in DEFAULT_PORTS}
    if any(port is not None for port in chosen.values()):
        chosen = {name: port or 0 for name, port in chosen.items()}
    else:
        chosen = DEFAULT_PORTS
    bound = start(chosen, Log(out))
    # The one line that is not part of the log: what VENDOR_DEMO_SERVERS has to be.
    print(json.dumps(bound), file=sys.stderr if out is sys.stdout else sys.stdout, flush=True)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    stop.wait()


if __name__ == '__main__':
    main()
