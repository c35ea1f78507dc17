# Part of Network Audit. License LGPL-3.
from . import test_access  # noqa: F401
from . import test_copy  # noqa: F401
from . import test_daemon  # noqa: F401
from . import test_origin  # noqa: F401
from . import test_record_protected  # noqa: F401
from . import test_rows  # noqa: F401
from . import test_served  # noqa: F401
