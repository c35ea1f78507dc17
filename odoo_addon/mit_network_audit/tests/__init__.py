# Part of Network Audit. License LGPL-3.
from . import test_origin  # noqa: F401
from . import test_served  # noqa: F401
