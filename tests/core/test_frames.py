import collections
import sys
import threading
import types
import unittest

from support import addon, calls, core

frames = core('frames')
walk = frames.walking()
Walk = collections.namedtuple('Walk', 'chain module frame action channel')


def here():
    return Walk._make(walk(sys._getframe(1)))


class Stack(unittest.TestCase):
    def test_modules_are_named_once_and_nearest_first(self):
        web, vendor, mail = (
            calls(module) for module in ('web.controllers.main', 'vendor.models.x', 'mail.models.y')
        )
        found = web(vendor, mail, vendor, here)
        self.assertEqual(
            (found.chain, found.module, found.action), (['vendor', 'mail', 'web'], 'vendor', None)
        )
        site = found.frame.f_code.co_filename, found.frame.f_lineno
        self.assertEqual(site, ('/srv/addons/vendor/models/x.py', 2))

    def test_plumbing_is_shown_only_if_there_is_nothing_else(self):
        base, mail, crm, web = (calls(module) for module in ('base.x', 'mail.x', 'crm.x', 'web.x'))
        self.assertEqual(web(crm, mail, base, here)[:2], (['base', 'mail', 'crm', 'web'], 'crm'))
        self.assertEqual(web(mail, here)[:2], (['mail', 'web'], 'mail'))

    def test_the_site_is_the_nearest_of_the_module_shown(self):
        near, far = calls('vendor.near'), calls('vendor.far')
        self.assertEqual(far(near, here).frame.f_code.co_filename, '/srv/addons/vendor/near.py')

    def test_our_own_frames_are_not_seen(self):
        self.assertEqual(
            calls('mit_network_audit.models.ir_http')(calls('vendor.x'), here)[0], ['vendor']
        )
        self.assertEqual(calls('mit_network_audit.x')(here)[0], [])

    def test_stored_code_is_named_by_its_record(self):
        scope = {'go': here}
        exec(compile('result = go()', 'ir.actions.server(93,)', 'exec'), scope)
        self.assertEqual(scope['result'].chain, [])
        self.assertEqual(scope['result'].action, 'server-action 93')
        named_none = {'go': here, '__name__': None}
        exec(compile('result = go()', 'ir.actions.server(7,)', 'exec'), named_none)
        self.assertEqual(named_none['result'].action, 'server-action 7')

    def test_templates_are_named_by_their_record(self):
        base = addon('base.models.ir_qweb', '')
        for name in (None, 'odoo.addons.base.models.ir_qweb'):
            scope = {'go': calls('vendor.x'), 'here': here, '__name__': name}
            exec(compile('result = go(here)', '<245>', 'exec'), scope)
            found = scope['result']
            self.assertEqual((found.module, found.action, found.channel), ('vendor', 'qweb 245', 0))
        self.assertIsNot(base, scope)

    def test_what_looks_like_stored_code_and_is_not_has_no_record(self):
        for filename in (
            'ir.actions.server(93, 94)',
            'xir.actions.server(93,)',
            'ir.actions.server(x,)',
            '<string>',
        ):
            scope = {'go': here}
            exec(compile('result = go()', filename, 'exec'), scope)
            self.assertIsNone(scope['result'].action)

    def test_a_runaway_recursion_ends(self):
        source = 'def go(n, function):\n    return go(n - 1, function) if n else function()\n'
        deep = {'__name__': 'somewhere'}
        exec(source, deep)
        modules, *_ = calls('vendor.x')(deep['go'], len(frames.DEPTH) + 10, here)
        self.assertEqual(modules, [])
        modules, *_ = calls('vendor.x')(deep['go'], len(frames.DEPTH) // 2, here)
        self.assertEqual(modules, ['vendor'])

    def test_a_chain_is_bounded(self):
        functions = [calls(f'm{number}.x') for number in range(frames.CHAIN_MAX + 5)]
        self.assertEqual(len(functions[0](*functions[1:], here)[0]), frames.CHAIN_MAX)


class Channel(unittest.TestCase):
    def through(self, *names):
        """The channel of a call that the vendor makes through these libraries, outermost first."""
        function = here
        for name in reversed(names):
            scope = {'__name__': name}
            exec('def wrap(function):\n    return lambda: function()\n', scope)
            function = scope['wrap'](function)
        return core('hints').CHANNELS[calls('vendor.x')(function).channel]

    def test_it_is_the_highest_layer_that_was_seen(self):
        for names, channel in (
            (('socket',), 'socket'),
            (
                (
                    'requests.api',
                    'requests.sessions',
                    'urllib3.connectionpool',
                    'http.client',
                    'socket',
                ),
                'requests',
            ),
            (('zeep.client', 'requests.sessions', 'http.client'), 'requests'),
            (('urllib.request', 'http.client'), 'urllib'),
            (('urllib3.poolmanager', 'http.client'), 'urllib3'),
            (('http.client',), 'http'),
            (('smtplib', 'ssl', 'socket'), 'smtp'),
            (('imaplib',), 'imap'),
            (('poplib',), 'pop3'),
            (('ssl',), 'tls'),
            (('xmlrpc.client', 'http.client'), 'xmlrpc'),
            (('requestsx', 'httpx2'), 'socket'),
        ):
            self.assertEqual(self.through(*names), channel, names)

    def test_what_carries_the_request_in_is_no_channel(self):
        scope = {'__name__': 'http.client'}
        exec('def go(function, *args):\n    return function(*args)\n', scope)
        self.assertEqual(scope['go'](calls('vendor.x'), here).channel, 0)


class Marks(unittest.TestCase):
    """Code that is not what it says."""

    def setUp(self):
        self.victim = addon('victim.models.x', 'def go(f):\n    return f()\n')

    def marks(self, scope, filename):
        exec(compile('found = f()', filename, 'exec'), scope)
        self.assertEqual(scope['found'].module, 'victim')
        return scope['found'].channel

    def test_a_module_that_is_itself_has_no_mark(self):
        self.assertEqual(self.victim['go'](here).channel, 0)

    def test_globals_of_another_module_are_foreign(self):
        scope = {'__name__': 'odoo.addons.victim.models.x', 'f': here}
        self.assertEqual(self.marks(scope, '/srv/addons/victim/models/x.py'), core('hints').FOREIGN)
        scope['__name__'] = 'odoo.addons.victim.never_loaded'
        self.assertEqual(self.marks(scope, '/srv/addons/victim/models/x.py'), core('hints').FOREIGN)

    def test_generated_code_is_marked_as_such_and_as_nothing_else(self):
        scope = {'__name__': 'odoo.addons.victim.models.x', 'f': here}
        for filename in ('<string>', '<decorator-gen-3>', '<frozen x>'):
            self.assertEqual(self.marks(scope, filename), core('hints').GENERATED)

    def test_a_file_in_another_addons_folder_is_elsewhere(self):
        for module in ('victim', 'attacker'):
            package = types.ModuleType('odoo.addons.' + module)
            package.__path__ = ['/srv/addons/' + module]
            sys.modules[package.__name__] = package
            self.addCleanup(sys.modules.pop, package.__name__)
        for path, elsewhere in (
            ('/srv/addons/victim/models/x.py', False),
            ('/srv/addons/attacker/models/x.py', True),
            ('/srv/addons/attacker/lib/victim/x.py', True),
            ('/usr/lib/python3/x.py', False),
            ('<string>', False),
            ('ir.actions.server(93,)', False),
            ('', False),
        ):
            self.assertEqual(frames.lies_elsewhere('victim', path), elsewhere, path)


class Outside(unittest.TestCase):
    """Stacks without an addon, as threads of their own see them."""

    def named(self, *modules):
        def function():
            return frames.outside(sys._getframe(1))[0]

        for module in modules:
            scope = {'__name__': module}
            exec('def wrap(function):\n    return lambda: function()\n', scope)
            function = scope['wrap'](function)
        found = []
        thread = threading.Thread(target=lambda: None)
        # The thread's only frames are those of `threading` and of the modules.
        thread._target = _Keep(function, found)
        thread.start()
        thread.join()
        return found[0]

    def test_a_library_is_named_by_its_way_in(self):
        self.assertEqual(
            self.named('socket', 'urllib3.connection', 'requests.api'), 'library:requests'
        )

    def test_the_framework_is_named_where_it_is_on_the_stack(self):
        self.assertEqual(self.named('socket', 'requests.api', 'odoo.service.server'), 'odoo')

    def test_python_itself_is_the_last_resort(self):
        self.assertEqual(self.named('socket', 'http.client'), 'library:http')


class _Keep:
    """Calls without a frame of its own module's code in between: the list takes the result."""

    def __init__(self, function, found):
        self.function, self.found = function, found
        scope = {'__name__': 'threading'}
        exec('def call(self):\n    self.found.append(self.function())\n', scope)
        type(self).__call__ = scope['call']


class Site(unittest.TestCase):
    def test_a_file_is_seen_from_the_folder_of_its_module(self):
        for module, path, short in (
            ('vendor', '/opt/x/vendor/models/a.py', 'vendor/models/a.py'),
            (
                'mail',
                '/usr/lib/python3/dist-packages/odoo/addons/mail/models/a.py',
                'mail/models/a.py',
            ),
            (
                'library:requests',
                '/srv/venv/lib/python3.11/site-packages/requests/api.py',
                'requests/api.py',
            ),
            (
                'odoo',
                '/usr/lib/python3/dist-packages/odoo/service/server.py',
                'odoo/service/server.py',
            ),
            ('vendor', 'ir.actions.server(93,)', 'ir.actions.server(93,)'),
        ):
            self.assertEqual(frames.site(module, path, 12, 'f'), f'{short}:12 f')


class Names(unittest.TestCase):
    def test_an_addon_without_a_usable_name_is_not_seen(self):
        for name in (None, 7, ''):
            scope = addon('vendor.x', 'def go(f):\n    return f()\n')
            scope['__name__'] = name
            self.assertEqual(scope['go'](here)[0], [])


if __name__ == '__main__':
    unittest.main()
