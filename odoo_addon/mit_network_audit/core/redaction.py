# Part of Network Audit. License LGPL-3.
"""The only forms in which anything of a call may leave the process.

A numeric address, a request method from a closed list, and text that this process's own code (not
its users) wrote: module names, file names, route templates. Never a host name, path, query, header,
body, user or command argument.
"""

import _socket

NO_ADDRESS = bytes(16)
_V4_MAPPED = bytes(10) + b'\xff\xff'
_CACHE_MAX = 1024
_numeric = {}


def _words(text):
    return frozenset(word.encode('ascii') for word in text.split())


HTTP = _words('GET HEAD POST PUT PATCH DELETE OPTIONS CONNECT TRACE PROPFIND REPORT')
# One for each message; the rest of the conversation belongs to it.
SMTP = _words('MAIL')
IMAP = _words(
    'LOGIN SELECT EXAMINE SEARCH FETCH STORE UID APPEND '
    'CREATE DELETE RENAME LIST STATUS COPY EXPUNGE IDLE LOGOUT'
)
POP3 = _words('USER APOP STAT LIST RETR DELE TOP UIDL QUIT')
FTP = _words('USER RETR STOR STOU APPE LIST NLST MLSD DELE MKD RMD RNFR RNTO SIZE QUIT')
_WORD_MAX = 16


def numeric(host):
    """The sixteen bytes of a numeric address (IPv4 as ``::ffff:a.b.c.d``), all zero for a name."""
    found = _numeric.get(host)
    if found is None:
        found = _parse(host)
        if len(_numeric) < _CACHE_MAX:
            _numeric[host] = found
    return found


def _parse(host):
    if isinstance(host, (bytes, bytearray)):
        host = bytes(host).decode('latin-1')
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            packed = _socket.inet_pton(family, host.partition('%')[0])
        except (OSError, ValueError):
            continue
        return packed if len(packed) == 16 else _V4_MAPPED + packed
    return NO_ADDRESS


def method(piece):
    """The method, if this is the head of an HTTP/1 request; the rest is not looked at again."""
    if not isinstance(piece, (bytes, bytearray)):
        return None
    word, space, _ = bytes(piece[:_WORD_MAX]).partition(b' ')
    if not space or word not in HTTP:
        return None
    line_end = piece.find(b'\r\n')
    return word if line_end > 0 and piece[line_end - 9 : line_end - 1] == b' HTTP/1.' else None


def command(piece, known, place=0):
    """The word at this place of a command, if it is one of a closed list; the rest is left."""
    if isinstance(piece, str):
        piece = piece[: 2 * _WORD_MAX].encode('ascii', 'replace')
    if not isinstance(piece, (bytes, bytearray)):
        return None
    words = bytes(piece[: 2 * _WORD_MAX]).split(None, place + 1)[place : place + 1]
    word = words[0].upper() if words else None
    return word if word in known else None


def text(value, longest=1024):
    """Printable text of at most `longest` bytes; what does not print becomes a question mark."""
    if not value.isprintable():
        value = ''.join(c if c.isprintable() else '?' for c in value)
    encoded = value.encode('utf-8', 'replace')
    if len(encoded) > longest:
        encoded = encoded[:longest].decode('utf-8', 'ignore').encode()
    return encoded
