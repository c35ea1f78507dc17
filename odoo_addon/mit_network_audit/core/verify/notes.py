# Part of Network Audit. License LGPL-3.
"""Checkpoints, epoch notes, node notes."""

from .forms import Refused, number, unbase64
from .note import Key, Note
from .origin import is_node, parse_origin


def parse_checkpoint(data):
    """Origin, size, root, epoch and the note itself."""
    note = Note(data)
    origin, size, root = note.lines(3)
    parse_origin(origin)
    root = unbase64(root)
    if len(root) != 32:
        raise Refused('not a root')
    names = [name for name, _, _ in note.signatures]
    prefix = origin + '/e'
    if len(names) != 2 or names[0] != origin or not names[1].startswith(prefix):
        raise Refused('the checkpoint is not signed under the names of this ledger')
    epoch = number(names[1][len(prefix) :])
    if epoch >= 2**32:
        raise Refused('the epoch is too large')
    return {'origin': origin, 'size': number(size), 'root': root, 'epoch': epoch, 'note': note}


def parse_epoch(data):
    """Origin, epoch, start, root, key, not_before and the note itself."""
    note = Note(data)
    kind, origin, epoch, start, root, key, not_before = note.lines(7)
    if kind != 'nal/v1/epoch':
        raise Refused('this is no epoch note')
    parse_origin(origin)
    key = Key.parse(key)
    epoch, root = number(epoch), unbase64(root)
    if epoch >= 2**32 or len(root) != 32 or key.name != f'{origin}/e{epoch}':
        raise Refused('the epoch note does not fit together')
    if len(note.signatures) != 2 or note.signatures[1][0] != origin:
        raise Refused('the epoch note has not exactly two signatures, the second the log\'s')
    return {
        'origin': origin,
        'epoch': epoch,
        'start': number(start),
        'root': root,
        'key': key,
        'not_before': number(not_before),
        'note': note,
    }


def parse_epochs(data):
    """Several epoch notes, one after the other."""
    head = b'nal/v1/epoch\n'
    notes = []
    while data:
        if not data.startswith(head):
            raise Refused('this is no epoch note')
        end = data.find(b'\n' + head, len(head) - 1) + 1 or len(data)
        notes.append(parse_epoch(data[:end]))
        data = data[end:]
    return notes


def parse_node(data):
    """Node, the log's key, and the note itself."""
    note = Note(data)
    kind, node, log = note.lines(3)
    if kind != 'nal/v1/node' or not is_node(node):
        raise Refused('this is no node note')
    log = Key.parse(log)
    note.signed_by(node + '/root')
    if log.name != node:
        raise Refused('the log\'s key has another name')
    return {'node': node, 'log': log, 'note': note}
