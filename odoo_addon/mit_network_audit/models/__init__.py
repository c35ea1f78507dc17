# Part of Network Audit. License LGPL-3.
from . import ir_http  # noqa: F401
