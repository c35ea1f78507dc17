# Part of Network Audit. License LGPL-3.
"""Whose code is calling: the addon modules on the stack, the call site, the stored code.

A module is known by its frames' globals: ``odoo.addons.<module>.…``. The nearest one is often a
helper (mail, IAP), so the whole chain of distinct modules is claimed, nearest first, and the call
site is that of the module shown.
"""

import re
import sys

from . import hints
from .hints import FOREIGN, GENERATED

OWN = 'mit_network_audit'
# Shown only where nothing else is on the stack: they carry other modules' calls.
PLUMBING = frozenset(
    (
        'base',
        'base_setup',
        'bus',
        'endpoint_route_handler',
        'http_routing',
        'iap',
        'mail',
        'rpc',
        'web',
    )
)
# Deeper frames are not looked at: a runaway recursion must not make every connect slow.
DEPTH = (None,) * 256
CHAIN_MAX = 24

_PREFIX = 'odoo.addons.'
_STORED = re.compile(r'ir\.actions\.server\((\d+),\)|<(\d+)>')
_CACHE_MAX = 20_000
# The parts of Python that only start other code.
_STARTERS = frozenset(('threading', 'concurrent', 'runpy', 'multiprocessing', '__main__', 'gevent'))
# The layer that code of a library is, by the name of its module or package.
_LAYERS = {
    'requests': 'requests',
    'httpx': 'httpx',
    'urllib.request': 'urllib',
    'urllib3': 'urllib3',
    'http.client': 'http',
    'smtplib': 'smtp',
    'imaplib': 'imap',
    'poplib': 'pop3',
    'ftplib': 'ftp',
    'ssl': 'tls',
    'websocket': 'websocket',
    'xmlrpc.client': 'xmlrpc',
    'aiohttp': 'aiohttp',
    'ldap': 'ldap',
}

# From a module's ``__name__`` to the addon that it is part of, to the number of the layer that it
# is, or to None for other code (our own as well). A dict by name, because the hash of a code object
# costs more than the whole step.
MODULES = {}


def module_of(name):
    """The addon that Python's module of this name is part of, or None."""
    if not name.startswith(_PREFIX):
        return None
    return sys.intern(name[len(_PREFIX) :].partition('.')[0])


def _learn(name):
    module = module_of(name)
    if module is None:
        layer = _LAYERS.get(name) or _LAYERS.get(name.partition('.')[0])
        module = layer and hints.CHANNELS.index(layer)
    elif module == OWN:
        module = None
    if len(MODULES) < _CACHE_MAX:
        MODULES[name] = module
    return module


def walking(modules=MODULES, plumbing=PLUMBING, depth=DEPTH, loaded=sys.modules):
    """The function that walks a stack: a closure, because it runs at every connect of an Odoo."""

    def walk(frame, brief=False):
        """What the stack from `frame` on says; with `brief` it ends at the module that is shown.

        Returns the distinct modules (nearest first), the one that is shown and the frame of its
        call site, the stored code that ran ("server-action 93"), and the highest layer above the
        first module together with the marks.
        """
        chain = []
        scope = shown = shown_module = action = None
        channel = foreign = shown_mark = 0
        provisional = True  # until a module is met that is more than plumbing
        for _ in depth:
            if frame is None:
                break
            # Neighbours on a stack are often of one module: then there is nothing new to say.
            if (globals_ := frame.f_globals) is not scope:
                scope = globals_
                try:
                    module = modules[scope['__name__']]
                except KeyError:
                    name = scope.get('__name__')
                    if isinstance(name, str):
                        module = _learn(name)
                    else:
                        module = None  # generated or stored code
                        action = action or _stored(frame.f_code.co_filename)
                if module is None:
                    pass
                elif module.__class__ is int:
                    if not chain:
                        channel = module
                elif module not in chain and len(chain) < CHAIN_MAX:
                    chain.append(module)
                    generated = 0
                    owner = loaded.get(scope['__name__'])
                    if owner is None or owner.__dict__ is not scope:
                        filename = frame.f_code.co_filename
                        if filename[:1] == '<':
                            generated = GENERATED
                            action = action or _stored(filename)
                        else:
                            foreign = FOREIGN
                    if provisional and (shown is None or module not in plumbing):
                        shown, shown_module, shown_mark = frame, module, generated
                        provisional = module in plumbing
                        if brief and not provisional:
                            break
            frame = frame.f_back
        return chain, shown_module, shown, action, channel | shown_mark | foreign

    return walk


def _stored(filename):
    """The record that code is stored in: it is in the name that Odoo compiles it under."""
    found = _STORED.fullmatch(filename)
    if found is None:
        return None
    return f'server-action {found[1]}' if found[1] else f'qweb {found[2]}'


def outside(frame):
    """For a stack without an addon: what stands in for a module, file, line and function.

    ``odoo`` if the framework's own code is on the stack, else ``library:<package>`` for the package
    by which a library was entered, else the outermost module of Python itself.
    """
    library = standard = None
    for _ in DEPTH:
        if frame is None:
            break
        name = frame.f_globals.get('__name__')
        top = name.partition('.')[0] if isinstance(name, str) else None
        if top == 'odoo' and not name.startswith(_PREFIX + OWN):
            return _standing_in('odoo', frame)
        if top and top not in _STARTERS:
            if top in sys.stdlib_module_names:
                standard = (top, frame)
            else:
                library = (top, frame)
        frame = frame.f_back
    top, frame = library or standard or ('python', None)
    return _standing_in('library:' + top, frame)


def _standing_in(name, frame):
    if frame is None:
        return name, None, 0, None
    return name, frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name


def site(module, file, line, function):
    """``file:line function``, the file as seen from the folder that holds the module or package."""
    return f'{_short(file, module)}:{line} {function}'


def _short(path, module):
    for anchor in (f'/{module}/', '/odoo/addons/', '/site-packages/', '/dist-packages/'):
        _, found, rest = path.rpartition(anchor)
        if found:
            return anchor[1:] + rest if anchor.startswith(f'/{module}') else rest
    return '/'.join(path.split('/')[-3:])


def lies_elsewhere(module, path):
    """Whether the file of a module's code lies in the folder of another addon that is loaded."""
    folder = path
    while folder := folder.rpartition('/')[0]:
        name = folder.rpartition('/')[2]
        package = sys.modules.get(_PREFIX + name)
        if package is not None and folder in getattr(package, '__path__', ()):
            return name != module
    return False
