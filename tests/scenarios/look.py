"""A person who logs in, opens the Trust Report and reads a part of it.

    python look.py CHROMIUM ADDRESS SELECTOR

Prints the text of what is found there.
"""

import json
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'bench'))

import browse  # noqa: E402

OPEN = 'odoo.__WOWL_DEBUG__.root.env.services.action.doAction(%s).then(() => true)'


def main(program, address, selector):
    found = f'document.querySelector({json.dumps(selector)})'
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = browse.Chromium(program, folder)
        try:
            browse.log_in(browser, address)
            browser.evaluate(OPEN % json.dumps(browse.REPORT))
            try:
                browser.wait_until(found)
            except SystemExit as error:
                raise SystemExit(f'{error}; there is:\n{browser.evaluate("document.body.innerText")}') from None
            print(browser.evaluate(f'{found}.innerText'))
        finally:
            browser.close()


if __name__ == '__main__':
    main(*sys.argv[1:])
