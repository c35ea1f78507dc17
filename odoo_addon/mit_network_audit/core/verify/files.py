# Part of Network Audit. License LGPL-3.
"""Files of an export: in a folder, or in an archive in its one form."""

import os

from .forms import Refused

MAX_FILE = 16 << 20
MAX_FILES = 1 << 20
BLOCK = 512


class Folder:
    """An export as a folder."""

    def __init__(self, path):
        self.root, self.lengths = path, {}
        self._walk(path, '')

    def _walk(self, folder, prefix):
        with os.scandir(folder) as entries:
            for entry in entries:
                path = prefix + entry.name
                if len(self.lengths) > MAX_FILES:
                    return
                if entry.is_dir(follow_symlinks=False):
                    self._walk(entry.path, path + '/')
                elif entry.is_file(follow_symlinks=False):
                    self.lengths[path] = entry.stat(follow_symlinks=False).st_size
                else:
                    raise OSError(f'{path} is neither a file nor a folder')

    def read(self, path, limit):
        with open(os.path.join(self.root, path), 'rb') as file:
            return file.read(limit)


def tar_header(path, length):
    """The one header that a file of this name and length has."""
    name = path.encode()
    if not 0 < len(name) <= 100 or b'\0' in name or length >= 1 << 33:
        raise Refused('a name or a length that no archive has')
    head = name.ljust(100, b'\0') + b'0000644\x000000000\x000000000\0' + b'%011o\0' % length + b'00000000000\0'
    tail = (b'0' + bytes(100) + b'ustar\x0000').ljust(BLOCK - 156, b'\0')
    return head + b'%06o\0 ' % sum(head + b' ' * 8 + tail) + tail


class Archive:
    """An export as an archive: what is not in the one form is refused."""

    def __init__(self, file):
        self.file, self.lengths, self.places = file, {}, {}
        total, at, before = file.seek(0, os.SEEK_END), 0, b''
        while True:
            if total - at < 2 * BLOCK or len(self.lengths) == MAX_FILES:
                raise Refused('the archive is cut off, or has more files than any has')
            block = self._piece(at, BLOCK)
            if block == bytes(BLOCK):
                break
            try:
                path, length = block[:100].rstrip(b'\0').decode(), int(block[124:135], 8)
            except ValueError as error:
                raise Refused(f'the archive is malformed at byte {at}') from error
            if length < 0 or tar_header(path, length) != block:
                raise Refused(f'the archive is malformed at byte {at}')
            begin, padding = at + BLOCK, -length % BLOCK
            at = begin + length + padding
            if at > total or path.encode() <= before:
                raise Refused(f'the archive is cut off at {path}, or its files are not in order')
            if any(self._piece(begin + length, padding)):
                raise Refused(f'there is something hidden behind {path}')
            before = path.encode()
            self.lengths[path], self.places[path] = length, begin
        if total - at != 2 * BLOCK or any(self._piece(at, 2 * BLOCK)):
            raise Refused('there is something after the end of the archive')

    def _piece(self, at, length):
        self.file.seek(at)
        return self.file.read(length)

    def read(self, path, limit):
        return self._piece(self.places[path], min(limit, self.lengths[path]))
