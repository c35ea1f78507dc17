# Part of Network Audit. License LGPL-3.
import logging
import time
from datetime import timedelta
from itertools import islice

from odoo import api, fields, models

from ..big_integer import BigInteger
from ..core import client, rows
from .network_audit_record import SHAPE

_logger = logging.getLogger(__name__)

# What this database keeps; what is older is in the ledger, and comes from there on demand.
KEPT_DAYS = 7
KEPT_ROWS = 1_000_000
PAGE = 5_000
# A person waits for this.
ON_DEMAND_SECONDS = 2.0
# A cron ends before the next one is due.
CRON_SECONDS = 50.0
_AFRESH = {
    **dict.fromkeys(('next_seq', 'first_seq', 'looked_at', 'reread_below'), 0),
    **dict.fromkeys(('facts_sent', 'facts_since', 'verdict', 'differing', 'explained_by'), False),
}


class NetworkAuditCopy(models.Model):
    """Whose records this database keeps a copy of, and how far it has come: one row.

    The identity of a database is its uuid, its name, and the ledger that it copies from. Where one
    of them has changed, the rows here are not this database's own story: it starts afresh.
    """

    _name = 'network.audit.copy'
    _description = 'Network Audit: State of the Copy'
    _log_access = False
    _rec_name = 'origin'

    origin = fields.Char('Ledger')
    next_seq = BigInteger()
    first_seq = BigInteger(help='The oldest record that was taken over')
    database_uuid = fields.Char()
    database_name = fields.Char()
    copied_from = fields.Char(help='The name of the database that this one is a copy of')
    shape = fields.Char(help='The columns that the rows were made with')
    pulled_at = fields.Datetime()
    root_key = fields.Char('Root key', help='Of the daemon that is followed; the first one is')
    instance = fields.Char()
    facts_sent = fields.Char(help='What was told to the daemon last: a digest')
    facts_since = fields.Char(help='The start of the daemon that it was told to')
    verdict = fields.Char()

    @api.model
    def _the(self):
        """The one row."""
        return self.search([], limit=1) or self.create({})

    @api.model
    def _lock(self):
        """The one row, if nobody else is at it; else nothing."""
        copy = self._the()
        copy.flush_recordset()
        self.env.cr.execute(
            f'SELECT id FROM {self._table} WHERE id = %s FOR UPDATE SKIP LOCKED', [copy.id]
        )
        return copy if self.env.cr.fetchone() else self.browse()

    # ------------------------------------------------------------------ taking over

    @api.model
    def _cron_pull(self):
        """Takes over what is new, tells the daemon what changed, and removes what is too old."""
        deadline, commit = time.monotonic() + CRON_SECONDS, self.env.cr.commit
        for step in (
            lambda: self.env['network.audit.facts']._tell(client.status()),
            lambda: self._pull(client.status(), deadline, commit),
            lambda: self._reread(client.status(), deadline, commit),
            self._look_on,
            self.env['network.audit.report']._note_verdict,
        ):
            try:
                step()
            except client.NoAnswer as error:
                _logger.info(
                    'Network Audit: the daemon does not answer (%s: %s).', error.kind, error
                )

    @api.model
    def _pull_on_demand(self):
        deadline = time.monotonic() + ON_DEMAND_SECONDS
        try:
            status = client.status()
            self.env['network.audit.facts']._tell_again(status)
            self._pull(status, deadline)
            self._reread(status, deadline)
        except client.NoAnswer as error:
            _logger.info('Network Audit: the daemon does not answer (%s).', error)

    def _pull(self, status, deadline, after_page=lambda: None):
        """Pages from where the copy ends to where the ledger ends, or until the deadline."""
        copy = self._lock()
        if not copy or copy._is_of_another_ledger(status):
            return 0
        copy._begin(status['origin'])
        copy._follow(status['root_key'])
        copy._live_as(status['instances'])
        count = 0
        while time.monotonic() < deadline:
            page = list(islice(client.lines('/v1/records', copy._question()), PAGE))
            if page:
                count += copy._take(page)
                copy.next_seq = page[-1]['seq'] + 1
            copy.pulled_at = fields.Datetime.now()
            after_page()
            if len(page) < PAGE:
                break
            copy = copy._lock()
            if not copy:
                break
        return count

    @api.model
    def _pull_older(self):
        """Takes over what is just older than the oldest row here; it stays until retention."""
        try:
            self._pull_before(time.monotonic() + ON_DEMAND_SECONDS)
        except client.NoAnswer as error:
            _logger.info('Network Audit: the daemon does not answer (%s).', error)

    def _pull_before(self, deadline):
        copy = self._lock()
        count = 0
        while copy.first_seq and not count and time.monotonic() < deadline:
            start = max(0, copy.first_seq - PAGE)
            records = client.lines('/v1/records', {'from': start, 'limit': PAGE})
            count = copy._take([it for it in records if it['seq'] < copy.first_seq])
            copy.first_seq = start
        return count

    def _question(self):
        if self.next_seq:
            return {'from': self.next_seq, 'limit': PAGE}
        since = fields.Datetime.now() - timedelta(days=KEPT_DAYS)
        return {'since_ns': int(since.timestamp()) * 10**9, 'limit': PAGE}

    def _take(self, page):
        own = [rows.row(self.origin, record) for record in page if self._is_own(record)]
        if own and not self.first_seq:
            self.first_seq = own[0]['seq']
        return self.env['network.audit.record']._append(own)

    # ------------------------------------------------------------------ identity

    def _register_hook(self):
        """A copied database starts afresh before anybody sees another one's rows in it."""
        super()._register_hook()
        try:
            with self.env.cr.savepoint():
                copy = self.search([], limit=1)
                if copy._is_of_another_database() and (copy := self._lock()):
                    copy._begin(copy.origin)
        except Exception:
            # A log that is not in order must not keep an Odoo from starting.
            _logger.exception('Network Audit: it cannot be said whether this database is a copy.')

    @api.model
    def _identity(self):
        return {
            'database_uuid': self.env['ir.config_parameter'].sudo().get_param('database.uuid'),
            'database_name': self.env.cr.dbname,
        }

    def _is_of_another_ledger(self, status):
        """Whether the daemon is not the one that is followed: another key signs there.

        A database that turns out to be a copy follows whom it finds.
        """
        followed = self.root_key and not self._is_of_another_database()
        return bool(followed) and self.root_key != status['root_key']

    def _is_of_another_database(self):
        """Whether this row came along with a copy. `data/neutralize.sql` makes it so as well."""
        return bool(self.database_uuid) and any(
            self[name] != value for name, value in self._identity().items()
        )

    def _begin(self, origin):
        """Starts afresh where this is another database, or another ledger, than before."""
        own = {'origin': origin, 'shape': SHAPE, **self._identity()}
        if all(self[name] == value for name, value in own.items()):
            return
        is_copy = self._is_of_another_database()
        if is_copy:
            _logger.info('Network Audit: this database is a copy of %s.', self.database_name)
            # Odoo loads a duplicate before it gives it an identifier: it is no copy of itself then.
            is_renamed = self.database_name != own['database_name']
            own['copied_from'] = (not is_renamed and self.copied_from) or self.database_name
            own['root_key'] = False
        if is_copy or self.shape != SHAPE:
            self.env['network.audit.record']._retire('TRUE', [])
        self.write({**own, **_AFRESH})

    def _follow(self, root_key):
        """Believes the daemon that signs with this key. Ledgers of one host have one name: rows of
        an earlier one, that begins at the same numbers, go."""
        if self.root_key == root_key:
            return
        if self.next_seq:
            self.env['network.audit.record']._retire('origin = %s', [self.origin])
        self.write({**_AFRESH, 'root_key': root_key})

    def _live_as(self, instances):
        """The daemon shows an Odoo the records of its own name. Under another one (it was moved to
        a container, say) those of before cannot be compared any more: the rows stay as they are."""
        if len(instances) != 1 or self.instance in instances:
            return
        before, (self.instance,) = self.instance, instances
        if before:
            nothing = {'looked_at': 0, 'reread_below': 0, 'differing': False}
            self.write({'first_seq': self.next_seq, **nothing})

    def _is_own(self, record):
        """A row of this database: claims that name another database of this Odoo are not."""
        return rows.is_row(record) and rows.database(record) in (None, self.env.cr.dbname)

    # ------------------------------------------------------------------ retention

    @api.autovacuum
    def _gc_rows(self):
        """The only way rows go: too old, or too many. What stays is without a hole."""
        copy, records = self._the(), self.env['network.audit.record']
        before = fields.Datetime.now() - timedelta(days=KEPT_DAYS)
        records._retire('origin IS DISTINCT FROM %s AND time < %s', [copy.origin or None, before])
        first = records._first_kept(copy.origin, before, KEPT_ROWS)
        if first > copy.first_seq:
            records._retire('origin = %s AND seq < %s', [copy.origin, first])
            copy.first_seq = first
