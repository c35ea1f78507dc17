# Part of Network Audit. License LGPL-3.
"""Pages in a real browser: looked at, and, where somebody wants them, pictures of them."""

import base64
import json
import os
import pathlib
import time
from unittest.mock import patch

from odoo.tests import HttpCase
from odoo.tests.common import ChromeBrowser

# A folder for the pictures; without it none are taken.
SHOTS = 'NETWORK_AUDIT_SHOTS'
# The file of axe-core, where it is there.
AXE = 'NETWORK_AUDIT_AXE'
WIDE, PHONE = 1280, 390
HIGHEST = 4000
SERIOUS = ('serious', 'critical')

# The height that all of the page needs, and whether something is wider than the screen.
_MEASURE = """
(() => {
    const page = document.querySelector('.modal-content, .o_network_audit') ||
        document.querySelector('.o_content') || document.body;
    const scrolled = document.querySelector('.o_network_audit') || page;
    return JSON.stringify({
        height: scrolled.scrollHeight + scrolled.getBoundingClientRect().top,
        wider: document.querySelector('.o_network_audit') ? scrolled.scrollWidth - scrolled.clientWidth : 0,
    });
})()
"""
_AXE = """
axe.run(document.querySelector('.o_action_manager'), {
    resultTypes: ['violations'],
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'],
}).then((found) => JSON.stringify(found.violations.map((it) => ({
    id: it.id, impact: it.impact, help: it.help, nodes: it.nodes.slice(0, 5).map((node) => node.html.slice(0, 200)),
}))))
"""


class Browsing(HttpCase):
    """Tours that are looked at when they have come to their end."""

    browser_size = f'{WIDE}x900'

    def setUp(self):
        super().setUp()
        self.outside = []

    def fetch_proxy(self, url):
        """Whatever a page asks of another host: nothing is wanted."""
        self.outside.append(url)
        return super().fetch_proxy(url)

    def see(self, tour, url, picture=None, login='admin', at_end=lambda browser: None, **more):
        """Runs a tour; takes pictures of where it ends, wide and narrow."""
        stop = ChromeBrowser.stop

        def stopping(browser):
            try:
                if picture:
                    self._shoot(browser, picture)
                at_end(browser)
            finally:
                stop(browser)

        with patch.object(ChromeBrowser, 'stop', stopping):
            self.start_tour(url, f'network_audit_{tour}', login=login, timeout=120, **more)
        self.assertEqual(self.outside, [], 'nothing comes from outside')

    def _shoot(self, browser, picture):
        for width, name in ((WIDE, picture), (PHONE, f'{picture}-phone')):
            resize(browser, width, 900)
            measured = json.loads(evaluate(browser, _MEASURE))
            if width == PHONE:
                self.assertLessEqual(measured['wider'], 1, f'{picture}: wider than a phone')
            if os.environ.get(SHOTS):
                resize(browser, width, min(HIGHEST, max(700, int(measured['height']) + 1)))
                answer = browser._websocket_request('Page.captureScreenshot')
                path = pathlib.Path(os.environ[SHOTS], f'{name}.png')
                path.write_bytes(base64.b64decode(answer['data']))
        resize(browser, WIDE, 900)

    def check_with_axe(self, browser):
        """No serious issue, by the rules of WCAG 2.1 A and AA."""
        path = os.environ.get(AXE)
        if not path:
            self.skipTest(f'SKIPPED: because axe-core is not here ({AXE})')
        evaluate(browser, pathlib.Path(path).read_text(encoding='utf-8') + ';1')
        found = json.loads(evaluate(browser, _AXE))
        self.assertEqual([it for it in found if it['impact'] in SERIOUS], [])


def resize(browser, width, height):
    metrics = {'mobile': False, 'width': width, 'height': height, 'deviceScaleFactor': 1}
    browser._websocket_request('Emulation.setDeviceMetricsOverride', params=metrics)
    # Whatever follows the size of the window is drawn a moment later.
    time.sleep(0.7)


def evaluate(browser, expression):
    params = {'expression': expression, 'awaitPromise': True, 'returnByValue': True}
    answer = browser._websocket_request('Runtime.evaluate', params=params, timeout=60)
    if 'exceptionDetails' in answer:
        raise AssertionError(answer['exceptionDetails'])
    return answer['result'].get('value')
