"""Goes out by a mix of channels, each call with its module's name for the other end."""

import functools
import json
import os
import smtplib
import socket
import subprocess
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import requests

from odoo import http
from odoo.http import request

HOST, TIMEOUT = '127.0.0.1', 10
NAME = 'vendor_soak'
# Each module has servers of its own: whose a connection is, is where it goes.
PORTS = json.loads(os.environ.get('VENDOR_SOAK_SERVERS', '{}')).get(NAME)
POOL = ThreadPoolExecutor(max_workers=2)


def url(operation):
    return f'http://{HOST}:{PORTS["http"]}/{operation}'


def by_requests(operation):
    requests.post(url(operation), data=b'x' * 200, timeout=TIMEOUT)


def by_urllib(operation):
    urllib.request.urlopen(url(operation), timeout=TIMEOUT).read()


def by_smtp(operation):
    with smtplib.SMTP(HOST, PORTS['smtp'], timeout=TIMEOUT, local_hostname='demo') as server:
        server.sendmail('a@example.com', ['b@example.com'], f'X-Operation: {operation}\r\n\r\nx')


def by_socket(operation):
    with socket.create_connection((HOST, PORTS['tcp']), TIMEOUT) as connection:
        connection.sendall(operation.encode() + b'\n')
        connection.recv(16)


def by_thread(operation):
    thread = threading.Thread(target=requests.get, args=(url(operation),), kwargs={'timeout': TIMEOUT})
    thread.start()
    thread.join()


def by_pool(operation):
    POOL.submit(requests.get, url(operation), timeout=TIMEOUT).result()


def by_postcommit(operation):
    request.env.cr.postcommit.add(functools.partial(requests.get, url(operation), timeout=TIMEOUT))


def by_curl(operation):
    subprocess.run(['curl', '-s', '-m', str(TIMEOUT), '-o', '/dev/null', url(operation)], check=True)


# How often of a hundred; the rest are the first.
MIX = ((by_urllib, 20), (by_smtp, 15), (by_socket, 15), (by_thread, 8), (by_pool, 8), (by_postcommit, 8), (by_curl, 2))


class Soak(http.Controller):
    @http.route('/vendor_soak/go/<int:number>', type='http', auth='none')
    def go(self, number):
        left = number * 37 % 100
        for act, often in MIX:
            if left < often:
                break
            left -= often
        else:
            act = by_requests
        act(f'{NAME}-{number}-{act.__name__}')
        return 'ok'
