"""What stands at the daemon's sockets and is not the daemon.

    python3 impostor.py FOLDER KIND

Kinds: `stopped` (nobody listens any more), `slow` (takes what comes and answers nothing), `full` (does not even take
it), `foreign` (answers nonsense, and hangs up on claims), `talkative` (sends without end).
"""

import os
import pathlib
import socket
import sys
import threading

NONSENSE = b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\xff\xfe{]\x00'


def listen(path, kind):
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, kind)
    listener.bind(str(path))
    path.chmod(0o666)
    listener.listen(1)
    return listener


def serve(listener, kind, answer):
    kept = []
    while True:
        connection, _ = listener.accept()
        kept.append(connection)
        threading.Thread(target=answer, args=(connection, kind), daemon=True).start()


def answer_question(connection, kind):
    try:
        connection.recv(65_536)
        if kind == 'foreign':
            connection.sendall(NONSENSE)
            connection.close()
        while kind == 'talkative':
            connection.sendall(b'HTTP/1.1 200 OK\r\nX: ' + b'x' * 65_536)
    except OSError:
        pass


def answer_claims(connection, kind):
    try:
        if kind == 'foreign':
            connection.close()
        while kind == 'talkative':
            connection.sendall(b'x' * 4096)
    except OSError:
        pass


def main():
    folder, kind = pathlib.Path(sys.argv[1]), sys.argv[2]
    claims = listen(folder / 'hints.sock', socket.SOCK_SEQPACKET)
    questions = listen(folder / 'auditor.sock', socket.SOCK_STREAM)
    if kind not in ('stopped', 'full'):
        for listener, answer in ((claims, answer_claims), (questions, answer_question)):
            threading.Thread(target=serve, args=(listener, kind, answer), daemon=True).start()
    print('ready', flush=True)
    if kind == 'stopped':
        os._exit(0)
    threading.Event().wait()


if __name__ == '__main__':
    main()
