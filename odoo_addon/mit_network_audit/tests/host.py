# Part of Network Audit. License LGPL-3.
"""The machine that this Odoo runs on, as far as whoever runs the tests lets them use it."""

import ctypes
import os
import socket
import struct
import subprocess
import sys
import time
import types
import unittest

from ..core import client

# Where orders are taken: see `xtask/src/odoo/witness.rs`.
ORDERS = 'NETWORK_AUDIT_HOST'
PATIENCE = 20


def order(text):
    """Has something done to the daemon, and waits until it is; returns what was said about it."""
    path = os.environ.get(ORDERS)
    if not path:
        raise unittest.SkipTest(f'SKIPPED: because nobody here can {text} a daemon ({ORDERS})')
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(path)
        connection.sendall(f'{text}\n'.encode())
        with connection.makefile() as answer:
            state, _, said = answer.read().partition(' ')
    if state != 'ok':
        raise AssertionError(f'{text}: {said}')
    return said


def wait_for(look):
    """The first answer that is something; the daemon commits and seals within moments."""
    until = time.monotonic() + PATIENCE
    while not (found := look()):
        if time.monotonic() > until:
            raise AssertionError('it did not come in time')
        time.sleep(0.1)
    return found


def fresh():
    """A daemon that knows nothing yet, and by now audits and names this process."""
    order('fresh')
    wait_until_named()


def wait_until_named():
    def look():
        call('greeting', '127.0.0.1', 9)
        instances = client.ask('/v1/status')['instances']
        return any(it['named'] for it in instances.values())

    wait_for(look)


class Child:
    """A process that begins now, and connects and sends when it is told to."""

    _CODE = (
        'import socket, sys\n'
        'host, port = sys.stdin.readline().split()\n'
        's = socket.create_connection((host, int(port)))\n'
        'print("connected", flush=True)\n'
        'for _ in sys.stdin: s.sendall(b"x"); print("sent", flush=True)\n'
    )

    def __enter__(self):
        # The kernel tells of it before it can connect to anything.
        pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE, 'text': True}
        self._process = subprocess.Popen([sys.executable, '-I', '-S', '-c', self._CODE], **pipes)
        return self

    def __exit__(self, *_exception):
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._process.stdout.close()

    def connect(self, host, port):
        self._tell(f'{host} {port}')

    def send(self):
        self._tell('go on')

    def _tell(self, line):
        self._process.stdin.write(f'{line}\n')
        self._process.stdin.flush()
        assert self._process.stdout.readline(), 'it goes on'


def _caller(module):
    """A function of an addon's module that calls what it is given."""
    loaded = types.ModuleType(f'odoo.addons.{module}.models.caller')
    sys.modules[loaded.__name__] = loaded
    source = 'def go(function, *arguments):\n    return function(*arguments)\n'
    exec(compile(source, f'/srv/addons/{module}/models/caller.py', 'exec'), vars(loaded))  # noqa: S102
    return loaded.go


def call(module, host, port):
    """A module of this name connects; whether somebody listens there does not matter."""
    with socket.socket() as connection:
        connection.settimeout(2)
        _caller(module)(connection.connect_ex, (host, port))


def lie(module, host, port):
    """A module says that it goes somewhere, and goes elsewhere by a system call that tells no hook."""
    libc = ctypes.CDLL(None)
    family = struct.pack('=H', socket.AF_INET)
    address = family + struct.pack('>H', port) + socket.inet_aton(host) + bytes(8)
    with socket.socket() as connection:

        def claim_and_go():
            sys.audit('socket.connect', connection, ('127.0.0.1', port + 1))
            return libc.connect(connection.fileno(), address, len(address))

        _caller(module)(claim_and_go)
