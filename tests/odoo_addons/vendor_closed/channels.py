"""Ways out, for a vendor that ships no source."""

import json
import os
import socket
import subprocess
import threading

import requests

HOST, TIMEOUT = '127.0.0.1', 10
PORTS = json.loads(os.environ.get('VENDOR_DEMO_SERVERS', '{}'))


def url(operation):
    return f'http://{HOST}:{PORTS["http"]}/{operation}'


def by_requests(operation):
    requests.post(url(operation), data=b'x' * 200, timeout=TIMEOUT)


def by_socket(operation):
    with socket.create_connection((HOST, PORTS['tcp']), TIMEOUT) as connection:
        connection.sendall(operation.encode() + b'\n')
        connection.recv(16)


def by_thread(operation):
    thread = threading.Thread(target=requests.get, args=(url(operation),), kwargs={'timeout': TIMEOUT})
    thread.start()
    thread.join()


def by_curl(operation):
    subprocess.run(['curl', '-s', '-m', str(TIMEOUT), '-o', '/dev/null', url(operation)], check=True)
