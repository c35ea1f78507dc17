# Part of Network Audit. License LGPL-3.
"""Writes the claims of a process into its own ring, which the daemon has before the first.

One rule for fork, exec and a restart of the daemon, and nothing in a fork handler: at a claim, if
the ring is not this process's or the daemon is gone, make a ring, connect, go on.
"""

import contextlib
import sys
import time

from . import calls, client, frames, hints, layers
from .origin import Host, describing

KNOWN_MAX = 8192
LOCK_SECONDS = 0.05
# Raised by ourselves: a hook that was silenced does not answer.
ALIVE = 'network_audit.alive'
# Nanoseconds. Whoever reads the heartbeat allows for ten times as much.
BEAT_EVERY = 500_000_000


class _NoRing:
    """Before the first claim: nothing is ours, so the first claim makes a ring."""

    mine = b'\0'
    beat_at = 0


class Server:
    """Who serves what comes in at some route, and how a ring says so."""

    __slots__ = ('origin', 'said')

    def __init__(self, origin):
        self.origin = origin
        # A ring, its saying of this origin, and the weight of that.
        self.said = None, b'', 0


class Recorder:
    """The one writer of a process and of its children, each into its own ring."""

    def __init__(self, host=Host, path=None):
        self._path = path or client.socket_path()
        self._new_lock = client.unpatched('_thread', 'allocate_lock')
        self._get_ident = client.unpatched('_thread', 'get_ident')
        self._lock = self._new_lock()
        self._holder = 0
        self._knows_httpx = False
        self.ring = _NoRing
        self.link = None
        # (frame, brief) -> Origin
        self.describe = describing(host)
        # (operation, key, origin, detail, port): a claim about an `Origin` that is known already.
        self.append = self._appending()
        # (operation, key, frame, detail, port): a claim about the code that the frame runs.
        self.claim = self._claiming()
        # (accepted socket, server): on whose behalf it is used.
        self.served = self._serving()
        # Say that the hook is alive: the second one, unless that was said just now.
        self.beat, self.beat_if_due = self._beating()

    def _claiming(self):
        describe, append = self.describe, self.append

        def claim(operation, key, frame, detail=hints.NO_DETAIL, port=0):
            append(operation, key, describe(frame), detail, port)

        return claim

    def _appending(self, monotonic_ns=time.monotonic_ns):
        def append(operation, key, origin, detail=hints.NO_DETAIL, port=0):
            now = monotonic_ns()
            ring = self.ring
            if not ring.mine[0] or now >= ring.look_at:
                self._look(now)
                ring = self.ring
            known = ring.known.get(origin) or self._learn(ring, origin)
            ring.write(now, operation, key, known, detail, port)

        return append

    def _serving(self, monotonic_ns=time.monotonic_ns):
        # At every request, and by then whatever it needs has left the processor's caches: so most
        # of it is made once for each server, and the rest is done in one place.
        socket, kernel_socket, internet = calls.SOCKET, calls.kernel_socket, calls.INTERNET
        family, cookie = calls.family, calls.cookie

        def served(accepted, server):
            sock = accepted if isinstance(accepted, socket) else kernel_socket(accepted)
            if sock is None or family(sock) not in internet:
                return
            now = monotonic_ns()
            ring = self.ring
            if not ring.mine[0] or now >= ring.look_at:
                self._look(now)
                ring = self.ring
            said_to, saying, weighed = server.said
            if said_to is not ring:
                saying, weighed = self._say(ring, server)
            # A wrapper claims this: it is no sign that the hook lives.
            ring.put(now, cookie(sock), saying, weighed)

        return served

    def _say(self, ring, server):
        ids, channel = ring.known.get(server.origin) or self._learn(ring, server.origin)
        saying = hints.SAYING.pack(ids, hints.NO_DETAIL, 0, hints.SERVE, channel)
        weighed = hints.weight(saying)
        server.said = ring, saying, weighed
        return saying, weighed

    def _beating(self, monotonic_ns=time.monotonic_ns):
        def beat(_args=None):
            ring = self.ring
            if ring.mine[0]:
                now = monotonic_ns()
                ring.beat_at = now + BEAT_EVERY
                ring.beat(now)

        def beat_if_due(_args=None):
            if monotonic_ns() >= self.ring.beat_at:
                beat()

        return beat, beat_if_due

    def _learn(self, ring, origin):
        """What an entry says of an origin: the ids of its texts, the byte of channel and marks."""
        site, channel = '', origin.channel
        if not self._knows_httpx and 'httpcore' in sys.modules:
            # It is loaded by its first connection, and something new claims to connect.
            self._knows_httpx = True
            layers.wrap_httpx(self)
        if origin.file:
            site = frames.site(origin.module, origin.file, origin.line, origin.function)
            channel |= hints.FOREIGN * frames.lies_elsewhere(origin.module, origin.file)
        texts = ','.join(origin.chain), site, origin.name, origin.database
        known = hints.IDS.pack(*[ring.intern(text) if text else 0 for text in texts]), channel
        if len(ring.known) < KNOWN_MAX:
            ring.known[origin] = known
        return known

    def _look(self, now):
        """Sees to it that the ring is ours and that the daemon has it, within some milliseconds."""
        if self.ring is not _NoRing and not self.ring.mine[0]:
            # A child of fork: what it inherited is its parent's, and whoever held the lock did not
            # come along.
            self._lock, self._holder = self._new_lock(), 0
            self.release()
        # A finaliser or signal handler may get here in the middle of itself, and must not wait for
        # itself.
        me = self._get_ident()
        if self._holder == me or not self._lock.acquire(True, LOCK_SECONDS):
            return
        self._holder = me
        try:
            if self.ring is _NoRing:
                ring = hints.Ring()
                self.link = client.Link(self._path, ring.fd)
                self.ring = ring
            self.ring.look_at = self.link.look(now)
        finally:
            self._holder = 0
            self._lock.release()
        # Looking is rare, and no daemon reads the ring of a process that does not look: so it is
        # here, and not at each request, that the hook has to say that it lives. Another's hook may
        # object.
        with contextlib.suppress(Exception):
            sys.audit(ALIVE)

    def release(self):
        """Lets go of ring and connection, if there are any: the next claim begins anew."""
        ring, link = self.ring, self.link
        self.ring, self.link = _NoRing, None
        if ring is not _NoRing:
            link.close()
            ring.close()

    def failed(self):
        """Counts an exception of the hook where the daemon sees it."""
        if self.ring.mine[0]:
            self.ring.count_failure()
