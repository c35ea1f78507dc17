# Part of Network Audit. License LGPL-3.
import functools
import hashlib
import json
import os
from urllib.parse import urlsplit

from odoo import api, models
from odoo.modules.module import get_module_path

from ..core import client, opaque

# Of a list, no more than the daemon takes.
MOST = 2_000
_NATIVE = ('.so', '.pyd', '.dll', '.dylib')

# Where a setting names a host: model, domain, field of the host, field of the port, purpose, place.
_SETTINGS = (
    ('ir.mail_server', [], 'smtp_host', 'smtp_port', 'outgoing mail', 'Outgoing Mail Servers'),
    ('fetchmail.server', [], 'server', 'port', 'incoming mail', 'Incoming Mail Servers'),
    ('res.company.ldap', [], 'ldap_server', 'ldap_server_port', 'directory', 'LDAP Servers'),
    (
        'ir.actions.server',
        [('state', '=', 'webhook')],
        'webhook_url',
        None,
        'webhook',
        'Server Actions',
    ),
    *(
        ('auth.oauth.provider', [('enabled', '=', True)], name, None, 'sign-on', 'OAuth Providers')
        for name in ('auth_endpoint', 'validation_endpoint', 'data_endpoint')
    ),
)
_OWN_PARAMETERS = ('web.base.url', 'report.url')


class NetworkAuditFacts(models.AbstractModel):
    """What this database's settings say about its traffic, told to the daemon.

    Of an address only host and port: no user, password, path or query. It is a claim of the audited
    side, and shown as *configured in …*: it explains ordinary traffic, and excuses no watched
    vendor.
    """

    _name = 'network.audit.facts'
    _description = 'Network Audit: What Settings Explain'

    @api.model
    def _tell_again(self, status):
        """Tells a daemon that was started since: it knows nothing of what the one before knew."""
        if self.env['network.audit.copy']._the().facts_since == status['since']:
            return
        try:
            self._tell(status)
        except client.NoAnswer as error:
            # Whose traffic is not recorded has nothing to explain; the page says that, and why.
            if error.kind != client.Why.REFUSED:
                raise

    @api.model
    def _tell(self, status):
        """Tells the daemon, if it is not told yet: something changed here, or it was restarted."""
        claims = self._claims()
        text = json.dumps([status['since'], status['origin'], claims], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        copy = self.env['network.audit.copy']._the()
        if copy.facts_sent == digest or copy._is_of_another_ledger(status):
            return False
        client.ask('/v1/facts', body=claims)
        copy.write({'facts_sent': digest, 'facts_since': status['since']})
        return True

    @api.model
    def _claims(self):
        return {
            'database': self.env.cr.dbname,
            'own': self._own()[:MOST],
            'configured': self._configured()[:MOST],
            'modules': self._modules()[:MOST],
        }

    def _own(self):
        parameters = self.env['ir.config_parameter'].sudo()
        found = [
            (endpoint(parameters.get_param(key))[0], f'System Parameters, {key}')
            for key in _OWN_PARAMETERS
        ]
        found += [(endpoint(domain)[0], 'Websites') for domain in self._values('website', 'domain')]
        return _distinct({'host': host, 'place': place} for host, place in found if host)

    def _values(self, model, field):
        if model not in self.env or field not in self.env[model]._fields:
            return []
        return self.env[model].sudo().search([(field, '!=', False)]).mapped(field)

    def _configured(self):
        found = []
        for model, domain, host_field, port_field, purpose, place in _SETTINGS:
            if model not in self.env or host_field not in self.env[model]._fields:
                continue
            for record in self.env[model].sudo().search(domain):
                # A list of servers is written with commas (LDAP).
                for text in (record[host_field] or '').replace(',', ' ').split():
                    host, port = endpoint(text)
                    port = record[port_field] if port_field else port
                    found.append(_configured(host, port, purpose, place))
        found += self._service_endpoints()
        found += self._payment_providers()
        return _distinct(it for it in found if it['host'])

    def _service_endpoints(self):
        parameters = self.env['ir.config_parameter'].sudo()
        found = parameters.search(
            ['|', ('key', '=like', '%.endpoint'), ('key', '=like', '%\\_url')]
        )
        return [
            _configured(*endpoint(it.value), 'service', f'System Parameters, {it.key}')
            for it in found
            if it.key not in _OWN_PARAMETERS
            and (it.value or '').startswith(('http://', 'https://'))
        ]

    def _payment_providers(self):
        """Hosts that the fields of an enabled provider name as addresses."""
        if 'payment.provider' not in self.env:
            return []
        providers = self.env['payment.provider'].sudo().search([('state', '!=', 'disabled')])
        names = [
            name
            for name, field in providers._fields.items()
            if field.type == 'char'
            and field.store
            and name.endswith(('_url', '_endpoint', '_prefix'))
        ]
        return [
            _configured(*endpoint(provider[name]), 'payment', f'Payment Providers, {provider.name}')
            for provider in providers
            for name in names
            if (provider[name] or '').startswith(('http://', 'https://'))
        ]

    def _modules(self):
        loaded = opaque.opaque()
        modules = self.env['ir.module.module'].sudo().search([('state', '=', 'installed')])
        return [
            {
                'name': module.name,
                'author': module.author or None,
                'opaque': module.name in loaded or is_opaque(get_module_path(module.name)),
            }
            for module in modules.sorted('name')
        ]


def endpoint(text):
    """Host and port of an address, or of a bare host; (None, None) where there is neither."""
    text = (text or '').strip()
    try:
        parts = urlsplit(text if '//' in text else f'//{text}')
        port = parts.port or {'http': 80, 'https': 443}.get(parts.scheme)
        return parts.hostname, port
    except ValueError:
        return None, None


@functools.lru_cache(maxsize=4096)
def is_opaque(folder):
    """Whether a module's folder has native code, or compiled code without its source."""
    for path, folders, names in os.walk(folder or ''):
        if os.path.basename(path) == '__pycache__':
            folders.clear()
            continue
        for name in names:
            if name.endswith(_NATIVE) or '.so.' in name:
                return True
            if name.endswith('.pyc') and name[:-1] not in names:
                return True
    return False


def _configured(host, port, purpose, place):
    return {'host': host, 'port': port or None, 'purpose': purpose, 'place': place}


def _distinct(found):
    return list({tuple(it.values()): it for it in found}.values())
