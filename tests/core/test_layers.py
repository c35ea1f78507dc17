import asyncio
import contextlib
import os
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

import peer
from support import calls, core

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / 'scenarios'))
import servers

os.environ['NETWORK_AUDIT_RUN_DIR'] = os.environ.get('NETWORK_AUDIT_RUN_DIR') or tempfile.mkdtemp()
recorder, layers = core('hook').install(), core('layers')


class Quiet:
    """A truth log that nobody reads here."""

    def write(self, **fields):
        pass


class Layer(unittest.TestCase):
    def setUp(self):
        recorder.release()
        self.daemon = peer.Daemon(os.environ['NETWORK_AUDIT_RUN_DIR'])
        self.addCleanup(recorder.release)
        self.addCleanup(self.daemon.close)
        self.vendor = calls('vendor.models.x')

    def calls(self):
        self.daemon.accept(0)
        return [claim for claim in self.daemon.rings[-1].read_new() if claim['operation'] == 'call']


class Tls(Layer):
    def setUp(self):
        super().setUp()
        for wrapper in layers.wrap_tls(recorder):
            self.addCleanup(wrapper.remove)

    def certificate(self):
        folder = tempfile.mkdtemp()
        command = [
            'openssl',
            'req',
            '-x509',
            '-newkey',
            'ec',
            '-pkeyopt',
            'ec_paramgen_curve:prime256v1',
            '-nodes',
        ]
        command += [
            '-subj',
            '/CN=localhost',
            '-days',
            '1',
            '-keyout',
            f'{folder}/key',
            '-out',
            f'{folder}/certificate',
        ]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except FileNotFoundError:
            self.skipTest('SKIPPED: because there is no openssl command')
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f'{folder}/certificate', f'{folder}/key')
        return context

    def handshake(self, connect):
        """What `connect`, with an address and a context, makes the vendor claim."""
        with socket.create_server(('127.0.0.1', 0)) as listener:
            server_context = self.certificate()

            def serve():
                connection, _ = listener.accept()
                # Whether the client says good-bye is of no interest here.
                with (
                    contextlib.suppress(OSError),
                    server_context.wrap_socket(connection, server_side=True) as wrapped,
                ):
                    wrapped.recv(1)

            thread = threading.Thread(target=serve)
            thread.start()
            context = ssl._create_unverified_context()
            self.vendor(connect, listener.getsockname(), context)
            thread.join()
        return self.calls()

    def test_a_handshake_of_nothing_known_is_one_call(self):
        def connect(address, context):
            with (
                socket.create_connection(address) as sock,
                context.wrap_socket(sock, server_hostname='x') as wrapped,
            ):
                self.cookie = int.from_bytes(
                    wrapped.getsockopt(socket.SOL_SOCKET, 57, 8), sys.byteorder
                )

        found = [
            (claim['channel'], claim['chain'], claim['key']) for claim in self.handshake(connect)
        ]
        self.assertEqual(found, [('tls', 'vendor', self.cookie)])

    def test_a_handshake_of_a_known_layer_is_that_layers(self):
        def connect(address, context):
            scope = {'__name__': 'smtplib'}
            exec('def go(function, *args):\n    return function(*args)\n', scope)
            with socket.create_connection(address) as sock, scope['go'](context.wrap_socket, sock):
                pass

        self.assertEqual(self.handshake(connect), [])


class Httpx(Layer):
    def setUp(self):
        try:
            import httpx
        except ImportError:
            self.skipTest('SKIPPED: because this Python has no httpx')
        super().setUp()
        self.httpx = httpx
        port = servers.start({'http': 0}, Quiet())['http']
        self.url = f'http://127.0.0.1:{port}/operations/x'

    def check(self, found):
        self.assertEqual(
            [(claim['channel'], claim['chain']) for claim in found], [('httpx', 'vendor')] * 2
        )
        self.assertEqual([claim['detail'][:8].rstrip(b'\0') for claim in found], [b'GET', b'POST'])
        self.assertEqual(len({claim['key'] for claim in found}), 1, 'one connection, kept alive')

    def test_each_request_is_a_call_keep_alive_included(self):
        with self.httpx.Client() as client:
            self.vendor(client.get, self.url)
            self.vendor(client.post, self.url, content=b'MARKER')
        self.check(self.calls())
        self.assertNotIn(b'MARKER', os.pread(recorder.ring.fd, core('hints').FILE_LEN, 0))

    def test_each_asynchronous_request_is_a_call(self):
        async def both():
            async with self.httpx.AsyncClient() as client:
                await client.get(self.url)
                await client.post(self.url)

        self.vendor(asyncio.run, both())
        self.check(self.calls())


if __name__ == '__main__':
    unittest.main()
