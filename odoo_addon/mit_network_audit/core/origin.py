# Part of Network Audit. License LGPL-3.
"""Whose code is running, and what for: by the stack, and by what was carried to it.

A job that runs later or elsewhere (a cron, a thread, a callback after the commit) has a stack that
begins anew. Who starts it leaves an `Origin`, in the context of the running code or on its thread.
"""

import threading
from contextvars import ContextVar
from typing import NamedTuple

from . import frames, hints, opaque

CURRENT = ContextVar('network_audit_origin', default=None)
THREAD_ATTRIBUTE = '_network_audit_origin'
CRON = 'cron '
MARKS = hints.GENERATED | hints.FOREIGN | hints.AMBIGUOUS
# Before the name of an addon whose native code may be the caller.
NATIVE = 'native:'


class Origin(NamedTuple):
    """Whose code it is: what one claim says beside the operation."""

    # Distinct modules, nearest first; or one name that stands in for them.
    chain: tuple = ()
    # The module that is shown, and its call site.
    module: str = None
    file: str = None
    line: int = 0
    function: str = None
    # "route /x/<id>", "cron 7", "server-action 93", "shell".
    name: str = None
    database: str = None
    # Through what, and what was noticed about the code: see `hints.CHANNELS` and beside it.
    channel: int = 0


class Host:
    """What only the host application knows; a plain Python process has none of it."""

    @staticmethod
    def origin():
        """What the running code serves, or None."""
        return None

    @staticmethod
    def database(thread):
        """The database that this thread works on, or None."""
        return None


def describing(host):
    """The function from a frame to its `Origin`: a closure, because every connect runs it."""
    walk, outside, new, origin = frames.walking(), frames.outside, tuple.__new__, Origin
    plumbing, natives = frames.PLUMBING, opaque.Natives()
    current, active, get_ident = CURRENT.get, threading._active, threading.get_ident
    host_origin, host_database = host.origin, host.database

    def describe(frame, brief=False):
        chain, module, shown, action, channel = walk(frame, brief)
        # Not `current_thread`, which makes an object for a thread that Python did not start.
        thread = active.get(get_ident())
        carried = current() or (thread and thread.__dict__.get(THREAD_ATTRIBUTE))
        database = host_database(thread)
        name = None
        if shown is not None:
            code, line = shown.f_code, shown.f_lineno
            file, function = code.co_filename, code.co_name
        if carried:
            if shown is None:
                _, module, file, line, function, *_ = carried
                channel |= carried.channel & MARKS
            chain.extend(m for m in carried.chain if m not in chain)
            name = carried.name
            database = database or carried.database
        # Stored code is what a cron runs, and more precise than anything else.
        if action and not (name and name.startswith(CRON)):
            name = action
        if not chain:
            module, file, line, function = outside(frame)
            chain.append(module)
        if module in plumbing or ':' in module:
            # Native code leaves no frame: who called the plumbing may be an addon's.
            suspects = natives()
            if suspects:
                # What was carried over to this stack may have said so already.
                names = [NATIVE + suspect for suspect in suspects]
                chain.extend(name for name in names if name not in chain)
                channel |= hints.AMBIGUOUS
        name = name or host_origin()
        return new(origin, (tuple(chain), module, file, line, function, name, database, channel))

    return describe
