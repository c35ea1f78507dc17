# Part of Network Audit. License LGPL-3.
from odoo.tests import HttpCase, tagged

from ..core import hints
from .common import Claims


@tagged('post_install', '-at_install')
class TestServed(HttpCase):
    """Who serves what comes in."""

    def check(self, path, chain, site_starts, origin):
        claims = Claims()
        self.url_open(path)
        served = claims.new(hints.SERVE)
        self.assertEqual(len(served), 1)
        self.assertEqual((served[0][0], served[0][2]), (chain, origin))
        self.assertTrue((served[0][1] or '').startswith(site_starts), served[0])
        self.assertEqual(served[0][3], self.env.cr.dbname)

    def test_a_controllers_module_and_its_routes_template(self):
        self.check('/web/health', 'web', 'web/controllers/home.py:', 'route /web/health')
        self.check(
            '/web/image/res.partner/1/avatar_128',
            'web',
            'web/controllers/binary.py:',
            'route /web/image/<string:model>/<int:id>/<string:field>',
        )

    def test_static_files_are_their_modules(self):
        self.check('/web/static/img/favicon.ico', 'web', '', 'static files')

    def test_what_is_not_there_is_served_by_nobody(self):
        claims = Claims()
        self.url_open('/there/is/no/such/page')
        self.assertEqual(claims.new(hints.SERVE), [])
