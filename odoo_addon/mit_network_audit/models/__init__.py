# Part of Network Audit. License LGPL-3.
from . import ir_http  # noqa: F401
from . import network_audit_copy  # noqa: F401
from . import network_audit_facts  # noqa: F401
from . import network_audit_record  # noqa: F401
from . import network_audit_report  # noqa: F401
