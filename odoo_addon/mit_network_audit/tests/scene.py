# Part of Network Audit. License LGPL-3.
"""Records as the daemon writes them, and a daemon where one is there."""

import contextlib
import http.server
import os
import socket
import socketserver
import threading
import unittest

from ..core import client

ORIGIN = 'network-audit.local/default/0123456789ab/0001'
ATTRIBUTION = {
    'label': 'matched',
    'module': 'vendor_demo',
    'chain': ['vendor_demo', 'base'],
    'site': 'vendor_demo/channels.py:62 by_requests',
    'origin': 'route /vendor_demo/press',
    'database': None,
    'reason': 'cookie',
    'contradictions': [],
}
OPENED = {
    'direction': 'out',
    'protocol': 'tcp',
    'remote': {'address': '192.0.2.7', 'port': 443},
    'local': {'address': '192.0.2.9', 'port': 40000},
    'cookie': 3826260,
    'process': {'tgid': 17, 'tid': 19, 'comm': 'odoo', 'executable': '/usr/bin/python3'},
    'attribution': ATTRIBUTION,
    'opened_before': False,
    'instance': 'unit:odoo.service',
}


def record(seq, kind, **fields):
    """One record; `fields` replace or add to what every record of its kind has."""
    head = {
        'seq': seq,
        'leaf': f'{seq:064x}',
        'time': f'2026-11-24T08:00:{seq % 60:02}.250000Z',
        'type': 'event',
        'class': kind,
        'sealed': True,
        'run': 1,
        'epoch': 0,
    }
    return {**head, **fields}


def opened(seq, **fields):
    return record(seq, 'flow_opened', **{**OPENED, **fields})


def ended(seq, flow, **fields):
    content = {'flow': flow, 'end': 'closed', 'error': None, 'sent': 120, 'received': 3000}
    times = {'duration_ns': 2_500_000, 'handshake_ns': 49_122}
    return record(seq, 'flow_ended', **{**content, **times, 'opened': OPENED, **fields})


def call(seq, flow, **fields):
    content = {'channel': 'requests', 'method': 'POST', 'flow': flow, 'cookie': 3826260}
    about = {'attribution': ATTRIBUTION, 'process': OPENED['process'], 'opened': OPENED}
    return record(seq, 'call', **{**content, **about, 'instance': OPENED['instance'], **fields})


def require_daemon():
    """Skips a test where no daemon answers, and says so."""
    try:
        client.ask('/v1/status')
    except client.NoAnswer as error:
        raise unittest.SkipTest(
            f'SKIPPED: because no daemon answers in {client.run_dir()} ({error.kind}: {error})'
        ) from error


class WithDaemon:
    """Test cases that are skipped as a whole where no daemon answers."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        require_daemon()


def answer(status, body):
    """The bytes of an HTTP answer, as the daemon gives it."""
    head = f'HTTP/1.1 {status}\r\nServer: {client.NAME}0\r\nContent-Length: {len(body)}\r\n'
    return f'{head}Connection: close\r\n\r\n{body}'.encode()


def listen(case, content):
    """Somebody who listens in the daemon's place, and says this; without a content, nothing."""
    listener = socket.socket(socket.AF_UNIX)
    case.addCleanup(listener.close)
    case.addCleanup(listener.shutdown, socket.SHUT_RDWR)
    listener.bind(client.api_path())
    listener.listen()
    held = []

    def serve():
        with contextlib.suppress(OSError):  # The test is over.
            while True:
                connection, _ = listener.accept()
                held.append(connection)
                connection.recv(65536)
                if content is not None:
                    connection.sendall(content)
                    connection.close()

    threading.Thread(target=serve, daemon=True).start()


def lead_to(case, path):
    """Whoever listens at this path is found in the daemon's place."""
    os.symlink(path, client.api_path())
    case.addCleanup(os.unlink, client.api_path())


def database_server(env):
    """The socket of the PostgreSQL that Odoo uses, or a reason to skip."""
    info = env.cr._cnx.info
    path = os.path.join(info.host, f'.s.PGSQL.{info.port}')
    if not os.path.exists(path):
        raise unittest.SkipTest(f'SKIPPED: because PostgreSQL has no socket at {path}')
    return path


class _Pages(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments):
        """Whoever asks over a local socket has no address to be logged."""


def web_server(case):
    """A web server of Python's own, at the daemon's place."""
    server = socketserver.ThreadingUnixStreamServer(client.api_path(), _Pages)
    case.addCleanup(server.server_close)
    case.addCleanup(server.shutdown)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def crowd(case):
    """As many connections to the daemon as one user may have, and some more."""
    for _ in range(200):
        connection = socket.socket(socket.AF_UNIX)
        case.addCleanup(connection.close)
        connection.connect(client.api_path())
