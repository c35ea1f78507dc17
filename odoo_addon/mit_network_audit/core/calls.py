# Part of Network Audit. License LGPL-3.
"""From Python's own objects to what the kernel knows them by: the socket cookie."""

import _socket
import sys

SO_COOKIE = 57  # include/uapi/asm-generic/socket.h
_getsockopt = _socket.socket.getsockopt
_family = _socket.socket.family.__get__
_type = _socket.socket.type.__get__

INTERNET = frozenset((_socket.AF_INET, _socket.AF_INET6))
STREAM = _socket.SOCK_STREAM


if sys.byteorder == 'little':

    def cookie(sock, getsockopt=_getsockopt, level=_socket.SOL_SOCKET):
        """The socket's cookie, eight bytes, little-endian.

        By the C type's own method: a subclass cannot answer for itself.
        """
        return getsockopt(sock, level, SO_COOKIE, 8)

else:

    def cookie(sock, getsockopt=_getsockopt, level=_socket.SOL_SOCKET):
        """The socket's cookie, eight bytes, little-endian, by the C type's own method."""
        return getsockopt(sock, level, SO_COOKIE, 8)[::-1]


def is_internet(sock):
    """Whether the kernel knows it as an IPv4 or IPv6 socket; asked of the C type, not of a subclass."""
    return _family(sock) in INTERNET


def kernel_socket(sock):
    """The C socket under a wrapper (gevent keeps it in `_sock`, pyOpenSSL's in `socket`), or None."""
    for _ in range(4):
        if isinstance(sock, _socket.socket):
            return sock
        sock = getattr(sock, '_sock', None) or getattr(sock, 'socket', None)
    return None
