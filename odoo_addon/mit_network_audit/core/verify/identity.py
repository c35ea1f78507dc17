# Part of Network Audit. License LGPL-3.
"""Whose keys: from the pinned key to the log's, and along the epochs."""

import bisect

from .entry import log_tag
from .forms import Forged, Refused
from .origin import parse_origin
from .verdict import AUTHENTICITY, INTEGRITY, Unknown, Violation


def judged(what, check, *arguments, question=AUTHENTICITY):
    """A signature that is wrong says that somebody changed what it is over; one that is not there says nothing."""
    try:
        return check(*arguments)
    except Forged as error:
        raise Violation(question, f'{what}: {error}') from error
    except Refused as error:
        raise Unknown(f'{what}: {error}') from error


class Identity:
    """The keys of one ledger, each signed by the one before, down from the pinned one."""

    def __init__(self, origin, pinned, root, node, notes):
        name, _ = parse_origin(origin)
        if node['node'] != name or root.name != name + '/root':
            raise Unknown(f'the keys are those of {node["node"]}, the ledger is {origin}')
        if pinned is not None and pinned.public not in (root.public, node['log'].public):
            raise Unknown(f'it is signed by another key than the one that was pinned ({pinned})')
        judged('the node note', node['note'].verify, root)
        self.origin, self.root, self.node_log, self.log_tag = origin, root, node['log'], log_tag(origin, root.public)
        before = []
        for ledger, epochs in self._ledgers(name, origin, notes):
            self.log = node['log'].renamed(ledger)
            self._follow(ledger, epochs, before)
            before = self.epochs = epochs
        self.starts = [note['start'] for note in self.epochs]

    @staticmethod
    def _ledgers(name, origin, notes):
        """The notes by ledger: the node's first, and so on without a hole up to the one that is asked for."""
        found = []
        for note in notes:
            if not found or found[-1][0] != note['origin']:
                found.append((note['origin'], []))
                if parse_origin(note['origin']) != (name, len(found)):
                    raise Violation(INTEGRITY, 'the epoch notes are not in the order of the node\'s ledgers')
            found[-1][1].append(note)
        if not found or found[-1][0] != origin:
            raise Violation(INTEGRITY, 'the last epoch note is not one of this ledger')
        return found

    def _follow(self, ledger, epochs, before):
        start = -1
        for expected, note in enumerate(epochs):
            what = f'the note of epoch {expected}'
            if note['epoch'] != expected:
                raise Violation(AUTHENTICITY, f'{what} is missing')
            if expected:
                signer = epochs[expected - 1]['key']
            elif parse_origin(ledger)[1] == 1:
                signer = self.root
            else:
                signer = next((old['key'] for old in before if old['key'].name == note['note'].signatures[0][0]), None)
            if signer is None:
                raise Unknown(f'{what} is signed by an unknown key')
            if note['note'].signatures[0][0] != signer.name:
                raise Unknown(f'{what} is not signed by {signer.name}')
            judged(what, note['note'].verify, signer)
            judged(what, note['note'].verify, self.log)
            if note['start'] <= start or (expected == 0) != (note['start'] == 0):
                raise Unknown(f'{what} begins before the epoch before it ends')
            start = note['start']

    def epoch_of(self, seq):
        """The number of the epoch that a record of this number is in."""
        return bisect.bisect_right(self.starts, seq) - 1

    def check_signatures(self, checkpoint, what):
        """Both signatures of a checkpoint: the log's, and that of the epoch which its last record is in."""
        if checkpoint['origin'] != self.origin:
            raise Violation(INTEGRITY, f'{what} is about another ledger')
        epoch = self.epoch_of(checkpoint['size'] - 1) if checkpoint['size'] else -1
        if epoch != checkpoint['epoch']:
            sentence = f'{what} is signed in epoch {checkpoint["epoch"]}, its last record is of epoch {epoch}'
            raise Violation(INTEGRITY, sentence)
        for key in (self.log, self.epochs[epoch]['key']):
            judged(what, checkpoint['note'].verify, key, question=INTEGRITY)
