"""A name server and servers behind names, in a network of their own.

    names.py ADDRESS…

At port 53 of each address, over UDP and TCP, it answers out of one zone; at ports 80 and 443 of every address something
accepts, reads once, and hangs up. It prints `ready` when it does, and ends with its input.
"""

import ipaddress
import socket
import socketserver
import struct
import sys
import threading

A, CNAME, AAAA = 1, 5, 28
ZONE = {
    'telemetry.mit-odoo.de': ['203.0.113.10', '2001:db8:1::10'],
    'mit-odoo.de': ['203.0.113.11'],
    'iap.odoo.com': ['203.0.113.12'],
    'www.shop.example': ['marker-7f3a.cdn.example'],
    'marker-7f3a.cdn.example': ['203.0.113.13'],
    'marker-7f3a.shop.example': ['203.0.113.14'],
}


def name(text):
    return b''.join(bytes([len(label)]) + label.encode() for label in text.split('.')) + b'\0'


def labels(message, at):
    found = []
    while message[at]:
        found.append(message[at + 1 : at + 1 + message[at]].decode())
        at += 1 + message[at]
    return '.'.join(found), at + 1


def record(owner, kind, content):
    return name(owner) + struct.pack('>HHIH', kind, 1, 30, len(content)) + content


def records(asked, kind):
    """The chain to the addresses of this kind."""
    for value in ZONE.get(asked, ()):
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            yield record(asked, CNAME, name(value))
            yield from records(value, kind)
        else:
            if kind == (A if address.version == 4 else AAAA):
                yield record(asked, kind, address.packed)


def answer(message):
    asked, end = labels(message, 12)
    (kind,) = struct.unpack_from('>H', message, end)
    found = list(records(asked.lower(), kind))
    code = 0 if asked.lower() in ZONE else 3
    head = message[:2] + struct.pack('>HHHHH', 0x8580 | code, 1, len(found), 0, 0)
    return head + message[12 : end + 4] + b''.join(found)


class Datagram(socketserver.BaseRequestHandler):
    def handle(self):
        message, sock = self.request
        sock.sendto(answer(message), self.client_address)


class Stream(socketserver.BaseRequestHandler):
    def handle(self):
        (length,) = struct.unpack('>H', self.request.recv(2, socket.MSG_WAITALL))
        found = answer(self.request.recv(length, socket.MSG_WAITALL))
        self.request.sendall(struct.pack('>H', len(found)) + found)


class Sink(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.recv(4096)


class V6(socketserver.ThreadingTCPServer):
    """IPv4 as well."""

    address_family = socket.AF_INET6
    allow_reuse_address = daemon_threads = True


def main():
    servers = [V6(('::', port), Sink) for port in (80, 443)]
    for address in sys.argv[1:]:
        servers.append(socketserver.ThreadingUDPServer((address, 53), Datagram))
        servers.append(socketserver.ThreadingTCPServer((address, 53), Stream))
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print('ready', flush=True)
    sys.stdin.read()


main()
