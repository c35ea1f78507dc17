# Part of Network Audit. License LGPL-3.
"""Calls that raise no audit event: those of httpx, and TLS with nothing known above it."""

import ssl
import sys

from . import calls, hints
from .wrapper import Wrapper

SOCKET, TLS = (hints.CHANNELS.index(name) for name in ('socket', 'tls'))


def wrap_httpx(recorder):
    """One claim for each request that httpx sends over HTTP/1.1, keep-alive included.

    Called at the claim of its first connection: by then it is loaded, and nothing was sent yet.
    """
    httpcore = sys.modules.get('httpcore')
    for name in ('HTTP11Connection', 'AsyncHTTP11Connection'):
        connection = getattr(httpcore, name, None)
        if hasattr(connection, '_send_request_headers'):
            Wrapper(connection, '_send_request_headers', _claiming_request(recorder))


def _claiming_request(recorder, getframe=sys._getframe):
    def wrapping(original):
        # The asynchronous original returns a coroutine, which passes through.
        def send_request_headers(self, request, *args, **kwargs):
            try:
                sock = calls.kernel_socket(self._network_stream.get_extra_info('socket'))
                if sock is not None and calls.family(sock) in calls.INTERNET:
                    detail = calls.detail(bytes(request.method), 0)
                    recorder.claim(hints.CALL, calls.cookie(sock), getframe(1), detail)
            except Exception:
                recorder.failed()
            return original(self, request, *args, **kwargs)

        return send_request_headers

    return wrapping


def wrap_tls(recorder):
    """One claim for each TLS handshake that no known layer asked for, gevent's as well."""
    classes = [ssl.SSLSocket]
    if 'gevent.ssl' in sys.modules:
        classes.append(sys.modules['gevent.ssl'].SSLSocket)
    return [
        Wrapper(owner, 'do_handshake', _claiming_handshake(recorder))
        for owner in dict.fromkeys(classes)
    ]


def _claiming_handshake(recorder, getframe=sys._getframe):
    def wrapping(original):
        def do_handshake(self, *args, **kwargs):
            try:
                if not self.server_side:
                    _claim_handshake(recorder, self, getframe(1))
            except Exception:
                recorder.failed()
            return original(self, *args, **kwargs)

        return do_handshake

    return wrapping


def _claim_handshake(recorder, wrapped, frame):
    sock = calls.kernel_socket(wrapped)
    origin = recorder.describe(frame)
    marks, layer = origin.channel & ~hints.CHANNEL_BITS, origin.channel & hints.CHANNEL_BITS
    if sock is not None and layer in (SOCKET, TLS) and calls.family(sock) in calls.INTERNET:
        recorder.append(hints.CALL, calls.cookie(sock), origin._replace(channel=marks | TLS))
