# Part of Network Audit. License LGPL-3.
"""Carries the origin over the places where a stack is cut: threads, thread pools, callbacks that run later.

Each wrapper takes note of who starts something and lets the original do its work. None of them raises, changes an
argument that the callee could see, or stays in the way once it is taken off.
"""

import concurrent.futures
import functools
import sys
import threading

from .origin import CURRENT, THREAD_ATTRIBUTE


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


class Wrapper:
    """One function of a class or module, wrapped; `remove` puts the original back where nobody wrapped it again."""

    def __init__(self, owner, name, wrapping):
        self._owner = owner
        self._name = name
        self.original = getattr(owner, name)
        self.wrapped = functools.wraps(self.original)(wrapping(self.original))
        setattr(owner, name, self.wrapped)

    def remove(self):
        """True if the original is back in its place."""
        if getattr(self._owner, self._name, None) is not self.wrapped:
            return False
        setattr(self._owner, self._name, self.original)
        return True


def thread_starts(describe):
    """A thread's own code starts with an empty stack: it is part of what started it."""
    getframe = sys._getframe

    def wrapping(original):
        def start(self):
            origin = _described(describe, getframe(1))
            if origin is not None:
                try:
                    setattr(self, THREAD_ATTRIBUTE, origin)
                except Exception:  # a thread class of its own kind: it starts all the same
                    pass
            return original(self)

        return start

    return Wrapper(threading.Thread, 'start', wrapping)


def pool_submits(describe):
    """A pool's threads serve many: each task is part of what submitted it."""
    getframe = sys._getframe

    def wrapping(original):
        def submit(self, fn, /, *args, **kwargs):
            origin = _described(describe, getframe(1))
            return original(self, fn if origin is None else Carried(origin, fn), *args, **kwargs)

        return submit

    return Wrapper(concurrent.futures.ThreadPoolExecutor, 'submit', wrapping)


def callbacks_added(owner, name, describe):
    """Callbacks that run later (after a commit, say): each is part of what added it."""
    getframe = sys._getframe

    def wrapping(original):
        def add(self, func):
            origin = _described(describe, getframe(1))
            return original(self, func if origin is None else Carried(origin, func))

        return add

    return Wrapper(owner, name, wrapping)


def _described(describe, frame):
    """The origin to carry, or None where there is no addon to name: what starts then is on its own."""
    try:
        origin = describe(frame)
    except Exception:
        return None
    return None if origin.chain[0].startswith('library:') or origin.chain == ('odoo',) else origin
