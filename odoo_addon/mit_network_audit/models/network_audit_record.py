# Part of Network Audit. License LGPL-3.
# What is put into statements below are names of our own; values are parameters.
# pylint: disable=sql-injection
import contextlib

from odoo import _, api, fields, models
from odoo.exceptions import UserError

from ..access import require
from ..big_integer import BigInteger
from ..core import rows
from ..core.frames import OWN

# What a statement has to find in the setting of its transaction, to be let through by the trigger.
SETTING = 'network_audit.door'
APPEND, RETIRE = 'append', 'retire'
TRIGGER = 'network_audit_record_protected'
# What the table has: nothing that could hold a content.
COLUMNS = {'id', 'operation', *rows.row(None, rows.EMPTY)}
# Rows that were made when there were other columns are made anew.
SHAPE = ' '.join(sorted(COLUMNS))
# Compared with `is`: neither RPC nor a context that was stored can carry it.
_DOOR = object()

_KINDS = [
    ('call', 'Call'),
    ('flow_opened', 'Connection opened'),
    ('flow_interim', 'Connection goes on'),
    ('flow_ended', 'Connection ended'),
    ('process', 'Process'),
    ('guard', 'Guard'),
]
DIRECTIONS = [('out', 'Outbound'), ('in', 'Inbound')]
LABELS = [
    ('matched', 'Matched'),
    ('self_reported', 'Self-reported'),
    ('inferred', 'Inferred'),
    ('absent', 'Absent'),
]
CATEGORIES = [
    ('own', 'Own'),
    ('configured', 'Configured'),
    ('documented', 'Documented'),
    ('watched', 'Watched'),
    ('private', 'Private network'),
    ('third_party', 'Third party'),
]
_STATUSES = [
    ('open', 'Open'),
    ('goes_on', 'Goes on'),
    ('closed', 'Closed'),
    ('error', 'Error'),
    ('not_established', 'Not established'),
    ('idle', 'Silent'),
    ('replaced', 'Replaced'),
    ('not_watched', 'End not seen'),
]


class NetworkAuditRecord(models.Model):
    """One event leaf of the ledger, as a row: a copy to search in. The evidence is the ledger's.

    Rows are appended and, by retention, removed. Nothing else happens to them: not by a user, not
    under `sudo`, not by SQL. Who can drop a trigger can change a row all the same; `Verify` names
    that row then, because the ledger is elsewhere.
    """

    _name = 'network.audit.record'
    _description = 'Network Audit Record'
    _order = 'time desc, seq desc'
    _rec_name = 'destination'
    _log_access = False

    origin = fields.Char('Ledger', readonly=True, required=True)
    seq = BigInteger('Number', readonly=True, required=True, help='chain_seq: its leaf index')
    leaf = fields.Char('Leaf hash', readonly=True)
    time = fields.Datetime(readonly=True, required=True)
    moment = fields.Char('Exact time', readonly=True, help='UTC, with microseconds')
    kind = fields.Selection(_KINDS, 'What', readonly=True, required=True)
    direction = fields.Selection(DIRECTIONS, readonly=True)
    channel = fields.Char(readonly=True)
    method = fields.Char(readonly=True)
    protocol = fields.Char(readonly=True)
    address = fields.Char('Remote address', readonly=True)
    port = fields.Integer('Remote port', readonly=True)
    local_address = fields.Char(readonly=True)
    local_port = fields.Integer(readonly=True)
    destination = fields.Char(readonly=True)
    named_by = fields.Char(readonly=True, help='How the name of the destination became known')
    category = fields.Selection(CATEGORIES, 'Class', readonly=True)
    vendor = fields.Char('Watched vendor', readonly=True)
    because = fields.Char('Why this class', readonly=True)
    module = fields.Char(readonly=True, help='Technical name: a claim of the audited process')
    chain = fields.Char('Modules on the stack', readonly=True, help='Nearest first')
    site = fields.Char('Call site', readonly=True)
    serving = fields.Char('On behalf of', readonly=True, help='Route, cron or stored code')
    database = fields.Char(readonly=True)
    label = fields.Selection(LABELS, readonly=True, help='How far the claim of the module goes')
    reason = fields.Char('Why this label', readonly=True)
    contradiction = fields.Char(readonly=True, help='What the kernel saw that the claim denies')
    status = fields.Selection(_STATUSES, readonly=True)
    error = fields.Integer('System error', readonly=True)
    measured = fields.Boolean('Bytes measured', readonly=True)
    sent = BigInteger(readonly=True, help='Payload bytes')
    received = BigInteger(readonly=True, help='Payload bytes')
    duration = fields.Float('Duration (s)', digits=(16, 9), readonly=True)
    handshake = fields.Float('Handshake (s)', digits=(16, 9), readonly=True)
    flow = BigInteger('Connection', readonly=True, help='Number of the record that opened it')
    cookie = fields.Char('Socket cookie', readonly=True)
    tgid = fields.Integer('Process', readonly=True)
    tid = fields.Integer('Thread', readonly=True)
    program = fields.Char(readonly=True)
    executable = fields.Char(readonly=True)
    instance = fields.Char(readonly=True)
    opened_before = fields.Boolean('Open before the audit', readonly=True)
    run = fields.Integer(readonly=True)
    epoch = fields.Integer('Key epoch', readonly=True)
    operation = fields.Boolean(
        readonly=True, help='A call, or a connection that no call names: what the report counts'
    )

    @api.depends('seq', 'destination')
    def _compute_display_name(self):
        for record in self:
            record.display_name = f'#{record.seq} {record.destination or record.kind}'

    # ------------------------------------------------------------------ the table

    def init(self):
        """Keys and the trigger. `init` runs at install and at each update of the module."""
        table = self._table
        cr = self.env.cr
        cr.execute(f'CREATE UNIQUE INDEX IF NOT EXISTS {table}_origin_seq ON {table} (origin, seq)')
        cr.execute(f'CREATE INDEX IF NOT EXISTS {table}_time_seq ON {table} (time DESC, seq DESC)')
        cr.execute(
            f'CREATE INDEX IF NOT EXISTS {table}_operation_time ON {table} (time DESC, seq DESC)'
            ' WHERE operation'
        )
        cr.execute(
            f"CREATE INDEX IF NOT EXISTS {table}_flow ON {table} (origin, flow) WHERE kind = 'call'"
        )
        self._protect()

    def _protect(self):
        """Sets the triggers: a statement without its door's name is refused; an update always."""
        table = self._table
        self.env.cr.execute(f"""
            CREATE OR REPLACE FUNCTION {TRIGGER}() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                IF (TG_OP = 'INSERT' AND current_setting('{SETTING}', true) = '{APPEND}')
                OR (TG_OP = 'DELETE' AND current_setting('{SETTING}', true) = '{RETIRE}') THEN
                    RETURN NULL;
                END IF;
                RAISE EXCEPTION 'The audit log is append-only: % is refused', TG_OP
                    USING ERRCODE = 'insufficient_privilege',
                          HINT = 'Rows come from the ledger and go by retention alone.';
            END $$;
            DROP TRIGGER IF EXISTS {TRIGGER} ON {table};
            CREATE TRIGGER {TRIGGER} BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}
                FOR EACH STATEMENT EXECUTE FUNCTION {TRIGGER}();
        """)

    @api.model
    def _is_protected(self):
        """Whether the trigger is there and on: looked up, not believed."""
        self.env.cr.execute(
            'SELECT 1 FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname = %s'
            " AND tgenabled IN ('O', 'A')",
            [self._table, TRIGGER],
        )
        return bool(self.env.cr.fetchone())

    @api.model
    def _measured(self):
        """What can be said about the table itself: looked up in the database, not believed."""
        self.env.cr.execute(
            'SELECT attname FROM pg_attribute'
            ' WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped',
            [self._table],
        )
        columns = {name for (name,) in self.env.cr.fetchall()}
        return {
            'protected': self._is_protected(),
            'columns': len(columns),
            'unknown_columns': sorted(columns - COLUMNS),
        }

    # ------------------------------------------------------------------ the doors

    def _through(self):
        return self.env.context.get('network_audit_door') is _DOOR

    @contextlib.contextmanager
    def _open(self, door):
        """Lets the statements of a block through the trigger."""
        cr = self.env.cr
        cr.execute(f"SELECT set_config('{SETTING}', %s, true)", [door])
        try:
            yield self.with_context(network_audit_door=_DOOR)
        finally:
            cr.execute(f"SELECT set_config('{SETTING}', '', true)")

    @api.model
    def _append(self, found):
        """Appends rows; those that are there already are left as they are. Returns how many."""
        if not found:
            return 0
        names = [*found[0], 'operation']
        behind_calls = self._flows_behind_calls(found)
        values = [(*row.values(), self._is_operation(row, behind_calls)) for row in found]
        statement = (
            f'INSERT INTO {self._table} ({", ".join(map(_quoted, names))}) VALUES %s'
            ' ON CONFLICT (origin, seq) DO NOTHING RETURNING id'
        )
        with self._open(APPEND):
            return len(self.env.cr.execute_values(statement, values, page_size=1000, fetch=True))

    def _flows_behind_calls(self, found):
        """The flows among these whose calls are known: they are no operations of their own."""
        ended = tuple({row['flow'] for row in found if row['kind'] == 'flow_ended'})
        behind = {row['flow'] for row in found if row['kind'] == 'call'}
        if ended:
            self.env.cr.execute(
                f'SELECT flow FROM {self._table}'
                " WHERE origin = %s AND kind = 'call' AND flow IN %s",
                [found[0]['origin'], ended],
            )
            behind.update(flow for (flow,) in self.env.cr.fetchall())
        return behind

    @staticmethod
    def _is_operation(row, behind_calls):
        if row['kind'] == 'flow_ended':
            return row['flow'] not in behind_calls and not rows.is_probe(row)
        return row['kind'] == 'call'

    @api.model
    def _take_anew(self, found):
        """Puts rows in the place of those with the same numbers."""
        if found:
            numbers = tuple(row['seq'] for row in found)
            self._retire('origin = %s AND seq IN %s', [found[0]['origin'], numbers])
            self._append(found)

    @api.model
    def _retire(self, where, parameters):
        """Removes rows: for retention, and for a database that turns out to be a copy."""
        with self._open(RETIRE):
            self.env.cr.execute(f'DELETE FROM {self._table} WHERE {where}', parameters)
            count = self.env.cr.rowcount
        self.env.invalidate_all()
        return count

    @api.model
    def _first_kept(self, origin, before, count):
        """The first number that is neither older than a moment nor beyond so many rows; or 0."""
        self.env.cr.execute(
            f"""
            SELECT greatest(
                (SELECT max(seq) + 1 FROM {self._table}
                  WHERE origin = %(origin)s AND time < %(before)s),
                (SELECT seq + 1 FROM {self._table} WHERE origin = %(origin)s
                  ORDER BY seq DESC OFFSET %(count)s LIMIT 1),
                0)
            """,
            {'origin': origin or None, 'before': before, 'count': count},
        )
        return self.env.cr.fetchone()[0]

    @api.model
    def _stored(self, origin, first, end):
        """The rows of a range as the database has them, by number: no cache, no conversion."""
        self.env.cr.execute(
            f'SELECT * FROM {self._table} WHERE origin = %s AND seq >= %s AND seq < %s',
            [origin, first, end],
        )
        found = self.env.cr.dictfetchall()
        for row in found:
            row['time'] = fields.Datetime.to_string(row['time'])
        return {row['seq']: row for row in found}

    # ------------------------------------------------------------------ what is refused

    @api.model_create_multi
    def create(self, vals_list):
        if not self._through():
            self._refuse()
        return super().create(vals_list)

    def write(self, vals):  # pylint: disable=method-required-super
        self._refuse()

    def unlink(self):  # pylint: disable=method-required-super
        self._refuse()

    def copy(self, default=None):  # pylint: disable=method-required-super
        self._refuse()

    def _refuse(self):
        raise UserError(
            _(
                'The audit log is append-only. Its rows come from the ledger and go by retention;'
                ' nobody can add, change or delete one.'
            )
        )

    # ------------------------------------------------------------------ for the views

    @api.model
    def action_open(self, asked):
        """The Audit Log, at the records that a filter of the report means."""
        require(self.env)
        self.env['network.audit.copy'].sudo()._pull_on_demand()
        action = self.env['ir.actions.act_window']._for_xml_id(f'{OWN}.network_audit_record_action')
        if asked:
            action.update(domain=_domain(asked), context={})
        return action

    @api.model
    def action_update(self):
        """Takes over what is new: the button of the list."""
        require(self.env)
        self.env['network.audit.copy'].sudo()._pull_on_demand()
        return {'type': 'ir.actions.client', 'tag': 'soft_reload'}

    @api.model
    def action_older(self):
        """Takes over a page of what is older than the oldest row here."""
        require(self.env)
        self.env['network.audit.copy'].sudo()._pull_older()
        return {'type': 'ir.actions.client', 'tag': 'soft_reload'}


# From a word of the daemon's filters to the column that it means.
_EQUALS = {
    'label': 'label',
    'direction': 'direction',
    'class': 'category',
    'vendor': 'vendor',
    'destination': 'destination',
}


def _domain(asked):
    """The domain that a filter of the report stands for."""
    domain = []
    if asked.get('since'):
        domain.append(('time', '>=', f'{asked["since"][:10]} {asked["since"][11:19]}'))
    if asked.get('from_seq') is not None:
        domain.append(('seq', '>=', asked['from_seq']))
    if asked.get('to_seq') is not None:
        domain.append(('seq', '<=', asked['to_seq']))
    if asked.get('module'):
        domain.append(('module', '=', asked['module']))
    if asked.get('guard'):
        domain += [('kind', '=', 'guard'), ('method', '=', asked['guard'])]
    if asked.get('contradiction'):
        domain.append(('contradiction', '!=', False))
    return domain + [
        (column, '=', asked[word]) for word, column in _EQUALS.items() if asked.get(word)
    ]


def _quoted(name):
    return f'"{name}"'
