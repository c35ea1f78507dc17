# Part of Network Audit. License LGPL-3.
"""The audit hook (PEP 578): called by CPython in the calling thread, right before the system call.

It never raises, because a hook that raises vetoes the call; it looks at the name of the event first, because a
normal request raises dozens that are of no interest; and it writes its claim before it returns, so that the claim is
there before the kernel sees anything.
"""

import _thread
import os
import sys

from . import calls, client, frames, hints, redaction
from .origin import Host, describing

SITES_MAX = 8192
LOCK_SECONDS = 0.05


class Recorder:
    """Writes the claims of the running process; after a fork, those of the child into a ring of its own."""

    def __init__(self, host=Host, path=None):
        self._path = path or client.socket_path()
        self._new_lock = client.unpatched('_thread', 'allocate_lock')
        self._get_ident = client.unpatched('_thread', 'get_ident')
        self._lock = self._new_lock()
        self._holder = 0
        self.ring = None
        self.link = None
        self.describe = describing(host)
        self.append = self._appending()

    def claim(self, operation, key, frame, detail=hints.NO_DETAIL, port=0):
        """One claim about the code that `frame` runs."""
        self.append(operation, key, self.describe(frame), detail, port)

    def _appending(self):
        getpid, site_text, lies_elsewhere = os.getpid, frames.site, frames.lies_elsewhere
        sites = {}

        def append(operation, key, origin, detail=hints.NO_DETAIL, port=0):
            """One claim about an `Origin` that is known already."""
            ring = self.ring
            if ring is None or ring.pid != getpid() or self.link.needs_renewal():
                self._renew(getpid())
                ring = self.ring
            chain, module, code, line, name, database, channel = origin
            intern = ring.intern
            site = ''
            if code is not None:
                where = (module, code.co_filename, code.co_name, line)
                known = sites.get(where)
                if known is None:
                    known = site_text(module, code, line), hints.FOREIGN * lies_elsewhere(module, code.co_filename)
                    if len(sites) < SITES_MAX:
                        sites[where] = known
                site, mark = known
                channel |= mark
            ring.write(
                operation,
                key,
                intern(','.join(chain)),
                intern(site) if site else 0,
                intern(name) if name else 0,
                intern(database) if database else 0,
                detail,
                port,
                channel,
            )

        return append

    def _renew(self, pid):
        """A ring for this process, and a daemon that has it, as far as that can be had within some milliseconds."""
        if self.ring is not None and self.ring.pid != pid:
            # A child of fork: what it inherited is its parent's, and whoever held the lock did not come along.
            self._lock, self._holder = self._new_lock(), 0
            self._release()
        # A finaliser or signal handler may get here in the middle of itself, and must not wait for itself.
        me = self._get_ident()
        if self._holder == me or not self._lock.acquire(True, LOCK_SECONDS):
            return
        self._holder = me
        try:
            if self.ring is None:
                ring = hints.Ring(pid)
                self.link = client.Link(self._path, ring.fd)
                self.ring = ring
            self.link.renew()
        finally:
            self._holder = 0
            self._lock.release()

    def _release(self):
        ring, link = self.ring, self.link
        self.ring = self.link = None
        link.close()
        ring.close()

    def failed(self):
        """Counts an exception of the hook where the daemon sees it."""
        ring = self.ring
        if ring is not None and ring.pid == os.getpid():
            ring.count_failure()


def _events(recorder):
    """From the name of an audit event to what it claims: functions of (arguments of the event, calling frame)."""
    claim, cookie, family, internet = recorder.claim, calls.cookie, calls.family, calls.INTERNET
    numeric, native_id = redaction.numeric, _thread.get_native_id

    def to_address(operation):
        def event(args, frame):
            sock, address = args
            # Without an address it goes to where the socket was connected, under the claim of that connect.
            if type(address) is tuple and family(sock) in internet:
                claim(operation, cookie(sock), frame, numeric(address[0]), address[1])

        return event

    def of_thread(operation, count=None):
        def event(args, frame):
            detail = count(args).to_bytes(16, 'little') if count else hints.NO_DETAIL
            claim(operation, native_id().to_bytes(8, 'little'), frame, detail)

        return event

    def call_with(method_of):
        def event(args, frame):
            connection, piece = args
            method = method_of(piece)
            if method is None:
                return  # a body, an answer, or the rest of a head
            sock = calls.kernel_socket(connection.sock)
            if sock is not None and family(sock) in internet:
                claim(hints.CALL, cookie(sock), frame, method.ljust(8, b'\0') + len(piece).to_bytes(8, 'little'))

        return event

    send, resolve = to_address(hints.SEND), of_thread(hints.RESOLVE)
    return {
        'socket.connect': to_address(hints.CONNECT),
        'socket.sendto': send,
        'socket.sendmsg': send,
        'socket.getaddrinfo': resolve,
        'socket.gethostbyname': resolve,
        'socket.gethostbyaddr': resolve,
        'socket.getnameinfo': resolve,
        'subprocess.Popen': of_thread(hints.SPAWN, _argument_count),
        'os.posix_spawn': of_thread(hints.SPAWN, _argument_count),
        # The shell is started as `sh -c COMMAND`.
        'os.system': of_thread(hints.SPAWN, lambda args: 3),
        'os.fork': of_thread(hints.SPAWN),
        'os.forkpty': of_thread(hints.SPAWN),
        # Not `os.exec`: the child of a fork is its parent's claim, and a ring for its last moment helps nobody.
        'http.client.send': call_with(redaction.method),
        'smtplib.send': call_with(lambda piece: redaction.command(piece, redaction.SMTP)),
        # A command follows its tag.
        'imaplib.send': call_with(lambda piece: redaction.command(piece, redaction.IMAP, 1)),
        'poplib.putline': call_with(lambda piece: redaction.command(piece, redaction.POP3)),
        'ftplib.sendcmd': call_with(lambda piece: redaction.command(piece, redaction.FTP)),
    }


def _argument_count(args):
    arguments = args[1]
    return 1 if isinstance(arguments, (str, bytes, os.PathLike)) else len(arguments)


def hooking(recorder):
    """The hook itself."""
    of_interest, getframe, failed = _events(recorder).get, sys._getframe, recorder.failed

    def hook(event, args):
        act = of_interest(event)
        if act is None:
            return
        try:
            act(args, getframe(1))
        except Exception:  # whatever it is, the caller's call goes on
            try:
                failed()
            except Exception:  # at the recursion limit even this fails
                pass

    return hook


_recorder = None


def install(host=Host):
    """Sets the hook, once for the life of the process image; returns the recorder that it writes to."""
    global _recorder
    if _recorder is None:
        _recorder = Recorder(host)
        sys.addaudithook(hooking(_recorder))
    return _recorder
