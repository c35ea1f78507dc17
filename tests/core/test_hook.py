import _socket
import _thread
import gc
import http.client
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import types
import unittest
from unittest.mock import patch

import peer
from support import addon, calls, core

RUN_DIR = tempfile.mkdtemp()
os.environ['NETWORK_AUDIT_RUN_DIR'] = RUN_DIR
calls_of_core, client, hints = core('calls'), core('client'), core('hints')
# A hook cannot be taken off again: one for all tests of this process.
recorder = core('hook').install()


def nowhere():
    """A port on loopback that nobody listens at."""
    with socket.socket() as sock:
        sock.bind(('127.0.0.1', 0))
        return sock.getsockname()[1]


def server():
    return core('recorder').Server(core('origin').Origin(('vendor',), 'vendor'))


def begin_anew():
    """As after a fork: no ring and no connection yet."""
    recorder.release()


def age(recorder):
    """As if the connection were older than a refusal, and had not been looked at just now."""
    recorder.link._connected_at -= client.REFUSED
    recorder.ring.look_at = 0


class Claims(unittest.TestCase):
    """A daemon that was there from the beginning."""

    def setUp(self):
        self.daemon = peer.Daemon(RUN_DIR)
        self.addCleanup(self.daemon.close)
        begin_anew()
        self.vendor = calls('vendor.models.x')
        with socket.socket() as sock:
            sock.connect_ex(('127.0.0.1', nowhere()))
        self.daemon.accept(1)
        self.new()

    def new(self):
        return self.daemon.rings[-1].read_new()

    def one(self, **expected):
        claims = self.new()
        self.assertEqual(len(claims), 1, claims)
        for name, value in expected.items():
            self.assertEqual(claims[0][name], value, name)
        return claims[0]

    def test_a_connect_is_claimed_for_its_socket(self):
        port = nowhere()
        with socket.socket() as sock:
            cookie = int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, 57, 8), sys.byteorder)
            self.vendor(sock.connect_ex, ('127.0.0.1', port))
        claim = self.one(operation='connect', key=cookie, port=port, chain='vendor')
        self.assertEqual(claim['detail'], bytes(10) + b'\xff\xff' + socket.inet_aton('127.0.0.1'))
        self.assertEqual(claim['site'], 'vendor/models/x.py:2 go')
        self.assertLess(time.monotonic_ns() - claim['time'], 60_000_000_000)

    def test_the_claim_is_there_before_the_call_returns(self):
        with socket.socket() as listener, socket.socket() as sock:
            listener.bind(('127.0.0.1', 0))
            sock.setblocking(False)
            listener.listen(0)
            sock.connect_ex(listener.getsockname())
            self.one(operation='connect')

    def test_ipv6_and_names(self):
        with socket.socket(socket.AF_INET6) as sock:
            sock.connect_ex(('::1', nowhere()))
        self.assertEqual(self.one(operation='connect')['detail'], bytes(15) + b'\1')
        with socket.socket() as sock:
            sock.connect_ex(('localhost', nowhere()))
        self.assertEqual(self.one(operation='connect')['detail'], bytes(16))

    def test_a_subclass_cannot_answer_for_itself(self):
        class Liar(socket.socket):
            family = _socket.AF_UNIX

            def getsockopt(self, *args):
                return bytes(8)

        with Liar() as sock:
            cookie = int.from_bytes(
                _socket.socket.getsockopt(sock, socket.SOL_SOCKET, 57, 8), sys.byteorder
            )
            sock.connect_ex(('127.0.0.1', nowhere()))
        self.one(operation='connect', key=cookie)

    def test_unix_sockets_are_not_claimed(self):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect_ex('/nowhere')
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock, self.assertRaises(OSError):
            sock.sendto(b'x', '/nowhere')
        self.assertEqual(self.new(), [])

    @unittest.skipUnless(os.geteuid() == 0, 'packet sockets need root')
    def test_packet_sockets_are_claimed_by_what_they_are_bound_to_or_send_to(self):
        with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as sock:
            cookie = int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, 57, 8), sys.byteorder)
            self.vendor(sock.bind, ('lo', 0))
            self.one(operation='send', key=cookie, chain='vendor', port=0, detail=bytes(16))
            # For local experiments: nobody listens for it.
            self.vendor(sock.sendto, bytes(40), ('lo', 0x88B5))
            self.one(operation='send', key=cookie, chain='vendor')
        with socket.socket() as sock:
            self.vendor(sock.bind, ('127.0.0.1', 0))
        self.assertEqual(self.new(), [])

    def test_datagrams_are_claimed_where_they_have_an_address(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            port = nowhere()
            self.vendor(sock.sendto, b'x', ('127.0.0.1', port))
            self.one(operation='send', port=port, chain='vendor')
            self.vendor(sock.sendmsg, [b'x'], [], 0, ('127.0.0.1', port))
            self.one(operation='send', port=port)
            sock.connect(('127.0.0.1', port))
            self.one(operation='connect')
            sock.sendmsg([b'x'])
            self.assertEqual(self.new(), [])

    def test_children_are_claimed_for_their_thread(self):
        me = threading.get_native_id()
        self.vendor(subprocess.run, ['true', 'a', 'b'])
        claim = self.one(operation='spawn', key=me, chain='vendor')
        self.assertEqual(int.from_bytes(claim['detail'][:8], 'little'), 3)
        self.vendor(os.system, 'true')
        self.one(operation='spawn', key=me)
        self.vendor(os.posix_spawn, '/bin/true', ['true'], {})
        self.one(operation='spawn', key=me)
        os.wait()
        thread_id = []
        thread = threading.Thread(
            target=lambda: (thread_id.append(_thread.get_native_id()), os.system('true'))
        )
        thread.start()
        thread.join()
        self.one(operation='spawn', key=thread_id[0])

    def test_a_look_up_is_not_claimed(self):
        self.vendor(socket.getaddrinfo, 'localhost', 80)
        self.vendor(socket.gethostbyname, 'localhost')
        self.assertEqual(self.new(), [])

    def test_a_call_is_claimed_with_its_method_and_nothing_else(self):
        with socket.create_server(('127.0.0.1', 0)) as server:
            connection = http.client.HTTPConnection('127.0.0.1', server.getsockname()[1])
            connection.connect()
            self.new()
            cookie = int.from_bytes(
                connection.sock.getsockopt(socket.SOL_SOCKET, 57, 8), sys.byteorder
            )
            self.vendor(
                connection.request,
                'POST',
                '/MARKER?MARKER=1',
                b'MARKER' * 9,
                {'X-MARKER': 'MARKER'},
            )
            claim = self.one(operation='call', key=cookie, chain='vendor', port=0)
            self.assertEqual(claim['detail'][:8], b'POST\0\0\0\0')
            connection.close()
        self.assertNotIn(b'MARKER', os.pread(recorder.ring.fd, hints.FILE_LEN, 0))

    def test_commands_of_other_protocols_are_calls_with_one_word_of_a_closed_list(self):
        class Client:
            sock = socket.socket()

        self.addCleanup(Client.sock.close)
        for event, piece, word in (
            ('smtplib.send', 'mail FROM:<MARKER@x> size=9\r\n', b'MAIL'),
            ('smtplib.send', b'MARKER is the message\r\n', None),
            ('smtplib.send', 'rcpt TO:<MARKER@x>\r\n', None),
            ('imaplib.send', b'ABCD1 LOGIN MARKER MARKER\r\n', b'LOGIN'),
            ('imaplib.send', b'ABCD2 MARKER\r\n', None),
            ('imaplib.send', b'MARKER', None),
            ('poplib.putline', b'RETR 7', b'RETR'),
            ('poplib.putline', b'PASS MARKER', None),
            ('ftplib.sendcmd', 'STOR MARKER', b'STOR'),
            ('ftplib.sendcmd', 'PASS MARKER', None),
            ('ftplib.sendcmd', '', None),
        ):
            self.vendor(sys.audit, event, Client(), piece)
            claims = self.new()
            self.assertEqual(
                [claim['detail'][:8].rstrip(b'\0') for claim in claims],
                [word] if word else [],
                piece,
            )
        self.assertNotIn(b'MARKER', os.pread(recorder.ring.fd, hints.FILE_LEN, 0))

    def test_what_is_no_request_head_is_no_call(self):
        for piece in (
            b'GET out of here',
            b'get / HTTP/1.1\r\n',
            b'SECRET / HTTP/1.1\r\n',
            b'',
            7,
            b'GET',
            b'\xff' * 99,
        ):
            sys.audit('http.client.send', self, piece)
        self.assertEqual(self.new(), [])
        self.assertEqual(self.daemon.rings[-1].counters()['failures'], 0)

    def test_a_socket_is_found_under_its_wrappers(self):
        class Wrapper:
            def __init__(self, sock):
                self._sock = sock

        context = ssl.create_default_context()
        with (
            socket.socket() as sock,
            context.wrap_socket(socket.socket(), server_hostname='x') as wrapped,
        ):
            self.assertIs(calls_of_core.kernel_socket(Wrapper(Wrapper(sock))), sock)
            self.assertIs(calls_of_core.kernel_socket(wrapped), wrapped)
            self.assertNotEqual(calls_of_core.cookie(wrapped), calls_of_core.cookie(sock))
        self.assertIsNone(calls_of_core.kernel_socket(None))
        self.assertIsNone(calls_of_core.kernel_socket(object()))

    def test_whatever_an_event_carries_the_hook_does_not_raise(self):
        before = self.daemon.rings[-1].counters()['failures']
        strange = (
            (),
            (None, None),
            (7, ('127.0.0.1', 1)),
            (socket.socket, ('x', 'y')),
            ([], {}),
            ('x',) * 9,
        )
        for event in (
            'socket.connect',
            'socket.sendto',
            'subprocess.Popen',
            'http.client.send',
            'os.posix_spawn',
        ):
            for args in strange:
                sys.audit(event, *args)
        self.assertGreater(self.daemon.rings[-1].counters()['failures'], before)

    def test_a_module_that_breaks_its_name_is_counted_and_connects_all_the_same(self):
        before = self.daemon.rings[-1].counters()['failures']
        scope = addon('vendor.x', 'def go(function, *args):\n    return function(*args)\n')
        scope['__name__'] = []
        with socket.socket() as sock:
            scope['go'](sock.connect_ex, ('127.0.0.1', nowhere()))
        self.assertEqual(self.daemon.rings[-1].counters()['failures'], before + 1)

    def test_a_child_of_fork_has_a_ring_of_its_own(self):
        pid = os.fork()
        if pid == 0:
            try:
                with socket.socket() as sock:
                    self.vendor(sock.connect_ex, ('127.0.0.1', 9))
                time.sleep(0.2)
            finally:
                os._exit(0)
        self.one(operation='spawn')
        self.daemon.accept(1)
        child = self.daemon.rings[-1]
        self.assertEqual(child.pid, pid)
        os.waitpid(pid, 0)
        self.assertEqual([claim['chain'] for claim in child.read_new()], ['vendor'])
        with socket.socket() as sock:
            sock.connect_ex(('127.0.0.1', 9))
        self.assertEqual(len(self.daemon.rings[-2].read_new()), 1, "the parent's ring goes on")

    def test_threads_that_begin_at_once_share_one_ring(self):
        recorder.release()
        barrier = threading.Barrier(8)

        def work():
            with socket.socket() as sock:
                barrier.wait()
                sock.connect_ex(('127.0.0.1', 9))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.daemon.accept(1)
        self.assertEqual(len(self.daemon.rings), 2)
        self.assertEqual(len(self.new()), 8)

    def heartbeat(self):
        return self.daemon.rings[-1].counters()['heartbeat']

    def test_a_hook_that_is_alive_says_so(self):
        before = self.heartbeat()
        sys.audit(core('hook').ALIVE)
        self.assertGreater(self.heartbeat(), before)
        self.assertEqual(self.new(), [], 'and claims nothing')

    def check_beats(self, beats, act):
        before = self.heartbeat()
        act()
        self.assertEqual(self.heartbeat() > before, beats)

    def test_a_new_socket_is_a_sign_of_life_unless_there_was_one_just_now(self):
        recorder.ring.beat_at = 0
        self.check_beats(True, lambda: socket.socket().close())
        self.check_beats(False, lambda: socket.socket().close())

    def test_who_serves_has_the_hook_say_that_it_lives_when_the_daemon_is_looked_for(self):
        with socket.create_server(('127.0.0.1', 0)) as listener:
            with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
                served = server()
                recorder.ring.look_at = time.monotonic_ns() + client.BACK_OFF
                self.check_beats(False, lambda: recorder.served(accepted, served))
                recorder.ring.look_at = 0
                self.check_beats(True, lambda: recorder.served(accepted, served))
        self.assertEqual([it['operation'] for it in self.new()[-2:]], ['serve', 'serve'])

    def test_a_hook_that_was_silenced_does_not_answer(self):
        """In a child, because a hook cannot be given its voice back."""
        pid = os.fork()
        if pid == 0:
            try:
                with socket.socket() as sock:
                    sock.connect_ex(('127.0.0.1', 9))
                hooks = [
                    it
                    for it in gc.get_objects()
                    if isinstance(it, types.FunctionType)
                    and it.__qualname__ == 'hooking.<locals>.hook'
                ]
                for hook in hooks:
                    hook.__code__ = _mute(len(hook.__code__.co_freevars))
                sys.audit(core('hook').ALIVE)
                with socket.create_server(('127.0.0.1', 0)) as listener:
                    recorder.served(listener, server())
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        self.daemon.accept(1)
        child = self.daemon.rings[-1]
        claims = child.read_new()
        self.assertEqual([claim['operation'] for claim in claims], ['connect', 'serve'])
        self.assertEqual(child.counters()['heartbeat'], claims[0]['time'])
        self.assertLess(child.counters()['heartbeat'], claims[1]['time'])


def _mute(variables):
    """The code of a hook that does nothing, with as many free variables as the real one has."""
    names = [f'v{number}' for number in range(variables)]
    scope = {}
    source = f"""
def outer({', '.join(names)}):
    def hook(event, args):
        return ({', '.join(names)},)[0] and None
    return hook
"""
    exec(source, scope)
    return scope['outer'](*names).__code__


class Daemons(unittest.TestCase):
    """Daemons that come, go, refuse and hang."""

    def setUp(self):
        begin_anew()

    def connect(self):
        with socket.socket() as sock:
            sock.connect_ex(('127.0.0.1', 9))

    def test_what_happened_before_the_daemon_came_is_handed_over(self):
        self.connect()
        self.connect()
        daemon = peer.Daemon(RUN_DIR)
        self.addCleanup(daemon.close)
        recorder.ring.look_at = 0
        self.connect()
        daemon.accept(1)
        self.assertEqual(len(daemon.rings[0].read_new()), 3)

    def test_after_a_restart_of_the_daemon_the_next_event_is_there(self):
        daemon = peer.Daemon(RUN_DIR)
        self.connect()
        daemon.accept(1)
        age(recorder)
        daemon.close()
        daemon = peer.Daemon(RUN_DIR)
        self.addCleanup(daemon.close)
        self.connect()
        daemon.accept(1)
        self.assertEqual(len(daemon.rings[0].read_new()), 2)

    def test_a_daemon_that_is_away_is_looked_for_again_soon(self):
        self.connect()
        self.assertLessEqual(recorder.ring.look_at, time.monotonic_ns() + client.NOBODY_BACK_OFF)
        self.assertFalse(recorder.link.is_up)
        recorder.ring.look_at = 0
        with socket.socket() as sock, patch.object(client._socket, 'socket', side_effect=AssertionError):
            recorder.served(sock, server())

    def test_a_daemon_that_hangs_up_at_once_is_left_alone(self):
        daemon = peer.Daemon(RUN_DIR)
        self.addCleanup(daemon.close)
        self.connect()
        daemon.accept(1)
        daemon.connections.pop().close()
        recorder.ring.look_at = 0
        self.connect()
        self.assertFalse(recorder.link.is_up)
        self.assertGreater(recorder.ring.look_at, time.monotonic_ns() + client.BACK_OFF // 2)

    def test_a_daemon_that_does_not_accept_costs_some_milliseconds_once(self):
        path = os.path.join(RUN_DIR, 'hints.sock')
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(path)
            self.addCleanup(os.unlink, path)
            listener.listen(0)
            filler = []
            while True:
                sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                self.addCleanup(sock.close)
                sock.setblocking(False)
                filler.append(sock)
                if sock.connect_ex(path):
                    break
            self.connect()
            self.assertFalse(recorder.link.is_up)
            self.assertGreater(recorder.ring.look_at, time.monotonic_ns() + client.BACK_OFF // 2)

    def test_something_else_at_the_path_is_no_daemon(self):
        path = os.path.join(RUN_DIR, 'hints.sock')
        with open(path, 'w', encoding='ascii'):
            self.addCleanup(os.unlink, path)
            self.connect()
            self.assertFalse(recorder.link.is_up)

    def test_a_ring_that_cannot_be_made_breaks_nothing(self):
        original = hints.Ring
        self.addCleanup(setattr, hints, 'Ring', original)

        def refuse():
            raise OSError('no memory files here')

        hints.Ring = refuse
        self.connect()
        self.assertFalse(recorder.ring.mine[0])
        hints.Ring = original
        self.connect()
        self.assertTrue(recorder.ring.mine[0])


class Alone(unittest.TestCase):
    def test_the_core_imports_nothing_but_python(self):
        code = (
            'import sys; sys.path.insert(0, sys.argv[1]); before = set(sys.modules);'
            'import core.hook, core.carry;'
            'new = {n.partition(".")[0] for n in set(sys.modules) - before} - {"core"};'
            'print(sorted(n for n in new if n.lstrip("_") not in sys.stdlib_module_names'
            ' and n not in sys.stdlib_module_names))'
        )
        folder = os.path.join(os.path.dirname(__file__), '../../odoo_addon/mit_network_audit')
        answer = subprocess.run(
            [sys.executable, '-I', '-S', '-c', code, folder],
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual(answer.stdout.strip(), '[]')


if __name__ == '__main__':
    unittest.main()
