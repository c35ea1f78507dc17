"""A real Chromium, and a person who opens the pages of the app: how long until each of them is whole.

    python browse.py CHROMIUM ADDRESS

Prints a JSON object: what was opened, and the seconds that it took. Measured in the page, from the moment at which the
web client, which is loaded already, is told to open something, to the frame in which the last part of it is there.
"""

import itertools
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

import websocket

PATIENCE = 90
REPORT = 'mit_network_audit.network_audit_report_action'
LOG = 'mit_network_audit.network_audit_record_action'
GROUPS = ('module', 'destination', 'category', 'direction', 'channel', 'label', 'day')
# All that the Trust Report consists of.
WHOLE = (
    '.o_network_audit_banner[data-state=active]',
    '.o_network_audit_hero[data-verdict] .o_network_audit_code',
    '.o_network_audit_chip[data-chip=self_egress]',
    '.o_network_audit_card[data-card=total] .o_network_audit_value',
    '.o_network_audit_distribution canvas',
    '.o_network_audit_volume canvas',
    '.o_network_audit_destinations tbody tr',
    '.o_network_audit_modules tbody tr',
    '.o_network_audit_timeline_plot .o_network_audit_column',
)
OPEN = """
(async () => {
    const { action } = odoo.__WOWL_DEBUG__.root.env.services;
    const begun = performance.now();
    const isThere = () => %(there)s.every((it) => document.querySelector(it));
    await action.doAction(%(action)s, { clearBreadcrumbs: true, additionalContext: %(context)s });
    while (!isThere()) {
        if (performance.now() - begun > 1000 * %(patience)s) {
            throw new Error('it did not come: ' + document.body.innerText.slice(0, 2000));
        }
        await new Promise(requestAnimationFrame);
    }
    await new Promise(requestAnimationFrame);
    return (performance.now() - begun) / 1000;
})()
"""
# Something else is shown in between, so that what is looked for is not what was there before.
AWAY = {'type': 'ir.actions.act_window', 'res_model': 'res.company', 'views': [[False, 'list']]}


class Chromium:
    """A browser with one page."""

    def __init__(self, program, folder):
        profile = pathlib.Path(folder, 'profile')
        command = [program, '--headless', '--no-sandbox', '--disable-gpu', '--window-size=1280,900']
        command += ['--remote-debugging-port=0', '--remote-allow-origins=*']
        quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}
        self._process = subprocess.Popen([*command, f'--user-data-dir={profile}', 'about:blank'], **quiet)
        port = self._wait(profile / 'DevToolsActivePort')
        with urllib.request.urlopen(f'http://127.0.0.1:{port}/json') as answer:
            page = next(it for it in json.load(answer) if it['type'] == 'page')
        self._socket = websocket.create_connection(page['webSocketDebuggerUrl'], timeout=PATIENCE + 30)
        self._numbers = itertools.count(1)

    @staticmethod
    def _wait(file):
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if file.exists() and (text := file.read_text()):
                return int(text.split()[0])
            time.sleep(0.05)
        raise SystemExit('Chromium does not start')

    def ask(self, method, **params):
        number = next(self._numbers)
        self._socket.send(json.dumps({'id': number, 'method': method, 'params': params}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get('id') == number:
                return answer['result']

    def evaluate(self, expression):
        answer = self.ask('Runtime.evaluate', expression=expression, awaitPromise=True, returnByValue=True)
        if 'exceptionDetails' in answer:
            raise SystemExit(json.dumps(answer['exceptionDetails'], indent=1))
        return answer['result'].get('value')

    def wait_until(self, expression):
        until = time.monotonic() + PATIENCE
        while not self.evaluate(f'Boolean({expression})'):
            if time.monotonic() > until:
                raise SystemExit(f'waited in vain for {expression}')
            time.sleep(0.1)

    def close(self):
        self._process.terminate()
        self._process.wait()


def log_in(browser, address):
    browser.ask('Page.navigate', url=f'{address}/web/login')
    browser.wait_until("document.querySelector('.oe_login_form')")
    browser.evaluate(
        "document.querySelector('#login').value = 'admin';"
        "document.querySelector('#password').value = 'admin';"
        "document.querySelector('.oe_login_form').submit()"
    )
    browser.wait_until("document.querySelector('.o_main_navbar') && window.odoo?.__WOWL_DEBUG__?.root")


def seconds(browser, action, context, *there):
    """How long until all of this is there."""
    show = {'action': json.dumps(AWAY), 'context': '{}', 'there': '[".o_list_view .o_data_row"]'}
    browser.evaluate(OPEN % {**show, 'patience': PATIENCE})
    browser.wait_until("!document.querySelector('.o_network_audit, .o_group_header')")
    what = {'action': json.dumps(action), 'context': json.dumps(context), 'there': json.dumps(there)}
    return browser.evaluate(OPEN % {**what, 'patience': PATIENCE})


def main(program, address):
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Chromium(program, folder)
        try:
            log_in(browser, address)
            found = {
                'report': seconds(browser, REPORT, {}, *WHOLE),
                'report again': seconds(browser, REPORT, {}, *WHOLE),
                'list': seconds(browser, LOG, {}, '.o_list_view .o_data_row [name=destination]'),
            }
            for group in GROUPS:
                context = {f'search_default_group_{group}': 1}
                found[group] = seconds(browser, LOG, context, '.o_list_view .o_group_header')
        finally:
            browser.close()
    print(json.dumps(found))


if __name__ == '__main__':
    main(*sys.argv[1:])
