# Part of Network Audit. License LGPL-3.
"""A record of the ledger, as the columns of the Audit Log: one row for each event leaf.

Pure, and the only place that knows which part of a record stands in which column: the copy is made
by it, and is compared with the ledger by it.
"""

# How each kind of record is named here, and where it keeps what is known of its flow.
_FLOW, _CALL, _PROCESS, _GUARD = 'flow', 'call', 'process', 'guard'
_KINDS = {
    'flow_opened': _FLOW,
    'flow_interim': _FLOW,
    'flow_ended': _FLOW,
    'call': _CALL,
    'process': _PROCESS,
    'guard': _GUARD,
}
KINDS = tuple(_KINDS)

# Columns that are not part of a record, but of how it is kept.
KEY = ('origin', 'seq')

# What the daemon makes of a record, and is no part of what is sealed: what explains a destination
# may become known later than the row was taken over.
JUDGED = ('destination', 'named_by', 'category', 'vendor', 'because')

# The daemon's bound (PROBE_NS), in seconds.
PROBE = 0.05

# A record that says nothing.
EMPTY = {'seq': 0, 'class': 'call', 'time': ''}


def is_row(record):
    """Whether a record is one of the Audit Log: the ledger's own entries are not."""
    return record.get('type') == 'event' and record.get('class') in _KINDS


def database(record):
    """The database that the claim names, or None."""
    return (_attribution(record)).get('database')


def row(origin, record):
    """The columns of one record; what it does not say is None."""
    kind = record['class']
    opened = record.get('opened') or (record if kind == 'flow_opened' else {})
    process = record.get('process') or opened.get('process') or {}
    attribution = _attribution(record)
    remote, local = opened.get('remote') or {}, opened.get('local') or {}
    destination = opened.get('destination') or record.get('destination') or {}
    return {
        'origin': origin,
        'seq': record['seq'],
        'leaf': record.get('leaf'),
        'time': _second(record['time']),
        'moment': record['time'],
        'kind': kind,
        'direction': _direction(record, opened),
        'channel': _channel(record, opened),
        'method': record.get('method') or _change(record),
        'protocol': opened.get('protocol') or record.get('protocol'),
        'address': remote.get('address'),
        'port': remote.get('port'),
        'local_address': local.get('address'),
        'local_port': local.get('port'),
        'destination': destination.get('name') or remote.get('address'),
        'named_by': destination.get('named_by'),
        'category': destination.get('class'),
        'vendor': destination.get('vendor'),
        'because': destination.get('because'),
        'module': attribution.get('module'),
        'chain': _joined(attribution.get('chain')),
        'site': attribution.get('site'),
        'serving': attribution.get('origin'),
        'database': attribution.get('database'),
        'label': attribution.get('label'),
        'reason': attribution.get('reason'),
        'contradiction': _joined(attribution.get('contradictions')),
        'status': _status(record),
        'error': record.get('error'),
        'measured': record.get('sent') is not None,
        'sent': record.get('sent'),
        'received': record.get('received'),
        'duration': _seconds(record.get('duration_ns')),
        'handshake': _seconds(record.get('handshake_ns')),
        'flow': record['seq'] if kind == 'flow_opened' else record.get('flow'),
        'cookie': _text(record.get('cookie') or opened.get('cookie')),
        'tgid': process.get('tgid'),
        'tid': process.get('tid'),
        'program': process.get('comm'),
        'executable': process.get('executable'),
        'instance': record.get('instance') or opened.get('instance'),
        'opened_before': bool(opened.get('opened_before') or record.get('opened_before')),
        'run': record.get('run'),
        'epoch': record.get('epoch'),
    }


def is_probe(columns):
    """Whether a flow is one of those that the C library opens to look which address it would reach
    from where: a datagram socket that was connected, never used, and closed at once."""
    unused = columns['sent'] == columns['received'] == 0
    return (
        (columns['kind'], columns['protocol'], columns['direction']) == ('flow_ended', 'udp', 'out')
        and unused
        and (columns['duration'] or 0) <= PROBE
    )


def differences(stored, record):
    """The columns in which a stored row is not what the ledger says."""
    wanted = row(stored['origin'], record)
    return [name for name, value in wanted.items() if not _same(stored.get(name), value)]


def _same(stored, wanted):
    if stored is None or wanted is None:
        return stored is wanted
    return float(stored) == wanted if isinstance(wanted, float) else stored == wanted


def _attribution(record):
    own = record.get('attribution')
    return own or (record.get('opened') or {}).get('attribution') or {}


def _direction(record, opened):
    if 'direction' in opened:
        return opened['direction']
    if record['class'] == 'call':
        return 'in' if record.get('channel') == 'serve' else 'out'
    return None


def _channel(record, opened):
    """Through what: a call says it; of a flow it is its protocol, seen by the kernel alone."""
    if record['class'] in (_PROCESS, _GUARD):
        return record['class']
    return record.get('channel') or opened.get('protocol')


def _change(record):
    """What became of a process, or what it did that no ordinary Odoo does."""
    return record.get({_PROCESS: 'change', _GUARD: 'what'}.get(record['class']))


def _status(record):
    kind = record['class']
    if kind == 'flow_opened':
        return 'open'
    if kind == 'flow_interim':
        return 'goes_on'
    if kind == 'flow_ended':
        return record.get('end')
    return None


def _second(time):
    """`2026-11-24T08:00:01.250000Z` as Odoo keeps it: UTC, without the part of a second."""
    return f'{time[:10]} {time[11:19]}'


def _seconds(nanoseconds):
    return None if nanoseconds is None else nanoseconds / 1e9


def _joined(names):
    return ' < '.join(names) if names else None


def _text(value):
    return str(value) if value else None
