# Part of Network Audit. License LGPL-3.
"""Carries the origin over cut stacks: threads, thread pools, callbacks that run later.

Each wrapper takes note of who starts something and lets the original do its work. None of them
raises, changes an argument that the callee could see, or stays in the way once it is taken off.
"""

import asyncio
import concurrent.futures
import contextlib
import importlib
import sys
import threading

from .origin import CURRENT, THREAD_ATTRIBUTE
from .wrapper import Wrapper


class Carried:
    """A callable that runs as part of what had it made."""

    __slots__ = ('origin', 'function')

    def __init__(self, origin, function):
        self.origin = origin
        self.function = function

    def __call__(self, /, *args, **kwargs):
        token = CURRENT.set(self.origin)
        try:
            return self.function(*args, **kwargs)
        finally:
            CURRENT.reset(token)


def thread_starts(describe):
    """A thread's own code starts with an empty stack: it is part of what started it."""
    getframe = sys._getframe

    def wrapping(original):
        def start(self):
            origin = _described(describe, getframe(1))
            if origin is not None:
                # A thread class of its own kind may refuse: it starts all the same.
                with contextlib.suppress(Exception):
                    setattr(self, THREAD_ATTRIBUTE, origin)
            return original(self)

        return start

    return Wrapper(threading.Thread, 'start', wrapping)


def runs_later(owner, name, describe):
    """A method that takes a function to be run later: a task of a pool, a callback.

    The function is part of what handed it over. It has to be the first argument, or the call passes
    as it is.
    """
    getframe = sys._getframe

    def wrapping(original):
        def later(self, /, *args, **kwargs):
            origin = _described(describe, getframe(1)) if args else None
            if origin is None:
                return original(self, *args, **kwargs)
            return original(self, Carried(origin, args[0]), *args[1:], **kwargs)

        return later

    return Wrapper(owner, name, wrapping)


def runs_in_copied_context(owner, name, describe):
    """A function that copies the running context for what it starts, as asyncio does."""
    getframe = sys._getframe

    def wrapping(original):
        def start(*args, **kwargs):
            origin = _described(describe, getframe(1))
            if origin is None:
                return original(*args, **kwargs)
            return Carried(origin, original)(*args, **kwargs)

        return start

    return Wrapper(owner, name, wrapping)


def standard_library(describe):
    """The places of Python's library, and of gevent's, where a stack is cut."""
    wrappers = [
        thread_starts(describe),
        runs_later(concurrent.futures.ThreadPoolExecutor, 'submit', describe),
        runs_in_copied_context(asyncio, 'run_coroutine_threadsafe', describe),
    ]
    if 'gevent.monkey' in sys.modules:
        # Its resolver looks names up in native threads, which it starts when the first name comes.
        pool = importlib.import_module('gevent.threadpool').ThreadPool
        wrappers.append(runs_later(pool, 'spawn', describe))
    return wrappers


def _described(describe, frame):
    """The origin to carry, or None where there is no addon to name."""
    try:
        origin = describe(frame, True)
    except Exception:
        return None
    return (
        None if origin.module is None or origin.module == 'odoo' or ':' in origin.module else origin
    )
