# Part of Network Audit. License LGPL-3.
import re

from lxml import html

from odoo.exceptions import UserError
from odoo.tests import TransactionCase, tagged
from odoo.tools.misc import file_open, file_path

from ..core.frames import OWN

PHRASE = 'MIT Network Audit'


@tagged('post_install', '-at_install')
class TestModule(TransactionCase):
    """How the app is found, and what it says of itself."""

    def setUp(self):
        super().setUp()
        self.module = self.env['ir.module.module'].search([('name', '=', OWN)])

    def test_apps_finds_it_by_its_name(self):
        view = self.env.ref('base.view_module_filter')
        (field,) = html.fromstring(view.arch.encode()).xpath('//field[@name="name"]')
        domain = [
            tuple(PHRASE if part == 'self' else part for part in term)
            if isinstance(term, tuple)
            else term
            for term in self._domain(field.get('filter_domain'))
        ]
        found = self.env['ir.module.module'].search([*domain, ('application', '=', True)])
        self.assertIn(self.module, found)

    @staticmethod
    def _domain(text):
        """A search view's domain, in which `self` is what was typed."""
        names = re.findall(r"'(\w+)', *'ilike', *self", text)
        return ['|'] * (len(names) - 1) + [(name, 'ilike', 'self') for name in names]

    def test_the_phrase_is_in_name_and_summary(self):
        self.assertEqual(self.module.shortdesc, PHRASE)
        self.assertIn(PHRASE, self.module.summary)
        self.assertTrue(self.module.application)

    def test_the_description_shows_pictures_that_are_there_and_come_from_here(self):
        page = html.fromstring(str(self.module.description_html))
        sources = page.xpath('//img/@src')
        self.assertGreater(len(sources), 5)
        for source in sources:
            self.assertTrue(source.startswith(f'/{OWN}/static/description/'), source)
            self.assertTrue(file_path(source.lstrip('/')))
        self.assertTrue(all(page.xpath('//img/@alt')), 'each picture is described')

    def test_every_page_of_the_handbook_is_served_from_here(self):
        (path,) = re.findall(
            r'/(\S+/index\.html)', self.env.ref(f'{OWN}.network_audit_handbook_action').url
        )
        with file_open(path) as file:
            index = html.fromstring(file.read())
        pages = index.xpath('//main//a/@href')
        self.assertGreater(len(pages), 10)
        for page in pages:
            self.assertTrue(file_path(path.replace('index.html', page)))

    def test_it_speaks_german(self):
        self.env['res.lang']._activate_lang('de_DE')
        self.env['ir.module.module']._load_module_terms([OWN], ['de_DE'])
        german = self.env(context={'lang': 'de_DE'})
        self.assertEqual(german.ref(f'{OWN}.menu_records').name, 'Prüfprotokoll')
        fields = german['network.audit.record'].fields_get(['module', 'category'])
        self.assertEqual(fields['module']['string'], 'Modul')
        self.assertIn(('watched', 'Beobachtet'), fields['category']['selection'])
        with self.assertRaisesRegex(UserError, 'nur angefügt'):
            german['network.audit.record'].create({})
