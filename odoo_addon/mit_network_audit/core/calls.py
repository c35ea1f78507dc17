# Part of Network Audit. License LGPL-3.
"""From Python's own objects to what the kernel knows them by: the socket cookie."""

import _socket
import sys

SO_COOKIE = 57  # include/uapi/asm-generic/socket.h
INTERNET = frozenset((_socket.AF_INET, _socket.AF_INET6))
PACKET = getattr(_socket, 'AF_PACKET', None)  # Linux has it

# Both by the C type's own methods: a subclass cannot answer for itself.
family = _socket.socket.family.__get__


def cookie(sock, getsockopt=_socket.socket.getsockopt, level=_socket.SOL_SOCKET, name=SO_COOKIE):
    """The socket's cookie: eight bytes, in the order in which the ring has them."""
    return getsockopt(sock, level, name, 8)


if sys.byteorder == 'big':
    _as_host = cookie

    def cookie(sock):
        """The socket's cookie: eight bytes, in the order in which the ring has them."""
        return _as_host(sock)[::-1]


def detail(method, length):
    """The sixteen bytes of a call: its method, cut to eight bytes, and its first piece's length."""
    return method[:8].ljust(8, b'\0') + length.to_bytes(8, 'little')


def kernel_socket(sock):
    """The C socket under a wrapper (gevent's is `_sock`, pyOpenSSL's is `socket`), or None."""
    for _ in range(4):
        if isinstance(sock, _socket.socket):
            return sock
        sock = getattr(sock, '_sock', None) or getattr(sock, 'socket', None)
    return None
