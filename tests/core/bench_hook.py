"""What the hook costs: `python3 tests/core/bench_hook.py [--json]`.

Numbers are the best of several rounds, in nanoseconds, with a daemon at the other end that has the
ring. `net` is without what raising the event costs when nobody listens.
"""

import json
import os
import platform
import socket
import sys
import tempfile
import timeit

import peer
from support import addon, calls, core

ROUNDS = 300
DEPTHS = (5, 20, 33, 80)


def best(function, number):
    return min(timeit.repeat(function, number=number, repeat=ROUNDS)) / number * 1e9


def stack(depth, function):
    """A call of `function` under this many frames: a library's over a vendor's over plumbing."""
    source = 'def go(n, f):\n    return go(n - 1, f) if n else f()\n'
    libraries, vendor = {'__name__': 'requests.sessions'}, calls('vendor.models.x')
    exec(source, libraries)
    plumbing, library = addon('web.controllers.main', source)['go'], libraries['go']
    above = depth // 4
    below = max(0, depth - above - 4)
    return lambda: plumbing(below, lambda: vendor(library, above, function))


def cost(event, args, depth):
    """One event from a fresh stack: its frames are looked at for the first time, as in life."""
    audit = sys.audit
    return best(stack(depth, lambda: audit(event, *args)), 4_000 // (depth + 10))


def measure(events):
    return {(event, depth): cost(event, args, depth) for event, args, depth in events}


def main():
    run_dir = tempfile.mkdtemp()
    os.environ['NETWORK_AUDIT_RUN_DIR'] = run_dir
    daemon = peer.Daemon(run_dir)
    sock = socket.socket()
    connect = ('socket.connect', (sock, ('127.0.0.1', 9)))
    events = [('object.__getattr__', (sock, 'x'), 5)] + [(*connect, depth) for depth in DEPTHS]
    without = measure(events)
    recorder = core('hook').install()
    sys.audit(*connect[:1], *connect[1])
    daemon.accept(1)
    with_hook = measure(events)
    rows = {
        f'{event} at {depth} frames': round(with_hook[event, depth] - without[event, depth])
        for event, depth in with_hook
    }
    getframe, describe = sys._getframe, recorder.describe
    plain, described = (
        best(stack(33, f), 100) for f in (getframe, lambda: describe(getframe(), True))
    )
    rows['what a wrapper adds at 33 frames'] = round(described - plain)
    assert recorder.link.is_up and daemon.rings, 'the daemon has the ring'
    if '--json' in sys.argv:
        print(json.dumps({'python': platform.python_version(), 'ns': rows}))
        return
    print('Python', platform.python_version())
    for name, nanoseconds in rows.items():
        print(f'{name:40} {nanoseconds:8,} ns')


if __name__ == '__main__':
    main()
