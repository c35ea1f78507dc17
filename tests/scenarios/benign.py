"""What ordinary code does that could look like a lie, and is none."""

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import threading

from attacks import caller


class Benign:
    """Each method is something ordinary that a test names. They go to a server that accepts and hangs up."""

    def nonblocking(self, host, port, module):
        """As gevent connects: it begins, and asks again how it went."""
        connection = socket.socket()
        connection.setblocking(False)
        go = caller(module)
        go(connection.connect_ex, (host, port))
        go(connection.connect_ex, (host, port))
        connection.close()

    def again_by_another(self, host, port, one, other):
        """The socket of a connect that failed is used again, by another module."""
        nowhere = socket.socket()
        nowhere.bind(('127.0.0.1', 0))
        connection = socket.socket()
        with contextlib.suppress(OSError):
            caller(one)(connection.connect, nowhere.getsockname())
        caller(other)(connection.connect_ex, (host, port))
        connection.close()

    def shared_connection(self, host, port, one, other):
        """Keep-alive: two modules send over one connection."""
        connection = http.client.HTTPConnection(host, port)
        caller(one)(connection.connect)
        for module in (one, other):
            with contextlib.suppress(OSError):
                caller(module)(connection.send, b'GET / HTTP/1.1\r\n\r\n')
        connection.close()

    def call_at_the_end(self, host, port, module):
        """A call whose flow is over before anybody reads the claim."""

        def once():
            connection = http.client.HTTPConnection(host, port)
            with contextlib.suppress(OSError):
                connection.request('POST', '/', b'x')
            connection.close()

        caller(module)(once)

    def inherited_socket(self, host, port, module):
        """A child of a fork goes on with its parent's connection, and calls over it."""
        connection = http.client.HTTPConnection(host, port)
        caller(module)(connection.connect)
        child = os.fork()
        if not child:
            with contextlib.suppress(BaseException):
                caller(module)(connection.request, 'GET', '/')
            os._exit(0)
        os.waitpid(child, 0)
        connection.close()

    def spawns(self, module):
        """Children from several threads at once, by every way to start one."""

        def start():
            subprocess.run(['true'], check=True)
            os.system('true')
            os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)

        threads = [threading.Thread(target=caller(module), args=(start,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def spawn_and_end(self, module):
        """A worker that starts something as its last act."""
        child = os.fork()
        if not child:
            caller(module)(subprocess.Popen, ['true'])
            os._exit(0)
        os.waitpid(child, 0)

    def unbound_name(self, port, module):
        """By a name: the claim has no address that could be compared."""
        connection = socket.socket()
        caller(module)(connection.connect, ('localhost', port))
        connection.close()

    def datagrams_of_two(self, host, port, one, other):
        """Two modules send datagrams by one socket, to the same peer and to others."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for module in (one, other):
            for at in (port, port + 1):
                caller(module)(sock.sendto, b'x', (host, at))
        sock.close()

    def mapped_address(self, port, module):
        """An IPv4 address in an IPv6 socket."""
        connection = socket.socket(socket.AF_INET6)
        caller(module)(connection.connect, ('::ffff:127.0.0.1', port))
        connection.close()

    def any_address(self, port, module):
        """`0.0.0.0` is where this machine listens: the kernel goes to loopback."""
        connection = socket.socket()
        caller(module)(connection.connect, ('0.0.0.0', port))
        connection.close()

    def patched(self, host, port, module, patched):
        """A monkey patch: a function of one module stands in another."""
        go = caller(module)
        caller(patched)
        sys.modules[f'odoo.addons.{patched}.models.caller'].go = go
        connection = socket.socket()
        sys.modules[f'odoo.addons.{patched}.models.caller'].go(connection.connect, (host, port))
        connection.close()
