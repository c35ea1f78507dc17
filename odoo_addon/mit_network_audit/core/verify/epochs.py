# Part of Network Audit. License LGPL-3.
"""Where epochs begin and end among the records, and whether the records' times lie within them."""

from .entry import NO_RECORD
from .verdict import INTEGRITY, TIME, Violation

SECOND = 10**9
# A record may be outside of its epoch by this much.
SKEW = 300 * SECOND


class Epochs:
    """The epoch that the next record is in."""

    def __init__(self, identity, first):
        self.identity, self.first = identity, first
        self.number, self.until, self.from_its_start = None, first, False
        # The ROTATE that came last, and the size of the tree at which the epoch ended.
        self.rotate, self.ended = None, None
        # How far the clock was set since the epoch began, and the latest time without that.
        self.steps, self.newest = 0, None

    def reached(self, seq, root):
        """Before a record: may the epoch begin that begins with it, if one does?"""
        number = self.identity.epoch_of(seq)
        note, starts = self.identity.epochs[number], self.identity.starts
        if note['start'] == seq:
            self._begins(seq, number, note, root)
        elif self.ended == seq:
            raise Violation(INTEGRITY, f'record {seq}: the note of epoch {number + 1} is missing', seq)
        self.number, self.from_its_start = number, note['start'] == seq
        self.until = starts[number + 1] if number + 1 < len(starts) else NO_RECORD

    def _begins(self, seq, number, note, root):
        if note['root'] != root():
            raise Violation(INTEGRITY, f'record {seq}: epoch {number} begins at another root', seq)
        if self.newest is not None and self.newest > note['not_before'] * SECOND - self.steps + SKEW:
            raise Violation(TIME, f'record {seq - 1}: its time lies outside of epoch {number - 1}', seq - 1)
        if self.rotate:
            announced = (self.rotate['epoch'], self.rotate['key']) == (number, note['key'].public)
        else:
            # It may lie before the records, if they begin in the middle of the epoch that it ended.
            announced = number > 0 and self.identity.starts[number - 1] < self.first
        if seq > self.first and not (announced and self.ended == seq):
            sentence = f'record {seq}: epoch {number} begins without the ROTATE and the seal before it'
            raise Violation(INTEGRITY, sentence, seq)
        self.steps, self.newest = 0, None

    def aged(self, seq, wall):
        """The time of a record, which lies within its epoch.

        In the middle of an epoch, where the records may begin, it is not known how often the clock was set before: then
        only the end of that epoch can be told.
        """
        undisturbed = wall - self.steps
        not_before = self.identity.epochs[self.number]['not_before'] * SECOND
        if self.from_its_start and undisturbed + SKEW < not_before:
            raise Violation(TIME, f'record {seq}: its time lies outside of epoch {self.number}', seq)
        if self.newest is None or undisturbed > self.newest:
            self.newest = undisturbed

    def ends(self, size, root, checkpoint):
        """The checkpoint at which the epoch ends."""
        what = f'the checkpoint of size {size}'
        if checkpoint['size'] != size:
            raise Violation(INTEGRITY, f'{what} is not about the records that come before it', size - 1)
        self.identity.check_signatures(checkpoint, what)
        if checkpoint['root'] != root():
            raise Violation(INTEGRITY, f'{what} has another root than the records', size - 1)
        self.ended = size
