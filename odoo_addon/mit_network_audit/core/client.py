# Part of Network Audit. License LGPL-3.
"""The only socket code of the addon: hands the ring's memfd to the daemon, once for each process and daemon.

Nothing but the description of the ring goes over it, and nothing is ever received. The socket is the raw C one, so
that neither gevent nor any module that patches `socket` is in between.
"""

import _socket
import array
import functools
import os
import select
import sys
import time

from . import hints

RUN_DIR = '/run/network-audit'
SOCKET_NAME = 'hints.sock'
CONNECT_SECONDS = 0.020
# After a daemon that does not answer in time: a try costs up to CONNECT_SECONDS.
BACK_OFF_SECONDS = 5.0
# After "nobody there": a try costs some microseconds, and the daemon may be starting just now.
NOBODY_BACK_OFF_SECONDS = 0.1
# A daemon that hangs up faster than this has refused us.
REFUSED_SECONDS = 0.2


def unpatched(module, name):
    """The interpreter's own function, also where gevent has put another one in its place."""
    monkey = sys.modules.get('gevent.monkey')
    if monkey is not None and monkey.is_object_patched(module, name):
        return monkey.get_original(module, name)
    return getattr(sys.modules[module], name)


def socket_path():
    return os.path.join(os.environ.get('NETWORK_AUDIT_RUN_DIR') or RUN_DIR, SOCKET_NAME)


class Link:
    """The connection of one process to the daemon."""

    def __init__(self, path, ring_fd, monotonic=time.monotonic):
        self._path = path
        self._ring_fd = ring_fd
        self._monotonic = monotonic
        self._socket = None
        self._connected_at = 0.0
        self._next_try = 0.0
        # Asked before every claim: false while the daemon is there, or while it is too early to look for one again.
        self.needs_renewal = self._time_to_try

    def _time_to_try(self):
        return self._monotonic() >= self._next_try

    def renew(self):
        """Connects if there is no daemon at the other end, unless that was tried just now."""
        now = self._monotonic()
        if self._socket is not None:
            if not self.needs_renewal():
                return
            self.close()
            if now - self._connected_at < REFUSED_SECONDS:
                self._next_try = now + BACK_OFF_SECONDS
        if now >= self._next_try:
            self._next_try = self._monotonic() + self._connect(now)

    def _connect(self, now):
        """Hands the ring over; returns after how many seconds another try makes sense if there is nobody."""
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        try:
            connection.settimeout(CONNECT_SECONDS)
            connection.connect(self._path)
            rights = array.array('i', [self._ring_fd])
            connection.sendmsg([hints.HELLO], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
            poll = unpatched('select', 'poll')()
            # Nothing is expected from the daemon: only its hanging up is reported.
            poll.register(connection.fileno(), 0)
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            return NOBODY_BACK_OFF_SECONDS
        except OSError:
            connection.close()
            return BACK_OFF_SECONDS
        self._socket = connection
        self._connected_at = now
        self.needs_renewal = functools.partial(poll.poll, 0)
        return 0.0

    def close(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self.needs_renewal = self._time_to_try
