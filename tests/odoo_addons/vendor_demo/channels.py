"""One way out for each name in `CHANNELS`, to loopback, with its operation for the other end."""

import asyncio
import ctypes
import functools
import imaplib
import json
import os
import poplib
import smtplib
import socket
import ssl
import struct
import subprocess
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage

import psycopg2
import requests

try:
    import httpx
except ImportError:  # no part of Odoo
    httpx = None

HOST = '127.0.0.1'
TIMEOUT = 5
PORTS = {
    'http': 18180,
    'smtp': 18125,
    'tcp': 18190,
    'udp': 18191,
    'postgres': 18132,
    'imap': 18143,
    'pop3': 18110,
    'tls': 18193,
}
CHANNELS = {}

# Kept open over requests, and used by `vendor_other` as well: two modules on one connection.
shared_session = requests.Session()


def channel(function):
    CHANNELS[function.__name__.removeprefix('by_').replace('_', '-')] = function
    return function


def ports(env):
    """Where the servers are: the environment, else a system parameter, else the usual ports."""
    text = os.environ.get('VENDOR_DEMO_SERVERS')
    if not text and env is not None:
        text = env['ir.config_parameter'].sudo().get_param('vendor_demo.servers')
    return {**PORTS, **json.loads(text or '{}')}


def url(port, operation):
    return f'http://{HOST}:{port}/operations/{operation}'


@channel
def by_requests(env, operation):
    requests.post(url(ports(env)['http'], operation), data=b'x' * 100, timeout=TIMEOUT)


@channel
def by_urllib(env, operation):
    with urllib.request.urlopen(url(ports(env)['http'], operation), timeout=TIMEOUT) as answer:
        answer.read()


if httpx is not None:

    @channel
    def by_httpx(env, operation):
        httpx.get(url(ports(env)['http'], operation), timeout=TIMEOUT)


@channel
def by_keep_alive(env, operation):
    shared_session.get(url(ports(env)['http'], operation), timeout=TIMEOUT)


@channel
def by_smtp(env, operation):
    message = EmailMessage()
    message['X-Operation'] = operation
    message['From'], message['To'] = 'demo@example.com', 'nobody@example.com'
    message.set_content('demonstration')
    with smtplib.SMTP(HOST, ports(env)['smtp'], timeout=TIMEOUT, local_hostname='demo') as server:
        server.send_message(message)


@channel
def by_imap(env, operation):
    with imaplib.IMAP4(HOST, ports(env)['imap'], timeout=TIMEOUT) as server:
        server.login(operation, 'demo')
        server.select()


@channel
def by_pop3(env, operation):
    server = poplib.POP3(HOST, ports(env)['pop3'], timeout=TIMEOUT)
    server.user(operation)
    server.pass_('demo')
    server.stat()
    server.quit()


@channel
def by_curl(env, operation):
    command = [
        'curl',
        '-s',
        '-m',
        str(TIMEOUT),
        '-o',
        '/dev/null',
        url(ports(env)['http'], operation),
    ]
    subprocess.run(command, check=True)


@channel
def by_tls(env, operation):
    """TLS with nothing that is known above it; anonymous, because a demonstration needs no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers('AECDH-AES256-SHA:@SECLEVEL=0')
    with socket.create_connection((HOST, ports(env)['tls']), TIMEOUT) as plain:
        with context.wrap_socket(plain) as wrapped:
            wrapped.sendall(operation.encode() + b'\n')
            wrapped.recv(16)


@channel
def by_double_fork(env, operation):
    """A grandchild that outlives the shell which started it, as daemons are made."""
    target = url(ports(env)['http'], operation)
    command = f'(setsid curl -s -m {TIMEOUT} -o /dev/null "$1" &)'
    subprocess.run(['bash', '-c', command, 'bash', target], check=True)


@channel
def by_asyncio(env, operation):
    async def converse():
        reader, writer = await asyncio.open_connection(HOST, ports(env)['tcp'])
        writer.write(operation.encode() + b'\n')
        await writer.drain()
        await reader.readline()
        writer.close()
        await writer.wait_closed()

    asyncio.run(converse())


@channel
def by_action(env, operation):
    """Code that is stored in the database calls the module."""
    action = env.ref('vendor_demo.action_server_call')
    action.with_context(channel='requests', operation_id=operation).run()


@channel
def by_psycopg2(env, operation):
    try:
        psycopg2.connect(
            host=HOST,
            port=ports(env)['postgres'],
            user='demo',
            dbname='demo',
            application_name=operation,
            connect_timeout=TIMEOUT,
            sslmode='disable',
            gssencmode='disable',
        )
    except psycopg2.OperationalError as error:
        if 'no database' not in str(error):
            raise


@channel
def by_ctypes(env, operation):
    """The C library's own calls: no audit event of Python fires."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.socket(socket.AF_INET, socket.SOCK_STREAM, 0)
    try:
        port = ports(env)['tcp']
        address = (
            struct.pack('=H', socket.AF_INET)
            + struct.pack('!H', port)
            + socket.inet_aton(HOST)
            + bytes(8)
        )
        piece = operation.encode() + b'\n'
        answer = ctypes.create_string_buffer(16)
        if (
            libc.connect(descriptor, address, len(address))
            or libc.send(descriptor, piece, len(piece), 0) < 0
        ):
            raise OSError(ctypes.get_errno(), 'connect or send by the C library')
        libc.recv(descriptor, answer, len(answer), 0)
    finally:
        libc.close(descriptor)


@channel
def by_udp(env, operation):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(TIMEOUT)
        sock.sendto(operation.encode(), (HOST, ports(env)['udp']))
        sock.recv(16)


@channel
def by_thread(env, operation):
    """A thread whose own stack has no frame of this module."""
    target = url(ports(env)['http'], operation)
    thread = threading.Thread(target=requests.get, args=(target,), kwargs={'timeout': TIMEOUT})
    thread.start()
    thread.join()


@channel
def by_pool(env, operation):
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(requests.get, url(ports(env)['http'], operation), timeout=TIMEOUT).result()


@channel
def by_postcommit(env, operation):
    """A callback that runs after the commit, when the frames of its request's method are gone."""
    target = url(ports(env)['http'], operation)
    env.cr.postcommit.add(functools.partial(requests.get, target, timeout=TIMEOUT))
