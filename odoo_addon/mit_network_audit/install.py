# Part of Network Audit. License LGPL-3.
"""The one step behind both doors (``post_load`` and ``ir.http._register_hook``): idempotent, and it never raises.

Here, and only here, is what the core has to know of Odoo: which route, cron and database the running code serves.
"""

import logging
import os
import sys

import odoo.http
from odoo.addons.base.models import ir_cron
from odoo.tools.misc import Callbacks

from .core import carry, hook
from .core.origin import CURRENT, Host, Origin

_logger = logging.getLogger(__name__)

ROUTE_ATTRIBUTE = 'network_audit_route'

_installed = False


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
    global _installed
    if _installed:
        return
    _installed = True
    if os.environ.get('NETWORK_AUDIT', '').lower() == 'off':
        _logger.warning('Network Audit is switched off by NETWORK_AUDIT=off: no call is named.')
        return
    try:
        recorder = hook.install(OdooHost)
        _carry_origins(recorder.describe)
    except Exception:
        _logger.exception('Network Audit could not be set up: calls of this process are not named.')
        return
    _logger.info('Network Audit names the calls of this process (pid %s).', os.getpid())


def _carry_origins(describe):
    carry.thread_starts(describe)
    carry.pool_submits(describe)
    carry.callbacks_added(Callbacks, 'add', describe)
    carry.Wrapper(odoo.http.Request, '_set_request_dispatcher', _noting_route)
    # Named `ir_cron` in Odoo 17.
    carry.Wrapper(getattr(ir_cron, 'IrCron', None) or ir_cron.ir_cron, '_callback', _noting_cron)


def _noting_route(original):
    def set_request_dispatcher(self, rule):
        try:
            # The template, never the path: a path can hold a token.
            setattr(self, ROUTE_ATTRIBUTE, f'route {rule.rule}')
        except Exception:
            _logger.debug('no route to note', exc_info=True)
        return original(self, rule)

    return set_request_dispatcher


def _noting_cron(original):
    def callback(self, *args):
        token = CURRENT.set(Origin(name=f'cron {self.id}'))
        try:
            return original(self, *args)
        finally:
            CURRENT.reset(token)

    return callback
