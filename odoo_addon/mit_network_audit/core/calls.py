# Part of Network Audit. License LGPL-3.
"""From Python's own objects to what the kernel knows them by: the socket cookie."""

import _socket
import sys

SO_COOKIE = 57  # include/uapi/asm-generic/socket.h
INTERNET = frozenset((_socket.AF_INET, _socket.AF_INET6))
PACKET = getattr(_socket, 'AF_PACKET', None)  # Linux has it

SOCKET = _socket.socket
# Both by the C type's own methods: a subclass cannot answer for itself.
family = SOCKET.family.__get__


def cookie(
    sock,
    number=int.from_bytes,
    getsockopt=SOCKET.getsockopt,
    level=_socket.SOL_SOCKET,
    name=SO_COOKIE,
    order=sys.byteorder,
):
    """The socket's cookie, a number of 64 bits."""
    return number(getsockopt(sock, level, name, 8), order)


def detail(method, length):
    """The sixteen bytes of a call: its method, cut to eight bytes, and its first piece's length."""
    return method[:8].ljust(8, b'\0') + length.to_bytes(8, 'little')


def kernel_socket(sock):
    """The C socket under a wrapper (gevent's is `_sock`, pyOpenSSL's is `socket`), or None."""
    for _ in range(4):
        if isinstance(sock, SOCKET):
            return sock
        sock = getattr(sock, '_sock', None) or getattr(sock, 'socket', None)
    return None
