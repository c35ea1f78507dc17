# Part of Network Audit. License LGPL-3.
"""The one step behind both doors (``post_load``, ``ir.http._register_hook``): idempotent.

Here, and only here, is what the core has to know of Odoo: which route, cron and database the
running code serves, and who serves what comes in.
"""

import functools
import importlib.util
import inspect
import logging
import os
import sys

import odoo.http
from odoo.tools import config
from odoo.tools.misc import Callbacks

from odoo.addons.base.models import ir_cron

from .core import carry, frames, hook, layers
from .core.origin import CRON, CURRENT, Host, Origin
from .core.recorder import Server
from .core.wrapper import Wrapper

_logger = logging.getLogger(__name__)

ROUTE_ATTRIBUTE = 'network_audit_route'
# On a rule of a routing map: who serves there does not change as long as the map is in use.
SERVED_ATTRIBUTE = 'network_audit_served'

# What became of it: nothing yet, or one of the words below.
_state = None
NAMED, SWITCHED_OFF, FAILED = 'named', 'switched_off', 'failed'


class OdooHost(Host):
    """Odoo's own answers to what the running code serves."""

    _shell = 'shell' if 'shell' in sys.argv[1:2] else None
    _requests = odoo.http._request_stack

    @classmethod
    def origin(cls):
        request = cls._requests.top
        if request is None:
            return cls._shell
        return getattr(request, ROUTE_ATTRIBUTE, None)

    @staticmethod
    def database(thread):
        # Odoo keeps it on the thread while it serves a request or a cron.
        return thread and thread.__dict__.get('dbname')


def install():
    """Sets the hook and the wrappers that carry an origin, once for each process image."""
    global _state
    if _state is not None:
        return
    _state = FAILED
    if os.environ.get('NETWORK_AUDIT', '').lower() == 'off':
        _state = SWITCHED_OFF
        _logger.warning('Network Audit is switched off by NETWORK_AUDIT=off: no call is named.')
        return
    try:
        recorder = hook.install(OdooHost)
        carry.standard_library(recorder.describe)
        layers.wrap_tls(recorder)
        carry.runs_later(Callbacks, 'add', recorder.describe)
        _note_what_odoo_serves(recorder)
    except Exception:
        _logger.exception('Network Audit could not be set up: calls of this process are not named.')
        return
    _state = NAMED
    _say_if_rpc_was_dropped()
    _logger.info('Network Audit names the calls of this process (pid %s).', os.getpid())


def uninstall_hook(env):
    """Takes the trigger's function along, which belongs to no table. The process's hook stays."""
    env.cr.execute('DROP FUNCTION IF EXISTS network_audit_record_protected() CASCADE')


def state():
    """Whether the calls of this process are named; why not, if they are not; None before."""
    return _state


def _say_if_rpc_was_dropped():
    """Since 19, RPC is a module, and a `--load` that does not name it drops it."""
    names = config['server_wide_modules'] or ()
    names = names.split(',') if isinstance(names, str) else names
    if frames.OWN in names and 'rpc' not in names and importlib.util.find_spec('odoo.addons.rpc'):
        _logger.warning(
            'XML-RPC and JSON-RPC answer no requests without a database, because "rpc" is not '
            f'loaded: use --load=base,rpc,web,{frames.OWN}'
        )


def _note_what_odoo_serves(recorder):
    Wrapper(odoo.http.Request, '_set_request_dispatcher', _noting_route(recorder))
    Wrapper(odoo.http.Request, '_serve_static', _noting_static(recorder))
    Wrapper(odoo.http, 'borrow_request', _keeping_route)
    # Named `ir_cron` in Odoo 17.
    Wrapper(getattr(ir_cron, 'IrCron', None) or ir_cron.ir_cron, '_callback', _noting_cron)


def _noting_route(recorder):
    def wrapping(original):
        def set_request_dispatcher(self, rule):
            try:
                # The rules of a database are its own, those without one are of no database.
                server = getattr(rule, SERVED_ATTRIBUTE, None)
                if server is None or server.origin.database != self.db:
                    server = Server(_served_by(rule, self))
                    setattr(rule, SERVED_ATTRIBUTE, server)
                setattr(self, ROUTE_ATTRIBUTE, server.origin.name)
                _claim_served(recorder, self, server)
            except Exception:
                recorder.failed()
            return original(self, rule)

        return set_request_dispatcher

    return wrapping


def _served_by(rule, request):
    """Who serves at a route; the request is noted as that route's whatever comes of it."""
    # The template, never the path: a path can hold a token.
    route = f'route {rule.rule}'
    setattr(request, ROUTE_ATTRIBUTE, route)
    chain, module, code = _who_serves(rule.endpoint)
    site = code.co_filename, code.co_firstlineno, code.co_name
    return Origin(chain, module, *site, name=route, database=request.db)


def _who_serves(endpoint):
    """The modules that answer at a route, the one that is shown, and its code."""
    # An endpoint that an addon made by itself has no such attribute.
    controller = getattr(endpoint, 'original_endpoint', None) or inspect.unwrap(endpoint)
    module, code = _module_of(controller), controller.__code__
    chain = (module,)
    # An addon may dispatch in a way of its own (FastAPI), and have a controller that only holds the
    # place.
    dispatcher = odoo.http._dispatchers[endpoint.routing['type']]
    dispatching = frames.module_of(dispatcher.__module__)
    if dispatching not in (None, module):
        chain += (dispatching,)
        if module in frames.PLUMBING:
            module, code = dispatching, dispatcher.dispatch.__code__
    return chain, module, code


def _module_of(controller):
    """The addon that serves. The name of compiled code begins with it, as its compiler had it."""
    name = controller.__module__ or ''
    top = name.partition('.')[0]
    known = top if f'odoo.addons.{top}' in sys.modules else 'odoo'
    return frames.module_of(name) or known


def _noting_static(recorder):
    def wrapping(original):
        def serve_static(self):
            try:
                # The file is there, so what stands before its folder is the name of a module.
                module = self.httprequest.path[1:].partition('/static/')[0]
                origin = Origin((module,), module, name='static files', database=self.db)
                _claim_served(recorder, self, Server(origin))
            except Exception:
                recorder.failed()
            return original(self)

        return serve_static

    return wrapping


def _claim_served(recorder, request, server):
    """Says on whose behalf the accepted socket of this request is used."""
    environ = request.httprequest._HTTPRequest__environ
    recorder.served(environ.get('werkzeug.socket') or environ.get('socket'), server)


def _keeping_route(original):
    def borrow_request():
        return _Borrowed(original())

    return borrow_request


class _Borrowed:
    """RPC hides the request from the methods that it calls: they still belong to its route."""

    __slots__ = ('_borrowing', '_token')

    def __init__(self, borrowing):
        self._borrowing = borrowing

    def __enter__(self):
        request = self._borrowing.__enter__()
        self._token = CURRENT.set(_part_of(getattr(request, ROUTE_ATTRIBUTE, None)))
        return request

    def __exit__(self, *raised):
        CURRENT.reset(self._token)
        return self._borrowing.__exit__(*raised)


@functools.lru_cache(maxsize=1024)
def _part_of(name):
    return Origin(name=name)


def _noting_cron(original):
    def callback(self, *args, **kwargs):
        token = CURRENT.set(Origin(name=f'{CRON}{self.id}'))
        try:
            return original(self, *args, **kwargs)
        finally:
            CURRENT.reset(token)

    return callback
