# Part of Network Audit. License LGPL-3.
"""The tables of the bodies."""

import re

from .cbor import (
    Cbor,
    address,
    array,
    boolean,
    exactly,
    maybe,
    null,
    octets,
    several,
    table,
    text,
    uint,
)
from .entry import (
    CLOCK,
    EVENT,
    EXPORT,
    GENESIS,
    LOSS,
    POLICY,
    PRUNE,
    RECOVER,
    ROTATE,
    RUN,
    SEAL,
    TYPES,
)
from .forms import Refused

u64, u32, u16, u8 = uint(), uint(high=2**32 - 1), uint(high=2**16 - 1), uint(high=255)
digest = octets(32)
lost = array(exactly(u64, u64))
actor = exactly(uint(1, 2), u32)

process = table(
    tgid=(1, u32),
    tid=(2, u32),
    start_ns=(3, u64),
    comm=(4, maybe(text)),
    executable=(5, maybe(text)),
    arguments=(6, maybe(u32)),
    cgroup=(7, u64),
    parent=(8, maybe(u32)),
)
attribution = table(
    label=(1, uint(high=3)),
    module=(2, maybe(text)),
    chain=(3, array(text)),
    site=(4, maybe(text)),
    origin=(5, maybe(text)),
    database=(6, maybe(text)),
    reason=(7, text),
    contradictions=(8, array(u8)),
)
hook = table(name=(1, text), tag=(2, octets()), active=(3, boolean))
names = several(exactly(text, uint(1, 3)))
sample = {'boot_ns': (1, u64), 'cpu': (2, maybe(u32)), 'kseq': (3, maybe(u64))}


def traffic(end):
    return table(
        **sample,
        flow=(4, u64),
        end=(5, end),
        error=(6, maybe(u32)),
        sent=(7, maybe(u64)),
        received=(8, maybe(u64)),
        duration_ns=(9, u64),
        handshake_ns=(10, maybe(u64)),
        names=(11, names),
    )


BODIES = {
    (GENESIS, 0): table(version=(1, text), root=(2, digest), log=(3, digest)),
    (EVENT, 1): table(
        **sample,
        inbound=(4, boolean),
        protocol=(5, u16),
        remote_address=(6, address),
        remote_port=(7, u16),
        local=(8, maybe(exactly(address, u16))),
        cookie=(10, u64),
        process=(11, process),
        attribution=(12, attribution),
        opened_before=(13, boolean),
        netns=(14, u32),
        instance=(15, text),
        names=(16, names),
    ),
    (EVENT, 2): traffic(uint(1, 6)),
    (EVENT, 3): traffic(null),
    (EVENT, 4): table(
        **sample,
        flow=(4, maybe(u64)),
        cookie=(5, u64),
        channel=(6, text),
        method=(7, maybe(text)),
        attribution=(8, attribution),
        process=(9, process),
        instance=(10, text),
    ),
    (EVENT, 5): table(
        **sample,
        change=(4, uint(1, 4)),
        process=(5, process),
        code=(6, maybe(u32)),
        attribution=(7, attribution),
        instance=(8, text),
    ),
    (EVENT, 6): table(
        **sample,
        what=(4, uint(1, 4)),
        family=(5, maybe(u16)),
        protocol=(6, maybe(u16)),
        cookie=(7, maybe(u64)),
        netns=(8, maybe(u32)),
        opened_before=(9, boolean),
        target=(10, maybe(process)),
        process=(11, process),
        attribution=(12, attribution),
        instance=(13, text),
    ),
    (SEAL, 0): table(
        previous_checkpoint=(1, digest),
        previous_size=(2, u64),
        min_index=(3, u64),
        captured=(4, u64),
        lost=(5, lost),
        cpus=(6, array(exactly(u32, u64, u64, lost))),
        hooks=(7, array(hook)),
        clock=(8, exactly(boolean, u64)),
        streams=(9, digest),
        witnessed=(10, array(exactly(text, u64))),
        binary=(11, digest),
        config=(12, digest),
        end_of_epoch=(13, boolean),
    ),
    (LOSS, 0): table(
        gap=(1, u64),
        count=(2, maybe(u64)),
        from_wall_ns=(3, maybe(u64)),
        until_wall_ns=(4, maybe(u64)),
        detail=(5, text),
    ),
    (LOSS, 1): table(
        instance=(1, text),
        from_wall_ns=(2, u64),
        until_wall_ns=(3, u64),
        flows=(4, u64),
        calls=(5, u64),
        sent=(6, u64),
        received=(7, u64),
    ),
    (RUN, 1): table(
        version=(1, text),
        kernel=(2, text),
        boot_id=(3, octets(16)),
        binary=(4, digest),
        config=(5, digest),
        scope=(6, text),
        previous=(7, text),
        hooks=(8, array(hook)),
    ),
    (RUN, 2): table(reason=(1, text)),
    (RUN, 3): table(record=(1, u64), actor=(2, text), note=(3, text)),
    (RUN, 4): table(size=(1, u64), exit=(2, u8), summary=(3, text)),
    (RUN, 5): table(
        protocol=(1, u16), remote_address=(2, address), remote_port=(3, u16), flows=(4, u64), configured=(5, boolean)
    ),
    (ROTATE, 0): table(epoch=(1, u32), key=(2, digest), reason=(3, text)),
    (PRUNE, 0): table(
        min_index=(1, u64),
        root=(2, digest),
        range=(3, array(digest)),
        removed=(4, u64),
        oldest_wall_ns=(5, u64),
        newest_wall_ns=(6, u64),
        policy=(7, u64),
        archive=(8, maybe(digest)),
        actor=(9, text),
        streams=(10, array(exactly(octets(16), u64, u64))),
    ),
    (POLICY, 0): table(keep_ns=(1, u64), max_bytes=(2, u64), min_ns=(3, u64), actor=(4, text)),
    (POLICY, 1): table(
        number=(1, u64),
        step=(2, uint(1, 6)),
        instance=(3, text),
        actor=(4, actor),
        setting=(5, text),
        value=(6, text),
        effect=(7, uint(0, 2)),
        reason=(8, text),
    ),
    (POLICY, 2): table(
        instance=(1, text), reason=(2, text), subject=(3, text), text=(4, text), before_seq=(5, u64), actor=(6, actor)
    ),
    (POLICY, 3): table(
        record=(1, u64),
        wall_ns=(2, u64),
        entry_type=(3, uint(1, 13)),
        entry_class=(4, u32),
        instance=(5, text),
        content=(6, octets()),
    ),
    (CLOCK, 0): table(before_wall_ns=(1, u64), after_wall_ns=(2, u64)),
    (EXPORT, 0): table(
        id=(1, octets(16)),
        nonce=(2, maybe(octets())),
        first=(3, u64),
        last=(4, u64),
        filter=(5, maybe(digest)),
        actor=(6, text),
    ),
    (RECOVER, 0): table(
        origin=(1, text),
        found_size=(2, maybe(u64)),
        found_root=(3, maybe(digest)),
        known=(4, maybe(text)),
        missing=(5, maybe(u64)),
        cause=(6, text),
    ),
}


def parse_body(kind, cls, data):
    """The body of an entry of this type and class, as a dictionary of the format's names."""
    read = BODIES.get((kind, cls))
    if read is None:
        raise Refused(f'{TYPES.get(kind, kind)} has no class {cls} in this version')
    cbor = Cbor(data)
    body = read(cbor)
    if cbor.at != len(data):
        raise Refused('bytes after the end of the body')
    return body


KEYS_OF_EVENT = {cls: read.counts for (kind, cls), read in BODIES.items() if kind == EVENT}


# Unsigned numbers in their one form, of up to 32 and of up to 64 bits.
UINT_32 = rb'[\x00-\x17]|\x18[\x18-\xff]|\x19(?!\x00)..|\x1a(?!\x00\x00)....'
UINT_64 = UINT_32 + rb'|\x1b(?!\x00{4}).{8}'
# As a pattern: it is asked once for each EVENT, and there are many.
SAMPLE = re.compile(b'(.)\1(?:%b)\2(%b|\xf6)\3(%b|\xf6)' % (UINT_64, UINT_32, UINT_64), re.DOTALL)


def sample_head(body, keys):
    """CPU and kseq of an EVENT: of its body only the number of keys and the first three are looked at."""
    found = SAMPLE.match(body)
    if not found or found[1][0] - 0xA0 not in keys:
        raise Refused('more or fewer keys than the schema has, or not the first three that it must have')
    return number_or_null(found[2]), number_or_null(found[3])


def number_or_null(value):
    if len(value) > 1:
        return int.from_bytes(value[1:], 'big')
    return None if value == b'\xf6' else value[0]
