"""Beside the demonstration's servers: real ones of S3, SFTP and FTP, each behind a relay that counts, and a SOAP service.

    python3 tests/scenarios/real_servers.py --log /tmp/truth.jsonl

Needs moto, asyncssh and pyftpdlib. Everybody is let in, to a folder that is empty and goes with the servers.
"""

import asyncio
import contextlib
import functools
import os
import socket
import tempfile
import threading

import asyncssh
import servers
from moto.server import ThreadedMotoServer
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import ThreadedFTPServer

HOST = '127.0.0.1'
BUCKET = 'demo'


class Relay(servers.Conversation):
    """Hands on to a server that is somebody else's, and back."""

    behind = 0

    def handle(self):
        self.saw(self.protocol)
        with socket.create_connection((HOST, self.behind)) as behind:
            back = threading.Thread(target=self.hand_back, args=(behind,))
            back.start()
            with contextlib.suppress(OSError):  # one of the two has hung up
                while piece := self.counted.read(65_536):
                    behind.sendall(piece)
            with contextlib.suppress(OSError):
                behind.shutdown(socket.SHUT_WR)
            back.join()

    def hand_back(self, behind):
        with contextlib.suppress(OSError):
            while piece := behind.recv(65_536):
                self.wfile.write(piece)
            self.request.shutdown(socket.SHUT_WR)


def s3():
    server = ThreadedMotoServer(HOST, 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    put = f'PUT /{BUCKET} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'
    with socket.create_connection((HOST, port)) as connection:
        connection.sendall(put.encode())
        while connection.recv(65_536):
            pass
    return port


class Everybody(asyncssh.SSHServer):
    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return True


def sftp(folder):
    """Its port, and its host key as a client's file of known hosts has it."""
    key = asyncssh.generate_private_key('ssh-ed25519')
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    async def listen():
        files = functools.partial(asyncssh.SFTPServer, chroot=folder.encode())
        return await asyncssh.listen(
            HOST, 0, server_host_keys=[key], server_factory=Everybody, sftp_factory=files
        )

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(20)
    return server.get_port(), f'{HOST} {key.export_public_key().decode()}'


def ftp(folder):
    authorizer = DummyAuthorizer()
    authorizer.add_user('demo', 'demo', folder, perm='elradfmwMT')
    handler = type('Handler', (FTPHandler,), {'authorizer': authorizer, 'banner': 'demo'})
    server = ThreadedFTPServer((HOST, 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={'handle_exit': False}, daemon=True).start()
    return server.socket.getsockname()[1]


class Soap(servers.Http):
    """The European Union's register of VAT numbers, as far as Odoo asks it; all numbers are valid."""

    protocol = 'soap'
    known_hosts = ''
    NAMES = 'urn:ec.europa.eu:taxud:vies:services:checkVat'
    ANSWER = (
        '<env:Envelope xmlns:env="http://schemas.xmlsoap.org/soap/envelope/"><env:Body>'
        '<checkVatResponse xmlns="{names}:types"><countryCode>BE</countryCode><vatNumber>0477472701</vatNumber>'
        '<valid>true</valid></checkVatResponse></env:Body></env:Envelope>'
    )
    WSDL = """<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"
 xmlns:x="http://www.w3.org/2001/XMLSchema" xmlns:i="{names}" xmlns:t="{names}:types" targetNamespace="{names}">
<types><x:schema targetNamespace="{names}:types" elementFormDefault="qualified">
<x:element name="checkVat"><x:complexType><x:sequence><x:element name="countryCode" type="x:string"/>
<x:element name="vatNumber" type="x:string"/></x:sequence></x:complexType></x:element>
<x:element name="checkVatResponse"><x:complexType><x:sequence><x:element name="countryCode" type="x:string"/>
<x:element name="vatNumber" type="x:string"/><x:element name="valid" type="x:boolean"/></x:sequence></x:complexType>
</x:element></x:schema></types>
<message name="ask"><part name="p" element="t:checkVat"/></message>
<message name="say"><part name="p" element="t:checkVatResponse"/></message>
<portType name="port"><operation name="checkVat"><input message="i:ask"/><output message="i:say"/></operation></portType>
<binding name="binding" type="i:port"><s:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
<operation name="checkVat"><s:operation soapAction=""/><input><s:body use="literal"/></input>
<output><s:body use="literal"/></output></operation></binding>
<service name="service"><port name="port" binding="i:binding"><s:address location="{address}"/></port></service>
</definitions>"""

    def do_GET(self):
        if self.path == '/known_hosts':
            self.saw('known_hosts')
            return self.say(self.known_hosts, 'text/plain')
        self.saw('wsdl')
        address = 'http://{}:{}/checkVat'.format(*self.server.server_address)
        self.say(self.WSDL.format(names=self.NAMES, address=address))

    def do_POST(self):
        self.rfile.read(int(self.headers.get('Content-Length') or 0))
        self.saw('checkVat')
        self.say(self.ANSWER.format(names=self.NAMES))

    def say(self, text, kind='text/xml'):
        body = text.encode()
        head = f'HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n'
        self.wfile.write(head.encode() + body)


def main():
    with tempfile.TemporaryDirectory(prefix='network-audit-') as folder:
        os.mkdir(os.path.join(folder, BUCKET))
        sftp_port, Soap.known_hosts = sftp(folder)
        behind = {'s3': s3(), 'sftp': sftp_port, 'ftp': ftp(folder)}
        for name, port in behind.items():
            relay = type(name, (Relay,), {'protocol': name, 'behind': port})
            servers.KINDS[name] = (servers.TcpServer, relay)
        servers.KINDS['soap'] = (servers.TcpServer, Soap)
        servers.DEFAULT_PORTS.update(dict.fromkeys([*behind, 'soap'], 0))
        servers.main()


if __name__ == '__main__':
    main()
