# Part of Network Audit. License LGPL-3.
"""What has one form only: hexadecimal, base64, decimal numbers, plain text."""

import base64
import binascii
import hashlib


class Refused(Exception):
    """The bytes are not what the format allows."""


class Forged(Refused):
    """A signature that is there is wrong."""


def sha256(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


def unhex(digits, length=None):
    """Hexadecimal in lower case, of so many bytes, or of at least one."""
    try:
        data = bytes.fromhex(digits)
    except ValueError as error:
        raise Refused('not hexadecimal') from error
    if data.hex() != digits or not data or length not in (None, len(data)):
        raise Refused('not hexadecimal in its one form')
    return data


def unbase64(encoded):
    """Base64 in its one form."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused('not base64') from error
    if base64.b64encode(data).decode() != encoded:
        raise Refused('base64 that is not in its one form')
    return data


def number(decimal):
    """An unsigned number of 64 bits, without leading zeros."""
    short = len(decimal) <= 20 and decimal.isascii() and decimal.isdigit()
    if not short or str(int(decimal)) != decimal or int(decimal) >= 2**64:
        raise Refused('a number that is not in its one form')
    return int(decimal)


def plain(data):
    """Lines of ASCII, the last one with its end."""
    try:
        text = bytes(data).decode('ascii')
    except UnicodeDecodeError as error:
        raise Refused('not plain text') from error
    if not text.endswith('\n'):
        raise Refused('cut off')
    return text


def hash_list(data):
    """Hashes of 32 bytes each."""
    if len(data) % 32:
        raise Refused('not whole hashes')
    return [data[at : at + 32] for at in range(0, len(data), 32)]
