# Part of Network Audit. License LGPL-3.
import hashlib
import json
import time

from odoo import api, fields, models

from ..big_integer import BigInteger
from ..core import client, rows

# Compared at once: a browser shows how far it is.
COMPARED = 10_000
# Compared by each cron, so that every row is looked at again and again.
LOOKED_AT = 2_000
# Named of each kind of difference.
NAMED = 50
# Numbers of rows that differ and are remembered; where there are more, there are at least so many.
REMEMBERED = 1_000


def _nothing_found():
    """How many rows were compared, and what differs: of each kind the first few."""
    return {'compared': 0, 'different': [], 'missing': [], 'unknown': [], 'judged': []}


class NetworkAuditComparison(models.Model):
    """The rows, held against the ledger: by whoever verifies, and all the time by the cron.

    What is sealed has to be the same: a row in which it is not, or that one of both does not have,
    differs, and is remembered until it does not any more. What the daemon makes of a record (its
    class, and why) may change with what explains it: such a row is taken over anew.
    """

    _inherit = 'network.audit.copy'

    differing = fields.Text(help='Numbers of the rows that are not what the ledger says: JSON')
    compared_at = fields.Datetime(help='When rows were compared last')
    looked_at = BigInteger(help='The cron has come so far')
    reread_below = BigInteger(help='Older rows may have classes that hold no more')
    explained_by = fields.Char(help='What the classes were made of: a digest')

    def _differences(self):
        """What the page says about the rows."""
        differing = json.loads(self.differing or '[]')
        return {
            'count': len(differing),
            'is_more': len(differing) >= REMEMBERED,
            'first': differing[0] if differing else None,
            'compared_at': self.compared_at and fields.Datetime.to_string(self.compared_at),
        }

    @api.model
    def _compare(self, from_seq=None):
        """Compares a piece of the rows with the ledger, from a number on.

        Within what was taken over and not removed since, every row has to be there, and to be what
        the ledger says.
        """
        return self._the()._compare_piece(from_seq or 0, COMPARED)

    def _compare_piece(self, start, count):
        status = client.status()
        if self._is_of_another_ledger(status):
            raise client.NoAnswer(client.Why.OTHER, f'the rows here are of {self.root_key}')
        self._live_as(status['instances'])
        first, end = max(start, self.first_seq), self.next_seq
        found = {'from': first, 'next': None, 'end': end, **_nothing_found()}
        found['protected'] = self.env['network.audit.record']._is_protected()
        if not self.origin or first >= end:
            return found
        question = {'from': first, 'to_seq': end - 1, 'limit': count}
        records = list(client.lines('/v1/records', question))
        last = records[-1]['seq'] + 1 if len(records) == count else end
        found['next'] = last if last < end else None
        self._hold_against(records, first, last, found)
        return found

    def _hold_against(self, records, first, end, found):
        """Compares the rows of a range with all the records that the ledger has of it."""
        here = self.env['network.audit.record']._stored(self.origin, first, end)
        differing, anew = [], []
        for record in filter(self._is_own, records):
            stored = here.pop(record['seq'], None)
            names = self._compare_one(stored, record, found)
            if stored is None or any(name not in rows.JUDGED for name in names):
                differing.append(record['seq'])
            elif names:
                anew.append(rows.row(self.origin, record))
        found['unknown'] = sorted(here)[:NAMED]
        self._remember(first, end, [*differing, *here], anew)

    @staticmethod
    def _compare_one(stored, record, found):
        if stored is None:
            if len(found['missing']) < NAMED:
                found['missing'].append(record['seq'])
            return []
        found['compared'] += 1
        names = rows.differences(stored, record)
        sealed = [name for name in names if name not in rows.JUDGED]
        kind = 'different' if sealed else 'judged'
        if names and len(found[kind]) < NAMED:
            found[kind].append({'seq': record['seq'], 'columns': sealed or names})
        return names

    def _remember(self, first, end, differing, anew):
        """Notes which rows of a range differ, and takes those over anew that are judged anew."""
        before = json.loads(self.differing or '[]')
        outside = [seq for seq in before if not first <= seq < end]
        now = sorted({*outside, *differing})[:REMEMBERED]
        if (now == before and not anew) or not self._lock():
            return
        self.write({'differing': json.dumps(now) if now else False})
        self.env['network.audit.record']._take_anew(anew)

    # ------------------------------------------------------------------ by the cron

    @api.model
    def _look_on(self):
        """Compares the next piece of the rows; after the last one, the first again."""
        copy = self._the()
        found = copy._compare_piece(copy.looked_at, LOOKED_AT)
        if copy := copy._lock():
            copy.write({'looked_at': found['next'] or 0, 'compared_at': fields.Datetime.now()})

    def _reread(self, status, deadline, after_page=lambda: None):
        """Where what explains the classes has changed: all rows again, the newest first."""
        copy = self._lock()
        if not copy or not copy.root_key or copy._is_of_another_ledger(status):
            return
        explained_by = copy._explained_by(status)
        if copy.explained_by != explained_by:
            # The first time everything was just taken over.
            copy.reread_below = copy.next_seq if copy.explained_by else 0
            copy.explained_by = explained_by
        while copy and copy.reread_below > copy.first_seq and time.monotonic() < deadline:
            copy._reread_piece()
            after_page()
            copy = copy._lock()

    def _reread_piece(self):
        first, end = self.first_seq, self.reread_below
        question = {'from': first, 'before': end, 'limit': COMPARED}
        records = list(client.lines('/v1/records', question))
        first = records[-1]['seq'] if len(records) == COMPARED else first
        self._hold_against(records, first, end, _nothing_found())
        self.reread_below = first

    def _explained_by(self, status):
        """A digest of what explains a destination: decisions, claims, the daemon's own files.

        What it sees of the host's interfaces and listeners changes without a word; the cron comes
        past every row in time.
        """
        decisions = client.ask('/v1/policy')['decisions']
        known = [status['since'], self.facts_sent or '', decisions]
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
