# Part of Network Audit. License LGPL-3.
"""What the files of an export hold."""

from .entry import ENTRY_LEN, MAX_BODY, SALT_LEN
from .forms import Refused, number, plain, unbase64, unhex
from .note import Key

MAX_STREAMS = 1 << 20


def parse_table(data):
    """The stream table where a stretch begins."""
    streams, before = {}, b''
    for line in plain(data).split('\n')[:-1]:
        if line.count(' ') != 2:
            raise Refused('a line has a tag and two numbers')
        tag, n, seq = line.split(' ')
        tag = unhex(tag, 16)
        if tag <= before:
            raise Refused('not in order')
        before, streams[tag] = tag, (number(n), number(seq))
    return streams


def parse_streams(data):
    """Instance, key of its stream, and where it ended at SEALs: their lines by number."""
    kind, instance, key, *lines = (*plain(data)[:-1].split('\n'), '', '')
    if kind != 'nal/v1/stream':
        raise Refused('this is no list of streams')
    if len(data) > MAX_STREAMS:
        raise Refused('it is too long')
    seals, order = {}, []
    for line in lines[:-2]:
        if line.startswith('seal '):
            numbers = [number(part) for part in line[5:].split(' ')]
            if len(numbers) != 5:
                raise Refused('a line of a seal has five numbers')
            seq, position, count, n, last = numbers
            order.append(seq)
            seals[seq] = {'position': position, 'count': count, 'n': n, 'seq': last, 'proof': []}
        else:
            node = unbase64(line)
            if len(node) != 32 or not order or len(seals[order[-1]]['proof']) == 63:
                raise Refused('a hash that is none, or that belongs to no seal')
            seals[order[-1]]['proof'].append(node)
    if order != sorted(set(order)):
        raise Refused('the seals are not in order')
    instance = unbase64(instance)
    try:
        instance.decode()
    except UnicodeDecodeError as error:
        raise Refused('an instance that is not text') from error
    return instance, unhex(key, 16), seals


def bundle(data):
    """The entries of an entry bundle."""
    step = 2 + ENTRY_LEN
    if len(data) % step or any(data[at : at + 2] != b'\0\xa0' for at in range(0, len(data), step)):
        raise Refused('an entry has 160 bytes')
    return [data[at + 2 : at + step] for at in range(0, len(data), step)]


def bodies(data):
    """Salt and body of each record of a tile, or none."""
    found, at, end = [], 0, len(data)
    while at < end:
        length = int.from_bytes(data[at : at + 4], 'big')
        if length in (0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD):
            found.append((None, None))
            at += 4
            continue
        begin, at = at + 4 + SALT_LEN, at + 4 + SALT_LEN + length
        if length > MAX_BODY or at > end:
            raise Refused('a body is cut off')
        found.append((data[begin - SALT_LEN : begin], data[begin:at]))
    return found


def own(data):
    """Place, entry, salt and body of each record of a tile that is handed out."""
    found, at = {}, 0
    head = 1 + ENTRY_LEN + 4
    while at < len(data):
        length = int.from_bytes(data[at + head - 4 : at + head], 'big')
        end = at + head + SALT_LEN + length
        place = data[at]
        if length > MAX_BODY or end > len(data) or (found and place <= next(reversed(found))):
            raise Refused('a record is cut off, or not in order')
        body = data[at + head : end]
        found[place] = (data[at + 1 : at + head - 4], body[:SALT_LEN], body[SALT_LEN:])
        at = end
    return found


def vkey_line(data):
    return Key.parse(plain(data)[:-1])
