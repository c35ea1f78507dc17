"""What an addon can do to the auditor's hook, in a line or two each."""

import gc
import socket
import types

from odoo import http

_KEPT = {}


def _hook():
    functions = (it for it in gc.get_objects() if type(it) is types.FunctionType)
    return next(it for it in functions if it.__qualname__ == 'hooking.<locals>.hook')


def _cell():
    hook = _hook()
    return dict(zip(hook.__code__.co_freevars, hook.__closure__))['of_interest']


def exception():
    """Every claim fails."""
    _KEPT['of_interest'] = _cell().cell_contents

    def fails(args):
        raise RuntimeError

    _cell().cell_contents = lambda event: fails if event.startswith('socket.') else None


def mend():
    _cell().cell_contents = _KEPT.pop('of_interest')


def silence():
    hook = _hook()
    names = ', '.join(hook.__code__.co_freevars)
    made = {}
    exec(f'def make({names}):\n def other(event, args):\n  ({names})\n return other\n', made)
    hook.__code__ = made['make'](*[None] * len(hook.__code__.co_freevars)).__code__


def silence_all():
    """The hook, and what says who serves a request."""
    silence()
    for name in ('_set_request_dispatcher', '_serve_static'):
        setattr(http.Request, name, getattr(http.Request, name).__wrapped__)


def flood():
    """More claims than the ring holds."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(6_000):
            try:
                sock.sendto(b'', ('127.0.0.1', 9))
            except ConnectionRefusedError:
                pass
