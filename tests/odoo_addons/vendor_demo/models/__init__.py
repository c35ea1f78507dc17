from . import vendor_demo  # noqa: F401
