# Part of Network Audit. License LGPL-3.
"""The tree of RFC 6962: compact ranges, inclusion, small trees at once."""

import hashlib

from .forms import Refused, sha256

# Leaves to a tile.
TILE = 256


def leaf_hash(entry):
    return sha256(b'\0', entry)


def node_hash(left, right):
    return sha256(b'\1', left, right)


class CompactRange:
    """The right edge of a tree: roots of perfect subtrees, largest first."""

    def __init__(self, size=0, hashes=()):
        self.size, self.hashes = size, list(hashes)
        if len(self.hashes) != size.bit_count() or any(len(node) != 32 for node in self.hashes):
            raise Refused('the compact range does not fit its size')

    def append(self, node, level=0):
        """Appends a leaf, or the root of a perfect subtree of 2^level leaves."""
        size = self.size >> level
        while size & 1:
            node = node_hash(self.hashes.pop(), node)
            size >>= 1
        self.hashes.append(node)
        self.size += 1 << level

    def root(self):
        if not self.hashes:
            return sha256()
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_hash(left, root)
        return root


def root_from_inclusion(index, size, leaf, proof):
    """The root that an inclusion proof leads to (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        raise Refused('the proof is about a place outside of its tree')
    last, root = size - 1, leaf
    for sibling in proof:
        if last == 0 or len(sibling) != 32:
            raise Refused('the proof has more or fewer hashes than its place needs')
        if index & 1 or index == last:
            root = node_hash(sibling, root)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        index, last = index >> 1, last >> 1
    if last:
        raise Refused('the proof has more or fewer hashes than its place needs')
    return root


def subtree(leaves):
    """Root of a perfect subtree, or of a whole small tree, of at least one leaf."""
    digest, level = hashlib.sha256, leaves
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        odd = level[len(level) & ~1 :]
        level = [digest(b'\1' + left + right).digest() for left, right in pairs] + odd
    return level[0]


def tree_root(leaves):
    """Root of the tree of these leaves, by the rules of RFC 6962: an odd hash goes up as it is."""
    return subtree(leaves) if leaves else sha256()
