# Part of Network Audit. License LGPL-3.
"""The only socket code of the addon: claims go to the daemon, and questions are asked of it.

`Link` hands the ring's memfd over, once for each process. Nothing but the description of the ring
goes over it, and nothing is ever received. Its socket is the raw C one, so that neither gevent nor
any module that patches `socket` is in between.

`ask`, `lines` and `stream` speak HTTP and JSON over the daemon's local socket. Neither is audited:
the hook looks at sockets of the Internet families only.
"""

import _socket
import array
import contextlib
import errno
import http.client
import json
import os
import select  # noqa: F401  (`unpatched` looks it up)
import socket
import subprocess
import sys
import threading
import urllib.parse

from . import hints

RUN_DIR = '/run/network-audit'
SOCKET_NAME = 'hints.sock'
API_NAME = 'auditor.sock'
MS = 1_000_000  # nanoseconds
CONNECT_SECONDS = 0.020
# While the daemon is there. None comes back faster after it was gone (it loads its programs first),
# so nothing is missed by not asking more often.
LOOK_AGAIN = 50 * MS
# After a daemon that does not answer in time: a try costs up to CONNECT_SECONDS.
BACK_OFF = 5000 * MS
# After "nobody there": a try costs some microseconds, and the daemon may be starting just now.
NOBODY_BACK_OFF = 100 * MS
# A daemon that hangs up faster than this has refused us.
REFUSED = 200 * MS


def unpatched(module, name):
    """The interpreter's own function, also where gevent has put another one in its place."""
    monkey = sys.modules.get('gevent.monkey')
    if monkey is not None and monkey.is_object_patched(module, name):
        return monkey.get_original(module, name)
    return getattr(sys.modules[module], name)


def run_dir():
    return os.environ.get('NETWORK_AUDIT_RUN_DIR') or RUN_DIR


def socket_path():
    return os.path.join(run_dir(), SOCKET_NAME)


def api_path():
    return os.path.join(run_dir(), API_NAME)


class Link:
    """The connection of one process to the daemon. Times are CLOCK_MONOTONIC nanoseconds."""

    def __init__(self, path, ring_fd):
        self._path = path
        self._ring_fd = ring_fd
        self._socket = None
        self._poll = None
        self._connected_at = 0

    @property
    def is_up(self):
        return self._socket is not None

    def look(self, now):
        """Connects if there is no daemon at the other end; says when to look again."""
        if self._socket is not None:
            if not self._poll(0):
                return now + LOOK_AGAIN
            self.close()
            if now - self._connected_at < REFUSED:
                return now + BACK_OFF
        return now + self._connect(now)

    def _connect(self, now):
        """Hands the ring over; returns how much later to look again."""
        if not os.access(self._path, os.F_OK):
            return NOBODY_BACK_OFF  # said without making a socket and catching an exception
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
        try:
            connection.settimeout(CONNECT_SECONDS)
            connection.connect(self._path)
            rights = array.array('i', [self._ring_fd])
            connection.sendmsg([hints.HELLO], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
            poll = unpatched('select', 'poll')()
            # Nothing is expected from the daemon: only its hanging up is reported.
            poll.register(connection.fileno(), 0)
        except (FileNotFoundError, ConnectionRefusedError):
            connection.close()
            return NOBODY_BACK_OFF
        except OSError:
            connection.close()
            return BACK_OFF
        self._socket, self._poll, self._connected_at = connection, poll.poll, now
        return LOOK_AGAIN

    def close(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = self._poll = None


# Seconds. The daemon answers within milliseconds; a page waits no longer than this.
ANSWER_SECONDS = 5
# A whole answer is not longer than this, bytes: what is longer is not the daemon's.
ANSWER_MAX = 64 << 20
LINE_MAX = 4 << 20
PIECE = 1 << 16
# What this addon asks for is in the daemon's API since this number (`/v1/version`).
NEEDED_API = 1
# What each answer of the daemon says of who gives it, before its version.
NAME = 'network-audit/'


class Why:
    """Why the daemon did not answer as it was asked; each has another remedy."""

    ABSENT = 'absent'  # there is no socket: not installed, not started, not mounted
    STOPPED = 'stopped'  # there is a socket, and nobody listens
    DENIED = 'denied'  # the socket may not be opened
    SLOW = 'slow'  # somebody listens, and does not answer in time
    FOREIGN = 'foreign'  # whoever answers is not the daemon
    STRANGER = 'stranger'  # the daemon does not know this process as an audited one
    OLD = 'old'  # the daemon does not know the question, or speaks an older API
    OTHER = 'other_ledger'  # it is another daemon than the one whose records are here
    REFUSED = 'refused'  # the daemon says why the question makes no sense
    FAILED = 'failed'  # the daemon says that it cannot answer now


_KIND_BY_STATUS = {403: Why.STRANGER, 404: Why.OLD, 405: Why.OLD}


class NoAnswer(Exception):
    """The daemon did not answer; `kind` says which of the reasons above it is."""

    def __init__(self, kind, detail=''):
        super().__init__(detail or kind)
        self.kind = kind
        self.detail = detail


class _LocalConnection(http.client.HTTPConnection):
    """HTTP over the daemon's socket."""

    def __init__(self, path, seconds):
        super().__init__('localhost', timeout=seconds)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@contextlib.contextmanager
def _answer(path, query, body, seconds):
    """The daemon's answer, if it is a good one. `seconds` is the time for each single wait."""
    query = {key: value for key, value in (query or {}).items() if value not in (None, False, '')}
    target = f'{path}?{urllib.parse.urlencode(query)}' if query else path
    headers = {'Content-Type': 'application/json'} if body is not None else {}
    content = None if body is None else json.dumps(body).encode()
    connection = _LocalConnection(api_path(), seconds)
    try:
        connection.connect()
        # Who refuses a question need not read it to its end: what it says about it is there all the
        # same, and nothing else tells that it runs.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request('GET' if body is None else 'POST', target, content, headers)
        response = connection.getresponse()
        _require_daemon(response)
        if response.status >= 400:
            raise _refusal(response)
        yield response
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoAnswer(Why.ABSENT, str(error)) from error
    except ConnectionRefusedError as error:
        raise NoAnswer(Why.STOPPED, str(error)) from error
    except PermissionError as error:
        raise NoAnswer(Why.DENIED, str(error)) from error
    except TimeoutError as error:
        raise NoAnswer(Why.SLOW, str(error)) from error
    except http.client.IncompleteRead as error:
        raise NoAnswer(Why.STOPPED, str(error)) from error
    except ConnectionResetError as error:
        # The daemon says a sentence before it hangs up; one that has died listens no more.
        kind = Why.FOREIGN if _is_listening(connection) else Why.STOPPED
        raise NoAnswer(kind, str(error)) from error
    except (http.client.HTTPException, ValueError) as error:
        raise NoAnswer(Why.FOREIGN, str(error)) from error
    except OSError as error:
        # A socket of another kind than the daemon's is somebody else's.
        kind = Why.FOREIGN if error.errno == errno.EPROTOTYPE else Why.STOPPED
        raise NoAnswer(kind, str(error)) from error
    finally:
        connection.close()


def _require_daemon(response):
    name = response.getheader('Server') or ''
    if not name.startswith(NAME):
        raise NoAnswer(Why.FOREIGN, f'it is {name}' if name else 'it does not say who it is')


def _is_listening(connection):
    connection.close()
    try:
        connection.connect()
    except OSError:
        return False
    return True


def _refusal(response):
    sentence = response.read(PIECE).decode('utf-8', 'replace').strip()
    kind = _KIND_BY_STATUS.get(
        response.status, Why.FAILED if response.status >= 500 else Why.REFUSED
    )
    # A route that is there and has nothing to show answers 404 with a sentence of its own.
    if kind == Why.OLD and sentence:
        kind = Why.REFUSED
    return NoAnswer(kind, sentence)


def ask(path, query=None, body=None, seconds=ANSWER_SECONDS):
    """Asks (`body` is None) or requests, and returns the JSON value of the answer."""
    with _answer(path, query, body, seconds) as response:
        content = response.read(ANSWER_MAX + 1)
        if len(content) > ANSWER_MAX:
            raise NoAnswer(Why.FOREIGN, 'the answer is too long')
        return json.loads(content) if content.strip() else None


def status():
    """What the daemon says of itself, if it is not too old for us."""
    answer = ask('/v1/status')
    if (spoken := answer.get('api', 0)) < NEEDED_API:
        raise NoAnswer(
            Why.OLD,
            f'version {answer.get("version")} speaks API {spoken}, and {NEEDED_API} is needed',
        )
    return answer


def lines(path, query=None, seconds=ANSWER_SECONDS):
    """Yields the JSON objects of an answer that has one on each line."""
    with _answer(path, query, None, seconds) as response:
        while line := response.readline(LINE_MAX):
            yield json.loads(line)


def stream(path, query=None, body=None, seconds=ANSWER_SECONDS):
    """Yields the pieces of an answer, as they come."""
    with _answer(path, query, body, seconds) as response:
        while piece := response.read(PIECE):
            yield piece


# What a child runs for the test event: the same connect, in a program without any hook.
_CHILD = (
    'import socket, sys; '
    's = socket.create_connection((sys.argv[1], int(sys.argv[2])), 2); '
    'print(s.getsockname()[1]); s.close()'
)


def touch(host, port, seconds=2):
    """Connects and hangs up; returns the local port, by which the flow is found again."""
    with socket.create_connection((host, port), seconds) as connection:
        return connection.getsockname()[1]


def touch_from_child(host, port, seconds=5):
    """The same from a child process; returns its process number and its local port."""
    command = [sys.executable, '-I', '-S', '-c', _CHILD, host, str(port)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    timer = threading.Timer(seconds, child.kill)
    timer.start()
    try:
        output, _ = child.communicate()
    finally:
        timer.cancel()
    if child.returncode:
        raise OSError(f'the child ended with {child.returncode}')
    return child.pid, int(output)
