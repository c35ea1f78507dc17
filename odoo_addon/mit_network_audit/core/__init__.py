# Part of Network Audit. License LGPL-3.
"""What the addon does inside of an Odoo process, without a single import of Odoo.

The data goes one way::

    audit event -> hook -> frames, redaction, calls -> hints (shared memory) -> client (hands it to
    the daemon)
"""
