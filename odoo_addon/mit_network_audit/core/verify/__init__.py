# Part of Network Audit. License LGPL-3.
"""Verifies exports and proofs of the ledger with nothing but Python's standard library and the ``openssl`` command.

Written from ``FORMAT.md`` and not from the Rust, so that two people's readings of one format can be held against each
other; where they differed, ``FORMAT.md`` was made to say which is right. Every parser is strict: it takes exactly what
the format allows, and raises `Refused` for anything else.

The folder is all there is to it: copy it anywhere, and beside it run ``python3 -m verify --key VKEY EXPORT.nalx``.
"""
