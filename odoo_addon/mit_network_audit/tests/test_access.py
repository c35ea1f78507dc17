# Part of Network Audit. License LGPL-3.
import inspect
import json

from odoo.tests import HttpCase, new_test_user, tagged
from odoo.tools import mute_logger

from ..core.frames import OWN

REPORT, RECORD = 'network.audit.report', 'network.audit.record'
EXPORT, SUMMARY = 'network.audit.export', 'network.audit.summary'
LISTINGS = ('network.audit.component', 'network.audit.vendor', 'network.audit.request')
MODELS = (REPORT, RECORD, EXPORT, SUMMARY, 'network.audit.copy', 'network.audit.policy', *LISTINGS)
READERS = {'auditor', 'officer', 'admin'}
ADMINISTRATORS = {'admin'}

# What can be asked for over RPC: model, method, arguments, and by whom.
CALLS = (
    (REPORT, 'load', ['1day'], READERS),
    (REPORT, 'acknowledge', ['unattributed', '', ''], READERS),
    (REPORT, 'compare', [0], READERS),
    (REPORT, 'follow', [], ADMINISTRATORS),
    (REPORT, 'ledger', [{'type': 'no such type'}], READERS),
    (REPORT, 'find_test_events', [[], 2**40], READERS),
    (REPORT, 'verify', [], READERS),
    (REPORT, 'send_test_event', [False], READERS),
    (RECORD, 'action_open', [{}], READERS),
    (RECORD, 'action_update', [], READERS),
    (RECORD, 'action_older', [], READERS),
    (RECORD, 'search_read', [[], ['destination']], READERS),
    (RECORD, 'search_count', [[]], READERS),
    (RECORD, 'create', [{'origin': 'x', 'seq': 1}], set()),
    (EXPORT, 'action_open', [], READERS),
    (EXPORT, 'create', [{}], READERS),
    (EXPORT, 'search_read', [[], ['nonce']], READERS),
    (SUMMARY, 'action_open', [], READERS),
    (SUMMARY, 'search_read', [[], ['destination']], READERS),
    (SUMMARY, 'create', [{'destination': 'x'}], set()),
    ('network.audit.copy', 'search_read', [[], ['origin']], ADMINISTRATORS),
    ('network.audit.copy', 'write', [[1], {'origin': 'x'}], set()),
    ('network.audit.copy', 'create', [{'origin': 'x'}], set()),
    ('network.audit.listing', 'action_open', [], set()),
    *((model, 'action_open', [], ADMINISTRATORS) for model in LISTINGS),
    *((model, 'search_read', [[], ['state']], ADMINISTRATORS) for model in LISTINGS),
)
# Wrong as well, but for another reason than who asks.
NOT_FOR_WANT_OF_RIGHTS = ('odoo.exceptions.UserError', 'builtins.NotImplementedError')


@tagged('post_install', '-at_install')
class TestAccess(HttpCase):
    """Who may do what, over RPC, with a real session."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        groups = {
            'portal': 'base.group_portal',
            'internal': 'base.group_user',
            'auditor': f'base.group_user,{OWN}.group_audit',
            'officer': f'base.group_user,{OWN}.group_officer',
            'admin': 'base.group_system',
        }
        for name, group in groups.items():
            new_test_user(cls.env, f'access_{name}', password=f'access_{name}', groups=group)
        cls.names = ('public', *groups)

    def become(self, name):
        login = None if name == 'public' else f'access_{name}'
        self.authenticate(login, login)

    def call(self, model, method, arguments):
        """The name of the exception, or None."""
        params = {'model': model, 'method': method, 'args': arguments, 'kwargs': {}}
        answer = self.url_open(
            '/web/dataset/call_kw',
            data=json.dumps({'jsonrpc': '2.0', 'method': 'call', 'params': params}),
            headers={'Content-Type': 'application/json'},
        ).json()
        return answer['error']['data']['name'] if 'error' in answer else None

    def test_every_call_is_for_its_users_and_nobody_else(self):
        for name in self.names:
            self.become(name)
            for model, method, arguments, allowed in CALLS:
                with self.subTest(user=name, model=model, method=method), mute_logger('odoo.http'):
                    error = self.call(model, method, arguments)
                    if name in allowed:
                        self.assertIn(error, (None, *NOT_FOR_WANT_OF_RIGHTS))
                    else:
                        # Nobody creates a row, so that is refused before it is asked who does.
                        refusals = ('AccessError', 'SessionExpired') + (
                            ('UserError',) if method == 'create' else ()
                        )
                        self.assertTrue(any(it in (error or '') for it in refusals), error)

    def test_nothing_can_be_called_that_is_not_in_the_table(self):
        listed = {(model, method) for model, method, *_ in CALLS}
        listed |= {('network.audit.listing', 'action_ask'), (EXPORT, 'action_download')}
        for name in (*MODELS, 'network.audit.listing'):
            for cls in type(self.env[name]).mro():
                if not cls.__module__.startswith(f'odoo.addons.{OWN}.'):
                    continue
                for method, function in vars(cls).items():
                    if not inspect.isfunction(function) or method.startswith('_'):
                        continue
                    if method in ('create', 'write', 'unlink', 'copy', 'init'):
                        continue
                    if name in LISTINGS:
                        # Their own rows only, made by `action_open`, which is in the table.
                        continue
                    self.assertIn((name, method), listed, 'say in the table who may call it')

    def test_the_menus_are_shown_to_whom_they_are_for(self):
        menus = {
            'menu_root': READERS,
            'menu_report': READERS,
            'menu_records': READERS,
            'menu_handbook': READERS,
            'menu_summary': READERS,
            'menu_configuration': ADMINISTRATORS,
            'menu_settings': ADMINISTRATORS,
            'menu_components': ADMINISTRATORS,
            'menu_vendors': ADMINISTRATORS,
            'menu_requests': ADMINISTRATORS,
        }
        for name in self.names[2:]:
            user = self.env['res.users'].search([('login', '=', f'access_{name}')])
            visible = self.env['ir.ui.menu'].with_user(user)._visible_menu_ids()
            for menu, allowed in menus.items():
                is_visible = self.env.ref(f'{OWN}.{menu}').id in visible
                self.assertEqual(is_visible, name in allowed, f'{name}: {menu}')

    def test_every_route_is_for_its_users_and_nothing_lies_in_attachments(self):
        http = self.env['ir.http']
        routes = {url for url, _ in http._generate_routing_rules([OWN], http._get_converters())}
        self.assertEqual(routes, {'/network_audit/export/<int:wizard_id>'})
        for name in self.names:
            self.become(name)
            answer = self.url_open('/network_audit/export/0', allow_redirects=False)
            # Nobody has asked for an export of this number.
            expected = 404 if name in READERS else 303 if name == 'public' else 403
            self.assertEqual(answer.status_code, expected, name)
        kept = [('res_model', '=like', 'network.audit.%')]
        self.assertFalse(self.env['ir.attachment'].sudo().search(kept))

    def test_what_one_person_listed_nobody_else_sees(self):
        one = self.env['res.users'].search([('login', '=', 'access_admin')])
        other = new_test_user(self.env, 'access_other', groups='base.group_system')
        contents = {
            'network.audit.vendor': {'name': 'X'},
            'network.audit.component': dict.fromkeys(('vendor', 'hosts', 'purpose', 'source'), 'x'),
            'network.audit.request': {},
            EXPORT: {},
        }
        for model, values in contents.items():
            self.env[model].with_user(one).create(values)
            self.assertTrue(self.env[model].with_user(one).search_count([]), model)
            self.assertFalse(self.env[model].with_user(other).search_count([]), model)
        line = {'operations': 1, **dict.fromkeys(('flows', 'calls', 'sent', 'received'), 0)}
        self.env[SUMMARY].with_user(one)._fill([{**line, 'unmeasured': 0}])
        self.assertEqual(self.env[SUMMARY].with_user(one).search_count([]), 1)
        self.assertFalse(self.env[SUMMARY].with_user(other).search_count([]))

    def test_there_are_exactly_two_groups_and_administrators_are_auditors(self):
        groups = self.env['ir.model.data'].search(
            [('module', '=', OWN), ('model', '=', 'res.groups')]
        )
        self.assertEqual(sorted(groups.mapped('name')), ['group_audit', 'group_officer'])
        user = self.env['res.users'].search([('login', '=', 'access_admin')])
        self.assertTrue(user.has_group(f'{OWN}.group_audit'))
        self.assertFalse(user.has_group(f'{OWN}.group_officer'))
