from . import vendor_other  # noqa: F401
