# Part of Network Audit. License LGPL-3.
"""The ring of claims in shared memory: the writing half of ``auditor-common/src/hint.rs``, byte for byte.

One ring for each process, in a memfd. The daemon reads it after the kernel's event, so a claim that was written
before its system call is always there. Nothing here blocks, and a thread that is interrupted between two bytes leaves
at worst an entry whose checksum does not fit yet.
"""

import fcntl
import itertools
import mmap
import os
import struct
import time
import zlib

from . import redaction

MAGIC = b'NAHINTS1'
VERSION = 1
HEADER_LEN = 4096
ENTRIES = 4096
ENTRY_LEN = 64
STRINGS_OFFSET = HEADER_LEN + ENTRIES * ENTRY_LEN
STRINGS_LEN = 512 * 1024
FILE_LEN = STRINGS_OFFSET + STRINGS_LEN
STRING_MAX = 1024
# No string has the id 0: it means "none".
STRINGS_BEGIN = 8

COUNTERS_AT = 32  # head, dropped, failures, heartbeat
STRINGS_USED_AT = 64  # strings used, strings dropped

CONNECT = 1
SEND = 2
SPAWN = 3
RESOLVE = 4
CALL = 5
SERVE = 6

CHANNELS = (
    *('socket', 'requests', 'httpx', 'urllib', 'urllib3', 'http', 'smtp', 'imap', 'pop3', 'ftp'),
    *('tls', 'websocket', 'xmlrpc', 'aiohttp', 'ldap'),
)
# Beside the channel: the code came out of no file; it is not the code of the module that it names.
GENERATED = 0x40
FOREIGN = 0x80

HEAD = struct.Struct('<8sII16s')
COUNTERS = struct.Struct('<4Q')
STRINGS = struct.Struct('<2Q')
ENTRY = struct.Struct('<QQ8s4I16sHBB')  # and the checksum of these 60 bytes
CHECKSUM = struct.Struct('<I')
HELLO = struct.Struct('<8sIQ').pack(MAGIC, VERSION, FILE_LEN)
NO_DETAIL = bytes(16)


def boot_id():
    """The running kernel's own number, sixteen bytes; zeros where it cannot be read."""
    try:
        with open('/proc/sys/kernel/random/boot_id', 'rb') as source:
            return bytes.fromhex(source.read(64).decode('ascii').strip().replace('-', ''))
    except (OSError, ValueError):
        return bytes(16)


def entry(sequence, monotonic_ns, key, strings, detail, port, operation, channel=0):
    """The 64 bytes of one claim; `strings` are the ids of chain, site, origin and database."""
    body = ENTRY.pack(sequence, monotonic_ns, key, *strings, detail, port, operation, channel)
    return body + CHECKSUM.pack(zlib.crc32(body))


class Ring:
    """A memfd with header, entries and string table, owned by the process that made it."""

    __slots__ = ('pid', 'fd', 'write', 'intern', 'count_failure', 'count_dropped', 'close')

    def __init__(self, pid):
        self.pid = pid
        self.fd = os.memfd_create('network-audit-hints', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self.fd, FILE_LEN)
            # A file that cannot shrink cannot surprise whoever reads it.
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
            memory = mmap.mmap(self.fd, FILE_LEN, mmap.MAP_SHARED)
        except BaseException:
            os.close(self.fd)
            raise
        HEAD.pack_into(memory, 0, MAGIC, VERSION, pid, boot_id())
        STRINGS.pack_into(memory, STRINGS_USED_AT, STRINGS_BEGIN, 0)
        self.intern = interning(memory)
        self.write, self.count_failure, self.count_dropped = writing(memory)
        fd = self.fd

        def close():
            memory.close()
            os.close(fd)

        self.close = close


# The two functions below are closures and not methods: this code runs at every connect of an Odoo, and a local name
# is what CPython finds fastest. The clock is a default argument, out of reach of tests that freeze time.
#
# CPython (3.10 to 3.13) changes threads only after a call or at a jump backwards. What has neither between reading
# and assigning a variable is one step for every other thread.


def writing(memory, monotonic_ns=time.monotonic_ns):
    pack, pack_counters, checksum, crc32 = ENTRY.pack, COUNTERS.pack_into, CHECKSUM.pack, zlib.crc32
    # `next` on a counter is one step for the interpreter: two threads never get the same number.
    next_sequence = itertools.count(1).__next__
    newest = heartbeat = dropped = failures = 0

    def write(operation, key, chain, site, origin, database, detail=NO_DETAIL, port=0, channel=0):
        nonlocal newest, heartbeat
        sequence = next_sequence()
        heartbeat = monotonic_ns()
        body = pack(sequence, heartbeat, key, chain, site, origin, database, detail, port, operation, channel)
        at = HEADER_LEN + ((sequence - 1) & (ENTRIES - 1)) * ENTRY_LEN
        memory[at : at + ENTRY_LEN] = body + checksum(crc32(body))
        if sequence > newest:
            newest = sequence
        # Invariant: when a thread leaves this function, the head covers its entry.
        pack_counters(memory, COUNTERS_AT, newest, dropped, failures, heartbeat)

    def count_failure():
        nonlocal failures
        failures += 1
        pack_counters(memory, COUNTERS_AT, newest, dropped, failures, heartbeat)

    def count_dropped():
        nonlocal dropped
        dropped += 1
        pack_counters(memory, COUNTERS_AT, newest, dropped, failures, heartbeat)

    return write, count_failure, count_dropped


def interning(memory):
    used, lost = STRINGS_BEGIN, 0
    ids = {}

    def intern(value):
        """The id of a text in the string table; 0 if there is no room for it, which is counted."""
        nonlocal used, lost
        found = ids.get(value)
        if found is not None:
            return found
        encoded = redaction.text(value, STRING_MAX)
        string = len(encoded).to_bytes(2, 'little') + encoded
        length = len(string)
        begin = used
        if begin + length > STRINGS_LEN:
            lost += 1
            STRINGS.pack_into(memory, STRINGS_USED_AT, used, lost)
            return 0
        # The place is taken before it is written: two threads never get the same one.
        used = begin + length
        at = STRINGS_OFFSET + begin
        memory[at : at + length] = string
        STRINGS.pack_into(memory, STRINGS_USED_AT, used, lost)
        ids[value] = begin
        return begin

    return intern
