# Part of Network Audit. License LGPL-3.
"""Whose code is calling: the chain of addon modules on the stack, the call site, and the stored code that ran.

A module is known by its frames' globals: ``odoo.addons.<module>.…``. The nearest one is often a helper (mail, IAP),
so the whole chain of distinct modules is claimed, nearest first, and the call site is that of the module shown.
"""

import re
import sys

OWN = 'mit_network_audit'
# Shown only where nothing else is on the stack: they carry other modules' calls.
PLUMBING = frozenset(('base', 'base_setup', 'bus', 'http_routing', 'iap', 'mail', 'rpc', 'web'))
# Deeper frames are not looked at: a runaway recursion must not make every connect slow.
DEPTH = (None,) * 256
CHAIN_MAX = 24

_PREFIX = 'odoo.addons.'
_STORED = re.compile(r'ir\.actions\.server\((\d+),\)')
_CACHE_MAX = 20_000
# The parts of Python that only start other code.
_STARTERS = frozenset(('threading', 'concurrent', 'runpy', 'multiprocessing', '__main__', 'gevent'))


# From a module's ``__name__`` to the addon it is part of, or None for code that is in no addon (or is our own). A
# dict by name, because the hash of a code object costs more than the whole step.
MODULES = {}


def module_of(name):
    """The addon that Python's module of this name is part of, or None."""
    if not name.startswith(_PREFIX):
        return None
    return sys.intern(name[len(_PREFIX) :].partition('.')[0])


def _learn(name):
    module = module_of(name)
    if module == OWN:
        module = None
    if len(MODULES) < _CACHE_MAX:
        MODULES[name] = module
    return module


def walk(frame, brief=False, modules=MODULES, plumbing=PLUMBING, depth=DEPTH):
    """What the stack from `frame` on says: (modules, module shown, its code, its line, stored action or None).

    With `brief` it ends at the module that is shown.
    """
    chain = []
    scope = shown = shown_module = action = None
    provisional = True  # until a module is met that is more than plumbing
    for _ in depth:
        if frame is None:
            break
        if frame.f_globals is not scope:
            scope = frame.f_globals
            try:
                module = modules[scope['__name__']]
            except KeyError:
                name = scope.get('__name__')
                if isinstance(name, str):
                    module = _learn(name)
                else:
                    module = None  # generated or stored code
                    action = action or _stored(frame.f_code.co_filename)
            if module is not None and module not in chain and len(chain) < CHAIN_MAX:
                chain.append(module)
                if provisional and (shown is None or module not in plumbing):
                    shown, shown_module = frame, module
                    provisional = module in plumbing
                    if brief and not provisional:
                        break
        frame = frame.f_back
    if shown is None:
        return chain, None, None, 0, action
    return chain, shown_module, shown.f_code, shown.f_lineno, action


def _stored(filename):
    found = _STORED.fullmatch(filename)
    return found and 'server-action ' + found[1]


def outside(frame):
    """For a stack without an addon: the name that stands in for a module, and the code and line that fit it.

    ``odoo`` if the framework's own code is on the stack, else ``library:<package>`` for the package by which a
    library was entered, else the outermost module of Python itself.
    """
    library = standard = None
    for _ in DEPTH:
        if frame is None:
            break
        name = frame.f_globals.get('__name__')
        top = name.partition('.')[0] if isinstance(name, str) else None
        if top == 'odoo' and not name.startswith(_PREFIX + OWN):
            return 'odoo', frame.f_code, frame.f_lineno
        if top and top not in _STARTERS:
            if top in sys.stdlib_module_names:
                standard = (top, frame.f_code, frame.f_lineno)
            else:
                library = (top, frame.f_code, frame.f_lineno)
        frame = frame.f_back
    top, code, line = library or standard or ('python', None, 0)
    return 'library:' + top, code, line


def site(module, code, line):
    """``file:line function``, the file as seen from the folder that holds the module or package."""
    return f'{_short(code.co_filename, module)}:{line} {code.co_name}'


def _short(path, module):
    for anchor in (f'/{module}/', '/odoo/addons/', '/site-packages/', '/dist-packages/'):
        before, found, rest = path.rpartition(anchor)
        if found:
            return anchor[1:] + rest if anchor.startswith(f'/{module}') else rest
    return '/'.join(path.split('/')[-3:])
