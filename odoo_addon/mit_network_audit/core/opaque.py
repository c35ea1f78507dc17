# Part of Network Audit. License LGPL-3.
"""Modules that nobody can read: native code, bytecode alone, code that is in no file.

Native code leaves no frame on the stack. Where it is loaded and a stack shows nothing but plumbing,
the caller may be native, and the claim has to say so.
"""

import importlib.machinery
import os
import sys
import types

from .frames import OWN, module_of

NATIVE = 'native code'
NO_SOURCE = 'bytecode without source'
NO_FILE = 'code that is in no file'


class Natives:
    """The addons of which native code is loaded: looked for again when more modules are."""

    def __init__(self, loaded=sys.modules):
        self._loaded = loaded
        self._looked_at = 0
        self.names = ()

    def __call__(self):
        count = len(self._loaded)
        if count != self._looked_at:
            self._looked_at = count
            self.names = tuple(
                sorted({addon for addon, module in _of_addons(self._loaded) if _is_native(module)})
            )
        return self.names


def opaque(loaded=sys.modules):
    """The addons that cannot be read, each with its reason; the strongest, if there are several."""
    reasons = {}
    weakest_first = ((NO_FILE, _runs_other_code), (NO_SOURCE, _has_no_source), (NATIVE, _is_native))
    for reason, holds in weakest_first:
        reasons.update((addon, reason) for addon, module in _of_addons(loaded) if holds(module))
    return reasons


def _of_addons(loaded):
    # A copy: another thread may be importing.
    for name, module in list(loaded.items()):
        addon = module_of(name) if isinstance(name, str) else None
        if addon is not None and addon != OWN and isinstance(module, types.ModuleType):
            yield addon, module


def _loader(module):
    return getattr(getattr(module, '__spec__', None), 'loader', None)


def _is_native(module):
    return isinstance(_loader(module), importlib.machinery.ExtensionFileLoader)


def _has_no_source(module):
    return isinstance(_loader(module), importlib.machinery.SourcelessFileLoader)


def _runs_other_code(module):
    """Whether a function or method of this module was compiled from no file that is there."""
    for value in list(vars(module).values()):
        members = list(vars(value).values()) if isinstance(value, type) else [value]
        for member in members:
            if type(member) in (staticmethod, classmethod):
                member = member.__func__
            # By its exact type: other objects (a proxy, a lazy value) run code of theirs when they
            # are asked.
            if (
                type(member) is types.FunctionType
                and member.__module__ == module.__name__
                and _has_no_file(member)
            ):
                return True
    return False


def _has_no_file(function):
    filename = function.__code__.co_filename
    # A dataclass has its special methods made by the standard library.
    return not os.path.exists(filename) and not (
        filename == '<string>' and function.__name__.startswith('__')
    )
