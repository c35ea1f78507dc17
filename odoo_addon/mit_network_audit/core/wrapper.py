# Part of Network Audit. License LGPL-3.
"""Functions of others, wrapped: no wrapper raises, and each can be taken off."""

import functools


class Wrapper:
    """One function, wrapped; `remove` puts the original back where nobody wrapped it again."""

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
