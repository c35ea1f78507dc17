# Part of Network Audit. License LGPL-3.
"""Names of nodes and ledgers."""

from .forms import Refused

PART = frozenset('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_')


def is_node(name):
    parts = name.split('/')
    return len(parts) == 3 and all(part and PART.issuperset(part) for part in parts) and not name.startswith('nal/v1/')


def parse_origin(origin):
    """Node and incarnation."""
    node, _, incarnation = origin.rpartition('/')
    plain = incarnation.isascii() and incarnation.isdigit() and len(incarnation) <= 10
    good = plain and 0 < int(incarnation) < 2**32 and f'{int(incarnation):04}' == incarnation
    if not good or not is_node(node) or len(node) + 11 > 200:
        raise Refused('not an origin')
    return node, int(incarnation)
