# Part of Network Audit. License LGPL-3.
from . import export  # noqa: F401
