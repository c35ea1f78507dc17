"""Secrets, each used once, in every place that a call has for one: none of them is anybody else's business."""

import asyncio
import base64
import contextlib
import ftplib
import functools
import http.client
import imaplib
import os
import poplib
import smtplib
import socket
import ssl
import subprocess
import threading
import urllib.parse
import urllib.request
import xmlrpc.client
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage

import psycopg2
import requests
import websocket

from . import channels

HOST, TIMEOUT = channels.HOST, channels.TIMEOUT


class Planting:
    """Hands out markers, and remembers them."""

    def __init__(self, env, seed):
        self.env = env
        self._seed = seed
        self.planted = []

    def mark(self):
        self.planted.append(f'zqx{self._seed}{len(self.planted):03}xqz')
        return self.planted[-1]

    def url(self, port):
        """Path, query, user and password."""
        mark = self.mark
        return f'http://{mark()}:{mark()}@{HOST}:{port}/{mark()}/{mark()}?{mark()}={mark()}#{mark()}'

    def headers(self):
        mark = self.mark
        credentials = base64.b64encode(f'user:{mark()}'.encode()).decode()
        return {
            'X-Token': mark(),
            'Cookie': f'session_id={mark()}',
            'Referer': f'http://other.example/{mark()}',
            'User-Agent': mark(),
            'Authorization': f'Basic {credentials}',
        }


def plant(env, seed):
    """Goes out by every channel; what becomes of a call does not matter. Returns the markers."""
    planting = Planting(env, seed)
    ports = channels.ports(env)
    for act in ACTS:
        for _ in range(2):
            with contextlib.suppress(Exception):
                act(planting, ports)
    return planting.planted


def by_requests(planting, ports):
    mark = planting.mark
    form, files = {mark(): mark()}, {'file': (mark(), mark())}
    requests.post(
        planting.url(ports['http']), data=form, files=files, headers=planting.headers(), timeout=TIMEOUT
    )
    requests.put(planting.url(ports['http']), json={mark(): [mark()]}, timeout=TIMEOUT)
    requests.request(mark(), planting.url(ports['http']), timeout=TIMEOUT)


def by_httpx(planting, ports):
    if channels.httpx is not None:
        channels.httpx.post(
            planting.url(ports['http']), content=planting.mark(), headers=planting.headers(), timeout=TIMEOUT
        )


def by_urllib(planting, ports):
    mark = planting.mark
    target = f'http://{HOST}:{ports["http"]}/{mark()}?{urllib.parse.urlencode({mark(): mark()})}'
    request = urllib.request.Request(target, mark().encode(), planting.headers())
    urllib.request.urlopen(request, timeout=TIMEOUT).read()


def by_http(planting, ports):
    connection = http.client.HTTPConnection(HOST, ports['http'], timeout=TIMEOUT)
    connection.request('POST', '/' + planting.mark(), planting.mark(), planting.headers())
    connection.getresponse().read()
    # A piece that is no head, and one whose head has no word for its method.
    connection.send(planting.mark().encode())
    connection.send(f'{planting.mark()} {planting.mark()}\r\n\r\n'.encode())


def by_xmlrpc(planting, ports):
    proxy = xmlrpc.client.ServerProxy(f'http://{HOST}:{ports["http"]}/{planting.mark()}')
    getattr(proxy, planting.mark())(planting.mark())


def by_smtp(planting, ports):
    mark = planting.mark
    message = EmailMessage()
    message['From'], message['To'] = f'{mark()}@{mark()}.example', f'{mark()}@example.com'
    message['Subject'], message['X-Header'] = mark(), mark()
    message.set_content(mark())
    message.add_attachment(mark().encode(), maintype='text', subtype='x', filename=mark())
    with smtplib.SMTP(HOST, ports['smtp'], timeout=TIMEOUT, local_hostname=mark()) as server:
        server.docmd('AUTH', f'PLAIN {mark()}')
        server.docmd(mark(), mark())
        server.send_message(message)


def by_imap(planting, ports):
    mark = planting.mark
    with imaplib.IMAP4(HOST, ports['imap'], timeout=TIMEOUT) as server:
        server.login(mark(), mark())
        with contextlib.suppress(imaplib.IMAP4.error):
            server.select(mark())
        server.search(None, 'SUBJECT', mark())


def by_pop3(planting, ports):
    server = poplib.POP3(HOST, ports['pop3'], timeout=TIMEOUT)
    server.user(planting.mark())
    server.pass_(planting.mark())
    server._shortcmd(planting.mark())
    server.quit()


def by_ftp(planting, ports):
    ftplib.FTP(timeout=TIMEOUT).connect(f'{planting.mark()}.invalid', ports['tcp'])


def by_ftp_commands(planting, ports):
    """To a server that answers no FTP: the commands are said all the same."""
    server = ftplib.FTP()
    server.sock = socket.create_connection((HOST, ports['tcp']), TIMEOUT)
    server.file = server.sock.makefile('r')
    for command in ('USER', 'PASS', 'CWD', planting.mark()):
        with contextlib.suppress(Exception):
            server.sendcmd(f'{command} {planting.mark()}')


def by_socket(planting, ports):
    with socket.create_connection((HOST, ports['tcp']), TIMEOUT) as connection:
        connection.sendall(planting.mark().encode() + b'\n')
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(planting.mark().encode(), (HOST, ports['udp']))
        sock.sendmsg([planting.mark().encode()], [], 0, (HOST, ports['udp']))
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as local:
        local.connect('\0' + planting.mark())


def by_tls(planting, ports):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers('AECDH-AES256-SHA:@SECLEVEL=0')
    with socket.create_connection((HOST, ports['tls']), TIMEOUT) as plain:
        with context.wrap_socket(plain) as wrapped:
            wrapped.sendall(planting.mark().encode() + b'\n')


def by_names(planting, ports):
    """Labels of names that are looked up."""
    for look_up in (
        socket.gethostbyname,
        socket.gethostbyname_ex,
        lambda name: socket.getaddrinfo(name, planting.mark()),
        lambda name: socket.create_connection((name, ports['tcp']), TIMEOUT),
    ):
        with contextlib.suppress(OSError):
            look_up(f'{planting.mark()}.{planting.mark()}.invalid')


def by_children(planting, ports):
    mark = planting.mark
    target = planting.url(ports['http'])
    subprocess.run(['curl', '-s', '-u', f'{mark()}:{mark()}', '-d', mark(), '-H', f'X: {mark()}', target], check=False)
    subprocess.run(['true', mark()], env={mark(): mark()}, check=False)
    subprocess.run(f': {mark()}', shell=True, check=False)
    subprocess.run(['bash', '-c', f'exec -a {mark()} true {mark()}'], check=False)
    os.system(f': {mark()}')
    os.waitpid(os.posix_spawn('/bin/true', ['true', mark()], {mark(): mark()}), 0)


def by_others(planting, ports):
    """Without a library that is known: asyncio, threads whose names are markers, the C library's own calls, a pool."""
    mark = planting.mark

    async def converse():
        reader, writer = await asyncio.open_connection(HOST, ports['tcp'])
        writer.write(f'{mark()}\n'.encode())
        await writer.drain()
        writer.close()

    asyncio.run(converse())
    asked = functools.partial(requests.get, planting.url(ports['http']), headers=planting.headers(), timeout=TIMEOUT)
    thread = threading.Thread(target=asked, name=mark())
    thread.start()
    thread.join()
    with ThreadPoolExecutor(1, thread_name_prefix=mark()) as pool:
        pool.submit(requests.get, planting.url(ports['http']), timeout=TIMEOUT).result()
    channels.by_ctypes(planting.env, mark())
    channels.by_double_fork(planting.env, mark())
    planting.env.cr.postcommit.add(asked)


def by_websocket(planting, ports):
    address = f'ws://{HOST}:{ports["http"]}/{planting.mark()}?{planting.mark()}'
    header = {f'X-{planting.mark()}': planting.mark()}
    websocket.create_connection(address, timeout=TIMEOUT, header=header, cookie=planting.mark()).close()


def by_postgres(planting, ports):
    mark = planting.mark
    psycopg2.connect(
        host=HOST, port=ports['postgres'], user=mark(), password=mark(), dbname=mark(), application_name=mark(),
        connect_timeout=TIMEOUT, sslmode='disable', gssencmode='disable',
    )


ACTS = (
    *(by_requests, by_httpx, by_urllib, by_http, by_xmlrpc, by_smtp, by_imap, by_pop3, by_ftp),
    *(by_ftp_commands, by_socket, by_tls, by_names, by_children, by_postgres, by_others, by_websocket),
)
