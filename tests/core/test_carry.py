import asyncio
import concurrent.futures
import sys
import threading
import unittest

from support import calls, core

carry, origin = core('carry'), core('origin')


class Host(origin.Host):
    name = None

    @classmethod
    def origin(cls):
        return cls.name


describe = origin.describing(Host)


class Callbacks:
    """As Odoo's: what is added runs later."""

    def __init__(self):
        self.functions = []

    def add(self, func):
        self.functions.append(func)

    def run(self):
        return [function() for function in self.functions]


def bare_thread(function):
    """Runs a function on a stack that has nothing of ours but the function itself."""
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def here():
    return describe(sys._getframe(1))


class Carried(unittest.TestCase):
    def setUp(self):
        self.wrappers = [
            *carry.standard_library(describe),
            carry.runs_later(Callbacks, 'add', describe),
        ]
        self.addCleanup(lambda: [wrapper.remove() for wrapper in self.wrappers])
        self.vendor, self.web = calls('vendor.models.x'), calls('web.controllers.main')
        Host.name = 'route /x'
        self.addCleanup(setattr, Host, 'name', None)

    def started(self, start):
        """What `start`, called by the vendor during a request, has run on its own later."""
        Host.name = 'route /x'
        result = self.web(self.vendor, start)
        Host.name = None
        return result

    def check(self, found):
        self.assertEqual(
            (found.chain, found.module, found.name), (('vendor',), 'vendor', 'route /x')
        )
        self.assertEqual(found.file, '/srv/addons/vendor/models/x.py')

    def test_a_thread_is_its_starters(self):
        found = []
        thread = threading.Thread(target=lambda: found.append(here()))
        self.started(thread.start)
        thread.join()
        self.check(found[0])

    def test_a_threads_threads_are_its_starters_too(self):
        found = []

        def inner():
            found.append(here())

        def outer():
            second = threading.Thread(target=inner)
            second.start()
            second.join()

        first = threading.Thread(target=outer)
        self.started(first.start)
        first.join()
        self.check(found[0])

    def test_a_task_of_a_pool_is_its_submitters(self):
        with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
            self.check(self.started(lambda: pool.submit(here)).result())
            other = calls('other.models.y')(pool.submit, here).result()
            self.assertEqual((other.chain, other.name), (('other',), None))

    def test_a_callback_is_its_adders(self):
        callbacks = Callbacks()
        self.started(lambda: callbacks.add(here))
        self.check(callbacks.run()[0])

    def test_a_callbacks_own_modules_come_first(self):
        callbacks = Callbacks()
        other = calls('other.models.y')
        self.started(lambda: callbacks.add(lambda: other(here)))
        self.assertEqual(callbacks.run()[0].chain, ('other', 'vendor'))

    def test_what_no_addon_starts_is_on_its_own(self):
        self.assertTrue(bare_thread(here).chain[0].startswith('library:'))

    def test_a_coroutine_for_another_threads_loop_is_its_senders(self):
        async def work():
            return here()

        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        self.check(self.started(lambda: asyncio.run_coroutine_threadsafe(work(), loop)).result())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def test_a_function_given_by_name_is_passed_on_as_it_is(self):
        callbacks = Callbacks()
        self.vendor(callbacks.add, func=int)
        self.assertEqual(callbacks.functions, [int])

    def test_a_cron_beats_the_action_that_it_runs_and_an_action_beats_a_route(self):
        scope = {'here': here}
        code = compile('found = here()', 'ir.actions.server(93,)', 'exec')
        for name, expected in (
            ('cron 7', 'cron 7'),
            ('route /x', 'server-action 93'),
            (None, 'server-action 93'),
        ):
            token = origin.CURRENT.set(origin.Origin(name=name))
            exec(code, scope)
            origin.CURRENT.reset(token)
            self.assertEqual(scope['found'].name, expected)

    def test_results_arguments_and_exceptions_pass_through(self):
        with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
            self.assertEqual(self.vendor(pool.submit, divmod, 7, 2).result(), (3, 1))
            self.assertEqual(
                self.vendor(pool.submit, dict, fn=1, self=2).result(), {'fn': 1, 'self': 2}
            )
            with self.assertRaises(ZeroDivisionError):
                self.vendor(pool.submit, divmod, 7, 0).result()

    def test_the_origin_ends_with_what_it_was_carried_for(self):
        with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
            self.started(lambda: pool.submit(here)).result()
            self.assertIsNone(pool.submit(origin.CURRENT.get).result())

    def test_a_description_that_fails_stops_nobody(self):
        for wrapper in self.wrappers:
            wrapper.remove()

        def fail(frame, brief):
            raise RuntimeError('no description')

        self.wrappers = [*carry.standard_library(fail), carry.runs_later(Callbacks, 'add', fail)]
        callbacks = Callbacks()
        callbacks.add(int)
        self.assertEqual(callbacks.run(), [0])
        self.assertEqual(bare_thread(int), 0)
        with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
            self.assertEqual(pool.submit(int).result(), 0)

    def test_a_wrapper_can_be_taken_off(self):
        original = self.wrappers[0].original
        self.assertIsNot(threading.Thread.start, original)
        self.assertTrue(self.wrappers[0].remove())
        self.assertIs(threading.Thread.start, original)

    def test_a_wrapper_under_another_one_stays(self):
        under = carry.runs_later(Callbacks, 'add', describe)
        over = carry.runs_later(Callbacks, 'add', describe)
        self.assertFalse(under.remove())
        self.assertTrue(over.remove())
        self.assertTrue(under.remove())

    def test_a_thread_starts_once(self):
        thread = threading.Thread(target=int)
        thread.start()
        with self.assertRaises(RuntimeError):
            thread.start()
        thread.join()


if __name__ == '__main__':
    unittest.main()
