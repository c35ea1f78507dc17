"""The built-in catalogue against Odoo 19's own sources: every host that Odoo goes to is in it.

The other way round, that a host is in the file which its entry names, is a test of `auditor-userspace`.
"""

import ast
import os
import pathlib
import re
import unittest

try:
    import tomllib
except ImportError:  # Until Python 3.10; `cargo xtask test` has it in its environment.
    try:
        import tomli as tomllib
    except ImportError:
        tomllib = None

CATALOGUE = pathlib.Path(__file__).resolve().parents[1] / 'auditor-userspace' / 'data' / 'catalogue.toml'
CACHE = pathlib.Path(os.environ.get('NETWORK_AUDIT_CACHE', '/var/cache/network-audit'))
HOST = re.compile(r'(?:https?|wss?)://([a-z0-9._-]+\.[a-z]{2,})', re.I)
# Of Odoo's code, what is no server's: tests, pages' own scripts, and the addons that are tests themselves.
OTHERS = re.compile(r'/(tests|static|i18n|demo|__pycache__)(/|$)|/test_|/__manifest__\.py$')

# Named in the code, and not gone to by the server; by the reason why.
NOT_GONE_TO = {
    'a page that the browser is sent to': """
        cdn.jsdelivr.net checkout.buckaroo.nl testcheckout.buckaroo.nl checkout.payfort.com sbcheckout.payfort.com
        secure.safecharge.com ppp-test.safecharge.com sis.redsys.es sis-t.redsys.es www.paydollar.com
        test.paydollar.com www.pesopay.com test.pesopay.com www.siampay.com test.siampay.com www.bimopay.com
        maps.google.com www.google.com player.vimeo.com www.facebook.com plausible.io www.mondialrelay.com
        einvoice1.gst.gov.in ewaybillgst.gov.in openerp.com tbai.egoitza.gipuzkoa.eus tbai.prep.gipuzkoa.eus
        www.speedscope.app""",
    'a place to read about something': """
        anskaffelser.dev cloud.google.com communaute.chorus-pro.gouv.fr de.wikipedia.org developer.pinelabs.com
        developer.viva.com developers.google.com docs.adyen.com docs.peppol.eu github.com
        mydata-dev-register.azurewebsites.net razorpay.com rtlcss.com www.gnu.org www.mercadopago.com.mx
        www.pagero.com www.peppolguide.sg www.softwarepakketten.nl www.unece.org pypi.python.org""",
    'the name of a format, or a scope': """
        docs.oasis-open.org ksef.mf.gov.pl mail.google.com outlook.office.com schema.org schemas.nav.gov.hu
        storage.azure.com uri.etsi.org www.aade.gr www.facturae.es www.facturae.gob.es www.w3.org""",
    'a document that is named by a signature or never fetched': """
        batuz.eus www.batuz.eus web.araba.eus www.gipuzkoa.eus""",
    'a pattern of addresses, or an example': 'teams.microsoft.com www.mydomain.com',
}
# The index of Python packages, which a message names.
PACKAGES = 'pypi' + '.org'


def sources():
    """The folder of Odoo's package, where a set-up has unpacked it."""
    found = sorted(CACHE.glob('/'.join(('odoo-19*', 'root', 'usr/lib/python3/dist-packages/odoo'))))
    return found[-1] if found else None


def named_hosts(folder):
    """Each host that Python code names outside of its documentation, by the first file that does."""
    found = {}
    for path in sorted(folder.rglob('*.py')):
        if OTHERS.search(f'/{path.relative_to(folder).as_posix()}'):
            continue
        code = path.read_text(errors='replace')
        for text in texts(code) if '://' in code else ():
            for host in HOST.findall(text):
                found.setdefault(host.lower(), path.relative_to(folder).as_posix())
    return found


def texts(code):
    """The texts of a file; what is put together has an `x` for each piece that is not known."""
    tree = ast.parse(code)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value
        if isinstance(node, ast.JoinedStr):
            yield ''.join(getattr(piece, 'value', 'x') if isinstance(piece, ast.Constant) else 'x' for piece in node.values)


class TestCatalogue(unittest.TestCase):
    def setUp(self):
        if tomllib is None:
            self.skipTest('because this Python has neither tomllib nor tomli')
        catalogue = tomllib.loads(CATALOGUE.read_text())
        self.hosts = {host for entry in catalogue['entry'] for host in entry['hosts']}

    def is_known(self, host):
        _, is_put_together, tail = f'.{host}'.rpartition('.x.')
        if is_put_together:
            # Of a name such as x.com nothing is known.
            return '.' not in tail or any(known.endswith(f'.{tail}') for known in self.hosts)
        below = {f'*.{host.split(".", count)[-1]}' for count in range(1, host.count('.') + 1)}
        return host in self.hosts or bool(below & self.hosts)

    def test_every_host_that_odoo_names_is_documented_or_not_gone_to(self):
        folder = sources()
        if folder is None:
            self.skipTest("because Odoo's sources are not unpacked (cargo xtask odoo setup)")
        excused = {PACKAGES, *(host for hosts in NOT_GONE_TO.values() for host in hosts.split())}
        named = named_hosts(folder)
        self.assertGreater(len(named), 100)
        missing = {host: path for host, path in named.items() if host not in excused and not self.is_known(host)}
        self.assertEqual(missing, {})

    def test_an_unknown_host_is_noticed(self):
        self.assertFalse(self.is_known('collector.example.com'))
        self.assertTrue(self.is_known('services.odoo.com'))
        self.assertTrue(self.is_known('checkout-test.adyen.com'))

    def test_every_kind_of_purpose_is_covered(self):
        catalogue = tomllib.loads(CATALOGUE.read_text())
        kinds = {entry['kind'] for entry in catalogue['entry']}
        wanted = {'odoo', 'iap', 'licence', 'mail', 'calendar', 'messaging', 'maps', 'media', 'security'}
        self.assertEqual(wanted | {'storage', 'payment', 'printing', 'tax', 'invoicing', 'other'}, kinds)


if __name__ == '__main__':
    unittest.main()
