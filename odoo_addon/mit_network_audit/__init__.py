# Part of Network Audit. License LGPL-3.
from .install import install as post_load  # noqa: F401  (named in the manifest: the first door)
from .install import uninstall_hook  # noqa: F401
from . import controllers  # noqa: F401
from . import models  # noqa: F401
