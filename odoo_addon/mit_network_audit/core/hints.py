# Part of Network Audit. License LGPL-3.
"""The ring of claims in shared memory: what ``auditor-common/src/hint.rs`` says, byte for byte.

One ring for each process, in a memfd. The daemon reads it after the kernel's event, so a claim that
was written before its system call is always there. Nothing here blocks, and a thread that is
interrupted between two bytes leaves at worst an entry whose checksum does not fit yet.
"""

import fcntl
import itertools
import mmap
import os
import struct
import time

from . import redaction

MAGIC = b'NAHINTS1'
VERSION = 2
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
CALL = 5
SERVE = 6

CHANNELS = (
    *('socket', 'requests', 'httpx', 'urllib', 'urllib3', 'http', 'smtp', 'imap', 'pop3', 'ftp'),
    *('tls', 'websocket', 'xmlrpc', 'aiohttp', 'ldap'),
)
CHANNEL_BITS = 0x1F
# Beside the channel: native code may have been the caller; the code came out of no file; it is not
# the code of the module that it names.
AMBIGUOUS = 0x20
GENERATED = 0x40
FOREIGN = 0x80

HEAD = struct.Struct('<8sII16s')
COUNTERS = struct.Struct('<4Q')
STRINGS = struct.Struct('<2Q')
IDS = struct.Struct('<4I')  # chain, site, origin, database
# What an entry says beside its number, its time and its key: ids, detail, port, operation, channel.
SAYING = struct.Struct('<16s16sHBB')
ENTRY = struct.Struct('<QQQ36sI')  # number, time, key, saying, checksum
# The checksum is of the number that the bytes before it are, modulo this prime. Every eight bytes
# have a weight of their own in it, so that most of it need not be reckoned at each entry.
PRIME = 2**61 - 1
LOW = 2**32 - 1
HELLO = struct.Struct('<8sIQ').pack(MAGIC, VERSION, FILE_LEN)
NO_DETAIL = bytes(16)

MADV_WIPEONFORK = 18  # Linux 4.14+, include/uapi/asm-generic/mman-common.h


def boot_id():
    """The running kernel's own number, sixteen bytes; zeros where it cannot be read."""
    try:
        with open('/proc/sys/kernel/random/boot_id', 'rb') as source:
            return bytes.fromhex(source.read(64).decode('ascii').strip().replace('-', ''))
    except (OSError, ValueError):
        return bytes(16)


def own_mark():
    """A page that begins with 1 here and with 0 in every child: a fork wipes it.

    Asking for the process number costs a system call; this costs one byte, and sees forks that
    Python does not.
    """
    page = mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    page.madvise(MADV_WIPEONFORK)
    page[0] = 1
    return page


class Ring:
    """A memfd with header, entries and string table, owned by the process that made it."""

    __slots__ = (
        'fd',
        'mine',
        'known',
        'look_at',
        'beat_at',
        'write',
        'put',
        'intern',
        'count_failure',
        'beat',
        '_memory',
    )

    def __init__(self):
        self.mine = own_mark()
        self.fd = os.memfd_create('network-audit-hints', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(self.fd, FILE_LEN)
            # A file that cannot shrink cannot surprise whoever reads it.
            fcntl.fcntl(
                self.fd,
                fcntl.F_ADD_SEALS,
                fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL,
            )
            self._memory = mmap.mmap(self.fd, FILE_LEN, mmap.MAP_SHARED)
        except BaseException:
            os.close(self.fd)
            raise
        HEAD.pack_into(self._memory, 0, MAGIC, VERSION, os.getpid(), boot_id())
        STRINGS.pack_into(self._memory, STRINGS_USED_AT, STRINGS_BEGIN, 0)
        self.intern = interning(self._memory)
        self.write, self.put, self.count_failure, self.beat = writing(self._memory)
        # Origin -> what an entry says about it: the ids of its texts, and the byte of channel and
        # marks.
        self.known = {}
        # When the daemon is to be looked after again (CLOCK_MONOTONIC nanoseconds).
        self.look_at = 0
        # When a new socket is to be taken as a sign of life again, on the same clock.
        self.beat_at = 0

    def close(self):
        # The mark stays: another thread may be asking it just now.
        self._memory.close()
        os.close(self.fd)


# The two functions below are closures and not methods: this code runs at every connect of an Odoo,
# and a local name is what CPython finds fastest.
#
# CPython (3.10 to 3.13) changes threads only after a call or at a jump; 3.10 also at the jump over
# an `if` (Python/ceval.c, CHECK_EVAL_BREAKER). What has neither between reading and assigning a
# variable is one step for every other thread.


def weight(saying):
    """What a saying is in the checksum: 2 to the 192 is 2 to the 9 modulo `PRIME`."""
    return (int.from_bytes(saying, 'little') << 9) % PRIME


def writing(memory):
    """The functions that append a claim, count a failure, and say that the hook is alive.

    A claim is appended in two ways: by the hook, which is alive then, and by who has its saying and
    the weight of it ready.
    """
    say, pack_entry, pack_counters = SAYING.pack, ENTRY.pack_into, COUNTERS.pack_into
    # `next` on a counter is one step for the interpreter: two threads never get the same number.
    next_sequence = itertools.count(1).__next__
    # Whoever makes a ring is alive.
    heartbeat, newest, failures = time.monotonic_ns(), 0, 0
    pack_counters(memory, COUNTERS_AT, newest, 0, failures, heartbeat)

    def write(now, operation, key, known, detail, port):
        nonlocal heartbeat
        ids, channel = known
        saying = say(ids, detail, port, operation, channel)
        heartbeat = now
        put(now, key, saying, weight(saying))

    def put(now, key, saying, weighed):
        nonlocal newest
        sequence = next_sequence()
        at = HEADER_LEN + ((sequence - 1) & (ENTRIES - 1)) * ENTRY_LEN
        checksum = (sequence + (now << 3) + (key << 6) + weighed) % PRIME & LOW ^ LOW
        pack_entry(memory, at, sequence, now, key, saying, checksum)
        if sequence > newest:
            newest = sequence
        # Invariant: when a thread leaves this function, the head covers its entry.
        pack_counters(memory, COUNTERS_AT, newest, 0, failures, heartbeat)

    def count_failure():
        nonlocal failures
        failures += 1
        pack_counters(memory, COUNTERS_AT, newest, 0, failures, heartbeat)

    def beat(now):
        nonlocal heartbeat
        heartbeat = now
        pack_counters(memory, COUNTERS_AT, newest, 0, failures, heartbeat)

    return write, put, count_failure, beat


def interning(memory):
    """The function from a text to its id in the string table."""
    used, lost = STRINGS_BEGIN, 0
    ids = {}

    def intern(value):
        """The id of a text; 0 if there is no room for it, which is counted."""
        nonlocal used, lost
        found = ids.get(value)
        if found is not None:
            return found
        encoded = redaction.text(value, STRING_MAX)
        string = len(encoded).to_bytes(2, 'little') + encoded
        length = len(string)
        begin = STRINGS_LEN
        if used + length <= STRINGS_LEN:
            # The place is taken in one step, and before it is written: two threads never get the
            # same one.
            begin, used = used, used + length
        if begin + length > STRINGS_LEN:
            # No room, or another thread took the last of it in between.
            lost += 1
            STRINGS.pack_into(memory, STRINGS_USED_AT, min(used, STRINGS_LEN), lost)
            return 0
        at = STRINGS_OFFSET + begin
        memory[at : at + length] = string
        STRINGS.pack_into(memory, STRINGS_USED_AT, min(used, STRINGS_LEN), lost)
        ids[value] = begin
        return begin

    return intern
