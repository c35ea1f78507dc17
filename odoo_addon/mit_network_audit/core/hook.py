# Part of Network Audit. License LGPL-3.
"""The audit hook (PEP 578): called by CPython in the calling thread, right before the system call.

It never raises, because a hook that raises vetoes the call; it looks at the name of the event
first, because a normal request raises dozens that are of no interest; and it writes its claim
before it returns, so that the claim is there before the kernel sees anything.
"""

import _thread
import os
import sys

from . import calls, hints, redaction
from .origin import Host
from .recorder import ALIVE, Recorder


def _events(recorder, getframe=sys._getframe):
    """From the name of an audit event to a function of its arguments.

    Each is called by the hook, so that who raised the event is two frames away. They ask for that
    frame themselves: asking is an event of its own, and what goes unclaimed need not.
    """
    claim, cookie, family, internet = recorder.claim, calls.cookie, calls.family, calls.INTERNET
    packet, numeric, native_id = calls.PACKET, redaction.numeric, _thread.get_native_id

    def to_address(operation):
        def event(args):
            sock, address = args
            # Without an address it goes to where the socket was connected, under the claim of that
            # connect.
            if type(address) is not tuple:
                return
            kind = family(sock)
            if kind in internet:
                claim(operation, cookie(sock), getframe(2), numeric(address[0]), address[1])
            elif kind == packet:
                # To an interface. No ordinary Odoo does, so whose it is will be asked.
                claim(operation, cookie(sock), getframe(2))

        return event

    def to_interface(args):
        sock, address = args
        if type(address) is tuple and family(sock) == packet:
            claim(hints.SEND, cookie(sock), getframe(2))

    def of_thread(operation, count=None):
        def event(args):
            detail = count(args).to_bytes(16, 'little') if count else hints.NO_DETAIL
            claim(operation, native_id(), getframe(2), detail)

        return event

    def call_with(method_of):
        def event(args):
            connection, piece = args
            method = method_of(piece)
            if method is None:
                return  # a body, an answer, or the rest of a head
            sock = calls.kernel_socket(connection.sock)
            if sock is not None and family(sock) in internet:
                claim(hints.CALL, cookie(sock), getframe(2), calls.detail(method, len(piece)))

        return event

    send = to_address(hints.SEND)
    return {
        ALIVE: recorder.beat,
        # Python accepts a connection by making a socket of it. Whoever silences the hook, and takes
        # the claims of who serves away, does not take the kernel's word that it was accepted.
        'socket.__new__': recorder.beat_if_due,
        'socket.connect': to_address(hints.CONNECT),
        'socket.sendto': send,
        'socket.sendmsg': send,
        # Whoever only listens to an interface is bound to it, and sends nothing.
        'socket.bind': to_interface,
        'subprocess.Popen': of_thread(hints.SPAWN, _argument_count),
        'os.posix_spawn': of_thread(hints.SPAWN, _argument_count),
        # The shell is started as `sh -c COMMAND`.
        'os.system': of_thread(hints.SPAWN, lambda args: 3),
        'os.fork': of_thread(hints.SPAWN),
        'os.forkpty': of_thread(hints.SPAWN),
        # Not `os.exec`: the child of a fork is its parent's claim, and a ring for its last moment
        # helps nobody.
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
    of_interest, failed = _events(recorder).get, recorder.failed

    def hook(event, args):
        act = of_interest(event)
        if act is None:
            return
        try:
            act(args)
        except Exception:  # whatever it is, the caller's call goes on
            try:
                failed()
            except Exception:  # at the recursion limit even this fails
                pass

    return hook


_recorder = None


def install(host=Host):
    """Sets the hook, once for the life of the process image; returns its recorder."""
    global _recorder
    if _recorder is None:
        _recorder = Recorder(host)
        sys.addaudithook(hooking(_recorder))
    return _recorder
