import sys
import threading
import unittest

from support import addon, calls, core

frames = core('frames')


def here():
    return frames.walk(sys._getframe(1))


def chain(function):
    return function()[0]


class Walk(unittest.TestCase):
    def test_modules_are_named_once_and_nearest_first(self):
        web, vendor, mail = (calls(module) for module in ('web.controllers.main', 'vendor.models.x', 'mail.models.y'))
        modules, shown, code, line, action = web(vendor, mail, vendor, here)
        self.assertEqual(modules, ['vendor', 'mail', 'web'])
        self.assertEqual((shown, code.co_filename, line, action), ('vendor', '/srv/addons/vendor/models/x.py', 2, None))

    def test_plumbing_is_shown_only_if_there_is_nothing_else(self):
        base, mail, crm, web = (calls(module) for module in ('base.x', 'mail.x', 'crm.x', 'web.x'))
        self.assertEqual(web(crm, mail, base, here)[:2], (['base', 'mail', 'crm', 'web'], 'crm'))
        self.assertEqual(web(mail, here)[:2], (['mail', 'web'], 'mail'))

    def test_the_site_is_the_nearest_of_the_module_shown(self):
        near, far = calls('vendor.near'), calls('vendor.far')
        self.assertEqual(far(near, here)[2].co_filename, '/srv/addons/vendor/near.py')

    def test_our_own_frames_are_not_seen(self):
        self.assertEqual(calls('mit_network_audit.models.ir_http')(calls('vendor.x'), here)[0], ['vendor'])
        self.assertEqual(calls('mit_network_audit.x')(here)[0], [])

    def test_stored_code_is_named_by_its_record(self):
        scope = {'go': here}
        exec(compile('result = go()', 'ir.actions.server(93,)', 'exec'), scope)
        self.assertEqual(scope['result'][0], [])
        self.assertEqual(scope['result'][4], 'server-action 93')
        named_none = {'go': here, '__name__': None}
        exec(compile('result = go()', 'ir.actions.server(7,)', 'exec'), named_none)
        self.assertEqual(named_none['result'][4], 'server-action 7')

    def test_what_looks_like_stored_code_and_is_not_has_no_record(self):
        for filename in ('ir.actions.server(93, 94)', 'xir.actions.server(93,)', 'ir.actions.server(x,)', '<string>'):
            scope = {'go': here}
            exec(compile('result = go()', filename, 'exec'), scope)
            self.assertIsNone(scope['result'][4])

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
        self.assertEqual(self.named('socket', 'urllib3.connection', 'requests.api'), 'library:requests')

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
            ('mail', '/usr/lib/python3/dist-packages/odoo/addons/mail/models/a.py', 'mail/models/a.py'),
            ('library:requests', '/srv/venv/lib/python3.11/site-packages/requests/api.py', 'requests/api.py'),
            ('odoo', '/usr/lib/python3/dist-packages/odoo/service/server.py', 'odoo/service/server.py'),
            ('vendor', 'ir.actions.server(93,)', 'ir.actions.server(93,)'),
        ):
            code = compile('def f(): pass', path, 'exec')
            self.assertEqual(frames.site(module, code, 12), f'{short}:12 <module>')


class Names(unittest.TestCase):
    def test_an_addon_without_a_usable_name_is_not_seen(self):
        for name in (None, 7, ''):
            scope = addon('vendor.x', 'def go(f):\n    return f()\n')
            scope['__name__'] = name
            self.assertEqual(scope['go'](here)[0], [])


if __name__ == '__main__':
    unittest.main()
