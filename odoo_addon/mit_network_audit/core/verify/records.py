# Part of Network Audit. License LGPL-3.
"""The records in their order: links, commitments, times, streams, epochs; and what they say about themselves."""

import hashlib
import struct

from .body import KEYS_OF_EVENT, parse_body, sample_head
from .coverage import Coverage
from .entry import (
    CLOCK,
    ENTRY,
    EVENT,
    EXPORT,
    FLAGS,
    GENESIS,
    LOSS,
    MAX_BODY,
    NO_RECORD,
    POLICY,
    PRUNE,
    ROTATE,
    RUN,
    SCHEMA,
    SEAL,
    TYPES,
    genesis_prev,
)
from .epochs import Epochs
from .forms import Refused, sha256
from .tree import TILE, CompactRange, root_from_inclusion, subtree, tree_root
from .verdict import HEAD, INTEGRITY, TAIL, TIME, Violation

OWN_STREAM = sha256(b'nal/v1/stream\0', bytes(16))[:16]
NO_STREAM = bytes(16)
# What is no traffic, and may be in an instance's stream: what was not recorded of it, and what was decided about it.
OF_INSTANCES = {(LOSS, 1), (POLICY, 1), (POLICY, 2), (POLICY, 3)}
SECOND = 10**9


def table_leaf(tag, n, seq):
    return sha256(b'\0', tag, n.to_bytes(8, 'big'), seq.to_bytes(8, 'big'))


def table_root(streams):
    return tree_root([table_leaf(tag, n, seq) for tag, (n, seq) in sorted(streams.items())])


class Records:
    """The records in their order: links, commitments, times, streams; and what they say about themselves."""

    def __init__(self, identity, first, edge, streams, excerpt_of=None, seals=()):
        self.identity, self.first, self.edge, self.leaves = identity, first, edge, []
        self.begun_with = (CompactRange(edge.size, edge.hashes), dict(streams))
        self.streams, self.excerpt_of, self.seals, self.table = streams, excerpt_of, dict(seals), None
        self.next, self.prev, self.before = first, None, None
        if not first:
            self.prev = genesis_prev(identity.log_tag)
        self.coverage, self.epochs = Coverage(from_the_first=not first), Epochs(identity, first)
        self.prune, self.policy, self.export, self.newer, self.seal = None, None, None, None, None
        self.present, self.foreign, self.clock_steps = 0, 0, 0
        # The checkpoint that was seen before; and how to get that of a size at which an epoch ends.
        self.last_seen, self.checkpoint_of = None, None

    def wrong(self, seq, sentence, question=INTEGRITY):
        return Violation(question, f'record {seq}: {sentence}', seq)

    def root(self):
        """Root of the tree of the records so far."""
        return self.whole_edge().root()

    def whole_edge(self):
        """The compact range of all records so far."""
        edge = CompactRange(self.edge.size, self.edge.hashes)
        for leaf in self.leaves:
            edge.append(leaf)
        return edge

    def ends_with_a_seal(self):
        return bool(self.seal) and self.seal[0] + 1 == self.next

    def skip(self, leaf):
        """A record that is not handed out: of it only the leaf hash is taken."""
        if self.next >= self.epochs.until or self.next == self.epochs.ended:
            self.epochs.reached(self.next, self.root)
        self.foreign += 1
        self._grow(leaf)

    def _grow(self, leaf):
        self.prev = leaf
        self.next += 1
        self.leaves.append(leaf)
        if not self.next % TILE:
            self.edge.append(subtree(self.leaves), 8)
            self.leaves = []
        if self.last_seen:
            self.compare_with_what_was_seen()

    def compare_with_what_was_seen(self):
        seen = self.last_seen
        if seen and seen['size'] == self.next and seen['root'] != self.root():
            raise Violation(TAIL, f'the ledger was forked: it had another root when it had {self.next} records')

    def take(self, data, leaf, salt, body):
        """The next record; its body and salt are none if they are not handed out."""
        seq = self.next
        try:
            fields = ENTRY.unpack(data)
        except struct.error as error:
            raise self.wrong(seq, 'an entry has 160 bytes') from error
        magic, kind, flags, schema, number, wall, boot, run, epoch, cls, length = fields[:11]
        stream_prev, stream_n, tag, log, prev, commitment = fields[11:]
        if magic != b'NAL1' or kind not in TYPES or flags & ~FLAGS or length > MAX_BODY:
            raise self.wrong(seq, 'an entry that this version does not know')
        if body is None:
            if kind != EVENT:
                raise self.wrong(seq, 'its body must not be withheld')
        elif len(body) != length or hashlib.sha256(b'nal/v1/body\0' + salt + body).digest() != commitment:
            raise self.wrong(seq, 'its body is not the one that was sealed')
        if number != seq:
            raise self.wrong(seq, f'it is in truth record {number}')
        if log != self.identity.log_tag:
            raise self.wrong(seq, 'it belongs to another ledger')
        if self.prev is not None and prev != self.prev:
            raise self.wrong(seq, 'the link to the record before it is wrong, or that was changed')
        self._times(seq, kind, wall, boot, run)
        if seq >= self.epochs.until or seq == self.epochs.ended:
            self.epochs.reached(seq, self.root)
        if epoch != self.epochs.number:
            raise self.wrong(seq, f'it says epoch {epoch}, and lies in epoch {self.epochs.number}')
        if kind != CLOCK:
            self.epochs.aged(seq, wall)
        if kind == SEAL and not self.excerpt_of:
            self.table = table_root(self.streams)
        self._stream(seq, kind, cls, tag, stream_n, stream_prev)
        if body is None:
            self.coverage.follow(seq, run)
            self.coverage.without_body()
        elif schema != SCHEMA:
            self.newer = self.newer or f'record {seq} has schema {schema}, this version knows {SCHEMA}'
        else:
            self._body(seq, kind, cls, body, wall, run)
        self.present += 1
        self._grow(leaf)
        if kind == SEAL and self.seal and self.seal[0] == seq and self.seal[1]['end_of_epoch']:
            self.epochs.ends(self.next, self.root, self.checkpoint_of(self.next))

    def _times(self, seq, kind, wall, boot, run):
        before, self.before = self.before, (seq, wall, boot, run)
        if before is None:
            return
        at, old_wall, old_boot, old_run = before
        # Between a record and the next one that can be seen, anything may have happened that is declared where it did.
        follows = at + 1 == seq
        if run < old_run or (follows and run > old_run + 1):
            raise self.wrong(seq, f'run {run} follows run {old_run}')
        passed = boot - old_boot
        if run == old_run and passed < 0:
            raise self.wrong(seq, 'the boot clock goes back within a run', TIME)
        if kind == CLOCK:
            return
        if wall < old_wall:
            raise self.wrong(seq, 'the wall clock goes back, and no record says that it was set', TIME)
        if follows and run == old_run and abs(wall - old_wall - passed) > SECOND + passed // 1000:
            raise self.wrong(seq, 'the wall clock jumps, and no record says that it was set', TIME)

    def _stream(self, seq, kind, cls, tag, n, prev):
        own = tag == OWN_STREAM
        an_instances = kind == EVENT or ((kind, cls) in OF_INSTANCES and tag != NO_STREAM)
        if (own and kind == EVENT) or not (own or an_instances):
            raise self.wrong(seq, 'it is in a stream that it cannot be in')
        if self.excerpt_of and tag not in (OWN_STREAM, self.excerpt_of):
            raise self.wrong(seq, 'it is not one of those that were asked for')
        last = self.streams.get(tag)
        if last:
            follows = n == last[0] + 1 and prev == last[1]
        elif self.excerpt_of and n and prev < self.first:
            # Where a stream stood before the stretch begins, its first record in it says.
            follows = True
        else:
            follows = n == 0 and prev == NO_RECORD
        if not follows:
            raise self.wrong(seq, 'it does not follow the one before it in its stream')
        if tag != NO_STREAM:
            self.streams[tag] = (n, seq)

    def _body(self, seq, kind, cls, body, wall, run):
        try:
            if kind == EVENT:
                if cls not in KEYS_OF_EVENT:
                    raise Refused(f'EVENT has no class {cls} in this version')
                found = sample_head(body, KEYS_OF_EVENT[cls])
            else:
                found = parse_body(kind, cls, body)
        except Refused as error:
            raise self.wrong(seq, str(error)) from error
        self.coverage.follow(seq, run)
        if kind == EVENT:
            self.coverage.event(cls, *found)
        else:
            self._says(seq, kind, cls, found, wall)

    def _says(self, seq, kind, cls, body, wall):
        """What a record of the ledger's own says about the others."""
        if (kind == GENESIS) != (seq == 0):
            raise self.wrong(seq, 'GENESIS is record 0, and nothing else is')
        if kind == GENESIS:
            check_genesis(body, self.identity)
        elif kind == SEAL:
            self._stream_table(seq, body)
            self.seal = (seq, body, wall)
            self.coverage.seal(seq, body)
        elif kind == LOSS:
            self.coverage.loss(seq, body)
        elif kind == RUN and cls == 1:
            self.coverage.starts(seq, body)
        elif kind == RUN and cls == 2:
            self.coverage.stopped = True
        elif kind == ROTATE:
            self.epochs.rotate = body
        elif kind == POLICY and cls == 0:
            self.policy = (seq, body)
        elif kind == PRUNE:
            self.removal(seq, body, wall)
            self.coverage.gap(seq, f'{body["removed"]} records removed by policy')
        elif kind == CLOCK:
            self.clock_steps += 1
            self.epochs.steps += body['after_wall_ns'] - body['before_wall_ns']
        elif kind == EXPORT:
            self.export = body

    def outside(self, seq, entry, body):
        """A record outside of the stretch that is proven by itself: before the first one, or after the last."""
        if (entry['type'], entry['class']) == (POLICY, 0):
            self.policy = (seq, body)
        elif entry['type'] == PRUNE:
            self.removal(seq, body, entry['wall_ns'])

    def removal(self, seq, body, wall):
        """A PRUNE: what it removes was old enough, by the policy that was recorded before."""
        if self.policy is None and body['policy'] < self.first:
            # Its policy was removed after it: an older removal, which explains nothing here.
            return
        if self.policy is None or self.policy[0] != body['policy']:
            raise self.wrong(seq, 'it removes records by a policy that was not recorded before', HEAD)
        if body['newest_wall_ns'] + self.policy[1]['min_ns'] > wall:
            raise self.wrong(seq, 'it removes records that the policy keeps', HEAD)
        explains = self.first <= body['min_index'] <= seq
        if explains and (self.prune is None or body['min_index'] < self.prune['min_index']):
            self.prune = body

    def _stream_table(self, seq, body):
        """The table of the streams, as of the records before the SEAL."""
        if not self.excerpt_of:
            if self.table != body['streams']:
                raise self.wrong(seq, 'its table of streams is not that of the records')
            return
        line = self.seals.get(seq)
        if line is None:
            return
        leaf = table_leaf(self.excerpt_of, line['n'], line['seq'])
        try:
            root = root_from_inclusion(line['position'], line['count'], leaf, line['proof'])
        except Refused as error:
            raise self.wrong(seq, str(error)) from error
        if root != body['streams']:
            raise self.wrong(seq, 'its table of streams has not the line that the file streams has')
        ended = self.streams.get(self.excerpt_of)
        if ended != (line['n'], line['seq']) if ended else line['seq'] >= self.first:
            raise self.wrong(seq, 'there are records of the stream that are not here')
        self.streams[self.excerpt_of] = (line['n'], line['seq'])


def check_genesis(body, identity):
    if (body['root'], body['log']) != (identity.root.public, identity.log.public):
        raise Violation(INTEGRITY, 'GENESIS names other keys', 0)
