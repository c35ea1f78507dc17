# Part of Network Audit. License LGPL-3.
"""The only socket code of the addon: hands the ring's memfd to the daemon, once for each.

Nothing but the description of the ring goes over it, and nothing is ever received. The socket is
the raw C one, so that neither gevent nor any module that patches `socket` is in between.
"""

import _socket
import array
import os
import select  # noqa: F401  (`unpatched` looks it up)
import sys

from . import hints

RUN_DIR = '/run/network-audit'
SOCKET_NAME = 'hints.sock'
MS = 1_000_000  # nanoseconds
CONNECT_SECONDS = 0.020
# While the daemon is there. None comes back faster after it was gone, so nothing is missed by not
# asking more often.
LOOK_AGAIN = 10 * MS
# After a daemon that does not answer in time: a try costs up to CONNECT_SECONDS.
BACK_OFF = 5000 * MS
# After "nobody there": a try costs some microseconds, and the daemon may be starting just now.
NOBODY_BACK_OFF = 100 * MS
# A daemon that hangs up faster than this has refused us.
REFUSED = 200 * MS


def unpatched(module, name):
    """The interpreter's own function, also where gevent has put another one in its place."""
    monkey = sys.modules.get('gevent.monkey')
    if monkey is not None and monkey.is_object_patched(module, name):
        return monkey.get_original(module, name)
    return getattr(sys.modules[module], name)


def socket_path():
    return os.path.join(os.environ.get('NETWORK_AUDIT_RUN_DIR') or RUN_DIR, SOCKET_NAME)


class Link:
    """The connection of one process to the daemon. Times are CLOCK_MONOTONIC nanoseconds."""

    def __init__(self, path, ring_fd):
        self._path = path
        self._ring_fd = ring_fd
        self._socket = None
        self._poll = None
        self._connected_at = 0

    @property
    def is_up(self):
        return self._socket is not None

    def look(self, now):
        """Connects if there is no daemon at the other end; says when to look again."""
        if self._socket is not None:
            if not self._poll(0):
                return now + LOOK_AGAIN
            self.close()
            if now - self._connected_at < REFUSED:
                return now + BACK_OFF
        return now + self._connect(now)

    def _connect(self, now):
        """Hands the ring over; returns how much later to look again."""
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
            return NOBODY_BACK_OFF
        except OSError:
            connection.close()
            return BACK_OFF
        self._socket, self._poll, self._connected_at = connection, poll.poll, now
        return LOOK_AGAIN

    def close(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = self._poll = None
