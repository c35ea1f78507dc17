# Part of Network Audit. License LGPL-3.
"""Deterministic CBOR: readers of one value each, and of tables."""

from .forms import Refused

LEAST = (24, 0x100, 0x10000, 0x100000000)


def argument(data, at, major):
    """The argument of the head that is there, of this major type, and where it ends."""
    try:
        first = data[at] - (major << 5)
    except IndexError as error:
        raise Refused('the body is cut') from error
    if 0 <= first < 24:
        return first, at + 1
    if not 24 <= first < 28:
        raise Refused('another kind of value than the schema has there, or not in its one form')
    end = at + 1 + (1 << first - 24)
    value = int.from_bytes(data[at + 1 : end], 'big')
    if end > len(data) or value < LEAST[first - 24]:
        raise Refused('cut, or not in the one form that deterministic CBOR has')
    return value, end


class Cbor:
    """Takes values off bytes, in the one form that each has."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if count > len(self.data) - self.at:
            raise Refused('the body is cut')
        self.at += count
        return self.data[self.at - count : self.at]

    def head(self, major):
        """The argument of a head of this major type."""
        value, self.at = argument(self.data, self.at, major)
        return value

    def null(self):
        if self.data[self.at : self.at + 1] != b'\xf6':
            return False
        self.at += 1
        return True


def uint(low=0, high=2**64 - 1):
    def read(cbor):
        number = cbor.head(0)
        if not low <= number <= high:
            raise Refused('a value that the schema does not allow')
        return number

    return read


def boolean(cbor):
    byte = cbor.take(1)
    if byte not in (b'\xf4', b'\xf5'):
        raise Refused('a value that the schema does not allow')
    return byte == b'\xf5'


def text(cbor):
    try:
        return bytes(cbor.take(cbor.head(3))).decode()
    except UnicodeDecodeError as error:
        raise Refused('text that is not UTF-8') from error


def octets(length=None):
    def read(cbor):
        value = bytes(cbor.take(cbor.head(2)))
        if length not in (None, len(value)):
            raise Refused('a value that the schema does not allow')
        return value

    return read


MAPPED = bytes(10) + b'\xff\xff'


def address(cbor):
    value = octets()(cbor)
    if len(value) != 4 and (len(value) != 16 or value.startswith(MAPPED)):
        raise Refused('a value that the schema does not allow')
    return value


def null(cbor):
    if not cbor.null():
        raise Refused('a value that the schema does not allow')


def maybe(read):
    return lambda cbor: None if cbor.null() else read(cbor)


def array(read):
    return lambda cbor: [read(cbor) for _ in range(cbor.head(4))]


def several(read):
    """One or more. Where there is none, the key is absent: for the last key of a table alone."""

    def some(cbor):
        found = array(read)(cbor)
        if not found:
            raise Refused('a value that the schema does not allow')
        return found

    some.absent = True
    return some


def exactly(*reads):
    def read(cbor):
        if cbor.head(4) != len(reads):
            raise Refused('more or fewer elements than the schema has')
        return [read(cbor) for read in reads]

    return read


def table(**keys):
    """A map with exactly these keys: `name=(key, reader)`, in the order of the keys."""
    last = list(keys)[-1]
    counts = {len(keys), len(keys) - getattr(keys[last][1], 'absent', False)}

    def read(cbor):
        count = cbor.head(5)
        if count not in counts:
            raise Refused('more or fewer keys than the schema has')
        found = {}
        for name, (key, value) in keys.items():
            if len(found) == count:
                break
            if cbor.head(0) != key:
                raise Refused(f'another key where {key} must be')
            found[name] = value(cbor)
        return found

    read.keys = {name: key for name, (key, _) in keys.items()}
    read.counts = counts
    return read
