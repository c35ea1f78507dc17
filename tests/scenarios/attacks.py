"""What code inside of Odoo may do to hide or to lie: the attacks that tests make on the daemon.

Each runs in a process with the addon's real hook, and does what an addon with bad intentions could do. Parts of the
addon are reached as such an addon would reach them: through `sys.modules`.
"""

import ctypes
import functools
import gc
import importlib
import mmap
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import types


@functools.cache
def caller(module, path=None):
    """A function of an addon's module that calls what it is given."""
    loaded = types.ModuleType(f'odoo.addons.{module}.models.caller')
    sys.modules[loaded.__name__] = loaded
    exec(compile(CALLER, path or f'/srv/addons/{module}/models/caller.py', 'exec'), vars(loaded))
    return loaded.go


CALLER = 'def go(function, *arguments):\n    return function(*arguments)\n'


def masked(module):
    """The same function in code that only says that it is of that module."""
    caller(module)
    globals_ = {'__name__': f'odoo.addons.{module}.models.caller'}
    exec(compile(CALLER, '/srv/addons/liar/models/liar.py', 'exec'), globals_)
    return globals_['go']


def core(name):
    return importlib.import_module(f'odoo.addons.mit_network_audit.core.{name}')


def sealed(body):
    """An entry of a ring, with the checksum that it should have."""
    number = int.from_bytes(body, 'little') % (2**61 - 1)
    return body + struct.pack('<I', ~number & 0xFFFFFFFF)


def connect_unheard(connection, host, port):
    """A `connect()` that tells no hook."""
    address = struct.pack('=H', socket.AF_INET) + struct.pack('>H', port) + socket.inet_aton(host) + bytes(8)
    ctypes.CDLL(None).connect(connection.fileno(), address, len(address))


class Attacks:
    """Each method is an attack that a test names."""

    def recorder(self):
        return core('hook').install()

    # Contradictions, in the order of their numbers.

    def other_address(self, host, port, module):
        """Says that it goes somewhere, and goes elsewhere."""
        connection = socket.socket()

        def claim_and_go():
            sys.audit('socket.connect', connection, (host, port + 1))
            connect_unheard(connection, host, port)

        caller(module)(claim_and_go)
        connection.close()

    def two_voices(self, host, port, one, other):
        """Two modules claim one and the same connect."""
        connection = socket.socket()
        for module in (one, other):
            caller(module)(sys.audit, 'socket.connect', connection, (host, port))
        connect_unheard(connection, host, port)
        connection.close()

    def masquerade(self, host, port, module):
        """Code whose globals name a module that is loaded and that it is no part of."""
        self._connect_by(masked(module), host, port)

    def masquerade_child(self, module):
        """The same, to start a child that starts another one."""
        masked(module)(subprocess.run, ['sh', '-c', 'true; (sh -c true)'])

    def file_of_another(self, host, port, module, victim):
        """A module whose code lies in the folder of another addon."""
        package = types.ModuleType(f'odoo.addons.{victim}')
        package.__path__ = [f'/srv/addons/{victim}']
        sys.modules[package.__name__] = package
        self._connect_by(caller(module, f'/srv/addons/{victim}/models/caller.py'), host, port)

    def call_without_socket(self, module):
        """A call over a socket that there never was."""
        self._claim(module, 'CALL', 1 << 60)

    def call_over(self, cookie, module):
        """A call over a socket that is another process's."""
        self._claim(module, 'CALL', cookie)

    def spawn_by(self, thread, module):
        """A spawn in the name of a thread that is another process's."""
        self._claim(module, 'SPAWN', thread)

    # Lies that stay within what a process may say of itself, and replays.

    def own_lie(self, host, port, module):
        """Gives itself another module's name, and everything fits: that cannot be told."""
        self._connect_by(caller(module), host, port)

    def replay(self, host, port, module):
        """Goes out under its name, keeps the claim's bytes, and writes them again for a connect that tells no hook."""
        self._connect_by(caller(module), host, port)
        memory, hints = self.recorder().ring._memory, core('hints')
        (head,) = struct.unpack_from('<Q', memory, hints.COUNTERS_AT)
        at = hints.HEADER_LEN + ((head - 1) % hints.ENTRIES) * hints.ENTRY_LEN
        entry = memory[at : at + hints.ENTRY_LEN]
        connection = socket.socket()
        # As it was, and under the next number.
        for body in (entry[:60], struct.pack('<Q', head + 1) + entry[8:60]):
            at = hints.HEADER_LEN + (head % hints.ENTRIES) * hints.ENTRY_LEN
            memory[at : at + hints.ENTRY_LEN] = sealed(body)
            struct.pack_into('<Q', memory, hints.COUNTERS_AT, head + 1)
        connect_unheard(connection, host, port)
        own = connection.getsockname()[1]
        connection.close()
        return own

    def flood(self, count, module):
        """More claims at once than the ring holds."""
        recorder, hints = self.recorder(), core('hints')
        go = caller(module)
        for number in range(count):
            go(recorder.claim, hints.SEND, number, sys._getframe())

    # Silencing the hook: one way each.

    def silence(self, way):
        getattr(self, f'_silence_{way}')()

    def _hook(self):
        functions = (it for it in gc.get_objects() if type(it) is types.FunctionType)
        return next(it for it in functions if it.__qualname__ == 'hooking.<locals>.hook')

    def _silence_code(self):
        hook = self._hook()
        names = ', '.join(hook.__code__.co_freevars)
        source = f'def make({names}):\n def other(event, args):\n  ({names})\n return other\n'
        made = {}
        exec(source, made)
        hook.__code__ = made['make'](*[None] * len(hook.__code__.co_freevars)).__code__

    def _silence_table(self):
        hook = self._hook()
        cells = dict(zip(hook.__code__.co_freevars, hook.__closure__))
        cells['of_interest'].cell_contents.__self__.clear()

    def _silence_ctypes(self):
        hook = self._hook()
        cells = dict(zip(hook.__code__.co_freevars, hook.__closure__))
        set_cell = ctypes.pythonapi.PyCell_Set
        set_cell.argtypes = [ctypes.py_object, ctypes.py_object]
        set_cell(cells['of_interest'], lambda event: None)

    def _silence_exception(self):
        """Every claim fails: the hook counts them as its own failures."""
        hook = self._hook()
        cells = dict(zip(hook.__code__.co_freevars, hook.__closure__))

        def fails(args, frame):
            raise RuntimeError

        cells['of_interest'].cell_contents = lambda event: fails

    def _silence_audit(self):
        """Whoever asks whether the hook is alive is not heard."""
        sys.audit = lambda *arguments: None

    # Rings that no honest process writes.

    def hostile_ring(self, kind):
        """Hands over a ring of its own making, and leaves it at that."""
        hints = core('hints')
        memfd = os.memfd_create('network-audit-hints', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(memfd, hints.FILE_LEN)
        memory = mmap.mmap(memfd, hints.FILE_LEN)
        hints.HEAD.pack_into(memory, 0, hints.MAGIC, hints.VERSION, os.getpid(), hints.boot_id())
        getattr(self, f'_ring_{kind}')(memory, memfd, hints)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(os.path.join(os.environ['NETWORK_AUDIT_RUN_DIR'], 'hints.sock'))
        socket.send_fds(connection, [hints.HELLO], [memfd])
        self.handed_over = (connection, memfd, memory)
        if kind == 'truncated':
            # Once it was accepted.
            threading.Timer(0.5, os.ftruncate, (memfd, 100)).start()
        if kind == 'restless':
            threading.Thread(target=self._never_rest, args=(memory, hints), daemon=True).start()

    def _ring_random(self, memory, memfd, hints):
        memory[40:] = random.Random(1).randbytes(hints.FILE_LEN - 40)

    def _ring_truncated(self, memory, memfd, hints):
        struct.pack_into('<Q', memory, hints.COUNTERS_AT, 10)

    def _ring_cycle(self, memory, memfd, hints):
        """Entries that name themselves: each string is a place within another, and the numbers go round."""
        for slot in range(hints.ENTRIES):
            body = struct.pack(
                '<QQQ4I16sHBB', slot + 1, 1, slot + 1, 8, 9, 10, hints.STRINGS_LEN - 1, bytes(16), 0, hints.CALL, 0xFF
            )
            at = hints.HEADER_LEN + slot * hints.ENTRY_LEN
            memory[at : at + hints.ENTRY_LEN] = sealed(body)
        memory[hints.STRINGS_OFFSET : hints.FILE_LEN] = bytes([9, 0]) * (hints.STRINGS_LEN // 2)
        struct.pack_into('<Q', memory, hints.COUNTERS_AT, hints.ENTRIES)

    def _ring_wrong_pid(self, memory, memfd, hints):
        hints.HEAD.pack_into(memory, 0, hints.MAGIC, hints.VERSION, 1, bytes(16))

    def _ring_restless(self, memory, memfd, hints):
        """A head that never stands still, before and behind everything that could be there."""

    def _never_rest(self, memory, hints):
        dice = random.Random(2)
        while True:
            struct.pack_into('<Q', memory, hints.COUNTERS_AT, dice.getrandbits(dice.choice((4, 13, 40, 64))))
            memory[hints.HEADER_LEN + dice.randrange(hints.ENTRIES * hints.ENTRY_LEN)] = dice.randrange(256)

    def _claim(self, module, operation, key):
        """A claim that no system call follows."""
        recorder, hints = self.recorder(), core('hints')

        def claim():
            recorder.claim(getattr(hints, operation), key, sys._getframe())

        caller(module)(claim)

    def _connect_by(self, go, host, port):
        connection = socket.socket()
        go(connection.connect, (host, port))
        connection.close()
