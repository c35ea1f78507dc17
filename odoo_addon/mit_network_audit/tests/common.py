# Part of Network Audit. License LGPL-3.
import os
import struct

from ..core import hints, hook

ENTRY = struct.Struct('<QQQ4I16sHBBI')


def recorder():
    return hook.install()


class Claims:
    """The claims that this process makes from now on, read out of its own ring."""

    def __init__(self):
        self._head = self._counters()[0]

    @staticmethod
    def _counters():
        ring = recorder().ring
        return (
            struct.unpack('<4Q', os.pread(ring.fd, 32, hints.COUNTERS_AT))
            if ring.mine[0]
            else (0,) * 4
        )

    @staticmethod
    def _string(at):
        if not at:
            return None
        fd, at = recorder().ring.fd, hints.STRINGS_OFFSET + at
        return os.pread(fd, int.from_bytes(os.pread(fd, 2, at), 'little'), at + 2).decode()

    def new(self, operation):
        """(chain, site, origin, database) of each new claim of this operation."""
        found = []
        for sequence in range(self._head + 1, self._counters()[0] + 1):
            at = hints.HEADER_LEN + (sequence - 1) % hints.ENTRIES * hints.ENTRY_LEN
            entry = ENTRY.unpack(os.pread(recorder().ring.fd, hints.ENTRY_LEN, at))
            if entry[9] == operation:
                found.append(tuple(self._string(at) for at in entry[3:7]))
        return found
